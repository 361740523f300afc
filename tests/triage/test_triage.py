"""The triage: who leads, which pairs are a combination, who explains whom, and when nothing may be concluded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit import runbook
from irkit.diagnose.run import rank
from irkit.model import Finding, Incident, Status, Verdict, VerdictState
from irkit.terminal.triage import triage_view
from irkit.triage import NONE_OF_THESE, Conclusion, Triage, contenders, next_check, triage
from tests.support.text import drawn
from tests.symptoms.evidence import InMemory

RUNBOOK = runbook.load()
FOUND, CLEAR, UNKNOWN = VerdictState.FOUND, VerdictState.CLEAR, VerdictState.UNKNOWN
TYPES: dict[str, tuple[str, ...]] = {
    worded.slug: tuple(one.slug for one in RUNBOOK.incident_types if worded.slug in {w.slug for w in one.symptoms})
    for kind in RUNBOOK.incident_types
    for worded in kind.symptoms
}
BEGAN = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def found(confidence: float = 0.95, blamed: str = "", minute: float = 0) -> Verdict:
    return Verdict(FOUND, "Found.", "", BEGAN + timedelta(minutes=minute), confidence, explained_by=blamed)


def findings(verdicts: Mapping[str, Verdict], others: VerdictState = CLEAR) -> tuple[Finding, ...]:
    """All of the runbook's symptoms: as given, the others in one state with a confidence of 0.9."""
    rest = Verdict(others, "Said.", confidence=0.9)
    return tuple(Finding(slug, types, slug, verdicts.get(slug, rest), ()) for slug, types in TYPES.items())


def told(verdicts: Mapping[str, Verdict], others: VerdictState = CLEAR) -> Triage:
    return triage(findings(verdicts, others), RUNBOOK)


LEAK = {"gradual-memory-increase": found(minute=-30), "oom-kills": found()}
DOWN = {"health-check-failing": found(minute=1), "5xx-error-spike": found(minute=1)}


def test_one_type_leads() -> None:
    made = told(DOWN)
    assert (made.conclusion, made.named) == (Conclusion.ONE, ("api-unresponsive",))
    assert made.sentence == "API Unresponsive (0.76, 2 of 3 symptoms found)."


def test_one_symptom_of_three_is_weak_and_says_so() -> None:
    made = told({"gradual-memory-increase": found()})
    assert made.named == ("memory-leak",)
    assert made.sentence.startswith("Weakly: Memory Leak (0.32, 1 of 3 symptoms found)")


def test_nothing_wrong_is_none_of_these() -> None:
    made = told({})
    assert (made.conclusion, made.named) == (Conclusion.NONE, ())
    assert made.contenders[0].incident_type == NONE_OF_THESE
    assert made.contenders[0].score == pytest.approx(0.9)
    assert made.sentence == "None of these: 14 symptoms looked at, none left unknown."


def test_what_is_blamed_on_something_else_speaks_for_none_of_these() -> None:
    made = told({"sqlite-errors": found(0.5, "lock contention")})
    assert made.conclusion is Conclusion.NONE
    assert "but lock contention" in made.sentence
    assert "sqlite-errors: its evidence blames lock contention" in made.contender(NONE_OF_THESE).reasons


def test_ignorance_is_not_health() -> None:
    few = {"timeout-errors": Verdict(CLEAR, "No."), "oom-kills": Verdict(CLEAR, "No.")}
    made = told(few, UNKNOWN)
    assert (made.conclusion, made.named) == (Conclusion.UNDECIDED, ())
    assert made.sentence.endswith("12 of 14 symptoms could not be looked at: that is no proof of health.")


def test_nothing_looked_at_concludes_nothing() -> None:
    made = told({}, UNKNOWN)
    assert (made.conclusion, made.named) == (Conclusion.BLIND, ())
    assert "nothing follows" in made.sentence


def test_two_well_supported_types_are_a_combination_and_the_mechanism_is_named() -> None:
    made = told(LEAK | DOWN)
    assert made.conclusion is Conclusion.COMBINATION
    assert set(made.named) == {"api-unresponsive", "memory-leak"}
    (one,) = made.relations
    assert (one.cause, one.effect) == ("memory-leak", "api-unresponsive")
    assert "killed for its memory" in one.why


def test_a_cause_that_began_after_its_effect_is_none() -> None:
    late = {"gradual-memory-increase": found(minute=20), "oom-kills": found(minute=21)}
    made = told(late | DOWN)
    assert made.conclusion is Conclusion.COMBINATION
    assert made.relations == ()
    assert "API Unresponsive since 03:01:00 UTC and Memory Leak since 03:20:00 UTC" in made.sentence


