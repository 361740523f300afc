"""Where along a series whose errors follow one another (AR(1)) a step, a hinge or an episode fits best.

The sums of squares for all places come from cumulative sums at once, of the whitened series and shape (`ar_fit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from irkit.onset.ar_fit import whiten

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
    Places = np.ndarray[tuple[int], np.dtype[np.int64]]

_GRID = 120


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
    white, near = _whitened(values, rho), 2 * (count // _GRID + 1)
    first, last = _coarse(count, least, edge)
    if not len(first):
        return None
    best = int(_episodes(white, rho, first, last).argmin())
    # coarse so far; now every sample around the best
    starts, ends = (np.arange(each - near, each + near + 1) for each in (int(first[best]), int(last[best])))
    first, last = _pairs(starts, ends, count, least, edge)
    best = int(_episodes(white, rho, first, last).argmin())
    return int(first[best]), int(last[best])


@lru_cache(maxsize=4)  # most series of a bundle are as long as one another
def _coarse(count: int, least: int, edge: int) -> tuple[Places, Places]:
    import numpy as np

    grid = np.unique(np.linspace(edge, count - edge, min(_GRID, count - 2 * edge)).astype(np.int64))
    return _pairs(grid, grid, count, least, edge)


def _pairs(starts: Places, ends: Places, count: int, least: int, edge: int) -> tuple[Places, Places]:
    """Return the starts and ends of all episodes that are long enough, and whose ends are not at the series' own."""
    import numpy as np

    first, last = (each.ravel() for each in np.meshgrid(starts, ends, indexing="ij"))
    fits = (last - first >= least) & (first >= edge) & (last <= count - edge)
    return first[fits], last[fits]


def _episodes(
    white: _Whitened,
    rho: float,
    first: Places,
    last: Places,
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
