"""What befalls the stack from outside its own processes: other containers, other users, operators, other programs."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress

import redis

from .app.ratelimit import LIMITS, WINDOW_S, key
from .clients import clients, request
from .stack import API_SERVICE, OUTSIDE_FAULTS, Stack

Surrounding = Callable[[Stack, str], AbstractContextManager[None]]
_DRIP_S = 1.0


def around(stack: Stack, text: str) -> AbstractContextManager[None]:
    """What `text`, a name with an `=amount` where it needs one, does to a stack for the block; raises KeyError."""
    name, _, amount = text.partition("=")
    return SURROUNDINGS[name](stack, amount)


@contextmanager
def _once(act: Callable[[], object]) -> Iterator[None]:
    act()
    yield


@contextmanager
def _meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), name="surrounding")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def slow_redis(stack: Stack, seconds: str) -> AbstractContextManager[None]:
    """Somebody pauses Redis for so long, again and again, as a slow script or a swapping host would."""

    def pause(over: threading.Event) -> None:
        with closing(redis.Redis.from_url(stack.redis_url)) as client:
            while not over.wait(float(seconds) + 0.02):
                client.execute_command("CLIENT", "PAUSE", int(float(seconds) * 1000), "ALL")

    return _meanwhile(pause)


def limit_spent(stack: Stack, provider: str) -> AbstractContextManager[None]:
    """Another worker has used up a provider's rate limit, as the keys in Redis tell."""

    def spend() -> None:
        with closing(redis.Redis.from_url(stack.redis_url)) as client:
            if provider == "provider-alpha":
                client.incrby(key(provider), LIMITS[provider])
            else:
                (seconds, _) = client.time()
                client.zadd(key(provider), {f"batch-{number}": seconds for number in range(LIMITS[provider])})
            client.expire(key(provider), WINDOW_S)

    return _once(spend)


def runaway_client(stack: Stack, provider: str) -> AbstractContextManager[None]:
    """One client chats without a pause, until the rate limit is spent and beyond."""

    def chat(over: threading.Event) -> None:
        while not over.is_set():
            seen = request(stack.url, "POST", "/api/chat", {"message": "again", "provider": provider})
            over.wait(0.3 if seen.status != 200 else 0)

    return _meanwhile(chat)


def redis_fills(stack: Stack, mebibytes_per_s: str) -> AbstractContextManager[None]:
    """A worker stores sessions in Redis that never expire."""
    step_s, size_bytes = 0.25, int(float(mebibytes_per_s) * (1 << 20) / 4)

    def store(over: threading.Event) -> None:
        number = 0
        with closing(redis.Redis.from_url(stack.redis_url)) as client:
            while not over.wait(step_s):
                client.set(f"session:{number}", b"x" * size_bytes)
                number += 1

    return _meanwhile(store)


def peak(stack: Stack, users: str) -> AbstractContextManager[None]:
    """So many users more."""

    @contextmanager
    def more() -> Iterator[None]:
        with clients(stack.url, int(users), 0.5, seed=1):
            yield

    return more()


def wrong_requests(stack: Stack, users: str) -> AbstractContextManager[None]:
    """A scanner asks for what is not there: 404 and 422."""

    @contextmanager
    def more() -> Iterator[None]:
        with clients(stack.url, int(users), 0.4, seed=2, wrong=True):
            yield

    return more()


def slow_client(stack: Stack, _amount: str) -> AbstractContextManager[None]:
    """A user on a bad line, whose request takes the whole time to arrive."""

    def drip(over: threading.Event) -> None:
        host, port = stack.url.removeprefix("http://").split(":")
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=5.0) as line:
            line.sendall(b"POST /api/chat HTTP/1.1\r\nHost: jarvis\r\nContent-Length: 200\r\n\r\n")
            while not over.wait(_DRIP_S):
                line.sendall(b" ")

    return _meanwhile(drip)


def backup(stack: Stack, _amount: str) -> AbstractContextManager[None]:
    """The database is backed up page by page, and again from the start where it changed."""
    target = stack.directory / "data" / "backups" / "nightly.db"

    def copy(over: threading.Event) -> None:
        with (
            closing(sqlite3.connect(f"file:{stack.database_path}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as destination,
        ):
            while not over.wait(0.5):
                source.backup(destination, pages=20, sleep=0.01)

    return _meanwhile(copy)


def restart(stack: Stack, _amount: str) -> AbstractContextManager[None]:
    """Somebody restarts the API by hand."""
    return _once(lambda: stack.container(API_SERVICE).restart(timeout=2))


def deploy(stack: Stack, release: str) -> AbstractContextManager[None]:
    """Another release is rolled out: the API's container is replaced by one with another environment."""

    def roll_out() -> None:
        path = stack.directory / ".env"
        path.write_text(f"{path.read_text()}RELEASE={release}\n")
        stack.compose("up", "--detach", "--no-deps", API_SERVICE)

    return _once(roll_out)


def stopped(stack: Stack, service: str) -> AbstractContextManager[None]:
    """A service's container is stopped, and its name known to nobody."""
    return _once(lambda: stack.container(service).stop(timeout=1))


def cache_cleared(stack: Stack, _amount: str) -> AbstractContextManager[None]:
    """Somebody clears the cache: FLUSHDB."""

    def flush() -> None:
        with closing(redis.Redis.from_url(stack.redis_url)) as client:
            client.flushdb()

    return _once(flush)


SURROUNDINGS: dict[str, Surrounding] = {
    "slow-redis": slow_redis,
    "limit-spent": limit_spent,
    "runaway-client": runaway_client,
    "redis-fills": redis_fills,
    "peak": peak,
    "wrong-requests": wrong_requests,
    "slow-client": slow_client,
    "backup": backup,
    "restart": restart,
    "deploy": deploy,
    "stopped": stopped,
    "cache-cleared": cache_cleared,
    **{name: (lambda stack, _amount, act=act: _once(lambda: act(stack))) for name, act in OUTSIDE_FAULTS.items()},
}
