"""Least squares for series whose errors follow one another (AR(1)), and where along a series a shape fits best.

The series and the shape are multiplied by the same whitening (Prais and Winsten, 1954); the sums of squares for all
places of a step, a hinge or an episode then come from cumulative sums at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
    Columns = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

MOST_RHO = 0.97
# heavy enough for logs' and latencies' outliers, light enough to stay close to least squares
_FREEDOM = 5.0
LEAST_VARIANCE = 1e-4
_STEPS = 3
_GRID = 120


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model: its log-likelihood, the autocorrelation of its errors, coefficients and residuals."""

    log_likelihood: float
    rho: float
    coefficients: Values
    residuals: Values


def autocorrelation(errors: Values, least_variance: float = 0.0) -> float:
    """Return the correlation of each error with the one before, from 0 to 0.97, corrected for short series.

    Errors beyond three standard deviations (by the median or the mean size) are drawn in to it. The correction
    is Kendall's (1954). Errors are taken to hold `least_variance` of noise that does not follow itself.
    """
    import numpy as np

    centred = errors - median(errors)
    sizes = np.abs(centred)
    limit = 3 * max(1.4826 * median(sizes), _mean(sizes))
    held = np.clip(centred, -limit, limit)
    whole = float(held @ held) + least_variance * len(held)
    raw = float(held[:-1] @ held[1:]) / whole if whole > 0 else 0.0
    return min(max(raw + (1 + 3 * raw) / len(errors), 0.0), MOST_RHO)


def median(values: Values) -> float:
    """Return the median as numpy does, a sixth of the time on series as short as ours; NaN where one of them is."""
    import numpy as np

    ordered = np.sort(values)
    half, odd = divmod(len(ordered), 2)
    middle = float(ordered[half]) if odd else float((ordered[half - 1] + ordered[half]) / 2)
    return middle if ordered[-1] == ordered[-1] else math.nan


def _mean(values: Values) -> float:
    """Return the mean as numpy does, without what it asks of its arguments first."""
    import numpy as np

    return float(np.add.reduce(values) / len(values))


def whiten(values: Values, rho: float) -> Values:
    """Return a series, or each column of a design, less `rho` times the sample before: AR(1) errors get independent."""
    white = values.copy()
    white[1:] -= rho * values[:-1]
    white[0] *= math.sqrt(1 - rho * rho)
    return white


def fit(values: Values, columns: Columns, least_variance: float = LEAST_VARIANCE, most_rho: float = MOST_RHO) -> Fit:
    """Fit the columns to a series with AR(1) errors of Student's t, by reweighted least squares.

    No noise is taken to be less than `least_variance`: a series that is constant for long would make any change of it
    infinitely unlikely.
    """
    import numpy as np

    coefficients = np.linalg.lstsq(columns, values, rcond=None)[0]
    for _ in range(_STEPS):
        rho = min(autocorrelation(values - columns @ coefficients, least_variance), most_rho)
        white, design = whiten(values, rho), whiten(columns, rho)
        errors = white - design @ coefficients
        weights = np.sqrt(_weights(errors, _variance_guess(errors, least_variance)))
        coefficients = np.linalg.lstsq(design * weights[:, None], white * weights, rcond=None)[0]
    residuals = values - columns @ coefficients
    rho = min(autocorrelation(residuals, least_variance), most_rho)
    likelihood = _log_likelihood(whiten(residuals, rho), least_variance) + 0.5 * math.log(1 - rho * rho)
    return Fit(likelihood, rho, coefficients, residuals)


def leftover_rho(values: Values, columns: Columns, least_variance: float = LEAST_VARIANCE) -> float:
    """Return the autocorrelation of what ordinary least squares leaves of a series."""
    import numpy as np

    return autocorrelation(values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0], least_variance)


def _variance_guess(errors: Values, least: float) -> float:
    return 2.2 * median(errors * errors) + least


def _weights(errors: Values, variance: float) -> Values:
    return (_FREEDOM + 1) / (_FREEDOM + errors * errors / variance)


