"""The acknowledgement clocks: whoever does not answer within the response time is followed by the next contact.

Nothing is held in memory that matters: each look reads the timelines anew, so that a watch may be killed and started
again, or run twice, and nobody is told twice. A look returns what it did; the loop around it is the command's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from irkit.errors import EscalationError, InputError
from irkit.escalate import tell as escalate
from irkit.escalate.contract import Purpose
from irkit.escalate.delivery import Case
from irkit.escalate.log import UNDER_WAY, Delivery, Row, State, data_of, round_of, rows
from irkit.metrics import allowed
from irkit.model import Event, EventKind, Incident, Status
from irkit.times import format_duration

_ONGOING = (Status.OPEN, Status.ACKNOWLEDGED, Status.MITIGATED, Status.RESOLVED)
_FIRST_RETRY = timedelta(minutes=1)
_DOUBLINGS = 4
# how long a service is told of the end of an incident that it did not hear of
_FOLLOWED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something a watch cannot do, said once for each `key`."""

    key: tuple[int, str]
    sentence: str
    hint: str


def look(case: Case) -> tuple[Doubt, ...]:
    """Look once at every incident that is not closed, and do what is due; return what could not be done.

    Raises:
        StoreError: the store cannot be read or written.
    """
    return tuple(doubt for incident in case.store.incidents(_ONGOING) for doubt in _look_at(case, incident))


def _look_at(case: Case, incident: Incident) -> Iterator[Doubt]:
    events, now = case.store.timeline(incident.id), case.clock()
    found, number = rows(events), round_of(events)
    try:
        if escalate.answered(incident):
            _follow(case, incident, events, now)
        elif case.runbook.unread:
            sentence = f"{incident.label} is unanswered, and nobody is told: {case.runbook.unread.sentence}"
            yield Doubt((incident.id, "no runbook"), sentence, case.runbook.unread.hint)
        elif not any(one.state is State.HELD and one.delivery.round == number for one in found):
            yield from _climb(case, incident, found, number, _open_since(incident, events))
    except (InputError, EscalationError) as error:
        yield Doubt((incident.id, str(error)), str(error), error.hint)


def _follow(case: Case, incident: Incident, events: Sequence[Event], now: datetime) -> None:
    over = incident.over_at
    purpose = Purpose.RESOLVE if over else Purpose.ACKNOWLEDGE
    if over and now - over > _FOLLOWED:
        return
    known, _ = escalate.channels()
    if not escalate.owed(events, known, purpose):
        return
    number = round_of(events)
    tries = [one for one in rows(events) if one.delivery.round == number and one.delivery.purpose is purpose]
    if not tries or _due_again(tries, State.FAILED, now) or _cut_off(tries[-1], now):
        escalate.follow(case, incident.id, purpose, retry=True)


def _climb(case: Case, incident: Incident, found: Sequence[Row], number: int, since: datetime) -> Iterator[Doubt]:
    now, limit = case.clock(), allowed(incident, case.runbook.severity(incident.severity))
    begun = escalate.current(found, number)
    if not begun:
        if now - since <= limit:
            escalate.begin(case, incident.id)
        else:
            sentence = f"{incident.label} is open and nobody was ever told of it by irkit"
            yield Doubt((incident.id, "never told"), sentence, f"irkit escalate {incident.id} tells the first contact")
        return
    rung, last = begun[0].delivery.rung, begun[-1]
    over = now >= begun[0].at + limit
    if last.state in UNDER_WAY:
        if _cut_off(last, now):
            escalate.climb(case, incident.id, rung)
    elif over:
        yield from _over(case, incident, rung, begun, limit)
    elif not any(one.state in {State.SENT, State.UNREACHED} for one in begun):
        # stopped between one channel and the next
        escalate.climb(case, incident.id, rung)
    elif last.state is State.UNREACHED and _due_again(begun, State.UNREACHED, now):
        escalate.climb(case, incident.id, rung, retry=True)


def _over(case: Case, incident: Incident, rung: int, begun: Sequence[Row], limit: timedelta) -> Iterator[Doubt]:
    """Go to the next contact; where there is none, say so once, on the timeline too."""
    if rung < len(escalate.plan(case, incident.id).rungs):
        escalate.climb(case, incident.id, rung + 1)
        return
    sentence = f"{incident.label} is unanswered, and the runbook names nobody else to tell"
    if not any(one.state is State.EXHAUSTED for one in begun):
        delivery = Delivery(begun[0].delivery.round, rung, "")
        text = f"Nobody answered within {format_duration(limit)}, and the runbook names nobody else to tell"

        def unsaid(events: Sequence[Event]) -> bool:
            return not any(one.state is State.EXHAUSTED and one.delivery == delivery for one in rows(events))

        data = data_of(delivery, State.EXHAUSTED, attempt=0, role="", until=None)
        case.store.append_if(
            incident.id, EventKind.ESCALATION, unsaid, at=case.clock(), actor=case.actor, text=text, data=data
        )
        case.on_news(incident.id, text)
    yield Doubt((incident.id, "exhausted"), sentence, f"irkit escalate {incident.id} --again tells them once more")


def _open_since(incident: Incident, events: Sequence[Event]) -> datetime:
    return max([incident.opened_at, *(one.at for one in events if one.kind is EventKind.REOPENED)])


def _cut_off(row: Row, now: datetime) -> bool:
    return row.state in UNDER_WAY and row.until is not None and now >= row.until


def _due_again(tries: Sequence[Row], state: State, now: datetime) -> bool:
    """Say whether it is time to try once more what failed: after a minute, then two, four, up to sixteen."""
    failed = [one for one in tries if one.state is state]
    return bool(failed) and now >= failed[-1].at + _FIRST_RETRY * 2 ** min(len(failed) - 1, _DOUBLINGS)
