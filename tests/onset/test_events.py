import numpy as np
import pytest

from irkit.onset.events import LEAST_EVENTS, MARGIN, thickest

START_S, END_S = 1000.0, 1600.0


def poisson(random: np.random.Generator, first_s: float, last_s: float, per_s: float) -> np.ndarray:
    return random.uniform(first_s, last_s, random.poisson(per_s * (last_s - first_s)))


def test_steady_events_have_no_onset() -> None:
    found = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        found.append(
            thickest(np.sort(poisson(random, START_S, END_S, random.choice([0.02, 0.1, 1.0]))), START_S, END_S)
        )
    assert sum(each is not None for each in found) <= 4


@pytest.mark.parametrize("usual", [0.0, 0.02])
@pytest.mark.parametrize("rate", [0.2, 3.0])
def test_events_that_come_more_often_since_a_moment(usual: float, rate: float) -> None:
    held = near = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        onset = random.uniform(START_S + 150, END_S - 150)
        both = [poisson(random, START_S, END_S, usual), poisson(random, onset, END_S, rate)]
        found = thickest(np.sort(np.concatenate(both)), START_S, END_S)
        assert found is not None
        assert found.until_s is None or found.until_s > END_S - 30
        held += found.earliest_s - 1 <= onset <= found.latest_s + 1
        near += abs((found.earliest_s + found.latest_s) / 2 - onset) <= 4 / min(rate, 1)
    assert held >= 30
    assert near >= 34


def test_an_episode_ends_with_its_last_event() -> None:
    random = np.random.default_rng(1)
    found = thickest(np.sort(poisson(random, 1200.0, 1260.0, 1.0)), START_S, END_S)
    assert found is not None
    assert 1195 <= found.earliest_s <= found.latest_s <= 1205
    assert found.until_s == pytest.approx(1258, abs=4)


def test_a_burst_of_one_moment_and_a_handful_are_nothing() -> None:
    assert thickest(1300 + np.linspace(0, 0.9, 50), START_S, END_S) is None
    assert thickest(1500 + 10 * np.arange(LEAST_EVENTS - 1.0), START_S, END_S) is None
    assert thickest(np.array([]), START_S, END_S) is None


def test_fewer_events_are_enough_where_something_else_bears_them_out() -> None:
    few = np.linspace(1380, 1580, 7)
    assert thickest(few, START_S, END_S) is not None
    few = np.linspace(1355, 1590, 7)
    assert thickest(few, START_S, END_S) is None
    found = thickest(few, START_S, END_S, least_strength=3.0)
    assert found is not None
    assert 3 <= found.strength < MARGIN
    steady = np.linspace(1010, 1590, 7)
    assert thickest(steady, START_S, END_S, least_strength=3.0) is None
