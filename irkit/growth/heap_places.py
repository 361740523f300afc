"""In which container each process ran whose heap was filed, by the containers that were seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from irkit.records import Row, text_of

# ids of containers are told apart by so much
_SHORT_ID = 12


def places(processes: Sequence[Any], containers: Iterable[Row]) -> list[str]:
    """Return for each process, as `irkit.memory.heap_findings` tells of it, its container's name, "" where unknown."""
    known = [row for row in containers if text_of(row, "container_id")]
    names = {text_of(row, "container_id")[:_SHORT_ID]: text_of(row, "name") for row in known}
    return [names.get(_container(one)[:_SHORT_ID], "") for one in processes]


def _container(told: Any) -> str:  # noqa: ANN401 (of a JSON document)
    process = told.get("process") if isinstance(told, dict) else None
    return str(process.get("container") or "") if isinstance(process, dict) else ""
