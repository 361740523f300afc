from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.collectors import sqlite_statistics
from irkit.settings import SqliteTarget
from irkit.sqlite import readonly as sqlite_readonly
from tests.collectors.materialise import Materialised, materialise
from tests.support import sqlite_files as files


def look(path: Path) -> Materialised:
    with files.untouched(path.parent):
        return materialise(sqlite_statistics.collect, SqliteTarget(str(path), configured=True))


def test_a_whole_database_is_described(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    made = look(path)
    assert (made.raised, made.gaps) == (None, [])
    database = made.documents["database"]
    assert database["path"] == str(path)
    assert database["size_bytes"] == path.stat().st_size == database["page_count"] * database["page_size"]
    assert (database["page_size"], database["encoding"], database["user_version"]) == (4096, "UTF-8", 7)
    assert database["freelist_count"] >= 10
    assert (database["journal_mode"], database["opened_as"], database["error"]) == ("delete", "read-only", None)
    assert {(item["type"], item["name"], item["table"]) for item in database["schema"]} >= {
        ("table", "conversations", "conversations"),
        ("index", "messages_conversation", "messages"),
    }
    assert {
        "table": "messages",
        "index": "messages_conversation",
        "stat": "1000 10 1",
        "estimated_rows": 1000,
    } in made.tables["database_statistics"]


def test_a_database_that_is_written_to_while_it_is_read_is_described_as_it_was_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.create(tmp_path / "x.db", wal=True)
    read = sqlite_statistics._read_schema

    def amid(*given: object) -> Iterator[str]:
        with files.connected(path) as request:
            request.execute("INSERT INTO conversations (title) VALUES ('meanwhile')")
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_statistics, "_read_schema", amid)
    made = materialise(sqlite_statistics.collect, SqliteTarget(str(path), configured=True))
    assert (made.raised, made.gaps) == (None, [])
    assert (made.documents["database"]["error"], made.documents["database"]["opened_as"]) == (None, "memory copy")


def test_a_service_at_work_is_described_with_what_is_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with files.service(path) as connection:
        connection.execute("CREATE TABLE fresh (a)")
        connection.execute("PRAGMA user_version = 8")
        made = look(path)
        database = made.documents["database"]
        assert database["wal_size_bytes"] == files.beside(path, "-wal").stat().st_size > 0
    assert (made.raised, made.gaps) == (None, [])
    assert (database["journal_mode"], database["user_version"]) == ("wal", 8)
    assert "fresh" in [item["name"] for item in database["schema"]]


def test_a_database_never_analysed_has_no_statistics_and_no_fault(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    made = look(tmp_path / "x.db")
    assert made.tables["database_statistics"] == []
    assert made.gaps == []


def test_text_that_is_not_utf8_is_kept(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    raw = path.read_bytes()
    files.overwrite(path, raw.index(b"scratch (a TEXT)"), b"scratch (\xff TEXT)")
    statements = [item["sql"] for item in look(path).documents["database"]["schema"]]
    assert "CREATE TABLE scratch (\udcff TEXT)" in statements


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (files.truncate, "database disk image is malformed"),
        (files.damage_the_schema, "database disk image is malformed"),
        (lambda path: path.write_bytes(b""), "the file is empty (zero bytes)"),
        (lambda path: path.write_bytes(b"not a database at all" * 99), "the file is not a SQLite database"),
    ],
    ids=["truncated", "schema", "empty", "text"],
)
def test_a_broken_database_is_described_as_far_as_it_goes(tmp_path: Path, damage: files.Damage, error: str) -> None:
    path = files.create(tmp_path / "x.db")
    damage(path)
    made = look(path)
    assert made.raised is None
    assert error in made.documents["database"]["error"]
    assert made.documents["database"]["size_bytes"] == path.stat().st_size
    assert error in made.gaps[0]
    assert "database_statistics" not in made.tables


def test_a_locked_database_still_shows_what_lies_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_readonly, "_BUSY_S", 0.05)
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        made = look(path)
    assert isinstance(made.raised, Refused)
    assert made.documents["database"]["page_size"] == 4096
    assert "locked" in made.documents["database"]["error"]


def test_a_schema_without_end_is_cut_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_statistics, "MAX_OBJECTS", 3)
    made = look(files.create(tmp_path / "x.db"))
    assert len(made.documents["database"]["schema"]) == 3
    assert "only its first part was read" in made.gaps[0]


def test_a_missing_database_is_unreachable(tmp_path: Path) -> None:
    made = look(tmp_path / "x.db")
    assert isinstance(made.raised, Unreachable)
    assert made.documents == {}
