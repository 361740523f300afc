"""A snapshot of another process's heap, asked of the agent inside it; the file is whole or not there."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from irkit.errors import NotFoundError, SnapshotError
from irkit.memory.agent import VARIABLE, socket_folder
from irkit.memory.heap_file import Totals, store
from irkit.procfs import container_of, started_s
from irkit.text.phrase import grouped, size

PROC = Path("/proc")
START = f"start it with {VARIABLE}=1 in its environment, or let it call irkit.memory.agent.start()"
_PATIENCE_S = 10.0
_GONE = 3
_TRIES = 3
_NICE = 10
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT})
# how the walker says why it gave up
_ENDS = {
    4: "it took longer than allowed",
    5: "there was no memory for its notes",
    -9: "the kernel or a person killed it",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that was taken: where it lies, how long the process stood still, what the clone copied at most."""

    path: Path
    size_bytes: int
    object_count: int
    pause_s: float
    copied_bytes_at_most: int

    @property
    def held(self) -> str:
        """How much was taken."""
        return f"{grouped(self.object_count)} objects in {size(self.size_bytes)}"

    @property
    def told(self) -> str:
        """What was taken and for how long it stopped the process, without where it lies."""
        return f"{self.held}; the process stood still for {self.pause_s * 1000:.1f} ms."

    def __str__(self) -> str:
        return f"{self.path}: {self.told}"


def snapshot(pid: int, path: Path, *, deadline_s: float = 60.0, proc: Path = PROC, place: Path | None = None) -> Taken:
    """Ask the agent in a process for a snapshot of its heap and write it to `path`; `place` is its socket, if known.

    A clone is made while other threads are amid whatever they do outside of Python, and what one of them left half done
    may bring it down. That harms the clone alone, so it is tried again.

    Raises:
        NotFoundError: there is no such process.
        SnapshotError: it has no agent, the agent refuses, the walk failed, or the file cannot be written.
    """
    for _ in range(_TRIES - 1):
        with suppress(_CrashedError):
            return _taken(pid, path, deadline_s, proc, place)
    return _taken(pid, path, deadline_s, proc, place)


class _CrashedError(SnapshotError):
    """The clone was brought down by a signal that a sound walk never gets."""


def _taken(pid: int, path: Path, deadline_s: float, proc: Path, place: Path | None) -> Taken:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_S)
        connect(connection, pid, proc, place)
        reading, writing = os.pipe()
        with open(reading, "rb") as stream, connection.makefile("rb") as answers:  # noqa: PTH123 (a descriptor)
            try:
                socket.send_fds(connection, [json.dumps({"deadline_s": deadline_s}).encode()], [writing])
            except OSError as error:
                raise SnapshotError(f"the agent of process {pid} is gone: {error.strerror}", hint=START) from error
            finally:
                os.close(writing)
            begun = line(answers, pid)
            extra = {"pause_ns": begun["pause_ns"], **_identity(pid, proc)}
            try:
                size_bytes, totals = _behind_all(partial(store, stream, path, extra=extra), connection)
            except SnapshotError as error:
                stream.close()
                raise _reason(answers, pid, error) from error
            ended = line(answers, pid)
    return Taken(
        path, size_bytes, totals.containers + totals.leaves, begun["pause_ns"] / 1e9, ended["copied_bytes_at_most"]
    )


def _behind_all(work: Callable[[], tuple[int, Totals]], connection: socket.socket) -> tuple[int, Totals]:
    """Do `work` in a thread that lets all others go first: the service is at work on the same processors.

    Where waiting for it is interrupted, the agent is left, which ends what comes from it, and so the work.
    """
    with ThreadPoolExecutor(1, initializer=_step_back) as pool:
        done = None
        try:
            done = pool.submit(work)
            return done.result()
        except BaseException:
            if done is None or not done.done():
                connection.shutdown(socket.SHUT_RDWR)
            raise


