"""What Linux tells of the machine and its processes in /proc; a figure it does not tell is None, never zero."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_CONTAINER = re.compile(r"\b[0-9a-f]{64}\b")
# units that start other people's processes: to end one of those, nobody stops the unit
_STARTERS = re.compile(r"(?:user@.*|sshd?|crond?|anacron|atd|docker|containerd)\.service\Z")
_FIELD = re.compile(r"^(\w[\w()]*):\s+(\d+)(?: kB)?$", re.MULTILINE)
_PRESSURE = re.compile(r"^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$", re.MULTILINE)
_OPEN_FILES = re.compile(r"^Max open files\s+(\d+)", re.MULTILINE)
_KIB = 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Pressure:
    """How long tasks waited for a resource: `some` of them or all (`full`), in percent of the last 10, 60, 300 s.

    Source: Linux, Documentation/accounting/psi.rst.
    """

    resource: str
    share: str
    avg10_percent: float
    avg60_percent: float
    avg300_percent: float
    total_s: float


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process: resident and proportional memory in bytes, threads, open descriptors and how many it may open."""

    rss_bytes: int | None
    pss_bytes: int | None
    threads: int | None
    open_files: int | None
    open_files_limit: int | None


@dataclass(frozen=True, slots=True)
class MemoryShares:
    """What a process holds in bytes: resident, its share of what is shared (PSS), what is its alone (USS), and kinds.

    `anonymous_bytes` is what no file stands behind, `swap_bytes` what was moved out. Source: Linux,
    Documentation/filesystems/proc.rst, smaps_rollup.
    """

    rss_bytes: int
    pss_bytes: int
    uss_bytes: int
    anonymous_bytes: int
    swap_bytes: int


def memory(proc: Path = PROC) -> Mapping[str, int]:
    """Return /proc/meminfo in bytes by its own names, e.g. `MemAvailable`.

    Raises:
        OSError: this system has none.
    """
    return {name: int(kib) * _KIB for name, kib in _FIELD.findall((proc / "meminfo").read_text(encoding="ascii"))}


def uptime_s(proc: Path = PROC) -> float:
    """Return the seconds since the machine was started.

    Raises:
        OSError: this system does not tell.
    """
    return float((proc / "uptime").read_text(encoding="ascii").split()[0])


def pressures(proc: Path = PROC) -> tuple[Pressure, ...]:
    """Return the pressure on processor, memory and disk.

    Raises:
        OSError: the kernel does not tell (older than 4.20, or PSI is off), or not to us.
    """
    found = []
    for resource in ("cpu", "memory", "io"):
        text = (proc / "pressure" / resource).read_text(encoding="ascii")
        for share, avg10, avg60, avg300, total_us in _PRESSURE.findall(text):
            found.append(
                Pressure(resource, share, float(avg10), float(avg60), float(avg300), int(total_us) / 1_000_000)
            )
    return tuple(found)


def container_of(pid: int, proc: Path = PROC) -> str:
    """Return the id of the container that a process runs in, as its cgroup is named for it; "" where none is seen."""
    try:
        found = _CONTAINER.search((proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A service of systemd's; `of_user` says that it is one of a user's own."""

    name: str
    of_user: bool = False


def unit_of(pid: int, proc: Path = PROC) -> Unit | None:
    """Return the service of systemd's that a process is of, by the name of its cgroup, None where it is of none."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        # cgroups(7): hierarchy, controllers, path; systemd's own are the one of version 2 and that which bears its name
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        *above, last = path.split("/")
        if controllers in {"", "name=systemd"} and last.endswith(".service") and not _STARTERS.match(last):
            return Unit(last, any(one.startswith("user@") for one in above))
    return None


def in_container(pid: int, container_id: str, proc: Path = PROC) -> bool:
    """Say whether the process of this number here is the one a container engine means, by the name of its cgroup.

    An engine on another machine, or beyond a namespace, counts its processes differently.
    """
    try:
        return container_id in (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def process(pid: int, proc: Path = PROC) -> ProcessFigures:
    """Return a process's figures; those we may not read are None.

    Raises:
        OSError: it is gone.
    """
    folder = proc / str(pid)
    status = _fields(folder / "status")
    if status is None:
        raise ProcessLookupError(f"process {pid} is gone")
    memory_kib = _fields(folder / "smaps_rollup") or {}
    return ProcessFigures(
        rss_bytes=_bytes(status.get("VmRSS")),
        pss_bytes=_bytes(memory_kib.get("Pss")),
        threads=status.get("Threads"),
        open_files=_entries(folder / "fd"),
        open_files_limit=_limit(folder / "limits"),
    )


def rss_bytes(pid: int | str = "self", proc: Path = PROC) -> int:
    """Return what a process holds in memory, from the cheapest file that tells (statm: 0.01 ms a read).

    Raises:
        OSError: it is gone, or this system does not tell.
    """
    with (proc / str(pid) / "statm").open("rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def shares(pid: int | str = "self", proc: Path = PROC) -> MemoryShares:
    """Return what of a process's memory is shared and of what kind; the kernel walks all its pages for it.

    Raises:
        OSError: it is gone, we may not read it, or this kernel (before 4.14) does not tell.
    """
    told = (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii", errors="replace")
    kib = {name: int(value) for name, value in _FIELD.findall(told)}
    return MemoryShares(
        kib["Rss"] * _KIB,
        kib["Pss"] * _KIB,
        (kib["Private_Clean"] + kib["Private_Dirty"] + kib.get("Private_Hugetlb", 0)) * _KIB,
        kib["Anonymous"] * _KIB,
        kib["Swap"] * _KIB,
    )


def started_s(pid: int | str = "self", proc: Path = PROC) -> float:
    """Return the seconds from the machine's start to the process's: two processes of one number differ in it.

    Raises:
        OSError: it is gone.
    """
    fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="surrogateescape").rpartition(")")[2].split()
    return int(fields[19]) / _TICKS_PER_S


def command(pid: int | str = "self", proc: Path = PROC) -> str:
    """Return the short name of a process's program; its arguments, which may hold secrets, are not asked for.

    Raises:
        OSError: it is gone.
    """
    return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").rstrip("\n")


def parents(proc: Path = PROC) -> dict[int, int]:
    """Return the parent of each process there is, 0 for those that have none here."""
    found = {}
    for folder in proc.iterdir():
        if folder.name.isdecimal() and (status := _fields(folder / "status")) is not None:
            found[int(folder.name)] = status.get("PPid", 0)
    return found


def family(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Return a process and those that descend from it, such as all of a container's first, given the parent of each.

    The others were put there from outside, such as the Engine's health checks, which inherit the service's environment
    and so may have an agent for the moment that they last.
    """
    found = [pid]
    for one in found:
        found += [each for each, parent in parents.items() if parent == one and each not in found]
    return found


def is_contained(pid: int | str = "self", proc: Path = PROC) -> bool:
    """Say whether a process has a number of its own in another PID namespace, as those of containers have."""
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return len(status.partition("NSpid:")[2].partition("\n")[0].split()) > 1


def _fields(path: Path) -> dict[str, int] | None:
    try:
        return {name: int(value) for name, value in _FIELD.findall(path.read_text(encoding="utf-8", errors="replace"))}
    except OSError:
        return None


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * _KIB


def _entries(folder: Path) -> int | None:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return None


def _limit(path: Path) -> int | None:
    try:
        found = _OPEN_FILES.search(path.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) if found else None
