"""Action items on the timeline: each is added once and done once, and nothing of it is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from irkit.errors import InputError
from irkit.model import ActionItem, Event, EventKind, Incident
from irkit.times import format_time, parse_duration

if TYPE_CHECKING:
    from irkit.store import Store

# the part of the report that a note with an action item belongs to
SECTION = "action-item"
KINDS = ("prevent", "detect", "mitigate", "process")
NO_DATE = datetime.max.replace(tzinfo=UTC)
_DONE = "action_item_done"
_AMENDED = "action_item_amended"
_LAST_MINUTE = time(23, 59, tzinfo=UTC)


def items(events: Iterable[Event]) -> tuple[ActionItem, ...]:
    """Return an incident's action items in the order they were added, so that item 1 stays item 1.

    One noted without owner, due date or criterion has an empty one, and `NO_DATE` for its date.
    """
    recorded = sorted((one for one in events if one.kind is EventKind.NOTE), key=lambda one: one.id)
    found = [_item(one) for one in recorded if one.data.get("section") == SECTION]
    for event in recorded:
        number = event.data.get(_DONE)
        if isinstance(number, int) and 1 <= number <= len(found):
            found[number - 1] = replace(found[number - 1], done_at=found[number - 1].done_at or event.at)
        number = event.data.get(_AMENDED)
        if isinstance(number, int) and 1 <= number <= len(found):
            found[number - 1] = _amended(found[number - 1], event.data)
    return tuple(found)


def is_overdue(item: ActionItem, now: datetime) -> bool:
    """Say whether an item is not done and its date has passed."""
    return item.done_at is None and item.due < now


def add(  # noqa: PLR0913 (what makes a promise one that can be kept)
    store: Store, incident_id: int, text: str, *, owner: str, due: datetime, criterion: str, kind: str, actor: str
) -> int:
    """Add an action item and return its number, from 1.

    Raises:
        InputError: the text or the owner is empty.
        NotFoundError, StoreError: there is no such incident, or it cannot be written.
    """
    for name, value in (("words for what shall be done", text), ("an owner", owner)):
        if not value.strip():
            msg = f"an action item needs {name}"
            raise InputError(msg, hint=f'irkit action-item add {incident_id} "Alert on …" --owner ana --due "2 weeks"')
    data = {
        "section": SECTION,
        "owner": owner.strip(),
        "due": due.isoformat(),
        "done_criterion": criterion,
        "kind": kind,
    }
    event = store.append(incident_id, EventKind.NOTE, actor=actor, text=" ".join(text.split()), data=data)
    before = [one for one in store.timeline(incident_id) if one.id <= event.id]
    return len(items(before))


def finish(  # noqa: PLR0913 (what is done, by whom and when)
    store: Store, incident_id: int, number: int, text: str, *, actor: str, at: datetime | None = None
) -> ActionItem:
    """Record that an action item is done, and return it.

    Raises:
        InputError: there is no such item, or it was done before.
        NotFoundError, StoreError: there is no such incident, or it cannot be written.
    """
    item = _numbered(store, incident_id, number)
    if item.done_at:
        again = f'irkit action-item add {incident_id} "what is left" --owner NAME --due "2 weeks"'
        msg = f"action item {number} of INC-{incident_id} was done at {format_time(item.done_at)}"
        raise InputError(msg, hint=f"add what is left to do as another: {again}")
    said = f"Action item {number} done: {item.text}" + (f". {text.strip()}" if text.strip() else "")
    event = store.append(incident_id, EventKind.NOTE, at=at, actor=actor, text=said, data={_DONE: number})
    return replace(item, done_at=event.at)


def amend(  # noqa: PLR0913 (what may be set right)
    store: Store,
    incident_id: int,
    number: int,
    *,
    owner: str | None = None,
    due: datetime | None = None,
    criterion: str | None = None,
    actor: str,
) -> ActionItem:
    """Set an action item's owner, due date or criterion right, and return it; the timeline keeps both.

    Raises:
        InputError: there is no such item, or nothing is given.
        NotFoundError, StoreError: there is no such incident, or it cannot be written.
    """
    item = _numbered(store, incident_id, number)
    given = {"owner": owner, "due": due.isoformat() if due else None, "done_criterion": criterion}
    changes = {name: value for name, value in given.items() if value}
    if not changes:
        raise InputError("what of it is to be set right?", hint="give --owner, --due or --done-when")
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in changes.items())
    said = f"Action item {number} ({item.text}): {told}"
    store.append(incident_id, EventKind.NOTE, actor=actor, text=said, data={_AMENDED: number, **changes})
    return _amended(item, changes)


def due_date(text: str, now: datetime) -> datetime:
    """Read a due date: `2026-12-10` (the end of that day, UTC), or `2 weeks` from now.

    Raises:
        InputError: it is neither, or lies in the past.
    """
    given = text.strip().lower().removeprefix("in ")
    try:
        due = datetime.combine(datetime.fromisoformat(given).date(), _LAST_MINUTE)
    except ValueError:
        try:
            due = now + parse_duration(given)
        except InputError:
            raise InputError(f"{text!r} is not a due date", hint="write 2026-12-10, or 2 weeks") from None
    if due < now:
        msg = f"the due date {text} is in the past"
        raise InputError(msg, hint="a promise is for a day to come: 2026-12-10, or 2 weeks")
    return due


def of_incidents(store: Store, incidents: Sequence[Incident]) -> Mapping[int, tuple[ActionItem, ...]]:
    """Return the action items of each of these incidents that has any.

    Raises:
        StoreError: the store cannot be read.
    """
    return of_timelines({one.id: store.timeline(one.id) for one in incidents})


def of_timelines(timelines: Mapping[int, Iterable[Event]]) -> Mapping[int, tuple[ActionItem, ...]]:
    """Return the action items of each incident that has any, given the timelines by incident."""
    found = ((number, items(timeline)) for number, timeline in timelines.items())
    return {number: held for number, held in found if held}


def overdue_of_similar(store: Store, incident: Incident, now: datetime) -> Mapping[int, tuple[ActionItem, ...]]:
    """Return the overdue action items of earlier incidents of the same type, by incident.

    Raises:
        StoreError: the store cannot be read.
    """
    earlier = [one for one in store.incidents() if one.type == incident.type and one.id != incident.id]
    held = of_incidents(store, earlier)
    late = {number: tuple(one for one in promised if is_overdue(one, now)) for number, promised in held.items()}
    return {number: promised for number, promised in late.items() if promised}


def days_overdue(item: ActionItem, now: datetime) -> int:
    """Return for how many days an item is overdue, begun ones counted; 0 where it is not."""
    return -((item.due - now) // timedelta(days=1)) if is_overdue(item, now) else 0


def _numbered(store: Store, incident_id: int, number: int) -> ActionItem:
    found = items(store.timeline(incident_id))
    if not 1 <= number <= len(found):
        msg = f"INC-{incident_id} has no action item {number}"
        raise InputError(msg, hint=f"it has {len(found)}; `irkit action-item list {incident_id}` shows them")
    return found[number - 1]


def _item(event: Event) -> ActionItem:
    given: Mapping[str, Any] = event.data
    owner, criterion, kind = (str(given.get(key) or "") for key in ("owner", "done_criterion", "kind"))
    done = _time(given.get("done_at"))
    return ActionItem(event.text, owner, _time(given.get("due")) or NO_DATE, criterion, kind, done)


def _amended(item: ActionItem, given: Mapping[str, Any]) -> ActionItem:
    return replace(
        item,
        owner=str(given.get("owner") or item.owner),
        due=_time(given.get("due")) or item.due,
        done_criterion=str(given.get("done_criterion") or item.done_criterion),
    )


def _time(value: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read and read.tzinfo is None else read
