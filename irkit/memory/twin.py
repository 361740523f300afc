"""A twin of this process that runs plain Python, made by a raw clone(2) without the compiled walker.

What fork(2) does around the clone is left out, since atfork handlers (OpenBLAS's) wait for threads that stand still
while the interpreter lock is ours; what Python itself needs around it is done, without a single instruction of Python
between: a switch of threads just then would end in a lock that nobody opens. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from operator import call, is_not
from pathlib import Path
from typing import Any

_CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
_CLONE_PIDFD = 0x00001000
_ALL_CHILDREN = 0x40000000
_PR_SET_PDEATHSIG = 1
_ALIVE_S = 2.0
_TRIES = 4
_DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
_call: Any = call
_MOST_DESCRIPTORS = 1 << 20
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
_NICER = 10
_NICEST = 19
_SLICE_NS = 100_000
_SIZES = (600, 3000, 20_000, 120_000)


def possible() -> bool:
    """Say whether a twin can be made here: a machine whose clone(2) is known, and an interpreter with its lock."""
    return _CLONE is not None and getattr(sys, "_is_gil_enabled", lambda: True)()


def headroom_bytes(proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how much more memory may be used here, by all limits above and the machine; None where not known.

    Page cache that can be dropped is no use of memory, as `docker stats` counts it, too.
    """
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    for folder, (limit, used, cache) in _limits(proc, mount):
        with suppress(OSError, ValueError):
            most, held = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
            told = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            found.append(most - held + int(told.get(cache, 0)))
    return min(found, default=None)


def _limits(proc: Path, mount: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the folders of this process's memory cgroups, its own and those above; in a container the mount itself."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for _, names, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        root = mount if not names else mount / "memory"
        if not names or "memory" in names.split(","):
            own = root / path.strip("/")
            for folder in (own, *(each for each in own.parents if each.is_relative_to(root))):
                yield folder, _VERSION_1 if names else _VERSION_2


def clone(work: Callable[[], None], fd: int) -> tuple[int, int, int]:
    """Run `work` in a twin of this process that keeps `fd` open alone; return its pid, its pidfd and the pause in ns.

    The twin ends with status 0 when `work` returns, with 4 where its time runs out, with 5 where memory does, with 3
    where it fails otherwise.

    Raises:
        OSError: the kernel refuses.
        TimeoutError: each twin stood still: the allocator of C was locked by another thread when it was made.
    """
    for _ in range(_TRIES):
        alive, tell = os.pipe2(os.O_CLOEXEC)
        try:
            pid, pidfd, pause_ns = _cloned(partial(_run, work, fd, tell, os.getpid()))
            os.close(tell)
            tell = -1
            if select.select([alive], [], [], _ALIVE_S)[0]:
                return pid, pidfd, pause_ns
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.wait4(pid, _ALL_CHILDREN)
            os.close(pidfd)
        finally:
            os.close(alive)
            if tell >= 0:
                os.close(tell)
    raise TimeoutError("the clones of the process stood still from the start; try again when it is less busy")


def _cloned(run: Callable[[], None]) -> tuple[int, int, int]:
    libc, python = ctypes.PyDLL(None, use_errno=True), ctypes.pythonapi
    pidfd = ctypes.c_int(-1)
    libc.syscall.restype = ctypes.c_long
    make = partial(libc.syscall, _CLONE, _CLONE_PIDFD, None, ctypes.byref(pidfd), None, None)
    before, in_parent, in_child = python.PyOS_BeforeFork, python.PyOS_AfterFork_Parent, python.PyOS_AfterFork_Child
    before.restype = in_parent.restype = in_child.restype = None
    after: Any = {0: in_child}
    mine = os.getpid()
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    began_ns = time.perf_counter_ns()
    # one chain of calls in C: before(); made = clone(); in_child() if made == 0 else in_parent()
    steps: Any = (before, make)
    made: Any = filter(partial(is_not, None), map(_call, steps))
    list(map(_call, map(after.get, made, repeat(in_parent))))
    if os.getpid() != mine:
        run()
    pause_ns = time.perf_counter_ns() - began_ns
    signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    if pidfd.value < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    for line in Path(f"/proc/self/fdinfo/{pidfd.value}").read_text(encoding="ascii").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1]), pidfd.value, pause_ns
    raise OSError("the kernel does not say which process the clone is")


def _run(work: Callable[[], None], fd: int, tell: int, parent: int) -> None:
    """The life of the twin; it never returns to what called it."""
    status = 3
    try:
        # whether the allocator of C gives memory at all, before anything depends on it
        for size in _SIZES:
            _ = [bytearray(size) for _ in range(8)]
        os.write(tell, b".")
        _stand_alone(fd, parent)
        work()
        status = 0
    except TimeoutError:
        status = 4
    except MemoryError:
        status = 5
    finally:
        os._exit(status)


def _stand_alone(fd: int, parent: int) -> None:
    """Let nothing of the service depend on the twin: it holds no socket, is killed first, and waits for others."""
    ctypes.PyDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # who ended before that was asked for is heard of no more
        os._exit(3)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.closerange(0, fd)
    os.closerange(fd + 1, _MOST_DESCRIPTORS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    # a slice so short lets the service's threads run as soon as they wake up, where a niceness alone lets them wait
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + _NICER, _NICEST)
    # size, policy, flags, nice, priority, slice, two more: struct sched_attr of Linux
    wanted = struct.pack("=IIQiIQQQ", 48, 0, 0, nice, 0, _SLICE_NS, 0, 0)
    if ctypes.PyDLL(None).syscall(_SET_ATTRIBUTES, 0, wanted, 0):
        os.nice(_NICER)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEADLY)
