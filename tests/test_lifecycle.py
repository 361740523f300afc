from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import InputError, StoreError
from irkit.lifecycle import MILESTONES, check_next, fold
from irkit.model import Event, EventKind, Incident, Status

K = EventKind
BASE = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
NOW = BASE + timedelta(hours=5)
OPENING = {"title": "API down", "type": "api-unresponsive", "severity": "Critical"}


def at(minutes: float) -> datetime:
    return BASE + timedelta(minutes=minutes)


def event(number: int, kind: EventKind, minutes: float, data: Mapping[str, object] | None = None) -> Event:
    return Event(number, 42, at(minutes), NOW, kind, "ana", "", (), data or {})


def events(*steps: tuple[EventKind, float]) -> list[Event]:
    numbers = count(1)
    opening = [event(next(numbers), K.OPENED, 6, OPENING), event(next(numbers), K.DETECTED, 5)]
    return opening + [event(next(numbers), kind, minutes) for kind, minutes in steps]


def add(before: list[Event], kind: EventKind, minutes: float, **data: object) -> Incident:
    return check_next(before, kind, at(minutes), data, NOW)


def test_an_incident_is_what_its_events_tell() -> None:
    told = fold(
        events((K.STARTED, 1), (K.ACKNOWLEDGED, 7), (K.NOTE, 8), (K.MITIGATED, 9), (K.RESOLVED, 20), (K.CLOSED, 30))
    )
    assert told == Incident(
        42, "API down", "api-unresponsive", "Critical", Status.CLOSED, at(6), at(1), at(5), at(7), at(9), at(20), at(30)
    )


def test_the_order_of_recording_counts_not_the_order_given() -> None:
    steps = events((K.ACKNOWLEDGED, 7), (K.RESOLVED, 20))
    assert fold(reversed(steps)) == fold(steps)


@pytest.mark.parametrize("broken", [[], [event(1, K.NOTE, 0)], events()[1:]])
def test_a_timeline_without_its_opening_is_damage(broken: list[Event]) -> None:
    with pytest.raises(StoreError, match="does not begin with the opening") as refused:
        fold(broken)
    assert "backup" in refused.value.hint


def test_reopening_takes_back_what_it_undoes_and_keeps_the_rest() -> None:
    resolved = events((K.ACKNOWLEDGED, 7), (K.MITIGATED, 9), (K.RESOLVED, 20), (K.CLOSED, 30))
    again = add(resolved, K.REOPENED, 40)
    assert (again.status, again.acknowledged_at) == (Status.ACKNOWLEDGED, at(7))
    assert (again.mitigated_at, again.resolved_at, again.closed_at) == (None, None, None)
    assert add(events((K.RESOLVED, 20)), K.REOPENED, 40).status is Status.OPEN


def test_after_reopening_the_second_resolution_counts_and_comes_later() -> None:
    reopened = events((K.RESOLVED, 20), (K.REOPENED, 40))
    assert add(reopened, K.RESOLVED, 50).resolved_at == at(50)
    with pytest.raises(InputError, match="was reopened at 2026-11-24 03:40:00 UTC, after 2026-11-24 03:30:00 UTC"):
        add(reopened, K.RESOLVED, 30)


@pytest.mark.parametrize(
    ("before", "kind", "status"),
    [
        ([], K.ACKNOWLEDGED, Status.ACKNOWLEDGED),
        ([], K.MITIGATED, Status.MITIGATED),
        ([], K.RESOLVED, Status.RESOLVED),
        ([(K.ACKNOWLEDGED, 7)], K.RESOLVED, Status.RESOLVED),
        ([(K.RESOLVED, 20)], K.CLOSED, Status.CLOSED),
        ([(K.RESOLVED, 20)], K.NOTE, Status.RESOLVED),
        ([(K.RESOLVED, 20), (K.CLOSED, 21)], K.EVIDENCE, Status.CLOSED),
    ],
)
def test_what_may_follow(before: list[tuple[EventKind, float]], kind: EventKind, status: Status) -> None:
    assert add(events(*before), kind, 60).status is status


