"""Does a figure grow, and how fast: robust, wary of noise that wanders, of warm-ups, and of asking many at once.

A series counts as growing where all of this holds of the later half of its last run:

- it rises by the Mann-Kendall test, whose variance is corrected for autocorrelation (Hamed and Rao 1998), and the mean
  of its increments is above zero by Student's t: the first is right for noise around a level, the second for noise
  that wanders (a random walk), and the larger of their two chances is taken;
- it gains more than a noise floor, still rises in its last third, and is now higher than in the half before;
- it does not level off: the slopes of its quarters are not a warm-up's geometric series.

What was watched only shortly, or seldom, and rose without coming to rest is not called stable for levelling off: its
quarters are a few samples each, and a load that ebbs bends a leak just so. It is `RISING`, and neither.

The slope is Theil and Sen's with Sen's interval (1968). Where many series are asked at once the chances are corrected
by Benjamini and Hochberg (1995).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist, fmean, median

from irkit.estimate import Interval, quantile

LEAST_SAMPLES = 16
# to tell a leak from a start; a quarter of fewer samples bounds no slope
SETTLING_SAMPLES = 40
SETTLING_S = 90.0
ALPHA = 0.01
_MIB = 1 << 20
_BLOCKS = 60
_FEW_BLOCKS = 12
_LEAST_PIECE = 4
_PERSISTS = 0.25
_FADES = 0.45
# of its rise, what the last quarter of a warm-up that has settled may still bring; of a line it brings a quarter
_AT_REST = 0.05
_MOST_RHO = 0.97
_UNBOUNDED = Interval(None, None)
_Z95 = NormalDist().inv_cdf(0.975)

Points = list[tuple[float, float]]


class Direction(StrEnum):
    """What a series does; `RISING` is one that rose so far, watched too shortly to tell whether it goes on."""

    GROWING = "growing"
    RISING = "rising so far"
    STABLE = "stable"
    SHRINKING = "shrinking"
    TOO_FEW = "too few samples"


@dataclass(frozen=True, slots=True)
class Trend:
    """What a series does, judged by its part since `since_s`: slope a second with its 95 % interval, and the chance.

    `chance` is how often a series that only wanders would look like this (a p-value, two-sided, corrected where many
    were asked). `level` is the fit at the last sample, `gained` what the fit gained since `since_s`. `samples` and
    `span_s` are of the whole series, in `runs` runs. `settled` is true of one that rose before and now does not.
    """

    direction: Direction
    slope_per_s: float = 0.0
    interval: Interval = _UNBOUNDED
    chance: float = 1.0
    level: float = 0.0
    gained: float = 0.0
    samples: int = 0
    span_s: float = 0.0
    since_s: float = 0.0
    runs: int = 1
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds until a limit is reached, and the 95 % interval of that; `latest_s` is None where it has no end."""

    likely_s: float
    earliest_s: float
    latest_s: float | None


def memory_floor(level_bytes: float) -> float:
    """Return the least gain of memory that is worth a word: 1 MiB, or 1 % of what is held."""
    return max(_MIB, 0.01 * level_bytes)


def count_floor(level: float) -> float:
    """Return the least gain in objects that is worth a word: 10, or 1 % of those that there are."""
    return max(10.0, 0.01 * level)


def judge(times_s: Sequence[float], values: Sequence[float], floor: float, restarts_s: Sequence[float] = ()) -> Trend:
    """Return what a series does; `floor` is the least gain that counts, `restarts_s` when its process began anew.

    Times are seconds in ascending order, values finite. Fewer than `LEAST_SAMPLES` samples since the last restart are
    judged together with those of the runs before it; where these are too few as well, the verdict says so.
    """
    return _decided(_measured(times_s, values, floor, restarts_s))


def judge_many(
    times_s: Sequence[float], series: Mapping[str, Sequence[float]], floors: Mapping[str, float]
) -> dict[str, Trend]:
    """Return what each of many series on the same times does, their chances corrected for how many were asked."""
    trends = {name: _measured(times_s, values, floors[name]) for name, values in series.items()}
    asked = [name for name, trend in trends.items() if trend.direction is not Direction.TOO_FEW]
    fair = corrected([trends[name].chance for name in asked])
    trends |= {name: replace(trends[name], chance=chance) for name, chance in zip(asked, fair, strict=True)}
    return {name: _decided(trend) for name, trend in trends.items()}


