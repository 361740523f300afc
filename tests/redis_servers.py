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
from tests.http_servers import free_port

_START_S = 20.0


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
    port = free_port()
    fixed = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(["redis-server", *fixed, *options], stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0))
        try:
            _await_answer(client, process)
            yield RedisServer(port, process, client)
        finally:
            client.close()
            process.kill()


def _await_answer(client: redis.Redis, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            client.ping()
        except (redis.BusyLoadingError, redis.ResponseError):
            return  # it is there, and unwilling is what it was started to be
        except redis.ConnectionError:
            time.sleep(0.01)
        else:
            return
    message = f"redis-server did not answer (exit code {process.poll()})"
    raise RuntimeError(message)