@pytest.mark.parametrize(
    ("before", "kind", "sentence", "hint"),
    [
        (
            [(K.ACKNOWLEDGED, 7)],
            K.ACKNOWLEDGED,
            "INC-42 was acknowledged already by ana at 2026-11-24 03:07:00 UTC",
            "note",
        ),
        ([(K.MITIGATED, 7)], K.MITIGATED, "INC-42 was mitigated already by ana", "show"),
        ([(K.RESOLVED, 7)], K.RESOLVED, "INC-42 was resolved already by ana", "show"),
        ([(K.RESOLVED, 7)], K.ACKNOWLEDGED, "INC-42 cannot be resolved at 2026-11-24 03:07:00 UTC", "--at"),
        ([(K.RESOLVED, 7), (K.CLOSED, 8)], K.MITIGATED, "INC-42 cannot be resolved at 2026-11-24 03:07:00 UTC", "--at"),
        ([], K.CLOSED, "INC-42 is open, not resolved", "irkit resolve 42"),
        ([], K.REOPENED, "INC-42 is open, so there is nothing to reopen", "show"),
        ([], K.OPENED, "INC-42 is open already", "another"),
    ],
)
def test_what_may_not_follow_says_why(
    before: list[tuple[EventKind, float]], kind: EventKind, sentence: str, hint: str
) -> None:
    with pytest.raises(InputError) as refused:
        add(events(*before), kind, 60)
    assert sentence in str(refused.value)
    assert hint in refused.value.hint


def test_a_leak_may_be_noticed_before_it_hurts_and_what_was_mended_be_acknowledged_afterwards() -> None:
    assert add(events(), K.STARTED, 6).started_at == at(6)
    late = add(events((K.MITIGATED, 7)), K.ACKNOWLEDGED, 8)
    assert (late.status, late.acknowledged_at, late.mitigated_at) == (Status.MITIGATED, at(8), at(7))
    assert add(events((K.ACKNOWLEDGED, 8)), K.MITIGATED, 7).mitigated_at == at(7)


def test_a_late_acknowledgement_does_not_take_mitigation_back() -> None:
    mitigated = events((K.MITIGATED, 9))
    late = add(mitigated, K.ACKNOWLEDGED, 8)
    assert (late.status, late.acknowledged_at) == (Status.MITIGATED, at(8))


@pytest.mark.parametrize(
    ("before", "kind", "minutes", "sentence"),
    [
        (
            [],
            K.ACKNOWLEDGED,
            4,
            "cannot be acknowledged at 2026-11-24 03:04:00 UTC: it was detected later, at 2026-11-24 03:05:00 UTC",
        ),
        ([(K.MITIGATED, 7)], K.STARTED, 8, "cannot be mitigated at 2026-11-24 03:07:00 UTC: it was started later"),
        ([], K.MITIGATED, 4, "it was detected later"),
        ([(K.ACKNOWLEDGED, 7)], K.RESOLVED, 6, "it was acknowledged later"),
        ([(K.RESOLVED, 7)], K.CLOSED, 6, "it was resolved later"),
        ([(K.ACKNOWLEDGED, 7)], K.DETECTED, 8, "cannot be acknowledged"),
    ],
)
def test_milestones_out_of_order_are_refused(
    before: list[tuple[EventKind, float]], kind: EventKind, minutes: float, sentence: str
) -> None:
    with pytest.raises(InputError) as refused:
        add(events(*before), kind, minutes)
    assert sentence in str(refused.value)


def test_milestones_at_the_same_moment_are_in_order() -> None:
    assert add(events((K.ACKNOWLEDGED, 5)), K.MITIGATED, 5).mitigated_at == at(5)


@pytest.mark.parametrize("kind", list(EventKind))
def test_nothing_happens_in_the_future(kind: EventKind) -> None:
    with pytest.raises(InputError, match="is in the future: it is 2026-11-24 08:00:00 UTC now"):
        check_next(events(), kind, NOW + timedelta(seconds=61), {}, NOW)


