"""The cheapest next check: its worth is what its outcomes could move; only what is missing can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.diagnose.run import diagnose
from irkit.model import CollectorRun, Finding, Outcome, Verdict, VerdictState
from irkit.triage import NONE_OF_THESE, Conclusion, contenders, triage
from irkit.triage.next_check import (
    BY_HAND,
    BY_HAND_COST,
    Check,
    ValuedCheck,
    gap_range,
    least_lead,
    next_checks,
    outlook,
    possible_checks,
)
from tests.symptoms.evidence import WINDOW, InMemory, detectors
from tests.triage.test_triage import CLEAR, DOWN, FOUND, RUNBOOK, TYPES, UNKNOWN, VERDICTS, findings, found

DETECTORS = detectors()
COSTS = {"container-logs": 5, "http-health": 1, "sqlite-integrity": 6, "container-stats": 4}


def gap(made: tuple[Any, ...], first: str, second: str) -> float:
    scores = {item.incident_type: item.score for item in contenders(made, RUNBOOK)}
    return scores[first] - scores[second]


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(dict.fromkeys(TYPES, VERDICTS)),
    st.sets(st.sampled_from(sorted(TYPES)), max_size=4),
    st.permutations([*(one.slug for one in RUNBOOK.incident_types), NONE_OF_THESE]),
)
def test_the_range_is_that_of_all_outcomes(verdicts: dict[str, Verdict], open_: set[str], pair: list[str]) -> None:
    """The oracle tries every outcome; the function under test asks each symptom's direction once."""
    first, second = pair[:2]
    asked = findings(verdicts | {slug: Verdict(UNKNOWN, "?") for slug in open_})
    low, high = gap_range(open_, asked, RUNBOOK, first, second)
    gaps = [
        gap(findings(verdicts | dict(zip(open_, map(lambda s: Verdict(s, ""), states), strict=True))), first, second)  # noqa: C417
        for states in product((FOUND, CLEAR), repeat=len(open_))
    ]
    assert low == pytest.approx(min(gaps), abs=0.002)
    assert high == pytest.approx(max(gaps), abs=0.002)


def unknown(*slugs: str) -> dict[str, Verdict]:
    return dict.fromkeys(slugs, Verdict(UNKNOWN, "Not looked at.", "Look."))


def test_worth_is_the_gap_that_could_move_per_cost() -> None:
    made = findings(DOWN | unknown("p95-latency", "slow-dashboard-loading", "oom-kills"))
    checks = [
        Check("dear", ("p95-latency",), 5),
        Check("cheap", ("p95-latency",), 1),
        Check("both", ("p95-latency", "slow-dashboard-loading"), 4),
        Check("idle", ("oom-kills",), 1),
    ]
    ranked = next_checks(made, RUNBOOK, checks, "api-unresponsive", "high-latency")
    assert [item.check.name for item in ranked] == ["cheap", "both", "dear"]
    cheap, both, _ = ranked
    assert (cheap.low, cheap.high) == (pytest.approx(0.36), pytest.approx(0.76))
    assert cheap.value == pytest.approx(0.4)
    assert (both.low, both.value) == (pytest.approx(-0.04), pytest.approx(0.8 / 4))
    assert both.could_turn
    assert not cheap.could_turn


def test_equals_are_ordered_by_cost_and_name() -> None:
    made = findings(DOWN | unknown("p95-latency"))
    checks = [Check(name, ("p95-latency",), 2) for name in ("b", "a")]
    ranked = next_checks(made, RUNBOOK, checks, "api-unresponsive", "high-latency")
    assert [item.check.name for item in ranked] == ["a", "b"]


def test_settled_means_that_no_outcome_turns_the_order() -> None:
    assert least_lead(findings(DOWN | unknown("oom-kills")), RUNBOOK) > 0
    assert least_lead(findings(DOWN | unknown("p95-latency", "slow-dashboard-loading")), RUNBOOK) <= 0
    assert least_lead(findings({}, UNKNOWN), RUNBOOK) < 0


def told(made: tuple[Any, ...]) -> tuple[str, list[str]]:
    ahead = outlook(made, InMemory({}), RUNBOOK, DETECTORS, COSTS)
    return ahead.standing("it"), [item.could for item in ahead.checks]


