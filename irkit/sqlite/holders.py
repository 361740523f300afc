"""Who has a file open or locked: by the descriptors in /proc, and by asking the kernel for a lock of our own.

Descriptors tell who it is, of the processes we may look into; locks tell of all on this machine, in any container.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.procfs import PROC, Unit, container_of, unit_of
from irkit.sqlite.readonly import FILES
from irkit.text.phrase import listing

# struct flock of 64-bit Linux: type, whence, start, length, pid
_FLOCK = struct.Struct("hhxxxxqqixxxx")
_SHOWN = 5
_SHORT_ID = 12


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the file open, by number and name of its program (the arguments may hold secrets).

    `container` is the id of the container that it runs in, `unit` the service of systemd's that it is of.
    """

    pid: int
    program: str
    container: str = ""
    unit: Unit | None = None

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"

    @property
    def stopping(self) -> str:
        """The command that a person stops it with."""
        if self.container:
            return f"docker stop {self.container[:_SHORT_ID]}"
        if self.unit:
            return f"systemctl {'--user ' if self.unit.of_user else ''}stop {shlex.quote(self.unit.name)}"
        return f"kill {self.pid}"


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has it; `locked`: somebody holds a lock; `unseen` counts processes that might, and may not be looked into."""

    found: tuple[Holder, ...]
    locked: bool
    unseen: int

    @property
    def clear(self) -> bool | None:
        """Say whether nobody has it, None where that cannot be known."""
        return False if self.found or self.locked else None if self.unseen else True

    @property
    def sentence(self) -> str:
        """Who has it, in words."""
        if self.found:
            return f"{listing(map(str, self.found[:_SHOWN]))} {'has' if len(self.found) == 1 else 'have'} it open"
        if self.locked:
            return "a process that cannot be looked into holds a lock on it"
        if self.unseen:
            return f"it may be open in processes of other users, of which {self.unseen} may not be looked into"
        return "no process has it open"


def database_files(path: Path) -> tuple[Path, ...]:
    """Return a database and those of its companions that are there."""
    return tuple(one for suffix in FILES if (one := path.with_name(path.name + suffix)).exists())


def holders(files: Iterable[Path], proc: Path = PROC) -> Holders:
    """Return who else has any of the files open or locked; our own process is left out."""
    paths = tuple(files)
    wanted = {(status.st_dev, status.st_ino) for path in paths if (status := _status(path))}
    found: list[Holder] = []
    unseen = 0
    for pid in _pids(proc):
        held = _holds(proc / str(pid), wanted)
        if held:
            found.append(_holder(pid, proc))
        elif held is None and _might(proc / str(pid), paths):
            unseen += 1
    return Holders(tuple(found), any(map(_locked, paths)), unseen)


def _holder(pid: int, proc: Path) -> Holder:
    """Return who it is; what irkit runs in itself is not what a person stops it with."""
    own, container, unit = os.getpid(), container_of(pid, proc), unit_of(pid, proc)
    inside = "" if container == container_of(own, proc) else container
    return Holder(pid, _program(proc / str(pid)), inside, None if unit == unit_of(own, proc) else unit)


def _pids(proc: Path) -> Iterator[int]:
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield int(entry.name)


def _holds(process: Path, wanted: set[tuple[int, int]]) -> bool | None:
    """Say whether the process has one of the files open or mapped, None where we may not look."""
    try:
        descriptors = list((process / "fd").iterdir())
    except PermissionError:
        return None
    except OSError:
        return False  # it is gone
    for descriptor in descriptors:
        with suppress(OSError):
            status = descriptor.stat()
            if (status.st_dev, status.st_ino) in wanted:
                return True
    return False


def _might(process: Path, paths: tuple[Path, ...]) -> bool:
    """Say whether a process that hides its descriptors could have any: kernel threads and the dead have none."""
    try:
        lines = (process / "status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    if "VmSize" not in fields:
        return False
    user = int(fields["Uid"].split()[1])
    return user == 0 or any(_may_write(user, path) for path in paths)


def _may_write(user: int, path: Path) -> bool:
    """Say whether a user could have opened the file to write: its owner, or anybody where its mode says so.

    Groups are taken to be open to all: to be wrong on that side only costs a question.
    """
    status = _status(path)
    return status is not None and (status.st_uid == user or bool(status.st_mode & 0o022))


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a process"


def _locked(path: Path) -> bool:
    """Ask the kernel who would be in the way of a write lock on the whole file, and take none.

    Not while this process has the database open itself: closing any descriptor of a file gives up its locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        told = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        return bool(_FLOCK.unpack(told)[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
