"""Snapshots of processes' heaps that were filed with irkit: what they say, by name, count and size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit.collect.contract import Document, Gap, Piece, Unreachable, collector
from irkit.model import Window
from irkit.settings import HeapsTarget

_NONE = "no heap snapshot of this time was filed"
_HINT = (
    "`irkit memory snapshot --pid PID --incident ID` takes one, of a process that runs with IRKIT_MEMORY_AGENT=1; "
    "`irkit memory attach` does of any other Python"
)


@collector("heap-snapshots", target="heaps", provides=("heap",), cost=1, command="ls {target}")
def collect(target: HeapsTarget, window: Window) -> Iterator[Piece]:
    """Shows who keeps the memory: the owners, leak suspects and retaining paths of the heap snapshots that were filed.

    Yields `heap`: of each process with a snapshot in the window what its snapshots say together, the one that grows
    most first. Nothing is taken here: a snapshot is taken by hand, or by `irkit memory snapshot --incident`.

    Raises:
        Unreachable: none was filed that was taken in the window.
    """
    found: list[dict[str, Any]] = []
    gaps: list[Gap] = []
    for path in sorted(Path(target.path).glob("*/findings.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            at = datetime.fromisoformat(told["snapshots"][-1]["taken_at"])
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            gaps.append(Gap(f"what the snapshots in {path.parent.name} say cannot be read: {error}"))
            continue
        if window.start <= at <= window.end:
            found.append(told)
    if not found and not gaps:
        raise Unreachable(_NONE, hint=_HINT)
    if found:
        yield Document("heap", {"processes": sorted(found, key=_gravity, reverse=True)})
    yield from gaps


def _gravity(told: dict[str, Any]) -> tuple[float, float]:
    first: dict[str, Any] = next(iter(told.get("suspects") or ()), {})
    return float(first.get("growth_bytes") or 0), float(first.get("retained_bytes") or 0)