def _log_likelihood(errors: Values, least: float) -> float:
    """Return the log-likelihood of independent errors of Student's t at their best scale, less its constant."""
    import numpy as np

    variance = _variance_guess(errors, least)
    for _ in range(8):
        variance = max(_mean(_weights(errors, variance) * errors * errors), least)
    tails = float(np.log1p(errors * errors / (_FREEDOM * variance)).sum())
    return -0.5 * len(errors) * math.log(variance) - 0.5 * (_FREEDOM + 1) * tails


@dataclass(frozen=True, slots=True)
class _Whitened:
    """A series and a level, whitened, and their products."""

    series: Values
    level: Values
    rest: float
    levels: float
    product: float

    def errors(self, by_series: Values, by_level: Values, by_itself: Values) -> Values:
        """Return the sum of squares left over by the level and a shape, given the products of the shape."""
        import numpy as np

        own = by_itself - by_level * by_level / self.levels
        gain = (by_series - by_level * self.product / self.levels) ** 2 / np.maximum(own, 1e-12)
        return np.maximum(self.rest - gain, 1e-9)


def _whitened(values: Values, rho: float) -> _Whitened:
    import numpy as np

    series, level = whiten(values, rho), whiten(np.ones(len(values)), rho)
    levels, product = float(level @ level), float(level @ series)
    return _Whitened(series, level, float(series @ series) - product * product / levels, levels, product)


def step_errors(values: Values, rho: float) -> Values:
    """Return the sum of squares of a step at each sample."""
    import numpy as np

    white, left, damped = _whitened(values, rho), np.arange(len(values), 0, -1), 1 - rho
    by_series, by_level = (each + damped * _after(each) for each in (white.series, white.level))
    return white.errors(by_series, by_level, 1 + damped * damped * (left - 1))


def hinge_errors(values: Values, rho: float) -> Values:
    """Return the sum of squares of a line that begins to rise or fall at each sample."""
    import numpy as np

    count = len(values)
    white, at, damped = _whitened(values, rho), np.arange(count), 1 - rho
    later = count - 1.0 - at
    by_series, by_level = (
        damped * (_after(each * at) - at * _after(each)) + rho * _after(each) for each in (white.series, white.level)
    )
    squares = later * (later + 1) * (2 * later + 1) / 6
    itself = damped * damped * squares + damped * rho * later * (later + 1) + rho * rho * later
    return white.errors(by_series, by_level, itself)


def episode_errors(values: Values, rho: float, end: int) -> Values:
    """Return the sum of squares of an episode up to `end` that begins at each sample before it."""
    import numpy as np

    starts = np.arange(len(values))
    return _episodes(_whitened(values, rho), rho, starts, np.full(len(values), end))


def best_episode(values: Values, rho: float, least: int, edge: int) -> tuple[int, int] | None:
    """Return start and end (the first sample after it) of the best episode of `least` samples or more, if any fits."""
    import numpy as np

    count = len(values)
    white = _whitened(values, rho)
    grid = np.unique(np.linspace(edge, count - edge, min(_GRID, count - 2 * edge)).astype(np.int64))
    near = 2 * (count // _GRID + 1)
    starts, ends = grid, grid
    place: tuple[int, int] | None = None
    for _ in range(2):  # coarse, then every sample around the best
        first, last = (each.ravel() for each in np.meshgrid(starts, ends, indexing="ij"))
        fits = (last - first >= least) & (first >= edge) & (last <= count - edge)
        first, last = first[fits], last[fits]
        if not len(first):
            return place
        best = int(_episodes(white, rho, first, last).argmin())
        place = int(first[best]), int(last[best])
        starts, ends = (np.arange(each - near, each + near + 1) for each in place)
    return place


def _episodes(
    white: _Whitened,
    rho: float,
    first: np.ndarray[tuple[int], np.dtype[np.int64]],
    last: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Values:
    import numpy as np

    damped = 1 - rho
    products = []
    for each in (white.series, white.level):
        sums = np.concatenate([[0.0], np.cumsum(each)])
        padded = np.append(each, 0.0)
        products.append(each[first] + damped * (sums[last] - sums[first + 1]) - rho * padded[last])
    return white.errors(products[0], products[1], 1 + damped * damped * (last - first - 1) + rho * rho)


def _after(values: Values) -> Values:
    """Return for each sample the sum of all later ones."""
    import numpy as np

    return np.cumsum(values[::-1])[::-1] - values
