"""A container's cgroups as files: where they are, and what its processes use by the kernel's own count."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
UNIFIED = ""
# where Docker's two cgroup drivers put a container, as long as no other parent is asked for
_USUAL = ("docker/{}", "system.slice/docker-{}.scope")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a container use; `cpu_s` and `oom_kill_count` count from its start.

    `memory_usage_bytes` leaves out the page cache that can be dropped, as `docker stats` does; None for a limit
    stands for none. What this kernel does not tell is None.
    """

    cpu_s: float | None
    memory_usage_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    oom_kill_count: int | None


def cgroups_of(container_id: str, listing: Path, mount: Path = MOUNT) -> Mapping[str, Path]:
    """Return a container's folders by controller, on version 2 all in one under an empty name.

    `listing` is the `/proc/PID/cgroup` of its first process (cgroups(7)). Nothing is returned unless the container's
    own id is in the path: the number may be some other machine's, and then stand for a stranger here.
    """
    try:
        lines = listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if container_id in path:
            for name in names.split(","):
                folder = mount / name / path.lstrip("/")
                if folder.is_dir():
                    found[name] = folder
    return found


def usual_cgroups(container_id: str, mount: Path = MOUNT) -> Mapping[str, Path]:
    """Return a container's folders as `cgroups_of` does, found by its id where Docker usually puts them; else nothing.

    The Engine need not be asked for the number of a process first, which takes it longer than all the rest here.
    """
    if (mount / "cgroup.controllers").exists():
        trees = {UNIFIED: mount}
    else:
        trees = {tree.name: tree for tree in mount.glob("*") if "," not in tree.name}
    found = {}
    for name, tree in trees.items():
        places = (tree / place.format(container_id) for place in _USUAL)
        if folder := next((place for place in places if place.is_dir()), None):
            found[name] = folder
    return found


def is_version_1(folders: Mapping[str, Path]) -> bool:
    """Say whether these are cgroups of version 1, each controller with a tree of its own."""
    return "memory" in folders or "cpu" in folders


def usage(folders: Mapping[str, Path]) -> Usage:
    """Read what a container uses (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cpuacct.rst)."""
    if is_version_1(folders):
        memory, pids = folders.get("memory"), folders.get("pids")
        used_ns = number(folders.get("cpuacct"), "cpuacct.usage")
        limit = number(memory, "memory.limit_in_bytes")
        return Usage(
            None if used_ns is None else used_ns / 10**9,
            _without_cache(number(memory, "memory.usage_in_bytes"), pairs(memory, "memory.stat"), "total_"),
            None if limit is None or limit >= 2**62 else limit,  # where there is none, a page less than 2^63
            number(pids, "pids.current"),
            pairs(memory, "memory.oom_control").get("oom_kill"),
        )
    folder = folders.get(UNIFIED)
    used_us = pairs(folder, "cpu.stat").get("usage_usec")
    return Usage(
        None if used_us is None else used_us / 10**6,
        _without_cache(number(folder, "memory.current"), pairs(folder, "memory.stat"), ""),
        number(folder, "memory.max"),
        number(folder, "pids.current"),
        pairs(folder, "memory.events").get("oom_kill"),
    )


def block_bytes(folders: Mapping[str, Path]) -> tuple[int | None, int | None]:
    """Return what was read from and written to block devices; None where the kernel keeps no count.

    cgroup-v1/blkio-controller.rst: `8:0 Read 4096`; cgroup-v2.rst, io.stat: `8:0 rbytes=4096 wbytes=0 …`.
    """
    read: list[int] = []
    written: list[int] = []
    if is_version_1(folders):
        for line in text(folders.get("blkio"), "blkio.throttle.io_service_bytes_recursive").splitlines():
            words = line.split()
            if words[1:2] in (["Read"], ["Write"]):
                (read if words[1] == "Read" else written).append(int(words[2]))
    else:
        for line in text(folders.get(UNIFIED), "io.stat").splitlines():
            counts = dict(word.partition("=")[::2] for word in line.split()[1:])
            read.append(int(counts.get("rbytes", 0)))
            written.append(int(counts.get("wbytes", 0)))
    return (sum(read) if read else None), (sum(written) if written else None)


def process_ids(folders: Mapping[str, Path]) -> list[int]:
    """Return the numbers of a container's processes, those in cgroups below its own left out."""
    folder = folders.get("memory") if is_version_1(folders) else folders.get(UNIFIED)
    return [int(word) for word in text(folder, "cgroup.procs").split() if word.isdecimal()]


def pairs(folder: Path | None, name: str) -> dict[str, int]:
    """Read lines of a name and a number; none where there is no such file."""
    words = (line.split() for line in text(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004


def number(folder: Path | None, name: str) -> int | None:
    """Read a file that holds one number; None where it is not there or says `max`."""
    found = text(folder, name).strip()
    return int(found) if found.isdecimal() else None


def text(folder: Path | None, name: str) -> str:
    """What a file says; nothing where this kernel has none, or the container ended meanwhile."""
    with suppress(OSError):
        return (folder / name).read_text(encoding="ascii", errors="replace") if folder else ""
    return ""


def _without_cache(used: int | None, details: Mapping[str, int], prefix: str) -> int | None:
    if used is None:
        return None
    cache = details.get(f"{prefix}inactive_file", 0)
    return used - cache if cache < used else used
