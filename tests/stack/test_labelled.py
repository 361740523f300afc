"""The labels hold together, the halves are fair, and what is recorded is small and was borne out by witnesses."""

from __future__ import annotations

import pytest

from irkit import runbook
from irkit.bundle.archive import opened
from tests.stack.app.faults import switch
from tests.stack.labelled import LABELLED, SYMPTOMS, Labelled
from tests.stack.recordings import RECORDINGS, SUFFIX, bundle_of, truth_of
from tests.stack.scores import recorded, score
from tests.stack.surroundings import SURROUNDINGS
from tests.stack.witness import contradictions

HALVES = ("tuned", "frozen")
# one of each kind, so that a detector that is broken shows at once; `make bench` scores them all
SENTINELS = ("api-answers-500", "lock-contention", "limit-spent", "redis-fills", "index-damaged", "deployed")


def kind(label: Labelled) -> str:
    return " and ".join(label.types) or "none"


def test_every_label_speaks_of_the_runbook_and_of_switches_that_exist() -> None:
    built_in = runbook.load()
    assert set(SYMPTOMS) == {symptom.slug for each in built_in.incident_types for symptom in each.symptoms}
    for label in LABELLED.values():
        assert {built_in.incident_type(each).slug for each in label.types} == set(label.types)
        assert {*label.symptoms, *label.either} <= set(SYMPTOMS)
        assert not set(label.symptoms) & set(label.either)
        assert {each.partition("=")[0] for each in label.around} <= set(SURROUNDINGS)
        for text in label.switches:
            switch(text)


def test_there_are_forty_faults_and_each_half_holds_every_kind() -> None:
    assert sum(bool(label.types) for label in LABELLED.values()) >= 40
    pure = {kind(label) for label in LABELLED.values() if len(label.types) < 2}
    assert len(pure) == 6
    for half in HALVES:
        kinds = [kind(label) for label in LABELLED.values() if label.half == half]
        assert all(kinds.count(each) >= 3 for each in pure)
        assert len(kinds) >= 0.4 * len(LABELLED)


def test_a_fault_stays_in_its_half() -> None:
    """Written down, so that no other rule can trade a fault that was looked at for one that was not."""
    assert [LABELLED[name].half for name in ("slow-query", "slow-redis", "bad-key")] == ["frozen", "frozen", "tuned"]


def test_recordings_are_those_of_labels_and_small() -> None:
    names = {path.name.removesuffix(SUFFIX) for path in RECORDINGS.glob(f"*{SUFFIX}")}
    assert names <= set(LABELLED)
    sizes_bytes = [bundle_of(name).stat().st_size for name in names]
    assert max(sizes_bytes) <= 120_000
    assert sum(sizes_bytes) <= 5_000_000


@pytest.mark.parametrize("half", HALVES)
def test_the_witnesses_of_a_recording_bear_its_label_out(half: str) -> None:
    for label in recorded(half):
        truth = truth_of(label.name)
        assert not contradictions(label, set(truth.seen))
        assert (truth.onset is not None) == bool(label.types)


@pytest.mark.parametrize("name", SENTINELS)
def test_what_irkit_says_of_a_recorded_fault(name: str) -> None:
    one = score(LABELLED[name])
    assert one.right, one.named
    assert not one.invented
    assert not one.missed


def test_a_recording_tells_when_it_began_within_its_window() -> None:
    label = LABELLED[SENTINELS[0]]
    truth = truth_of(label.name)
    with opened(bundle_of(label.name)) as bundle:
        assert truth.onset is not None
        before_s = (truth.onset - bundle.window.start).total_seconds()
        after_s = (bundle.window.end - truth.onset).total_seconds()
    assert before_s > label.before_s - 5
    assert after_s >= label.during_s
