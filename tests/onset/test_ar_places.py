import numpy as np
import pytest

from irkit.onset.ar_fit import whiten
from irkit.onset.ar_places import best_episode, episode_errors, hinge_errors, step_errors

SERIES = np.cumsum(np.random.default_rng(20261124).standard_normal(60))


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
