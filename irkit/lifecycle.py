"""What a timeline says of its incident, and which events may follow: pure functions of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from irkit.errors import InputError, StoreError
from irkit.model import Event, EventKind, Incident, Status
from irkit.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# with a severity, in seconds: what it allows is changed by later runbooks, and no incident is judged by those
RESPONSE_TIME = "response_time_s"
MILESTONES = ("started", "detected", "acknowledged", "mitigated", "resolved", "closed")
AMENDABLE = ("title", "type", "severity", "owner", "impact", *(f"{name}_at" for name in MILESTONES))
# clocks of two machines may differ by this much before a time counts as the future
MAX_SKEW = timedelta(seconds=60)
# a year that was mistyped leaves no room for what lies before it
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
MAX_TITLE_CHARS = 200

# A leak may be noticed before it hurts anybody, and what is mended at once be acknowledged afterwards.
_BEFORE = {
    "detected": ("acknowledged", "mitigated", "resolved", "closed"),
    "started": ("mitigated", "resolved", "closed"),
    "acknowledged": ("resolved", "closed"),
    "mitigated": ("resolved", "closed"),
    "resolved": ("closed",),
}
_MILESTONE_KINDS = {EventKind(name): f"{name}_at" for name in MILESTONES}
_REACHES = {
    EventKind.ACKNOWLEDGED: Status.ACKNOWLEDGED,
    EventKind.MITIGATED: Status.MITIGATED,
    EventKind.RESOLVED: Status.RESOLVED,
    EventKind.CLOSED: Status.CLOSED,
}
_ORDER = tuple(Status)
_COMMANDS = {
    EventKind.ACKNOWLEDGED: "ack",
    EventKind.MITIGATED: "mitigate",
    EventKind.RESOLVED: "resolve",
    EventKind.CLOSED: "close",
}


def fold(events: Iterable[Event]) -> Incident:
    """Return the incident that its events, in the order they were recorded, tell of.

    Raises:
        StoreError: the events do not begin with the opening of an incident.
    """
    recorded = sorted(events, key=lambda event: event.id)
    if not recorded or recorded[0].kind is not EventKind.OPENED:
        msg = "a timeline does not begin with the opening of its incident"
        raise StoreError(msg, hint="the store was changed by something other than irkit; restore it from a backup")
    opening = recorded[0]
    incident = _amended(Incident(opening.incident_id, "", "", "", Status.OPEN, opening.at), opening.data)
    for event in recorded[1:]:
        incident = _after(incident, event.kind, event.at, event.data)
    return incident


def check_next(
    events: Sequence[Event], kind: EventKind, at: datetime, data: Mapping[str, object], now: datetime
) -> Incident:
    """Return the incident as it stands once an event of this kind is added.

    Raises:
        InputError: the time is in the future or without a zone, the incident's status does not allow the event, or
            its milestones would be out of order.
    """
    incident = fold(events)
    check_time(at, now)
    if kind is EventKind.AMENDED:
        check_amendment(data, now)
        _check_reached(incident, data)
    _check_status(incident, kind, events)
    reopened_at = max((event.at for event in events if event.kind is EventKind.REOPENED), default=None)
    if reopened_at and at < reopened_at and kind in _REACHES and kind is not EventKind.ACKNOWLEDGED:
        msg = f"{incident.label} was reopened at {format_time(reopened_at)}, after {format_time(at)}"
        raise InputError(msg, hint="give a time after the reopening with --at")
    after = _after(incident, kind, at, data)
    check_order(after)
    return after


def check_time(at: datetime, now: datetime) -> None:
    """Refuse a time without a zone, in the future, or before there were computers to break.

    Raises:
        InputError: it is one of these.
    """
    if at.tzinfo is None:
        msg = f"the time {at.isoformat()} has no time zone"
        raise InputError(msg, hint="write 2026-11-24T03:05:00Z")
    if at < EARLIEST:
        raise InputError(f"{format_time(at)} cannot be meant", hint="check the year: 2026-11-24T03:05Z")
    if at > now + MAX_SKEW:
        msg = f"{format_time(at)} is in the future: it is {format_time(now)} now"
        raise InputError(
            msg, hint="times are UTC unless they say otherwise; check the date, or add a zone such as +01:00"
        )


def check_amendment(data: Mapping[str, object], now: datetime) -> None:
    """Refuse to change what an incident does not have, or to a value it cannot have.

    Raises:
        InputError: a key is none of `AMENDABLE`, a time cannot be read or lies in the future, or a title is no title.
    """
    for key, value in data.items():
        if key == RESPONSE_TIME and "severity" in data and isinstance(value, int | float):
            continue
        if key not in AMENDABLE or not isinstance(value, str):
            msg = f"an incident's {key!r} cannot be changed to {value!r}"
            raise InputError(msg, hint=f"what can be changed: {', '.join(AMENDABLE)}")
        if key == "title":
            title_of(value)
        if key.endswith("_at"):
            try:
                at = datetime.fromisoformat(value)
            except ValueError:
                msg = f"{value!r} is not a time for {key}"
                raise InputError(msg, hint="write 2026-11-24T03:05:00Z") from None
            check_time(at, now)


def title_of(text: str) -> str:
    """Return a title as it is kept: one line.

    Raises:
        InputError: there is nothing of it, or more than 200 characters.
    """
    flat = " ".join(text.split())
    if not flat:
        raise InputError("an incident needs a title", hint='say what users notice: `irkit open "Checkout is down"`')
    if len(flat) > MAX_TITLE_CHARS:
        msg = f"the title has {len(flat)} characters; it takes {MAX_TITLE_CHARS}"
        raise InputError(msg, hint='shorten it, and keep the whole: `irkit note ID "the whole"`')
    return flat


def check_order(incident: Incident) -> None:
    """Refuse milestones that happened before those they follow.

    Raises:
        InputError: naming the two milestones and both times.
    """
    for name, followers in _BEFORE.items():
        first: datetime | None = getattr(incident, f"{name}_at")
        for follower in followers:
            at: datetime | None = getattr(incident, f"{follower}_at")
            if first and at and at < first:
                msg = (
                    f"{incident.label} cannot be {follower} at {format_time(at)}: "
                    f"it was {name} later, at {format_time(first)}"
                )
                raise InputError(msg, hint="check both times (--at); they are UTC unless they say otherwise")


def _after(incident: Incident, kind: EventKind, at: datetime, data: Mapping[str, object]) -> Incident:
    if kind is EventKind.AMENDED:
        return _amended(incident, data)
    if kind is EventKind.REOPENED:
        status = Status.ACKNOWLEDGED if incident.acknowledged_at else Status.OPEN
        return replace(incident, status=status, mitigated_at=None, resolved_at=None, closed_at=None)
    if kind in _MILESTONE_KINDS:
        milestone: dict[str, Any] = {_MILESTONE_KINDS[kind]: at}
        incident = replace(incident, **milestone)
    if kind in _REACHES:
        # an acknowledgement entered late does not take a mitigated incident back
        incident = replace(incident, status=max(incident.status, _REACHES[kind], key=_ORDER.index))
    return incident


def _amended(incident: Incident, data: Mapping[str, object]) -> Incident:
    changes: dict[str, Any] = {
        key: datetime.fromisoformat(str(value)) if key.endswith("_at") else value
        for key, value in data.items()
        if key in AMENDABLE
    }
    if "severity" in data:
        allowed = data.get(RESPONSE_TIME)
        changes["response_time"] = timedelta(seconds=allowed) if isinstance(allowed, int | float) else None
    return replace(incident, **changes)


def _check_reached(incident: Incident, data: Mapping[str, object]) -> None:
    """Refuse to correct the time of what has not happened: that would set a time, and leave the incident where it is.

    Raises:
        InputError: it was never acknowledged, mitigated, resolved or closed; the hint has the command for that.
    """
    for kind in _REACHES:
        field = _MILESTONE_KINDS[kind]
        if field in data and getattr(incident, field) is None:
            words = {EventKind.MITIGATED: ' "what was done"', EventKind.RESOLVED: ' "what was done"'}.get(kind, "")
            hint = f"`irkit {_COMMANDS[kind]} {incident.id}{words} --at {data[field]}` records it"
            raise InputError(f"{incident.label} was never {kind}, so there is no time to correct", hint=hint)


def _check_status(incident: Incident, kind: EventKind, events: Sequence[Event]) -> None:
    label, status = incident.label, incident.status
    ended = status in {Status.RESOLVED, Status.CLOSED}
    if kind is EventKind.OPENED:
        raise InputError(f"{label} is open already", hint="open another incident, or add a note to this one")
    if kind is EventKind.REOPENED and not ended:
        raise InputError(f"{label} is {status}, so there is nothing to reopen", hint=f"`irkit show {incident.id}`")
    if kind not in _REACHES:
        return
    if getattr(incident, _MILESTONE_KINDS[kind]) is not None:
        last = max((event for event in events if event.kind is kind), key=lambda event: event.id, default=None)
        who = f" by {last.actor} at {format_time(last.at)}" if last else ""
        hint = f'`irkit show {incident.id}` shows its timeline; `irkit note {incident.id} "what was seen"` adds to it'
        raise InputError(f"{label} was {kind} already{who}", hint=hint)
    if kind is EventKind.CLOSED and not ended:
        hint = f'`irkit resolve {incident.id} "what fixed it"` comes first'
        raise InputError(f"{label} is {status}, not resolved", hint=hint)
    # what came before the end may be entered after it; the order of the milestones is checked besides
    if kind not in {EventKind.CLOSED, EventKind.ACKNOWLEDGED, EventKind.MITIGATED} and ended:
        hint = f'if it is back, or was entered by mistake: `irkit reopen {incident.id} "why"`'
        raise InputError(f"{label} is {status}, so it cannot be {kind} now", hint=hint)