def _step_back() -> None:
    with suppress(OSError):  # of Linux's threads each has a niceness of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def has_agent(pid: int, proc: Path = PROC) -> bool:
    """Say whether an agent listens where a process would have it: of one that was killed, the socket's file stays."""
    try:
        return any(map(_is_listened_at, candidates(pid, proc)))
    except (NotFoundError, SnapshotError, OSError):
        return False


def _is_listened_at(place: Path) -> bool:
    # one of the wrong kind is never connected, and yet told apart from one that nobody listens at
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wrong:
        try:
            wrong.connect(str(place))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return place.is_socket()
    return False


def _identity(pid: int, proc: Path) -> dict[str, Any]:
    """Return what tells a process from a later one of the same number, and the container that it runs in."""
    told: dict[str, Any] = {"container": container_of(pid, proc)}
    with suppress(OSError):
        told["process_started_s"] = started_s(pid, proc)
    return told


def candidates(pid: int, proc: Path) -> list[Path]:
    """Return where the agent's socket may be: under the process's own root, by the numbers it sees of itself.

    Raises:
        NotFoundError: there is no such process.
        SnapshotError: it may not be looked into.
    """
    folder = proc / str(pid)
    try:
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text(encoding="utf-8").splitlines())
    except OSError:
        raise NotFoundError(
            f"there is no process {pid} here", hint="`docker top NAME` and `ps -e` give the numbers of processes"
        ) from None
    inner, uid = fields.get("NSpid", str(pid)).split()[-1], int(fields["Uid"].split()[1])
    try:
        environment = (folder / "environ").read_bytes().split(b"\0")
    except OSError as error:
        sentence = f"process {pid} may not be looked into: {error.strerror}"
        raise SnapshotError(sentence, hint="run irkit as its user, or as root") from error
    given = VARIABLE.encode() + b"="
    value = next((each[len(given) :].decode(errors="replace") for each in environment if each.startswith(given)), "")
    places = dict.fromkeys((socket_folder(uid, value), socket_folder(uid)))
    return [folder / "root" / each.relative_to("/") / f"memory-{inner}.sock" for each in places]


def connect(connection: socket.socket, pid: int, proc: Path = PROC, place: Path | None = None) -> None:
    """Connect to the agent of a process, at `place` or where its socket would be.

    Raises:
        NotFoundError: there is no such process.
        SnapshotError: it has no agent, or none can walk its heap, or the agent cannot be reached.
    """
    for one in [place] if place else candidates(pid, proc):
        try:
            connection.connect(str(one))
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except OSError as error:
            sentence = f"the agent of process {pid} cannot be reached: {error.strerror or error}"
            raise SnapshotError(sentence, hint="run irkit as its user, or as root") from error
        return
    from irkit.memory.attach_target import refuse_unwalkable

    refuse_unwalkable([pid], proc)
    hint = f"irkit memory attach --pid {pid} puts one in for as long as a snapshot takes, and asks first; or {START}"
    raise SnapshotError(f"process {pid} has no memory agent", hint=hint)


def line(answers: Any, pid: int) -> dict[str, Any]:  # noqa: ANN401 (a file of a socket)
    """Return the next line of an agent's answers.

    Raises:
        SnapshotError: it says that it cannot, or says nothing any more.
    """
    try:
        found = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise SnapshotError(f"process {pid} ended, or its agent fell silent", hint="is it running?") from error
    if "error" in found:
        raise SnapshotError(f"no snapshot of process {pid}: {found['error']}", hint=found.get("hint", ""))
    return dict(found)


def _reason(answers: Any, pid: int, error: SnapshotError) -> SnapshotError:  # noqa: ANN401 (as `line`)
    """Say what the clone says of its end, where that is more than the pipe tells."""
    try:
        status = line(answers, pid)["status"]
    except SnapshotError as silent:
        return silent if "cut short" in str(error) else error
    if status in {0, _GONE} or "cut short" not in str(error):
        return error
    why = _ENDS.get(status, f"it ended with {status}")
    made = _CrashedError if -status in _CRASHES else SnapshotError
    return made(f"the clone of process {pid} did not finish its walk: {why}", hint="try again; --for allows more")
