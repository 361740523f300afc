"""Slow garbage collection: from the pauses a runtime logs; one that logs none cannot be judged from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose import Example, symptom
from irkit.log_formats import clean
from irkit.model import Verdict, VerdictState
from irkit.phrase import clock, count, percent, seconds
from irkit.records import rows_of, rows_where, text_of, time_of

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
def detect(logs: pd.DataFrame) -> Verdict:
    """Found when three or more logged pauses took over half a second, or collecting took over 5 % of the time."""
    pauses = sorted(_pauses(logs), key=lambda pause: pause.at)
    if not pauses:
        sentence = (
            "No service logs its garbage collections, and nothing else collected so far tells how long they take."
        )
        advice = (
            "Have the runtime log them: gc.set_debug(gc.DEBUG_STATS) in Python, -Xlog:gc for a JVM, node --trace-gc."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, advice)
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


def _lines(took_s: float) -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{minute:02d}:00Z",
            "service": "jarvis-api",
            "line": f"gc: done, 120 unreachable, 0 uncollectable, {took_s:.4f}s elapsed",
        }
        for minute in range(10)
    ]


FIRES = (Example("pauses of almost a second", {"logs": _lines(0.9)}),)
QUIET = (Example("pauses of milliseconds", {"logs": _lines(0.004)}),)
