"""Any other service, through Apprise; it tries once and does not say why it failed."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from irkit.escalate.contract import DeliveryError, Message, Receipt, channel
from irkit.settings.channel_sections import AppriseTarget
from irkit.text.message import fit, one_line

_TYPES = ("failure", "failure", "warning", "info")


def _lacks(target: AppriseTarget) -> str:
    if not target.url.reveal():
        return "a url of Apprise's"
    return "" if find_spec("apprise") else "the library: pip install 'irkit[apprise]'"


@channel("apprise", title="Apprise", section="apprise", words=("apprise",), lacks=_lacks)
def send(target: AppriseTarget, message: Message, timeout_s: float) -> Receipt:
    """Notify one service, its texts cut to what that takes, so that none arrives in two."""
    import apprise

    log = logging.getLogger("apprise")
    if not log.handlers:  # else Python prints its account, which may hold a password, to standard error
        log.addHandler(logging.NullHandler())
    service = apprise.Apprise.instantiate(target.url.reveal())
    if service is None:
        raise DeliveryError("does not know such a url", permanent=True)
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s
    title = fit(one_line(message.headline), service.title_maxlen) if service.title_maxlen else ""
    body = message.body if title else f"{one_line(message.headline)}\n{message.body}"
    taken = service.notify(
        body=fit(body, service.body_maxlen),
        title=title,
        notify_type=_TYPES[min(message.rank, len(_TYPES) - 1)],
        overflow="truncate",
        body_format="text",
    )
    if not taken:
        raise DeliveryError("did not deliver it, and does not say why", unsure=True)
    return Receipt(f"as {service.service_name}")
