"""Sections for the work itself, not for the published page: containers, the log at the onset, health, next steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose.service_names import of_here
from irkit.model import VerdictState
from irkit.report import facts
from irkit.report.cells import plain_records
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap
from irkit.report.working_sections import Containers, HealthPhases, LogExcerpt, LogPart, LogRow, NextSteps
from irkit.runbook import who_to_tell

if TYPE_CHECKING:
    import pandas as pd

_BEFORE_ROWS = 12
_AFTER_ROWS = 16
_MAX_PROBES = 20


def containers(of: Material) -> Containers | Gap:
    """Return every container, those that stopped badly first."""
    if of.view.table("containers") is None:
        return _gap(of, "Containers", "containers")
    return Containers(facts.containers(of.view), of.view.ids("containers"))


def log(of: Material) -> LogExcerpt | Gap:
    """Return the lines around the earliest onset and those before the latest bad exit, the one that tells marked."""
    frame = of.view.table("logs")
    if frame is None:
        return _gap(of, "Log", "logs")
    ordered = frame.sort_values("at", kind="stable", ignore_index=True)
    onset = _onset(of)
    split = int((ordered["at"] < onset).sum())
    start, end = max(split - _BEFORE_ROWS, 0), split + _AFTER_ROWS
    parts = [LogPart(f"Around the onset at {onset:%H:%M:%S} UTC", _lines(of, ordered.iloc[start:end]))]
    for item in facts.exits(of.view)[:1]:
        if item.at is None:
            continue
        last = int((ordered["at"] <= item.at + facts.LATE_LINE).sum())
        if last > end:
            rows = _lines(of, ordered.iloc[max(last - _BEFORE_ROWS, end) : last])
            parts.append(LogPart(f"Before {item.service} exited at {item.at:%H:%M:%S} UTC", rows))
    return LogExcerpt(tuple(part for part in parts if part.rows), len(ordered), of.view.ids("logs"))


def _lines(of: Material, frame: pd.DataFrame) -> tuple[LogRow, ...]:
    tells = facts.telling(of.view, of.onset)
    quoted = {text.partition("\n")[0] for text in (tells.quote, tells.full) if text} if tells else set()
    made = []
    for row in plain_records(frame):
        line = str(row.get("line") or "")
        service, stream = str(row.get("service") or ""), str(row.get("stream") or "")
        made.append(LogRow(row["at"], service, stream, line, marked=line in quoted))
    return tuple(made)


def health(of: Material) -> HealthPhases | Gap:
    """Return the latest probes of the health endpoint."""
    if of.view.table("health") is None:
        return _gap(of, "Health endpoint", "health")
    return HealthPhases(facts.probes(of.view)[-_MAX_PROBES:], of.view.ids("health"))


def next_steps(of: Material) -> NextSteps | Gap:
    """Return the runbook's own words for the type the evidence points at, or else the type it was filed as."""
    ranking = of.diagnosis.ranking
    slug = ranking[0].incident_type if ranking and ranking[0].score > 0 else of.incident.type
    kind = of.runbook.known_type(slug)
    if kind is None:
        return Gap("Next steps", f"The runbook does not know the incident type {slug}.", "`irkit runbook` lists them")
    found = {item.symptom: item for item in of.diagnosis.of(slug) if item.verdict.state is VerdictState.FOUND}
    claims = tuple(Claim(f"{item.title}: {item.verdict.sentence}", item.evidence) for item in found.values())
    told = who_to_tell(of.runbook, kind, of.severity) if of.severity else ()
    tell = tuple(f"{contact.role} ({contact.channel}): {contact.when}" for contact in told)
    steps = of.steps(kind)
    looks = tuple(replace(look, text=of_here(look.text, of.places)) for look in kind.diagnosis)
    return NextSteps(kind.title, claims, looks, steps.lines, of.incident.id, tell, steps.hints)


def _onset(of: Material) -> datetime:
    onsets = [item.verdict.onset for item in of.diagnosis.present if item.verdict.onset]
    exits = [item.at for item in facts.exits(of.view) if item.at]
    return min(onsets) if onsets else exits[-1] if exits else of.felt.start


def _gap(of: Material, title: str, kind: str) -> Gap:
    reason, hint = of.view.why_missing(kind)
    return Gap(title, f"{reason}.", hint)
