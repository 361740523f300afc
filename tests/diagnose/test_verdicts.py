"""Memory that rises and that nobody feels yet is no start of trouble that they do feel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from irkit import runbook
from irkit.diagnose.run import rank
from irkit.diagnose.verdicts import UNFELT, Diagnosis, signs
from irkit.model import Finding, Verdict, VerdictState

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
BOOK = runbook.load()


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def found(symptom: str, kind: str, minute: float, sure: float = 0.9, **numbers: object) -> Finding:
    verdict = Verdict(VerdictState.FOUND, f"{symptom}.", "", at(minute), sure, numbers)
    return Finding(symptom, (kind,), symptom, verdict, ())


def rise(*, unfelt: bool) -> Finding:
    return found("gradual-memory-increase", "memory-leak", 0, **{UNFELT: unfelt})


SLOW = found("p95-latency", "high-latency", 18, 0.4)


def told(*findings: Finding) -> Diagnosis:
    return Diagnosis(findings, rank(findings, BOOK))


def test_a_rise_that_nobody_feels_is_no_start_of_what_they_do() -> None:
    made = told(SLOW, rise(unfelt=True))
    assert made.ranking[0].incident_type == "memory-leak"
    assert made.first_sign == at(18)
    assert made.starting == (SLOW,)
    assert made.felt == (SLOW,)
    assert signs(made.findings, made.ranking) == [at(18)]


def test_one_that_ends_at_its_limit_is() -> None:
    made = told(SLOW, rise(unfelt=False))
    assert made.first_sign == at(0)
    assert made.felt == made.findings


def test_where_it_is_all_there_is_it_is_told() -> None:
    made = told(rise(unfelt=True))
    assert made.first_sign == at(0)
    assert made.felt == made.findings


def test_one_with_another_symptom_of_its_own_type_begins_with_that() -> None:
    pauses = found("slow-garbage-collection", "memory-leak", 9)
    assert told(SLOW, rise(unfelt=True), pauses).first_sign == at(9)
