"""OOM kills: what the engine flags and reports and the kernel counts; an exit code of 137 alone is no proof of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.wholeness import unless_cut
from irkit.model import Verdict, VerdictState, Window
from irkit.records import Row, in_order, integer_of, number_of, rows_of, text_of, time_of
from irkit.text.phrase import between, clock, count, listing, percent, size

if TYPE_CHECKING:
    import pandas as pd

_SIGKILLED = 137
_SAME = timedelta(seconds=5)
_ASKED = timedelta(seconds=30)
_NEAR_LIMIT = 0.95


@symptom("oom-kills", incident="memory-leak")
def detect(
    window: Window,
    cut: Mapping[str, str],
    containers: pd.DataFrame | None = None,
    container_events: pd.DataFrame | None = None,
    cgroup: pd.DataFrame | None = None,
    container_history: pd.DataFrame | None = None,
) -> Verdict:
    """Found when the engine flags a container, reports an `oom` event, or the kernel counts a kill in a cgroup.

    The flag is of the container's first process; the kernel counts any process within, also where the container lives.
    """
    rows, events = rows_of(containers), in_order(rows_of(container_events))
    history = in_order(rows_of(container_history))
    # some engines keep the flag when the container runs again: an end before the window is another story
    flags = [row for row in rows if row.get("oom_killed") is True]
    flagged = [row for row in flags if (time_of(row, "finished_at") or window.start) >= window.start]
    flagged += [row for row in _flagged_then(history) if _name(row) not in map(_name, flagged)]
    reported = [row for row in events if text_of(row, "action") == "oom"]
    counted, before = _counted(history, rows_of(cgroup), rows, window)
    numbers: dict[str, object] = {
        "flagged": len(flagged),
        "events": len(reported),
        "counted": sum(kill.number for kill in counted),
    }
    if flagged or reported or counted:
        return _found(flagged, reported, counted, [*rows, *history], events, numbers)
    killed = [row for row in rows if integer_of(row, "exit_code") == _SIGKILLED]
    told = _sigkilled(killed, events)
    told += "".join(f"; {kill.told} since it started, which was before this window" for kill in before)
    full = [
        (row, share)
        for row in killed
        if not _asked(row, events) and (share := _last_share(row, history)) >= _NEAR_LIMIT
    ]
    if full:
        row, share = full[0]
        sentence = (
            f"{_name(row)} ended with 137, a SIGKILL, while its memory stood at {percent(share)} of its limit; no "
            "flag, event or count proves that the kernel killed it for that."
        )
        advice = "Ask the kernel's log: journalctl -k --grep 'Out of memory|oom-kill'."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, time_of(row, "finished_at"), 0.5, numbers)
    restarted = [row for row in rows if (integer_of(row, "restart_count") or 0) > 0]
    if restarted and (container_events is None or "container_events" in cut):
        why = cut.get("container_events", "its events were not collected")
        sentence = (
            f"{listing(map(_name, restarted))} restarted, and the engine keeps the flag of the last end only{told}; "
            f"the earlier ends are not known ({why})."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the container events, or read the kernel's log.")
    if not rows and not events and not history:
        sentence = "Neither a container nor an event is on record."
        return Verdict(VerdictState.UNKNOWN, sentence, "Check which containers irkit is told to look at.")
    told += f"; the flag of {listing(map(_name, flags))} is of an end before this window" if flags else ""
    counts_kept = any(number_of(row, "oom_kill_count") is not None for row in [*history, *rows_of(cgroup)])
    looked = [
        f"{count(len(rows), 'container')}, none flagged in this window" if rows else "",
        "no oom event" if events else "",
        "none counted by the kernel" if counts_kept else "",
    ]
    sentence = listing(looked) if any(looked) else "the recorder kept no count of kills"
    sentence = f"{sentence[:1].upper()}{sentence[1:]}{told}."
    if not rows and not events and not counts_kept:
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers and their events.", numbers=numbers)
    confidence = 0.95 if counts_kept or (events and not killed) else 0.8
    clear = Verdict(VerdictState.CLEAR, sentence, confidence=confidence, numbers=numbers)
    # nothing restarted, so the flags tell all there is and a gap in the events hides no kill
    source = "containers" if rows else "container_events" if events else "container_history"
    return unless_cut(clear, [cut.get(source, "")])


def _flagged_then(history: list[Row]) -> list[Row]:
    """Return for each container the sample in which the recorder first saw it flagged: a start clears the flag."""
    seen: dict[str, Row] = {}
    before: dict[str, Row] = {}
    for row in history:
        earlier = before.get(_name(row))
        if row.get("oom_killed") is True and earlier is not None and earlier.get("oom_killed") is not True:
            seen.setdefault(_name(row), row | {"finished_at": row["at"]})
        before[_name(row)] = row
    return list(seen.values())


@dataclass(frozen=True, slots=True)
class _Counted:
    """Kills that the kernel counted in a container's cgroup between two moments."""

    name: str
    number: int
    first: datetime
    last: datetime

    @property
    def told(self) -> str:
        """The kills in words."""
        return f"the kernel counts {count(self.number, 'kill')} in the cgroup of {self.name}"


