from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from irkit.collect.contract import Limits, Refused, Unreachable
from irkit.collectors import sqlite_integrity
from irkit.diagnose.database_state import damage_of
from irkit.settings import SqliteTarget
from irkit.sqlite import check as sqlite_check
from irkit.sqlite import readonly as sqlite_readonly
from tests.collectors.materialise import Materialised, materialise
from tests.support import sqlite_files as files

DAMAGES = {
    files.truncate: "malformed",
    files.zero_a_table_page: "btreeInitPage",
    files.zero_an_index_page: "btreeInitPage",
    files.damage_an_index_entry: "missing from index messages_conversation",
    files.damage_the_freelist: "freelist",
    files.flip_a_bit_in_a_page_header: "btreeInitPage",
    files.damage_the_schema: "malformed",
    files.orphan_a_row: "row 17 of messages has no parent in conversations",
}


def look(path: Path) -> Materialised:
    with files.untouched(path.parent):
        return materialise(sqlite_integrity.collect, SqliteTarget(str(path), configured=True))


def failed(made: Materialised) -> list[dict[str, object]]:
    return [row for row in made.tables["database_integrity"] if not row["ok"]]


@pytest.mark.parametrize("wal", [False, True])
def test_a_whole_database_passes_every_check(tmp_path: Path, *, wal: bool) -> None:
    made = look(files.create(tmp_path / "x.db", wal=wal))
    assert (made.raised, made.gaps) == (None, [])
    assert [(row["check"], row["ok"]) for row in made.tables["database_integrity"]] == [
        ("quick_check", True),
        ("integrity_check", True),
        ("foreign_key_check", True),
    ]


def test_a_service_at_work_passes_every_check(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db") as connection:
        connection.execute("BEGIN IMMEDIATE")
        made = look(tmp_path / "x.db")
    assert (made.raised, made.gaps, failed(made)) == (None, [], [])
    [wal] = [row for row in made.tables["database_integrity"] if row["check"] == "wal"]
    assert wal["message"] == "5 frames in 5 committed transactions, every checksum right"


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_that_is_written_to_all_the_while_is_checked_as_it_was_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wal: bool
) -> None:
    """A service that opens it for each request leaves no log to share, and its last to close writes the file."""
    path = files.create(tmp_path / "x.db", wal=wal)
    checks = dict(sqlite_integrity._CHECKS)
    written = []

    def amid(check: str, opened: sqlite_readonly.Opened, findings: sqlite_integrity._Findings) -> None:
        written.append(check)
        if not wal:
            checks[check](check, opened, findings)  # a reader holds off who commits, so that one comes after it
        with files.connected(path) as request:
            request.execute("INSERT INTO conversations (title) VALUES ('meanwhile')")
        if wal:
            checks[check](check, opened, findings)

    monkeypatch.setattr(sqlite_integrity, "_CHECKS", dict.fromkeys(checks, amid))
    made = materialise(sqlite_integrity.collect, SqliteTarget(str(path), configured=True))
    assert (made.raised, made.gaps, failed(made)) == (None, [], [])
    assert len(made.tables["database_integrity"]) == len(checks)
    assert len(written) in (len(checks), 2 * len(checks))


def test_a_whole_check_copes_with_writers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.create(tmp_path / "x.db", wal=True)
    run = sqlite_check.foreign_key_findings

    def amid(connection: sqlite3.Connection) -> Iterator[sqlite_check.Finding | str]:
        with files.connected(path) as request:
            request.execute("INSERT INTO conversations (title) VALUES ('meanwhile')")
        return run(connection)

    monkeypatch.setattr(sqlite_check, "foreign_key_findings", amid)
    assert sqlite_check.check(path).whole is True


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("wal", [False, True])
def test_each_damage_is_found_and_named(tmp_path: Path, damage: files.Damage, *, wal: bool) -> None:
    path = files.create(tmp_path / "x.db", wal=wal)
    damage(path)
    made = look(path)
    assert made.raised is None
    messages = " | ".join(str(row["message"]) for row in failed(made))
    assert DAMAGES[damage] in messages or "malformed" in messages, messages


@pytest.mark.parametrize("damage", [files.damage_the_freelist, files.miscount_the_freelist])
@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("last", ["VIEW v AS SELECT 1", "VIRTUAL TABLE v USING fts5(a)"])
def test_free_pages_are_looked_at_where_the_schema_holds_a_view(
    tmp_path: Path, damage: files.Damage, last: str, *, wal: bool
) -> None:
    path = files.create(tmp_path / "x.db", wal=wal)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE {last}")
    assert not failed(look(path))
    damage(path)
    assert "freelist" in str(failed(look(path))[0]["message"])
    assert sqlite_check.check(path).whole is False


