"""OOM kills: what the engine flags and reports; an exit code of 137 alone is no proof of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from irkit.diagnose import Example, symptom, unless_cut
from irkit.model import Verdict, VerdictState, Window
from irkit.phrase import clock, count, listing, size
from irkit.records import Row, in_order, integer_of, number_of, rows_of, text_of, time_of

if TYPE_CHECKING:
    import pandas as pd

_SIGKILLED = 137


@symptom("oom-kills", incident="memory-leak")
def detect(
    window: Window,
    cut: Mapping[str, str],
    containers: pd.DataFrame | None = None,
    container_events: pd.DataFrame | None = None,
) -> Verdict:
    """Found when the engine flags a container as out-of-memory killed or reported an `oom` event in the window."""
    rows, events = rows_of(containers), in_order(rows_of(container_events))
    # some engines keep the flag when the container runs again: an end before the window is another story
    flags = [row for row in rows if row.get("oom_killed") is True]
    flagged = [row for row in flags if (time_of(row, "finished_at") or window.start) >= window.start]
    reported = [row for row in events if text_of(row, "action") == "oom"]
    names = listing(_name(row) for row in [*flagged, *reported])
    ended = [at for row in flagged if (at := time_of(row, "finished_at"))]
    onset = min([*ended, *(row["at"] for row in reported)], default=None)
    numbers: dict[str, object] = {"flagged": len(flagged), "events": len(reported)}
    if flagged or reported:
        limits = [limit for row in flagged if (limit := number_of(row, "memory_limit_bytes"))]
        exits = {integer_of(row, "exit_code") for row in flagged} - {None}
        numbers |= {"exit_code": max(exits, default=None), "oom_killed": bool(flagged)}  # type: ignore[type-var]
        under = f", limit {size(limits[0])}" if limits else ""
        when = f" at {clock(onset)}" if onset else ""
        times = f"{count(len(reported), 'oom event')} on record" if reported else "flagged by the engine"
        sentence = f"The kernel killed a process of {names} for want of memory{when} ({times}{under})."
        advice = "Collect memory evidence before a restart; a higher limit buys time, it mends no leak."
        return Verdict(VerdictState.FOUND, sentence, advice, onset, 0.98, numbers)
    killed = [row for row in rows if integer_of(row, "exit_code") == _SIGKILLED]
    told = f"; {listing(map(_name, killed))} ended with 137, a SIGKILL, which alone proves nothing" if killed else ""
    restarted = [row for row in rows if (integer_of(row, "restart_count") or 0) > 0]
    if restarted and (container_events is None or "container_events" in cut):
        why = cut.get("container_events", "its events were not collected")
        sentence = (
            f"{listing(map(_name, restarted))} restarted, and the engine keeps the flag of the last end only{told}; "
            f"the earlier ends are not known ({why})."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the container events, or read the kernel's log.")
    if not rows and not events:
        sentence = "Neither a container nor an event is on record."
        return Verdict(VerdictState.UNKNOWN, sentence, "Check which containers irkit is told to look at.")
    looked = [
        f"{count(len(rows), 'container')}, none flagged in this window" if rows else "",
        "No oom event" if events and not rows else "no oom event" if events else "",
    ]
    confidence = 0.8 if killed or not events else 0.95
    told += f"; the flag of {listing(map(_name, flags))} is of an end before this window" if flags else ""
    clear = Verdict(VerdictState.CLEAR, f"{listing(looked)}{told}.", confidence=confidence, numbers=numbers)
    # nothing restarted, so the flags tell all there is and a gap in the events hides no kill
    return unless_cut(clear, [cut.get("containers", "") if rows else cut.get("container_events", "")])


def _name(row: Row) -> str:
    return text_of(row, "name") or text_of(row, "service") or "a container"


def _container(**changed: object) -> dict[str, object]:
    usual = {"service": "jarvis-api", "name": "jarvis-api-1", "state": "exited", "exit_code": 137, "oom_killed": False}
    return {**usual, "finished_at": "2026-11-24T03:05:07Z", "memory_limit_bytes": 268435456, **changed}


FIRES = (
    Example("the engine flags it", {"containers": [_container(oom_killed=True)]}),
    Example(
        "it was restarted since, the event remains",
        {
            "containers": [_container(state="running", exit_code=None, restart_count=1)],
            "container_events": [{"at": "2026-11-24T03:05:07Z", "service": "jarvis-api", "action": "oom"}],
        },
    ),
)
QUIET = (
    Example(
        "the flag of an end long ago",
        {"containers": [_container(state="running", oom_killed=True, finished_at="2026-11-23T01:00:00Z")]},
    ),
    Example("137 without the flag is some SIGKILL", {"containers": [_container()]}),
    Example("all run", {"containers": [_container(state="running", exit_code=None)], "container_events": []}),
)
