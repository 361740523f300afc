"""The contract of a collector: a generator of pieces of evidence, registered by decorator.

A collector reads as a shopping list. It yields what it has as soon as it has it, and returns or raises; the engine
alone enforces deadlines and size caps, redacts and writes the manifest. One that has to choose how much to do, so that
it ends by itself with what it has, takes `limits` as a third argument.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from irkit.model import Window

ColumnType = Literal["string", "int", "float", "bool", "time"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind of evidence; `rows` may be a generator, consumed, redacted and written as it comes.

    `columns` names every column and its type, so that a table without rows still has its shape. A `time` is an aware
    datetime. A value that is missing is None. Strings may hold lone surrogates for bytes that are not UTF-8.

    A collector may yield a kind in parts, the newest rows first: each further table of a kind holds rows that belong
    before those already yielded, and the sealed table has all in order. A further part that is cut, at the size cap or
    at the deadline, is left out whole: so what is lost is the oldest, with no hole in what is there.
    """

    kind: str
    columns: Mapping[str, ColumnType]
    rows: Iterable[Mapping[str, object]]
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON-like value (mappings, lists, strings, numbers, booleans, None, aware datetimes)."""

    kind: str
    value: object
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was wanted and is not there; yielding one makes the outcome `partial`.

    `before` is set where all that is missing is older than that moment (aware).
    """

    reason: str
    before: datetime | None = None


Piece = Table | Document | Gap
# (target, window), or (target, window, limits=…)
CollectFunction = Callable[..., Iterator[Piece]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine stops a collector at: seconds in all, and bytes of evidence. The defaults are the settings'."""

    deadline_s: float = 10.0
    max_size_bytes: int = 64 * 1024 * 1024

    def share_s(self, share: float) -> float:
        """Return a share of the time, for one part of the work."""
        return self.deadline_s * share


USUAL = Limits()


class Unreachable(Exception):  # noqa: N818 (an outcome, not a fault of ours)
    """The source does not answer: `failed` where it was configured, `absent` where it was only a default."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class Refused(Exception):  # noqa: N818
    """The source is there and will not or cannot tell: permission denied, wrong password, loading; always `failed`."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class NotHere(Exception):  # noqa: N818
    """There is nothing of this kind to be looked at from here, whatever is configured; always `absent`."""


@dataclass(frozen=True, slots=True)
class Collector:
    """A registered collector; `command` is what a human would have typed, with the target's fields filled in."""

    name: str
    target: str
    provides: tuple[str, ...]
    cost: int
    command: str
    why: str
    function: CollectFunction

    def command_for(self, target: object) -> str:
        return self.command.format(target=target)

    def pieces(self, target: object, window: Window, limits: Limits) -> Iterator[Piece]:
        """Call the function, with `limits` where it asks for them."""
        asks = "limits" in inspect.signature(self.function).parameters
        return self.function(target, window, limits=limits) if asks else self.function(target, window)


_REGISTRY: dict[str, Collector] = {}
_NAME, _KIND = r"[^/]{1,100}", r"[a-z][a-z0-9_]{0,99}"


def collector(
    name: str, *, target: str, provides: tuple[str, ...], cost: int, command: str
) -> Callable[[CollectFunction], CollectFunction]:
    """Register a collector: a noun, its settings section, the evidence kinds it yields, and its cost (1 cheap, 9 dear).

    The first line of the function's docstring is shown by `irkit collect --dry-run` as the reason for the look.

    Raises:
        ValueError: the name or one of the evidence kinds is already taken, or none that a bundle may hold.
    """

    def register(function: CollectFunction) -> CollectFunction:
        taken = {kind for other in _REGISTRY.values() for kind in other.provides}
        if name in _REGISTRY or taken & set(provides):
            msg = f"collector {name} or one of {provides} is registered twice"
            raise ValueError(msg)
        # a bundle with others would not be opened again
        if not re.fullmatch(_NAME, name) or not all(re.fullmatch(_KIND, kind) for kind in provides):
            msg = f"collector {name!r} or one of {provides} is no name for evidence, such as host_usage"
            raise ValueError(msg)
        why = (function.__doc__ or "").strip().partition("\n")[0]
        _REGISTRY[name] = Collector(name, target, provides, cost, command, why, function)
        return function

    return register


def registered() -> tuple[Collector, ...]:
    """Return all registered collectors, cheap first."""
    return tuple(sorted(_REGISTRY.values(), key=lambda item: (item.cost, item.name)))