def _counted(
    history: list[Row], latest: list[Row], containers: list[Row], window: Window
) -> tuple[list[_Counted], list[_Counted]]:
    """Return the kills counted in the window, and those of which only the total since an earlier start is known."""
    started = {text_of(row, "name"): time_of(row, "started_at") for row in containers}
    kills: list[_Counted] = []
    before: list[_Counted] = []
    last: dict[str, Row] = {}
    for row in [*history, *(each | {"started_at": started.get(text_of(each, "name"))} for each in in_order(latest))]:
        total = integer_of(row, "oom_kill_count")
        if total is None:
            continue
        name, known = text_of(row, "name"), last.get(text_of(row, "name"))
        begun = time_of(row, "started_at")
        same = known is not None and begun in {None, time_of(known, "started_at")}
        fresh = total - (integer_of(known, "oom_kill_count") or 0) if known and same else total
        since = known["at"] if known and same else begun or window.start
        if fresh > 0:
            (kills if (known and same) or since >= window.start else before).append(
                _Counted(name, fresh, since, row["at"])
            )
        last[name] = row
    return kills, before


def _found(
    flagged: list[Row],
    reported: list[Row],
    counted: list[_Counted],
    rows: list[Row],
    events: list[Row],
    numbers: dict[str, object],
) -> Verdict:
    names = listing([*map(_name, [*flagged, *reported]), *(kill.name for kill in counted)])
    ended = [at for row in flagged if (at := time_of(row, "finished_at"))]
    exact = [*ended, *(row["at"] for row in reported)]
    onset = min([*exact, *(kill.last for kill in counted)], default=None)
    whose = {_name(row) for row in [*flagged, *reported]} | {kill.name for kill in counted}
    if len(whose) == 1:
        numbers["name"] = next(iter(whose))
    limits = [limit for row in rows if _name(row) in whose and (limit := number_of(row, "memory_limit_bytes"))]
    exits = {integer_of(row, "exit_code") for row in flagged} - {None}
    numbers |= {"exit_code": max(exits, default=None), "oom_killed": bool(flagged)}  # type: ignore[type-var]
    when = f" at {clock(onset)}" if onset else ""
    if not exact and counted:
        first = min(counted, key=lambda kill: kill.last)
        when = between(first.first, first.last)
        numbers["onset_earliest"] = first.first
    times = [
        "flagged by the engine" if flagged else "",
        f"{count(len(reported), 'oom event')} on record" if reported else "",
        f"{count(sum(kill.number for kill in counted), 'kill')} counted by the kernel" if counted else "",
    ]
    under = f", limit {size(limits[-1])}" if limits else ""
    sentence = f"The kernel killed a process of {names} for want of memory{when} ({listing(times)}{under})"
    lived = [kill.name for kill in counted if not _ended(kill.name, kill.first, kill.last, flagged, events)]
    lived += [_name(row) for row in reported if not _ended(_name(row), row["at"], row["at"], flagged, events)]
    if lived and not flagged and events:
        sentence += f"; {listing(lived)} lived on: it was a process within, and OOMKilled tells of the first one only"
    advice = "Collect memory evidence before a restart; a higher limit buys time, it mends no leak."
    return Verdict(VerdictState.FOUND, f"{sentence}.", advice, onset, 0.98, numbers)


