import math

import pytest

from irkit.memory.trend import (
    ALPHA,
    LEAST_SAMPLES,
    Direction,
    Trend,
    corrected,
    count_floor,
    forecast,
    judge,
    judge_many,
    memory_floor,
    settling_s,
)
from tests.support.leaks import HEALTHY, LEAKS, MIB, dice, series

ROUNDS = 30
# in KiB, a second apart: a worker that keeps all it renders, as the load on it ebbs; two minutes later it was killed
EBBING = (
    48840, 49448, 50056, 50664, 51536, 52320, 53016, 53540, 54152, 55200, 55808, 56504,
    57204, 57636, 58160, 58596, 58944, 59028, 59120, 59384, 59816, 59992, 60340, 60424,
    60948,
)  # fmt: skip


def told(shape_name: str, seed: int) -> Trend:
    times, values = series({**HEALTHY, **LEAKS}[shape_name], f"{shape_name} {seed}")
    return judge(times, values, memory_floor(values[0]))


def line(
    count: int, slope: float, base: float = 100 * MIB, noise: float = 0.1 * MIB
) -> tuple[list[float], list[float]]:
    chance = dice(count)
    times = [float(at) for at in range(count)]
    return times, [base + slope * at + chance.gauss(0, noise) for at in times]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_service_is_seldom_called_a_leak(name: str) -> None:
    wrong = sum(told(name, seed).direction is Direction.GROWING for seed in range(ROUNDS))
    assert wrong <= 1, f"{wrong} of {ROUNDS}"


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_nearly_always_seen(name: str) -> None:
    seen = sum(told(name, seed).direction is Direction.GROWING for seed in range(ROUNDS))
    assert seen >= 0.8 * ROUNDS, f"{seen} of {ROUNDS}"


def test_many_healthy_types_asked_at_once_raise_no_alarm() -> None:
    chance = dice(7)
    times = [float(at) for at in range(40)]
    many = {f"type {number}": [1000 + chance.gauss(0, 40) for _ in times] for number in range(300)}
    floors = {name: count_floor(1000) for name in many}
    assert [
        name for name, trend in judge_many(times, many, floors).items() if trend.direction is Direction.GROWING
    ] == []
    many["leaks"] = [1000.0 + 30 * at for at in times]
    floors["leaks"] = count_floor(1000)
    growing = [name for name, trend in judge_many(times, many, floors).items() if trend.direction is Direction.GROWING]
    assert growing == ["leaks"]


def test_the_slope_its_interval_and_the_forecast_are_those_of_the_line() -> None:
    times, values = line(240, 0.5 * MIB)
    trend = judge(times, values, memory_floor(values[0]))
    assert trend.direction is Direction.GROWING
    assert trend.slope_per_s == pytest.approx(0.5 * MIB, rel=0.01)
    assert trend.interval.low is not None
    assert trend.interval.high is not None
    assert trend.interval.low <= trend.slope_per_s <= trend.interval.high
    assert trend.level == pytest.approx(values[-1], rel=0.01)
    ahead = forecast(trend, 400 * MIB)
    assert ahead is not None
    assert ahead.likely_s == pytest.approx((300 - 0.5 * 239) / 0.5, rel=0.05)
    assert ahead.latest_s is not None
    assert ahead.earliest_s <= ahead.likely_s <= ahead.latest_s


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_interval_holds_the_slope_about_as_often_as_it_says(rho: float) -> None:
    held = 0
    for seed in range(60):
        chance, noise, values = dice(seed), 0.0, []
        for at in range(120):
            noise = rho * noise + math.sqrt(1 - rho * rho) * chance.gauss(0, MIB / 10)
            values.append(100 * MIB + MIB / 3 * at + noise)
        found = judge([float(at) for at in range(120)], values, MIB).interval
        held += (found.low or -math.inf) < MIB / 3 < (found.high or math.inf)
    assert held >= 0.8 * 60


def test_no_limit_a_limit_behind_and_a_level_have_no_forecast() -> None:
    growing = judge(*line(100, MIB), memory_floor(100 * MIB))
    assert forecast(growing, None) is None
    assert forecast(growing, 50 * MIB) is None
    assert forecast(judge(*line(100, 0.0), MIB), 400 * MIB) is None


