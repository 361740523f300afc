"""How sure a number is: intervals and chances for small samples, without a distribution assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import NormalDist

_Z95 = NormalDist().inv_cdf(0.975)
# up to here the exact sum takes milliseconds; beyond, the normal approximation is off by less than 0.01
_EXACT_UP_TO = 20_000
_MOST_RHO = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; an end is None where the sample is too small to bound it."""

    low: float | None
    high: float | None


def chance_of_at_most(k: int, n: int, p: float) -> float:
    """Return P(X ≤ k) for X binomial with `n` trials of probability `p` (0 < p < 1)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    if 2 * k > n:  # the shorter of the two sums
        return 1.0 - chance_of_at_most(n - k - 1, n, 1 - p)
    if n > _EXACT_UP_TO:
        return NormalDist(n * p, math.sqrt(n * p * (1 - p))).cdf(k + 0.5)
    logs = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return the q-quantile of sorted values, linear between the nearest two (Hyndman and Fan's type 7)."""
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def quantile_interval(ordered: Sequence[float], q: float) -> Interval:
    """Return the 95 % interval of a quantile from sorted values, by the binomial order of ranks.

    Distribution-free, as in Hahn and Meeker, Statistical Intervals, chapter 5: as few values lie below the true
    quantile as a binomial allows. Fewer than 72 values do not bound a p95 from above.
    """
    n = len(ordered)
    low = _rank(n, q, 0.025)
    high = _rank(n, q, 0.975) + 1
    return Interval(
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= n else None,
    )


def share_interval(k: int, n: int) -> Interval:
    """Return the 95 % interval of a share of `k` in `n` (Wilson's score interval); all of it for n = 0."""
    if n <= 0:
        return Interval(0.0, 1.0)
    share, z2 = k / n, _Z95 * _Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, middle - half) if k else 0.0, min(1.0, middle + half) if k < n else 1.0)


def slope_interval(times: Sequence[float], values: Sequence[float]) -> tuple[float, Interval]:
    """Return the Theil-Sen slope (median of pairwise slopes) and its 95 % interval after Sen (1968).

    At most 300 points are used, evenly picked; robust against up to 29 % of outliers. Without two distinct times it is
    0. Where the residuals follow one another, the interval is as much wider as fewer independent points would make it
    (Yue and Wang, 2004, with the autocorrelation of AR(1)).
    """
    step = -(-len(times) // 300)
    points = list(zip(times[::step], values[::step], strict=True))
    slopes = sorted(
        (later[1] - first[1]) / (later[0] - first[0])
        for index, first in enumerate(points)
        for later in points[index + 1 :]
        if later[0] != first[0]
    )
    n, pairs = len(points), len(slopes)
    if not slopes:
        return 0.0, Interval(None, None)
    slope = quantile(slopes, 0.5)
    rho = _autocorrelation([value - slope * (time - points[0][0]) for time, value in points])
    reach = _Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18 * (1 + rho) / (1 - rho))
    low, high = math.floor((pairs - reach) / 2), math.ceil((pairs + reach) / 2)
    return slope, Interval(slopes[low] if low >= 0 else None, slopes[high] if high < pairs else None)


def _autocorrelation(residuals: Sequence[float]) -> float:
    """Return the correlation of each residual with the one before, by ranks; 0.0 where chance alone would make it."""
    n = len(residuals)
    # what differs by the rounding of floats alone is a tie, and ties share their ranks
    grain = 1e-9 * max(map(abs, residuals)) or 1.0
    ranked = sorted((round(residual / grain), index) for index, residual in enumerate(residuals))
    ranks = [0.0] * n
    for _, group in groupby(enumerate(ranked), key=lambda item: item[1][0]):
        tied = list(group)
        for _, (_, index) in tied:
            ranks[index] = (tied[0][0] + tied[-1][0]) / 2 - (n - 1) / 2
    whole = math.fsum(rank * rank for rank in ranks)
    rho = math.fsum(a * b for a, b in pairwise(ranks)) / whole if whole else 0.0
    return min(rho, _MOST_RHO) if rho > _Z95 / math.sqrt(n) else 0.0


def _rank(n: int, q: float, chance: float) -> int:
    """Return the largest k with P(X ≤ k - 1) ≤ chance, by bisection."""
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        if chance_of_at_most(middle - 1, n, q) <= chance:
            low = middle
        else:
            high = middle
    return low
