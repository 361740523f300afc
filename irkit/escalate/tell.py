"""Tell people of an incident by the runbook's policy, and the services when it is answered or over.

The ladder and its words are in `irkit.escalate.policy`, one message's way in `irkit.escalate.delivery`; here is when
which step is climbed. All state is the incident's own timeline, so that any process can go on where another ended.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from irkit.errors import EscalationError, InputError
from irkit.escalate.contract import Channel, Message, Purpose, registered
from irkit.escalate.delivery import Case, Sending, deliver
from irkit.escalate.log import UNDER_WAY, Delivery, Row, State, data_of, round_of, rows
from irkit.escalate.policy import NO_SECTION, Rung, dedup_key, fall_back, lacks_of, ladder, message
from irkit.lifecycle import fold
from irkit.metrics import allowed
from irkit.model import Event, EventKind, Incident, Severity
from irkit.registry import BrokenPlugin, load_plugins
from irkit.settings import Settings

# what a service is told of the incident's state without climbing a step
_NO_RUNG = 0


@dataclass(frozen=True, slots=True)
class Told:
    """How one step ended: who was told, by which channel, or that nobody could be; `rung` says who was meant."""

    rung: Rung
    state: State
    channel: str = ""

    @property
    def reached(self) -> bool:
        return self.state is State.SENT


@dataclass(frozen=True, slots=True)
class Plan:
    """The ladder of an incident as it stands: its steps, when each is due, and how far it is.

    `ways` are the channels by which each was told, which may be another than the step's own; "" of one who was not.
    """

    incident: Incident
    severity: Severity
    rungs: tuple[Rung, ...]
    states: tuple[State | None, ...]
    ways: tuple[str, ...]
    ahead: Rung | None
    due_at: datetime | None
    message: Message | None


def channels() -> tuple[Mapping[str, Channel], tuple[BrokenPlugin, ...]]:
    """Return all channels by name, those of other packages too, and which of those could not be loaded."""
    broken = load_plugins("irkit.channels", "irkit.channels")
    return registered(), broken


def configured(settings: Settings) -> tuple[str, ...]:
    """Return the titles of the channels that the settings make usable."""
    known, _ = channels()
    return tuple(one.title for one in known.values() if not lacks_of(one, settings))


def half_configured(settings: Settings) -> tuple[str, ...]:
    """Return what the channels lack that have a section in irkit.toml and cannot be used."""
    known, _ = channels()
    found = ((one.section, lacks_of(one, settings)) for one in known.values())
    return tuple(
        dict.fromkeys(f"[{section}] lacks {lacks}" for section, lacks in found if lacks not in {"", NO_SECTION})
    )


def plan(case: Case, incident_id: int) -> Plan:
    """Return the ladder of an incident, what was climbed of it, and which step is due when; nothing is sent.

    Raises:
        EscalationError: the team's own runbook cannot be read, and whom it wants told is not known.
        NotFoundError, StoreError: there is no such incident, or it cannot be read.
        InputError: the runbook knows its type or severity no more.
    """
    _refuse_unread(case, incident_id)
    known, _ = channels()
    events, incident = _read(case, incident_id)
    severity = case.runbook.severity(incident.severity)
    rungs = ladder(incident, case.runbook, case.settings, known)
    found, number = rows(events), round_of(events)
    told_by = [_of_rung(found, number, rung.number) for rung in rungs]
    ahead, due_at = _ahead(incident, rungs, found, number, allowed(incident, severity))
    told = message(incident, case.runbook, ahead, key=dedup_key(events), source=_source(case)) if ahead else None
    return Plan(incident, severity, rungs, tuple(map(_state, told_by)), tuple(map(_way, told_by)), ahead, due_at, told)


def begin(case: Case, incident_id: int) -> Told | None:
    """Climb the first step of an incident just opened; None where no channel is configured.

    Raises:
        EscalationError, StoreError, InputError: as of `plan`; nothing was sent then, and the first is on the timeline.
    """
    if not configured(case.settings):
        return None
    if case.runbook.unread:
        text = f"Nobody is told by irkit: {case.runbook.unread.sentence}"
        case.store.append(incident_id, EventKind.ESCALATION, at=case.clock(), actor=case.actor, text=text)
    first = plan(case, incident_id).rungs[0]
    return climb(case, incident_id, first.number)


def _refuse_unread(case: Case, incident_id: int) -> None:
    """Rather tell nobody than whom the built-in runbook names: these may be the wrong people.

    Raises:
        EscalationError: the team's own cannot be read.
    """
    if unread := case.runbook.unread:
        hint = f"tell them yourself; {unread.hint}; then irkit escalate {incident_id}"
        raise EscalationError(f"nobody is told of INC-{incident_id}: {unread.sentence}", hint=hint)


def hold(case: Case, incident_id: int) -> None:
    """Record that nobody shall be told of this incident by irkit, so that `irkit watch` leaves it alone."""
    events, _ = _read(case, incident_id)
    delivery = Delivery(round_of(events), _NO_RUNG, "")
    data = data_of(delivery, State.HELD, attempt=0, role="", until=None)
    text = "Nobody is told by irkit: opened without escalation"
    case.store.append(incident_id, EventKind.ESCALATION, at=case.clock(), actor=case.actor, text=text, data=data)


def climb(case: Case, incident_id: int, number: int, *, again: bool = False, retry: bool = False) -> Told:
    """Climb one step: by its own channel, and where that fails by those to fall back on; what was sent stays sent.

    `again` begins a new round, in which all may be told once more; `retry` tries anew what failed but was not refused.

    Raises:
        InputError: the ladder has no such step, or no channel is configured.
        StoreError: it could not be recorded, so it was not sent.
    """
    _refuse_unread(case, incident_id)
    known, _ = channels()
    events, incident = _read(case, incident_id)
    rungs = ladder(incident, case.runbook, case.settings, known)
    if not 1 <= number <= len(rungs):
        msg = f"the runbook's ladder for {incident.label} has {len(rungs)} steps, no step {number}"
        raise InputError(msg, hint=f"irkit escalate {incident_id} --dry-run shows them")
    rung = rungs[number - 1]
    names = fall_back(rung, case.settings, known)
    if not names:
        raise InputError(
            "no channel is configured", hint="`irkit doctor` says what each lacks; see Settings in the README"
        )
    turn = round_of(events) + (1 if again else 0)
    word = message(incident, case.runbook, rung, key=dedup_key(events), source=_source(case))
    refused, plain = list[str](), word.body
    for name in names:
        if name != rung.channel:
            why = f"{', '.join(refused)} did not take this" if refused else f"“{rung.wording}” is not set up"
            word = replace(word, body=f"{why}, so it comes by this way, to {rung.reader}.\n{plain}")
        state = deliver(Sending(case, incident_id, known[name], Delivery(turn, number, name), word), retry=retry)
        if state is State.SENT or state in UNDER_WAY:
            return Told(rung, state, name)
        refused.append(known[name].title)
    delivery = Delivery(turn, number, "")
    data = data_of(delivery, State.UNREACHED, attempt=0, role=rung.role, until=None)
    text = f"Nobody was told for certain, though {', '.join(refused)} was tried"
    case.store.append(incident_id, EventKind.ESCALATION, at=case.clock(), actor=case.actor, text=text, data=data)
    case.on_news(incident_id, text)
    return Told(rung, State.UNREACHED)


def follow(case: Case, incident_id: int, purpose: Purpose, *, retry: bool = False) -> tuple[str, ...]:
    """Tell the services that hold an alert of the incident that it was answered, or is over; return their titles.

    Raises:
        EscalationError: one of them did not take it; `irkit watch` tries again.
    """
    known, _ = channels()
    events, incident = _read(case, incident_id)
    told: list[str] = []
    failed: list[str] = []
    word = Message(dedup_key(events), incident.title, "", "", incident.severity, 0, "", purpose)
    doubtful = _never_taken(events)
    for name in owed(events, known, purpose):
        delivery = Delivery(round_of(events), _NO_RUNG, name, purpose)
        state = deliver(Sending(case, incident_id, known[name], delivery, word), retry=retry)
        if state is State.SENT or state in UNDER_WAY:
            told.append(known[name].title)
        elif name not in doubtful:
            failed.append(known[name].title)
    if failed:
        msg = f"{', '.join(failed)} could not be told that {incident.label} is {_WORD[purpose]}"
        hint = "it is recorded here all the same; `irkit watch` tries again, or end the alert there by hand"
        raise EscalationError(msg, hint=hint)
    return tuple(told)


def owed(events: Sequence[Event], known: Mapping[str, Channel], purpose: Purpose) -> tuple[str, ...]:
    """Return the channels that hold an alert since it was last reopened, and have not heard yet what `purpose` says."""
    reopened = max((one.id for one in events if one.kind is EventKind.REOPENED), default=0)
    found = [one for one in rows(events) if one.event_id > reopened]
    ends = {one.delivery: one.state for one in found if one.delivery.purpose is Purpose.TRIGGER and one.attempt}
    called = {one.channel for one, state in ends.items() if state is not State.REFUSED}
    heard = (State.SENT, State.REFUSED)
    done = {one.delivery.channel for one in found if one.delivery.purpose is purpose and one.state in heard}
    return tuple(sorted(name for name in called - done if name in known and known[name].follows))


def _never_taken(events: Sequence[Event]) -> frozenset[str]:
    """Return the channels that took no alert of the incident: to hear nothing of its end harms nobody there."""
    found = [one for one in rows(events) if one.delivery.purpose is Purpose.TRIGGER and one.attempt]
    taken = {one.delivery.channel for one in found if one.state in {State.SENT, State.UNSURE}}
    return frozenset(one.delivery.channel for one in found) - taken


def current(found: Sequence[Row], number: int) -> tuple[Row, ...]:
    """Return the rows of the highest step that was begun in this round, oldest first; empty where none was."""
    begun = [one for one in found if _in(one, number, Purpose.TRIGGER) and one.delivery.rung > _NO_RUNG]
    highest = max((one.delivery.rung for one in begun), default=_NO_RUNG)
    return tuple(one for one in begun if one.delivery.rung == highest)


def answered(incident: Incident) -> bool:
    """Say whether somebody responded: where nobody acknowledged, mitigating or resolving counts as well."""
    return any((incident.acknowledged_at, incident.mitigated_at, incident.resolved_at, incident.closed_at))


_WORD = {Purpose.ACKNOWLEDGE: "acknowledged", Purpose.RESOLVE: "resolved", Purpose.TRIGGER: "open"}


def _in(row: Row, number: int, purpose: Purpose) -> bool:
    return row.delivery.round == number and row.delivery.purpose is purpose


def _of_rung(found: Sequence[Row], number: int, rung: int) -> list[Row]:
    return [one for one in found if _in(one, number, Purpose.TRIGGER) and one.delivery.rung == rung]


def _state(own: Sequence[Row]) -> State | None:
    states = [one.state for one in own]
    return State.SENT if State.SENT in states else states[-1] if states else None


def _way(own: Sequence[Row]) -> str:
    return next((one.delivery.channel for one in reversed(own) if one.state is State.SENT), "")


def _ahead(
    incident: Incident, rungs: Sequence[Rung], found: Sequence[Row], number: int, response_time: timedelta
) -> tuple[Rung | None, datetime | None]:
    """Return the step to climb next and when; no step and a time where the last one's clock still runs."""
    if answered(incident):
        return None, None
    begun = current(found, number)
    if not begun:
        return rungs[0], incident.noticed_at
    climbed = begun[0].delivery.rung
    after = rungs[climbed] if climbed < len(rungs) else None
    return after, begun[0].at + response_time


def _read(case: Case, incident_id: int) -> tuple[tuple[Event, ...], Incident]:
    events = case.store.timeline(incident_id)
    return events, fold(events)


def _source(case: Case) -> str:
    return case.settings.service or case.settings.docker.project or socket.gethostname()