def corrected(chances: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the false discovery rate after Benjamini and Hochberg (1995), in the same order."""
    order = sorted(range(len(chances)), key=chances.__getitem__, reverse=True)
    adjusted, least = [1.0] * len(chances), 1.0
    for rank, index in enumerate(order):
        least = min(least, chances[index] * len(chances) / (len(chances) - rank))
        adjusted[index] = least
    return adjusted


def forecast(trend: Trend, limit: float | None, level: float | None = None) -> Forecast | None:
    """Return when a growing series reaches `limit`; None where it does not grow, or there is none ahead.

    `level` is where it stands now, where that is better known than by the fit.
    """
    now = trend.level if level is None else level
    if limit is None or trend.direction is not Direction.GROWING or limit <= now:
        return None
    room = limit - now
    low, high = trend.interval.low, trend.interval.high
    return Forecast(
        room / trend.slope_per_s,
        room / max(high or trend.slope_per_s, trend.slope_per_s),
        room / low if low is not None and low > 0 else None,
    )


def settling_s(trend: Trend) -> float:
    """Return how long, in whole minutes, a series must be watched at its pace to tell a leak from a start."""
    pace_s = trend.span_s / max(trend.samples - 1, 1)
    # one minute more than just enough: a process is not asked on the dot
    return 60.0 * (max(SETTLING_S, SETTLING_SAMPLES * pace_s) // 60 + 1)


def _decided(trend: Trend) -> Trend:
    wanders = trend.chance > ALPHA and trend.direction in {Direction.GROWING, Direction.SHRINKING}
    return replace(trend, direction=Direction.STABLE) if wanders else trend


def _measured(
    times_s: Sequence[float], values: Sequence[float], floor: float, restarts_s: Sequence[float] = ()
) -> Trend:
    """Return the trend with the direction it would have if its chance were small enough."""
    points = list(zip(times_s, values, strict=True))
    runs = _runs(points, restarts_s)
    told = Trend(
        Direction.TOO_FEW,
        level=median(values[-_LEAST_PIECE:]) if points else 0.0,
        samples=len(points),
        span_s=points[-1][0] - points[0][0] if points else 0.0,
        runs=max(len(runs), 1),
    )
    alone = bool(runs) and len(runs[-1]) >= LEAST_SAMPLES
    used = [run for run in (runs[-1:] if alone else runs) if len(run) >= 2 * _LEAST_PIECE]
    pieces = [_later_half(run) for run in used]
    if sum(map(len, used)) < LEAST_SAMPLES or not all(piece[-1][0] > piece[0][0] for piece in pieces):
        return told
    blocks = [_blocks(piece, max(_BLOCKS // len(pieces), _LEAST_PIECE)) for piece in pieces]
    slope, interval, chance = _kendall(blocks)
    few = max(_FEW_BLOCKS // len(pieces), _LEAST_PIECE)
    wandering, reach = _drift([_blocks(piece, few) for piece in pieces])
    if not all(_reverts(piece, slope) for piece in blocks):
        chance = max(chance, wandering)
    low, high = interval.low, interval.high
    interval = Interval(slope - reach if low is None else low, slope + reach if high is None else high)
    last = blocks[-1]
    span_s = sum(piece[-1][0] - piece[0][0] for piece in blocks)
    level = median(value - slope * at for at, value in last) + slope * points[-1][0]
    direction, settled = Direction.STABLE, False
    if slope and abs(slope) * span_s >= floor and _persists(last, slope):
        rises = slope > 0 and (not alone or _is_highest(runs[-1]))
        settled = alone and rises and _levels_off(runs[-1], span_s)
        direction = Direction.SHRINKING if slope < 0 else Direction.GROWING if rises and not settled else direction
    elif alone:
        settled = level - quantile(sorted(value for _, value in runs[-1][:_LEAST_PIECE]), 0.5) >= floor
    told = replace(
        told,
        direction=direction,
        slope_per_s=slope,
        interval=interval,
        chance=chance,
        level=level,
        gained=slope * span_s,
        since_s=pieces[0][0][0],
        settled=settled,
    )
    return _not_yet_settled(told, runs[-1], floor) if alone else told


def _runs(points: Points, restarts_s: Iterable[float]) -> list[Points]:
    starts = sorted(restarts_s)
    runs: list[Points] = []
    index = 0
    current: Points = []
    for point in points:
        while index < len(starts) and point[0] >= starts[index]:
            index += 1
            if current:
                runs.append(current)
                current = []
        current.append(point)
    return [*runs, current] if current else runs


def _later_half(run: Points) -> Points:
    """Return the part of a run that a warm-up has left behind it."""
    middle = (run[0][0] + run[-1][0]) / 2
    later = [point for point in run if point[0] >= middle]
    return later if len(later) >= len(run) // 2 else run[len(run) // 2 :]


def _blocks(piece: Points, count: int) -> Points:
    """Return the medians of at most `count` stretches of as many samples each."""
    if len(piece) <= count:
        return piece
    edges = [round(index * len(piece) / count) for index in range(count + 1)]
    stretches = [piece[start:end] for start, end in pairwise(edges)]
    return [(fmean(at for at, _ in part), median(value for _, value in part)) for part in stretches]


def _slopes(piece: Points) -> list[float]:
    return [
        (later[1] - first[1]) / (later[0] - first[0])
        for index, first in enumerate(piece)
        for later in piece[index + 1 :]
        if later[0] > first[0]
    ]


def _kendall(pieces: list[Points]) -> tuple[float, Interval, float]:
    """Return the Theil-Sen slope, its interval and the Mann-Kendall chance, over pairs within the same piece.

    Pieces count as the seasons of Hirsch, Slack and Smith (1982): their statistics and variances add up.
    """
    slopes = sorted(slope for piece in pieces for slope in _slopes(piece))
    slope = quantile(slopes, 0.5)
    score = sum((each > 0) - (each < 0) for each in slopes)
    variances = [_kendall_variance(piece, slope) for piece in pieces]
    spread = math.sqrt(sum(variance for variance, _ in variances))
    z = max(abs(score) - 1, 0) / spread if spread else 0.0
    reach = math.sqrt(sum(variance for _, variance in variances))
    low = math.floor((len(slopes) - _Z95 * reach) / 2)
    high = math.ceil((len(slopes) + _Z95 * reach) / 2)
    interval = Interval(slopes[low] if low >= 0 else None, slopes[high] if high < len(slopes) else None)
    return slope, interval, 2 * (1 - NormalDist().cdf(z))


def _kendall_variance(piece: Points, slope: float) -> tuple[float, float]:
    """Return the variance of Kendall's score, less for ties, more for what follows on itself (Hamed and Rao 1998).

    The second is the same for the interval, for which short series must not pass for less correlated than they are.
    """
    n = len(piece)
    values = [value for _, value in piece]
    ties = (values.count(value) for value in set(values))
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties if t > 1)) / 18
    ranks = _ranks([value - slope * at for at, value in piece])
    middle = fmean(ranks)
    spread = sum((rank - middle) ** 2 for rank in ranks)
    if not spread:
        return variance, variance
    more, first = 0.0, 0.0
    for lag in range(1, n // 3 + 1):
        rho = sum((a - middle) * (b - middle) for a, b in zip(ranks, ranks[lag:], strict=False)) / spread
        first = rho if lag == 1 else first
        if rho > _Z95 / math.sqrt(n):
            more += (n - lag) * (n - lag - 1) * (n - lag - 2) * rho
    # beside a fitted slope, autocorrelation is estimated too low by (2 + 4 rho) / n (Marriott and Pope 1954)
    fair = min(first + (2 + 4 * first) / n, _MOST_RHO) if first > 1 / math.sqrt(n) else 0.0
    widened = variance * (1 + 2 * more / (n * (n - 1) * (n - 2)))
    return widened, max(widened, variance * (1 + fair) / (1 - fair))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the mean rank of each value."""
    order = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(order)))}
    last = {value: index for index, value in enumerate(order)}
    return [(first[value] + last[value]) / 2 for value in values]


