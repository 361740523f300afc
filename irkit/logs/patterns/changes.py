"""Whether a pattern is new, exploding, gone or steady since the onset, and how likely chance alone would do it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from irkit.estimate import chance_of_at_most

if TYPE_CHECKING:
    import numpy as np

    Seconds = np.ndarray[tuple[int], np.dtype[np.float64]]

LEAST_BASELINE_S = 30.0
_LEAST_RATIO = 3.0
_HARDLY_CHANCE = 0.001
_BIN_S = 10.0


class Change(StrEnum):
    """How a pattern's rate after the onset compares with its rate before."""

    NEW = "new"
    EXPLODING = "exploding"
    GONE = "gone"
    STEADY = "steady"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rates:
    """Lines a minute before and after the onset, what that is, and since when (seconds on the same clock).

    `chance` is how often a steady pattern that comes in such bursts would look as lopsided.
    """

    change: Change
    before_per_minute: float | None
    after_per_minute: float | None
    chance: float | None
    since_s: float | None


def rates_of(at_s: Seconds, start_s: float, onset_s: float | None, end_s: float) -> Rates:
    """Compare the lines of one pattern (`at_s`, sorted, in seconds) before and after the onset.

    `start_s` and `end_s` bound what was collected. `new` and `gone` say that there was none at all on one side;
    `gone` and `exploding` (three times the rate or more) also that chance would do so once in a thousand times. The
    counts of two stretches of a Poisson process split binomially (Przyborowski and Wilenski, 1940); counts are divided
    by the variance-to-mean ratio of the ten-second counts, since log lines come in bursts.
    """
    if onset_s is None or onset_s - start_s < LEAST_BASELINE_S or end_s <= onset_s:
        return Rates(Change.UNKNOWN, None, None, None, None)
    split = int(at_s.searchsorted(onset_s))
    before, after = split, len(at_s) - split
    before_s, after_s = onset_s - start_s, end_s - onset_s
    per_minute = (60 * before / before_s, 60 * after / after_s)
    usual = (at_s[:split], start_s, onset_s) if before else (at_s[split:], onset_s, end_s)
    clumps = _dispersion(*usual)
    share = after_s / (before_s + after_s)
    k, n = round(after / clumps), max(1, round((before + after) / clumps))
    if before == 0:
        return Rates(Change.NEW, *per_minute, share ** max(k, 1), float(at_s[0]))
    if after * before_s > before * after_s:
        chance = 1.0 - chance_of_at_most(k - 1, n, share)
        if chance < _HARDLY_CHANCE and per_minute[1] >= _LEAST_RATIO * per_minute[0]:
            return Rates(Change.EXPLODING, *per_minute, chance, _first_above(at_s, onset_s))
        return Rates(Change.STEADY, *per_minute, chance, None)
    chance = chance_of_at_most(k, n, share)
    if after == 0 and chance < _HARDLY_CHANCE:
        return Rates(Change.GONE, *per_minute, chance, float(at_s[-1]))
    return Rates(Change.STEADY, *per_minute, chance, None)


def _dispersion(at_s: Seconds, start_s: float, end_s: float) -> float:
    """Return the variance of the counts over their mean, 1 at least (1 is Poisson, more is bursts)."""
    counts = _counts(at_s, start_s, end_s)
    mean = counts.mean()
    return float(max(1.0, counts.var() / mean)) if mean > 0 and len(counts) > 1 else 1.0


def _first_above(at_s: Seconds, onset_s: float) -> float:
    """Return the first line of the first ten seconds after the onset that hold more than any ten before."""
    import numpy as np

    before, later = at_s[at_s < onset_s], at_s[at_s >= onset_s]
    most = int((before.searchsorted(before + _BIN_S) - np.arange(len(before))).max())
    close = later[most:] - later[: max(len(later) - most, 0)] < _BIN_S
    return float(later[int(close.argmax())]) if close.any() else float(later[0])


def _counts(at_s: Seconds, start_s: float, end_s: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    import numpy as np

    bins = max(1, int((end_s - start_s) // _BIN_S))
    return np.histogram(at_s, bins=bins, range=(start_s, max(end_s, start_s + _BIN_S)))[0]
