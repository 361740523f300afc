"""Gradual memory increase: a trend within one run of a container; a single look, a restart or a warm-up shows none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.verdicts import UNFELT
from irkit.diagnose.wholeness import unless_cut
from irkit.growth.before import reached
from irkit.growth.containers import FEWEST_SAMPLES, HOUR_S, SHORTEST_S, Course, Growth, growths
from irkit.growth.heaps import IN, Told, kept_alive, named, placed
from irkit.growth.kills import kills_of
from irkit.growth.stored import Stored, stored
from irkit.model import Verdict, VerdictState, Window
from irkit.records import Row, in_order, number_of, rows_of, text_of, time_of
from irkit.text.phrase import clock, count, listing, percent, size
from irkit.times import format_duration

if TYPE_CHECKING:
    import pandas as pd

_TRAFFIC_ROSE = 1.5
_FEWEST_REQUESTS = 30
_LONGEST_S = 10 * 365 * 86_400.0
# gained by one that moves oddly, beside one that surely rises: so many times as much, and it is the one to look at
_DWARFS = 3.0
_STEADY = {Course.LEVEL, Course.SETTLES}
_LESS_SURE = {Course.SAW_TOOTH, Course.UNSTEADY}
_ODD = {Course.UNSURE, Course.UNSTEADY}


@symptom("gradual-memory-increase", incident="memory-leak")
def detect(
    cut: Mapping[str, str],
    window: Window,
    container_history: pd.DataFrame | None = None,
    container_stats: pd.DataFrame | None = None,
    containers: pd.DataFrame | None = None,
    process_history: pd.DataFrame | None = None,
    container_events: pd.DataFrame | None = None,
    redis_history: pd.DataFrame | None = None,
    requests: pd.DataFrame | None = None,
    heap: Any = None,  # noqa: ANN401 (a JSON document)
    container_history_before: pd.DataFrame | None = None,
    process_history_before: pd.DataFrame | None = None,
    redis_history_before: pd.DataFrame | None = None,
) -> Verdict:
    """Found when a container's memory goes on rising in a run of at least ninety seconds and twenty samples.

    So it is of one that rose in such a run until the kernel killed it at its limit, or is near it by far. Where there
    are fewer samples, when the snapshots of one process's heap name who keeps more each time. A run that was going on
    when the window began is followed to before it.
    """
    kinds = {
        "container_history": container_history,
        "process_history": process_history,
        "redis_history": redis_history,
        "container_history_before": container_history_before,
        "process_history_before": process_history_before,
        "redis_history_before": redis_history_before,
    }
    there = reached(window, kinds.get)
    kind = "container_history" if container_history is not None and len(container_history) else "container_stats"
    table = there.containers if kind == "container_history" else container_stats
    starts = {text_of(row, "name"): time_of(row, "started_at") for row in rows_of(containers)}
    snapshots = placed(heap, rows_of(containers))
    kills = kills_of(container_history, containers, container_events)
    seen = growths(table, starts, there.processes, kills, there.since)
    long = [growth for growth in seen if growth.course is not Course.SHORT]
    if not long:
        return kept_alive(snapshots) or _too_few(seen, in_order(rows_of(table)))
    sure = [growth for growth in long if growth.course is Course.RISES]
    kept = {each.name: told for each in sure if (told := stored(each, there.redis, there.processes))}
    rising = _worst_first([growth for growth in long if growth.name not in kept], snapshots)
    if rising:
        steady = [each.name for each in long if each.course in _STEADY and each.name not in kills]
        # requests that do not reach back to its beginning cannot be held against it
        asked = requests if (rising[0].onset or window.start) >= window.start else None
        return _rises(rising, asked, snapshots, steady)
    open_yet = [growth for growth in long if growth.course in {Course.UNSURE, Course.RISES}]
    if open_yet:
        worst = max(open_yet, key=lambda each: (each.course is Course.UNSURE, _share(each)))
        uncertain = _may_rise(worst) if worst.course is Course.UNSURE else _is_used(worst, kept[worst.name])
        return kept_alive(snapshots) or uncertain
    cached = [growth for growth in long if growth.course is Course.CACHE]
    worst = max(cached or long, key=_share)
    numbers = _numbers(worst)
    if cached:
        sentence = (
            f"{worst.name} gains {_rate(worst)}, but its processes do not: it is page cache, which is given back, "
            "or files kept in memory (tmpfs), which are not."
        )
        advice = "Look at file and shmem in its memory.stat; the first is harmless."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, None, 0.5, numbers)
    watched = f"{count(len(long), 'container')} watched for {_span(max(each.span_s for each in long))}"
    sentence = f"No container's memory goes on rising as a leak does: of {watched}, {worst.name} {_quiet(worst)}."
    confidence = 0.6 if any(each.course in _LESS_SURE for each in long) else 0.85
    clear = Verdict(VerdictState.CLEAR, sentence, confidence=confidence, numbers=numbers)
    if grows := kept_alive(snapshots):
        return Verdict(VerdictState.UNKNOWN, f"{sentence} {grows.sentence}", grows.advice, None, 0.5, numbers)
    # the other kinds only add detail: their gaps hide no rise
    return unless_cut(clear, [cut.get(kind, "")])


def _worst_first(long: list[Growth], snapshots: list[Told]) -> list[Growth]:
    """Return the containers that rose for sure, the worst first: killed at its limit, near it by far, the fastest.

    One that moves too oddly to bound its slope, or to be sure of it, is among them where it was killed, has come near
    its limit by far, snapshots of its heap grow, or it dwarfs what surely rises.
    """
    sure = [each for each in long if each.course is Course.RISES]
    most, fastest = max((each.gained_bytes for each in sure), default=math.inf), max(map(_share, sure), default=0.0)
    odd = [
        each
        for each in long
        if each.course in _ODD
        and each.gained_bytes > 0
        and (
            each.by_far
            or kept_alive([one for one in snapshots if one[IN] == each.name])
            or (each.gained_bytes >= _DWARFS * most and _share(each) > fastest)
        )
    ]
    killed = [each for each in long if each.killed_at]
    found = {each.name: each for each in [*killed, *odd, *sure]}.values()
    return sorted(found, key=lambda each: (not each.killed_at, not _is_far(each), -_share(each)))


def _quiet(worst: Growth) -> str:
    """Say how the one that moves most does: beside a slope that is surely not zero, never that it keeps its level."""
    rate, low, high = _rate(worst), worst.interval.low, worst.interval.high
    rises, falls = low is not None and low > 0, high is not None and high < 0
    if worst.course is Course.UNSTEADY:
        return f"rises by {rate}, but not steadily enough to be called a leak"
    if worst.course is Course.SAW_TOOTH:
        how = "rises in each run and restarts bring it back, its peaks no higher than before"
    elif worst.course is Course.SETTLES:
        how = "rose and is settling" if rises else "rose and has settled"
        how += ", as it does after a start"
    elif rises:
        return f"rises by {rate}, too little to be called a leak"
    else:
        how = "falls" if falls else "keeps its level"
    return f"moves most and {how} ({rate})"


def _is_far(growth: Growth) -> bool:
    return growth.by_far and growth.until is None


def _may_rise(worst: Growth) -> Verdict:
    sentence = (
        f"{worst.name} gained {size(worst.gained_bytes)} in {_span(worst.span_s)}, but its "
        f"{count(worst.samples, 'sample')} move too unevenly to bound the slope: it may go on rising or settle."
    )
    advice = "Record it for longer (irkit record): a leak goes on, a start or a filled cache settles."
    return Verdict(VerdictState.UNKNOWN, sentence, advice, None, 0.5, _numbers(worst))


def _is_used(worst: Growth, told: Stored) -> Verdict:
    levels = f"from {size(worst.first_bytes)} to {size(worst.last_bytes)}"
    sentence = f"Memory of {worst.name} rises by {_rate(worst)}, {levels}; {told.sentence}: this may well be its use."
    advice = "See how many of its keys expire (redis-cli info keyspace): those that do not are kept for good."
    return Verdict(VerdictState.UNKNOWN, sentence, advice, None, 0.5, _numbers(worst))


def _rises(rising: list[Growth], requests: pd.DataFrame | None, snapshots: list[Told], steady: list[str]) -> Verdict:
    worst = rising[0]
    own = [one for one in snapshots if one[IN] in {"", worst.name}]
    numbers = _numbers(worst) | {"steady": steady}
    proven = kept_alive(own)
    # short of its limit it hurts nobody: the start of a service, or its trouble, raises memory just so
    numbers[UNFELT] = not (proven or worst.killed_at or worst.by_far)
    sentence = _moved(worst)
    if others := [each.name for each in rising[1:]]:
        sentence += f"; that of {listing(others)} rises as well"
    if times := _traffic(worst, requests):
        numbers["traffic"] = times
        sentence += f"; requests to it rose {times:.1f} times meanwhile, which alone may be why."
        advice = "Watch it until the traffic is back to normal: a leak goes on, a busy service gives it back."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, worst.onset, 0.5, numbers)
    sure = 0.9 if worst.killed_at or (worst.until is None and worst.course is Course.RISES) else 0.8
    confidence = sure if worst.course is Course.RISES or worst.killed_at else 0.7
    if kept := proven or named(own):
        return Verdict(VerdictState.FOUND, f"{sentence}. {kept.sentence}", kept.advice, worst.onset, sure, numbers)
    if grows := kept_alive(snapshots):
        sentence += f". In {grows.numbers['name']}: {grows.sentence.rstrip('.')}"
    if worst.until is None:
        advice = "Take a memory snapshot now and one later, and compare; a restart destroys the evidence."
    else:
        advice = "Once it runs again and grows, take a memory snapshot and one later, and compare."
    return Verdict(VerdictState.FOUND, f"{sentence}.", advice, worst.onset, confidence, numbers)


def _moved(worst: Growth) -> str:
    """Say how the memory of the worst container moved, without the full stop."""
    levels = f"from {size(worst.first_bytes)} to {size(worst.last_bytes)}"
    if worst.killed_at is not None:
        pace = f"by {_rate(worst)}, {levels}" if worst.course is Course.RISES else f"{levels} in {_span(worst.span_s)}"
        limit = f" at its limit of {size(worst.limit_bytes)}" if worst.limit_bytes else ""
        return f"Memory of {worst.name} rose {pace}, until the kernel killed it{limit} at {clock(worst.killed_at)}"
    if worst.course is Course.UNSTEADY:
        until = f", until that run ended at {clock(worst.until)}" if worst.until else ""
        return f"Memory of {worst.name} {'rose' if until else 'rises'} by {_rate(worst)}, {levels}, unsteadily{until}"
    if worst.course is not Course.RISES:
        limit = f", {percent(worst.last_bytes / worst.limit_bytes)} of its limit," if worst.limit_bytes else ""
        until = f", until that run ended at {clock(worst.until)}" if worst.until else ""
        within = f" in {_span(worst.span_s)}, too unevenly to bound its slope"
        return f"Memory of {worst.name} rose {levels}{limit}{within}{until}"
    if worst.until is not None:
        return f"Memory of {worst.name} rose by {_rate(worst)}, {levels}, until that run ended at {clock(worst.until)}"
    since = f"since {'before ' if worst.all_along else ''}{clock(worst.onset)}" if worst.onset else "all the time"
    return f"Memory of {worst.name} rises by {_rate(worst)} {since}, {levels}{_full(worst)}"


def _too_few(seen: tuple[Growth, ...], samples: list[Row]) -> Verdict:
    most = max((growth.samples for growth in seen), default=0)
    sentence = (
        f"{count(most, 'sample')} of memory on record for one run of a container: a slope needs {FEWEST_SAMPLES} or "
        f"more over {SHORTEST_S:.0f} s without a restart{_near_limit(samples)}."
    )
    advice = "Record it (irkit record), or sample it: docker stats every 10 s for 20 minutes."
    return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers={"samples": most})


def _share(growth: Growth) -> float:
    """Return how fast it grows beside what it had."""
    return growth.slope_per_s / max(growth.first_bytes, 1.0)


def _rate(growth: Growth) -> str:
    low, high = (
        "no bound" if end is None else size(end * HOUR_S) for end in (growth.interval.low, growth.interval.high)
    )
    watched = f"from the later half of {count(growth.samples, 'sample')} over {_span(growth.span_s)}"
    return f"{size(growth.slope_per_s * HOUR_S)} an hour (95 % interval {low} to {high}, {watched})"


def _full(growth: Growth) -> str:
    if growth.full_in_s is None or not growth.limit_bytes:
        return ""
    low, high = growth.full_between_s.low, growth.full_between_s.high
    ends = [_span(end) for end in (low, high) if end is not None]
    between = f" ({ends[0]} to {ends[1]})" if len(set(ends)) > 1 else ""
    return f"; at this rate its limit of {size(growth.limit_bytes)} is reached in {_span(growth.full_in_s)}{between}"


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=min(seconds, _LONGEST_S)))


def _traffic(growth: Growth, requests: pd.DataFrame | None) -> float | None:
    """Return by how much the service was asked more often in the last third of the rise than in its first."""
    if requests is None or growth.onset is None or growth.until is not None:
        return None
    third = timedelta(seconds=growth.span_s / 3)
    own = requests[requests["service"] == growth.service]["at"]
    first = int(((own >= growth.onset) & (own < growth.onset + third)).sum())
    last = int(((own >= growth.onset + 2 * third) & (own <= growth.onset + 3 * third)).sum())
    if last < _FEWEST_REQUESTS:
        return None
    times = last / max(first, 1)
    return times if times >= _TRAFFIC_ROSE else None


def _numbers(growth: Growth) -> dict[str, object]:
    return {
        "name": growth.name,
        "course": str(growth.course),
        "samples": growth.samples,
        "span_s": growth.span_s,
        "slope_bytes_per_s": growth.slope_per_s,
        "low_bytes_per_s": growth.interval.low,
        "high_bytes_per_s": growth.interval.high,
        "limit_bytes": growth.limit_bytes,
        "full_in_s": growth.full_in_s,
        "runs": len(growth.peaks_bytes),
        "until": growth.until,
        "killed_at": growth.killed_at,
        "all_along": growth.all_along,
    }


def _near_limit(samples: list[Row]) -> str:
    shares = [(text_of(row, "name"), _used(row)) for row in samples]
    full = [(name, share) for name, share in shares if share >= 0.9]  # noqa: PLR2004
    if not full:
        return ""
    name, share = full[-1]
    return f"; {name} uses {percent(share)} of its memory limit, which alone does not say that it grows"


def _used(row: Row) -> float:
    used, limit = number_of(row, "memory_usage_bytes") or 0.0, number_of(row, "memory_limit_bytes")
    return used / limit if limit else (number_of(row, "memory_percent") or 0.0) / 100


def _samples(levels_mib: list[float], *, restarts: tuple[int, ...] = ()) -> list[dict[str, object]]:
    """A sample every ten seconds, as the recorder takes them; a run begins at each of `restarts`."""
    begun = "2026-11-24T01:00:00Z"
    rows: list[dict[str, object]] = []
    for index, level in enumerate(levels_mib):
        at = f"2026-11-24T03:{index // 6:02d}:{index % 6 * 10:02d}Z"
        begun = at if index in restarts else begun
        used = int(level * 1048576) + index * 7919 % 4096
        row = {"at": at, "service": "jarvis-api", "name": "jarvis-api-1", "started_at": begun}
        rows.append(row | {"memory_usage_bytes": used, "memory_limit_bytes": 268435456})
    return rows


def _looks(levels_mib: list[float]) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key != "started_at"} for row in _samples(levels_mib)]


def _wobble(index: int) -> float:
    return index * 37 % 11 / 10


def _snapshots() -> dict[str, object]:
    """Two snapshots of one process, as they are filed."""
    sentence = "`app.CACHE` (dict) keeps 9 000 `app.Session` alive, 120 MiB, 60 % of the heap"
    at = ("2026-11-24T03:05:00+00:00", "2026-11-24T03:06:00+00:00")
    told = {
        "process": {"pid": 7, "program": "uvicorn"},
        "snapshots": [{"taken_at": one} for one in at],
        "suspects": [{"sentence": sentence, "growth_bytes": 40 << 20}],
    }
    return {"processes": [told]}


FIRES = (
    Example("two heap snapshots alone", {"heap": _snapshots()}),
    Example("half a MiB every ten seconds", {"container_history": _samples([80 + index / 2 for index in range(120)])}),
    Example("from a moment on", {"container_history": _samples([80 + max(index - 60, 0) for index in range(120)])}),
    Example(
        "under a garbage collector's own saw-tooth",
        {"container_history": _samples([80 + index / 3 + index % 9 for index in range(120)])},
    ),
    Example(
        "until the kernel ended the run",
        {
            "container_history": _samples(
                [80 + 2.5 * index for index in range(70)] + [80 + _wobble(index) for index in range(20)],
                restarts=(70,),
            )
        },
    ),
    Example("only looked at from outside", {"container_stats": _looks([80 + index / 2 for index in range(120)])}),
)
QUIET = (
    Example("level", {"container_history": _samples([80 + _wobble(index) for index in range(120)])}),
    Example(
        "a warm-up",
        {"container_history": _samples([40 + 60 * (1 - 0.95**index) for index in range(120)], restarts=(0,))},
    ),
    Example(
        "a saw-tooth of restarts",
        {
            "container_history": _samples(
                [80 + index % 30 + _wobble(index) for index in range(175)], restarts=tuple(range(30, 175, 30))
            )
        },
    ),
    Example(
        "a restart by hand",
        {
            "container_history": _samples(
                [90 + _wobble(index) for index in range(60)]
                + [50 + 40 * (1 - 0.8**index) + _wobble(index) for index in range(60)],
                restarts=(60,),
            )
        },
    ),
    Example(
        "a traffic peak",
        {
            "container_history": _samples(
                [110 * (index // 40 == 1) + 80 * (index // 40 != 1) + _wobble(index) for index in range(120)]
            )
        },
    ),
    Example(
        "a cache filled at once",
        {"container_history": _samples([80 + 50 * (index // 60) + _wobble(index) for index in range(120)])},
    ),
)
