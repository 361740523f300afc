"""The faults the stack can be broken with: to add one, write one generator here.

A fault is a generator. While it is switched on, the process it lives in advances it at every tick (switchboard.py),
so what stands before the first `yield` breaks something, a loop around `yield` keeps at it, and `finally` repairs.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .database import PoolExhaustedError
from .service import Answer, Interceptor, Request, Service

if TYPE_CHECKING:
    from .jarvis_api import JarvisApi

SLOW_S = 2.2
LEAK_BYTES = 1 << 20
LEAK_STEPS = 100
_PAGE_BYTES = 4096

Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Fault:
    """A way to break the stack: its name, the runbook's incident type it is an example of, and where it lives."""

    name: str
    incident: str
    service: str
    ends_process: bool
    steps: Callable[[Any], Steps]

    @property
    def effect(self) -> str:
        """What the fault does, in a sentence."""
        return (self.steps.__doc__ or "").strip()


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, incident: str, service: str = "jarvis-api", ends_process: bool = False
) -> Callable[[Callable[[Any], Steps]], Callable[[Any], Steps]]:
    """Register the decorated generator as the fault `name` of the compose service `service`."""

    def register(steps: Callable[[Any], Steps]) -> Callable[[Any], Steps]:
        FAULTS[name] = Fault(name, incident, service, ends_process, steps)
        return steps

    return register


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
        yield from _intercept(api, hang)
    finally:
        over.set()


@fault("api-answers-500", incident="api-unresponsive")
def api_answers_500(api: JarvisApi) -> Steps:
    """The API answers every request with 500 and logs an ERROR with a traceback."""

    def fail(_request: Request) -> None:
        configuration: dict[str, str] = {}
        configuration["session_secret"]

    yield from _intercept(api, fail)


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


@fault("slow-responses", incident="high-latency")
def slow_responses(api: JarvisApi) -> Steps:
    """Every answer takes more than 2 s."""

    def wait(_request: Request) -> None:
        time.sleep(SLOW_S)

    yield from _intercept(api, wait)


@fault("provider-down", incident="provider-failures", service="provider-alpha")
def provider_down(provider: Service) -> Steps:
    """provider-alpha answers 503."""
    yield from _intercept(provider, _always(503, {"detail": "upstream unavailable"}, {}))


@fault("provider-429", incident="provider-failures", service="provider-alpha")
def provider_429(provider: Service) -> Steps:
    """provider-alpha refuses every call with 429 and asks to wait."""
    yield from _intercept(provider, _always(429, {"detail": "rate limit reached"}, {"Retry-After": "30"}))


@fault("memory-grows", incident="memory-leak")
def memory_grows(_api: JarvisApi) -> Steps:
    """The API keeps 1 MiB more every tick, up to 100 MiB."""
    leaked: list[bytes] = []
    while True:
        if len(leaked) < LEAK_STEPS:
            leaked.append(os.urandom(LEAK_BYTES))
        yield


@fault("memory-exhausted", incident="memory-leak", ends_process=True)
def memory_exhausted(_api: JarvisApi) -> Steps:
    """The API takes memory until the kernel kills it at the container's limit: exit code 137, OOM-killed."""
    leaked: list[bytes] = []
    while True:
        leaked.append(os.urandom(16 * LEAK_BYTES))
        yield


@fault("database-locked", incident="api-unresponsive")
def database_locked(api: JarvisApi) -> Steps:
    """Another connection holds the database's write lock, so every write fails with "database is locked"."""
    with closing(sqlite3.connect(api.database.path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        while True:
            yield


@fault("database-corrupted", incident="database-corruption")
def database_corrupted(api: JarvisApi) -> Steps:
    """The pages of every table but the schema's are overwritten: reads fail with "disk image is malformed"."""
    path = api.database.path
    with api.database.offline():
        schema = path.read_bytes()[:_PAGE_BYTES]
        path.write_bytes(schema + b"\xa5" * (path.stat().st_size - _PAGE_BYTES))
    try:
        while True:
            yield
    finally:
        with api.database.offline():
            shutil.copyfile(api.database.backup_path, path)


def _intercept(service: Service, interceptor: Interceptor) -> Steps:
    service.interceptors.append(interceptor)
    try:
        while True:
            yield
    finally:
        service.interceptors.remove(interceptor)


def _always(status: int, body: dict[str, object], headers: dict[str, str]) -> Interceptor:
    def answer(_request: Request) -> Answer:
        return Answer(status, body, headers)

    return answer
