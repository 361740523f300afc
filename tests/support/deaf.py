"""Sources that accept a connection and then say nothing, or one byte a second, and see when it is gone again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat

BYTE_EVERY_S = 1.0


class Deaf:
    """What a listener has seen: connections made so far, and those that are still open."""

    def __init__(self) -> None:
        self.made = 0
        self.open = 0
        self._lock = threading.Lock()

    def count(self, change: int) -> None:
        with self._lock:
            self.open += change
            self.made += max(0, change)


@contextmanager
def deaf(listener: socket.socket, drip: bytes = b"") -> Iterator[Deaf]:
    """Accept whatever comes to a bound socket for the block; `drip` is sent byte by byte and never ends."""
    seen, closing = Deaf(), threading.Event()
    threads: list[threading.Thread] = []
    listener.listen(128)

    def serve(connection: socket.socket) -> None:
        said = chain(drip, repeat(ord("x"))) if drip else None
        with connection, suppress(OSError):
            connection.settimeout(BYTE_EVERY_S)
            while not closing.is_set():
                try:
                    if not connection.recv(65536):
                        break
                except TimeoutError:
                    if said is not None:
                        connection.sendall(bytes([next(said)]))
        seen.count(-1)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                seen.count(1)
                threads.append(threading.Thread(target=serve, args=(connection,), name="deaf"))
                threads[-1].start()

    accepting = threading.Thread(target=accept, name="deaf")
    accepting.start()
    try:
        yield seen
    finally:
        closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join()
