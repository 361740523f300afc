"""Another process's memory, watched from outside: nothing is put into it, it is not stopped, and it need not be Python.

What only a process can tell of itself (its objects, its garbage collections) is not to be had this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from irkit import procfs
from irkit.errors import InputError, NotFoundError
from irkit.memory.footprint import Cgroup, ContainerMemory, memory_cgroups, tightest
from irkit.memory.monitor_report import limit_sentence, span, verdict_sentences
from irkit.memory.snapshot import has_agent
from irkit.memory.trend import Direction, Forecast, Trend, forecast, judge, memory_floor, settling_s
from irkit.procfs import MemoryShares
from irkit.text.phrase import size
from irkit.text.visible import visible

_SHORTEST_S = 0.1
_MOST_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class Outside:
    """How another process is looked at, and the clock: functions that can be handed in."""

    rss_bytes: Callable[[int], int] = procfs.rss_bytes
    shares: Callable[[int], MemoryShares] = procfs.shares
    started_s: Callable[[int], float] = procfs.started_s
    command: Callable[[int], str] = procfs.command
    parents: Callable[[], Mapping[int, int]] = procfs.parents
    is_contained: Callable[[int], bool] = procfs.is_contained
    has_agent: Callable[[int], bool] = has_agent
    cgroups: Callable[[int], tuple[Cgroup, ...]] = memory_cgroups
    container: Callable[[tuple[Cgroup, ...]], ContainerMemory | None] = tightest
    clock_s: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of a process: `has_ended` where it ended meanwhile, `oom_kills` in its container until then.

    `shares` is None where we may not read them. `larger` is a process it started that holds more than it, by its number
    and size: an init or a shell that starts the service is seldom what one wants to watch.
    """

    pid: int
    command: str
    lasted_s: float
    rss: Trend
    first_rss_bytes: int
    last_rss_bytes: int
    shares: MemoryShares | None
    container: ContainerMemory | None
    container_trend: Trend
    forecast: Forecast | None
    has_ended: bool
    oom_kills: int
    larger: tuple[int, int] | None = None
    is_contained: bool = True
    has_agent: bool = False

    @property
    def told(self) -> str:
        """What was seen, in one line: what it does, and when its container's limit is reached."""
        head, *ended = _heading(self)
        return " ".join([f"{head}.", *ended, _verdict(self), *_larger(self), _limit(self)])

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def largest(pids: Sequence[int], outside: Outside | None = None) -> int:
    """Return the process that holds the most of those of a container: its first is often but an init.

    Raises:
        NotFoundError: none is left.
    """
    look, sizes = outside or Outside(), dict[int, int]()
    for pid in pids:
        with suppress(OSError):
            sizes[pid] = look.rss_bytes(pid)
    if not sizes:
        raise NotFoundError("none of its processes is here any more", hint="does it run? `docker ps` tells")
    return max(sizes, key=sizes.__getitem__)


