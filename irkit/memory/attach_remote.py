"""The way into a Python that takes requests, 3.14 on: no debugger, no injected library, and no thread is stopped.

The path of a script is written where the main thread looks for it between two steps; where that is, the process tells
itself. `sys.remote_exec` does the same for a caller of the same version, which irkit need not be.

Source: PEP 768, and "Remote debugging attachment protocol" in the Python documentation.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.errors import SnapshotError
from irkit.memory.attach_target import Target, programs
from irkit.memory.elf import section
from irkit.procfs import PROC

WAY = "sys.remote_exec"
FIRST = (3, 14)
_SECTION = ".PyRuntime"
_COOKIE = b"xdebugpy"
# how many numbers of 8 bytes each part of the table has: struct _Py_DebugOffsets of 3.14, fixed for all of 3.14
_PARTS = {
    "version": 2, "runtime": 3, "interpreter": 16, "thread": 9, "frame": 8, "code": 11, "object": 2, "type": 4,
    "tuple": 3, "list": 3, "set": 4, "dict": 3, "float": 2, "long": 3, "bytes": 3, "unicode": 4, "gc": 2,
    "generator": 4, "node": 2, "debugger": 6,
}  # fmt: skip
_PLEASE_STOP = 1 << 5  # of a thread's eval_breaker: pycore_ceval.h of 3.14
_MOST_INTERPRETERS = 1000
_LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class _Place:
    """Where requests to the main thread are written: addresses in the process, and the longest path in bytes."""

    breaker: int
    pending: int
    script: int
    longest: int


def takes_requests(target: Target, proc: Path = PROC) -> bool:
    """Say whether a process takes requests: it is new enough, has an interpreter lock, and was not told to refuse them.

    Raises:
        SnapshotError: it may not be looked into, or is gone.
    """
    if target.version[:2] != FIRST:
        return False
    with _memory(target.pid, proc, os.O_RDONLY) as memory:
        return _place(memory, target.pid, proc) is not None


def run(target: Target, pidfd: int, script: Path, begun: Path, wait_s: float, proc: Path = PROC) -> float:  # noqa: PLR0913, PLR0917 (who runs what, and where it is told)
    """Have the main thread run a script, named as the process sees it; return for how many seconds that kept it.

    `begun` is the file, as seen from here, in which the script says so.

    Raises:
        TimeoutError: it came to no step of Python's in all that time; the request was taken back.
        SnapshotError: it ended, may not be written to, or takes no such request.
    """
    pid, path = target.pid, os.fsencode(script) + b"\0"
    with _memory(pid, proc, os.O_RDWR) as memory:
        place = _place(memory, pid, proc)
        if place is None or len(path) > place.longest:
            raise SnapshotError(f"process {pid} takes no requests to run a script", hint="attach with --debugger")
        if _number(memory, place.pending, 4):
            sentence = f"another debugger has asked process {pid} to run something, and it has not come to that yet"
            raise SnapshotError(sentence, hint="try again when it has")
        os.pwrite(memory, path, place.script)
        os.pwrite(memory, (1).to_bytes(4, "little"), place.pending)
        # one byte of the flags, as the others hold what the process itself writes at any time
        os.pwrite(memory, bytes([_number(memory, place.breaker, 1) | _PLEASE_STOP]), place.breaker)
        try:
            if not appears(target.pid, pidfd, begun.is_file, wait_s):
                raise TimeoutError
            return int(begun.read_text(encoding="ascii")) / 1e9
        finally:
            with suppress(OSError):  # it is gone
                os.pwrite(memory, bytes(4), place.pending)


def appears(pid: int, pidfd: int, is_there: Callable[[], bool], wait_s: float) -> bool:
    """Say whether what a process is to make in its files is there in time.

    Raises:
        SnapshotError: the process ended before.
    """
    ends_s = time.monotonic() + wait_s
    while time.monotonic() < ends_s:
        with suppress(OSError):
            if is_there():
                return True
        if select.select([pidfd], [], [], _LOOK_S)[0]:
            raise SnapshotError(f"process {pid} ended while it was attached to", hint="its log may say why")
    return False


@contextmanager
def _memory(pid: int, proc: Path, flags: int) -> Iterator[int]:
    try:
        memory = os.open(proc / str(pid) / "mem", flags | os.O_CLOEXEC)
        try:
            yield memory
        finally:
            os.close(memory)
    except TimeoutError:
        raise
    except OSError as error:
        sentence = f"the memory of process {pid} cannot be reached: {error.strerror or error}"
        raise SnapshotError(sentence, hint="is it running? Run irkit as its user, or as root") from error


def _place(memory: int, pid: int, proc: Path) -> _Place | None:
    """Return where the main thread of the main interpreter takes requests; None where it takes none."""
    runtime = _runtime(pid, proc)
    if runtime is None:
        return None
    table = struct.Struct(f"<8s{sum(_PARTS.values())}Q")
    told = os.pread(memory, table.size, runtime)
    if len(told) < table.size:
        return None
    cookie, *numbers = table.unpack(told)
    parts, at = {}, 0
    for name, count in _PARTS.items():
        parts[name] = numbers[at : at + count]
        at += count
    version, without_lock = parts["version"]
    if cookie != _COOKIE or (version >> 24, version >> 16 & 255) != FIRST or without_lock:
        return None
    _, number, following, _, main_thread, *_ = parts["interpreter"]
    breaker, support, enabled, pending, script, longest = parts["debugger"]
    interpreter = _number(memory, runtime + parts["runtime"][2])
    for _ in range(_MOST_INTERPRETERS):
        if not interpreter or _number(memory, interpreter + number) == 0:
            break
        interpreter = _number(memory, interpreter + following)
    thread = _number(memory, interpreter + main_thread) if interpreter else 0
    if not thread or _number(memory, interpreter + enabled, 4) != 1:
        return None
    return _Place(thread + breaker, thread + support + pending, thread + support + script, longest)


def _runtime(pid: int, proc: Path) -> int | None:
    """Return where a process has its table of offsets: the section of its program or library, as it is mapped."""
    starts: dict[str, int] = {}
    for line in (proc / str(pid) / "maps").read_text(errors="replace").splitlines():
        cells = line.split(maxsplit=5)
        if len(cells) == 6:  # noqa: PLR2004 (a mapping without a file has five)
            starts.setdefault(cells[5], int(cells[0].partition("-")[0], 16))
    for path, shown in programs(pid, proc):
        with suppress(OSError, ValueError):
            found = section(path, _SECTION)
            if found is not None and shown in starts:
                return starts[shown] + found
    return None


def _number(memory: int, address: int, size: int = 8) -> int:
    return int.from_bytes(os.pread(memory, size, address), "little")
