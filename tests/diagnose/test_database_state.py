"""What a look at an SQLite file says of its tables: no table is called whole that nobody checked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from irkit.collectors import sqlite_integrity, sqlite_statistics
from irkit.diagnose.database_state import IndexState, checks_of, damage_of, planner_notes, tables_of
from irkit.settings import SqliteTarget
from tests.support.type_evidence import START, Window

WINDOW = Window(START, START.replace(hour=4))


@pytest.fixture
def looked(tmp_path: Path) -> dict[str, Any]:
    """A real file with two tables, one of them indexed and analysed, as irkit's own collectors see it."""
    path = tmp_path / "jarvis.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation INTEGER)")
        made.execute("CREATE INDEX by_conversation ON messages (conversation)")
        made.executemany("INSERT INTO messages (conversation) VALUES (?)", [(index // 4,) for index in range(2000)])
        made.execute("ANALYZE")
        made.execute("CREATE TABLE later (id INTEGER PRIMARY KEY)")
    made.close()
    target = SqliteTarget(str(path), configured=True)
    pieces = [*sqlite_statistics.collect(target, WINDOW), *sqlite_integrity.collect(target, WINDOW)]
    return {
        getattr(piece, "kind", ""): list(piece.rows) if hasattr(piece, "rows") else getattr(piece, "value", None)
        for piece in pieces
    }


def test_tables_have_the_rows_and_keys_that_analyze_counted(looked: dict[str, Any]) -> None:
    later, messages = tables_of(looked["database"], looked["database_statistics"])
    assert (messages.name, messages.rows, messages.indexes) == ("messages", 2000, (IndexState("by_conversation", 4),))
    assert (later.rows, later.indexes) == (None, ())
    notes = planner_notes(looked["database"], (later, messages), analysed=True)
    [note] = notes
    assert note.startswith(
        "No statistics for later: empty when ANALYZE ran last, made since, or its indexes were dropped"
    )


def test_a_sound_file_is_whole(looked: dict[str, Any]) -> None:
    states = {one.check: one.ok for one in checks_of(looked["database_integrity"])}
    assert states == {"quick_check": True, "integrity_check": True, "foreign_key_check": True, "wal": None}
    assert {one.whole for one in damage_of(["messages", "later"], looked["database_integrity"])} == {True}


def row(check: str, message: str, table: str | None = None, *, ok: bool = False) -> dict[str, object]:
    return {"check": check, "message": message, "table": table, "ok": ok}


def test_the_damaged_table_is_named_and_the_others_are_whole_only_if_each_message_names_one() -> None:
    broken = [row("integrity_check", "row 7 missing from index a", "a"), row("integrity_check", "again", "a")]
    first, other = damage_of(["b", "a"], broken)
    assert (first.name, first.whole, first.messages) == ("a", False, ("row 7 missing from index a", "again"))
    assert (other.name, other.whole) == ("b", True)
    unplaced = [*broken, row("integrity_check", "Freelist: size is 3 but should be 1")]
    assert [one.whole for one in damage_of(["a", "b"], unplaced)] == [False, None]


@pytest.mark.parametrize("rows", [[], [row("quick_check", "ok", ok=True)]])
def test_what_the_full_check_did_not_finish_is_unknown(rows: list[dict[str, object]]) -> None:
    (one,) = damage_of(["a"], rows)
    assert one.whole is None
    assert checks_of(rows)[1].ok is None


def test_one_failed_message_fails_its_check() -> None:
    first, *_ = checks_of([row("quick_check", "ok", ok=True), row("quick_check", "Tree 3 page 4")])
    assert (first.ok, first.messages) == (False, ("Tree 3 page 4",))
    assert checks_of([row("theirs", "odd")])[-1].check == "theirs"


def test_what_makes_queries_slow_is_said() -> None:
    database = {"schema": [{"type": "table", "name": "big", "table": "big"}], "page_size": 4096, "page_count": 100}
    tables = tables_of(database, [{"table": "big", "index": None, "stat": "5000", "estimated_rows": 5000}])
    notes = planner_notes(database | {"wal_size_bytes": 60_000_000, "freelist_count": 40}, tables, analysed=True)
    assert [note.split(":")[0] for note in notes] == [
        "big has 5000 rows and no index but its key",
        "The write-ahead log has grown to 57 MiB",
        "40 of 100 pages are free",
    ]
    assert "ANALYZE never ran" in planner_notes(database, tables, analysed=False)[0]
    assert planner_notes({}, (), analysed=None) == []
