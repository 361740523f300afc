"""The postmortem meeting as an invitation: an iCalendar file that every calendar takes (RFC 5545, RFC 5546)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from email.utils import parseaddr

from irkit.errors import InputError
from irkit.escalate.mail import compose
from irkit.followup.notes import impact_of
from irkit.model import Event, EventKind, Incident
from irkit.settings.channel_sections import EmailTarget, FollowUpSettings
from irkit.text.message import fit, one_line

_KEY = "meeting_at"
_SATURDAY = 5
_SUMMARY_CHARS = 200
_BODY_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Meeting:
    """A postmortem meeting; a later `sequence` under the same `uid` moves it instead of adding another."""

    uid: str
    sequence: int
    start: datetime
    end: datetime
    summary: str
    description: str
    organizer: str
    attendees: tuple[str, ...]


def when(incident: Incident, settings: FollowUpSettings, now: datetime) -> datetime:
    """Return when the meeting is: so many working days (Monday to Friday) after the incident was resolved, in UTC.

    Where that has passed, or it is not resolved yet, they are counted from now.

    Raises:
        InputError: `meeting_at` is no time of day.
    """
    try:
        at = time.fromisoformat(settings.meeting_at)
    except ValueError:
        msg = f"[follow_up] meeting_at = {settings.meeting_at!r} is no time of day"
        raise InputError(msg, hint='write meeting_at = "10:00"; it is UTC') from None
    for since in (incident.resolved_at or now, now):
        day = since.astimezone(UTC).date()
        left = settings.working_days
        while left:
            day += timedelta(days=1)
            left -= day.weekday() < _SATURDAY
        found = datetime.combine(day, at.replace(tzinfo=UTC))
        if found > now:
            break
    return found


def plan(  # noqa: PLR0913 (what an invitation says)
    incident: Incident,
    timeline: Sequence[Event],
    start: datetime,
    settings: FollowUpSettings,
    email: EmailTarget,
    *,
    key: str,
) -> Meeting:
    """Return the meeting of an incident; `key` is the incident's own among all, as of its messages.

    Where the settings name nobody, neither has the meeting an organizer or attendees: a calendar takes it all the same.
    """
    attendees = tuple(dict.fromkeys(settings.invite or email.to))
    sequence = sum(_KEY in one.data for one in timeline)
    minutes = timedelta(minutes=settings.meeting_minutes)
    lines = [
        f"{incident.label}, severity {incident.severity}: {incident.title}",
        *([f"Impact: {impact}"] if (impact := impact_of(incident, timeline)) else []),
        "We look for the conditions that let it happen, and for what would have shown it earlier; not for who did it.",
        f"The report: irkit postmortem {incident.id}. What it still lacks: irkit lint {incident.id}.",
    ]
    return Meeting(
        uid=f"{key}-postmortem@{parseaddr(email.sender)[1].rpartition('@')[2] or 'irkit.invalid'}",
        sequence=sequence,
        start=start,
        end=start + minutes,
        summary=fit(one_line(f"Postmortem of {incident.label}: {incident.title}"), _SUMMARY_CHARS),
        description=fit("\n".join(lines), _BODY_CHARS),
        organizer=parseaddr(email.sender)[1],
        attendees=tuple(parseaddr(one)[1] for one in attendees),
    )


def to_ics(meeting: Meeting, now: datetime) -> bytes:
    """Return the meeting as an iCalendar object, lines folded at 75 octets."""
    from icalendar import Calendar, vCalAddress
    from icalendar import Event as CalendarEvent

    calendar, event = Calendar(), CalendarEvent()
    # without anybody to ask, it is only told of (RFC 5546, section 3.2)
    method = "REQUEST" if meeting.organizer and meeting.attendees else "PUBLISH"
    for name, value in (("prodid", "-//irkit//postmortem//EN"), ("version", "2.0"), ("method", method)):
        calendar.add(name, value)
    event.add("uid", meeting.uid)
    event.add("sequence", meeting.sequence)
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", meeting.start.astimezone(UTC))
    event.add("dtend", meeting.end.astimezone(UTC))
    event.add("summary", meeting.summary)
    event.add("description", meeting.description)
    event.add("status", "CONFIRMED")
    if meeting.organizer:
        event.add("organizer", vCalAddress(f"mailto:{meeting.organizer}"))
    for one in meeting.attendees:
        attendee = vCalAddress(f"mailto:{one}")
        attendee.params["ROLE"], attendee.params["PARTSTAT"], attendee.params["RSVP"] = (
            "REQ-PARTICIPANT",
            "NEEDS-ACTION",
            "TRUE",
        )
        event.add("attendee", attendee, encode=False)
    calendar.add_component(event)
    made: bytes = calendar.to_ical()
    return made


def to_mail(meeting: Meeting, email: EmailTarget, now: datetime) -> EmailMessage:
    """Return the invitation as a mail: words for people, and the calendar's part that programs read (RFC 6047)."""
    body = f"{meeting.start:%A %Y-%m-%d %H:%M} UTC, {(meeting.end - meeting.start).seconds // 60} minutes.\n\n"
    key = f"{meeting.uid} {meeting.sequence}"
    mail = compose(email, meeting.attendees, meeting.summary, body + meeting.description, key=key, at=now)
    ics = to_ics(meeting, now)
    mail.add_alternative(ics, maintype="text", subtype="calendar", params={"method": "REQUEST", "charset": "utf-8"})
    mail.add_attachment(ics, maintype="application", subtype="ics", filename=f"{meeting.uid.partition('@')[0]}.ics")
    return mail


def record(meeting: Meeting, step: int | None) -> tuple[str, dict[str, object]]:
    """Return the words and the data of the note that says whom the invitation went to and when the meeting is."""
    told = f"Postmortem meeting on {meeting.start:%Y-%m-%d at %H:%M} UTC: {', '.join(meeting.attendees)} invited"
    data: dict[str, object] = {_KEY: meeting.start.isoformat(), "uid": meeting.uid, "outcome": "done"}
    return told, data | ({"follow_up": step} if step else {})


def invited(timeline: Sequence[Event]) -> Event | None:
    """Return the note of the last invitation, None where nobody was invited yet."""
    told = [one for one in timeline if one.kind is EventKind.NOTE and _KEY in one.data]
    return max(told, key=lambda one: one.id, default=None)