def _reverts(piece: Points, slope: float) -> bool:
    """Say whether what is left beside the slope comes back to zero, and surely is no random walk.

    The augmented Dickey-Fuller test with one lag, at the 1 % of MacKinnon (2010) for a series with a trend.
    """
    left = [value - slope * at for at, value in piece]
    middle = fmean(left)
    rows = [
        (before - middle, before - earlier, now - before)
        for earlier, before, now in zip(left, left[1:], left[2:], strict=False)
    ]
    n = len(rows)
    if n < _FEW_BLOCKS:
        return False
    a, b, c = sum(x * x for x, _, _ in rows), sum(x * y for x, y, _ in rows), sum(y * y for _, y, _ in rows)
    u, v = sum(x * z for x, _, z in rows), sum(y * z for _, y, z in rows)
    determinant = a * c - b * b
    if not determinant > 1e-12 * a * c:
        return a == 0
    pull, carry = (c * u - b * v) / determinant, (a * v - b * u) / determinant
    error2 = sum((z - pull * x - carry * y) ** 2 for x, y, z in rows) / (n - 2)
    if not error2:
        return pull < 0
    return pull / math.sqrt(error2 * c / determinant) < -3.9638 - 8.353 / n - 47.44 / n**2


def _drift(pieces: list[Points]) -> tuple[float, float]:
    """Return the chance that increments of mean zero add up to this (two-sided), and the reach of the 95 % interval.

    By Student's t; of a series that wanders this bounds the slope where Sen's interval has no end.
    """
    pairs = [pair for piece in pieces for pair in pairwise(piece) if pair[1][0] > pair[0][0]]
    steps = [(later[0] - first[0], later[1] - first[1]) for first, later in pairs]
    whole_s, gained = sum(dt for dt, _ in steps), sum(step for _, step in steps)
    rate, freedom = gained / whole_s, len(steps) - 1
    square = sum((step - rate * dt) ** 2 / dt for dt, step in steps) / freedom
    if not square:
        return 0.0 if gained else 1.0, 0.0
    t2 = rate * rate * whole_s / square
    # Wallace (1959), the normal deviate of a Student's t
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t2 / freedom))
    # Fisher and Cornish (1960), the quantile of a Student's t
    quantile_95 = _Z95 + (_Z95**3 + _Z95) / (4 * freedom)
    return 2 * (1 - NormalDist().cdf(z)), quantile_95 * math.sqrt(square / whole_s)


