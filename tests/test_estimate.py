import math
import random
from statistics import NormalDist

import pytest

from irkit.estimate import Interval, chance_of_at_most, quantile, quantile_interval, share_interval, slope_interval


def test_binomial_chances_are_exact_for_small_and_close_for_large_samples() -> None:
    assert chance_of_at_most(1, 3, 0.5) == pytest.approx(0.5)
    assert chance_of_at_most(-1, 3, 0.5) == 0
    assert chance_of_at_most(3, 3, 0.5) == 1
    for n in (2_000, 20_001):
        k = n // 20
        logs = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1))
        powers = (i * math.log(0.05) + (n - i) * math.log(0.95) for i in range(k + 1))
        exact = math.fsum(math.exp(a + b) for a, b in zip(logs, powers, strict=True))
        assert chance_of_at_most(k, n, 0.05) == pytest.approx(exact, abs=1e-9 if n < 20_001 else 0.01)
        assert chance_of_at_most(n - k - 1, n, 0.95) == pytest.approx(1 - exact, abs=1e-9 if n < 20_001 else 0.01)


def test_a_quantile_is_between_its_neighbours() -> None:
    assert quantile([1.0], 0.95) == 1.0
    assert quantile([0.0, 10.0], 0.95) == pytest.approx(9.5)


@pytest.mark.parametrize(("n", "bounded"), [(1, False), (20, False), (71, False), (72, True), (5000, True)])
def test_small_samples_do_not_bound_a_p95_from_above(n: int, bounded: bool) -> None:  # noqa: FBT001
    assert (quantile_interval([float(i) for i in range(n)], 0.95).high is not None) is bounded


@pytest.mark.parametrize("n", [100, 300, 4000])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int) -> None:
    source, truth, held = random.Random(7), NormalDist().inv_cdf(0.95), 0  # noqa: S311 (no secret)
    for _ in range(300):
        interval = quantile_interval(sorted(source.gauss(0, 1) for _ in range(n)), 0.95)
        assert interval.low is not None
        held += interval.low <= truth <= (math.inf if interval.high is None else interval.high)
    assert held >= 0.92 * 300


def test_a_share_of_few_is_wide_and_stays_a_share() -> None:
    assert share_interval(0, 0).high == 1.0
    nothing, everything = share_interval(0, 3), share_interval(3, 3)
    assert nothing.low == 0
    assert everything.high == 1
    assert nothing.high is not None
    assert nothing.high > 0.5
    # Wilson's interval for 10 of 50, from his formula
    tenth = share_interval(10, 50)
    assert (tenth.low, tenth.high) == (pytest.approx(0.1124, abs=1e-4), pytest.approx(0.3304, abs=1e-4))


def test_a_slope_is_found_through_outliers() -> None:
    times = [float(i) for i in range(40)]
    values = [3.0 * t + (500.0 if t % 10 == 5 else 0.0) for t in times]
    slope, interval = slope_interval(times, values)
    assert slope == pytest.approx(3.0)
    assert interval.low is not None
    assert interval.low <= 3.0


def test_noise_has_no_slope() -> None:
    source = random.Random(7)  # noqa: S311 (no secret)
    _, interval = slope_interval([float(i) for i in range(60)], [source.gauss(0, 1) for _ in range(60)])
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 0 < interval.high


def test_residuals_that_follow_one_another_widen_the_interval_of_a_slope() -> None:
    source, held, wide = random.Random(7), 0, 0  # noqa: S311 (no secret)
    times = [float(i) for i in range(120)]
    for _ in range(100):
        values, error = [], 0.0
        for time in times:
            error = 0.7 * error + source.gauss(0, 1)
            values.append(0.05 * time + error)
        _, interval = slope_interval(times, values)
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 0.05 <= interval.high
        wide += interval.high - interval.low > 0.025  # twice the width that independent errors of this size give
    assert held >= 88
    assert wide >= 80


def test_an_exact_slope_has_no_width_and_one_moment_has_none_at_all() -> None:
    times = [float(i) for i in range(40)]
    assert slope_interval(times, [7.0 + time for time in times])[1] == Interval(1.0, 1.0)
    assert slope_interval([5.0] * 9, times[:9]) == (0.0, Interval(None, None))
