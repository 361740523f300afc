import math

import numpy as np
import pytest

from irkit.ar_fit import (
    autocorrelation,
    best_episode,
    episode_errors,
    fit,
    hinge_errors,
    median,
    step_errors,
    whiten,
)

RANDOM = np.random.default_rng(20261124)
SERIES = np.cumsum(RANDOM.standard_normal(60))


def ar1(rho: float, count: int, seed: int) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal(count)
    values = shocks.copy()
    for index in range(1, count):
        values[index] = rho * values[index - 1] + np.sqrt(1 - rho * rho) * shocks[index]
    return values


def least_squares(column: np.ndarray, rho: float) -> float:
    """The same sum of squares by an ordinary solver."""
    design = np.column_stack([whiten(np.ones(len(SERIES)), rho), whiten(column, rho)])
    white = whiten(SERIES, rho)
    coefficients = np.linalg.lstsq(design, white, rcond=None)[0]
    return float(((white - design @ coefficients) ** 2).sum())


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("start", [3, 30, 55])
def test_sums_of_squares_for_all_places_at_once_are_those_of_a_solver(rho: float, start: int) -> None:
    at = np.arange(len(SERIES))
    assert step_errors(SERIES, rho)[start] == pytest.approx(least_squares((at >= start) * 1.0, rho))
    assert hinge_errors(SERIES, rho)[start] == pytest.approx(least_squares(np.maximum(at - start, 0) * 1.0, rho))
    episode = ((at >= start) & (at < 58)) * 1.0
    assert episode_errors(SERIES, rho, 58)[start] == pytest.approx(least_squares(episode, rho))


@pytest.mark.parametrize("count", [40, 500, 2000])
def test_the_best_episode_is_found_to_the_sample(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count) * 0.1
    first, last = count // 3 + 1, count // 3 + 14
    values[first:last] += 5
    assert best_episode(values, 0.0, 6, 3) == (first, last)


def test_no_episode_fits_into_too_few_samples() -> None:
    assert best_episode(SERIES[:10], 0.0, 6, 3) is None


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_is_near_the_true_one(rho: float) -> None:
    assert autocorrelation(ar1(rho, 2000, 7)) == pytest.approx(rho, abs=0.06)


def test_a_few_wild_samples_do_not_hide_autocorrelation() -> None:
    values = ar1(0.6, 1000, 8)
    values[::100] += 50
    assert autocorrelation(values) == pytest.approx(0.6, abs=0.15)


def test_a_fit_gives_coefficients_back_through_heavy_tails() -> None:
    at = np.arange(400)
    noise = np.random.default_rng(9).standard_t(2, 400)
    fitted = fit(3 + 0.1 * at + noise, np.column_stack([np.ones(400), at]))
    assert fitted.coefficients == pytest.approx([3, 0.1], abs=0.3)


def test_a_constant_series_has_a_finite_likelihood() -> None:
    assert np.isfinite(fit(np.zeros(50), np.ones((50, 1))).log_likelihood)


def test_the_median_is_numpys_to_the_bit() -> None:
    for count in (1, 2, 3, 30, 31, 240):
        values = RANDOM.standard_normal(count)
        assert median(values) == np.median(values)
    assert math.isnan(median(np.array([1.0, np.nan, 2.0])))


def test_a_design_is_whitened_as_its_columns_are() -> None:
    design = RANDOM.standard_normal((20, 3))
    assert (whiten(design, 0.4) == np.column_stack([whiten(column, 0.4) for column in design.T])).all()
