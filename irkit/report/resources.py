"""What the containers held and used over time: memory against its limit with the fitted trend, and processor time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import ClassVar

from irkit.charts import LevelLane, Levels, Milestone, Point, Turn
from irkit.diagnose.signs import STOPPED
from irkit.growth.before import reached
from irkit.growth.containers import FEWEST_SAMPLES, HOUR_S, SHORTEST_S, Course, Growth, growths
from irkit.recorder.history import BEFORE
from irkit.records import Row, in_order, number_of, text_of, time_of
from irkit.report import facts
from irkit.report.material import Material
from irkit.report.parts import Gap, Shown
from irkit.text.phrase import count, size
from irkit.times import format_duration

_MOST_DRAWN = 2
_MOST_POINTS = 600
_MIB = 1024.0 * 1024.0
_SOON = timedelta(seconds=30)
_WORDS = {
    Course.RISES: "rises",
    Course.SAW_TOOTH: "rises, and restarts bring it back",
    Course.CACHE: "rises by page cache or files in memory",
    Course.SETTLES: "rose and has settled",
    Course.LEVEL: "keeps its level",
    Course.UNSTEADY: "rises, but not steadily",
    Course.UNSURE: "rose, and may go on or settle",
    Course.SHORT: "too few samples to tell",
}


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One container: how its memory moved, in words; bytes now, at most and allowed; growth and time to the limit."""

    name: str
    course: str
    rises: bool
    now_bytes: float | None
    peak_bytes: float | None
    limit_bytes: float | None
    growth: str
    full: str


@dataclass(frozen=True, slots=True, repr=False)
class Resources(Shown):
    """Memory and processor time of the containers; the chart has those that rise, or are fullest, where samples are.

    Where there is no chart `lacking` says why not, and `recorded` whether a flight recorder ran all the same.
    """

    heading: ClassVar[str] = "Memory and CPU"
    anchor: ClassVar[str] = "memory"
    rows: tuple[MemoryRow, ...]
    chart: Levels | None
    evidence: tuple[str, ...]
    lacking: str = ""
    recorded: bool = False

    @property
    def empty(self) -> bool:
        return not self.rows


def resources(of: Material) -> Resources | Gap:
    """Return how memory and processor time moved, from the flight recorder or else from one look's few samples."""
    kind = next((one for one in ("container_history", "container_stats") if _has(of, one)), None)
    if kind is None:
        reason, hint = of.view.why_missing("container_stats")
        return Gap(Resources.heading, f"{reason}.", hint)
    starts = {text_of(row, "name"): time_of(row, "started_at") for row in of.view.records("containers")}
    there = reached(of.view.window, of.view.table)
    table = there.containers if kind == "container_history" else of.view.table(kind)
    seen = growths(table, starts, there.processes, of.view.kills, there.since)
    ordered = sorted(seen, key=_gravity, reverse=True)
    by_name: dict[str, list[Row]] = {}
    for row in sorted((row for row in of.view.records(kind) if row.get("at")), key=lambda row: row["at"]):
        by_name.setdefault(text_of(row, "name"), []).append(row)
    rows = (*_unseen(of, set(by_name)), *(_row(growth, by_name[growth.name], of) for growth in ordered))
    chart = _chart(of, ordered, _to_its_onset(of, seen, by_name))
    recorded = kind == "container_history" or of.bundle.has("health_history")
    lacking = "" if chart else _too_few(of, seen, recorded=recorded, kept=kind == "container_history")
    return Resources(rows, chart, of.view.ids(kind, "process_history", *BEFORE.values()), lacking, recorded)


