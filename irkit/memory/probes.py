"""Everything the monitor asks of its process, the clocks included, as functions that can be handed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from irkit import procfs
from irkit.memory import footprint, objects
from irkit.memory.footprint import ContainerMemory, Malloc
from irkit.model import utc_now
from irkit.procfs import MemoryShares


@dataclass(frozen=True, slots=True)
class Probes:
    """The readings of one process; each is cheap but for `counts` and, in a large process, `shares`.

    `clock_s` and `cpu_s` are of the watching thread: time as it passes, and time on a processor.
    """

    rss_bytes: Callable[[], int] = procfs.rss_bytes
    shares: Callable[[], MemoryShares] = procfs.shares
    container: Callable[[], ContainerMemory | None] = footprint.container_memory
    malloc: Callable[[], Malloc | None] = footprint.malloc
    blocks: Callable[[], int] = objects.allocated_blocks
    counts: Callable[[], dict[str, int]] = objects.count_by_type
    frozen: Callable[[], int] = objects.frozen_objects
    clock_s: Callable[[], float] = time.monotonic
    cpu_s: Callable[[], float] = time.thread_time
    now: Callable[[], datetime] = utc_now


class Turn:
    """When a reading is due again: not before `least_s`, and not so soon that it costs more than `share` of a core."""

    def __init__(self, least_s: float, share: float) -> None:
        self.least_s = least_s
        self._share = share
        self._due_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._due_s

    def took(self, now_s: float, cost_s: float) -> None:
        """Note what the reading that is done cost."""
        self._due_s = now_s + max(self.least_s, cost_s / self._share)
