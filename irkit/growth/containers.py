"""How the memory of a container moves between its restarts: a leak told from a warm-up, a saw-tooth, a step, a cache.

Of each run the part after its last step or the start of its ramp is explained by a level, a line, a curve that settles,
or both, with errors that follow one another; the line must win. Nothing is drawn through a restart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from irkit.diagnose.signs import STOPPED
from irkit.estimate import Interval, slope_interval
from irkit.growth.spikes import without_spikes
from irkit.onset.ar_fit import fits
from irkit.onset.changepoint import LEAST_RISE_BYTES, MEMORY_NOISE_BYTES, Shape, find
from irkit.records import Row, in_order, number_of, rows_of, text_of, time_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST_SAMPLES = 20
SHORTEST_S = 90.0
HOUR_S = 3600.0
# of the level at its start, per hour: less is noise that no incident waits for
_LEAST_GROWTH = 0.05
# what allocators and caches move by themselves while they are watched, beside `LEAST_RISE_BYTES`
_LEAST_RISE = 0.02
_MARGIN = 5.0
_SETTLING = (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.6, 0.8)
# of its way, what a curve that has settled may have before it
_LEFT = 0.05
# the later half of them, four, is the fewest that bound a slope
_FEWEST_TROUGHS = 8
_FEWEST_OF_PART = 12
_LEAST_PART_S = 30.0
_FALL = 0.75
_LEVEL_PEAKS = 1.1
_FULL = 0.8
_OF_PROCESSES = 0.5
# of its pace before, what a rise has at least that has not ended
_GOES_ON = 0.25
# so many times its size, and so much of its limit, is a rise by far, however odd its pace
_SEVERAL = 3.0
_NEAR_LIMIT = 0.9
# a kill is told to the second, a sample is taken within one
_AT_ONCE = timedelta(seconds=2)
_KIB = 1024.0
_UNBOUNDED = Interval(None, None)


class Course(StrEnum):
    """How memory moved; `SHORT` is too few samples to tell, `UNSURE` a rise that moves too oddly to bound its slope.

    `UNSTEADY` is one whose slope is surely above zero and which a level that wanders explains as well.
    """

    RISES = "rises"
    SAW_TOOTH = "saw-tooth"
    CACHE = "cache"
    SETTLES = "settles"
    LEVEL = "level"
    UNSTEADY = "unsteady"
    UNSURE = "unsure"
    SHORT = "short"


_RISING = frozenset({Course.RISES, Course.UNSTEADY, Course.UNSURE})


@dataclass(frozen=True, slots=True)
class Growth:
    """The course of one container's memory, and its trend in bytes a second with its 95 % interval.

    `samples` were taken over `span_s` seconds since `onset`; where it moved so from the first of them on, `all_along`
    is true and the onset lies before. `until` is when the run ended, None where it goes on; `killed_at` when the kernel
    ended it so, after it had risen to its limit. `by_far` it rose where it is near its limit and several times what it
    was, step by step. `limit_bytes` is `full_in_s` away at this rate, or as `full_between_s` says; `peaks_bytes` are
    those of all runs, earliest first.
    """

    name: str
    service: str
    course: Course
    samples: int
    span_s: float = 0.0
    slope_per_s: float = 0.0
    interval: Interval = _UNBOUNDED
    onset: datetime | None = None
    all_along: bool = False
    until: datetime | None = None
    first_bytes: float = 0.0
    last_bytes: float = 0.0
    limit_bytes: float | None = None
    full_in_s: float | None = None
    full_between_s: Interval = _UNBOUNDED
    peaks_bytes: tuple[float, ...] = ()
    killed_at: datetime | None = None
    by_far: bool = False

    @property
    def gained_bytes(self) -> float:
        return self.last_bytes - self.first_bytes


def growths(
    table: pd.DataFrame | None,
    starts: Mapping[str, datetime | None] | None = None,
    processes: pd.DataFrame | None = None,
    kills: Mapping[str, tuple[datetime, ...]] | None = None,
    since: datetime | None = None,
) -> tuple[Growth, ...]:
    """Return the course of each container's memory from `container_history` or `container_stats`.

    A run ends where `started_at` changes, and where a later row finds the container stopped; where the table does not
    tell that, at `starts` (the latest start by name) and where memory falls by a quarter at once. `processes` is
    `process_history`: what a container gains and its processes do not is cache, or files held in memory. `kills` are
    those of `memory_kills.kills_of`. A run that was over before `since` only tells a saw-tooth, and a rise that ended
    by then has settled.
    """
    named: dict[str, list[Row]] = {}
    ended: set[str] = set()
    for row in in_order(rows_of(table)):
        name = text_of(row, "name")
        if number_of(row, "memory_usage_bytes") is not None:
            named.setdefault(name, []).append(row)
            ended.discard(name)
        elif text_of(row, "state") in STOPPED:
            ended.add(name)
    resident = _resident(processes)
    return tuple(
        _growth(
            _runs(without_spikes(rows), (starts or {}).get(name)),
            since,
            resident.get(name, {}),
            (kills or {}).get(name, ()),
            over=name in ended,
        )
        for name, rows in named.items()
        if since is None or rows[-1]["at"] >= since
    )


def _growth(
    runs: list[list[Row]],
    since: datetime | None,
    resident: Mapping[datetime, float],
    kills: tuple[datetime, ...],
    *,
    over: bool,
) -> Growth:
    """Return the course of one container; `over` where a later look found it ended: of that nothing is forecast."""
    present = [run for run in runs if since is None or run[-1]["at"] >= since]
    long = [run for run in present if len(run) >= FEWEST_SAMPLES and _times(run)[-1] >= SHORTEST_S]
    if not long:
        most = max(present, key=len)
        return Growth(text_of(most[0], "name"), text_of(most[0], "service"), Course.SHORT, len(most), _times(most)[-1])
    looked = [(_look(run, resident), run, _killed_at(run, runs, kills)) for run in long]
    ended = [
        replace(
            growth,
            until=run[-1]["at"],
            full_in_s=None,
            full_between_s=_UNBOUNDED,
            killed_at=killed_at if _rose_to_its_limit(growth, run) else None,
        )
        if over or killed_at or run is not runs[-1]
        else growth
        for growth, run, killed_at in looked
    ]
    rising = [growth for growth in ended if growth.course is Course.RISES or growth.killed_at]
    # the run that goes on says most, else the last that rose until it ended
    chosen = replace((rising or ended)[-1], peaks_bytes=tuple(max(_levels(run)) for run in runs))
    if _comes_down_again(chosen, runs):
        return replace(chosen, course=Course.SAW_TOOTH)
    return _has_ended(chosen, present, since) if since else chosen


def _has_ended(growth: Growth, runs: Sequence[list[Row]], since: datetime) -> Growth:
    """Return a rise from before `since` as settled where from then on it surely is slower by far."""
    own = next(run for run in runs if run[0]["at"] <= (growth.onset or since) <= run[-1]["at"])
    later = [row for row in own if row["at"] >= since]
    _, interval = slope_interval(_times(later), _levels(later))
    goes_on = interval.high is None or interval.high >= _GOES_ON * growth.slope_per_s
    if goes_on or growth.killed_at or growth.course not in _RISING or later[0] is own[0]:
        return growth
    return replace(growth, course=Course.SETTLES, full_in_s=None, full_between_s=_UNBOUNDED)


def _killed_at(run: list[Row], runs: Sequence[list[Row]], kills: tuple[datetime, ...]) -> datetime | None:
    """Return when the kernel ended a run, None where it did not: of one look's flag and an event, the earlier."""
    after = next((one[0]["at"] for one in runs if one[0]["at"] > run[-1]["at"]), None)
    first = run[-1]["at"] - _AT_ONCE
    return next((at for at in kills if at >= first and (after is None or at <= after)), None)


