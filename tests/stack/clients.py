"""Users of the stack under test, and what they saw: the witnesses of a fault, who know nothing of irkit."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

CLIENT_TIMEOUT_S = 5.0
_ASKED: tuple[tuple[str, str, Mapping[str, str] | None], ...] = (
    ("POST", "/api/chat", {"message": "hello", "provider": "provider-alpha"}),
    ("GET", "/api/dashboard", None),
    ("POST", "/api/chat", {"message": "hello again", "provider": "provider-beta"}),
    ("GET", "/api/health", None),
)
_WRONG: tuple[tuple[str, str, Mapping[str, str] | None], ...] = (
    ("GET", "/wp-login.php", None),
    ("POST", "/api/chat", {"message": "hello", "provider": "provider-omega"}),
    ("GET", "/api/health/all", None),
)


@dataclass(frozen=True)
class Seen:
    """What became of one request: the status, 0 where no answer came, and the seconds until then."""

    at: datetime
    path: str
    status: int
    duration_s: float


@contextmanager
def clients(url: str, number: int, pause_s: float, seed: int, *, wrong: bool = False) -> Iterator[list[Seen]]:
    """So many users for the block, who ask in turn and pause between half and one and a half `pause_s`.

    The list grows while they ask; with `wrong` they ask for what is not there.
    """
    over, seen = threading.Event(), list[Seen]()

    def ask(place: int) -> None:
        dice = random.Random(seed * 100 + place)  # noqa: S311 (the same users for the same seed)
        asked = _WRONG if wrong else _ASKED
        turn = place
        while not over.wait(pause_s * dice.uniform(0.5, 1.5)):
            seen.append(request(url, *asked[turn % len(asked)]))
            turn += 1

    threads = [threading.Thread(target=ask, args=(place,), name=f"client-{place}") for place in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def request(url: str, method: str, path: str, body: Mapping[str, str] | None = None) -> Seen:
    """Send one request and tell what became of it."""
    at, began = datetime.now(UTC), time.monotonic()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=CLIENT_TIMEOUT_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    return Seen(at, path, status, time.monotonic() - began)
