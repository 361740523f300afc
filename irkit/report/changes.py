"""What the logs say that they did not say before: patterns new, exploding or gone since the onset, and the onset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from irkit.logs import patterns
from irkit.onset.interval import OnsetInterval
from irkit.records import number_of, rows_of, text_of, time_of
from irkit.report.material import Material
from irkit.report.parts import Gap, Shown


@dataclass(frozen=True, slots=True)
class PatternRow:
    """One log pattern that changed: how often before and after, lines a minute, and its first line verbatim."""

    change: str
    since: datetime | None
    service: str
    level: str
    pattern: str
    lines: int
    before_per_minute: float
    after_per_minute: float
    example: str


@dataclass(frozen=True, slots=True, repr=False)
class LogPatterns(Shown):
    """The patterns that changed since `onset`, most telling first; `total` patterns were told apart.

    `interval` is the onset as signals agree on it; without one `onset` is the earliest the symptoms or people name.
    """

    heading: ClassVar[str] = "Log patterns"
    anchor: ClassVar[str] = "log-patterns"
    onset: datetime
    interval: OnsetInterval | None
    rows: tuple[PatternRow, ...]
    total: int
    compared: bool
    evidence: tuple[str, ...]


def log_patterns(of: Material) -> LogPatterns | Gap:
    """Return what the logs began or ceased to say at the onset."""
    logs = of.view.table("logs")
    if logs is None:
        reason, hint = of.view.why_missing("logs")
        return Gap("Log patterns", f"{reason}.", hint)
    interval, onset = of.diagnosis.onset, of.began
    table = patterns.mine(logs, onset)
    rows = tuple(
        PatternRow(
            text_of(row, "change"),
            time_of(row, "since"),
            text_of(row, "service"),
            text_of(row, "level"),
            text_of(row, "pattern"),
            int(row["lines"]),
            number_of(row, "before_per_minute") or 0.0,
            number_of(row, "after_per_minute") or 0.0,
            text_of(row, "example"),
        )
        for row in rows_of(patterns.telling(table))
    )
    compared = not table.empty and bool((table["change"] != "unknown").any())
    return LogPatterns(onset, interval, rows, len(table), compared, of.view.ids("logs"))
