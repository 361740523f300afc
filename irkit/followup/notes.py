"""What a timeline means: which notes of a report's part hold, and whether it was but a drill, or a false alarm.

One written instead of those before it leaves them on the timeline alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from irkit.followup.action_items import SECTION
from irkit.model import Event, EventKind, Incident
from irkit.times import format_duration, format_time

INSTEAD = "instead"
DRILL = "drill"
FALSE_ALARM = "false_alarm"
# what was mended longer ago is told by the report's similar incidents
_LATELY = timedelta(hours=24)


def in_force(timeline: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events without the notes that a later one of the same part was written instead of, in their order.

    Action items are not among them: they are numbered, and done or not.
    """
    events = tuple(timeline)
    since: dict[object, int] = {}
    for event in events:
        section = event.data.get("section")
        if event.kind is EventKind.NOTE and event.data.get(INSTEAD) and section != SECTION:
            since[section] = max(event.id, since.get(section, 0))
    return tuple(
        one for one in events if one.kind is not EventKind.NOTE or one.id >= since.get(one.data.get("section"), 0)
    )


def drill_of(timeline: Iterable[Event]) -> str:
    """Return the name of the drill an incident was filed from, "" where it happened."""
    return next((str(event.data[DRILL]) for event in timeline if event.data.get(DRILL)), "")


def is_false_alarm(timeline: Iterable[Event]) -> bool:
    """Say whether an incident was dismissed as a false alarm, and not taken up again since."""
    ends = [event for event in timeline if event.kind in {EventKind.RESOLVED, EventKind.REOPENED}]
    last = max(ends, key=lambda event: event.id, default=None)
    return last is not None and last.kind is EventKind.RESOLVED and bool(last.data.get(FALSE_ALARM))


def what_helped(timeline: Iterable[Event]) -> str:
    """Return in people's words what mitigated an incident, else what resolved it; "" where it is as bad as ever."""
    told: dict[EventKind, str] = {}
    for event in sorted(timeline, key=lambda one: one.id):
        if event.kind is EventKind.REOPENED:
            told.clear()
        elif event.kind in {EventKind.MITIGATED, EventKind.RESOLVED} and (words := event.text.strip()):
            told[event.kind] = words
    return told.get(EventKind.MITIGATED) or told.get(EventKind.RESOLVED) or ""


def like_it(incident: Incident, others: Iterable[tuple[Incident, Sequence[Event]]]) -> Iterator[str]:
    """Yield a sentence for each of the others that is open still, or was mended within 24 hours before this one."""
    for one, timeline in others:
        if one.over_at is None:
            yield f"{one.label} of the same type is {one.status} since {format_time(one.noticed_at)}: {one.title}"
        elif one.eased_at and (helped := what_helped(timeline)):
            since = incident.noticed_at - one.eased_at
            if timedelta() <= since <= _LATELY:
                yield f"{one.label} of the same type was mended {format_duration(since)} before by: {helped}"


def impact_of(incident: Incident, timeline: Iterable[Event]) -> str:
    """Return the impact as it is known now: people's notes for that part, else what was recorded first."""
    notes = (one for one in in_force(timeline) if one.kind is EventKind.NOTE and one.data.get("section") == "impact")
    return " ".join(one.text for one in notes) or incident.impact or ""
