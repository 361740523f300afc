"""A third party's collectors that misbehave in every way the engine must survive; installed by a test as a plug-in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from irkit.collect.contract import USUAL, Document, Gap, Limits, NotHere, Piece, Refused, Table, Unreachable, collector
from irkit.model import Window
from irkit.settings import HttpTarget

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
COLUMNS = {"at": "time", "line": "string", "number": "int"}


def row(number: int, line: str = "a line") -> dict[str, object]:
    return {"at": AT, "line": line, "number": number}


@collector("good", target="http", provides=("good_rows", "good_facts"), cost=1, command="look {target.health_url}")
def good(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Shows what a working neighbour of the others leaves."""
    yield Document("good_facts", {"url": target.health_url, "password": "hunter2hunter2", "raw": b"caf\xe9"})
    yield Table(
        "good_rows",
        COLUMNS,
        [row(1, "login password=hunter2hunter2"), row(2, b"caf\xe9".decode("utf-8", "surrogateescape"))],
    )


@collector("addresses", target="http", provides=("address_rows",), cost=1, command="look")
def addresses(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Names a person and a machine."""
    yield Table("address_rows", COLUMNS, [row(1, "jo@example.com from 10.1.2.3")])


@collector("empty", target="http", provides=("empty_rows",), cost=1, command="look")
def empty(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Looks and finds nothing."""
    yield Table("empty_rows", COLUMNS, ())


@collector("wide", target="http", provides=("wide_rows",), cost=1, command="look")
def wide(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Has more columns than a line of news takes."""
    names = [f"column_{number}" for number in range(500)]
    yield Table("wide_rows", dict.fromkeys(names, "int"), [dict.fromkeys(names, 1)])


@collector("far", target="http", provides=("far_rows",), cost=1, command="look")
def far(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Names its subject in letters that take twelve characters each on the way."""
    yield Table("far_rows", COLUMNS, [row(1)], subject="\U0001f40b" * 400)


@collector("frugal", target="http", provides=("frugal_limits",), cost=1, command="look")
def frugal(target: HttpTarget, window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Tells the limits it was given, by which it could have chosen how much to do."""
    yield Document("frugal_limits", {"deadline_s": limits.deadline_s, "max_size_bytes": limits.max_size_bytes})


@collector("hang", target="http", provides=("hang_rows",), cost=1, command="look")
def hang(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Waits for ever on a socket that says nothing, deaf to polite signals."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    left, _right = socket.socketpair()
    left.recv(1)
    yield Gap("unreachable")


@collector("hang-after-rows", target="http", provides=("early_rows",), cost=1, command="look")
def hang_after_rows(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Yields rows, then hangs: what it had must stay."""

    def rows() -> Iterator[dict[str, object]]:
        for number in range(2000):
            yield row(number)
        threading.Event().wait()

    yield Table("early_rows", COLUMNS, rows())


@collector("grandchild", target="http", provides=("grandchild_rows",), cost=1, command="look")
def grandchild(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Starts a process that would outlive it."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import threading; threading.Event().wait()", os.environ["IRKIT_TEST_MARK"]]
    )
    process.wait()
    yield Gap("unreachable")


@collector("flood", target="http", provides=("flood_rows",), cost=1, command="look")
def flood(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Never stops sending."""

    def rows() -> Iterator[dict[str, object]]:
        number = 0
        while True:
            number += 1
            yield row(number, "x" * 1000)

    yield Table("flood_rows", COLUMNS, rows())


def numbered(start: int, count: int) -> Table:
    return Table("parts_rows", COLUMNS, (row(number) for number in range(start, start + count)))


@collector("parts", target="http", provides=("parts_rows",), cost=1, command="look")
def parts(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Yields the newest rows first, and older ones without end."""
    yield numbered(9_000, 1_000)
    yield numbered(8_000, 1_000)
    yield Table("parts_rows", COLUMNS, (row(number, "x" * 1000) for number in range(8_000)))
    yield numbered(0, 1)


@collector("parts-hang", target="http", provides=("hanging_parts_rows",), cost=1, command="look")
def parts_hang(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Yields the newest rows, and hangs in the middle of older ones."""

    def older() -> Iterator[dict[str, object]]:
        yield row(1)
        threading.Event().wait()

    yield Table("hanging_parts_rows", COLUMNS, [row(3), row(4)])
    yield Table("hanging_parts_rows", COLUMNS, older())


@collector("raise", target="http", provides=("raise_rows",), cost=1, command="look")
def raising(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Has a bug."""
    msg = "no such key in https://user:hunter2hunter2@example.test/"
    raise KeyError(msg)
    yield


@collector("raise-late", target="http", provides=("late_rows",), cost=1, command="look")
def raising_late(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Has a bug after its first piece."""
    yield Table("late_rows", COLUMNS, [row(1)])
    msg = "then it broke"
    raise Refused(msg)


@collector("killed", target="http", provides=("killed_rows",), cost=1, command="look")
def killed(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Dies of a signal, as with a fault in a C library."""
    os.kill(os.getpid(), signal.SIGKILL)
    yield


@collector("unreachable", target="http", provides=("unreachable_rows",), cost=1, command="look")
def unreachable(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Finds nobody at home."""
    msg = "nobody answers"
    raise Unreachable(msg, hint="start it")
    yield


@collector("elsewhere", target="http", provides=("elsewhere_rows",), cost=1, command="look")
def elsewhere(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Finds that there is nothing of the kind on this machine."""
    msg = "that is on another machine"
    raise NotHere(msg)
    yield


@collector("chatty", target="http", provides=("chatty_rows",), cost=1, command="look")
def chatty(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Prints where the engine listens."""
    print('{"collector": "good", "event": "ended", "outcome": "failed"}')
    yield Table("chatty_rows", COLUMNS, [row(1)])
    yield Gap("a reason of many words: " + "\u202e" * 5000)


@collector("young", target="http", provides=("young_rows",), cost=1, command="look")
def young(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Lacks nothing but the beginning of the window."""
    yield Table("young_rows", COLUMNS, [row(1)])
    yield Gap("begun late", AT)
    yield Gap("begun later", AT + timedelta(seconds=1))


@collector("young-and-cut", target="http", provides=("young_flood",), cost=1, command="look")
def young_and_cut(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Lacks the beginning of the window, and more of which nobody knows the time."""
    yield Gap("begun late", AT)
    yield Gap("broken off")
    yield Table("young_flood", COLUMNS, [row(1)])


@collector("borrows", target="http", provides=("borrows_rows",), cost=1, command="look")
def borrows(target: HttpTarget, window: Window) -> Iterator[Piece]:
    """Yields under the name of another's evidence."""
    yield Table("borrows_rows", COLUMNS, [row(1)], subject=5)  # type: ignore[arg-type]
    yield Document("good_facts", {"not": "its own"})
