"""A process that lives by script: its figures as functions of time, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from irkit.memory.footprint import ContainerMemory, Malloc
from irkit.memory.monitor import MemoryMonitor
from irkit.memory.probes import Probes
from irkit.procfs import MemoryShares
from tests.support.leaks import MIB, dice

BEGAN = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
Figure = Callable[[float], float]


@dataclass
class Scripted:
    """What a process holds at each second; counts cost `count_cost_s` of processor time, the rest nothing."""

    rss: Figure = lambda _: 100 * MIB
    blocks: Figure = lambda _: 100_000
    used: Figure = lambda _: 50 * MIB
    kept: Figure = lambda _: 5 * MIB
    counts: Callable[[float], Mapping[str, int]] = lambda _: {"app.Session": 1000, "builtins.dict": 20_000}
    limit_bytes: int | None = None
    count_cost_s: float = 0.0
    at_s: float = 0.0
    spent_s: float = 0.0
    counted: list[float] = field(default_factory=list)
    fails: bool = False

    @property
    def probes(self) -> Probes:
        return Probes(
            rss_bytes=self._rss,
            shares=lambda: MemoryShares(*(int(self.rss(self.at_s)) for _ in range(4)), 0),
            container=lambda: ContainerMemory(int(self.rss(self.at_s)) + 10 * MIB, self.limit_bytes, 0),
            malloc=lambda: Malloc(int(self.used(self.at_s)), int(self.kept(self.at_s))),
            blocks=lambda: int(self.blocks(self.at_s)),
            counts=self._counts,
            frozen=lambda: 0,
            clock_s=lambda: self.at_s,
            cpu_s=lambda: self.spent_s,
            now=lambda: BEGAN + timedelta(seconds=self.at_s),
        )

    def live(self, monitor: MemoryMonitor, until_s: float, step_s: float = 1.0) -> MemoryMonitor:
        """Let the time pass, with a tick at each step."""
        while self.at_s < until_s:
            self.at_s += step_s
            monitor.tick()
        return monitor

    def _rss(self) -> int:
        if self.fails:
            raise ProcessLookupError("the process is gone")
        return int(self.rss(self.at_s))

    def _counts(self) -> dict[str, int]:
        self.spent_s += self.count_cost_s
        self.counted.append(self.at_s)
        return dict(self.counts(self.at_s))


def noisy(figure: Figure, spread: float = 0.2 * MIB) -> Figure:
    """A figure with noise that is the same whenever it is asked at the same time."""
    return lambda at: figure(at) + dice(at).gauss(0, spread)


def watched(process: Scripted, until_s: float = 600.0, step_s: float = 1.0) -> MemoryMonitor:
    """A monitor that has watched a process from its first second."""
    monitor = MemoryMonitor(process.probes)
    monitor.start_tracking(background=False)
    process.live(monitor, until_s, step_s)
    monitor.stop_tracking()
    return monitor