def _rose_to_its_limit(growth: Growth, run: Sequence[Row]) -> bool:
    """Say whether a run that the kernel ended had risen there, and was not filled at one stroke."""
    limit, levels = growth.limit_bytes, _levels(run)
    full = levels[-1] >= _FULL * limit if limit else levels[-1] >= _SEVERAL * levels[0]
    rose = growth.course in {Course.RISES, Course.UNSURE} or _climbed(levels, 2.0)
    return full and rose


def _climbed(levels: Sequence[float], times: float) -> bool:
    """Say whether memory became so many times what it was, no more than half of that at one stroke."""
    gained, largest = levels[-1] - levels[0], max(after - before for before, after in pairwise(levels))
    return levels[-1] >= times * levels[0] and gained >= LEAST_RISE_BYTES and largest <= gained / 2


def _runs(samples: list[Row], started_at: datetime | None) -> list[list[Row]]:
    """Cut samples at restarts; within a run that is known to go on, a fall is a collection of garbage."""
    known = any(time_of(row, "started_at") for row in samples)
    runs = [samples[:1]]
    for before, row in pairwise(samples):
        if known:
            ends = (
                None not in (begun := (time_of(before, "started_at"), time_of(row, "started_at")))
                and len(set(begun)) > 1
            )
        else:
            begins = started_at is not None and before["at"] < started_at <= row["at"]
            ends = begins or _level(row) < _FALL * _level(before)
        if ends:
            runs.append([])
        runs[-1].append(row)
    return runs


