"""Incidents and their append-only timeline, kept so that a crash or a second writer leaves nothing half done."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from irkit.errors import InputError, NotFoundError, StoreError
from irkit.lifecycle import RESPONSE_TIME, check_next, check_order, check_time, fold, title_of
from irkit.model import MAX_INCIDENT_ID, Event, EventKind, Incident, Status, parse_incident_id, utc_now
from irkit.store.database import EVENT, INCIDENT, connect, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from irkit.settings import Secret, Settings

STORE_NAME = "irkit.db"
MAX_TEXT_CHARS = 100_000
# events that change nothing of an incident's state
_TELLING = tuple(map(str, (EventKind.NOTE, EventKind.EVIDENCE, EventKind.ACTION, EventKind.ESCALATION)))
_NEAR = 5
# where no lock covers the whole store, others may take the next id first, each time anew
_ID_ATTEMPTS = 100


def open_store(settings: Settings, *, create: bool = False, clock: Callable[[], datetime] = utc_now) -> Store:
    """Return the incident store that the settings name: a PostgreSQL URL, else the SQLite file in their `home`.

    Raises:
        NotFoundError: there is none and `create` is false; nothing is made on disk then.
        StoreError: it cannot be read or written, is damaged, is no store of irkit, or is a newer irkit's.
    """
    place = settings.store_url or settings.home / STORE_NAME
    return Store(connect(place, create=create), place, clock)


@dataclass(frozen=True, slots=True)
class Store:
    """An open incident store; each call is one transaction, and no connection is held between calls."""

    engine: sa.Engine
    place: Path | Secret
    clock: Callable[[], datetime]

    def __str__(self) -> str:
        return str(self.place)

    def open_incident(  # noqa: PLR0913 (what is known of an incident when it is opened)
        self,
        title: str,
        *,
        incident_type: str,
        severity: str,
        actor: str,
        incident_id: int | str | None = None,
        opened_at: datetime | None = None,
        started_at: datetime | None = None,
        detected_at: datetime | None = None,
        owner: str | None = None,
        impact: str | None = None,
        response_time: timedelta | None = None,
    ) -> Incident:
        """File a new incident and return it; it counts as opened, and as detected, now unless told otherwise.

        Args:
            title: one line of at most 200 characters.
            incident_type: slug of a type of the runbook.
            severity: name of a severity of the runbook.
            actor: who opens it.
            incident_id: the id it shall have; the next free one where None.
            opened_at: when it was opened, aware.
            started_at: when users were first affected, aware; None where not yet known.
            detected_at: when somebody or something noticed, aware.
            owner: the incident commander.
            impact: what users cannot do, in a sentence.
            response_time: what the severity allows by the runbook of now, which it is judged by from then on; by that
                of the day where None.

        Raises:
            InputError: the id is taken or no id, the title is empty or too long, or a time is in the future or out
                of order.
            StoreError: the store cannot be written; nothing of the incident is kept.
        """
        now = self.clock()
        wanted = None if incident_id is None else parse_incident_id(incident_id)
        data = {"title": title_of(title), "type": incident_type, "severity": severity, "owner": owner, "impact": impact}
        given: dict[str, object] = {key: _storable(value) for key, value in data.items() if value is not None}
        given |= {RESPONSE_TIME: response_time.total_seconds()} if response_time else {}
        rows = [(EventKind.OPENED, opened_at or now, "", given)]
        if started_at:
            rows.append((EventKind.STARTED, started_at, "", {}))
        rows.append((EventKind.DETECTED, detected_at or opened_at or now, "", {}))
        for _, at, _, _ in rows:
            check_time(at, now)
        with transaction(self.engine, self.place, write=True) as connection:
            number = _reserve(connection, wanted, now)
            events = [
                _insert(connection, number, now, kind, at, actor, text, (), extra) for kind, at, text, extra in rows
            ]
            incident = fold(events)
            check_order(incident)
        return incident

    def append(  # noqa: PLR0913 (the columns of a timeline row)
        self,
        incident_id: int | str,
        kind: EventKind,
        *,
        actor: str,
        at: datetime | None = None,
        text: str = "",
        evidence: Sequence[str] = (),
        data: Mapping[str, object] | None = None,
    ) -> Event:
        """Add an event to an incident's timeline and return it; `at` is aware and now where None.

        `data` must be JSON. That of an `AMENDED` event names what changes: title, type, severity, owner, impact or a
        milestone such as `acknowledged_at` (ISO 8601). A later `STARTED` or `DETECTED` replaces the earlier one.

        Raises:
            NotFoundError: there is no such incident; the hint names the nearest ids.
            InputError: the incident's status does not allow the event, its time is in the future or would put the
                milestones out of order, or the text is longer than 100 000 characters.
            StoreError: the store cannot be written; nothing of the event is kept.
        """
        event = self.append_if(
            incident_id, kind, lambda _: True, actor=actor, at=at, text=text, evidence=evidence, data=data
        )
        assert event is not None  # noqa: S101 (the condition above holds)
        return event

    def append_if(  # noqa: PLR0913 (the columns of a timeline row)
        self,
        incident_id: int | str,
        kind: EventKind,
        condition: Callable[[Sequence[Event]], bool],
        *,
        actor: str,
        at: datetime | None = None,
        text: str = "",
        evidence: Sequence[str] = (),
        data: Mapping[str, object] | None = None,
    ) -> Event | None:
        """Add an event as `append` does, where the condition holds of the timeline; else return None.

        Both are one transaction: of two processes that add on the same condition, the second sees the first's event.
        `condition` gets the events in the order they were recorded. Errors are those of `append`.
        """
        number = parse_incident_id(incident_id)
        extra = dict(data or {})
        now = self.clock()
        if len(text) > MAX_TEXT_CHARS:
            msg = f"the text has {len(text)} characters; a timeline row takes {MAX_TEXT_CHARS}"
            raise InputError(msg, hint="keep the whole in a file, and note where it is")
        with transaction(self.engine, self.place, write=True) as connection:
            # where no write lock covers the whole database, the row's lock makes the writers of one incident queue
            connection.execute(sa.select(INCIDENT.c.id).where(INCIDENT.c.id == number).with_for_update())
            events = _events(connection, number, self.place)
            if not condition(events):
                return None
            check_next(events, kind, at or now, extra, now)
            return _insert(connection, number, now, kind, at or now, actor, text, evidence, extra)

    def incident(self, incident_id: int | str) -> Incident:
        """Return an incident as it stands.

        Raises:
            NotFoundError: there is no such incident; the hint names the nearest ids.
            InputError: it is not an id.
            StoreError: the store cannot be read.
        """
        return fold(self.timeline(incident_id))

    def timeline(self, incident_id: int | str) -> tuple[Event, ...]:
        """Return an incident's events by the time they happened.

        Raises:
            NotFoundError: there is no such incident; the hint names the nearest ids.
            InputError: it is not an id.
            StoreError: the store cannot be read.
        """
        number = parse_incident_id(incident_id)
        with transaction(self.engine, self.place) as connection:
            events = _events(connection, number, self.place)
        return tuple(sorted(events, key=lambda event: (event.at, event.id)))

    def incidents(self, statuses: Collection[Status] = tuple(Status)) -> tuple[Incident, ...]:
        """Return the incidents of these statuses, the newest id first.

        Raises:
            StoreError: the store cannot be read.
        """
        query = sa.select(EVENT).where(EVENT.c.kind.not_in(_TELLING)).order_by(EVENT.c.incident_id.desc(), EVENT.c.id)
        with transaction(self.engine, self.place) as connection:
            rows = connection.execute(query).all()
        timelines: dict[int, list[Event]] = {}
        for row in rows:
            timelines.setdefault(row.incident_id, []).append(_event(row, self.place))
        return tuple(one for events in timelines.values() if (one := fold(events)).status in statuses)

    def actions_of_others(self, incident_id: int, since: datetime) -> tuple[Event, ...]:
        """Return what actions were taken since a time for all incidents but one, in the order of the records.

        Raises:
            StoreError: the store cannot be read.
        """
        acts, others = EVENT.c.kind == str(EventKind.ACTION), EVENT.c.incident_id != incident_id
        query = sa.select(EVENT).where(acts, others, EVENT.c.at >= since).order_by(EVENT.c.id)
        with transaction(self.engine, self.place) as connection:
            rows = connection.execute(query).all()
        return tuple(_event(row, self.place) for row in rows)


def _reserve(connection: sa.Connection, wanted: int | None, now: datetime) -> int:
    largest = sa.select(sa.func.max(INCIDENT.c.id))
    for _ in range(_ID_ATTEMPTS):
        number = wanted or (connection.scalar(largest) or 0) + 1
        if number > MAX_INCIDENT_ID:
            raise InputError("the largest possible incident id is in use", hint="choose a free one with --id")
        try:
            # a savepoint, since PostgreSQL gives up a whole transaction at its first error
            with connection.begin_nested():
                connection.execute(sa.insert(INCIDENT).values(id=number, recorded_at=now))
        except sa.exc.IntegrityError:
            if wanted:
                break
        else:
            return number
    raise InputError(
        f"INC-{number} exists already", hint="choose another id, or leave --id out to get the next free one"
    )


def _insert(  # noqa: PLR0913, PLR0917 (the columns of one row)
    connection: sa.Connection,
    number: int,
    now: datetime,
    kind: EventKind,
    at: datetime,
    actor: str,
    text: str,
    evidence: Sequence[str],
    data: Mapping[str, object],
) -> Event:
    values = {
        "incident_id": number,
        "at": at,
        "recorded_at": now,
        "kind": str(kind),
        "actor": _storable(actor),
        "text": _storable(text),
        "evidence": list(evidence),
        "data": dict(data),
    }
    row = connection.execute(sa.insert(EVENT).values(values).returning(EVENT)).one()
    return _event(row, None)


def _events(connection: sa.Connection, number: int, place: Path | Secret) -> list[Event]:
    rows = connection.execute(sa.select(EVENT).where(EVENT.c.incident_id == number).order_by(EVENT.c.id)).all()
    if not rows:
        distance = sa.func.abs(INCIDENT.c.id - number)
        near = sorted(connection.scalars(sa.select(INCIDENT.c.id).order_by(distance).limit(_NEAR)))
        known = f"the nearest ids are {', '.join(map(str, near))}" if near else "it holds no incident yet"
        raise NotFoundError(f"INC-{number} is not in the store {place}", hint=f"{known}; `irkit list` shows all")
    return [_event(row, place) for row in rows]


def _event(row: sa.Row[Any], place: Path | Secret | None) -> Event:
    try:
        kind = EventKind(row.kind)
    except ValueError:
        msg = f"the store {place} holds an event of the kind {row.kind!r}, which this irkit does not know"
        raise StoreError(msg, hint="upgrade irkit") from None
    extra = MappingProxyType(row.data)
    return Event(
        row.id, row.incident_id, row.at, row.recorded_at, kind, row.actor, row.text, tuple(row.evidence), extra
    )


def _storable(text: str) -> str:
    """Escape what no database takes in a text, lone surrogates (bytes that were not UTF-8) and NUL, so none is lost."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
