"""A process that an agent is to be put into, examined from outside: is it a Python, which, and may we?"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.errors import NotFoundError, SnapshotError
from irkit.memory.agent import INSTEAD, NEWEST, OLDEST, walked
from irkit.memory.elf import Exports, exports
from irkit.procfs import PROC, command, started_s
from irkit.text.visible import visible

_NEEDED = ("PyGILState_Ensure", "PyGILState_Release", "PyRun_SimpleString", "Py_IsInitialized")
_VERSION = "Py_Version"
_SYS_PTRACE = 1 << 19
_PYTHON = re.compile(r"^(lib)?python\d?")
_AS_ROOT = "run irkit as root"
_OUTSIDE = "run irkit as root of the machine itself, outside of any container"
_INITIAL = "user:[4026531837]"  # the user namespace of the machine itself, PROC_USER_INIT_INO of the kernel


class UnwalkableError(SnapshotError):
    """The process is a Python whose heap cannot be walked, with an agent or without."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Python process as seen from outside: its number and its owner's here, when it started, its version."""

    pid: int
    command: str
    started_s: float
    uid: int
    gid: int
    version: tuple[int, int, int]

    @property
    def python(self) -> str:
        return ".".join(map(str, self.version))


def examine(pid: int, proc: Path = PROC) -> Target:
    """Return what a process is, where an agent can be put into it.

    Raises:
        NotFoundError: there is no such process.
        SnapshotError: it cannot be attached to: it ended, belongs to another, is no Python, or one that does not fit.
    """
    folder = proc / str(pid)
    try:
        status = dict(
            line.split(":", 1) for line in (folder / "status").read_text(errors="replace").splitlines() if ":" in line
        )
        name, began_s = visible(command(pid, proc)), started_s(pid, proc)
    except OSError:
        hint = "`docker top NAME` and `ps -e` give the numbers of processes"
        raise NotFoundError(f"there is no process {pid} here", hint=hint) from None
    if status["State"].split()[0] in {"Z", "X"}:
        raise NotFoundError(f"process {pid} ({name}) has ended", hint="its parent has not noticed yet")
    if pid == os.getpid():
        raise SnapshotError("irkit does not attach to itself", hint="name another process")
    if (tracer := status.get("TracerPid", "0").strip()) != "0":
        raise SnapshotError(
            f"process {pid} ({name}) is traced by process {tracer} already", hint="end that debugger first"
        )
    uid, gid = (int(status[key].split()[1]) for key in ("Uid", "Gid"))
    _permitted(pid, name, uid, proc)
    return Target(pid, name, began_s, uid, gid, _version(pid, name, proc))


def refuse_unwalkable(pids: Sequence[int], proc: Path = PROC) -> None:
    """Refuse processes of which none can be attached to, where it is for their Python: no agent of theirs would help.

    Raises:
        UnwalkableError: one of them is a Python of a version that no walker knows.
    """
    refused = None
    for pid in pids:
        try:
            examine(pid, proc)
        except UnwalkableError as error:
            refused = refused or error
        except (NotFoundError, SnapshotError):
            continue
        else:
            return
    if refused is not None:
        raise refused


def python_of(container: str, pids: Sequence[int], proc: Path = PROC) -> int:
    """Return the one process of a container, given their numbers here, that can be attached to.

    Raises:
        SnapshotError: none can be, told by its first process, or several can.
    """
    found, refused = [], None
    for pid in pids:
        try:
            found.append(examine(pid, proc).pid)
        except (NotFoundError, SnapshotError) as error:
            refused = refused or error
    if len(found) > 1:
        hint = "name one by --pid; `docker top` tells which is which"
        sentence = f"{len(found)} processes of container {container} are Python: {', '.join(map(str, found))}"
        raise SnapshotError(sentence, hint=hint)
    if not found:
        sentence = f"container {container} has no process that can be attached to: {refused}"
        raise SnapshotError(sentence, hint=refused.hint if refused else "")
    return found[0]


def headroom_bytes(pid: int, proc: Path = PROC) -> int | None:
    """Return how much more memory a process may use, by its container's limit and the machine; None if not known."""
    from irkit.memory.footprint import container_memory
    from irkit.procfs import memory

    found = []
    container = container_memory(pid, proc)
    if container is not None and container.limit_bytes is not None:
        found.append(container.limit_bytes - container.usage_bytes)
    with suppress(OSError, KeyError):
        found.append(memory(proc)["MemAvailable"])
    return min(found, default=None)


