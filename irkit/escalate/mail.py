"""One mail to the team's mail server: composed so that no header can be forged, and submitted once."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

from irkit.escalate.contract import DeliveryError, Receipt
from irkit.settings.channel_sections import EmailTarget
from irkit.text.message import fit, one_line

# RFC 5322, 2.1.1: a line has 998 characters at most; readers show far fewer of a subject
_SUBJECT_CHARS = 200
_BODY_CHARS = 100_000
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_TRANSIENT = range(400, 500)


def lacks(target: EmailTarget) -> str:
    """Say what the settings of e-mail lack, or nothing."""
    if not target.url.reveal():
        return "the url of a mail server, such as smtps://mail.example.com"
    try:
        parts = urlsplit(target.url.reveal())
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        return f"a url that begins with {', '.join(f'{scheme}://' for scheme in _PORTS)}"
    wrong = [one for one in (target.sender, *target.to, *dict(target.roles).values()) if not _is_address(one)]
    if not target.to and not target.roles:
        return "anybody to write `to`"
    return f"a right address: {one_line(wrong[0]) or 'sender is empty'}" if wrong else ""


def compose(  # noqa: PLR0913 (the parts of a mail)
    target: EmailTarget, to: Iterable[str], subject: str, body: str, *, key: str, at: datetime | None = None
) -> EmailMessage:
    """Return a mail to these addresses; `key` makes its Message-ID, so that the same mail has the same."""
    mail = EmailMessage()
    domain = target.sender.rpartition("@")[2]
    mail["From"] = target.sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = fit(one_line(subject), _SUBJECT_CHARS)
    if at:
        mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note answers it
    mail.set_content(fit(body, _BODY_CHARS), cte="quoted-printable")
    return mail


def submit(target: EmailTarget, mail: EmailMessage, timeout_s: float) -> Receipt:
    """Hand a mail to the server, once.

    Raises:
        DeliveryError: it was not taken, or by none of its readers' mailboxes; unsure where the connection broke.
    """
    server = _ready(target, timeout_s)
    try:
        left_out = server.send_message(mail)
        with suppress(OSError, smtplib.SMTPException):  # it has the mail, whatever it says to our farewell
            server.quit()
    except (OSError, smtplib.SMTPException) as error:
        raise _error(error, sent=True) from None
    finally:
        server.close()  # at once, whatever the server still says
    told = f", not to {', '.join(left_out)}" if left_out else ""
    return Receipt(f"to {mail['To']}{told}", {"message_id": str(mail["Message-ID"]), "refused": sorted(left_out)})


def look(target: EmailTarget, timeout_s: float) -> str:
    """Greet the server, log in where a user is named, and say how it answered; no mail is sent.

    Raises:
        DeliveryError: it does not answer, or does not let us in.
    """
    server = _ready(target, timeout_s)
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()
    return "answers and takes the login" if urlsplit(target.url.reveal()).username else "answers"


def _ready(target: EmailTarget, timeout_s: float) -> smtplib.SMTP:
    """Return a connection that a mail can be handed to; to be closed by who asked for it.

    Raises:
        DeliveryError: there is none.
    """
    parts = urlsplit(target.url.reveal())
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    try:
        server = _connected(parts.scheme, host, port, timeout_s)
    except UnicodeError:  # a name that is none: empty between two dots, or too long
        raise DeliveryError("has a host whose name cannot be looked up", permanent=True) from None
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"could not be reached: {one_line(str(error))}") from None
    try:
        server.ehlo_or_helo_if_needed()
        if parts.scheme == "smtp+starttls":
            server.starttls(context=ssl.create_default_context())
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException as error:
        server.close()
        if isinstance(error, UnicodeError):
            raise DeliveryError("takes ASCII alone in its user and password", permanent=True) from None
        if isinstance(error, OSError | smtplib.SMTPException):
            raise _error(error) from None
        raise
    return server


def _connected(scheme: str, host: str, port: int, timeout_s: float) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=timeout_s)


def _error(error: Exception, *, sent: bool = False) -> DeliveryError:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        said = "; ".join(f"{one}: {code} {_said(text)}" for one, (code, text) in error.recipients.items())
        return DeliveryError(f"refused every reader: {said}", permanent=not any(code in _TRANSIENT for code in codes))
    if isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
        return DeliveryError(f"answered {code} {_said(error.smtp_error)}", permanent=code not in _TRANSIENT)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return DeliveryError(f"cannot do what is wanted: {one_line(str(error))}", permanent=True)
    said = f"broke off: {type(error).__name__} {one_line(str(error))}".strip()
    return DeliveryError(said, unsure=sent)


def _said(text: bytes | str) -> str:
    return fit(one_line(text.decode("utf-8", "replace") if isinstance(text, bytes) else text), _SUBJECT_CHARS)


def _is_address(text: str) -> bool:
    """Say whether a text is one address, with or without a name before it, and nothing that ends a header."""
    name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    try:
        Address(name, local, domain)
    except (ValueError, IndexError):
        return False
    return bool(at and local and domain) and text == one_line(text) and "," not in text
