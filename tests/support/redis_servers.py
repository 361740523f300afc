"""Real Redis servers on loopback, one for each test that needs its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from irkit.settings import RedisTarget, Secret
from tests.support.http_servers import free_port

_START_S = 20.0
_TRIES = 5


@dataclass(frozen=True)
class RedisServer:
    """A running server, with a client of ours that may do everything."""

    port: int
    process: subprocess.Popen[bytes]
    client: redis.Redis

    def target(self, user: str = "", path: str = "/0", *, timeout_s: float = 2.0) -> RedisTarget:
        url = Secret(f"redis://{user}127.0.0.1:{self.port}{path}")
        return RedisTarget(url, "ratelimit:provider:*", timeout_s, configured=True)


@contextmanager
def redis_server(folder: Path, *options: str, password: str | None = None) -> Iterator[RedisServer]:
    """Start a server that keeps nothing and hand it over when it answers; it is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    server = _start(folder, options, password)
    with server.process:
        try:
            yield server
        finally:
            server.client.close()
            server.process.kill()


def _start(folder: Path, options: tuple[str, ...], password: str | None) -> RedisServer:
    """Start a server on a port of its own; one that was taken meanwhile ends it, and another is tried."""
    for _ in range(_TRIES):
        port = free_port()
        fixed = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(["redis-server", *fixed, *options], stdout=subprocess.DEVNULL)
        client = redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0))
        if _answers(client, process):
            return RedisServer(port, process, client)
        client.close()
        process.kill()
        process.wait()
    message = f"redis-server does not answer (exit code {process.returncode})"
    raise RuntimeError(message)


def _answers(client: redis.Redis, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            # INFO is answered in every state, and says whether it is our server that has the port
            return bool(client.info("server")["process_id"] == process.pid)
        except redis.ConnectionError:
            time.sleep(0.01)
    return False
