"""The real Docker Engine behind a socket of ours, which hangs or breaks where a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from irkit.settings import DockerTarget
from tests.collectors.lab import Lab

_ENGINE = "/var/run/docker.sock"
_BLOCK_BYTES = 4096


class FaultyEngine:
    """Passes each request on, one a connection, and the answer back; but not on the paths told to fail."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._limits: dict[str, int] = {}
        self._works: dict[str, Callable[[], object]] = {}
        self._meetings: dict[str, threading.Barrier] = {}
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def target(self, lab: Lab) -> DockerTarget:
        return replace(lab.target, host=f"unix://{self._path}")

    def hang(self, path: str) -> None:
        """Never answer a request for a path that holds this."""
        self._limits[path] = -1

    def cut(self, path: str, *, after_bytes: int) -> None:
        """Break off the answer to a request for a path that holds this."""
        self._limits[path] = after_bytes

    def before(self, path: str, work: Callable[[], object]) -> None:
        """Do something, once, before the first request for a path that holds this is passed on."""
        self._works[path] = work

    def meet(self, path: str, number: int) -> None:
        """Answer requests for a path that holds this only once so many are under way: whoever asks in turn waits."""
        self._meetings[path] = threading.Barrier(number)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for meeting in self._meetings.values():
            meeting.abort()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        # who asked may leave before the answer's end
        with client, socket.socket(socket.AF_UNIX) as engine, suppress(BrokenPipeError, ConnectionResetError):
            head = b""
            while b"\r\n\r\n" not in head:
                block = client.recv(_BLOCK_BYTES)
                if not block:
                    return
                head += block
            line = head.partition(b"\r\n")[0].decode()
            for path in [each for each in self._works if each in line]:
                self._works.pop(path)()
            with suppress(threading.BrokenBarrierError):
                for meeting in (each for path, each in self._meetings.items() if path in line):
                    meeting.wait()
            limit = next((limit for path, limit in self._limits.items() if path in line), None)
            if limit == -1:
                self._over.wait()
                return
            engine.connect(_ENGINE)
            engine.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while block := engine.recv(_BLOCK_BYTES if limit is None else min(_BLOCK_BYTES, limit)):
                client.sendall(block)
                if limit is not None:
                    limit -= len(block)
