"""What a watcher reads of its process, each figure as often as its cost allows, and what the record says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from irkit.memory import judgement, objects
from irkit.memory.footprint import ContainerMemory
from irkit.memory.judgement import Judgement, judge_figures, trend_of
from irkit.memory.objects import TypeGrowth
from irkit.memory.probes import Probes, Turn
from irkit.memory.series import Figures, TypeCounts
from irkit.memory.trend import Direction, Forecast, Trend, forecast
from irkit.procfs import MemoryShares

# shares of a core: all together stay well below the half percent that a watcher may cost
_COUNTS_SHARE = 0.0025
_JUDGING_SHARE = 0.0005
_CHEAP_SHARE = 0.0005
_RARE_SHARE = 0.0003
_COUNTS_LEAST_S = 5.0
_COUNTS_MOST_S = 60.0
_COUNTS_PER_LIFE = 50
_RARE_LEAST_S = 60.0
_JUDGING_LEAST_S = 10.0
# a list of all objects, and as much again while it is gone through
_ITEM_BYTES = 16
_ROOMY = 4


class Record:
    """The figures of one process since `began_s`, by the clock of its probes."""

    def __init__(self, probes: Probes, interval_s: float) -> None:
        self._probes = probes
        self.began_s = probes.clock_s()
        self.figures = Figures(judgement.FIGURES)
        self.counts = TypeCounts()
        self.latest: Mapping[str, int] = {}
        self.peak: dict[str, int] = {}
        self.container: ContainerMemory | None = None
        self.shares: MemoryShares | None = None
        self.rss_bytes = 0
        self.cost_s = 0.0
        self.left_out = ""
        self._cheap = Turn(2 * interval_s, _CHEAP_SHARE)
        self._rare = Turn(_RARE_LEAST_S, _RARE_SHARE)
        self._counting = Turn(_COUNTS_LEAST_S, _COUNTS_SHARE)
        self._judging = Turn(_JUDGING_LEAST_S, _JUDGING_SHARE)

    def begin(self, counted: Mapping[str, int]) -> None:
        """Count from now on, over these objects by type."""
        self.began_s = self._probes.clock_s()
        self.latest, self.peak = counted, dict(counted)
        trend_of(self.figures, judgement.RSS)

    @property
    def lasted_s(self) -> float:
        return self._probes.clock_s() - self.began_s

    def read(self) -> Trend | None:
        """Read what is due, and return the trend of the resident size where it was due to be asked.

        Raises:
            OSError: the process does not tell any more.
        """
        began_s, now_s = self._probes.cpu_s(), self._probes.clock_s()
        self.rss_bytes = self._probes.rss_bytes()
        figures: dict[str, float | None] = {judgement.RSS: self.rss_bytes}
        self._in_turn(self._cheap, now_s, lambda: self._read_cheap(figures))
        self._in_turn(self._rare, now_s, lambda: self._read_shares(figures))
        self._in_turn(self._counting, now_s, lambda: self._read_counts(now_s, figures))
        self.figures.add(now_s, figures)
        asked: list[Trend] = []
        self._in_turn(self._judging, now_s, lambda: asked.append(trend_of(self.figures, judgement.RSS)))
        self.cost_s += self._probes.cpu_s() - began_s
        return asked[0] if asked else None

    def judged(self, baseline: Mapping[str, int]) -> Judgement:
        """Return what the figures say together; `baseline` is what growth by type is told over."""
        return judge_figures(self.figures, self.counts, {each.name: each for each in self.growths(baseline)})

    def growths(self, baseline: Mapping[str, int]) -> tuple[TypeGrowth, ...]:
        """Return the types whose numbers changed since the baseline, most grown first."""
        return objects.growth(self.latest, baseline, self.peak)

    def until_limit(self, rss: Trend) -> Forecast | None:
        """Return when the container's limit is reached: by its own trend where it grows, else by this process's."""
        if self.container is None:
            return None
        own = trend_of(self.figures, judgement.CONTAINER)
        trend = own if own.direction is Direction.GROWING else rss
        return forecast(trend, self.container.limit_bytes, self.container.usage_bytes)

    def _in_turn(self, turn: Turn, now_s: float, read: Callable[[], None]) -> None:
        if turn.is_due(now_s):
            began_s = self._probes.cpu_s()
            read()
            turn.took(now_s, self._probes.cpu_s() - began_s)

    def _read_cheap(self, figures: dict[str, float | None]) -> None:
        self.container = self._probes.container()
        if self.container is not None:
            figures[judgement.CONTAINER] = self.container.usage_bytes
        figures[judgement.BLOCKS] = self._probes.blocks()
        if (told := self._probes.malloc()) is not None:
            figures |= {judgement.MALLOC_USED: told.used_bytes, judgement.MALLOC_KEPT: told.kept_bytes}

    def _read_shares(self, figures: dict[str, float | None]) -> None:
        self.shares = self._probes.shares()
        figures |= {judgement.PSS: self.shares.pss_bytes, judgement.USS: self.shares.uss_bytes}

    def _read_counts(self, now_s: float, figures: dict[str, float | None]) -> None:
        # 16 counts make a trend: soon after the start they must be close, later they need not
        self._counting.least_s = min(max(_COUNTS_LEAST_S, (now_s - self.began_s) / _COUNTS_PER_LIFE), _COUNTS_MOST_S)
        needed = _ROOMY * _ITEM_BYTES * max(sum(self.latest.values()), self._probes.blocks() // _ROOMY)
        limit_bytes = self.container.limit_bytes if self.container else None
        if self.container and limit_bytes and limit_bytes - self.container.usage_bytes < needed:
            self.left_out = "objects are not counted any more: the container has too little room for a list of them"
            return
        self.left_out = ""
        found = self._probes.counts()
        for name, number in self.latest.items():
            self.peak[name] = max(number, self.peak.get(name, 0))
        self.latest = found
        self.counts.add(now_s, found)
        figures[judgement.OBJECTS] = sum(found.values())
