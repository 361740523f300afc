"""What the timeline says of an incident's messages: which were sent, which are under way, which were cut off.

Each attempt is a row before it is made, so that whoever comes after a crash knows that it may have been. The state of a
delivery is that of its last row; there is no other record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from irkit.escalate.contract import Purpose
from irkit.model import Event, EventKind


class State(StrEnum):
    """How far a message is with one channel; the last three concern a whole step of the ladder."""

    SENDING = "sending"
    AGAIN = "again"
    SENT = "sent"
    REFUSED = "refused"
    FAILED = "failed"
    UNSURE = "unsure"
    UNREACHED = "unreached"
    EXHAUSTED = "exhausted"
    HELD = "held"


UNDER_WAY = frozenset({State.SENDING, State.AGAIN})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message by one channel: for which step, in which round of telling (a reopening begins a new one)."""

    round: int
    rung: int
    channel: str
    purpose: Purpose = Purpose.TRIGGER


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the timeline about a delivery; `until` is when an attempt under way must have ended."""

    event_id: int
    at: datetime
    delivery: Delivery
    state: State
    attempt: int
    role: str
    until: datetime | None


def rows(events: Iterable[Event]) -> tuple[Row, ...]:
    """Return the rows about deliveries in the order they were recorded; rows of another shape are left out."""
    ordered = sorted((one for one in events if one.kind is EventKind.ESCALATION), key=lambda one: one.id)
    return tuple(row for event in ordered if (row := _row(event)))


def latest(found: Sequence[Row], delivery: Delivery) -> Row | None:
    """Return the last row of a delivery, None where there is none."""
    return next((row for row in reversed(found) if row.delivery == delivery), None)


def round_of(events: Iterable[Event]) -> int:
    """Return the round of telling the incident is in: that of its last row, and a later one since each reopening."""
    number = 0
    for event in sorted(events, key=lambda one: one.id):
        if event.kind is EventKind.REOPENED:
            number += 1
        elif row := _row(event):
            number = max(number, row.delivery.round)
    return number


def data_of(delivery: Delivery, state: State, *, attempt: int, role: str, until: datetime | None) -> dict[str, object]:
    """Return a row's data, from which `rows` reads it again."""
    return {
        "round": delivery.round,
        "rung": delivery.rung,
        "channel": delivery.channel,
        "purpose": str(delivery.purpose),
        "state": str(state),
        "attempt": attempt,
        "role": role,
        "until": until.isoformat() if until else None,
    }


def _row(event: Event) -> Row | None:
    data: Mapping[str, object] = event.data
    numbers = [data.get(key) for key in ("round", "rung", "attempt")]
    if event.kind is not EventKind.ESCALATION or not all(isinstance(one, int) for one in numbers):
        return None
    number, rung, attempt = (one if isinstance(one, int) else 0 for one in numbers)
    try:
        delivery = Delivery(number, rung, str(data.get("channel") or ""), Purpose(str(data.get("purpose"))))
        until = datetime.fromisoformat(str(data["until"])) if data.get("until") else None
        state = State(str(data.get("state")))
    except ValueError:
        return None
    return Row(event.id, event.at, delivery, state, attempt, str(data.get("role") or ""), until)
