"""How long Python's garbage collections hold the process up, by generation, as they happen."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from irkit.estimate import quantile

_KEPT = 512


@dataclass(frozen=True, slots=True)
class Pauses:
    """The collections of one generation since tracking began, in seconds; `p95_s` is of the last 512."""

    generation: int
    collections: int
    total_s: float
    p95_s: float
    longest_s: float
    collected: int
    uncollectable: int


class PauseRecorder:
    """Times each garbage collection from the two calls that `gc.callbacks` makes for it.

    The figures lie in arrays made beforehand: a recorder must not make the objects whose collection it times.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._generations = len(gc.get_threshold())
        self.ignored = False
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded."""
        self._began = -1.0
        # per generation: collections, seconds, the longest, collected, uncollectable
        self._sums = array("d", bytes(8 * 5 * self._generations))
        self._last = array("d", bytes(8 * _KEPT * self._generations))

    def start(self) -> None:
        """Record from now on; a second start changes nothing."""
        if self._heard not in gc.callbacks:
            gc.callbacks.append(self._heard)

    def stop(self) -> None:
        """Record no more; what was recorded stays."""
        if self._heard in gc.callbacks:
            gc.callbacks.remove(self._heard)

    def pauses(self) -> tuple[Pauses, ...]:
        """Return each generation's collections, the youngest generation first."""
        return tuple(map(self._pauses, range(self._generations)))

    def longest_s(self) -> float:
        """Return the longest pause so far."""
        return max(self._sums[2::5])

    def _pauses(self, generation: int) -> Pauses:
        number, total_s, longest_s, collected, uncollectable = self._sums[5 * generation : 5 * generation + 5]
        kept = min(int(number), _KEPT)
        last = sorted(self._last[_KEPT * generation : _KEPT * generation + kept])
        p95_s = quantile(last, 0.95) if last else 0.0
        return Pauses(generation, int(number), total_s, p95_s, longest_s, int(collected), int(uncollectable))

    def _heard(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = -1.0 if self.ignored else self._clock()
            return
        if self._began < 0:
            return
        took_s, generation = self._clock() - self._began, info["generation"]
        self._began = -1.0
        at = 5 * generation
        self._last[_KEPT * generation + int(self._sums[at]) % _KEPT] = took_s
        self._sums[at] += 1
        self._sums[at + 1] += took_s
        self._sums[at + 2] = max(self._sums[at + 2], took_s)
        self._sums[at + 3] += info["collected"]
        self._sums[at + 4] += info["uncollectable"]