def _root_lacks(proc: Path, *, may_trace: bool) -> tuple[str, str]:
    """Return what holds root back, as a sentence goes on, and what to do about it; of anybody else, that they are not.

    Whether the other process is in a namespace of its own is not told to whoever may not look into it.
    """
    if os.geteuid() != 0 and not may_trace:
        return "", _AS_ROOT
    if not may_trace:
        hint = f"{_OUTSIDE}, or in one that was started with --cap-add SYS_PTRACE"
        return ", and this root may not trace it: it lacks CAP_SYS_PTRACE", hint
    had = "though irkit has root's right to trace"
    with suppress(OSError):
        if str((proc / "self/ns/user").readlink()) != _INITIAL:
            return f", {had}: in a user namespace of its own alone, and not where that process is", _OUTSIDE
    forbids = f"{had}: a security module of the kernel (AppArmor, Landlock) or a sandbox forbids it"
    return f", {forbids}", f"start it with IRKIT_MEMORY_AGENT=1 instead: an agent needs no tracing; or {_OUTSIDE}"


def _permitted(pid: int, name: str, uid: int, proc: Path) -> None:
    own = (proc / "self" / "status").read_text(encoding="utf-8")
    may_trace = bool(int(own.partition("CapEff:")[2].split()[0], 16) & _SYS_PTRACE)
    why, hint = _root_lacks(proc, may_trace=may_trace)
    if not may_trace and os.geteuid() != uid:
        raise SnapshotError(f"process {pid} ({name}) belongs to another user{why}", hint=hint)
    try:
        scope = int((proc / "sys/kernel/yama/ptrace_scope").read_text(encoding="ascii"))
    except (OSError, ValueError):
        scope = 0
    if scope > 2:  # noqa: PLR2004 (ptrace(2): 3 forbids it to everyone, till the machine restarts)
        agent = "start the service with IRKIT_MEMORY_AGENT=1 instead: an agent needs no tracing"
        raise SnapshotError("this machine lets nobody trace a process (kernel.yama.ptrace_scope is 3)", hint=agent)
    if scope and not may_trace:
        sentence = f"this machine lets only root trace processes (kernel.yama.ptrace_scope is {scope})"
        raise SnapshotError(f"{sentence}{why}", hint=hint)
    try:
        (proc / str(pid) / "maps").read_bytes()
        (proc / str(pid) / "syscall").read_bytes()
    except PermissionError as error:
        raise SnapshotError(
            f"process {pid} ({name}) may not be looked into: {error.strerror}{why}", hint=hint
        ) from error
    except OSError as error:
        raise NotFoundError(f"process {pid} ({name}) has ended", hint="name one that runs") from error


def _version(pid: int, name: str, proc: Path) -> tuple[int, int, int]:
    pythons = []
    for path, shown in programs(pid, proc):
        try:
            found = exports(path, (*_NEEDED, _VERSION))
        except (OSError, ValueError):
            continue
        if found.machine != platform.machine():
            sentence = (
                f"process {pid} ({name}) is a program for {found.machine}, and irkit runs on {platform.machine()}"
            )
            raise SnapshotError(sentence, hint="run an irkit of the same kind there")
        if all(each in found.found for each in _NEEDED):
            return _told(pid, name, found)
        if _PYTHON.match(Path(shown).name):
            pythons.append(shown)
    if pythons:
        sentence = f"the Python of process {pid} ({name}) exports no names, so nothing can be called in it"
        raise SnapshotError(sentence, hint="start it with IRKIT_MEMORY_AGENT=1 and irkit installed beside it")
    raise SnapshotError(f"process {pid} ({name}) is not a Python process", hint="`docker top NAME` lists a container's")


def _told(pid: int, name: str, found: Exports) -> tuple[int, int, int]:
    packed = int.from_bytes(found.found.get(_VERSION, b""), "little")
    version = (packed >> 24, packed >> 16 & 255, packed >> 8 & 255)
    if not OLDEST <= version[:2] <= NEWEST:
        which = f"Python {version[0]}.{version[1]}" if packed else "a Python older than 3.11"
        raise UnwalkableError(f"process {pid} ({name}) runs {which}, and {walked()}", hint=INSTEAD)
    return version


def programs(pid: int, proc: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files whose code a process runs, each with its name there: the program, then what looks like Python.

    A file that was replaced meanwhile is still to be had by the mapping itself.
    """
    program = proc / str(pid) / "exe"
    yield program, str(program.readlink())
    seen = set()
    for line in (proc / str(pid) / "maps").read_text(errors="replace").splitlines():
        cells = line.split(maxsplit=5)
        if len(cells) < 6 or "x" not in cells[1] or not _PYTHON.match(Path(cells[5]).name):  # noqa: PLR2004
            continue
        if cells[5] not in seen:
            seen.add(cells[5])
            yield proc / str(pid) / "map_files" / cells[0], cells[5]
            yield Path(f"{proc}/{pid}/root{cells[5]}"), cells[5]
