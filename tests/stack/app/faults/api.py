"""Faults of the API itself: it is gone, it hangs, it answers with errors, it takes long to start."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ..database import PoolExhaustedError
from ..service import Request
from .contract import Steps, fault, intercepted

if TYPE_CHECKING:
    from ..jarvis_api import JarvisApi


@fault("api-killed", incident="api-unresponsive", ends_process=True)
def api_killed(_api: JarvisApi) -> Steps:
    """The API is killed without a word: exit code 137."""
    os.kill(os.getpid(), signal.SIGKILL)
    yield


@fault("api-crashes", incident="api-unresponsive", ends_process=True)
def api_crashes(api: JarvisApi) -> Steps:
    """The API crashes with exit code 1; its last log lines say that the connection pool is exhausted."""
    held: list[sqlite3.Connection] = []
    try:
        while True:
            held.append(api.database.take())
            yield
    except PoolExhaustedError:
        api.log.critical("cannot continue, shutting down", exc_info=True)
        logging.shutdown()
        os._exit(1)
    finally:
        for connection in held:
            api.database.give_back(connection)


@fault("api-hangs", incident="api-unresponsive")
def api_hangs(api: JarvisApi) -> Steps:
    """The API accepts connections and answers none of them."""
    over = threading.Event()

    def hang(_request: Request) -> None:
        over.wait()

    try:
        yield from intercepted(api, hang)
    finally:
        over.set()


@fault("api-answers-500", incident="api-unresponsive")
def api_answers_500(api: JarvisApi, share: float = 1.0) -> Steps:
    """The API answers every request, or a share of them, with 500 and logs an ERROR with a traceback."""
    dice = random.Random(share)  # noqa: S311 (which requests fail, the same ones each time)

    def fail(_request: Request) -> None:
        configuration: dict[str, str] = {}
        if dice.random() < share:
            configuration["session_secret"]

    yield from intercepted(api, fail)


@fault("pool-exhausted", incident="api-unresponsive")
def pool_exhausted(api: JarvisApi) -> Steps:
    """Every database connection is leaked, so requests that need one fail with 500."""
    held: list[sqlite3.Connection] = []
    try:
        while len(held) < api.database.pool_size:
            with suppress(PoolExhaustedError):  # a request has it; the next try may get it
                held.append(api.database.take())
        while True:
            yield
    finally:
        for connection in held:
            api.database.give_back(connection)


@fault("slow-start", incident="api-unresponsive")
def slow_start(api: JarvisApi, seconds: float = 5.0) -> Steps:
    """The next start of the API takes seconds before it listens."""
    if not api.serving:
        api.log.info("migrating conversations to the new schema")
        time.sleep(seconds)
    while True:
        yield


@fault("database-locked", incident="api-unresponsive")
def database_locked(api: JarvisApi) -> Steps:
    """Another connection holds the database's write lock, so every write fails with "database is locked"."""
    with closing(sqlite3.connect(api.database.path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        while True:
            yield
