"""How full the providers' rate limits are, and when they reset, from what Redis holds and what the log says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from irkit.records import Row, integer_of, number_of, text_of, time_of

_LIMIT = re.compile(r"\b(?:limit|max|quota|allowed)[\"']?\s*[=:]\s*[\"']?(\d{1,12})\b", re.IGNORECASE)
_OF = re.compile(r"\b(\d{1,12})\s*(?:/|of)\s*(\d{1,12})\b")
_USED_FIELDS = ("used", "count", "current", "requests", "hits", "value")
_LIMIT_FIELDS = ("limit", "max", "quota", "capacity", "allowed")
_LEFT_FIELDS = ("remaining", "left", "tokens", "available")
# a collection has one member a call; a string or a hash holds the number itself
_COUNTED = frozenset({"list", "set", "zset", "stream"})


@dataclass(frozen=True, slots=True)
class Usage:
    """One rate-limit key: how much of which limit is used, and when it starts anew.

    `used` and `limit` are None where neither Redis nor the log tells. Without `reset_at` the key never expires by
    itself, as long as `expires` is false.
    """

    key: str
    provider: str
    used: int | None
    limit: int | None
    expires: bool
    reset_at: datetime | None

    @property
    def full(self) -> bool:
        """Say whether the limit is known to be used up."""
        return self.used is not None and self.limit is not None and self.used >= self.limit


def usage_of(rows: Iterable[Row], limits: dict[str, int]) -> tuple[Usage, ...]:
    """Return the use of each key of `rate_limits`, the fullest first; `limits` are those the log names, by provider."""
    made = [_usage(row, limits) for row in rows]
    return tuple(sorted(made, key=lambda item: (-_share(item), item.key)))


def limits_told(lines: Iterable[str], providers: Iterable[str]) -> dict[str, int]:
    """Return the limit that the latest log line tells, for each provider it names: `limit=600`, `601/600`."""
    found: dict[str, int] = {}
    named = [name for name in providers if name]
    for line in lines:
        told = _LIMIT.search(line)
        shared = _OF.search(line) if told is None else None
        if told is None and shared is None:
            continue
        limit = int(told[1]) if told else int(shared[2]) if shared else 0
        found |= {name: limit for name in named if name in line and limit}
    return found


def _usage(row: Row, limits: dict[str, int]) -> Usage:
    provider, kind = text_of(row, "provider"), text_of(row, "type")
    used, limit = _numbers(text_of(row, "value")) if kind in {"string", "hash"} else (None, None)
    if kind in _COUNTED:
        used = integer_of(row, "length")
    return Usage(
        text_of(row, "key"),
        provider,
        used,
        limit or limits.get(provider),
        number_of(row, "ttl_s") is not None,
        time_of(row, "reset_at"),
    )


def _numbers(value: str) -> tuple[int | None, int | None]:
    """Read `used` and `limit` from a number, or from the fields of a mapping as services name them."""
    if value.strip().isascii() and value.strip().isdigit():
        return int(value), None
    try:
        fields = json.loads(value)
    except ValueError:
        return None, None
    if not isinstance(fields, dict):
        return None, None
    lowered = {str(name).lower(): item for name, item in fields.items()}
    used, limit, left = (_first(lowered, names) for names in (_USED_FIELDS, _LIMIT_FIELDS, _LEFT_FIELDS))
    if used is None and limit is not None and left is not None:
        used = limit - left
    return used, limit


def _first(fields: dict[str, object], names: Iterable[str]) -> int | None:
    for name in names:
        value = str(fields.get(name, "")).strip()
        if re.fullmatch(r"\d{1,12}(?:\.\d+)?", value):
            return int(float(value))
    return None


def _share(item: Usage) -> float:
    return item.used / item.limit if item.used is not None and item.limit else -1.0
