"""Rows whose page is gone, out of what else tells of them: the indexes of their table, and SQLite's own reading."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite.check import quoted_name
from irkit.sqlite.readonly import FAILURES, open_readonly
from irkit.sqlite.salvage.cells import RawText, Value
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.leaf import Range, inside
from irkit.sqlite.salvage.rows import Recovered, Row, rows
from irkit.sqlite.salvage.schema import Entry
from irkit.sqlite.salvage.shapes import Column, Shape
from irkit.sqlite.salvage.tree import walk

Known = dict[int, dict[str, Value | RawText]]


@dataclass(frozen=True, slots=True)
class Index:
    """An index with its tree: `columns` names what its entries hold, None for an expression."""

    name: str
    columns: tuple[str | None, ...]
    recovered: Recovered


def claim_indexes(
    image: Image, entries: Iterable[Entry], shapes: dict[str, Shape], taken: set[int]
) -> dict[str, list[Index]]:
    """Walk the indexes of each table, so that their pages are known to be theirs."""
    found: dict[str, list[Index]] = {}
    listed = list(entries)
    tables = {one.name: one.sql for one in listed if one.kind == "table"}
    for entry in (one for one in listed if one.kind == "index" and one.root):
        columns = _columns(entry, tables.get(entry.table, ""))
        owner = shapes.get(entry.table)
        kinds = {one.name: one.affinity for one in owner.columns} if owner else {}
        stored = [Column(name or "", kinds.get(name or "", "BLOB"), not_null=False) for name in columns]
        stored.append(Column("rowid", "INTEGER", not_null=True))
        shape = Shape(entry.name, tuple(stored), with_rowid=False, seen=[Counter() for _ in stored])
        known = owner is not None and owner.with_rowid and bool(columns)
        tree = walk(image, entry.root, shape if known else None, shape.leaf, taken)
        if known:
            found.setdefault(entry.table, []).append(Index(entry.name, columns, Recovered(shape, entry.root, tree)))
    return found


def told_by_indexes(image: Image, indexes: Iterable[Index], wanted: Callable[[int], bool], taken: set[int]) -> Known:
    """Return what the indexes say of rows by number, of those that are `wanted`."""
    known: Known = {}
    for index in indexes:
        for row in rows(image, index.recovered, taken):
            *values, rowid = row.values
            if row.whole and len(row.values) == len(index.columns) + 1 and isinstance(rowid, int) and wanted(rowid):
                named = {name: value for name, value in zip(index.columns, values, strict=True) if name is not None}
                known.setdefault(rowid, {}).update(named)
    return known


def whole_rows(known: Known, shape: Shape) -> Iterator[Row]:
    """Yield the rows of which every stored column is known."""
    for rowid, told in sorted(known.items()):
        if all(column.is_rowid or column.generated or column.name in told for column in shape.columns):
            yield Row(0, rowid, tuple(told.get(column.name) for column in shape.columns))


def read_by_sqlite(path: Path, shape: Shape, ranges: Iterable[Range], there: set[int]) -> Iterator[Row]:
    """Yield rows of lost ranges that SQLite itself can read, from both ends up to where it cannot go on."""
    names = [column for column in shape.columns if not column.generated]
    listed = ", ".join(quoted_name(column.name) for column in names)
    with suppress(Refused, Unreachable), open_readonly(str(path)) as opened:
        for low, high in ranges:
            for order in ("ASC", "DESC"):
                statement = (
                    f"SELECT rowid, {listed} FROM {quoted_name(shape.table)} NOT INDEXED "  # noqa: S608 (quoted names)
                    f"WHERE rowid > ? AND rowid <= ? ORDER BY rowid {order}"
                )
                bounds = (-(1 << 63) if low is None else low, (1 << 63) - 1 if high is None else high)
                with suppress(*FAILURES, sqlite3.Warning):
                    for rowid, *values in opened.connection.execute(statement, bounds):
                        if rowid in there or not inside(rowid, (low, high)):
                            continue
                        there.add(rowid)
                        told = dict(zip((column.name for column in names), values, strict=True))
                        yield Row(0, rowid, tuple(_stored(told.get(column.name)) for column in shape.columns))


def _stored(value: object) -> Value | RawText:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return RawText(value.encode("utf-8", "surrogateescape"))
        return value
    return value if isinstance(value, int | float | bytes) else None


def _columns(entry: Entry, table_sql: str) -> tuple[str | None, ...]:
    """Return the columns of an index as SQLite would make it, nothing where its words are lost."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        try:
            connection.execute(table_sql)
            if entry.sql:
                connection.execute(entry.sql)
            rows_ = connection.execute(f"PRAGMA index_xinfo({quoted_name(entry.name)})").fetchall()
        except (sqlite3.Error, sqlite3.Warning):
            return ()
    return tuple(name for _, _, name, _, _, key in rows_ if key)
