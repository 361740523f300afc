"""What a health answer says is wrong, in its own words and whatever its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irkit.diagnose.signs import PATTERNS, Sign, has
from irkit.health.body import means_healthy
from irkit.text.phrase import quoted

# of a detector that could have a health answer only
NOTHING_ELSE = (
    "Neither the containers' logs nor the database file could be looked at, and no health answer names such an error."
)
_NAMED = re.compile(r"err(?:or)?s?|exception|reason|cause|detail|message|msg|failure", re.IGNORECASE)
_MAX_DEPTH, _MAX_LEAVES, _MAX_CHARS = 8, 2000, 2000


@dataclass(frozen=True, slots=True)
class Complaint:
    """A text in a health answer, and the keys that lead to it ("" where the answer is but a text)."""

    path: str
    words: str

    @property
    def sentence(self) -> str:
        where = f" under {self.path}" if self.path else ""
        return f"its health answer says {quoted(self.words)}{where}"


def complaints(body: object) -> tuple[Complaint, ...]:
    """Return the texts of an answer (evidence of kind `health_body`) that name a fault, those with a known sign first.

    One names a fault by its words, or by its key: error, reason, detail.
    """
    if not isinstance(body, dict):
        return ()
    content = body.get("json", body.get("text"))
    found = [
        Complaint(path, words)
        for path, words in _texts(content)
        if means_healthy(words) is None and (_has_a_sign(words) or _NAMED.fullmatch(path.rpartition(".")[2]))
    ]
    return tuple(sorted(found, key=lambda one: not _has_a_sign(one.words)))


def said_of(body: object, *signs: Sign) -> Complaint | None:
    """Return the first text of an answer that bears one of these signs, None where none does."""
    return next((one for one in complaints(body) if any(has(sign, one.words) for sign in signs)), None)


def _has_a_sign(words: str) -> bool:
    return any(pattern.search(words) for pattern in PATTERNS.values())


def _texts(content: object) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    for _ in range(_MAX_LEAVES):
        if not waiting:
            return
        path, value, depth = waiting.pop(0)
        if isinstance(value, str) and value.strip():
            yield path, value.strip()[:_MAX_CHARS]
        elif isinstance(value, dict) and depth < _MAX_DEPTH:
            waiting += [(f"{path}.{key}" if path else str(key), item, depth + 1) for key, item in value.items()]
        elif isinstance(value, list) and depth < _MAX_DEPTH:
            waiting += [(path, item, depth + 1) for item in value]