def test_a_tie_at_most_is_not_told_as_another_in_front() -> None:
    # all of one type was found beyond doubt, and all that is unknown of another could be found, too
    whole = dict.fromkeys(("health-check-failing", "5xx-error-spike", "timeout-errors"), found(1.0))
    level = findings(whole | unknown("p95-latency", "slow-dashboard-loading"))
    assert least_lead(level, RUNBOOK) == 0
    said, could = told(level)
    assert said == "Not settled: 2 unknown symptoms could bring another level with it."
    assert "could turn the order" not in could
    said, could = told(findings({}, UNKNOWN))
    assert said.endswith("could put another first.")
    assert "could turn the order" in could


class Partly(InMemory):
    """Evidence of which some looks ended short: outcomes by collector, and the kinds each provides."""

    def __init__(self, evidence: Mapping[str, Any], runs: Mapping[str, tuple[Outcome, tuple[str, ...]]]) -> None:
        super().__init__(evidence)
        self.runs = runs

    def run_for(self, kind: str) -> CollectorRun | None:
        for name, (outcome, kinds) in self.runs.items():
            if kind in kinds:
                why = ("the source hung", f"mend {name}") if outcome is not Outcome.COLLECTED else ("", "")
                return CollectorRun(name, outcome, *why, "", f"look at {name}", kinds, (), WINDOW.end, 0.1, 0)
        return None


RUNS = {
    "container-logs": (Outcome.TIMED_OUT, ("logs",)),
    "http-health": (Outcome.COLLECTED, ("health", "health_body", "providers")),
    "sqlite-integrity": (Outcome.FAILED, ("database_integrity",)),
    "sqlite-statistics": (Outcome.COLLECTED, ("database", "database_statistics")),
}


def possible(source: Partly) -> dict[tuple[str, ...], Check]:
    made = diagnose(source, RUNBOOK).findings
    return {item.symptoms: item for item in possible_checks(made, source, RUNBOOK, DETECTORS, COSTS)}


def test_a_look_that_ended_short_is_one_check_for_all_it_would_decide() -> None:
    source = Partly({"health": [{"verdict": "healthy", "status_code": 200}], "database": {"error": None}}, RUNS)
    checks = possible(source)
    logs = next(item for item in checks.values() if item.name == "container-logs")
    assert {"5xx-error-spike", "sqlite-errors", "timeout-errors", "rate-limit-errors"} <= set(logs.symptoms)
    assert (logs.cost, logs.command, logs.advice) == (5, "look at container-logs", "mend container-logs")
    assert logs.obstacle == "container-logs timed out: the source hung"
    integrity = next(item for item in checks.values() if item.name == "sqlite-integrity")
    assert integrity.symptoms == ("data-inconsistency",)


def test_what_was_looked_at_and_was_not_enough_is_for_a_person() -> None:
    """Asking a health endpoint again that names no providers would tell the same."""
    health = [{"verdict": "refused", "status_code": None}]
    source = Partly({"health": health, "logs": []}, RUNS | {"container-logs": (Outcome.COLLECTED, ("logs",))})
    check = possible(source)[("provider-health-check-failing",)]
    assert (check.name, check.cost) == (BY_HAND, BY_HAND_COST)
    assert check.command == "curl http://localhost:8000/api/health | jq '.services.providers'"
    assert check.advice == "Ask the providers by hand, from where the service runs."


def test_a_look_by_hand_always_says_how() -> None:
    """By the runbook's command, by the one of the source the evidence is from, or in words."""
    gone = [{"verdict": "refused", "status_code": None, "url": "http://localhost:8000/api/health", "at": WINDOW.end}]
    lines = [{"at": WINDOW.end, "service": "api", "name": "api-1", "stream": "stdout", "line": "hello"}]
    source = Partly({"health": gone, "logs": lines}, RUNS | {"container-logs": (Outcome.COLLECTED, ("logs",))})
    by_hand = {one.symptoms: one for one in possible(source).values() if one.name == BY_HAND}
    assert all(one.command or one.advice for one in by_hand.values())
    # no command of the runbook is about it: its evidence is from the log
    assert by_hand[("slow-garbage-collection",)].command == "look at container-logs"
    assert not any("http://localhost:8000/api/health" in one.command for one in by_hand.values())
    foreign = (Finding("odd", ("high-latency",), "Odd", Verdict(UNKNOWN, "?"), ()),)
    bare = replace(RUNBOOK, incident_types=tuple(replace(one, diagnosis=()) for one in RUNBOOK.incident_types))
    [check] = possible_checks(foreign, InMemory({}), bare, {}, COSTS)
    assert check.advice == "Neither the runbook nor a source names a command for it: look at odd of the service."


