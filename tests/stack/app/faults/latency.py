"""Faults that make the API slow without making it fail."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ..service import Request
from .contract import Steps, fault, intercepted

if TYPE_CHECKING:
    from ..jarvis_api import JarvisApi

SLOW_S = 2.2
_QUERY = "SELECT count(*), sum(length(content)) FROM messages WHERE conversation_id = ?"
_PATIENCE_MS = 15_000


@fault("slow-responses", incident="high-latency")
def slow_responses(api: JarvisApi, seconds: float = SLOW_S) -> Steps:
    """Every answer takes more than 2 s."""

    def wait(_request: Request) -> None:
        time.sleep(seconds)

    yield from intercepted(api, wait)


@fault("slowing-responses", incident="high-latency")
def slowing_responses(api: JarvisApi, seconds_a_minute: float = 6.0) -> Steps:
    """Every answer takes a little longer than the one before."""
    began = time.monotonic()

    def wait(_request: Request) -> None:
        time.sleep((time.monotonic() - began) / 60 * seconds_a_minute)

    yield from intercepted(api, wait)


@fault("slow-query", incident="high-latency")
def slow_query(api: JarvisApi, seconds: float = 2.6) -> Steps:
    """The dashboard asks the database once for each conversation, which takes seconds; other routes stay quick."""

    def ask_one_by_one(request: Request) -> None:
        if request.path != "/api/dashboard":
            return
        began, asked = time.monotonic(), 0
        with api.database.connection() as connection:
            while time.monotonic() - began < seconds:
                connection.execute(_QUERY, (asked % 200 + 1,)).fetchone()
                asked += 1
                time.sleep(0.01)  # as long as one takes on a slow disk
        taken_ms = (time.monotonic() - began) * 1000
        api.log.warning("slow query statements=%d duration_ms=%.0f path=%s", asked, taken_ms, request.path)

    yield from intercepted(api, ask_one_by_one)


@fault("lock-contention", incident="high-latency")
def lock_contention(api: JarvisApi, seconds: float = 2.8) -> Steps:
    """Long transactions follow each other on the write lock; writes wait for their turn, seconds each, and succeed."""
    over = threading.Event()

    def hold_again_and_again() -> None:
        with closing(sqlite3.connect(api.database.path, timeout=60, isolation_level=None)) as other:
            while not over.is_set():
                other.execute("BEGIN IMMEDIATE")
                over.wait(seconds)
                other.execute("ROLLBACK")
                over.wait(0.2)

    def be_patient(_request: Request) -> None:
        with suppress(Exception), api.database.connection() as connection:  # the route tells of what is wrong
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")

    thread = threading.Thread(target=hold_again_and_again)
    thread.start()
    try:
        yield from intercepted(api, be_patient)
    finally:
        over.set()
        thread.join()
