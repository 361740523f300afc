"""One look at the health endpoint and at Redis, for the flight recorder: cheap, and ended in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from irkit.collect_contract import Unreachable
from irkit.health_verdict import health_row, read_body
from irkit.history import Sample
from irkit.http_probe import probe, usable
from irkit.settings import HttpTarget, RedisTarget

# Redis looks at every key in the course of a SCAN; above this many the look would cost others too much.
_MAX_KEYS = 10_000
_SCAN_COUNT = 1000


def health(target: HttpTarget, clock: Callable[[], datetime]) -> Sample:
    """Probe the health endpoint once; one that is down is a sample, not a miss.

    Raises:
        Unreachable: the address cannot be meant.
    """
    if not usable(target.health_url):
        raise Unreachable("the health_url is not an HTTP address")
    [ended] = probe(target.health_url, probes=1, timeout_s=target.timeout_s, clock=clock)
    return Sample((health_row(str(target), ended, read_body(ended)),))


def redis(target: RedisTarget, clock: Callable[[], datetime]) -> Sample:
    """Ask Redis for its figures, and for the number of rate-limit keys where that is cheap, on a connection of its own.

    Raises:
        Unreachable: nothing answers, or not all of it within `target.timeout_s`.
        Refused: it will not tell; the sentence says why.
    """
    from irkit.redis_client import connected

    at, late = clock(), threading.Event()
    try:
        with connected(target) as client:

            def stop() -> None:
                late.set()
                client.connection_pool.disconnect()  # the library's own time-out never ends an answer that drips

            watch = threading.Timer(target.timeout_s, stop)
            watch.daemon = True
            watch.start()
            try:
                asked = time.monotonic()
                info: Mapping[str, Any] = client.info()
                answered = time.monotonic()
                keys = client.dbsize()
                limited = _ratelimit_keys(client, target, keys)
            finally:
                watch.cancel()
    except Exception:
        if late.is_set():  # whatever the library makes of a connection closed under it
            raise Unreachable(f"Redis at {target} gave no whole answer within {target.timeout_s:g} s") from None
        raise
    names = {
        "used_memory_bytes": "used_memory",
        "max_memory_bytes": "maxmemory",
        "connected_clients": "connected_clients",
        "blocked_clients": "blocked_clients",
        "ops_per_s": "instantaneous_ops_per_sec",
        "rejected_connections": "rejected_connections",
        "evicted_keys": "evicted_keys",
        "uptime_s": "uptime_in_seconds",
        "role": "role",
    }
    row = {column: info.get(name) for column, name in names.items()}
    row["max_memory_bytes"] = row["max_memory_bytes"] or None  # 0 is Redis' word for no limit
    return Sample(({"at": at, "answer_s": answered - asked, "keys": keys, "ratelimit_keys": limited, **row},))


def _ratelimit_keys(client: Any, target: RedisTarget, keys: int) -> int | None:  # noqa: ANN401 (redis.Redis)
    if not target.ratelimit_pattern or keys > _MAX_KEYS:
        return None
    pattern = target.ratelimit_pattern.encode("utf-8", "surrogateescape")
    return len(set(client.scan_iter(match=pattern, count=_SCAN_COUNT)))
