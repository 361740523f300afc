"""When the kernel ended containers for want of memory: by the engine's flag, or by its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.records import Row, in_order, rows_of, text_of, time_of

if TYPE_CHECKING:
    import pandas as pd

# the engine tells of the kill before it tells of the end
_SAME = timedelta(seconds=5)


def kills_of(
    history: pd.DataFrame | None, containers: pd.DataFrame | None, events: pd.DataFrame | None
) -> Mapping[str, tuple[datetime, ...]]:
    """Return by name when the kernel ended a container, and not only a process within one that lived on.

    Where only the recorder saw the flag, the moment is that of its next sample.
    """
    found: dict[str, list[datetime]] = {}
    told = in_order(rows_of(events))
    for row in told:
        if row.get("action") == "oom" and _died(row, told):
            found.setdefault(text_of(row, "name"), []).append(row["at"])
    for row in rows_of(containers):
        at = time_of(row, "finished_at")
        if row.get("oom_killed") is True and at:
            found.setdefault(text_of(row, "name"), []).append(at)
    for name, at in _flagged(in_order(rows_of(history))):
        found.setdefault(name, []).append(at)
    return {name: tuple(sorted(times)) for name, times in found.items()}


def _died(row: Row, events: Iterable[Row]) -> bool:
    ends = (one["at"] for one in events if one.get("action") == "die" and one.get("name") == row.get("name"))
    return any(timedelta() <= end - row["at"] <= _SAME for end in ends)


def _flagged(samples: Iterable[Row]) -> Iterable[tuple[str, datetime]]:
    """Yield the samples in which a container was first seen flagged: a start by hand clears the flag."""
    before: dict[str, Row] = {}
    for row in samples:
        name = text_of(row, "name")
        earlier = before.get(name)
        if earlier is not None and row.get("oom_killed") is True and earlier.get("oom_killed") is not True:
            yield name, row["at"]
        before[name] = row
