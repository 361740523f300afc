"""The invitation is one that calendars take, on a working day, and moves instead of multiplying."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar

from irkit.errors import InputError
from irkit.escalate import mail
from irkit.followup.invitation import Meeting, invited, plan, record, to_ics, to_mail, when
from irkit.model import Event, EventKind, Incident, Status
from irkit.settings.channel_sections import EmailTarget, FollowUpSettings
from tests.support.channel_servers import Mailbox
from tests.support.escalation import email_target

FRIDAY = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
INCIDENT = Incident(
    42, "Checkout is down", "api-unresponsive", "Critical", Status.RESOLVED, FRIDAY, resolved_at=FRIDAY, impact="All."
)
TARGET = EmailTarget(sender="irkit <irkit@example.com>", to=("team@example.com", "ana@example.com"))


def planned(incident: Incident = INCIDENT, timeline: tuple[Event, ...] = (), start: datetime = FRIDAY) -> Meeting:
    return plan(incident, timeline, start, FollowUpSettings(), TARGET, key="irkit-INC-42-0123")


def test_the_impact_is_told_as_it_came_to_be() -> None:
    note = Event(3, 42, FRIDAY, FRIDAY, EventKind.NOTE, "ana", "Half of the orders.", data={"section": "impact"})
    assert "Impact: All.\n" in planned().description
    assert "Impact: Half of the orders.\n" in planned(timeline=(note,)).description


@pytest.mark.parametrize(("days", "day"), [(1, 30), (5, 34), (6, 37)])
def test_working_days_skip_the_week_end(days: int, day: int) -> None:
    at = when(INCIDENT, FollowUpSettings(working_days=days, meeting_at="09:30"), FRIDAY)
    assert at == datetime(2026, 11, 1, 9, 30, tzinfo=UTC) + timedelta(days=day - 1)
    assert at.weekday() < 5


def test_what_has_passed_is_counted_from_now_and_nonsense_is_refused() -> None:
    late = FRIDAY + timedelta(days=90)
    assert when(INCIDENT, FollowUpSettings(), late) > late
    assert when(replace(INCIDENT, resolved_at=None), FollowUpSettings(), FRIDAY) > FRIDAY
    with pytest.raises(InputError, match="is no time of day"):
        when(INCIDENT, FollowUpSettings(meeting_at="after lunch"), FRIDAY)


@pytest.mark.parametrize(
    "title", ["Checkout is down", "a\r\nATTENDEE:mailto:x@evil.example", "é" * 5000, "a;b,c\\n\x07"]
)
def test_the_file_is_one_event_that_a_calendar_reads_back(title: str) -> None:
    made = to_ics(planned(replace(INCIDENT, title=title)), FRIDAY)
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    calendar = Calendar.from_ical(made)
    (event,) = calendar.walk("VEVENT")
    assert (calendar["METHOD"], calendar["VERSION"]) == ("REQUEST", "2.0")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (FRIDAY, FRIDAY + timedelta(hours=1))
    assert [str(one) for one in event["attendee"]] == ["mailto:team@example.com", "mailto:ana@example.com"]
    assert str(event["organizer"]) == "mailto:irkit@example.com"
    assert str(event["summary"]).startswith("Postmortem of INC-42: ")


def test_it_arrives_by_mail_as_an_invitation(mailbox: Mailbox) -> None:
    target = replace(email_target(mailbox), sender="irkit@example.com")
    mail.submit(target, to_mail(planned(), target, FRIDAY), 5)
    (envelope,) = mailbox.mails
    assert envelope.rcpt_tos == ["team@example.com", "ana@example.com"]
    got = email.message_from_bytes(bytes(envelope.original_content or b""), policy=email.policy.default)
    parts = {part.get_content_type(): part for part in got.walk()}
    assert set(parts) >= {"text/plain", "text/calendar", "application/ics"}
    assert parts["text/calendar"].get_param("method") == "REQUEST"
    for kind in ("text/calendar", "application/ics"):
        assert len(Calendar.from_ical(parts[kind].get_payload(decode=True)).walk("VEVENT")) == 1
    assert "Friday 2026-11-27 16:00 UTC, 60 minutes." in parts["text/plain"].get_content()


def test_a_second_one_moves_the_first() -> None:
    first = planned()
    said, data = record(first, 4)
    note = Event(9, 42, FRIDAY, FRIDAY, EventKind.NOTE, "ana", said, data=data)
    second = planned(timeline=(note,), start=FRIDAY + timedelta(days=3))
    assert (second.uid, first.sequence, second.sequence) == (first.uid, 0, 1)
    assert (invited(()), invited((note,))) == (None, note)
    assert data["follow_up"] == 4


def test_where_nobody_is_named_a_calendar_takes_it_all_the_same() -> None:
    meeting = plan(INCIDENT, (), FRIDAY, FollowUpSettings(), EmailTarget(), key="k")
    calendar = Calendar.from_ical(to_ics(meeting, FRIDAY))
    (event,) = calendar.walk("VEVENT")
    assert calendar["METHOD"] == "PUBLISH"
    assert ("ORGANIZER" in event, "ATTENDEE" in event) == (False, False)
    assert event["UID"] == "k-postmortem@irkit.invalid"
    asked = plan(
        INCIDENT, (), FRIDAY, FollowUpSettings(), EmailTarget(sender="a@b.example", to=("c@d.example",)), key="k"
    )
    assert Calendar.from_ical(to_ics(asked, FRIDAY))["METHOD"] == "REQUEST"
