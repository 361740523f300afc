import numpy as np
import pytest

from irkit.logs.patterns.changes import Change, Rates, rates_of


def lines(*stretches: tuple[float, float, int]) -> np.ndarray:
    return np.concatenate([np.linspace(start, end, count, endpoint=False) for start, end, count in stretches])


def told(at_s: np.ndarray, onset_s: float | None = 600.0) -> Rates:
    return rates_of(at_s, 0.0, onset_s, 900.0)


def test_a_pattern_never_seen_before_the_onset_is_new_since_its_first_line() -> None:
    found = told(lines((700, 900, 40)))
    assert (found.change, found.since_s, found.before_per_minute) == (Change.NEW, 700.0, 0.0)
    assert found.chance is not None
    assert found.chance < 1e-9


def test_one_line_is_new_too_but_may_be_chance() -> None:
    found = told(np.array([650.0]))
    assert found.change is Change.NEW
    assert found.chance == pytest.approx(1 / 3)


def test_ten_times_the_rate_is_exploding_since_it_does() -> None:
    found = told(lines((0, 720, 72), (720, 900, 180)))
    assert found.change is Change.EXPLODING
    assert found.since_s == pytest.approx(720, abs=10)


def test_a_pattern_that_stops_is_gone_since_its_last_line() -> None:
    found = told(lines((0, 610, 61)), 611.0)
    assert (found.change, found.since_s) == (Change.GONE, 600.0)


@pytest.mark.parametrize("count", [1, 3, 90, 9000])
def test_a_steady_pattern_is_steady(count: int) -> None:
    assert told(lines((1, 900, count * 3))).change is Change.STEADY


def test_a_rare_line_that_does_not_come_again_is_not_gone() -> None:
    assert told(np.array([100.0, 400.0])).change is Change.STEADY


def test_bursts_before_make_a_burst_after_no_explosion() -> None:
    before = np.concatenate([start + np.linspace(0, 1, 60) for start in (50.0, 250.0, 450.0)])
    after = np.concatenate([start + np.linspace(0, 1, 60) for start in (620.0, 680.0, 740.0, 820.0, 880.0)])
    assert told(np.concatenate([before, after])).change is Change.STEADY


@pytest.mark.parametrize("onset_s", [None, 0.0, 29.0, 900.0])
def test_without_a_before_and_an_after_nothing_is_claimed(onset_s: float | None) -> None:
    assert told(lines((1, 900, 50)), onset_s) == Rates(Change.UNKNOWN, None, None, None, None)


def test_steady_patterns_hardly_ever_seem_to_explode() -> None:
    random = np.random.default_rng(20261124)
    alarms = sum(
        told(np.sort(random.uniform(0, 900, random.integers(1, 400)))).change in {Change.EXPLODING, Change.GONE}
        for _ in range(2000)
    )
    assert alarms <= 6
