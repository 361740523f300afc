"""What a process holds beside Python's objects: its container's limit, and what the C library's allocator keeps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from irkit.docker.cgroups import MOUNT, UNIFIED, text, usage
from irkit.procfs import PROC

_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


# a folder by controller, as `irkit.docker.cgroups` reads it
Cgroup = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """What the container (the cgroup with the least room) uses and may use; None for a limit stands for none.

    `usage_bytes` leaves out the page cache that can be dropped, as `docker stats` does. `oom_kill_count` counts the
    processes that the kernel killed in it for want of memory; None where this kernel does not tell.
    """

    usage_bytes: int
    limit_bytes: int | None
    oom_kill_count: int | None


@dataclass(frozen=True, slots=True)
class Malloc:
    """What the C library's allocator has handed out and not been given back, and what it keeps though it was.

    Python's own small objects (up to 512 bytes) are not in it: they live in arenas of Python's. Source: mallinfo(3).
    """

    used_bytes: int
    kept_bytes: int


def container_memory(pid: int | str = "self", proc: Path = PROC, mount: Path = MOUNT) -> ContainerMemory | None:
    """Return the memory of the cgroup that will stop a process first; None where this system tells of none.

    Limits hold for all below them, so every folder upward is asked (cgroups(7)). Inside a container its own folder is
    the mount itself, whatever path the kernel names.
    """
    return tightest(memory_cgroups(pid, proc, mount))


def tightest(cgroups: Sequence[Cgroup]) -> ContainerMemory | None:
    """Return the memory of the cgroup that has the least room left; where none has a limit, of the first."""
    found = [figures for each in cgroups if (figures := _figures(each))]
    limited = [each for each in found if each.limit_bytes is not None]
    if limited:
        return min(limited, key=lambda each: (each.limit_bytes or 0) - each.usage_bytes)
    return found[0] if found else None


def malloc() -> Malloc | None:
    """Return what glibc's allocator holds in this process; None where it does not tell (glibc < 2.33, musl)."""
    ask = _mallinfo2()
    if ask is None:
        return None
    told = ask()
    return Malloc(told["uordblks"] + told["hblkhd"], told["fordblks"])


def memory_cgroups(pid: int | str = "self", proc: Path = PROC, mount: Path = MOUNT) -> tuple[Cgroup, ...]:
    """Return the memory cgroups of a process from its own upward, which can be asked when it is gone, too."""
    lines = [line.split(":", 2) for line in text(proc / str(pid), "cgroup").splitlines() if line.count(":") > 1]
    version_1 = [path for _, names, path in lines if "memory" in names.split(",")]
    unified = [path for number, _, path in lines if number == "0"]
    name, root = ("memory", mount / "memory") if version_1 else (UNIFIED, mount)
    path = next(iter(version_1 or unified), "/").strip("/")
    own = root / path
    places = [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return tuple({name: place} for place in places if ".." not in path and place.is_dir())


def _figures(folders: Cgroup) -> ContainerMemory | None:
    told = usage(folders)
    if told.memory_usage_bytes is None:
        return None
    return ContainerMemory(told.memory_usage_bytes, told.memory_limit_bytes, told.oom_kill_count)


@cache
def _mallinfo2() -> Callable[[], dict[str, int]] | None:
    class Told(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]

    try:
        function = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return None
    function.restype = Told

    def ask() -> dict[str, int]:
        told = function()
        return {name: getattr(told, name) for name in _FIELDS}

    return ask
