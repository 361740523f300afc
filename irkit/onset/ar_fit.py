"""Least squares for series whose errors follow one another (AR(1)), with tails as heavy as those of logs and latencies.

The series and its design are multiplied by the same whitening (Prais and Winsten, 1954).
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model: its log-likelihood, the autocorrelation of its errors, coefficients and residuals.

    `most_rho` is the most that autocorrelation could be, `highest_rho` the highest that any step of the fit took.
    """

    log_likelihood: float
    rho: float
    coefficients: Values
    residuals: Values
    most_rho: float = MOST_RHO
    highest_rho: float = 0.0


def autocorrelation(errors: Values, least_variance: float = 0.0) -> float:
    """Return the correlation of each error with the one before, from 0 to 0.97, corrected for short series.

    Errors beyond three standard deviations (by the median or the mean size) are drawn in to it. The correction
    is Kendall's (1954). Errors are taken to hold `least_variance` of noise that does not follow itself.
    """
    return float(_autocorrelations(errors[None], least_variance)[0])


def median(values: Values) -> float:
    """Return the median of numbers to the bit as numpy does, in a fraction of its time on series as short as ours."""
    return float(_medians(values[None])[0])


def _autocorrelations(errors: Values, least_variance: float) -> Values:
    """Return the autocorrelation of each row of errors."""
    import numpy as np

    count = errors.shape[1]
    centred = errors - _medians(errors)[:, None]
    sizes = np.abs(centred)
    limit = 3 * np.maximum(1.4826 * _medians(sizes), np.add.reduce(sizes, axis=1) / count)[:, None]
    held = np.minimum(np.maximum(centred, -limit), limit)
    whole = np.einsum("ij,ij->i", held, held) + least_variance * count
    # without any error none follows another
    raw = np.einsum("ij,ij->i", held[:, :-1], held[:, 1:]) / np.where(whole > 0, whole, np.inf)
    rho: Values = np.minimum(np.maximum(raw + (1 + 3 * raw) / count, 0.0), MOST_RHO)
    return rho


def _medians(rows: Values) -> Values:
    """Return the median of each row, of numbers only; a fraction of the time that numpy takes on rows this short."""
    import numpy as np

    ordered = np.sort(rows, axis=1)
    half, odd = divmod(rows.shape[1], 2)
    return ordered[:, half] if odd else (ordered[:, half - 1] + ordered[:, half]) / 2


def whiten(values: Values, rho: float | Values) -> Values:
    """Return a series, or each row of several, less `rho` times the sample before: AR(1) errors get independent.

    `rho` is one for all, or has the axes of `values`, the last of length 1.
    """
    import numpy as np

    white = values.copy()
    white[..., 1:] -= rho * values[..., :-1]
    white[..., :1] *= np.sqrt(1 - np.square(rho))
    return white


def fit(values: Values, columns: Columns, least_variance: float = LEAST_VARIANCE, most_rho: float = MOST_RHO) -> Fit:
    """Fit the columns to a series with AR(1) errors of Student's t, by reweighted least squares.

    No noise is taken to be less than `least_variance`: a series that is constant for long would make any change of it
    infinitely unlikely.
    """
    return fits(values, [columns], least_variance, most_rho)[0]


def fits(
    values: Values,
    designs: Sequence[Columns],
    least_variance: float = LEAST_VARIANCE,
    most_rho: float = MOST_RHO,
    rho_slack: float | None = None,
) -> list[Fit]:
    """Fit several designs as `fit` does, all at once: on series as short as ours, that takes little more than one.

    `values` is one series for all designs, or has a row for each. With `rho_slack` no autocorrelation goes further than
    that beyond what ordinary least squares leave over.
    """
    import numpy as np

    stack, spare = _stacked(designs)
    rows = np.broadcast_to(values, (len(designs), stack.shape[2]))
    most: Values = np.full(len(designs), most_rho)
    coefficients = _solved(stack, rows, None, spare)
    highest: Values = np.zeros(len(designs))
    for step in range(_STEPS):
        found = _autocorrelations(rows - _product(stack, coefficients), least_variance)
        if step == 0 and rho_slack is not None:
            most = np.minimum(found + rho_slack, most)
        rho = np.minimum(found, most)
        highest = np.maximum(highest, found)
        white, design = whiten(rows, rho[:, None]), whiten(stack, rho[:, None, None])
        errors = white - _product(design, coefficients)
        weights = _weights(errors, _variance_guess(errors, least_variance))
        coefficients = _solved(design, white, weights, spare)
    residuals = rows - _product(stack, coefficients)
    found = _autocorrelations(residuals, least_variance)
    rho = np.minimum(found, most)
    likelihood = _log_likelihood(whiten(residuals, rho[:, None]), least_variance) + 0.5 * np.log(1 - rho * rho)
    return [
        Fit(
            float(likelihood[index]),
            float(rho[index]),
            coefficients[index, : columns.shape[1]],
            residuals[index],
            float(most[index]),
            float(max(highest[index], found[index])),
        )
        for index, columns in enumerate(designs)
    ]


def _stacked(designs: Sequence[Columns]) -> tuple[Values, Values]:
    """Return designs with a row for each column, and what a missing row weighs: its coefficient is 0."""
    import numpy as np

    widths = np.array([columns.shape[1] for columns in designs])
    most = int(widths.max())
    stack = np.zeros((len(designs), most, len(designs[0])))
    for index, columns in enumerate(designs):
        stack[index, : columns.shape[1]] = columns.T
    return stack, np.eye(most) * (np.arange(most) >= widths[:, None])[:, None, :]


def _product(stack: Values, coefficients: Values) -> Values:
    return (coefficients[:, None, :] @ stack)[:, 0, :]


def _solved(stack: Values, rows: Values, weights: Values | None, spare: Values) -> Values:
    """Return the coefficients of weighted least squares, of equally good ones the smallest."""
    import numpy as np

    weighted = stack if weights is None else stack * weights[:, None, :]
    products, aims = weighted @ stack.transpose(0, 2, 1) + spare, weighted @ rows[:, :, None]
    try:
        solved = np.linalg.solve(products, aims)
    except np.linalg.LinAlgError:
        solved = np.linalg.pinv(products, hermitian=True) @ aims
    return solved[:, :, 0]


def _variance_guess(errors: Values, least: float) -> Values:
    return 2.2 * _medians(errors * errors)[:, None] + least


def _weights(errors: Values, variance: Values) -> Values:
    return (_FREEDOM + 1) / (_FREEDOM + errors * errors / variance)


def _log_likelihood(errors: Values, least: float) -> Values:
    """Return the log-likelihood of rows of independent errors of Student's t at their best scale, less its constant."""
    import numpy as np

    count, squares = errors.shape[1], errors * errors
    variance = _variance_guess(errors, least)
    for _ in range(8):
        weighted = (_FREEDOM + 1) / (_FREEDOM + squares / variance) * squares
        variance = np.maximum(np.add.reduce(weighted, axis=1) / count, least)[:, None]
    tails: Values = np.add.reduce(np.log1p(squares / (_FREEDOM * variance)), axis=1)
    scale: Values = np.log(variance[:, 0])
    return -0.5 * count * scale - 0.5 * (_FREEDOM + 1) * tails
