"""The service's SQLite file: schema, sizes and the planner's statistics, from `sqlite_stat1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from irkit.collect.contract import ColumnType, Document, Gap, Piece, Refused, Table, collector
from irkit.model import Window
from irkit.settings import SqliteTarget
from irkit.sqlite.readonly import FAILURES, Opened, SqliteFile, fault_of, find, open_readonly

MAX_OBJECTS = 5000
MAX_STATISTICS = 100_000
_PRAGMAS = ("page_size", "page_count", "freelist_count", "encoding", "user_version")
_COLUMNS: Mapping[str, ColumnType] = {"table": "string", "index": "string", "stat": "string", "estimated_rows": "int"}


@collector(
    "sqlite-statistics",
    target="sqlite",
    provides=("database", "database_statistics"),
    cost=2,
    command="sqlite3 {target} 'SELECT * FROM sqlite_stat1'",
)
def collect(target: SqliteTarget, _window: Window) -> Iterator[Piece]:
    """Schema, page counts and planner statistics: what a slow query runs on, and whether the file can be read."""
    file = find(target.path)
    facts = _facts(file)
    try:
        rows, errors, disturbed = _read(file, facts, target.path, snapshot=False)
        if disturbed:
            rows, errors, disturbed = _read(file, facts, target.path, snapshot=True)
        if disturbed:
            errors.append("somebody wrote to it while it was read")
    except Refused as refused:
        # what lies on disk is evidence even where nobody may look inside
        yield Document("database", {**facts, "error": str(refused)})
        raise
    yield Document("database", {**facts, "error": "; ".join(errors) or None})
    if not errors:
        yield Table("database_statistics", _COLUMNS, rows)
    for error in errors:
        yield Gap(f"{target.path}: {error}")
    if len(facts["schema"]) == MAX_OBJECTS or len(rows) == MAX_STATISTICS:  # type: ignore[arg-type]
        yield Gap(f"{target.path} has a very large schema: only its first part was read")


def _read(
    file: SqliteFile, facts: dict[str, object], path: str, *, snapshot: bool
) -> tuple[list[Mapping[str, object]], list[str], bool]:
    """Return the statistics, what went wrong, and whether somebody wrote to the file meanwhile; fill in the facts."""
    with open_readonly(path, snapshot=snapshot) as opened:
        facts["opened_as"] = opened.how
        errors = [file.fault] if file.fault else [*_read_pragmas(opened, facts), *_read_schema(opened, facts)]
        rows = [] if errors else list(_statistics(opened, errors))
        return rows, errors, opened.disturbed()


def _facts(file: SqliteFile) -> dict[str, object]:
    """Return what the directory and the file's own header say, which needs no SQLite."""
    header = file.header
    return {
        "path": str(file.path),
        "exists": True,
        "size_bytes": file.size_bytes,
        "wal_size_bytes": file.wal_size_bytes,
        "page_size": header.page_size_bytes if header else None,
        "page_count": header.page_count if header else None,
        "freelist_count": header.freelist_count if header else None,
        # the other rollback modes are a connection's choice and leave no mark in the file
        "journal_mode": ("wal" if header.wal else "delete") if header else None,
        "encoding": header.encoding if header else None,
        "user_version": header.user_version if header else None,
        "schema": [],
        "opened_as": None,
    }


def _read_pragmas(opened: Opened, facts: dict[str, object]) -> Iterator[str]:
    """Replace the header's numbers by those SQLite sees, which count what is still in the WAL; yield an error."""
    try:
        for name in _PRAGMAS:
            row = opened.connection.execute(f"PRAGMA {name}").fetchone()
            facts[name] = row[0] if row else facts[name]
    except FAILURES as error:
        yield fault_of(error)[1]


def _read_schema(opened: Opened, facts: dict[str, object]) -> Iterator[str]:
    schema: list[dict[str, object]] = []
    facts["schema"] = schema
    try:
        found = opened.connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
        for kind, name, table, sql in islice(found, MAX_OBJECTS):
            schema.append({"type": kind, "name": name, "table": table, "sql": sql})
    except FAILURES as error:
        yield fault_of(error)[1]


def _statistics(opened: Opened, errors: list[str]) -> Iterator[Mapping[str, object]]:
    """Yield the rows of `sqlite_stat1`; there is no such table before the first ANALYZE."""
    run = opened.connection.execute
    try:
        if not run("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone()[0]:
            return
        for table, index, stat in islice(run("SELECT tbl, idx, stat FROM sqlite_stat1"), MAX_STATISTICS):
            first = str(stat).split(" ", 1)[0]
            yield {
                "table": _text(table),
                "index": _text(index),
                "stat": _text(stat),
                "estimated_rows": int(first) if first.isascii() and first.isdigit() else None,
            }
    except FAILURES as error:
        errors.append(fault_of(error)[1])


def _text(value: object) -> str | None:
    return None if value is None else str(value)
