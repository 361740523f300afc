from __future__ import annotations

import numpy as np
import pytest

from irkit.onset.events import MARGIN, Thickest, thickest
from irkit.onset.trials import LEAST_BAD, worst

END_S = 900.0


def tried(
    random: np.random.Generator, count: int, usual: float, broken: float, onset_s: float, end_s: float = END_S
) -> tuple[np.ndarray, np.ndarray]:
    asked_s = np.sort(random.uniform(0, end_s, count))
    return asked_s, random.random(count) < np.where(asked_s >= onset_s, broken, usual)


def within(found: Thickest | None, onset_s: float, near_s: float) -> bool:
    return found is not None and abs((found.earliest_s + found.latest_s) / 2 - onset_s) <= near_s


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("count", [60, 600])
def test_a_steady_share_of_failures_has_no_onset(count: int, share: float) -> None:
    found = []
    for seed in range(100):
        asked_s, bad = tried(np.random.default_rng(seed), count, share, share, 0.0)
        found.append(worst(asked_s, asked_s, bad, END_S))
    assert sum(each is not None for each in found) <= 2


def test_a_busier_hour_with_the_same_share_of_failures_is_no_onset_though_there_are_more() -> None:
    alone, beside = 0, 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        asked_s = np.sort(np.concatenate([random.uniform(0, END_S, 150), random.uniform(600, END_S, 400)]))
        bad = random.random(len(asked_s)) < 0.15
        alone += thickest(asked_s[bad], 0.0, END_S) is not None
        beside += worst(asked_s, asked_s, bad, END_S) is not None
    assert alone >= 36
    assert beside <= 4


@pytest.mark.parametrize(("count", "broken"), [(30, 1.0), (60, 0.5), (600, 0.5)])
def test_it_is_nearer_and_oftener_told_than_by_the_times_of_failures_alone(count: int, broken: float) -> None:
    near = held = by_times = 0
    end_s = count * 1.5
    for seed in range(100):
        random = np.random.default_rng(seed)
        onset_s = random.uniform(0.35, 0.65) * end_s
        asked_s, bad = tried(random, count, 0.0, broken, onset_s, end_s)
        found = worst(asked_s, asked_s, bad, end_s)
        near += within(found, onset_s, 5)
        held += found is not None and found.earliest_s <= onset_s <= found.latest_s
        by_times += within(thickest(asked_s[bad], 0.0, end_s), onset_s, 5)
    assert near >= by_times
    assert near >= 75
    assert held >= 85


def test_a_few_failures_of_all_that_is_asked_tell_when_it_began() -> None:
    asked_s = np.arange(0, 80, 4.0)
    bad = asked_s >= 64
    assert int(bad.sum()) == LEAST_BAD + 1
    found = worst(asked_s, asked_s + 0.1, bad, 80.0)
    assert found is not None
    assert found.strength >= MARGIN
    assert found.latest_s == pytest.approx(64.1)
    assert 52 <= found.earliest_s <= 60
    assert found.until_s is None
    assert thickest(asked_s[bad], 0.0, 80.0) is None


def test_one_that_waited_for_its_time_out_was_struck_when_it_began_to_wait() -> None:
    asked_s = np.arange(0, 90, 1.5)
    bad = asked_s >= 60
    done_s = asked_s + np.where(bad, 5.0, 0.1)
    found = worst(asked_s, done_s, bad, 95.0)
    assert found is not None
    assert found.latest_s == pytest.approx(60.1)
    assert 57 <= found.earliest_s <= 58.5


def test_an_episode_ends_with_its_last_failure() -> None:
    asked_s = np.arange(0, 300, 1.0)
    bad = (asked_s >= 100) & (asked_s < 140)
    found = worst(asked_s, asked_s, bad, 300.0)
    assert found is not None
    assert (found.earliest_s, found.latest_s, found.until_s) == (99.0, 100.0, 139.0)


def test_failures_of_one_second_count_once() -> None:
    asked_s = np.concatenate([np.arange(0, 100, 1.0), 80 + np.arange(10) / 20])
    bad = np.arange(len(asked_s)) >= 100
    order = np.argsort(asked_s, kind="stable")
    assert worst(asked_s[order], asked_s[order], bad[order], 100.0) is None


def test_what_fails_from_the_first_to_the_last_has_no_onset() -> None:
    asked_s = np.arange(0, 60, 1.0)
    assert worst(asked_s, asked_s, np.ones(60, dtype=bool), 60.0) is None
    assert worst(asked_s, asked_s, np.zeros(60, dtype=bool), 60.0) is None
    assert worst(asked_s[:0], asked_s[:0], np.zeros(0, dtype=bool), 60.0) is None