def test_clocks_may_differ_a_little() -> None:
    assert check_next(events(), K.ACKNOWLEDGED, NOW + timedelta(seconds=59), {}, NOW).acknowledged_at


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="has no time zone"):
        check_next(events(), K.NOTE, datetime(2026, 11, 24, 3, 10), {}, NOW)  # noqa: DTZ001 (what is refused)


def test_an_amendment_changes_what_it_names() -> None:
    amended = add(
        events((K.ACKNOWLEDGED, 9)), K.AMENDED, 60, severity="High", owner="bo", acknowledged_at=at(7).isoformat()
    )
    assert (amended.severity, amended.owner, amended.acknowledged_at) == ("High", "bo", at(7))
    assert (amended.title, amended.status) == ("API down", Status.ACKNOWLEDGED)


def test_the_response_time_comes_with_the_severity_and_goes_with_it() -> None:
    opened = fold([replace(events()[0], data={**OPENING, "response_time_s": 900.0}), *events()[1:]])
    assert opened.response_time == timedelta(minutes=15)
    amended = add(events(), K.AMENDED, 60, severity="High", response_time_s=3600.0)
    assert (amended.severity, amended.response_time) == ("High", timedelta(hours=1))
    assert fold(events()).response_time is None
    with pytest.raises(InputError, match="'response_time_s' cannot be changed"):
        add(events(), K.AMENDED, 60, response_time_s=3600.0)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"id": "7"}, "'id' cannot be changed"),
        ({"status": "closed"}, "'status' cannot be changed"),
        ({"title": 7}, "'title' cannot be changed to 7"),
        ({"title": " \n"}, "an incident needs a title"),
        ({"title": "x" * 201}, "the title has 201 characters"),
        ({"detected_at": "soon"}, "'soon' is not a time for detected_at"),
        ({"detected_at": "2026-11-24T03:04:00"}, "has no time zone"),
        ({"detected_at": "2026-11-25T00:00:00Z"}, "is in the future"),
        ({"started_at": "0026-11-24T00:00:00Z"}, "cannot be meant"),
        ({"acknowledged_at": at(1).isoformat()}, "cannot be acknowledged"),
    ],
)
def test_an_amendment_that_makes_no_sense_is_refused(data: Mapping[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        check_next(events((K.ACKNOWLEDGED, 9)), K.AMENDED, at(60), data, NOW)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("milestone", ["acknowledged", "mitigated", "resolved", "closed"])
def test_the_time_of_what_never_happened_is_not_corrected_but_recorded_by_its_command(milestone: str) -> None:
    told = at(30).isoformat()
    with pytest.raises(InputError, match=f"INC-42 was never {milestone}") as refused:
        add(events(), K.AMENDED, 60, **{f"{milestone}_at": told})
    command = {"acknowledged": "ack", "mitigated": "mitigate", "resolved": "resolve", "closed": "close"}[milestone]
    assert refused.value.hint.startswith(f"`irkit {command} 42 ")
    assert refused.value.hint.endswith(f"--at {told}` records it")
    assert add(events(), K.AMENDED, 60, started_at=at(1).isoformat()).started_at == at(1)


@given(st.lists(st.tuples(st.sampled_from(EventKind), st.integers(0, 200)), max_size=30))
def test_whatever_is_accepted_leaves_a_consistent_incident(attempts: list[tuple[EventKind, int]]) -> None:
    timeline, ends = events(), ("resolved", "closed")
    for kind, minutes in attempts:
        named = f"{MILESTONES[minutes % len(MILESTONES)]}_at"
        data = {named: at(minutes).isoformat()} if kind is K.AMENDED else {}
        try:
            promised = add(timeline, kind, minutes, **data)
        except InputError:
            continue
        timeline.append(event(len(timeline) + 1, kind, minutes, data))
        told = fold(timeline)
        assert told == promised
        for chain in (("detected", "acknowledged", *ends), ("started", "mitigated", *ends), ("detected", "mitigated")):
            times = [moment for name in chain if (moment := getattr(told, f"{name}_at"))]
            assert times == sorted(times)
        assert (told.resolved_at is not None) is (told.status in {Status.RESOLVED, Status.CLOSED})
        assert (told.closed_at is not None) is (told.status is Status.CLOSED)
