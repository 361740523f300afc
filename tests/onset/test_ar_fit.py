import numpy as np
import pytest

from irkit.onset.ar_fit import autocorrelation, fit, fits, median, whiten

RANDOM = np.random.default_rng(20261124)


def ar1(rho: float, count: int, seed: int) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal(count)
    values = shocks.copy()
    for index in range(1, count):
        values[index] = rho * values[index - 1] + np.sqrt(1 - rho * rho) * shocks[index]
    return values


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


def test_designs_of_any_width_are_fitted_at_once_as_each_is_alone() -> None:
    at = np.arange(90)
    values = ar1(0.5, 90, 10) + 4 * (at >= 50)
    designs = [np.ones((90, 1)), np.column_stack([np.ones(90), at >= 50]), RANDOM.standard_normal((90, 3))]
    for together, design in zip(fits(values, designs), designs, strict=True):
        alone = fit(values, design)
        assert together.coefficients == pytest.approx(alone.coefficients)
        assert together.residuals == pytest.approx(alone.residuals)
        assert (together.log_likelihood, together.rho) == pytest.approx((alone.log_likelihood, alone.rho))


def test_each_design_may_have_a_series_of_its_own() -> None:
    rows = np.stack([ar1(0.2, 60, 11), ar1(0.8, 60, 12)])
    together = fits(rows, [np.ones((60, 1))] * 2)
    assert [each.rho for each in together] == [fit(row, np.ones((60, 1))).rho for row in rows]


def test_columns_that_say_the_same_share_what_they_explain() -> None:
    values = ar1(0.3, 50, 13) + 5
    twice, once = fit(values, np.ones((50, 2))), fit(values, np.ones((50, 1)))
    assert twice.log_likelihood == pytest.approx(once.log_likelihood)
    assert twice.coefficients.sum() == pytest.approx(once.coefficients[0])


def test_errors_follow_no_further_than_beyond_what_least_squares_leave_over() -> None:
    values = ar1(0.9, 200, 14)
    (held,) = fits(values, [np.ones((200, 1))], rho_slack=-0.5)
    assert held.most_rho == pytest.approx(autocorrelation(values - values.mean(), 1e-4) - 0.5)
    assert held.rho == held.most_rho < held.highest_rho


def test_a_design_is_whitened_as_its_columns_are() -> None:
    design = RANDOM.standard_normal((20, 3))
    assert (whiten(design.T, 0.4) == [whiten(column, 0.4) for column in design.T]).all()