def test_damage_of_an_index_alone_is_what_quick_check_misses(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    files.damage_an_index_entry(path)
    made = look(path)
    assert {str(row["check"]) for row in failed(made)} == {"integrity_check", "parts"}
    assert {row["table"] for row in failed(made)} == {"messages"}


@pytest.mark.parametrize("wal", [False, True])
def test_a_page_that_nobody_names_is_placed_by_checking_each_part(tmp_path: Path, *, wal: bool) -> None:
    path = files.create(tmp_path / "x.db", wal=wal)
    files.zero_an_index_page(path)
    [parts] = [row for row in failed(look(path)) if row["check"] == "parts"]
    assert parts["table"] == "messages"
    assert "damaged: the index messages_conversation of messages, and no table's own rows" in str(parts["message"])
    rows = look(path).tables["database_integrity"]
    assert {one.name: one.whole for one in damage_of(["messages", "conversations"], rows)} == {
        "messages": False,
        "conversations": True,
    }


def test_what_was_found_before_a_check_broke_down_is_kept(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    files.zero_a_table_page(path)
    messages = [str(row["message"]) for row in failed(look(path)) if row["check"] == "integrity_check"]
    assert messages[-1] == "database disk image is malformed"
    assert any("btreeInitPage" in message for message in messages)


def test_a_message_that_is_no_text_is_still_damage(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    files.overwrite(path, path.read_bytes().index(b"CREATE TABLE scratch"), b"CREATE \xa0\xff")
    made = look(path)
    assert made.raised is None
    assert {row["check"] for row in failed(made)} == {"quick_check", "integrity_check", "foreign_key_check"}


def test_faults_name_the_table_they_are_in(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    files.orphan_a_row(path)
    assert [row["table"] for row in failed(look(path))] == ["messages"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "zero bytes"),
        (b"hello, I am a text file\n" * 100, "not a SQLite database"),
        (b"SQLite format 3\0", "cut short (16 bytes)"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "not a database"),
    ],
)
def test_what_is_no_database_is_found(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "x.db").write_bytes(raw)
    made = look(tmp_path / "x.db")
    assert made.raised is None
    assert message in str(failed(made)[0]["message"])


def test_a_damaged_log_is_found_though_sqlite_calls_it_ok(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    files.flip(files.beside(path, "-wal"), 32 + 24 + 50)
    made = look(path)
    [row] = failed(made)
    assert (row["check"], row["message"]) == (
        "wal",
        "x.db-wal: frame 1 is damaged, so SQLite ignores 5 committed transaction(s) from there on",
    )


def test_the_log_of_another_database_is_found(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a)")
        files.beside(path, "-shm").unlink()
        files.beside(path, "-wal").write_bytes((tmp_path / "other.db-wal").read_bytes())
    assert "belongs to another database" in str(failed(look(path))[0]["message"])


def test_faults_beyond_counting_are_cut_and_said(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET conversation_id = 12345")
    made = look(path)
    assert len(failed(made)) == sqlite_check.MAX_MESSAGES
    assert made.gaps == ["foreign_key_check found more than 100 rows without a parent"]


@pytest.mark.parametrize("wal", [False, True])
def test_a_check_out_of_time_never_says_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wal: bool) -> None:
    path = files.create(tmp_path / "x.db", wal=wal, rows=60_000)
    monkeypatch.setattr(sqlite_integrity, "_WORTH_STARTING_S", 0.0)
    monkeypatch.setattr(sqlite_integrity, "BLOCKING_BUDGET_S", 0.002)
    limits = Limits(deadline_s=0.003) if wal else Limits()
    made = materialise(partial(sqlite_integrity.collect, limits=limits), SqliteTarget(str(path)))
    assert made.raised is None
    assert not [row for row in made.tables["database_integrity"] if row["check"] == "integrity_check"]
    assert "integrity_check was stopped when its time was up: 16 MB is too much for it" in made.gaps


def test_what_cannot_be_checked_here_is_a_gap_not_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_collation("HOUSE", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE TABLE t (a TEXT COLLATE HOUSE)")
        connection.execute("CREATE INDEX i ON t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("a",), ("b",)])
    made = look(path)
    assert failed(made) == []
    assert "integrity_check could not be run: no such collation sequence: HOUSE" in made.gaps


def test_a_file_written_to_meanwhile_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.create(tmp_path / "x.db", wal=True)
    # time is over once it was looked at twice, and neither before nor amid a look, which would be told as that
    seen: list[str] = []

    def amid(*_: object) -> None:
        with files.connected(path) as request:
            files.commit(request, 1)
        seen.append("disturbed")

    monkeypatch.setitem(sqlite_integrity._CHECKS, "foreign_key_check", amid)
    monkeypatch.setattr(sqlite_readonly, "MAX_COPY_BYTES", 0)
    elapsed = SimpleNamespace(monotonic=lambda: 0.0 if len(seen) < 2 else 1000.0)
    monkeypatch.setattr(sqlite_integrity, "time", elapsed)
    made = materialise(sqlite_integrity.collect, SqliteTarget(str(path), configured=True))
    assert isinstance(made.raised, Refused)
    assert "was written to each time it was checked" in str(made.raised)


def test_a_missing_database_is_unreachable(tmp_path: Path) -> None:
    made = look(tmp_path / "x.db")
    assert isinstance(made.raised, Unreachable)
    assert str(made.raised) == f"no database at {tmp_path / 'x.db'}"


def test_a_locked_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_readonly, "_BUSY_S", 0.05)
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        made = look(path)
    assert isinstance(made.raised, Refused)
    assert "locked" in str(made.raised)


def test_damage_of_the_log_is_kept_when_the_database_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readonly, "MAX_COPY_BYTES", 4096)
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    files.beside(path, "-shm").unlink()
    files.flip(files.beside(path, "-wal"), 32 + 24 + 50)
    made = look(path)
    assert isinstance(made.raised, Refused)
    assert [row["check"] for row in failed(made)] == ["wal"]
