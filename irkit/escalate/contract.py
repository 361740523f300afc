"""The contract of a channel: a function that sends one message, and returns a receipt or raises a `DeliveryError`.

A channel tries once. How often it is tried, what is tried instead, and what the timeline says of it is decided in
`irkit.escalate.delivery`, alike for all channels; so their libraries' own retries, of which nobody would learn, stay
off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType

from irkit.redact import hidden
from irkit.settings import urls
from irkit.settings.sections import Secret
from irkit.text.message import one_line

_NOTHING: Mapping[str, object] = MappingProxyType({})
_REASON_CHARS = 200
_TRY_LATER = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_SHORTEST_SECRET_CHARS = 6


class Purpose(StrEnum):
    """What a message is for: to call somebody, or to say that somebody answered, or that it is over."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told of an incident, and to whom; a channel cuts it to what its service takes.

    `headline` is a line, `body` several. `rank` is the severity's, 0 the most urgent. All messages of an incident have
    one `dedup_key`; `role` is the runbook's name for who shall read it, or empty.
    """

    dedup_key: str
    headline: str
    body: str
    source: str
    severity: str
    rank: int
    role: str = ""
    purpose: Purpose = Purpose.TRIGGER


@dataclass(frozen=True, slots=True)
class Receipt:
    """That the service took the message: what it said, in a few words, and the ids it gave."""

    said: str = ""
    data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


class DeliveryError(Exception):
    """A message was not taken: `permanent` where another attempt cannot help, `unsure` where it may have been.

    `retry_after_s` is what the service asks to wait. The reason lacks its subject: “answered 500”.
    """

    def __init__(
        self, reason: str, *, permanent: bool = False, unsure: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.unsure = unsure
        self.retry_after_s = retry_after_s


# (target, message, seconds for one attempt)
SendFunction = Callable[..., Receipt]
# (target, seconds); returns how the service answered, “answers and takes the login”, or raises a `DeliveryError`
LookFunction = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Channel:
    """A registered channel; `repeatable` where the service drops a message it had, `follows` where it hears of the end.

    `words` are those of a runbook that mean it, `section` the one of its settings, `lacks` says what they lack.
    `looking` asks the service whether it would take a message, and sends none.
    """

    name: str
    title: str
    section: str
    words: frozenset[str]
    repeatable: bool
    follows: bool
    lacks: Callable[..., str]
    function: SendFunction
    looking: LookFunction | None = None

    def send(self, target: object, message: Message, timeout_s: float) -> Receipt:
        """Send once.

        Raises:
            DeliveryError: it was not taken; no secret of the target's is in its reason.
        """
        with _without_secrets_of(target):
            return self.function(target, message, timeout_s)

    def look(self, target: object, timeout_s: float) -> str:
        """Return how the service answers to one who sends no message, "" where this channel has no way to ask.

        Raises:
            DeliveryError: it would take none; no secret of the target's is in its reason.
        """
        with _without_secrets_of(target):
            return self.looking(target, timeout_s) if self.looking else ""


@contextmanager
def _without_secrets_of(target: object) -> Iterator[None]:
    """Turn whatever a channel's function raises into a `DeliveryError` that can be told and kept."""
    try:
        yield
    except DeliveryError as error:
        reason = without_secrets(str(error), target)
        raise DeliveryError(
            reason, permanent=error.permanent, unsure=error.unsure, retry_after_s=error.retry_after_s
        ) from None
    except Exception as error:  # noqa: BLE001 (what a library makes of an odd answer must not end the ladder)
        # cut afterwards: half a secret is not found
        said = without_secrets(one_line(f"{type(error).__name__} {error}"), target)[:_REASON_CHARS]
        raise DeliveryError(f"gave an answer that nothing can be made of: {said}", unsure=True) from None


_REGISTRY: dict[str, Channel] = {}


def channel(  # noqa: PLR0913 (each is one fact about the service)
    name: str,
    *,
    title: str,
    section: str,
    words: tuple[str, ...],
    lacks: Callable[..., str],
    repeatable: bool = False,
    follows: bool = False,
    looking: LookFunction | None = None,
) -> Callable[[SendFunction], SendFunction]:
    """Register a channel: its name, the service's title, its settings section, and the runbook's words for it.

    Raises:
        ValueError: the name is already taken.
    """

    def register(function: SendFunction) -> SendFunction:
        if name in _REGISTRY:
            msg = f"channel {name} is registered twice"
            raise ValueError(msg)
        _REGISTRY[name] = Channel(name, title, section, frozenset(words), repeatable, follows, lacks, function, looking)
        return function

    return register


def registered() -> Mapping[str, Channel]:
    """Return all registered channels by name."""
    return MappingProxyType(_REGISTRY)


def refused(status_code: int, said: str, retry_after: str | None = None) -> DeliveryError:
    """Return the error for an HTTP answer that is no success: 408, 425, 429 and 5xx may pass, all else is for good."""
    passing = status_code in _TRY_LATER or status_code >= _SERVER_ERROR
    words = one_line(said[:_REASON_CHARS]).strip()
    # a word of success beside a code of failure tells nothing
    told = f": {words}" if words.strip(".! ").lower() not in {"", "ok", "success"} else ""
    asked = (retry_after or "").strip()
    seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return DeliveryError(f"answered {status_code}{told}", permanent=not passing, retry_after_s=seconds)


def without_secrets(text: str, target: object) -> str:
    """Return the text with every secret of a target's replaced: whole, after its last slash, and of a URL's parts.

    What looks like a secret of another's is replaced as well.
    """
    for item in fields(target):  # type: ignore[arg-type]
        value = getattr(target, item.name)
        raw = value.reveal() if isinstance(value, Secret) else value
        if isinstance(value, Secret):
            for piece in (raw, raw.rstrip("/").rpartition("/")[2]):
                if len(piece) >= _SHORTEST_SECRET_CHARS:
                    text = text.replace(piece, "***")
        if isinstance(raw, str):
            text = urls.without_secrets(text, raw)
    return hidden(text)