def test_what_falls_is_shrinking() -> None:
    assert judge(*line(100, -0.3 * MIB), memory_floor(100 * MIB)).direction is Direction.SHRINKING


def test_growth_below_the_noise_floor_is_stable() -> None:
    times = [float(at) for at in range(200)]
    trend = judge(times, [100 * MIB + 1024 * at for at in times], memory_floor(100 * MIB))
    assert trend.direction is Direction.STABLE


@pytest.mark.parametrize("count", [0, 1, 2, LEAST_SAMPLES - 1])
def test_few_samples_are_no_trend(count: int) -> None:
    trend = judge(*line(count, MIB), MIB)
    assert trend.direction is Direction.TOO_FEW
    assert trend.samples == count


def test_samples_all_at_one_time_are_no_trend() -> None:
    assert judge([5.0] * 40, [float(at) for at in range(40)], 1.0).direction is Direction.TOO_FEW


def test_a_constant_series_is_stable() -> None:
    trend = judge([float(at) for at in range(60)], [100.0 * MIB] * 60, MIB)
    assert trend.direction is Direction.STABLE
    assert trend.slope_per_s == 0


def test_a_warm_up_is_told_from_a_level() -> None:
    times = [float(at) for at in range(200)]
    warm = judge(times, [100 * MIB * (2 - math.exp(-at / 15)) for at in times], MIB)
    assert warm.direction is Direction.STABLE
    assert warm.settled
    assert not judge(times, [100.0 * MIB + at % 3 for at in times], MIB).settled


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_short_rise_that_never_falls_is_not_stable_for_slowing_down(first: int) -> None:
    values = [1024.0 * each for each in EBBING[first : first + 20]]
    trend = judge([float(at) for at in range(len(values))], values, memory_floor(values[0]))
    assert trend.direction is Direction.RISING
    assert not trend.settled
    assert trend.gained == pytest.approx(values[-1] - values[0], rel=0.25)
    assert settling_s(trend) == 120


def test_a_short_warm_up_that_has_come_to_rest_has_settled() -> None:
    times = [float(at) for at in range(20)]
    chance = dice(5)
    trend = judge(times, [100 * MIB * (2 - math.exp(-at / 3)) + chance.gauss(0, 20_000) for at in times], MIB)
    assert trend.direction is Direction.STABLE
    assert trend.settled


def test_a_warm_up_watched_for_long_enough_is_not_left_open() -> None:
    times = [4.0 * at for at in range(60)]
    trend = judge(times, [100 * MIB * (2 - math.exp(-at / 80)) for at in times], MIB)
    assert (trend.direction, trend.settled) == (Direction.STABLE, True)


def test_what_is_sampled_seldom_is_watched_for_longer() -> None:
    values = [1024.0 * each for each in EBBING[:20]]
    trend = judge([30.0 * at for at in range(20)], values, memory_floor(values[0]))
    assert trend.direction is Direction.RISING
    assert settling_s(trend) == 21 * 60


def test_runs_too_short_to_judge_alone_are_judged_together() -> None:
    chance = dice(3)
    times = [float(at) for at in range(60)]
    values = [100 * MIB + 4 * MIB * (at % 12) + chance.gauss(0, 0.1 * MIB) for at in times]
    restarts = [12.0, 24.0, 36.0, 48.0]
    trend = judge(times, values, memory_floor(values[0]), restarts)
    assert trend.direction is Direction.GROWING
    assert trend.runs == 5
    assert trend.slope_per_s == pytest.approx(4 * MIB, rel=0.1)
    assert judge(times, values, memory_floor(values[0])).direction is Direction.STABLE


def test_only_the_last_run_counts_where_it_is_long_enough() -> None:
    times, values = line(100, MIB)
    level = [100.0 * MIB + at % 5 * 1024 for at in times]
    later = [at + 100 for at in times]
    assert judge([*times, *later], [*values, *level], MIB, [100.0]).direction is Direction.STABLE
    assert judge([*times, *later], [*level, *values], MIB, [100.0]).direction is Direction.GROWING


def test_the_correction_is_that_of_benjamini_and_hochberg() -> None:
    given = [0.01, 0.04, 0.03, 0.005]
    assert corrected(given) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert corrected([]) == []
    assert max(corrected([0.9, 0.8])) <= 1
    assert ALPHA == 0.01
