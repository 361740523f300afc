"""E-mail, by the team's own mail server; it cannot tell a mail it had already."""

from __future__ import annotations

from irkit.escalate import mail
from irkit.escalate.contract import DeliveryError, Message, Receipt, channel
from irkit.settings.channel_sections import EmailTarget


@channel(
    "email", title="E-mail", section="email", words=("email", "mail", "emailed"), lacks=mail.lacks, looking=mail.look
)
def send(target: EmailTarget, message: Message, timeout_s: float) -> Receipt:
    """Send one mail to all who read every message, and to the role's own address."""
    own = dict(target.roles).get(message.role, "")
    to = tuple(dict.fromkeys(filter(None, (*target.to, own))))
    if not to:
        raise DeliveryError(f"has no address for {message.role or 'it'} in [email]", permanent=True)
    key = f"{message.dedup_key} {message.purpose} {message.role}"
    return mail.submit(target, mail.compose(target, to, message.headline, message.body, key=key), timeout_s)
