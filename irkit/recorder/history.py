"""What the flight recorder keeps of each source: the columns of its history and how a sample is written and read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from irkit.collect.contract import ColumnType
from irkit.health.verdict import HEALTH

if TYPE_CHECKING:
    from irkit.redact import Redactor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

CONTAINERS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "state": "string",
    "health": "string",
    "restart_count": "int",
    "exit_code": "int",
    "oom_killed": "bool",
    "oom_kill_count": "int",
    "started_at": "time",
    "cpu_percent": "float",
    "memory_usage_bytes": "int",
    "memory_limit_bytes": "int",
    "pids": "int",
    "differs_in": "string",
}
REDIS: Mapping[str, ColumnType] = {
    "at": "time",
    "answer_s": "float",
    "used_memory_bytes": "int",
    "max_memory_bytes": "int",
    "connected_clients": "int",
    "blocked_clients": "int",
    "ops_per_s": "int",
    "rejected_connections": "int",
    "evicted_keys": "int",
    "uptime_s": "int",
    "role": "string",
    "keys": "int",
    "ratelimit_keys": "int",
}
PROCESSES: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "pid": "int",
    "command": "string",
    "rss_bytes": "int",
    "threads": "int",
    "open_files": "int",
}
# a row for each check at each look; `ok` is missing where the check could not be made, and `message` says why
DATABASE: Mapping[str, ColumnType] = {
    "at": "time",
    "check": "string",
    "ok": "bool",
    "message": "string",
    "duration_s": "float",
    "size_bytes": "int",
    "wal_size_bytes": "int",
}
# by source: the kind of evidence and its columns
HISTORIES: Mapping[str, tuple[str, Mapping[str, ColumnType]]] = {
    "health": ("health_history", HEALTH),
    "containers": ("container_history", CONTAINERS),
    "redis": ("redis_history", REDIS),
    "processes": ("process_history", PROCESSES),
    "database": ("database_history", DATABASE),
}
# what moves slowly, from before a window that an earlier incident cut short: by the kind that goes on from it
BEFORE: Mapping[str, str] = {
    kind: f"{kind}_before" for kind in ("container_history", "process_history", "redis_history")
}
# under this name the recorder writes of itself
RECORDER = "recorder"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at a source found: rows of its history, and sentences on what of it could not be seen."""

    rows: Sequence[Mapping[str, object]]
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missed:
    """A look that found nothing out, and why; `configured` is false of a source that was only assumed to be there."""

    reason: str
    configured: bool = True


def encode(source: str, found: Sample | Missed, redactor: Redactor) -> bytes:
    """Write a sample as one line of JSON, without its secrets."""
    if isinstance(found, Missed):
        body: dict[str, object] = {"missed": redactor.text(found.reason)[0], "configured": found.configured}
    else:
        columns = list(HISTORIES[source][1])
        rows = [[_cell(row.get(name)) for name in columns] for row in found.rows]
        # each text once, and all in one scan: one by one they cost more than all else the recorder does
        texts = list(dict.fromkeys(cell for cells in rows for cell in cells if isinstance(cell, str)))
        shown = dict(zip(texts, redactor.texts(texts)[0], strict=True))
        body = {"columns": columns, "rows": [[shown[c] if isinstance(c, str) else c for c in cells] for cells in rows]}
        if found.gaps:
            body["gaps"] = [redactor.text(gap)[0] for gap in found.gaps]
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def decode(source: str, body: bytes) -> Sample | Missed:
    """Read what `encode` wrote, also of an irkit that had other columns."""
    read = json.loads(body)
    if "missed" in read:
        return Missed(read["missed"], read["configured"])
    types = HISTORIES[source][1]

    def rows() -> Iterator[Mapping[str, object]]:
        for cells in read["rows"]:
            named = zip(read["columns"], cells, strict=True)
            yield {
                name: _EPOCH + cell * _MICROSECOND if types[name] == "time" and cell is not None else cell
                for name, cell in named
                if name in types
            }

    return Sample(tuple(rows()), tuple(read.get("gaps", ())))


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
