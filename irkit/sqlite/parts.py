"""Which tables and which indexes of a damaged database are damaged, and what mends them, by trying it on a copy.

SQLite's check often names a page and not whose it is, and stops at the first that it cannot read. So each table is
checked by itself on a copy in memory: without its indexes, then with one of them at a time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from irkit.sqlite.check import Finding, pragma_findings, quoted_name, table_rows
from irkit.sqlite.readonly import FAILURES, MAX_COPY_BYTES, Opened, fault_of
from irkit.text.phrase import count, listing

CHECK = "parts"
# how many of SQLite's own instructions may pass between two looks at the time
_LOOK_EVERY = 10_000
_INDEX = tuple[str, str, str, int, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """The damaged tables and indexes (with their tables) by name, those that are whole, and what came of mending.

    `reindexed` says what REINDEX came to on a copy: None where it was not tried, "" where every check passed after it
    and no row was missing, else what was wrong still. `remade` says that the copy was whole once SQLite forgot the
    damaged indexes and made them anew.
    """

    tables: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()
    whole: tuple[str, ...] = ()
    reindexed: str | None = None
    remade: bool = False
    rows: int = 0

    @property
    def only_indexes(self) -> bool:
        """Whether every table is whole but for its indexes, which hold nothing of their own."""
        return not self.tables and bool(self.indexes)

    @property
    def sentence(self) -> str:
        """What is damaged and what mends it, in words; "" where neither a table nor an index by itself is."""
        if not (self.tables or self.indexes):
            return ""
        named = [f"the table {name}" for name in self.tables]
        named += [f"the index {name} of {table}" for name, table in self.indexes]
        said = f"damaged: {listing(named)}"
        if not self.only_indexes:
            return said
        whole = f"{said}, and no table's own rows ({count(self.rows, 'row')} were read)"
        one = "it" if len(self.indexes) == 1 else "them"
        if self.reindexed == "":
            return f"{whole}; on a copy in memory REINDEX mended {one}: every check passed, and no row was missing"
        tried = f"{whole}; on a copy in memory REINDEX did not mend {one} ({self.reindexed})"
        return f"{tried}, but made anew from the rows {one} passed every check" if self.remade else tried


def parts_of(opened: Opened, until: float = float("inf")) -> Parts | None:
    """Return which parts are damaged, None where that cannot be told: too large for memory, or SQLite cannot copy it.

    `until` is monotonic: then it is given up.
    """
    if opened.file.size_bytes + (opened.file.wal_size_bytes or 0) > MAX_COPY_BYTES:
        return None
    try:
        with _copy(opened.connection, until) as copy:
            found = _damaged(copy)
        if not found.only_indexes:
            return found
        with _copy(opened.connection, until) as copy:
            reindexed = _reindexed(copy, found)
        remade = False
        if reindexed:
            with _copy(opened.connection, until) as copy:
                remade = _remade(copy, found)
        return Parts((), found.indexes, found.whole, reindexed, remade, found.rows)
    except (*FAILURES, sqlite3.Warning):
        return None


def findings_of(parts: Parts) -> Iterator[Finding]:
    """Yield a finding for each table: damaged, by an index of it damaged, or whole; none where no part is damaged."""
    if not parts.sentence:
        return
    for name in parts.tables:
        yield Finding(CHECK, ok=False, message=f"the table {name} is damaged", table=name)
    for name in dict.fromkeys(table for _, table in parts.indexes if table not in parts.tables):
        yield Finding(CHECK, ok=False, message=parts.sentence, table=name)
    for name in parts.whole:
        yield Finding(CHECK, ok=True, message="ok", table=name)


@contextmanager
def _copy(connection: sqlite3.Connection, until: float) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        connection.backup(copy)
        copy.text_factory = connection.text_factory
        copy.execute("PRAGMA trusted_schema = OFF")
        copy.set_progress_handler(lambda: time.monotonic() > until, _LOOK_EVERY)
        yield copy


def _damaged(copy: sqlite3.Connection) -> Parts:
    tables = [
        str(name)
        for (name,) in copy.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchall()
    ]
    indexes = _indexes(copy)
    _forget(copy, indexes)
    damaged = [name for name in tables if _faults(copy, name)]
    broken = []
    for one in indexes:
        if one[2] not in damaged:
            _remember(copy, one)
            if _faults(copy, one[2]):
                broken.append((one[1], one[2]))
            _forget(copy, [one])
    touched = {*damaged, *(table for _, table in broken)}
    rows = sum(table_rows(copy, name) or 0 for name in {table for _, table in broken})
    return Parts(tuple(damaged), tuple(broken), tuple(name for name in tables if name not in touched), rows=rows)


def _reindexed(copy: sqlite3.Connection, found: Parts) -> str:
    try:
        for name, _ in found.indexes:
            copy.execute(f"REINDEX {quoted_name(name)}")
    except FAILURES as error:
        return fault_of(error)[1]
    return _still_wrong(copy, found)


def _remade(copy: sqlite3.Connection, found: Parts) -> bool:
    broken = [one for one in _indexes(copy) if (one[1], one[2]) in found.indexes]
    _forget(copy, broken)
    copy.execute("VACUUM")  # the pages that nobody leads to any more go
    for one in broken:
        copy.execute(one[4])
    return not _still_wrong(copy, found)


def _still_wrong(copy: sqlite3.Connection, found: Parts) -> str:
    try:
        for one in pragma_findings(copy, "integrity_check", {}):
            if not (isinstance(one, Finding) and one.ok):
                return one if isinstance(one, str) else one.message
    except FAILURES as error:
        return fault_of(error)[1]
    rows = sum(table_rows(copy, name) or 0 for name in {table for _, table in found.indexes})
    return "" if rows == found.rows else f"{rows} rows where there were {found.rows}"


def _indexes(copy: sqlite3.Connection) -> list[_INDEX]:
    """Return the rows of the schema for indexes that were made by a statement: those of keys belong to their table."""
    statement = "SELECT * FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    return copy.execute(statement).fetchall()


def _forget(copy: sqlite3.Connection, indexes: Sequence[_INDEX]) -> None:
    copy.execute("PRAGMA writable_schema = ON")
    copy.executemany("DELETE FROM sqlite_schema WHERE type = 'index' AND name = ?", [(one[1],) for one in indexes])
    copy.execute("PRAGMA writable_schema = RESET")


def _remember(copy: sqlite3.Connection, index: _INDEX) -> None:
    copy.execute("PRAGMA writable_schema = ON")
    copy.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    copy.execute("PRAGMA writable_schema = RESET")


def _faults(copy: sqlite3.Connection, table: str) -> bool:
    """Say whether a table, with the indexes that SQLite knows of, is damaged."""
    try:
        return any(text != "ok" for (text,) in copy.execute(f"PRAGMA integrity_check({quoted_name(table)})"))
    except FAILURES as error:
        if fault_of(error)[0] == sqlite3.SQLITE_INTERRUPT:
            raise
        return True