def watch(pid: int, for_s: float = 60.0, every_s: float = 1.0, outside: Outside | None = None) -> Watched:
    """Watch a process for so long, or until it ends or someone interrupts, and return what its memory does.

    Raises:
        InputError: the times make no sense.
        NotFoundError: there is no such process.
    """
    if not (every_s >= _SHORTEST_S and every_s <= for_s <= every_s * _MOST_SAMPLES):
        msg = f"watching for {for_s:g} s every {every_s:g} s cannot be done"
        raise InputError(msg, hint=f"every 0.1 s or more, for no shorter, and {_MOST_SAMPLES:,} samples at most")
    look = outside or Outside()
    try:
        began, command, cgroups = look.started_s(pid), look.command(pid), look.cgroups(pid)
        contained, agent = look.is_contained(pid), look.has_agent(pid)
        shares, larger = _shares(look, pid), _larger_descendant(look, pid)
    except OSError:
        raise NotFoundError(
            f"there is no process {pid} here", hint="`docker top NAME` and `ps -e` give the numbers of processes"
        ) from None
    first = look.container(cgroups)
    samples, has_ended = _followed(look, pid, began, cgroups, (for_s, every_s))
    last = look.container(cgroups) or (samples[-1].container if samples else first)
    sizes = [sample.rss_bytes for sample in samples]
    rss = judge([sample.at_s for sample in samples], sizes, memory_floor(sizes[0] if sizes else 0))
    used = [(sample.at_s, sample.container.usage_bytes) for sample in samples if sample.container]
    of_container = judge(
        [at_s for at_s, _ in used], [size_bytes for _, size_bytes in used], memory_floor(used[0][1] if used else 0)
    )
    leading = of_container if of_container.direction is Direction.GROWING else rss
    kills = [each.oom_kill_count or 0 for each in (first, last) if each is not None]
    return Watched(
        pid=pid,
        command=command,
        lasted_s=samples[-1].at_s if samples else 0.0,
        rss=rss,
        first_rss_bytes=sizes[0] if sizes else 0,
        last_rss_bytes=sizes[-1] if sizes else 0,
        shares=shares,
        container=last,
        container_trend=of_container,
        forecast=forecast(leading, last.limit_bytes, last.usage_bytes) if last and not has_ended else None,
        has_ended=has_ended,
        oom_kills=kills[-1] - kills[0] if kills else 0,
        larger=larger,
        is_contained=contained,
        has_agent=agent,
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    rss_bytes: int
    container: ContainerMemory | None


def _followed(
    look: Outside, pid: int, began: float, cgroups: tuple[Cgroup, ...], times_s: tuple[float, float]
) -> tuple[list[_Sample], bool]:
    """Return the samples of a process, and whether it ended: a number can be given anew, so its start is asked, too."""
    for_s, every_s = times_s
    samples: list[_Sample] = []
    start_s = look.clock_s()
    try:
        while not samples or look.clock_s() - start_s <= for_s:
            at_s, size_bytes = look.clock_s() - start_s, look.rss_bytes(pid)
            # a process that ended and is not waited for yet holds nothing
            if not size_bytes or look.started_s(pid) != began:
                return samples, True
            samples.append(_Sample(at_s, size_bytes, look.container(cgroups)))
            look.wait(every_s)
    except OSError:
        return samples, True
    except KeyboardInterrupt:
        pass  # whoever has seen enough wants to know what there was until then
    return samples, False


def _shares(look: Outside, pid: int) -> MemoryShares | None:
    try:
        return look.shares(pid)
    except (PermissionError, KeyError, FileNotFoundError):
        return None


def _lines(seen: Watched) -> list[str]:
    lines = [*_heading(seen), _verdict(seen), *_larger(seen)]
    told = f"RSS {size(seen.first_rss_bytes)} at first, {size(seen.last_rss_bytes)} at last"
    if seen.shares is None:
        lines.append(f"{told}; PSS and USS may not be read: run irkit as root.")
    else:
        lines.append(f"{told}; at first PSS {size(seen.shares.pss_bytes)}, USS {size(seen.shares.uss_bytes)}.")
    lines.append(_limit(seen))
    if seen.rss.direction is Direction.GROWING and not seen.has_ended:
        how = "snapshot" if seen.has_agent else "attach"
        lines.append(f"Next: irkit memory {how} --pid {seen.pid} names who keeps it; a restart destroys the evidence.")
    if seen.rss.direction is Direction.RISING and not seen.has_ended:
        lines.append(f"Next: irkit memory monitor --pid {seen.pid} --for {settling_s(seen.rss):.0f}")
    return lines


def _heading(seen: Watched) -> list[str]:
    lines = [f"Process {seen.pid} ({visible(seen.command)}), watched for {span(seen.lasted_s)}"]
    if seen.has_ended:
        why = f": the kernel killed {seen.oom_kills} in its container for want of memory" if seen.oom_kills else ""
        lines.append(f"It ended meanwhile{why}.")
    return lines


def _verdict(seen: Watched) -> str:
    return f"Verdict: {verdict_sentences(seen.rss, 'RSS')}."


def _larger(seen: Watched) -> list[str]:
    if seen.larger is None:
        return []
    pid, size_bytes = seen.larger
    return [f"Process {pid}, which it started, holds more ({size(size_bytes)}): irkit memory monitor --pid {pid}"]


def _limit(seen: Watched) -> str:
    container = seen.container
    if container is None:
        return "Limit: not known, this system tells of no memory cgroup of it."
    return limit_sentence("its container" if seen.is_contained else "its cgroup", container, seen.forecast)


def _larger_descendant(look: Outside, pid: int) -> tuple[int, int] | None:
    found = largest(procfs.family(pid, look.parents()), look)
    return (found, look.rss_bytes(found)) if found != pid else None
