"""What the rows of a table look like in a file: how many columns of which kinds, and how well a row fits that."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from irkit.sqlite.check import quoted_name
from irkit.sqlite.salvage.cells import INDEX_LEAF, TABLE_LEAF, storage_class

_ENOUGH = 20
_RARE = 0.002
_VIRTUAL, _STORED = 2, 3


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is stored; `is_rowid` where the row's number stands for it and nothing is stored."""

    name: str
    affinity: str
    not_null: bool
    is_rowid: bool = False
    generated: bool = False


@dataclass(slots=True)
class Shape:
    """A table of the schema: its columns in the order they are stored in, and what its whole rows were seen to hold.

    A table without rowids is kept as an index: its rows have no number. Rows written before a column was added have
    fewer columns, `fewest` at least.
    """

    table: str
    columns: tuple[Column, ...]
    with_rowid: bool
    seen: list[Counter[str]] = field(default_factory=list)
    lengths: Counter[int] = field(default_factory=Counter)
    fewest: int = 1

    @property
    def leaf(self) -> int:
        """The kind of page its rows lie in."""
        return TABLE_LEAF if self.with_rowid else INDEX_LEAF

    @property
    def insertable(self) -> tuple[Column, ...]:
        return tuple(one for one in self.columns if not one.generated)

    def learn(self, types: Sequence[int]) -> None:
        """Take a row that is whole as an example."""
        self.lengths[len(types)] += 1
        for counted, kind in zip(self.seen, types, strict=False):
            counted[storage_class(kind)] += 1

    def fits(self, types: Sequence[int]) -> bool:
        """Say whether a row of these types can be one of this table."""
        if not self.fewest <= len(types) <= len(self.columns):
            return False
        if len(types) < len(self.columns) and len(types) not in self.lengths and sum(self.lengths.values()) >= _ENOUGH:
            return False
        for column, kind in zip(self.columns, types, strict=False):
            if column.is_rowid:
                if kind:
                    return False
            elif kind == 0:
                if column.not_null:
                    return False
            elif column.affinity == "TEXT" and kind < 12:  # noqa: PLR2004 (the first serial type of text and blobs)
                return False
        return True

    def likeness(self, types: Sequence[int]) -> float:
        """Return how usual a row of these types is among those seen, from 0 (it cannot be one) to 1."""
        if not self.fits(types):
            return 0.0
        total = sum(self.lengths.values())
        if total < _ENOUGH:
            return self._guess(types)
        usual = 1.0
        for counted, kind in zip(self.seen, types, strict=False):
            usual *= 1.0 if counted[storage_class(kind)] > _RARE * total else 0.1
        return usual * (1.0 if self.lengths[len(types)] else 0.1)

    def _guess(self, types: Sequence[int]) -> float:
        """Judge by the declared types alone, while no rows have been seen."""
        usual = 1.0 if len(types) == len(self.columns) else 0.5
        for column, kind in zip(self.columns, types, strict=False):
            stored = storage_class(kind)
            odd = (column.affinity in {"INTEGER", "REAL", "NUMERIC"} and stored in {"text", "blob"}) or (
                column.affinity == "TEXT" and stored == "blob"
            )
            usual *= 0.3 if odd else 1.0
        return usual


def shape_of(connection: sqlite3.Connection, table: str) -> Shape:
    """Return the shape of a table that was made in `connection`.

    Raises:
        sqlite3.Error: there is none.
    """
    rows = connection.execute(f"PRAGMA table_xinfo({quoted_name(table)})").fetchall()
    sql = str(connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])
    with_rowid = _has_rowid(connection, table)
    alias = _rowid_alias(connection, table, rows) if with_rowid else None
    stored = [
        (key, Column(name, affinity(kind), bool(not_null), name == alias, hidden in (_VIRTUAL, _STORED)))
        for _, name, kind, not_null, _, key, hidden in rows
        if hidden != _VIRTUAL
    ]
    if not with_rowid:
        stored.sort(key=lambda item: item[0] or len(rows) + 1)
    columns = tuple(column for _, column in stored)
    return Shape(table, columns, with_rowid, [Counter() for _ in columns]) if sql else Shape(table, columns, with_rowid)


def affinity(declared: str) -> str:
    """Return a declared type's affinity; section 3.1 of SQLite's "Datatypes"."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not upper or "BLOB" in upper:
        return "BLOB"
    return "REAL" if any(part in upper for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {quoted_name(table)} LIMIT 0")  # noqa: S608 (a quoted name)
    except sqlite3.OperationalError:
        return False
    return True


def _rowid_alias(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> str | None:
    """Return the column that the row's number stands for: a lone INTEGER PRIMARY KEY that no index was made for."""
    keys = [row for row in rows if row[5]]
    if len(keys) != 1 or str(keys[0][2]).upper() != "INTEGER":
        return None
    made = connection.execute(f"PRAGMA index_list({quoted_name(table)})").fetchall()
    return None if any(row[3] == "pk" for row in made) else str(keys[0][1])


def shapes_of(statements: Sequence[tuple[str, str]]) -> dict[str, Shape]:
    """Return the shapes of tables by name, made in memory from (name, SQL); what cannot be made is left out."""
    found = {}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for name, sql in statements:
            try:
                connection.execute(sql)
                found[name] = shape_of(connection, name)
            except (sqlite3.Error, sqlite3.Warning):
                continue
    return found


def plain_shape(name: str, lengths: Sequence[int], *, numbered: bool, with_rowid: bool = True) -> Shape:
    """Return the shape of a table of which no more is known than how many columns its rows have.

    With `numbered` its first column, which is always empty, is taken for the one that the row's number stands for.
    """
    columns = [Column(f"c{index}", "BLOB", not_null=False) for index in range(max(lengths, default=1))]
    if numbered and with_rowid:
        columns[0] = Column("c0", "INTEGER", not_null=False, is_rowid=True)
    return Shape(name, tuple(columns), with_rowid, [Counter() for _ in columns])
