"""Snapshots kept under irkit's home, by process, with what they say beside them: where evidence takes them from.

Each process has a folder: its snapshots by the time they were taken, each with the stacks of all threads then as text,
and `findings.json`, made anew with each.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit.bundle import sha256_of
from irkit.errors import SnapshotError
from irkit.memory import heap, heap_file, stacks
from irkit.memory.heap_findings import chosen, findings
from irkit.whole_file import write_whole

FINDINGS = "findings.json"
SUFFIX = ".irkheap"
_HINT = "make the folder writable, or set another home in irkit.toml"


@dataclass(frozen=True, slots=True)
class Kept:
    """The snapshots of one process that are kept, when the first and the last was taken, and what they say."""

    folder: Path
    first_at: datetime
    last_at: datetime
    findings: dict[str, Any]

    def __str__(self) -> str:
        number = len(list(self.folder.glob(f"*{SUFFIX}")))
        told = self.findings["suspects"]
        first = f"Suspect: {told[0]['sentence']}." if told else "No leak suspect."
        again = "" if number > 1 else " One snapshot tells what is large; a second, what grows."
        return f"{first}{again} {self.folder} keeps {number} of this process."


def keep(files: Sequence[Path], folder: Path, *, move: bool = False) -> tuple[Kept, ...]:
    """Keep snapshots under `folder`, analyse each process's anew and return what they say.

    Raises:
        SnapshotError: a file is no sound snapshot, or the folder cannot be written.
    """
    places: dict[Path, None] = {}
    for file in files:
        read = heap_file.read(file)
        place = folder / _process(read.meta)
        target = place / f"{_taken_at(file, read.meta):%Y%m%dT%H%M%S.%fZ}{SUFFIX}"
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if move:
                shutil.move(file, target)
            elif not (target.exists() and target.samefile(file)):
                shutil.copyfile(file, target)
                target.chmod(0o600)
        except OSError as error:
            raise SnapshotError(f"{file} cannot be kept in {place}: {error.strerror}", hint=_HINT) from error
        stacks.write(read.meta, target)
        places[place] = None
    return tuple(map(_analysed, places))


def _analysed(place: Path) -> Kept:
    paths = sorted(place.glob(f"*{SUFFIX}"))
    heaps = [heap.open(path) for path in chosen(paths)]
    told = findings(heaps, {path: sha256_of(path) for path in paths})
    try:
        write_whole(place / FINDINGS, json.dumps(told, indent=1).encode("utf-8"))
    except OSError as error:
        raise SnapshotError(f"{place} cannot be written: {error.strerror}", hint=_HINT) from error
    times = [_taken_at(each.file.path, each.file.meta) for each in heaps]
    return Kept(place, times[0], times[-1], told)


def _process(meta: Any) -> str:  # noqa: ANN401 (JSON values)
    program = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(meta.get("program") or "process"))[:40].strip("-.") or "process"
    started = meta.get("process_started_s")
    began = f"-{int(started)}" if isinstance(started, int | float) else ""
    return f"{program}-{meta.get('pid', 0)}{began}"


def _taken_at(file: Path, meta: Any) -> datetime:  # noqa: ANN401
    try:
        at = datetime.fromisoformat(str(meta.get("taken_at")))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise SnapshotError(f"{file} does not say when it was taken", hint="take another snapshot")
    return at
