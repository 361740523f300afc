from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from irkit.onset.episodes import Episode, episode_of, telling_stretch, worst_stretch

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def checks(told: str) -> list[tuple[datetime, bool]]:
    """One check a second, `x` for one that failed."""
    return [(at(second), sign != "x") for second, sign in enumerate(told)]


@pytest.mark.parametrize(
    ("told", "ends", "episode"),
    [
        ("", (), Episode()),
        ("....", (), Episode()),
        ("..xx", (), Episode(at(2))),
        ("...x", (), Episode(at(3))),
        ("xxxx", (), Episode(at(0))),
        (".xx..", (), Episode(at(1), at(3))),
        (".x...", (), Episode()),  # a hiccup
        (".xx.x..", (), Episode(at(1), at(3))),
        (".xx.xx.", (), Episode(at(4), at(6))),
        ("...", (7,), Episode(at(7))),
        ("", (5,), Episode(at(5))),
    ],
)
def test_the_episode_of_checks(told: str, ends: tuple[int, ...], episode: Episode) -> None:
    assert episode_of(checks(told)[::-1], [at(second) for second in ends]) == episode


def test_a_crash_alone_makes_an_episode_that_ends_with_the_next_pass() -> None:
    crash = at(1) + timedelta(milliseconds=500)
    assert episode_of(checks("...."), [crash]) == Episode(crash, at(2))


def test_one_check_that_passed_right_before_a_crash_ends_no_failing() -> None:
    crash = at(5) + timedelta(milliseconds=500)
    assert episode_of(checks("..xxx.x"), [crash]).onset == at(2)
    assert episode_of(checks("..xxx.x.."), [crash]) == Episode(at(2), at(7))
    # nor where a check met the crash before the Engine told of it; the Engine soon forgets such a check
    assert episode_of(checks("..xxx.xx"), [at(7) + timedelta(milliseconds=500)]).onset == at(2)
    assert episode_of(checks("..xxx.x.x"), [at(8) + timedelta(milliseconds=500)]).onset == at(6), "it was well at 5"
    assert episode_of(checks("..xxx..x.."), [at(6) + timedelta(milliseconds=500)]).onset != at(2), (
        "it was well for a while"
    )
    assert episode_of(checks("..xxx.x..."), []) == Episode(at(2), at(5)), "without a crash it is a hiccup that follows"


def flags(*parts: tuple[int, bool]) -> np.ndarray:
    return np.concatenate([np.full(length, value) for length, value in parts])


def test_the_stretch_is_found_where_it_is() -> None:
    stretch = worst_stretch(flags((500, False), (30, True), (400, False)), 0.01, 0.3)
    assert stretch is not None
    assert (stretch.first, stretch.last, stretch.bad, stretch.total) == (500, 529, 30, 30)
    assert stretch.expected_by_chance < 1e-20


def test_a_stretch_begins_and_ends_with_a_bad_event() -> None:
    every_third = np.arange(90) % 3 == 1
    stretch = worst_stretch(np.concatenate([np.zeros(200, bool), every_third, np.zeros(200, bool)]), 0.01, 0.3)
    assert stretch is not None
    assert (stretch.first, stretch.last, stretch.bad) == (201, 288, 30)


def test_what_is_usual_is_put_down_to_chance() -> None:
    stretch = worst_stretch(np.arange(1000) % 100 == 0, 0.01, 0.3)
    assert stretch is not None
    assert stretch.expected_by_chance > 1


@pytest.mark.parametrize("length", [0, 1, 100])
def test_nothing_bad_is_no_stretch(length: int) -> None:
    assert worst_stretch(np.zeros(length, bool), 0.01, 0.3) is None


def test_false_alarms_are_as_rare_as_promised() -> None:
    random = np.random.default_rng(20261124)
    alarms = 0
    for _ in range(2000):
        stretch = worst_stretch(random.random(300) < 0.01, 0.01, 0.3)
        alarms += stretch is not None and stretch.expected_by_chance < 0.01
    assert alarms <= 20  # one in a hundred


@pytest.mark.parametrize(
    ("told", "step_s", "first", "last"),
    [
        ("x" * 60 + "." * 60 + "x" * 20, 10, 120, 139),  # the smaller goes on, ten minutes after the larger was over
        ("x" * 60 + "." * 60 + "x" * 20 + "." * 5, 10, 120, 139),
        ("x" * 60 + "." * 60 + "x" * 20 + "." * 20, 10, 0, 59),  # both are over: the worse
        ("x" * 60 + "." * 60 + "x" * 20, 1, 0, 139),  # a minute between them: one trouble
        ("x" * 60 + "." * 60 + "x", 10, 0, 59),  # one bad event is no trouble of its own
        ("x" * 60 + "." * 9 + "x" * 20, 60, 0, 88),  # few events keep nothing apart, however long they take
        (("x" + "." * 7) * 20, 60, 0, 152),  # one in eight, all along
    ],
)
def test_of_two_troubles_that_are_minutes_apart_the_one_that_goes_on_is_told(
    told: str, step_s: int, first: int, last: int
) -> None:
    bad = np.array([sign == "x" for sign in told])
    times = pd.Series([at(second * step_s) for second in range(len(told))])
    found = telling_stretch(bad, times, 0.01, 0.3)
    assert found is not None
    assert (found.first, found.last) == (first, last)


def test_where_nothing_is_bad_no_stretch_is_told() -> None:
    assert telling_stretch(np.zeros(5, dtype=bool), pd.Series([at(0)] * 5), 0.01, 0.3) is None
