"""The recorder's looks at a database: what they find, what they never do to it, and what they do not claim to know."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from irkit.collect.contract import Unreachable
from irkit.model import utc_now
from irkit.recorder import database_samples
from irkit.recorder.database_samples import DatabaseSampler
from irkit.recorder.history import Sample
from irkit.settings import SqliteTarget
from irkit.sqlite.wal_watch import WalWatch, plain_checksum
from tests.support import sqlite_files as files

SMALL = b"SQLite format 3\0"


def sampler(path: Path) -> DatabaseSampler:
    return DatabaseSampler(SqliteTarget(str(path), configured=True), utc_now)


def look(path: Path, by: DatabaseSampler | None = None) -> Sample:
    """Look once, and prove that the look left no trace."""
    with files.untouched(path.parent):
        return (by or sampler(path)).look()


def told(sample: Sample) -> Mapping[str, tuple[Any, str]]:
    return {str(row["check"]): (row["ok"], str(row["message"] or "")) for row in sample.rows}


@pytest.mark.parametrize("wal", [False, True])
def test_a_whole_database_passes(tmp_path: Path, *, wal: bool) -> None:
    path = files.create(tmp_path / "x.db", wal=wal)
    sample = look(path)
    assert told(sample) == {"integrity_check": (True, ""), "foreign_key_check": (True, "")}
    assert {row["size_bytes"] for row in sample.rows} == {path.stat().st_size}
    assert all(0 < float(str(row["duration_s"])) < 1 for row in sample.rows)


def test_a_service_at_work_passes_with_its_log(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db") as service:
        service.execute("BEGIN IMMEDIATE")
        passed = told(look(tmp_path / "x.db"))
    assert passed == dict.fromkeys(("integrity_check", "foreign_key_check", "wal"), (True, ""))


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (files.truncate, "integrity_check"),
        (files.zero_a_table_page, "integrity_check"),
        (files.damage_an_index_entry, "integrity_check"),
        (files.damage_the_freelist, "integrity_check"),
        (files.damage_the_schema, "integrity_check"),
        (files.orphan_a_row, "foreign_key_check"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_damage_is_seen_though_the_file_is_as_old_as_before(
    tmp_path: Path, damage: files.Damage, check: str, *, wal: bool
) -> None:
    path = files.create(tmp_path / "x.db", wal=wal)
    watching = sampler(path)
    assert told(look(path, watching))[check] == (True, "")
    damage(path)
    ok, message = told(look(path, watching))[check]
    assert (ok, bool(message)) == (False, True)


@pytest.mark.parametrize(
    ("raw", "message"), [(b"", "zero bytes"), (b"<!doctype html>" * 100, "not a SQLite"), (SMALL, "cut short")]
)
def test_what_is_no_database_fails_and_what_was_not_run_is_not_known(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "x.db").write_bytes(raw)
    seen = told(look(tmp_path / "x.db"))
    assert seen["integrity_check"][0] is False
    assert message in seen["integrity_check"][1]
    assert seen["foreign_key_check"][0] is None


def test_a_file_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        sampler(tmp_path / "x.db").look()


def test_a_look_never_makes_a_writer_wait_or_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without a log that waits for nobody commits amid a look, which then knows nothing."""
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as service:
        service.execute("PRAGMA busy_timeout = 0")
        run = database_samples._CHECKS["foreign_key_check"]

        def amid(connection: sqlite3.Connection) -> object:
            service.execute("INSERT INTO conversations (title) VALUES ('meanwhile')")
            return run(connection)

        monkeypatch.setattr(database_samples, "_CHECKS", database_samples._CHECKS | {"foreign_key_check": amid})
        seen = told(sampler(path).look())
        assert service.execute("SELECT count(*) FROM conversations WHERE title = 'meanwhile'") == [[1]]
    assert seen == dict.fromkeys(seen, (None, "it was written to while it was checked"))


