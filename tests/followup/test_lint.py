"""What a postmortem lacks is found, and one that lacks nothing is left in peace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from irkit.followup.lint import Lack, lint
from irkit.model import Event, EventKind, Incident, Status

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


GOOD = Incident(
    42,
    "Checkout is down",
    "api-unresponsive",
    "Critical",
    Status.RESOLVED,
    at(6),
    started_at=at(1),
    detected_at=at(5),
    acknowledged_at=at(7),
    mitigated_at=at(20),
    resolved_at=at(40),
    owner="maria",
    impact="312 of 2,000 customers could not pay for 36 minutes.",
)


def note(text: str, section: str = "", minute: float = 60, **data: object) -> Event:
    return Event(
        int(minute * 10), 42, at(minute), at(minute), EventKind.NOTE, "jon", text, data={"section": section, **data}
    )


PROMISE = note(
    "Alert on a full disk",
    "action-item",
    owner="jon",
    due=at(60 * 24 * 30).isoformat(),
    done_criterion="it pages within 2 minutes",
)
TOLD = note("At 03:01 the disk was full; at 03:20 logs were moved.", "what-happened", 61)
TRIGGER = note("The nightly snapshot, which fills the disk (bundle 20261124T031000Z-5f1c).", "trigger", 62)


def lacks(
    *events: Event, incident: Incident = GOOD, unwritten: tuple[str, ...] = (), evidence: bool = True
) -> list[Lack]:
    return list(lint(incident, events, unwritten, has_evidence=evidence))


def rules(*events: Event, incident: Incident = GOOD) -> list[str]:
    return [one.rule for one in lacks(PROMISE, *events, incident=incident)]


def test_a_good_one_is_left_in_peace() -> None:
    assert lacks(PROMISE, TOLD, TRIGGER) == []


@pytest.mark.parametrize(
    ("missing", "word"), [("owner", "no owner"), ("due", "no due date"), ("done_criterion", "no word on how it shows")]
)
def test_a_promise_nobody_can_hold_anyone_to(missing: str, word: str) -> None:
    data = {key: value for key, value in PROMISE.data.items() if key != missing}
    (lack,) = lacks(replace(PROMISE, data=data))
    assert (lack.rule, word in lack.sentence) == ("action-item", True)


def test_nothing_promised_nothing_collected_and_parts_nobody_wrote() -> None:
    found = lacks(unwritten=("impact", "trigger", "action-item"), evidence=False)
    assert [(one.rule, one.where) for one in found] == [
        ("evidence", "report"),
        ("action-item", "action-item"),
        ("unwritten", "trigger"),
    ]
    assert 'irkit note 42 --section trigger "…"' in found[-1].hint


def test_a_start_that_nobody_recorded_is_told_by_the_evidence_where_it_shows_one_in_time() -> None:
    unknown = replace(GOOD, started_at=None)
    for first_sign, said, command in (
        (at(2), "; the evidence shows it since 2026-11-24 03:02:00 UTC", "started_at 2026-11-24T03:02:00Z"),
        (at(6), "", "started_at TIME"),  # after it was detected
        (None, "", "started_at TIME"),
    ):
        (lack,) = lint(unknown, [PROMISE], (), has_evidence=True, first_sign=first_sign)
        assert lack.sentence == f"nobody recorded when users were first affected{said}"
        assert lack.hint == f"irkit amend 42 {command}"


@pytest.mark.parametrize(
    ("impact", "fine"), [(None, False), ("Customers could not pay.", False), ("Nobody could pay.", True), ("5 %", True)]
)
def test_impact_wants_a_number(impact: str | None, fine: bool) -> None:  # noqa: FBT001
    assert (rules(incident=replace(GOOD, impact=impact)) == []) is fine


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("Jon should have checked the disk.", False),
        ("It was human error.", False),
        ("maria broke the migration", False),
        ("He forgot the flag.", False),
        ("Nothing warned of a full disk.", True),
        ("The migration ran without a lock and broke the index.", True),
    ],
)
def test_people_are_not_blamed(text: str, fine: bool) -> None:  # noqa: FBT001
    assert (rules(note(text, "surprise")) == []) is fine


@pytest.mark.parametrize("text", ["TODO: ask jon", "the cause is ???", "tbc", "<who could not do what>"])
def test_what_was_left_to_write_is_found(text: str) -> None:
    assert "placeholder" in rules(note(text, "surprise"))


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("It failed because the disk was full.", False),
        ("90 % of calls failed.", False),
        ("It failed because the disk was full, see host/disks.", True),
        ("It failed because of https://example.com/deploy/14", True),
        ("The disk was full.", True),
    ],
)
def test_a_claim_wants_what_it_rests_on(text: str, fine: bool) -> None:  # noqa: FBT001
    assert (rules(note(text, "trigger")) == []) is fine
    assert rules(replace(note(text, "trigger"), evidence=("host/disks",))) == []


def test_times_out_of_order_are_found() -> None:
    assert rules(incident=replace(GOOD, mitigated_at=at(50))) == ["order"]
    assert rules(incident=replace(GOOD, started_at=None)) == ["order"]
    assert rules(note("At 03:20 logs were moved, at 03:01 the disk was full.", "what-happened")) == ["order"]
    assert rules(note("At 23:50 it filled, at 00:10 it was full.", "what-happened")) == [], "past midnight"
    step = replace(note("Step 1: done", minute=0.5), kind=EventKind.ACTION)
    assert rules(step) == ["order"]
    assert rules(replace(step, at=at(45))) == ["order"]
    assert rules(replace(step, at=at(15))) == []


def test_what_is_written_instead_counts_and_the_timeline_keeps_both() -> None:
    bad = note("TODO, jon broke it", "surprise", 61)
    good = note("Nothing warned of a full disk.", "surprise", 62, instead=True)
    assert rules(bad, good) == []
    assert rules(bad, note("It had filled for a week.", "surprise", 63)) != []
    assert rules(good, note("TODO", "surprise", 63)) == ["placeholder"]
    assert (
        len(lacks(replace(PROMISE, data={"section": "action-item"}), note("x", "action-item", 61, instead=True))) == 2
    )
