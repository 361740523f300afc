"""As much of the Redis protocol (RESP2) as a rate limiter needs, so that the image needs no package."""

from __future__ import annotations

import socket
from typing import BinaryIO, Self

Reply = str | int | list["Reply"] | None


class RedisError(Exception):
    """Redis answered with an error or broke off the connection."""


class Redis:
    """One connection to Redis; `call("INCR", key)` sends a command and returns its decoded reply."""

    def __init__(self, host: str, port: int = 6379, timeout_s: float = 1.0) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._replies: BinaryIO = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._replies.close()
        self._socket.close()

    def call(self, *words: str | float) -> Reply:
        """The reply of one command: str, int, list or None; raises RedisError and OSError."""
        encoded = [str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
        self._socket.sendall(b"".join(parts))
        return self._reply()

    def _reply(self) -> Reply:
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            message = "Redis closed the connection in the middle of a reply"
            raise RedisError(message)
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        count = int(rest)
        if kind == b":":
            return count
        if count < 0:
            return None
        if kind == b"*":
            return [self._reply() for _ in range(count)]
        return self._replies.read(count + 2)[:-2].decode()
