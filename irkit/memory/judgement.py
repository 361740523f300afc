"""What the monitor's figures say together: does memory grow, which types with it, and where else it may come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from irkit.memory.objects import TypeGrowth
from irkit.memory.series import Figures, TypeCounts
from irkit.memory.trend import ALPHA, Direction, Trend, count_floor, judge, judge_many, memory_floor

RSS = "rss_bytes"
CONTAINER = "container_bytes"
BLOCKS = "python_blocks"
MALLOC_USED = "malloc_used_bytes"
MALLOC_KEPT = "malloc_kept_bytes"
PSS = "pss_bytes"
USS = "uss_bytes"
OBJECTS = "objects"
FIGURES = (RSS, CONTAINER, BLOCKS, MALLOC_USED, MALLOC_KEPT, PSS, USS, OBJECTS)
_IN_BYTES = frozenset({RSS, CONTAINER, MALLOC_USED, MALLOC_KEPT, PSS, USS})
_MOST = 0.5
_MUCH_LONGER = 2.0


class Origin(StrEnum):
    """Where growing memory comes from, as far as a process can tell of itself."""

    OBJECTS = "Python objects grow with it"
    BUFFERS = (
        "Python's own objects stay flat while what malloc has handed out grows: large strings, bytes or arrays, "
        "or native memory of a C library"
    )
    SMALL_UNTRACKED = (
        "Python hands out ever more small pieces while the objects it can count stay flat: strings, bytes or numbers"
    )
    FRAGMENTATION = (
        "Python's objects and what malloc has handed out stay flat while what it keeps back grows: fragmentation"
    )
    NATIVE = (
        "Python's objects stay flat and malloc does not know of it either: native memory taken with mmap, "
        "stacks of threads, or arenas with holes (fragmentation)"
    )
    UNKNOWN = "whether Python's objects grow with it is not known yet: too few counts"


@dataclass(frozen=True, slots=True)
class GrowingType:
    """A type of which there are ever more, by a trend that holds for as many types as were asked."""

    growth: TypeGrowth
    trend: Trend


@dataclass(frozen=True, slots=True)
class Judgement:
    """The trends of all figures by name, the types that grow, most growing first, and the origin of growing memory.

    `types_asked` is for how many types the chances are corrected; `origin` is None where memory does not grow.
    """

    trends: Mapping[str, Trend]
    types: tuple[GrowingType, ...]
    types_asked: int
    origin: Origin | None

    @property
    def memory(self) -> Trend:
        return self.trends[RSS]


def judge_figures(figures: Figures, counts: TypeCounts, growths: Mapping[str, TypeGrowth]) -> Judgement:
    """Return what all that was sampled says; `growths` is each type's growth over the baseline."""
    trends = {name: trend_of(figures, name) for name in FIGURES}
    asked = type_trends(counts)
    growing = sorted(
        (
            GrowingType(growths[name], trend)
            for name, trend in asked.items()
            if trend.direction is Direction.GROWING and name in growths and growths[name].over_baseline > 0
        ),
        key=lambda each: (-each.trend.slope_per_s, each.growth.name),
    )
    few = not asked or all(trend.direction is Direction.TOO_FEW for trend in asked.values())
    origin = _origin(trends, bool(growing), few) if trends[RSS].direction is Direction.GROWING else None
    return Judgement(trends, tuple(growing), len(asked), origin)


def trend_of(figures: Figures, name: str) -> Trend:
    """Return a figure's trend: over the last half hour, and where the process has lived longer, over its whole life.

    Where both were asked each must be twice as sure (Bonferroni); the recent one is told, unless only the other grows.
    """
    floor = memory_floor if name in _IN_BYTES else count_floor
    recent = _judged(figures.recent(name), floor)
    whole_times, whole_values = figures.whole(name)
    if not whole_times or whole_times[-1] - whole_times[0] < _MUCH_LONGER * max(recent.span_s, 1.0):
        return recent
    whole = _judged((whole_times, whole_values), floor)
    recent, whole = (_twice_as_sure(trend) for trend in (recent, whole))
    moves = {Direction.GROWING, Direction.SHRINKING}
    return whole if recent.direction not in moves and whole.direction in moves else recent


def type_trends(counts: TypeCounts) -> dict[str, Trend]:
    """Return the trend of every type that has ten objects or more, corrected for how many are asked."""
    times_s, series = counts.series()
    return judge_many(times_s, series, {name: count_floor(values[0]) for name, values in series.items()})


def _judged(points: tuple[list[float], list[float]], floor: Callable[[float], float]) -> Trend:
    times_s, values = points
    return judge(times_s, values, floor(values[0] if values else 0.0))


def _twice_as_sure(trend: Trend) -> Trend:
    chance = min(1.0, 2 * trend.chance)
    moves = trend.direction in {Direction.GROWING, Direction.SHRINKING}
    return replace(trend, chance=chance, direction=Direction.STABLE if moves and chance > ALPHA else trend.direction)


def _origin(trends: Mapping[str, Trend], types_grow: bool, few: bool) -> Origin:  # noqa: FBT001 (two findings)
    def grows(name: str) -> bool:
        return trends[name].direction is Direction.GROWING

    def makes_most(name: str) -> bool:
        return grows(name) and trends[name].slope_per_s >= _MOST * trends[RSS].slope_per_s

    if types_grow or grows(OBJECTS):
        return Origin.OBJECTS
    if makes_most(MALLOC_USED):
        return Origin.BUFFERS
    if few:
        return Origin.UNKNOWN
    if grows(BLOCKS):
        return Origin.SMALL_UNTRACKED
    return Origin.FRAGMENTATION if makes_most(MALLOC_KEPT) else Origin.NATIVE