def _persists(piece: Points, slope: float) -> bool:
    """Say whether the last third still moves as the whole does, and not only its beginning did."""
    third = piece[-max(len(piece) // 3, _LEAST_PIECE) :]
    return quantile(sorted(_slopes(third)), 0.5) / slope >= _PERSISTS


def _is_highest(run: Points) -> bool:
    """Say whether it is now above what it was before: what goes up and down comes back to where it has been."""
    half = len(run) // 2
    before = sorted(value for _, value in run[:half])
    return median(value for _, value in run[-max(half // 3, 1) :]) > quantile(before, 0.95)


def _levels_off(run: Points, span_s: float) -> bool:
    """Say whether it settles: its last quarter rises by much less than its second, and the third by no more."""
    quarter = len(run) // 4
    parts = [
        _blocks(run[start : start + quarter], _BLOCKS // 4) for start in (quarter, 2 * quarter, len(run) - quarter)
    ]
    if span_s <= 0 or any(len(part) < _LEAST_PIECE for part in parts):
        return False
    second, third, fourth = (quantile(sorted(_slopes(part)), 0.5) for part in parts)
    return second > 0 and third <= second and fourth <= _FADES * second


def _not_yet_settled(told: Trend, run: Points, floor: float) -> Trend:
    """Return that a run rose so far, where it surely did, has not come to rest, and is too short to say that it will.

    Of one that surely goes on rising, or falls, this changes nothing.
    """
    short = len(run) < SETTLING_SAMPLES or run[-1][0] - run[0][0] < SETTLING_S
    if not short or _decided(told).direction is not Direction.STABLE:
        return told
    slope, interval, chance = _kendall([_blocks(run, _BLOCKS)])
    gained, quarter = slope * (run[-1][0] - run[0][0]), run[-(len(run) // 4) :]
    late = quantile(sorted(_slopes(quarter)), 0.5) * (quarter[-1][0] - quarter[0][0])
    if gained < floor or chance > ALPHA or late < _AT_REST * gained or not _is_highest(run):
        return told
    rose = replace(told, direction=Direction.RISING, settled=False, gained=gained, since_s=run[0][0])
    return replace(rose, slope_per_s=slope, interval=interval, chance=chance)
