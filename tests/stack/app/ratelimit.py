"""Rate limits of the providers, kept in Redis under `ratelimit:provider:<name>`."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from .resp import Redis

WINDOW_S = 60
LIMITS = {"provider-alpha": 600, "provider-beta": 300}


@dataclass(frozen=True)
class Allowance:
    """How many calls the limit allows in `WINDOW_S` seconds and how many of them are used."""

    limit: int
    used: int

    @property
    def exceeded(self) -> bool:
        """Whether the last call was one too many."""
        return self.used > self.limit


def key(provider: str) -> str:
    """The Redis key of a provider's limit."""
    return f"ratelimit:provider:{provider}"


def spend(redis: Redis, provider: str) -> Allowance:
    """Count one call: a fixed window in a string for provider-alpha, a sliding one in a sorted set for the others."""
    name, limit = key(provider), LIMITS[provider]
    if provider == "provider-alpha":
        used = redis.call("INCR", name)
        if used == 1:
            redis.call("EXPIRE", name, WINDOW_S)
    else:
        now = time.time()
        redis.call("ZREMRANGEBYSCORE", name, "-inf", now - WINDOW_S)
        redis.call("ZADD", name, now, uuid.uuid4().hex)
        redis.call("EXPIRE", name, WINDOW_S)
        used = redis.call("ZCARD", name)
    return Allowance(limit, int(str(used)))
