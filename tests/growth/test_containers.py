"""How memory moves: leaks are told from what healthy memory does, whatever the noise on it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from irkit.growth.containers import Course, Growth, growths

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
STEP = timedelta(seconds=5)
MIB = 1 << 20
LIMIT_MIB = 256
COUNT = 120
AT = np.arange(COUNT)
Levels = np.ndarray
QUIET = {Course.LEVEL, Course.SETTLES, Course.SAW_TOOTH, Course.SHORT}


def look(
    levels_mib: Levels,
    restarts: Collection[int] = (),
    *,
    gone: bool = False,
    since: datetime | None = None,
    killed: datetime | None = None,
    **changed: object,
) -> Growth:
    started_at, rows = START - timedelta(hours=1), []
    for index, level in enumerate(levels_mib):
        at = START + index * STEP
        started_at = at if index in restarts else started_at
        row = {"at": at, "service": "api", "name": "api-1", "started_at": started_at}
        rows.append(row | {"memory_usage_bytes": int(level * MIB), "memory_limit_bytes": LIMIT_MIB * MIB} | changed)
    if gone:
        rows.append({"at": START + len(levels_mib) * STEP, "service": "api", "name": "api-1", "state": "exited"})
    [growth] = growths(pd.DataFrame(rows), kills={"api-1": (killed,)} if killed else None, since=since)
    return growth


def noise(seed: int) -> Levels:
    """Independent, one following the other, or a collector of garbage at work."""
    random = np.random.default_rng(seed)
    independent = random.normal(0, 0.3, COUNT)
    following = [0.0]
    for shock in independent[1:]:
        following.append(0.9 * following[-1] + shock / 2)
    period = int(random.integers(5, 10))
    return [independent, np.array(following), random.uniform(1, 8) * (AT % period) / period + independent / 3][seed % 3]


HEALTHY = {
    "level": 0 * AT,
    "warm-up": 60 * (1 - np.exp(-AT / 20)),
    "a slow warm-up": 60 * (1 - np.exp(-AT / 50)),
    "filled, then level": 40 * np.minimum(AT / 30, 1),
    "step": 40 * (AT >= 70),
    "peak": 40 * np.clip((AT - 40) / 6, 0, 1) * np.clip((86 - AT) / 6, 0, 1),
    "hardly more": 0.4 * AT / COUNT,
}
LEAKS = {
    "all along": 60 * AT / COUNT,
    "from a moment on": 1.0 * np.maximum(AT - 50, 0),
    "after a warm-up": 15 * (1 - np.exp(-AT / 8)) + 70 * AT / COUNT,
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_memory_does_not_rise(name: str, seed: int) -> None:
    assert look(80 + HEALTHY[name] + noise(seed)).course in QUIET


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_rises_at_its_rate(name: str, seed: int) -> None:
    growth = look(80 + LEAKS[name] + noise(seed))
    assert growth.course is Course.RISES
    truth = (LEAKS[name][-1] - LEAKS[name][-30]) * MIB / 29 / STEP.total_seconds()
    assert growth.slope_per_s == pytest.approx(truth, rel=0.25)
    assert growth.full_in_s is not None
    assert growth.full_in_s == pytest.approx((LIMIT_MIB * MIB - growth.last_bytes) / growth.slope_per_s)
    assert growth.full_between_s.low is not None
    assert growth.full_between_s.low <= growth.full_in_s


def test_a_leak_from_a_moment_on_begins_then_and_one_all_along_before() -> None:
    late = look(80 + LEAKS["from a moment on"] + noise(0))
    assert late.onset is not None
    assert abs(late.onset - (START + 50 * STEP)) <= 5 * STEP
    assert not late.all_along
    assert look(80 + LEAKS["all along"] + noise(0)).all_along


def test_a_few_spikes_are_no_collector_of_garbage_and_hide_no_leak() -> None:
    spikes = np.zeros(COUNT)
    spikes[[56, 65, 74, 83, 97, 110]] = 9
    found = look(15 + 0.1 * noise(0) + spikes + 1.0 * np.maximum(AT - 50, 0))
    assert found.course is Course.RISES
    assert found.slope_per_s == pytest.approx(MIB / 5, rel=0.1)


def clones(seed: int, count: int) -> Levels:
    """What the clones of three heap snapshots add, for one sample or two each."""
    random, added = np.random.default_rng(seed), np.zeros(count)
    for first in (count // 3, count // 2, 3 * count // 4):
        added[first : first + random.integers(1, 3)] = random.uniform(60, 220)
    return added


@pytest.mark.parametrize("seed", range(6))
def test_the_clones_of_heap_snapshots_hide_no_leak(seed: int) -> None:
    levels = 60 + 8.8 / 12 * AT[:45] + noise(seed)[:45]
    alone, beside = look(levels), look(levels + clones(seed, 45))
    assert (alone.course, beside.course) == (Course.RISES, Course.RISES)
    assert beside.slope_per_s == pytest.approx(alone.slope_per_s, rel=0.1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", HEALTHY)
def test_the_clones_of_heap_snapshots_make_no_leak(name: str, seed: int) -> None:
    assert look(80 + HEALTHY[name] + noise(seed) + clones(seed, COUNT)).course in QUIET


def test_the_clones_of_heap_snapshots_are_no_peaks_of_a_saw_tooth() -> None:
    teeth = 80 + (AT % 30) + noise(0) + clones(0, COUNT) * (AT > 90)
    assert look(teeth, restarts={30, 60, 90}).course is Course.SAW_TOOTH


def wandering(seed: int) -> Levels:
    return 120 + np.cumsum(np.random.default_rng(seed).normal(0, 1.5, COUNT))


@pytest.mark.parametrize("seed", [26, 48, 53])
def test_a_slope_surely_above_zero_that_wandering_explains_as_well_is_unsteady_and_not_level(seed: int) -> None:
    growth = look(wandering(seed))
    assert growth.course is Course.UNSTEADY
    assert growth.interval.low is not None
    assert growth.interval.low > 0


def test_a_run_that_rose_until_it_ended_outweighs_the_calm_one_after_it() -> None:
    levels = np.where(AT < 80, 80 + 2 * AT, 80.0) + noise(0)
    growth = look(levels, restarts={80})
    assert growth.course is Course.RISES
    assert growth.until == START + 79 * STEP
    assert growth.full_in_s is None


def test_of_a_container_found_stopped_after_its_rise_nothing_is_forecast() -> None:
    levels = 80 + AT + noise(0)
    assert look(levels).full_in_s is not None
    ended = look(levels, gone=True)
    assert (ended.course, ended.full_in_s, ended.until) == (Course.RISES, None, START + (COUNT - 1) * STEP)


def test_restarts_that_keep_memory_in_bounds_make_a_saw_tooth() -> None:
    teeth = 80 + (AT % 30) + noise(0)
    assert look(teeth, restarts={30, 60, 90}).course is Course.SAW_TOOTH
    assert look(teeth, restarts={30, 60, 90}, oom_killed=True).course is Course.RISES
    assert look(teeth + AT, restarts={30, 60, 90}).course is Course.RISES
    assert look(teeth + 120, restarts={30, 60, 90}).course is Course.RISES


def test_few_samples_tell_nothing() -> None:
    assert look(80 + AT[:19]).course is Course.SHORT
    assert look(80 + AT[:60], restarts=set(range(0, 60, 12))).course is Course.SHORT
    assert growths(None) == ()


WAVERING = 80 + np.concatenate([np.zeros(46), 0.8 * np.arange(43) + 2 * np.sin(np.arange(43) / 6)])


def test_a_rise_whose_slope_has_no_bound_yet_has_neither_settled_nor_kept_its_level() -> None:
    growth = look(WAVERING + np.random.default_rng(3).normal(0, 0.05, len(WAVERING)))
    assert growth.interval.low is None
    assert growth.course is Course.UNSURE
    assert growth.full_in_s is None


def bent() -> Levels:
    """A leak whose rate triples with the load, until it is at its limit: too odd to bound its slope."""
    return 9 + 247 / 151 * np.concatenate([85 * np.arange(36) / 36, 85 + 66 * np.arange(1, 10) / 9])


def test_a_rise_that_the_kernel_ended_at_the_limit_outweighs_the_run_after_it() -> None:
    levels = np.concatenate([bent(), 9 + 0.1 * (np.arange(30) % 3)])
    end = START + 44 * STEP
    growth = look(levels, {45}, killed=end + timedelta(milliseconds=300))
    assert (growth.course, growth.until) == (Course.UNSURE, end)
    assert growth.killed_at == end + timedelta(milliseconds=300)
    assert (growth.first_bytes, growth.last_bytes) == (9 * MIB, 256 * MIB)
    assert look(levels, {45}).killed_at is None


@pytest.mark.parametrize(
    "levels", [200 + 0.1 * (np.arange(45) % 3), np.concatenate([9 + 0.1 * (np.arange(44) % 3), [250.0]])]
)
def test_what_was_killed_without_a_rise_or_was_filled_at_one_stroke_did_not_rise_to_its_limit(levels: Levels) -> None:
    growth = look(np.concatenate([levels, 9 + 0.1 * (np.arange(30) % 3)]), {45}, killed=START + 44 * STEP)
    assert growth.killed_at is None
    assert growth.course not in {Course.RISES, Course.UNSURE}


def test_near_its_limit_and_several_times_its_size_is_a_rise_by_far() -> None:
    assert look(bent()).by_far
    assert not look(bent() / 2).by_far
    assert not look(200 + bent() / 6).by_far


SINCE = START + 100 * STEP


def test_a_run_that_goes_on_is_followed_to_before_the_window() -> None:
    growth = look(80 + LEAKS["all along"] + noise(0), since=SINCE)
    assert (growth.course, growth.onset, growth.until) == (Course.RISES, START, None)


def test_what_was_over_before_the_window_is_not_told_of_it() -> None:
    leaked = np.where(AT < 80, 80 + 2 * AT, 80.0) + noise(0)
    assert look(leaked, restarts={80}).until is not None
    calm = look(leaked, restarts={80}, since=SINCE)
    assert (calm.course, calm.until) == (Course.LEVEL, None)
    late = look(leaked, restarts={90}, since=START + 110 * STEP)
    assert late.until is None
    assert look(leaked, restarts={110}, since=START + 110 * STEP).course is Course.SHORT


@pytest.mark.parametrize(("until", "course"), [(100, Course.UNSURE), (108, Course.RISES)])
def test_a_rise_that_came_to_rest_before_the_window_has_settled(until: int, course: Course) -> None:
    rests = 80 + 1.0 * np.minimum(AT, until) + 0.1 * (AT % 3)
    assert look(rests).course is course
    rested = look(rests, since=START + until * STEP)
    assert (rested.course, rested.full_in_s) == (Course.SETTLES, None)


def test_earlier_runs_still_tell_a_saw_tooth() -> None:
    teeth = 80 + (AT % 30) + noise(0)
    assert look(teeth, restarts={30, 60, 90}, since=SINCE).course is Course.SAW_TOOTH


def test_a_container_that_is_gone_since_is_left_out() -> None:
    rows = [
        {"at": START + index * STEP, "name": name, "started_at": START, "memory_usage_bytes": (80 + index) * MIB}
        for name, last in (("api-1", COUNT), ("job-1", 90))
        for index in range(last)
    ]
    assert [growth.name for growth in growths(pd.DataFrame(rows), since=SINCE)] == ["api-1"]
