"""The injector's own process: it stops one thread of another process for as long as it takes to load a library there.

    python -m irkit.memory.attach_inject pyinjector|gdb PID OWN_LIBRARY LIBRARY WAIT_S

It says on standard output, as one line of JSON, which thread and for how many ns, or why not. A process of its own,
because a fault here must not be irkit's, and because whoever asked must be able to give up waiting for it.

The thread must stand in a system call: the injector keeps the general registers but not the vector ones, and a thread
amid the C library's allocator would meet its own lock. That it does is looked at again once it is stopped.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from irkit.procfs import PROC

# System calls of the allocator and the loader, amid which nothing can be loaded: brk, mmap, mprotect, munmap, mremap,
# madvise; and futex(2), by which threads wait for locks. Source: asm/unistd_64.h, asm-generic/unistd.h.
_MEMORY_CALLS = {
    "x86_64": frozenset({12, 9, 10, 11, 25, 28}),
    "aarch64": frozenset({214, 222, 226, 215, 216, 233}),
}
_FUTEX = {"x86_64": 202, "aarch64": 98}
_FUTEX_COMMAND = 0x7F
_FUTEX_WAIT_BITSET = 9  # of conditions and semaphores, Python's own locks; the C library's inner locks use FUTEX_WAIT
_PAUSE_S = 0.005
_REHEARSAL_S = 5.0


def is_resting(told: str, machine: str = platform.machine()) -> bool:
    """Say whether a thread stands in a system call that is none of the allocator's, by its file `syscall` in /proc."""
    cells = told.split()
    if len(cells) < 9 or not cells[0].isdecimal() or machine not in _FUTEX:  # noqa: PLR2004 (its number, 6 arguments, 2 pointers)
        return False
    number = int(cells[0])
    if number == _FUTEX[machine]:
        return int(cells[2], 16) & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET
    return number not in _MEMORY_CALLS[machine]


def resting(pid: int, proc: Path = PROC) -> list[int]:
    """Return the threads that stand in a harmless system call, the first thread first.

    Raises:
        OSError: it is gone, or may not be looked into.
    """
    tasks = proc / str(pid) / "task"
    return [tid for tid in sorted(int(each.name) for each in tasks.iterdir()) if is_resting(_syscall(tasks / str(tid)))]


def inject(pid: int, library: Path, wait_s: float, proc: Path = PROC) -> tuple[int, int]:
    """Load a library in a thread of a process that rests; return which, and for how many ns it was stopped.

    Raises:
        TimeoutError: no thread rested in all that time.
        OSError: the process ended.
        InjectorException: the process cannot be traced, or its loader refused.
    """
    from pyinjector.injector import Injector

    ends_s = time.monotonic() + wait_s
    while time.monotonic() < ends_s:
        for tid in resting(pid, proc):
            injector: Any = Injector()
            began_ns = time.monotonic_ns()
            injector.attach(tid)
            try:
                rests = is_resting(_syscall(proc / str(pid) / "task" / str(tid)))
                if rests:
                    injector.inject(os.fsencode(library))
            finally:
                injector.detach()
            if rests:
                return tid, time.monotonic_ns() - began_ns
        time.sleep(_PAUSE_S)
    raise TimeoutError


def inject_by_gdb(pid: int, library: Path, wait_s: float, proc: Path = PROC) -> tuple[int, int]:
    """Do the same by gdb, which stops all threads and takes its time; it calls in the first thread, which must rest.

    Raises:
        TimeoutError, OSError: as `inject`.
        RuntimeError: gdb failed.
    """
    ends_s = time.monotonic() + wait_s
    while pid not in resting(pid, proc):
        if time.monotonic() > ends_s:
            raise TimeoutError
        time.sleep(_PAUSE_S)
    call = f'print (void *) ((void *(*)(const char *, int)) dlopen)("{library}", 1)'
    began_ns = time.monotonic_ns()
    done = subprocess.run(  # noqa: S603 (a debugger, and a path of our own making)
        ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", call],  # noqa: S607 (as installed)
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    answer = done.stdout.strip().splitlines()[-1:]
    if not any("$1 = (void *) 0x" in each and not each.endswith(" 0x0") for each in done.stdout.splitlines()):
        raise RuntimeError(f"gdb: {(done.stderr.strip().splitlines() or answer or ['it said nothing'])[-1]}")
    return pid, time.monotonic_ns() - began_ns


def _syscall(task: Path) -> str:
    try:
        return (task / "syscall").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def rehearsed(way: str, library: Path) -> str:
    """Do the same to a process of our own that can be spared; return what is wrong, nothing where it lives on.

    A debugger can fail on a processor newer than itself in a way that the process does not survive.
    """
    command = [sys.executable, "-IS", "-c", "print(input(), flush=True); print(input(), flush=True)"]
    with (
        tempfile.TemporaryDirectory(prefix="irkit-rehearsal-") as folder,
        subprocess.Popen(  # noqa: S603 (this Python, a line of ours)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as spared,
    ):
        assert spared.stdin is not None  # noqa: S101 (both are pipes)
        assert spared.stdout is not None  # noqa: S101
        copy = Path(folder) / library.name  # and no agent beside it
        shutil.copyfile(library, copy)
        try:
            _wanted(spared.stdin, spared.stdout)
            _WAYS[way](spared.pid, copy, _REHEARSAL_S)
            _wanted(spared.stdin, spared.stdout)
        except Exception as error:  # noqa: BLE001 (as in `main`)
            return _told(error)
        finally:
            spared.kill()
    return ""


def _wanted(asking: IO[bytes], answers: IO[bytes]) -> None:
    asking.write(b"well\n")
    asking.flush()
    if answers.readline() != b"well\n":
        raise RuntimeError("it did not survive")


def _told(error: Exception) -> str:
    return " ".join(map(str, error.args[-1:])) or type(error).__name__


def main(way: str, pid: int, own: Path, library: Path, wait_s: float) -> dict[str, object]:
    """Inject `library` where that went well with `own`, and return what is to be said of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    if why := rehearsed(way, own):
        return {"error": "rehearsal", "why": why}
    try:
        tid, stopped_ns = _WAYS[way](pid, library, wait_s)
    except TimeoutError:
        return {"error": "busy"}
    except OSError:
        return {"error": "gone"}
    except Exception as error:  # noqa: BLE001 (of the library's own kinds, and whatever it is, it is told)
        return {"error": _told(error)}
    return {"thread": tid, "stopped_ns": stopped_ns}


_WAYS = {"pyinjector": inject, "gdb": inject_by_gdb}

if __name__ == "__main__":
    said = json.dumps(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])))
    os.write(1, f"{said}\n".encode())
