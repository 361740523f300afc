"""One look at the health endpoint and at Redis, for the flight recorder: cheap, and ended in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from irkit.collect.contract import Refused, Unreachable
from irkit.health.http_probe import probe_once, usable
from irkit.health.verdict import health_row, read_body
from irkit.recorder.history import Sample
from irkit.recorder.redis_wire import RedisWire
from irkit.settings import HttpTarget, RedisTarget

# Redis looks at every key in the course of a SCAN; above this many the look would cost others too much.
_MAX_KEYS = 10_000
_SCAN_COUNT = 1000
_MAX_SCANS = 50
_FIGURES: Mapping[str, str] = {
    "used_memory_bytes": "used_memory",
    "max_memory_bytes": "maxmemory",
    "connected_clients": "connected_clients",
    "blocked_clients": "blocked_clients",
    "ops_per_s": "instantaneous_ops_per_sec",
    "rejected_connections": "rejected_connections",
    "evicted_keys": "evicted_keys",
    "uptime_s": "uptime_in_seconds",
}


def health(target: HttpTarget, clock: Callable[[], datetime]) -> Sample:
    """Probe the health endpoint once; one that is down is a sample, not a miss.

    Raises:
        Unreachable: the address cannot be meant.
    """
    if not usable(target.health_url):
        raise Unreachable("the health_url is not an HTTP address")
    ended = probe_once(target.health_url, timeout_s=target.timeout_s, clock=clock)
    return Sample((health_row(str(target), ended, read_body(ended)),))


def redis(target: RedisTarget, clock: Callable[[], datetime]) -> Sample:
    """Ask Redis for its figures, and for the number of rate-limit keys where that is cheap, on a connection of its own.

    `answer_s` is how long INFO took; `ratelimit_keys` is None among more keys than can be looked through in passing.

    Raises:
        Unreachable: nothing answers, or not all of it within `target.timeout_s`.
        Refused: it will not tell; the sentence says why.
    """
    at = clock()
    gaps = []
    limited = None
    with RedisWire(target, target.timeout_s) as wire:
        asked_s = time.monotonic()
        info = _fields(wire.ask("INFO"))
        answer_s = time.monotonic() - asked_s
        if not info:
            raise Refused(f"Redis at {target} answers INFO with nothing")
        # a database without keys has no line
        found = re.match(r"keys=(\d+)", info.get(f"db{wire.database}", "keys=0"), re.ASCII)
        keys = int(found[1]) if found else None
        if keys is not None and keys <= _MAX_KEYS:
            try:
                limited = _ratelimit_keys(wire, target)
            except Refused as error:
                gaps.append(f"the rate-limit keys were not counted: {error}")
    row: dict[str, object] = {"at": at, "answer_s": answer_s, "role": info.get("role")}
    row |= {"keys": keys, "ratelimit_keys": limited}
    row |= {column: int(info[name]) if info.get(name, "").isdecimal() else None for column, name in _FIGURES.items()}
    row["max_memory_bytes"] = row["max_memory_bytes"] or None  # 0 is Redis' word for no limit
    return Sample((row,), tuple(gaps))


def _fields(reply: object) -> dict[str, str]:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _ratelimit_keys(wire: RedisWire, target: RedisTarget) -> int | None:
    if not target.ratelimit_pattern:
        return None
    found: set[object] = set()
    cursor: object = b"0"
    for _ in range(_MAX_SCANS):
        reply = wire.ask("SCAN", str(_number(cursor)), "MATCH", target.ratelimit_pattern, "COUNT", str(_SCAN_COUNT))
        cursor, keys = reply if isinstance(reply, list) and len(reply) == 2 else (b"0", None)  # noqa: PLR2004
        found.update(keys if isinstance(keys, list) else ())
        if not _number(cursor):
            return len(found)
    return None


def _number(cursor: object) -> int:
    return int(cursor) if isinstance(cursor, bytes) and cursor.isdigit() else 0
