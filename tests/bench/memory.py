"""The peak of what a command and all its processes hold in memory, shared pages counted once."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_PERIOD_S = 0.05


class HasPlace(Protocol):
    @property
    def folder(self) -> Path: ...
    @property
    def environment(self) -> dict[str, str]: ...


def peak_bytes(command: Sequence[str], place: HasPlace) -> int:
    """Run a command to its end and return the largest sum of PSS over it and its descendants, sampled."""
    peak = 0
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=place.folder, env=place.environment, stdout=quiet, stderr=quiet) as process:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PERIOD_S)
                return peak
            peak = max(peak, sum(_pss_bytes(pid) for pid in _family(process.pid)))


def _family(root: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    family = {root}
    while found := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= found
    return family


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