def _look(run: list[Row], resident: Mapping[datetime, float]) -> Growth:
    times, levels = _times(run), _levels(run)
    first, all_along = _began(levels)
    if times[-1] - times[first] < _LEAST_PART_S:
        first, all_along = 0, True
    part, moved = times[first:], levels[first:]
    told_at, told = _troughs(part, moved)
    slope, interval = slope_interval(told_at[len(told) // 2 :], told[len(told) // 2 :])
    # how much of it the line explains, not two samples that may be outliers
    rise = slope * (part[-1] - part[0])
    least = max(LEAST_RISE_BYTES, _LEAST_RISE * levels[first])
    course = Course.LEVEL
    if rise >= least and slope >= _LEAST_GROWTH * levels[first] / HOUR_S:
        if interval.low is None:
            course = Course.SETTLES if _has_settled(told_at, told) else Course.UNSURE
        else:
            course = _shape(told_at, told)[0] if interval.low > 0 else Course.LEVEL
            # no line is sure enough, but that it keeps its level would not be true beside such a slope
            course = Course.UNSTEADY if interval.low > 0 and course is Course.LEVEL else course
    elif median(moved[-_FEWEST_OF_PART:]) - levels[0] >= least:
        course = Course.SETTLES
    if course is Course.RISES and _is_cache(run[first:], resident, slope):
        course = Course.CACHE
    limit = number_of(run[-1], "memory_limit_bytes")
    growth = Growth(
        text_of(run[0], "name"),
        text_of(run[0], "service"),
        course,
        len(part),
        part[-1] - part[0],
        slope,
        interval,
        run[first]["at"],
        all_along,
        first_bytes=moved[0],
        last_bytes=moved[-1],
        limit_bytes=limit,
        by_far=bool(limit) and levels[-1] >= _NEAR_LIMIT * (limit or 0.0) and _climbed(levels, _SEVERAL),
    )
    return _until_full(growth)


def _began(levels: Sequence[float]) -> tuple[int, bool]:
    """Return where the last course of a run begins, and whether that is its first sample: after a step, at a ramp."""
    found = find(levels, MEMORY_NOISE_BYTES)
    last = len(levels) - _FEWEST_OF_PART
    if found.index is None:
        return 0, True
    if found.shape is Shape.RAMP:
        return min(found.index, last), False
    after = found.index if found.until is None else found.until
    return (after, False) if after <= last else (0, True)


def _troughs(times: Sequence[float], levels: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Return what memory falls back to, where it falls again and again as under a collector of garbage; else all of it.

    What is left after a collection is what is kept.
    """
    moves = [after - before for before, after in pairwise(levels)]
    middle = median(moves)
    usual = 1.4826 * median(abs(move - middle) for move in moves)
    least = max(5 * usual, -min(moves) / 3)
    falls = [index + 1 for index, move in enumerate(moves) if move < -least]
    if len(falls) < _FEWEST_TROUGHS:
        return times, levels
    return [times[index] for index in falls], [levels[index] for index in falls]


def _has_settled(times: Sequence[float], levels: Sequence[float]) -> bool:
    """Say whether a curve explains a rise best that has come to its end: one that has not may as well go on."""
    course, part = _shape(times, levels)
    return course is Course.SETTLES and math.exp(-1 / part) <= _LEFT


def _shape(times: Sequence[float], levels: Sequence[float]) -> tuple[Course, float]:
    """Say whether a line explains a rise better than a curve that settles (Bayesian information criterion).

    With it, in what part of the time the best curve does all but 1/e of its way.
    """
    import numpy as np

    at = np.asarray(times) - times[0]
    at /= at[-1]
    values = np.asarray(levels) / (1.4826 * float(np.median(np.abs(np.diff(levels)))) or _KIB)
    ones, price = np.ones(len(at)), 0.5 * math.log(len(at))
    bends = [np.exp(-at / part) for part in _SETTLING]
    designs = [np.column_stack([ones]), np.column_stack([ones, at])]
    designs += [np.column_stack([ones, bend]) for bend in bends]
    designs += [np.column_stack([ones, bend, at]) for bend in bends]
    alone, straight, *rest = fits(values, designs)
    level, lines = alone.log_likelihood - price, [straight.log_likelihood - 2 * price]
    curves = [bend.log_likelihood - 3 * price for bend in rest[: len(bends)]]
    lines += [
        both.log_likelihood - 4 * price
        for both in rest[len(bends) :]
        # a line that falls, or hardly rises, beside a curve is part of the curve
        if both.coefficients[2] > abs(float(both.coefficients[1])) / 2
    ]
    if max(lines) - level < _MARGIN:
        return Course.LEVEL, 0.0
    best = max(curves)
    return Course.RISES if max(lines) > best else Course.SETTLES, _SETTLING[curves.index(best)]


def _is_cache(part: list[Row], resident: Mapping[datetime, float], slope: float) -> bool:
    """Say whether the processes surely grow by less than half of what their container does."""
    later = part[len(part) // 2]["at"]
    of_processes = [(at.timestamp(), size) for at, size in resident.items() if later <= at <= part[-1]["at"]]
    if len(of_processes) < _FEWEST_OF_PART:
        return False
    first_s = of_processes[0][0]
    own, interval = slope_interval([at_s - first_s for at_s, _ in of_processes], [size for _, size in of_processes])
    return own < _OF_PROCESSES * slope and interval.high is not None and interval.high < slope


def _until_full(growth: Growth) -> Growth:
    limit, low, high = growth.limit_bytes, growth.interval.low, growth.interval.high
    if growth.course is not Course.RISES or not limit or limit <= growth.last_bytes:
        return growth
    left = limit - growth.last_bytes
    between = Interval(left / high if high else None, left / low if low else None)
    return replace(growth, full_in_s=left / growth.slope_per_s, full_between_s=between)


def _comes_down_again(growth: Growth, runs: Sequence[Sequence[Row]]) -> bool:
    """Say whether restarts keep it in bounds: two of them or more, peaks that stay level and well below the limit.

    Not where the kernel ended a run, nor where the latest run is already higher than those before it.
    """
    peaks = growth.peaks_bytes
    if growth.course is not Course.RISES or len(peaks) < 3:  # noqa: PLR2004 (two teeth and a third that grows)
        return False
    killed = any(
        (number_of(row, "oom_kill_count") or 0) > 0 or row.get("oom_killed") is True for run in runs for row in run
    )
    level = max(peaks) <= _LEVEL_PEAKS * median(peaks[:-1])
    return level and not killed and (not growth.limit_bytes or max(peaks) <= _FULL * growth.limit_bytes)


def _resident(processes: pd.DataFrame | None) -> dict[str, dict[datetime, float]]:
    """Return what the processes of each container hold, summed at each time."""
    held: dict[str, dict[datetime, float]] = {}
    for row in in_order(rows_of(processes)):
        if (size := number_of(row, "rss_bytes")) is not None:
            at = held.setdefault(text_of(row, "name"), {})
            at[row["at"]] = at.get(row["at"], 0.0) + size
    return held


def _times(run: Sequence[Row]) -> list[float]:
    return [(row["at"] - run[0]["at"]).total_seconds() for row in run]


def _levels(run: Sequence[Row]) -> list[float]:
    return [_level(row) for row in run]


def _level(row: Row) -> float:
    return number_of(row, "memory_usage_bytes") or 0.0
