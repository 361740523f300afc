"""What a look at an SQLite file says of each of its tables: rows, indexes, statistics, and whether it is damaged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irkit.records import Row, integer_of, text_of
from irkit.text.phrase import size

CHECKS = ("quick_check", "integrity_check", "foreign_key_check", "wal")
# SQLite moves the log into the file at 1,000 pages of it; twice that means that something holds it up
_WAL_PAGES = 2000
_FREE_SHARE = 0.25
_MANY_ROWS = 1000
_INDEX_PREFIX = "sqlite_autoindex_"
_INTERNAL = re.compile(r"sqlite_", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index; `rows_per_key` is how many rows share a value of its first column, None where nobody analysed it."""

    name: str
    rows_per_key: int | None


@dataclass(frozen=True, slots=True)
class TableState:
    """A table with its rows as `sqlite_stat1` counts them (None: not analysed) and its indexes."""

    name: str
    rows: int | None
    indexes: tuple[IndexState, ...]


@dataclass(frozen=True, slots=True)
class CheckState:
    """How one of SQLite's checks ended: `ok` is None where it is not there or was not finished."""

    check: str
    ok: bool | None
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableDamage:
    """What the checks say of one table; `whole` is None where no full check was finished and nothing was found."""

    name: str
    whole: bool | None
    messages: tuple[str, ...]


def tables_of(database: Mapping[str, Any], statistics: Iterable[Row] | None) -> tuple[TableState, ...]:
    """Return the tables of the schema by name, without SQLite's own; `statistics` are the rows of `sqlite_stat1`."""
    known = list(statistics or ())
    stats = {text_of(row, "index"): row for row in known if text_of(row, "index")}
    counts: dict[str, int] = {}
    for row in known:
        if (rows := integer_of(row, "estimated_rows")) is not None:
            counts[text_of(row, "table")] = max(rows, counts.get(text_of(row, "table"), 0))
    objects = [item for item in database.get("schema") or () if isinstance(item, Mapping)]
    indexes: dict[str, list[IndexState]] = {}
    for item in objects:
        if item.get("type") == "index":
            name = str(item.get("name"))
            indexes.setdefault(str(item.get("table")), []).append(IndexState(name, _rows_per_key(stats.get(name))))
    names = sorted(str(item.get("name")) for item in objects if item.get("type") == "table")
    return tuple(
        TableState(name, counts.get(name), tuple(indexes.get(name, ()))) for name in names if not _INTERNAL.match(name)
    )


def planner_notes(database: Mapping[str, Any], tables: Sequence[TableState], *, analysed: bool | None) -> list[str]:
    """Return what of the file makes queries slow, a sentence each; `analysed` is None where nobody could look."""
    notes = []
    if analysed is False:
        notes.append("sqlite_stat1 is empty: ANALYZE never ran, and the planner guesses which index to use.")
    bare = [one for one in tables if not one.indexes and (one.rows or 0) >= _MANY_ROWS]
    notes += [
        f"{one.name} has {one.rows} rows and no index but its key: other searches read all of it." for one in bare
    ]
    if analysed and (left := [one.name for one in tables if one.rows is None]):
        why = "empty when ANALYZE ran last, made since, or its indexes were dropped: those take their statistics along"
        notes.append(f"No statistics for {', '.join(left)}: {why}.")
    page_size, wal = database.get("page_size"), database.get("wal_size_bytes")
    if isinstance(page_size, int) and isinstance(wal, int) and wal > _WAL_PAGES * page_size:
        notes.append(f"The write-ahead log has grown to {size(wal)}: a long reader holds up its checkpoint.")
    pages, free = database.get("page_count"), database.get("freelist_count")
    if isinstance(pages, int) and isinstance(free, int) and pages and free > _FREE_SHARE * pages:
        notes.append(f"{free} of {pages} pages are free: a VACUUM would make the file smaller.")
    return notes


def checks_of(integrity: Iterable[Row] | None) -> tuple[CheckState, ...]:
    """Return each of SQLite's checks, in the order of their thoroughness, those that are not there as unknown."""
    rows = [row for row in integrity or () if text_of(row, "check")]
    extra = [name for name in dict.fromkeys(text_of(row, "check") for row in rows) if name not in CHECKS]
    return tuple(_check(name, [row for row in rows if text_of(row, "check") == name]) for name in (*CHECKS, *extra))


def failed_checks(integrity: Iterable[Row] | None) -> tuple[str, ...]:
    """Return those of SQLite's checks of the pages that found damage, the less thorough first."""
    return tuple(one.check for one in checks_of(integrity)[:2] if one.ok is False)


def is_whole(integrity: Iterable[Row] | None) -> bool:
    """Say whether the full check was made and nothing that was checked failed; of what nobody looked at, no."""
    rows = list(integrity or ())
    full = any(text_of(row, "check") == "integrity_check" and row.get("ok") is True for row in rows)
    return full and all(row.get("ok") is not False for row in rows)


def damage_of(tables: Iterable[str], integrity: Iterable[Row] | None) -> tuple[TableDamage, ...]:
    """Return each table with what the checks say of it, damaged ones first.

    A table that is not named is whole only if the full check was finished and named a table in each of its messages.
    """
    rows = list(integrity or ())
    failed = [row for row in rows if row.get("ok") is False]
    messages: dict[str, list[str]] = {}
    for row in failed:
        messages.setdefault(text_of(row, "table"), []).append(text_of(row, "message"))
    full = [row for row in rows if text_of(row, "check") == "integrity_check"]
    placed = bool(full) and all(row.get("ok") is True or text_of(row, "table") for row in full)
    # a table checked by itself is known, whatever the full check could not place
    alone = {text_of(row, "table") for row in rows if text_of(row, "check") == "parts" and row.get("ok") is True}
    names = dict.fromkeys([*tables, *(name for name in messages if name)])
    made = [
        TableDamage(
            name,
            False if name in messages else True if placed or name in alone else None,
            tuple(messages.get(name, ())),
        )
        for name in names
    ]
    return tuple(sorted(made, key=lambda item: (item.whole is not False, item.name)))


def _check(name: str, rows: Sequence[Row]) -> CheckState:
    failed = tuple(text_of(row, "message") for row in rows if row.get("ok") is False)
    if failed:
        return CheckState(name, ok=False, messages=failed)
    told = tuple(text_of(row, "message") for row in rows if text_of(row, "message") != "ok")
    return CheckState(name, ok=True if rows else None, messages=told)


def _rows_per_key(row: Row | None) -> int | None:
    numbers = text_of(row, "stat").split() if row else []
    return int(numbers[1]) if len(numbers) > 1 and numbers[1].isascii() and numbers[1].isdigit() else None