def test_the_evidences_own_words_come_before_a_mechanism() -> None:
    """A chat that fails because the API is down must not make a provider the cause."""
    made = told(DOWN | {"ai-responses-failing": found(blamed="api-unresponsive")})
    assert [(one.cause, one.effect) for one in made.relations] == [("api-unresponsive", "provider-failures")]
    assert made.named == ("api-unresponsive",)


def test_types_that_blame_each_other_explain_nothing() -> None:
    pair = {
        "health-check-failing": found(blamed="provider-failures"),
        "ai-responses-failing": found(blamed="api-unresponsive"),
    }
    assert told(pair).relations == ()


def test_too_close_is_undecided_unless_one_explains_the_other() -> None:
    close = {"p95-latency": found(), "ai-responses-failing": found()}
    made = told(close)
    assert made.conclusion is Conclusion.UNDECIDED
    assert set(made.named) == {"high-latency", "provider-failures"}
    waits = {"p95-latency": found(), "provider-health-check-failing": found()}
    made = told(waits)
    assert (made.conclusion, made.named) == (Conclusion.ONE, ("provider-failures",))


def test_of_equals_the_one_of_which_most_is_unknown_comes_first_wherever_types_are_told() -> None:
    unknown = dict.fromkeys(("gradual-memory-increase", "slow-garbage-collection"), Verdict(UNKNOWN, "?"))
    made = findings(DOWN | {"5xx-error-spike": found(1.0)} | unknown)
    ranked = rank(made, RUNBOOK)
    assert [item.score for item in ranked[1:]] == [0.0] * 4
    assert [item.incident_type for item in ranked[:2]] == ["api-unresponsive", "memory-leak"]
    weighed = [item for item in contenders(made, RUNBOOK) if item.incident_type != NONE_OF_THESE]
    assert [item.incident_type for item in weighed] == [item.incident_type for item in ranked]


def test_the_terminal_tells_contenders_in_their_order_whichever_are_told_in_full() -> None:
    made = findings(LEAK | DOWN | {"p95-latency": found(), "sqlite-errors": Verdict(UNKNOWN, "?")})
    told_all = triage(made, RUNBOOK)
    ahead = replace(next_check.outlook(made, InMemory({}), RUNBOOK, {}, {}), second="database-corruption")
    incident = Incident(42, "Down", "api-unresponsive", "Critical", Status.OPEN, BEGAN)
    shown = drawn(triage_view(incident, told_all, ahead, RUNBOOK))
    titles = {item.slug: item.title for item in RUNBOOK.incident_types} | {NONE_OF_THESE: "None of these"}
    places = [
        re.search(rf"^ *{item.score:.2f}  {titles[item.incident_type]}", shown, re.MULTILINE)
        for item in told_all.contenders
    ]
    starts = [found_at.start() if found_at else -1 for found_at in places]
    assert starts == sorted(starts)
    assert starts[0] >= 0


STATES = st.sampled_from(VerdictState)
VERDICTS = st.builds(
    Verdict,
    STATES,
    st.just("Said."),
    confidence=st.floats(0, 1),
    explained_by=st.sampled_from(["", "lock contention", *(one.slug for one in RUNBOOK.incident_types)]),
)


@given(st.fixed_dictionaries(dict.fromkeys(TYPES, VERDICTS)))
def test_every_score_is_the_sum_of_the_weights_it_prints(verdicts: dict[str, Verdict]) -> None:
    made = told(verdicts)
    assert [item.score for item in made.contenders] == sorted((item.score for item in made.contenders), reverse=True)
    for item in made.contenders:
        total = sum(item.weights[one.symptom] for one in item.supporting)
        assert item.score == pytest.approx(min(total, 1.0), abs=0.001)
        placed = [one.symptom for one in (*item.supporting, *item.refuting, *item.missing)]
        assert len(placed) == len(set(placed))
        assert set(placed) <= set(item.weights)
    assert set(made.named) <= {item.incident_type for item in made.contenders}
    assert made.sentence.endswith((".", ". "))


@given(st.fixed_dictionaries(dict.fromkeys(TYPES, VERDICTS)))
def test_a_combination_needs_two_and_one_names_one(verdicts: dict[str, Verdict]) -> None:
    made = told(verdicts)
    sizes = {Conclusion.ONE: {1}, Conclusion.NONE: {0}, Conclusion.BLIND: {0}, Conclusion.UNDECIDED: {0, 2}}
    assert len(made.named) in sizes.get(made.conclusion, {2, 3, 4, 5})
    assert (made.conclusion is Conclusion.BLIND) == all(one.state is UNKNOWN for one in verdicts.values())
