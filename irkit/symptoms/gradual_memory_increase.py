"""Gradual memory increase: a slope over many samples of one run; one sample of `docker stats` shows none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose import Example, symptom
from irkit.estimate import Interval, slope_interval
from irkit.model import Verdict, VerdictState
from irkit.phrase import clock, count, percent, size
from irkit.records import Row, in_order, number_of, rows_of, text_of, time_of

if TYPE_CHECKING:
    import pandas as pd

_FEWEST_SAMPLES = 20
_SHORTEST_S = 600.0
# of the level at its start, per hour: less is noise that no incident waits for
_LEAST_GROWTH = 0.05
_HOUR_S = 3600.0
_FALL = 0.75


@symptom("gradual-memory-increase", incident="memory-leak")
def detect(container_stats: pd.DataFrame, containers: pd.DataFrame | None = None) -> Verdict:
    """Found when a container's memory still rises in the second half of at least ten minutes of samples."""
    samples = [row for row in in_order(rows_of(container_stats)) if number_of(row, "memory_usage_bytes") is not None]
    started = {text_of(row, "name"): time_of(row, "started_at") for row in rows_of(containers)}
    runs = {
        name: _last_run([row for row in samples if text_of(row, "name") == name], started.get(name))
        for name in dict.fromkeys(text_of(row, "name") for row in samples)
    }
    long_enough = [_grow(name, run) for name, run in runs.items() if _is_long(run)]
    if not long_enough:
        most = max((len(run) for run in runs.values()), default=0)
        sentence = (
            f"{count(most, 'sample')} of memory on record for a container: a slope needs {_FEWEST_SAMPLES} or more "
            f"over ten minutes without a restart{_near_limit(samples)}."
        )
        advice = "Sample it: docker stats every 30 s for 20 minutes, or your monitoring's container memory."
        return Verdict(VerdictState.UNKNOWN, sentence, advice)
    worst = max(long_enough, key=lambda item: (item.rises, item.slope_per_s))
    numbers: dict[str, object] = {
        "name": worst.name,
        "samples": worst.samples,
        "slope_bytes_per_s": worst.slope_per_s,
        "low_bytes_per_s": worst.interval.low,
        "high_bytes_per_s": worst.interval.high,
    }
    grown = (
        f"{size(worst.slope_per_s * _HOUR_S)} an hour ({_between(worst.interval)}, {count(worst.samples, 'sample')})"
    )
    if worst.rises:
        sentence = f"Memory of {worst.name} rises by {grown} since {clock(worst.onset)}{worst.full}."
        advice = "Take a memory snapshot now and one later, and compare; a restart destroys the evidence."
        return Verdict(VerdictState.FOUND, sentence, advice, worst.onset, 0.9, numbers)
    sentence = f"No container's memory goes on rising; most that of {worst.name}, by {grown}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.8, numbers=numbers)


@dataclass(frozen=True, slots=True)
class _Growth:
    """The slope of the second half of a run, which a warm-up has left behind it."""

    name: str
    rises: bool
    slope_per_s: float
    interval: Interval
    samples: int
    onset: datetime
    full: str


def _last_run(samples: list[Row], started_at: datetime | None) -> list[Row]:
    """Return the samples since the last restart: its start where known, else the last sudden fall."""
    run = [row for row in samples if started_at is None or row["at"] >= started_at]
    levels = [number_of(row, "memory_usage_bytes") or 0.0 for row in run]
    falls = [index for index in range(1, len(levels)) if levels[index] < _FALL * levels[index - 1]]
    return run[falls[-1] :] if falls else run


def _is_long(run: list[Row]) -> bool:
    return len(run) >= _FEWEST_SAMPLES and (run[-1]["at"] - run[0]["at"]).total_seconds() >= _SHORTEST_S


def _grow(name: str, run: list[Row]) -> _Growth:
    half = run[len(run) // 2 :]
    times = [(row["at"] - run[0]["at"]).total_seconds() for row in half]
    levels = [number_of(row, "memory_usage_bytes") or 0.0 for row in half]
    slope, interval = slope_interval(times, levels)
    least = _LEAST_GROWTH * max(levels[0], 1.0) / _HOUR_S
    rises = interval.low is not None and interval.low > least
    limit = number_of(run[-1], "memory_limit_bytes")
    full = ""
    if limit and rises and limit > levels[-1]:
        full = f"; at this rate its limit of {size(limit)} is reached in {(limit - levels[-1]) / slope / 60:.0f} min"
    return _Growth(name, rises, slope, interval, len(half), run[0]["at"], full)


def _between(interval: Interval) -> str:
    low, high = (size((end or 0.0) * _HOUR_S) for end in (interval.low, interval.high))
    return f"95 % interval {low} to {high}"


def _near_limit(samples: list[Row]) -> str:
    full = [row for row in samples if (number_of(row, "memory_percent") or 0.0) >= 90]  # noqa: PLR2004
    if not full:
        return ""
    share = percent((number_of(full[-1], "memory_percent") or 0.0) / 100)
    return f"; {text_of(full[-1], 'name')} uses {share} of its memory limit, which alone does not say that it grows"


def _samples(levels_mib: list[float]) -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{index // 2:02d}:{index % 2 * 30:02d}Z",
            "service": "jarvis-api",
            "name": "jarvis-api-1",
            "memory_usage_bytes": int(level * 1048576) + index * 7919 % 4096,
            "memory_limit_bytes": 268435456,
            "memory_percent": level / 2.56,
        }
        for index, level in enumerate(levels_mib)
    ]


FIRES = (Example("a MiB every half minute", {"container_stats": _samples([80.0 + index for index in range(60)])}),)
QUIET = (
    Example("level", {"container_stats": _samples([80.0 + index % 3 for index in range(60)])}),
    Example("a warm-up", {"container_stats": _samples([min(40.0 + 4 * index, 100.0) for index in range(60)])}),
)
