import numpy as np
import pytest

from irkit.onset.changepoint import MEMORY_NOISE_BYTES, NO_ONSET, Shape, find
from tests.support.series import FAULTS, HEALTHY, each, faulty, healthy

SEED = 1
ROUNDS = 20


def noise(count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count)


def test_onsets_of_labelled_faults_are_found_within_five_samples() -> None:
    onsets = [(kind, find(values), onset) for kind, (values, onset) in each(FAULTS, ROUNDS, SEED, faulty)]
    missed = [kind for kind, found, onset in onsets if found.index is None or abs(found.index - onset) > 5]
    assert len(missed) <= 0.05 * len(onsets), missed


def test_healthy_series_hardly_ever_have_an_onset() -> None:
    alarms = [kind for kind, values in each(HEALTHY, ROUNDS, SEED, healthy) if find(values) is not NO_ONSET]
    assert len(alarms) <= 0.05 * len(HEALTHY) * ROUNDS, alarms


def test_a_step_has_its_size_and_a_narrow_interval() -> None:
    values = noise(200) + 50
    values[120:] += 8
    found = find(values)
    assert (found.shape, found.index, found.until) == (Shape.STEP, 120, None)
    assert found.size == pytest.approx(8, abs=0.5)
    assert 119 <= found.earliest <= found.index <= found.latest <= 121


def test_a_ramp_is_since_it_begins_to_rise_and_its_interval_is_wider() -> None:
    values = noise(300) + 0.1 * np.maximum(np.arange(300) - 150, 0)
    found = find(values)
    assert found.shape is Shape.RAMP
    assert found.earliest <= 150 <= found.latest
    assert found.latest - found.earliest > 3
    assert found.size == pytest.approx(15, abs=3)


def test_a_ramp_stands_out_from_a_bend_where_it_is_only_somewhat_likelier() -> None:
    _, (values, onset) = each(("ramp",), 16, 1, faulty)[-1]
    found = find(values)
    assert found.shape is Shape.RAMP
    assert 5 <= found.strength < 8
    assert found.index == pytest.approx(onset, abs=8)
    bends = [noise(240, seed) + 4 * np.sin(np.pi * np.arange(240) / 240) for seed in range(20)]
    assert [find(values) for values in bends] == [NO_ONSET] * 20


def test_a_change_that_is_only_likely_is_told_where_something_else_bears_it_out() -> None:
    values = noise(60, 3)
    values[40:] += 2.2
    assert find(values) is NO_ONSET
    found = find(values, least_strength=3.0)
    assert (found.shape, found.is_clear) == (Shape.STEP, False)
    assert found.index == pytest.approx(40, abs=3)
    assert find(values + 8 * (np.arange(60) >= 40)).is_clear
    assert [find(noise(60, seed), least_strength=3.0) for seed in range(20)].count(NO_ONSET) >= 18


PAGE_BYTES = 4096


def pages(bytes_: np.ndarray) -> np.ndarray:
    return np.round(bytes_ / PAGE_BYTES) * PAGE_BYTES


def test_memory_in_whole_pages_is_no_count_and_climbs_since_it_began_to() -> None:
    random = np.random.default_rng(11)
    spikes = np.where(random.random(160) < 0.25, random.uniform(4e6, 16e6, 160), 0)
    climb = 15e6 + 1e5 * random.standard_normal(160) + spikes + 1.25e6 * np.maximum(np.arange(160) - 52, 0)
    found = find(pages(climb), MEMORY_NOISE_BYTES)
    assert found.shape is Shape.RAMP
    assert found.index == pytest.approx(52, abs=5)
    assert found.earliest - 2 <= 52 <= found.latest + 2


def test_pages_that_an_allocator_takes_at_once_are_hardly_a_change_beside_a_leak() -> None:
    taken, leak = (np.where(np.arange(160) < 60, 23e6, 23e6 + size) for size in (PAGE_BYTES * 8, 4e6))
    assert find(pages(taken), MEMORY_NOISE_BYTES) is NO_ONSET
    assert find(pages(leak), MEMORY_NOISE_BYTES).index == 60


def test_an_episode_that_passed_has_an_end() -> None:
    values = noise(250)
    values[100:130] -= 9
    found = find(values)
    assert (found.shape, found.index, found.until) == (Shape.EPISODE, 100, 130)
    assert found.size == pytest.approx(-9, abs=0.7)


def test_counts_that_were_always_zero_have_an_onset_when_they_are_not() -> None:
    counts = np.zeros(150)
    counts[90:] = np.random.default_rng(4).poisson(5, 60)
    assert find(counts).index in {90, 91}


def test_samples_that_are_missing_keep_their_places() -> None:
    values = noise(240)
    values[160:] += 10
    values[::7] = np.nan
    found = find(values)
    assert found.index in {160, 162}
    assert find(np.append(values, [np.inf, -np.inf])).index == found.index


@pytest.mark.parametrize(
    "values",
    [[], [1.0] * 500, [np.nan] * 100, noise(29), [0.0, 1e308] * 50, np.full(100, 1e300), noise(100) * 1e-300,
     np.repeat([1.0, 2.0], [1, 99])],
)  # fmt: skip
def test_what_tells_nothing_has_no_onset(values: object) -> None:
    assert find(values) is NO_ONSET  # type: ignore[arg-type]


def test_a_single_spike_is_no_onset() -> None:
    values = noise(200)
    values[77] += 1000
    assert find(values) is NO_ONSET


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_unit_does_not_matter(scale: float) -> None:
    values = noise(200)
    values[120:] += 8
    assert find(values * scale + 5 * scale).index == 120
