"""jarvis-api, the service under test: chat through a provider, rate limits in Redis, rows in SQLite."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from . import ratelimit
from .database import Database, PoolExhaustedError
from .resp import Redis, RedisError
from .service import Answer, Request, Service
from .switchboard import run

PROVIDERS = tuple(ratelimit.LIMITS)
PROVIDER_TIMEOUT_S = float(os.environ.get("PROVIDER_TIMEOUT_S", "2.0"))
# no index helps the inner query: for every conversation shown it reads all messages
_DASHBOARD = """
SELECT c.id, c.title, count(m.id) AS messages, sum(length(m.content)) AS characters,
       (SELECT count(*) FROM messages AS other WHERE other.created_at > c.created_at) AS messages_since
FROM (SELECT * FROM conversations ORDER BY id DESC LIMIT 100) AS c
JOIN messages AS m ON m.conversation_id = c.id
GROUP BY c.id ORDER BY characters DESC LIMIT 20
"""


class JarvisApi(Service):
    """The HTTP API; `database` and `redis()` are what its faults reach for."""

    def __init__(self, database: Database, redis_host: str) -> None:
        routes = {
            ("GET", "/api/health"): self.health,
            ("GET", "/api/dashboard"): self.dashboard,
            ("POST", "/api/chat"): self.chat,
        }
        super().__init__("jarvis-api", routes)
        self.database = database
        self._redis_host = redis_host

    def redis(self) -> Redis:
        """A new connection to Redis; raises OSError when it cannot be reached."""
        return Redis(self._redis_host)

    def health(self, _request: Request) -> Answer:
        """200 when all parts are up, else 503: `degraded` for a provider, `unhealthy` for Redis or the database."""
        redis = _checked(self._check_redis)
        database = _checked(self._check_database)
        providers = {name: _checked(partial(_check_provider, name)) for name in PROVIDERS}
        if "down" in (redis["status"], database["status"]):
            status = "unhealthy"
        elif any(provider["status"] != "up" for provider in providers.values()):
            status = "degraded"
        else:
            status = "healthy"
        services = {"redis": redis, "database": database, "providers": providers}
        for name, part in (("redis", redis), ("database", database), *providers.items()):
            if part["status"] != "up":
                self.log.warning("health check failed part=%s error=%s", name, part["error"])
        return Answer(200 if status == "healthy" else 503, {"status": status, "services": services})

    def chat(self, request: Request) -> Answer:
        """Ask the provider named in the body (provider-alpha by default) and keep question and answer."""
        provider = str(request.body.get("provider", PROVIDERS[0]))
        if provider not in PROVIDERS:
            return Answer(422, {"detail": f"unknown provider {provider!r}"})
        with self.redis() as redis:
            allowance = ratelimit.spend(redis, provider)
        if allowance.exceeded:
            self.log.warning(
                "rate limit exceeded provider=%s used=%d limit=%d", provider, allowance.used, allowance.limit
            )
            return Answer(
                429, {"detail": f"rate limit of {provider} exceeded"}, {"Retry-After": str(ratelimit.WINDOW_S)}
            )
        message = str(request.body.get("message", ""))
        started = time.monotonic()
        try:
            status, body = _ask(provider, "POST", "/v1/complete", {"prompt": message})
        except (OSError, http.client.HTTPException) as error:
            status, body = 0, {"detail": f"{type(error).__name__}: {error}"}
        duration_ms = (time.monotonic() - started) * 1000
        self._record(provider, status, duration_ms, message, body)
        if status != http.client.OK:
            self.log.error(
                "provider call failed provider=%s status=%s duration_ms=%.1f detail=%s",
                provider,
                status or "none",
                duration_ms,
                body.get("detail"),
            )
            return Answer(429 if status == http.client.TOO_MANY_REQUESTS else 502, {"detail": f"{provider} failed"})
        return Answer(200, {"provider": provider, "answer": body["completion"]})

    def dashboard(self, _request: Request) -> Answer:
        """The longest of the latest conversations, by a query that could be faster."""
        with self.database.connection() as connection:
            rows = connection.execute(_DASHBOARD).fetchall()
        keys = ("id", "title", "messages", "characters", "messages_since")
        return Answer(200, {"conversations": [dict(zip(keys, row, strict=True)) for row in rows]})

    def _record(self, provider: str, status: int, duration_ms: float, question: str, body: dict[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.database.connection() as connection:
            connection.execute(
                "INSERT INTO provider_calls (provider, status, duration_ms, created_at) VALUES (?, ?, ?, ?)",
                (provider, status, duration_ms, now),
            )
            if status != http.client.OK:
                return
            conversation = connection.execute(
                "INSERT INTO conversations (title, created_at) VALUES (?, ?)", (question[:40], now)
            ).lastrowid
            connection.executemany(
                "INSERT INTO messages (conversation_id, role, provider, content, created_at) VALUES (?, ?, ?, ?, ?)",
                [
                    (conversation, "user", None, question, now),
                    (conversation, "assistant", provider, str(body["completion"]), now),
                ],
            )

    def _check_redis(self) -> None:
        with self.redis() as redis:
            redis.call("PING")

    def _check_database(self) -> None:
        with self.database.connection() as connection:
            connection.execute("SELECT content FROM messages ORDER BY id DESC LIMIT 1").fetchone()


def _checked(check: Callable[[], None]) -> dict[str, object]:
    started = time.monotonic()
    state: dict[str, object] = {"status": "up"}
    try:
        check()
    except (OSError, RedisError, sqlite3.Error, PoolExhaustedError, http.client.HTTPException) as error:
        state = {"status": "down", "error": f"{type(error).__name__}: {error}"}
    return state | {"latency_ms": round((time.monotonic() - started) * 1000, 1)}


def _check_provider(name: str) -> None:
    status, _body = _ask(name, "GET", "/health")
    if status != http.client.OK:
        message = f"{name} answered {status}"
        raise ConnectionError(message)


def _ask(provider: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(provider, 9000, timeout=PROVIDER_TIMEOUT_S)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def main() -> None:
    """Serve on port 8000."""
    database = Database(Path(os.environ["DATABASE"]))
    run(JarvisApi(database, os.environ["REDIS_HOST"]), 8000)


if __name__ == "__main__":
    main()
