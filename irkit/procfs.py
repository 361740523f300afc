"""What Linux tells of the machine and its processes in /proc; a figure it does not tell is None, never zero."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_FIELD = re.compile(r"^(\w[\w()]*):\s+(\d+)(?: kB)?$", re.MULTILINE)
_PRESSURE = re.compile(r"^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$", re.MULTILINE)
_OPEN_FILES = re.compile(r"^Max open files\s+(\d+)", re.MULTILINE)
_KIB = 1024


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
