"""Slow garbage collection: from the pauses a runtime logs or its memory agent times, else from what probes rule out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.wholeness import unless_cut
from irkit.estimate import share_interval
from irkit.logs.formats import clean
from irkit.model import Verdict, VerdictState
from irkit.records import Row, in_order, integer_of, number_of, rows_of, rows_where, text_of, time_of
from irkit.text.phrase import clock, count, percent, seconds

if TYPE_CHECKING:
    import pandas as pd

# CPython's gc.DEBUG_STATS; the JVM's unified log of pauses; V8's --trace-gc
_CPYTHON = re.compile(r"gc: done, .{0,120}?([0-9]{1,6}\.[0-9]{1,9})s elapsed")
_JVM = re.compile(r"\bGC\([0-9]{1,9}\) Pause .{0,200}?([0-9]{1,9}\.[0-9]{1,6})ms\s*$")
_V8 = re.compile(r"\bms: (?:Mark-Compact|Mark-sweep|Scavenge)\b.{0,200}? ([0-9]{1,7}\.[0-9]{1,4}) / ")
_PAUSES = ((_CPYTHON, 1.0), (_JVM, 1e-3), (_V8, 1e-3))
_WORDS = ("gc: done", "GC(", "ms: Mark", "ms: Scav")
# a pause nobody would call quick for an API, and a share of time that slows all of it
_LONG_S = 0.5
_MUCH = 0.05
_FEWEST = 3


@symptom("slow-garbage-collection", incident="memory-leak")
def detect(
    cut: Mapping[str, str],
    logs: pd.DataFrame | None = None,
    health_history: pd.DataFrame | None = None,
    container_processes: pd.DataFrame | None = None,
) -> Verdict:
    """Found when three or more logged pauses took over half a second, or collecting took over 5 % of the time.

    Where no pause is logged, the figures of a memory agent in the process tell that share and the longest pause; where
    there is none either, health answers that are all quick bound how much of the time such pauses can have taken.
    """
    pauses = sorted(_pauses(logs), key=lambda pause: pause.at) if logs is not None else []
    if not pauses:
        timed = [row for row in rows_of(container_processes) if number_of(row, "gc_over_s")]
        if timed:
            return unless_cut(_from_agents(timed), [cut.get("container_processes", "")])
        return unless_cut(_from_answers(health_history), [cut.get("health_history", "")])
    return unless_cut(_from_pauses(pauses), [cut.get("logs", "")])


def _from_answers(health_history: pd.DataFrame | None) -> Verdict:
    """Judge by probes at even intervals: one that falls into a pause of the whole process waits for its end."""
    answers = [row for row in in_order(rows_of(health_history)) if number_of(row, "total_s") is not None]
    slow = sum((number_of(row, "total_s") or 0.0) > _LONG_S for row in answers)
    numbers: dict[str, object] = {"pauses": 0, "probes": len(answers), "probes_slow": slow}
    most = share_interval(slow, len(answers)).high or 1.0
    counted = f"{slow or 'none'} of {count(len(answers), 'health probe')} waited longer than {seconds(_LONG_S)}"
    if most < _MUCH:
        sentence = (
            f"No service logs its garbage collections, but {counted}, "
            f"so pauses of that length took less than {percent(most)} of the time (95 %)."
        )
        return Verdict(VerdictState.CLEAR, sentence, confidence=0.7, numbers=numbers)
    why = "which has many causes and rules none out" if slow else "which are too few to rule such pauses out"
    told = f"; {counted}, {why}" if answers else ""
    sentence = f"No service logs its garbage collections, and nothing else collected tells how long they take{told}."
    advice = "Have the runtime log them: gc.set_debug(gc.DEBUG_STATS) in Python, -Xlog:gc for a JVM, node --trace-gc."
    return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers=numbers)


def _from_agents(timed: list[Row]) -> Verdict:
    """Judge by what agents counted; of how many pauses were long they know nothing, of the longest they do."""

    def share_of(row: Row) -> float:
        return (number_of(row, "gc_pause_s") or 0.0) / (number_of(row, "gc_over_s") or 1.0)

    worst = max(timed, key=share_of)
    longest_s = max(number_of(row, "gc_longest_s") or 0.0 for row in timed)
    share, total = share_of(worst), integer_of(worst, "gc_collections") or 0
    numbers: dict[str, object] = {"service": text_of(worst, "service"), "pauses": total}
    numbers |= {"longest_s": longest_s, "share": share}
    name = text_of(worst, "service") or text_of(worst, "name") or "the service"
    told = f"The memory agent in {name} timed {count(total, 'collection')}, {percent(share)} of the time in all"
    if share > _MUCH:
        advice = "Collections grow long with the number of live objects: look for what keeps them."
        return Verdict(VerdictState.FOUND, f"{told}, the longest {seconds(longest_s)}.", advice, None, 0.9, numbers)
    if longest_s > _LONG_S:
        sentence = f"{told}, but one took {seconds(longest_s)}; how many took that long is not counted."
        advice = "Have the runtime log each: gc.set_debug(gc.DEBUG_STATS) in Python."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers=numbers)
    sentence = f"{told}; none of any agent's took longer than {seconds(longest_s)}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.9, numbers=numbers)


def _from_pauses(pauses: list[_Pause]) -> Verdict:
    worst = max(
        {pause.service for pause in pauses}, key=lambda name: sum(p.took_s for p in pauses if p.service == name)
    )
    own = [pause for pause in pauses if pause.service == worst]
    long = [pause for pause in own if pause.took_s > _LONG_S]
    spent_s, span_s = sum(pause.took_s for pause in own), (own[-1].at - own[0].at).total_seconds()
    share = min(1.0, spent_s / span_s) if span_s > 0 else 0.0
    longest_s = max(pause.took_s for pause in own)
    numbers: dict[str, object] = {"service": worst, "pauses": len(own), "longest_s": longest_s, "share": share}
    told = f"{count(len(own), 'collection')} of {worst or 'the service'}, the longest {seconds(longest_s)}"
    told += f", {percent(share)} of the time in all" if span_s > 0 else ""
    if len(long) >= _FEWEST or (len(own) >= _FEWEST and share > _MUCH):
        onset = long[0].at if long else own[0].at
        sentence = f"{told}; {count(len(long), 'pause')} over {seconds(_LONG_S)}, the first at {clock(onset)}."
        advice = "Collections grow long with the number of live objects: look for what keeps them."
        return Verdict(VerdictState.FOUND, sentence, advice, onset, 0.9, numbers)
    return Verdict(VerdictState.CLEAR, f"{told}.", confidence=0.9, numbers=numbers)


@dataclass(frozen=True, slots=True)
class _Pause:
    at: datetime
    service: str
    took_s: float


def _pauses(logs: pd.DataFrame) -> Iterator[_Pause]:
    hinted = (isinstance(line, str) and any(word in line[:2000] for word in _WORDS) for line in logs["line"].tolist())
    for row in rows_of(rows_where(logs, hinted)):
        line, at = clean(row.get("line"))[:2000], time_of(row, "at")
        for pattern, unit_s in _PAUSES:
            if at is not None and (found := pattern.search(line)):
                yield _Pause(at, text_of(row, "service"), float(found[1]) * unit_s)
                break


def _lines(took_s: float, *, step_s: int = 60) -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{index * step_s // 60:02d}:{index * step_s % 60:02d}Z",
            "service": "jarvis-api",
            "line": f"gc: done, 120 unreachable, 0 uncollectable, {took_s:.4f}s elapsed",
        }
        for index in range(10)
    ]


def _timed(pause_s: float, longest_s: float) -> dict[str, object]:
    figures = {"gc_collections": 640, "gc_pause_s": pause_s, "gc_longest_s": longest_s, "gc_over_s": 600.0}
    return {"service": "jarvis-api", "name": "jarvis-api-1", "pid": 4711, **figures}


FIRES = (
    Example("pauses of almost a second", {"logs": _lines(0.9)}),
    Example("short pauses without end", {"logs": _lines(0.3, step_s=2)}),
    Example("a tenth of the time, by the agent in the process", {"container_processes": [_timed(60.0, 0.3)]}),
)
QUIET = (
    Example("pauses of milliseconds", {"logs": _lines(0.004)}),
    Example("pauses of milliseconds, by the agent in the process", {"container_processes": [_timed(0.2, 0.012)]}),
    Example(
        "nothing is logged, and every answer is quick",
        {
            "health_history": [
                {"at": f"2026-11-24T03:{index // 12:02d}:{index % 12 * 5:02d}Z", "verdict": "healthy", "total_s": 0.02}
                for index in range(120)
            ]
        },
    ),
)
