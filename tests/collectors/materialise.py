"""Runs a collector as the engine would, without the engine: pieces taken in order, rows taken as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from irkit.collect.contract import Document, Gap, Piece, Refused, Table, Unreachable
from irkit.model import Window

_NOW = datetime.now(UTC)
WINDOW = Window(_NOW - timedelta(hours=1), _NOW)
_TYPES = {"string": str, "int": int, "float": float, "bool": bool, "time": datetime}


@dataclass
class Materialised:
    """What a collector yielded, by kind, and how it ended: `raised` is why it could not go on, if it said so."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    raised: Unreachable | Refused | None = None


def materialise(collect: Callable[[Any, Window], Iterator[Piece]], target: object) -> Materialised:
    """Take everything a collector yields; each cell is held to its column's type."""
    made = Materialised()
    try:
        for piece in collect(target, WINDOW):
            match piece:
                case Table():
                    # a further table of a kind holds older rows
                    made.tables[piece.kind] = [*_taken(piece, made), *made.tables.get(piece.kind, [])]
                case Document():
                    made.documents[piece.kind] = piece.value
                case Gap():
                    made.gaps.append(piece.reason)
    except (Unreachable, Refused) as error:
        made.raised = error
    return made


def _taken(piece: Table, made: Materialised) -> list[dict[str, Any]]:
    """Take the rows of one table; one counts as had once it was yielded, also when the next raises."""
    rows: list[dict[str, Any]] = []
    try:
        for row in piece.rows:
            _check(row, piece)
            rows.append(dict(row))
    except (Unreachable, Refused):
        made.tables[piece.kind] = [*rows, *made.tables.get(piece.kind, [])]
        raise
    return rows


def _check(row: Mapping[str, object], piece: Table) -> None:
    assert set(row) <= set(piece.columns), f"{piece.kind}: {set(row) - set(piece.columns)} is no column"
    for name, value in row.items():
        wanted = _TYPES[piece.columns[name]]
        assert value is None or type(value) is wanted, f"{piece.kind}.{name} is {value!r}, not {wanted.__name__}"
        if isinstance(value, datetime):
            assert value.tzinfo is not None, f"{piece.kind}.{name} has no time zone"