def test_a_transaction_under_way_is_nothing_to_be_judged(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as service:
        service.execute("PRAGMA cache_size = 2")
        service.execute("BEGIN IMMEDIATE")
        service.execute(
            "UPDATE messages SET content = content || 'half'"
        )  # more than it holds, so that the file is torn
        during = told(look(path))
        service.execute("COMMIT")
        after = told(look(path))
    assert {ok for ok, _ in during.values()} == {None}
    assert all("in the middle of a transaction" in message for _, message in during.values())
    assert {ok for ok, _ in after.values()} == {True}


def test_a_journal_that_is_kept_between_transactions_is_none(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as service:
        service.execute("PRAGMA journal_mode = PERSIST")
        service.execute("UPDATE conversations SET title = 'whole'")
        assert files.beside(path, "-journal").stat().st_size
        assert {ok for ok, _ in told(look(path)).values()} == {True}


def test_what_a_crash_left_is_judged_with_its_log_where_that_can_be_read_in_place(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    assert told(look(path)) == dict.fromkeys(("integrity_check", "foreign_key_check", "wal"), (True, ""))
    files.flip(files.beside(path, "-wal"), 32 + 24 + 50)
    assert told(look(path))["wal"][0] is False
    files.beside(path, "-shm").unlink()
    seen = told(look(path))
    assert {ok for ok, _ in seen.values()} == {None}
    assert "a -wal without a -shm that" in seen["integrity_check"][1]


def test_a_database_that_somebody_holds_for_himself_is_not_waited_for(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db") as service:
        service.execute("PRAGMA locking_mode = EXCLUSIVE")
        service.execute("INSERT INTO conversations (title) VALUES ('mine')")
        seen = told(sampler(tmp_path / "x.db").look())
        assert None in {ok for ok, _ in seen.values()}
        assert False not in {ok for ok, _ in seen.values()}


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_is_too_large_is_said_once_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, interrupted: bool
) -> None:
    path = files.create(tmp_path / "x.db", rows=60_000)
    monkeypatch.setattr(database_samples, "_BUDGET_S" if interrupted else "MAX_INTEGRITY_BYTES", 0.0001)
    watching = sampler(path)
    first, second = look(path, watching), look(path, watching)
    assert told(first)["integrity_check"][0] is None
    assert first.gaps[0].startswith("integrity_check is not watched: 16 MB are too much")
    assert set(second.gaps) == set(first.gaps)
    assert told(second) == told(first)
    assert all(row["size_bytes"] == path.stat().st_size for row in second.rows)


def test_damage_of_the_log_is_seen_in_frames_new_and_old(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    log = files.beside(path, "-wal")
    with files.service(path) as service:
        watch = WalWatch(path)
        assert watch.look(1.0) == ""
        files.commit(service, 6)
        assert watch.look(1.0) == ""
        files.flip(log, 32 + 24 + 50)
        assert watch.look(1.0) == "frame 1 of 6 is not what was written there"
        assert WalWatch(path).look(1.0) == "frame 1 of 6 is damaged: its checksum is wrong"
        files.flip(log, 32 + 24 + 50)
        assert watch.look(1.0) == ""


@contextmanager
def written_to(service: files.Service, pause_s: float) -> Iterator[list[int]]:
    """Commit in another thread as often as it goes, and hand over what was written so far; it has ended afterwards."""
    done, written = threading.Event(), list[int]()

    def write() -> None:
        while not done.wait(pause_s):
            files.commit(service, len(written))
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        done.set()
        writer.join()


def test_without_a_log_heavy_writing_is_neither_held_up_nor_called_damage(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as service:
        service.execute("PRAGMA busy_timeout = 0")  # who waits for nobody fails at once where anybody holds a lock
        with written_to(service, pause_s=0.005) as written:
            watching = sampler(path)
            seen = [told(watching.look()) for _ in range(150)]
        assert service.execute("SELECT count(*) FROM conversations WHERE title LIKE 'logged %'") == [[len(written)]]
    assert False not in {ok for one in seen for ok, _ in one.values()}
    assert True in {ok for one in seen for ok, _ in one.values()}


def test_a_log_that_begins_anew_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with files.service(path) as service:
        watch = WalWatch(path)
        assert watch.look(1.0) == ""
        service.execute("PRAGMA wal_checkpoint(RESTART)")
        assert watch.look(1.0) is None, "no frame is counted on"
        files.commit(service, 7)
        assert watch.look(1.0) == ""
        assert watch.look(-1.0) is None, "out of time, so nothing is known"


def test_a_log_under_heavy_writing_is_never_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_samples, "_BUDGET_S", 60.0)  # on a busy machine a check may not end in its own time
    path = tmp_path / "x.db"
    with files.service(path) as service:
        service.execute("PRAGMA wal_autocheckpoint = 8")
        with written_to(service, pause_s=0):
            watching = sampler(path)
            seen = [told(watching.look()) for _ in range(150)]
    assert False not in {ok for one in seen for ok, _ in one.values()}
    assert {one["integrity_check"] for one in seen} == {(True, "")}


def test_the_plain_checksum_is_sqlites(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    head = files.beside(path, "-wal").read_bytes()[:32]
    order = "<u4" if head[3] == 0x82 else ">u4"
    expected = int.from_bytes(head[24:28], "big"), int.from_bytes(head[28:32], "big")
    assert plain_checksum(head[:24], (0, 0), order) == expected


def test_a_database_that_is_opened_for_each_request_is_looked_at_too(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db", wal=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO conversations (title) VALUES ('one request')")
    assert {ok for ok, _ in told(look(path)).values()} == {True}