def _ended(name: str, first: datetime, last: datetime, flagged: list[Row], events: list[Row]) -> bool:
    dies = [row["at"] for row in events if row.get("action") == "die" and _name(row) == name]
    return any(_name(row) == name for row in flagged) or any(first - _SAME <= at <= last + _SAME for at in dies)


def _sigkilled(killed: list[Row], events: list[Row]) -> str:
    """Say of containers that ended with 137 what it proves: nothing, unless somebody is on record for it."""
    asked = [row for row in killed if _asked(row, events)]
    others = [row for row in killed if row not in asked]
    told = f"; {listing(map(_name, asked))} ended with 137 by a kill that was asked for" if asked else ""
    return told + (
        f"; {listing(map(_name, others))} ended with 137, a SIGKILL, which alone proves nothing" if others else ""
    )


def _asked(row: Row, events: list[Row]) -> bool:
    ended = time_of(row, "finished_at")
    kills = [event["at"] for event in events if event.get("action") in {"kill", "stop"} and _name(event) == _name(row)]
    return ended is not None and any(-_SAME <= ended - at <= _ASKED for at in kills)


def _last_share(row: Row, history: list[Row]) -> float:
    """Return how much of its limit a container used when the recorder saw it last before it ended."""
    ended = time_of(row, "finished_at")
    own = [
        (number_of(each, "memory_usage_bytes") or 0.0) / limit
        for each in history
        if _name(each) == _name(row)
        and (limit := number_of(each, "memory_limit_bytes"))
        and ended is not None
        and timedelta() <= ended - each["at"] <= _ASKED
    ]
    return own[-1] if own else 0.0


def _name(row: Row) -> str:
    return text_of(row, "name") or text_of(row, "service") or "a container"


def _container(**changed: object) -> dict[str, object]:
    usual = {"service": "jarvis-api", "name": "jarvis-api-1", "state": "exited", "exit_code": 137, "oom_killed": False}
    return {**usual, "finished_at": "2026-11-24T03:05:07Z", "memory_limit_bytes": 268435456, **changed}


def _history(*kills: int, **changed: object) -> list[dict[str, object]]:
    shared = {"service": "jarvis-api", "name": "jarvis-api-1", "started_at": "2026-11-24T01:00:00Z", **changed}
    return [
        shared | {"at": f"2026-11-24T03:04:{10 * index:02d}Z", "oom_kill_count": number}
        for index, number in enumerate(kills)
    ]


FIRES = (
    Example("the engine flags it", {"containers": [_container(oom_killed=True)]}),
    Example(
        "it was restarted since, the event remains",
        {
            "containers": [_container(state="running", exit_code=None, restart_count=1)],
            "container_events": [{"at": "2026-11-24T03:05:07Z", "service": "jarvis-api", "action": "oom"}],
        },
    ),
    Example(
        "a child was killed and the container lives on",
        {
            "containers": [_container(state="running", exit_code=None, finished_at=None)],
            "container_history": _history(0, 0, 1, 1),
        },
    ),
    Example(
        "counted since a start within the window",
        {
            "containers": [_container(state="running", exit_code=None, started_at="2026-11-24T03:00:00Z")],
            "cgroup": [{"at": "2026-11-24T03:20:00Z", "name": "jarvis-api-1", "oom_kill_count": 2}],
        },
    ),
)
QUIET = (
    Example(
        "the flag of an end long ago",
        {"containers": [_container(state="running", oom_killed=True, finished_at="2026-11-23T01:00:00Z")]},
    ),
    Example("137 without the flag is some SIGKILL", {"containers": [_container()]}),
    Example(
        "killed by hand",
        {
            "containers": [_container()],
            "container_events": [
                {"at": "2026-11-24T03:05:06Z", "service": "jarvis-api", "name": "jarvis-api-1", "action": "kill"},
                {"at": "2026-11-24T03:05:07Z", "service": "jarvis-api", "name": "jarvis-api-1", "action": "die"},
            ],
        },
    ),
    Example(
        "kills counted before this window",
        {
            "containers": [_container(state="running", exit_code=None, finished_at=None)],
            "container_history": _history(3, 3, 3),
        },
    ),
    Example("all run", {"containers": [_container(state="running", exit_code=None)], "container_events": []}),
)
