"""PagerDuty, by its Events API v2: one alert an incident, acknowledged and resolved under its dedup key."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

from irkit.escalate.contract import DeliveryError, Message, Purpose, Receipt, channel, refused
from irkit.settings.channel_sections import PagerDutyTarget
from irkit.settings.urls import is_web_address
from irkit.text.message import fit, one_line

if TYPE_CHECKING:
    from pagerduty import EventsApiV2Client

# https://developer.pagerduty.com/docs/send-alert-event: what the fields take; an event takes 512 KB in all
_SUMMARY_CHARS = 1024
_DETAILS_CHARS = 20_000
_ROUTING_KEY_CHARS = 32
_SEVERITIES = ("critical", "error", "warning", "info")


def _lacks(target: PagerDutyTarget) -> str:
    key = target.routing_key.reveal()
    if not key:
        return "the routing_key of an Events API v2 integration of the service"
    if len(key) != _ROUTING_KEY_CHARS or not key.isalnum():
        return f"a routing_key of {len(key)} characters, where PagerDuty's have {_ROUTING_KEY_CHARS} letters and digits"
    return "" if target.url.startswith("https://") and is_web_address(target.url) else "an address that is not https"


@channel(
    "pagerduty",
    title="PagerDuty",
    section="pagerduty",
    words=("page", "pager", "paged", "paging", "pagerduty"),
    lacks=_lacks,
    repeatable=True,
    follows=True,
)
def send(target: PagerDutyTarget, message: Message, timeout_s: float) -> Receipt:
    """Send one event; PagerDuty takes a second one with the same dedup key as word of the same alert."""
    import pagerduty

    log = logging.getLogger("pagerduty")
    if not log.handlers:  # else Python prints the library's own account to standard error
        log.addHandler(logging.NullHandler())
    context = ssl.create_default_context(cafile=target.ca_file or None)
    with pagerduty.EventsApiV2Client(target.routing_key.reveal(), base_url=target.url, verify=context) as client:
        client.timeout = max(round(timeout_s), 1)
        client.max_network_attempts = 0
        # the client would try a 429 for ever unless told a number, and this is how none is told
        client.retry, client.max_http_attempts = {429: 1}, -1
        try:
            if message.purpose is Purpose.TRIGGER:
                key = _triggered(client, message)
            else:
                key = client.send_event(str(message.purpose), message.dedup_key)
        except pagerduty.HttpError as error:
            answer = error.response
            if answer is None:
                raise DeliveryError(one_line(str(error))) from None
            raise refused(answer.status_code, answer.text, answer.headers.get("Retry-After")) from None
        except pagerduty.Error as error:
            cause = error.__cause__ or error
            said = one_line(f"{type(cause).__name__} {cause}")
            raise DeliveryError(f"could not be reached: {said}") from None
    return Receipt(f"dedup key {key}", {"dedup_key": key})


def _triggered(client: EventsApiV2Client, message: Message) -> str:
    details = {"text": fit(message.body, _DETAILS_CHARS), "severity": message.severity, "role": message.role}
    return client.trigger(
        summary=fit(one_line(message.headline), _SUMMARY_CHARS),
        source=fit(one_line(message.source), _SUMMARY_CHARS),
        dedup_key=message.dedup_key,
        severity=_SEVERITIES[min(message.rank, len(_SEVERITIES) - 1)],
        custom_details={key: value for key, value in details.items() if value},
    )