def _to_its_onset(of: Material, seen: Sequence[Growth], by_name: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Return what to draw: the samples of the window and, of memory that was on its course before it, those as well."""
    earlier = in_order(of.view.records(BEFORE["container_history"]))
    onsets = {one.name: one.onset for one in seen if one.onset}
    before: dict[str, list[Row]] = {}
    for row in earlier:
        if (onset := onsets.get(text_of(row, "name"))) and row["at"] >= onset:
            before.setdefault(text_of(row, "name"), []).append({**row, "cpu_percent": None})
    return {name: [*before.get(name, []), *rows] for name, rows in by_name.items()}


def _too_few(of: Material, seen: Sequence[Growth], *, recorded: bool, kept: bool) -> str:
    """Say why the samples show no course; a recorder that ran is not told to have been missing."""
    if not seen:
        return "No sample tells how much memory a container holds."
    if recorded and not kept:
        why = of.view.why_missing("container_history")[0]
        return f"A flight recorder ran, but of the containers it kept nothing: {why}."
    most = max(seen, key=lambda one: (one.samples, one.span_s))
    many = f"{count(most.samples, 'sample')} over {format_duration(timedelta(seconds=round(most.span_s)))}"
    least = f"{FEWEST_SAMPLES} over {format_duration(timedelta(seconds=SHORTEST_S))} are needed"
    if kept:
        return f"The flight recorder has {many} of a run of {most.service or most.name} and no more of any: {least}."
    return f"{many[:1].upper()}{many[1:]} show no course: {least}."


def _unseen(of: Material, sampled: set[str]) -> Iterator[MemoryRow]:
    """Tell of the containers that did not run when samples were taken: often the very one that failed."""
    for row in of.view.records("containers"):
        name, state = text_of(row, "name"), text_of(row, "state")
        if name not in sampled and state in STOPPED:
            limit = number_of(row, "memory_limit_bytes") or None
            yield MemoryRow(
                text_of(row, "service") or name,
                f"no sample, as it was {state}",
                rises=False,
                now_bytes=None,
                peak_bytes=None,
                limit_bytes=limit,
                growth="",
                full="",
            )


def _has(of: Material, kind: str) -> bool:
    table = of.view.table(kind)
    return table is not None and bool(len(table)) and "memory_usage_bytes" in table


def _gravity(growth: Growth) -> tuple[bool, float]:
    share = growth.last_bytes / growth.limit_bytes if growth.limit_bytes else 0.0
    return _rose(growth), share


def _rose(growth: Growth) -> bool:
    return growth.course is Course.RISES or growth.killed_at is not None


def _row(growth: Growth, samples: Sequence[Row], of: Material) -> MemoryRow:
    held = [value for row in samples if (value := number_of(row, "memory_usage_bytes")) is not None]
    return MemoryRow(
        growth.service or growth.name,
        _course(growth, samples, of),
        _rose(growth),
        held[-1] if held else None,
        max(held, default=None),
        growth.limit_bytes or next((number_of(row, "memory_limit_bytes") for row in reversed(samples)), None),
        _rate(growth),
        _full(growth, samples, of),
    )


def _rate(growth: Growth, *, bounds: bool = True) -> str:
    if growth.course in {Course.SHORT, Course.LEVEL, Course.SETTLES}:
        return ""
    low, high = growth.interval.low, growth.interval.high
    between = ""
    if bounds and low is not None and high is not None:
        between = f" ({size(low * HOUR_S)} to {size(high * HOUR_S)})"
    return f"{size(growth.slope_per_s * HOUR_S)} an hour{between}"


def _end(growth: Growth, samples: Sequence[Row], of: Material) -> tuple[datetime, bool] | None:
    """Return when the run that grew ended, and whether the kernel killed it; None where it goes on."""
    if growth.killed_at is not None:
        return growth.killed_at, True
    last = growth.until or samples[-1]["at"]
    ended = [one for one in facts.every_exit(of.view) if one.at and one.service == growth.service and one.at >= last]
    if ended and ended[0].at:
        return ended[0].at, ended[0].oom_killed
    return (growth.until, False) if growth.until is not None else None


def _course(growth: Growth, samples: Sequence[Row], of: Material) -> str:
    if not _rose(growth) or not (end := _end(growth, samples, of)):
        return _WORDS[growth.course]
    return "rose until it was killed" if end[1] else "rose until it ended"


def _full(growth: Growth, samples: Sequence[Row], of: Material) -> str:
    """Say when the limit is reached, or how the run that grew ended: what is over has no future to foretell."""
    if not _rose(growth) or not growth.limit_bytes:
        return ""
    if end := _end(growth, samples, of):
        return f"{'killed at its limit' if end[1] else 'ended before'}, {end[0]:%H:%M:%S} UTC"
    if growth.full_in_s is None:
        return ""
    return f"in {format_duration(timedelta(seconds=round(growth.full_in_s)))}, if it goes on"


def _chart(of: Material, ordered: Sequence[Growth], by_name: dict[str, list[Row]]) -> Levels | None:
    long = [one for one in ordered if one.course is not Course.SHORT]
    moving = [
        one
        for one in long
        if one.course in {Course.RISES, Course.SAW_TOOTH, Course.CACHE, Course.UNSURE, Course.UNSTEADY}
    ]
    lanes = []
    for growth in moving[:_MOST_DRAWN] or long[:1]:
        ended = facts.every_exit(of.view)
        died = tuple(one.at for one in ended if one.at and one.service == growth.service)
        course = _course(growth, by_name[growth.name], of)
        lanes += _lanes(growth, course, by_name[growth.name], died)
    if not lanes:
        return None
    times = [point.at for lane in lanes for point in lane.points]
    window = (min(times), max([*times, *(one.at for lane in lanes for one in lane.turns)]))
    named = (("started", of.felt.start), ("mitigated", of.incident.mitigated_at))
    marks = tuple(Milestone(at, label) for label, at in named if at and window[0] <= at <= window[1])
    return Levels(*window, tuple(lanes), marks)


def _lanes(growth: Growth, course: str, samples: list[Row], died: Sequence[datetime]) -> list[LevelLane]:
    name, turns = growth.service or growth.name, _turns(samples, died)
    limit = growth.limit_bytes / _MIB if growth.limit_bytes else None
    memory = _points(samples, "memory_usage_bytes", _MIB)
    trend = None
    if growth.course is Course.RISES and growth.onset:
        last = growth.onset + timedelta(seconds=growth.span_s)
        rise = growth.slope_per_s * growth.span_s
        trend = (Point(growth.onset, (growth.last_bytes - rise) / _MIB), Point(last, growth.last_bytes / _MIB))
    rate = _rate(growth, bounds=False)  # they stand in the table below
    said = f"{course}, {rate}" if rate else course
    lanes = []
    if memory:
        lane = LevelLane(f"{name}, memory", said, "MiB", memory, limit, trend, turns)
        told = f"at most {size(max(point.value for point in memory) * _MIB)}"
        if growth.limit_bytes and lane.drawn_limit:
            told = f"limit {size(growth.limit_bytes)} dashed"
        lanes.append(replace(lane, said=f"{said}; {told}"))
    used = _points(samples, "cpu_percent", 1.0)
    if used:
        peak = max(point.value for point in used)
        lanes.append(LevelLane(f"{name}, CPU", f"at most {peak:.0f} % of one core", "%", used, turns=turns))
    return lanes


def _points(samples: Sequence[Row], column: str, unit: float) -> tuple[Point, ...]:
    """Return a column as points, of many samples the highest of each group, so that no peak is lost."""
    found = [Point(row["at"], value / unit) for row in samples if (value := number_of(row, column)) is not None]
    step = -(-len(found) // _MOST_POINTS)
    groups = [found[start : start + step] for start in range(0, len(found), step)] if found else []
    return tuple(max(group, key=lambda point: point.value) for group in groups)


def _turns(samples: Sequence[Row], died: Sequence[datetime]) -> tuple[Turn, ...]:
    """Return what became of the container while it was watched: its exits, and where it was seen to run anew."""
    first = samples[0]["at"]
    begun = [time_of(row, "started_at") for row in samples]
    anew = [now for before, now in pairwise(begun) if now and before and now != before]
    ends = [at for at in died if at >= first]
    # a start soon after an end is one restart; an end that nothing was seen to follow is no restart
    made = [Turn(end, "restart" if any(_follows(at, end) for at in anew) else "exit") for end in ends]
    made += [Turn(at, "start") for at in anew if not any(_follows(at, end) for end in ends)]
    return tuple(sorted(made, key=lambda one: one.at))


def _follows(start: datetime, end: datetime) -> bool:
    return timedelta() <= start - end < _SOON
