"""One message through one channel: intent recorded first, retried with back-off, never sent twice.

A process may be killed between the sending and the record of it. Then the intent is what the next one finds. Where the
service drops a message it had already (PagerDuty by its dedup key, tickets by a search), it is sent again under the
same key; where it cannot (Slack, e-mail), it is not, the timeline says that it may have arrived, and the message goes
by the next channel.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.escalate.contract import Channel, DeliveryError, Message, Purpose, Receipt
from irkit.escalate.log import UNDER_WAY, Delivery, Row, State, data_of, latest, rows
from irkit.model import Event, EventKind
from irkit.runbook import Runbook
from irkit.settings import Settings
from irkit.text.phrase import count

if TYPE_CHECKING:
    from irkit.store import Store

_LONGEST_WAIT_S = 30.0
# an attempt is stopped after so many times its time-out, which libraries count for each read
_SLACK = 2.0
_MARGIN_S = 5.0
_DONE = {
    Purpose.TRIGGER: "{reader} told by {title}",
    Purpose.ACKNOWLEDGE: "{title} knows that somebody answered",
    Purpose.RESOLVE: "{title} knows that it is over",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What a delivery needs besides the message: where it is recorded, the settings, the clock, and how to wait.

    `wait` takes seconds. `actor` is who tells; `on_news` hears each line as it is recorded, with the incident's id.
    """

    store: Store
    settings: Settings
    runbook: Runbook
    clock: Callable[[], datetime]
    wait: Callable[[float], None]
    actor: str
    on_news: Callable[[int, str], None] = lambda *_: None


@dataclass(frozen=True, slots=True)
class Sending:
    """One message on its way by one channel."""

    case: Case
    incident_id: int
    channel: Channel
    delivery: Delivery
    message: Message

    @property
    def reader(self) -> str:
        return self.message.role or "those it goes to"


def deliver(sending: Sending, *, retry: bool = False) -> State:
    """Send a message by one channel, unless it was sent, refused or given up before; return how far it is.

    With `retry` one that was given up is tried anew. `SENDING` and `AGAIN` are only returned where another process is
    at it just now.

    Raises:
        StoreError: an attempt could not be recorded; then it was not made.
    """
    case, channel = sending.case, sending.channel
    before = latest(rows(case.store.timeline(sending.incident_id)), sending.delivery)
    attempt = 1
    if before:
        cut_off = before.state in UNDER_WAY and (before.until is None or case.clock() >= before.until)
        if not cut_off and not (retry and before.state is State.FAILED):
            return before.state
        if cut_off and not channel.repeatable:
            said = (
                f"{channel.title} may have it: irkit was stopped while it told {sending.reader}. "
                "It is not sent again, so that nobody is told twice"
            )
            return State.UNSURE if _note(sending, State.UNSURE, said, before, before.attempt) else State.SENDING
        attempt = before.attempt + 1
    last = _note(sending, State.SENDING, f"Telling {sending.reader} by {channel.title}", before, attempt)
    return _attempts(sending, last) if last else State.SENDING


def look(channel: Channel, settings: Settings, timeout_s: float) -> str:
    """Return how a channel's service answers to one who sends no message, "" where that cannot be asked.

    Raises:
        DeliveryError: it would take none, or does not say so in time.
    """
    with _stopped_after(timeout_s * _SLACK):
        return channel.look(getattr(settings, channel.section), timeout_s)


def _attempts(sending: Sending, last: Row) -> State:
    """Try until it is taken, refused for good, or given up; `last` is the row that announces the attempt."""
    case, channel, first = sending.case, sending.channel, last.attempt
    limits = case.settings.escalation
    while True:
        tried = last.attempt - first + 1
        try:
            with _stopped_after(limits.timeout_s * _SLACK):
                receipt = channel.send(getattr(case.settings, channel.section), sending.message, limits.timeout_s)
        except DeliveryError as error:
            wait_s = max(limits.first_wait_s * 2 ** (tried - 1), error.retry_after_s)
            ended = _ended(sending, error, tried, wait_s)
            if ended:
                _note(sending, *ended, last, last.attempt)
                return ended[0]
            said = f"{channel.title} {error}: attempt {tried + 1} of {limits.attempts} in {wait_s:g} s"
            again = _note(sending, State.AGAIN, said, last, last.attempt + 1, wait_s)
            if again is None:
                return State.AGAIN
            case.wait(wait_s)
            last = again
        else:
            _note_receipt(sending, last, receipt)
            return State.SENT


def _ended(sending: Sending, error: DeliveryError, tried: int, wait_s: float) -> tuple[State, str] | None:
    """Return why no further attempt is made, and None where one is."""
    title, limits = sending.channel.title, sending.case.settings.escalation
    if error.unsure and not sending.channel.repeatable:
        return State.UNSURE, f"{title} {error}: {sending.reader} may have it, so it is not sent again"
    if error.permanent:
        return State.REFUSED, f"{title} {error}: it will not take it, so it is not tried again"
    if tried >= limits.attempts or wait_s > _LONGEST_WAIT_S:
        return State.FAILED, f"{title} {error}: given up after {count(tried, 'attempt')}"
    return None


def _note_receipt(sending: Sending, last: Row, receipt: Receipt) -> None:
    """Record that it was sent, whatever others recorded meanwhile: it was."""
    case, title = sending.case, sending.channel.title
    told = f" ({receipt.said})" if receipt.said else ""
    said = f"{_DONE[sending.delivery.purpose].format(reader=sending.reader, title=title)}{told}"
    data = data_of(sending.delivery, State.SENT, attempt=last.attempt, role=sending.message.role, until=None)
    data |= {"receipt": dict(receipt.data), "dedup_key": sending.message.dedup_key}
    case.store.append(
        sending.incident_id, EventKind.ESCALATION, at=case.clock(), actor=case.actor, text=said, data=data
    )
    case.on_news(sending.incident_id, said)


def _note(  # noqa: PLR0913, PLR0917 (the columns of a row)
    sending: Sending, state: State, said: str, before: Row | None, attempt: int, wait_s: float = 0.0
) -> Row | None:
    """Record a row, unless another process has recorded one of this delivery since `before`; then return None."""
    case, delivery = sending.case, sending.delivery
    now = case.clock()
    lease = timedelta(seconds=wait_s + case.settings.escalation.timeout_s * _SLACK + _MARGIN_S)
    until = now + lease if state in UNDER_WAY else None
    data = data_of(delivery, state, attempt=attempt, role=sending.message.role, until=until)
    data["dedup_key"] = sending.message.dedup_key

    def unchanged(events: Sequence[Event]) -> bool:
        return latest(rows(events), delivery) == before

    event = case.store.append_if(
        sending.incident_id, EventKind.ESCALATION, unchanged, at=now, actor=case.actor, text=said, data=data
    )
    if event is None:
        return None
    case.on_news(sending.incident_id, said)
    return latest(rows([event]), delivery)


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Stop what the block does after so many seconds: an answer that drips in never times out by itself."""

    def stop(*_: object) -> None:
        raise DeliveryError(f"gave no whole answer within {seconds:g} s", unsure=True)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