def test_what_nobody_recorded_is_no_look_to_take() -> None:
    runs = RUNS | {"recorder-history": (Outcome.ABSENT, ("container_history", "process_history", "health_history"))}
    made = possible(Partly({"health": [{"verdict": "healthy", "status_code": 200}]}, runs))
    assert "recorder-history" not in {item.name for item in made.values()}


def test_a_blind_bundle_starts_with_the_look_that_tells_most() -> None:
    runs = {name: (Outcome.FAILED, kinds) for name, (_, kinds) in RUNS.items()}
    source = Partly({}, runs)
    made = diagnose(source, RUNBOOK).findings
    ahead = outlook(made, source, RUNBOOK, DETECTORS, COSTS)
    assert not ahead.settled
    assert ahead.unknown == len(TYPES)
    assert [item.value for item in ahead.checks] == sorted((item.value for item in ahead.checks), reverse=True)
    assert ahead.checks[0].could_turn


def test_the_first_is_told_from_the_one_that_could_still_pass_it() -> None:
    """Provider failures are second by one finding, but all of high latency is unknown, and could come first."""
    some = DOWN | {"ai-responses-failing": found(0.3)} | unknown("p95-latency", "slow-dashboard-loading")
    ahead = outlook(findings(some), InMemory({}), RUNBOOK, DETECTORS, COSTS)
    assert not ahead.settled
    assert ahead.second == "high-latency"
    assert outlook(findings(DOWN), InMemory({}), RUNBOOK, DETECTORS, COSTS).second != ahead.second


def test_two_that_a_triage_cannot_decide_between_are_the_two_to_be_told_apart() -> None:
    close = {"5xx-error-spike": found(0.95), "gradual-memory-increase": found(0.75)}
    others = unknown("provider-health-check-failing", "rate-limit-errors", "p95-latency", "slow-dashboard-loading")
    made = findings(close | others)
    told = triage(made, RUNBOOK)
    assert told.conclusion is Conclusion.UNDECIDED
    ahead = outlook(made, InMemory({}), RUNBOOK, DETECTORS, COSTS)
    assert (ahead.first, ahead.second) == told.named == ("api-unresponsive", "memory-leak")


def test_nothing_unknown_leaves_no_check() -> None:
    source = InMemory({})
    ahead = outlook(findings(DOWN), source, RUNBOOK, DETECTORS, COSTS)
    assert (ahead.checks, ahead.unknown, ahead.settled) == ((), 0, True)
    assert ahead.first == "api-unresponsive"
    assert found().state is VerdictState.FOUND


def test_what_a_check_could_do_to_the_lead_is_said_in_words() -> None:
    check = Check("look", ("p95-latency",), 1)
    assert ValuedCheck(check, -0.4, 0.53).range_told == (
        "the first would lead by 0.53 at best, and at worst be 0.40 behind"
    )
    assert ValuedCheck(check, -1e-12, 0.4).range_told == "the first would lead by 0.40 at best, and at worst be level"
    assert ValuedCheck(check, 0.19, 0.59).range_told == "the first would lead by 0.59 at best, and by 0.19 at worst"


def test_a_snapshot_that_nobody_took_is_not_collected_again() -> None:
    runs = RUNS | {"heap-snapshots": (Outcome.ABSENT, ("heap",))}
    made = possible(Partly({"health": [{"verdict": "healthy", "status_code": 200}]}, runs))
    assert "heap-snapshots" not in {item.name for item in made.values()}
    assert "look at heap-snapshots" not in {item.command for item in made.values()}


def test_python_of_a_runbook_is_no_command_to_paste() -> None:
    made = possible(Partly({"health": [{"verdict": "healthy", "status_code": 200}]}, RUNS))
    assert not [item.command for item in made.values() if item.command.startswith(("from ", "import "))]
