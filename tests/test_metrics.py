from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from irkit.metrics import ResponseState, phases, response, summarise
from irkit.model import Incident, Severity, Status

BASE = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CRITICAL = Severity("Critical", timedelta(minutes=15), "Immediate page", 0)


def at(minutes: float) -> datetime:
    return BASE + timedelta(minutes=minutes)


INCIDENT = Incident(
    42, "t", "api-unresponsive", "Critical", Status.RESOLVED, at(6), at(1), at(5), at(12), at(20), at(45), None
)


def test_each_phase_has_its_definition_and_length() -> None:
    assert [(one.name, one.definition, one.duration) for one in phases(INCIDENT)] == [
        ("time to detect", "started → detected", timedelta(minutes=4)),
        ("time to acknowledge", "detected → acknowledged", timedelta(minutes=7)),
        ("time to mitigate", "acknowledged → mitigated", timedelta(minutes=8)),
        ("time to resolve", "detected → resolved", timedelta(minutes=40)),
    ]
    assert all(one.missing == () for one in phases(INCIDENT))


def test_a_phase_without_its_ends_is_unknown_and_names_them() -> None:
    found = phases(replace(INCIDENT, started_at=None, acknowledged_at=None, mitigated_at=None))
    assert [(one.duration, one.missing) for one in found] == [
        (None, ("started",)),
        (None, ("acknowledged",)),
        (None, ("acknowledged", "mitigated")),
        (timedelta(minutes=40), ()),
    ]


def test_what_came_before_its_start_took_no_time_and_the_first_answer_is_the_response() -> None:
    ahead = replace(INCIDENT, started_at=at(7), acknowledged_at=at(30), mitigated_at=at(20))
    found = {one.name: one.duration for one in phases(ahead)}
    assert found["time to detect"] == found["time to mitigate"] == timedelta()
    assert response(ahead, CRITICAL, at(99)).responded_at == at(20)


@pytest.mark.parametrize(
    ("acknowledged", "now", "state", "elapsed", "remaining"),
    [
        (12, 99, ResponseState.KEPT, 7, 8),
        (20, 99, ResponseState.KEPT, 15, 0),
        (21, 99, ResponseState.MISSED, 16, -1),
        (None, 15, ResponseState.RUNNING, 10, 5),
        (None, 20, ResponseState.RUNNING, 15, 0),
        (None, 25, ResponseState.MISSED, 20, -5),
    ],
)
def test_the_response_clock(
    acknowledged: float | None, now: float, state: ResponseState, elapsed: float, remaining: float
) -> None:
    answered = None if acknowledged is None else at(acknowledged)
    found = response(
        replace(INCIDENT, acknowledged_at=answered, mitigated_at=None, resolved_at=None), CRITICAL, at(now)
    )
    assert (found.state, found.deadline, found.since) == (state, at(20), at(5))
    assert (found.elapsed, found.remaining) == (timedelta(minutes=elapsed), timedelta(minutes=remaining))
    assert found.overdue == timedelta(minutes=max(0, -remaining))
    assert found.responded_at == answered


def test_mitigating_without_acknowledging_is_a_response_and_the_definition_says_so() -> None:
    found = response(replace(INCIDENT, acknowledged_at=None), CRITICAL, at(99))
    assert (found.state, found.responded_at) == (ResponseState.KEPT, at(20))
    assert "where nobody acknowledged" in found.definition


def test_over_several_incidents_the_median_and_p90_stand_beside_the_mean_and_open_ones_apart() -> None:
    ended = [replace(INCIDENT, id=number, resolved_at=at(5 + number * 10)) for number in range(1, 12)]
    running = replace(INCIDENT, id=99, status=Status.ACKNOWLEDGED, resolved_at=None)
    unknown = replace(INCIDENT, id=98, started_at=None, resolved_at=at(5 + 60))
    detect, _, _, resolve = summarise([*ended, running, unknown])
    assert (resolve.n, resolve.open, resolve.unknown) == (12, 1, 0)
    assert (resolve.median, resolve.mean) == (timedelta(minutes=60), timedelta(minutes=60))
    assert resolve.p90 == timedelta(minutes=99)
    assert (detect.n, detect.open, detect.unknown) == (11, 1, 1)
    assert resolve.definition == "detected → resolved"


def test_one_incident_is_its_own_median() -> None:
    assert {(one.median, one.p90, one.mean) for one in summarise([INCIDENT])[3:]} == {(timedelta(minutes=40),) * 3}


def test_nothing_measured_is_none_never_zero() -> None:
    running = replace(INCIDENT, status=Status.OPEN)
    for incidents in ([], [running]):
        for one in summarise(incidents):
            assert (one.n, one.median, one.p90, one.mean, one.open) == (0, None, None, None, len(incidents))


def test_what_was_allowed_when_it_was_opened_is_what_it_is_judged_by() -> None:
    late = replace(INCIDENT, response_time=timedelta(minutes=15))  # answered after 7
    stricter = replace(CRITICAL, response_time=timedelta(minutes=1))
    found = response(late, stricter, at(99))
    assert (found.state, found.response_time, found.deadline) == (ResponseState.KEPT, timedelta(minutes=15), at(20))
    unrecorded = response(INCIDENT, stricter, at(99))
    assert (unrecorded.state, unrecorded.response_time) == (ResponseState.MISSED, timedelta(minutes=1))
