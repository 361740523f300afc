"""A new database out of the rows that were found: every table by its own words, then its rows, then its indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from irkit.sqlite.check import quoted_name
from irkit.sqlite.nameless import ASIDE
from irkit.sqlite.salvage.cells import RawText, Value
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.rows import Row
from irkit.sqlite.salvage.schema import Entry
from irkit.sqlite.salvage.shapes import Shape

_ENCODINGS = {"utf-8": "UTF-8", "utf-16-le": "UTF-16le", "utf-16-be": "UTF-16be"}
_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_ASIDE_COLUMNS = 64
_SETTINGS = ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "ignore_check_constraints = ON")


@dataclass(slots=True)
class Rebuilt:
    """A database in the making; `notes` says what of the schema could not be made again."""

    connection: sqlite3.Connection
    notes: list[str] = field(default_factory=list)
    aside: dict[str, int] = field(default_factory=dict)
    _statements: dict[tuple[str, int, tuple[int, ...]], str] = field(default_factory=dict)

    @classmethod
    def empty(cls, path: Path, image: Image) -> Self:
        """Make a file of the same page size, encoding and version numbers, in one transaction that is still open."""
        connection = sqlite3.connect(path, isolation_level=None)
        head = image.page(1)
        connection.execute(f"PRAGMA page_size = {image.page_size}")
        connection.execute(f"PRAGMA encoding = '{_ENCODINGS[image.encoding]}'")
        for name, at in (("user_version", 60), ("application_id", 68)):
            connection.execute(f"PRAGMA {name} = {int.from_bytes(head[at : at + 4], 'big', signed=True)}")
        for setting in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "foreign_keys = OFF",
            "ignore_check_constraints = ON",
        ):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        return cls(connection)

    def close(self) -> None:
        self.connection.close()

    def make(self, entry: Entry) -> bool:
        """Make a table, index, view or trigger by its own words; what cannot be made is noted."""
        try:
            if entry.virtual:
                self._register(entry)
            else:
                self.connection.execute(entry.sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            self.notes.append(f"{entry.kind} {entry.name} could not be made again: {error}")
            return False
        return True

    def make_plain(self, shape: Shape) -> None:
        """Make a table whose own words are lost."""
        names = [quoted_name(one.name) + (" INTEGER PRIMARY KEY" if one.is_rowid else "") for one in shape.columns]
        self.connection.execute(f"CREATE TABLE {quoted_name(shape.table)} ({', '.join(names)})")

    def add(self, shape: Shape, rows: Iterable[Row]) -> int:
        """Insert rows and return how many went in; one that its table refuses goes to `lost_and_found`."""
        count = 0
        for row in rows:
            try:
                count += self._insert(shape, row)
            except (sqlite3.Error, OverflowError) as error:
                self.put_aside(shape.table, row, str(error))
        return count

    def rowids(self, shape: Shape) -> set[int]:
        """Return the numbers of the rows that are in a table."""
        name = _rowid_name(shape)
        found = self.connection.execute(f"SELECT {name} FROM {quoted_name(shape.table)} NOT INDEXED")  # noqa: S608
        return {int(rowid) for (rowid,) in found}

    def set_sequences(self, rows: Iterable[tuple[str, int]]) -> None:
        """Give tables their next numbers back."""
        for name, number in rows:
            self.connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            self.connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, number))

    def put_aside(self, table: str, row: Row, why: str) -> None:
        """Keep a row that no table takes, with its page, its number and the reason."""
        if not self.aside:
            columns = ", ".join(f"c{index}" for index in range(_ASIDE_COLUMNS))
            self.connection.execute(
                f"CREATE TABLE {ASIDE} (of_table TEXT, page INTEGER, number INTEGER, why TEXT, {columns})"
            )
        values = [_bound(each) for each in row.values[:_ASIDE_COLUMNS]]
        slots = ", ".join(["?"] * (4 + len(values)))
        names = ", ".join(["of_table", "page", "number", "why", *(f"c{index}" for index in range(len(values)))])
        self.connection.execute(
            f"INSERT INTO {ASIDE} ({names}) VALUES ({slots})",  # noqa: S608 (our own names)
            (table, row.page, row.rowid, why, *values),
        )
        self.aside[table] = self.aside.get(table, 0) + 1

    def _insert(self, shape: Shape, row: Row) -> int:
        pairs = [(i, column) for i, column in enumerate(shape.columns[: len(row.values)]) if not column.generated]
        raw = tuple(index for index, _ in pairs if isinstance(row.values[index], RawText))
        key = (shape.table, len(row.values), raw)
        statement = self._statements.get(key)
        if statement is None:
            statement = self._statements[key] = _statement(shape, [index for index, _ in pairs], raw)
        values = [row.rowid if column.is_rowid else _bound(row.values[index]) for index, column in pairs]
        if shape.with_rowid and not any(column.is_rowid for _, column in pairs):
            values.insert(0, row.rowid)
        return self.connection.execute(statement, values).rowcount

    def _register(self, entry: Entry) -> None:
        """Put a virtual table into the schema without making it: its shadow tables are there as tables already."""
        self.connection.execute("PRAGMA writable_schema = ON")
        self.connection.execute(
            "INSERT INTO sqlite_schema VALUES ('table', ?, ?, 0, ?)", (entry.name, entry.table, entry.sql)
        )
        self.connection.execute("PRAGMA writable_schema = OFF")


def count_rows(path: Path, table: str) -> int:
    """Return how many rows a table of a finished file has."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {quoted_name(table)}").fetchone()[0])  # noqa: S608


def _statement(shape: Shape, indexes: list[int], raw: tuple[int, ...]) -> str:
    names = [quoted_name(shape.columns[index].name) for index in indexes]
    slots = ["CAST(? AS TEXT)" if index in raw else "?" for index in indexes]
    if shape.with_rowid and not any(shape.columns[index].is_rowid for index in indexes):
        names.insert(0, _rowid_name(shape))
        slots.insert(0, "?")
    return f"INSERT INTO {quoted_name(shape.table)} ({', '.join(names)}) VALUES ({', '.join(slots)})"  # noqa: S608


def _rowid_name(shape: Shape) -> str:
    taken = {column.name.lower() for column in shape.columns}
    return next((name for name in _ROWID_NAMES if name not in taken), _ROWID_NAMES[0])


def _bound(value: Value | RawText) -> Value:
    return value.raw if isinstance(value, RawText) else value
