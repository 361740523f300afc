from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite import readonly as sqlite_readonly
from irkit.sqlite.readonly import open_readonly
from tests.support import sqlite_files as files

COUNT = "SELECT count(*) FROM conversations"
KILLED_IN_A_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 5")
connection.execute("BEGIN")
connection.execute("UPDATE messages SET content = content || 'y'")
os._exit(9)
"""


def whole(folder: Path) -> Path:
    return files.create(folder / "x.db")


def at_rest(folder: Path) -> Path:
    return files.create(folder / "x.db", wal=True)


def crashed(folder: Path) -> Path:
    return files.crashed(folder.parent / "live" / "x.db", folder)


def without_index(folder: Path) -> Path:
    path = crashed(folder)
    files.beside(path, "-shm").unlink()
    return path


def with_empty_index(folder: Path) -> Path:
    path = crashed(folder)
    files.beside(path, "-shm").write_bytes(b"")
    return path


def with_empty_log(folder: Path) -> Path:
    path = files.create(folder / "x.db", wal=True)
    files.beside(path, "-wal").write_bytes(b"")
    return path


STATES = {
    whole: ("read-only", 100),
    at_rest: ("immutable", 100),
    with_empty_log: ("immutable", 100),
    crashed: ("read-only", 105),
    with_empty_index: ("read-only", 105),
    without_index: ("memory copy", 105),
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_state_is_read_in_full_and_left_as_it_was(tmp_path: Path, state: Callable[[Path], Path]) -> None:
    path = state(tmp_path / "data")
    with files.untouched(path.parent), open_readonly(str(path)) as opened:
        found = opened.connection.execute(COUNT).fetchone()[0]
        assert (opened.how, found) == STATES[state]
        assert not opened.disturbed()


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder whose parents every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_user_who_may_only_read_sees_the_same(public_path: Path, state: Callable[[Path], Path]) -> None:
    path = state(public_path / "data")
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)
    with files.untouched(path.parent):
        assert as_nobody(lambda: count(path)) == STATES[state][1]


def test_a_file_that_may_not_be_read_is_refused(public_path: Path) -> None:
    path = whole(public_path / "data")
    path.chmod(0o600)
    assert as_nobody(lambda: count(path)) == -1
    path.chmod(0o644)
    path.parent.chmod(0o700)
    assert as_nobody(lambda: count(path)) == -1


def count(path: Path) -> int:
    try:
        with open_readonly(str(path)) as opened:
            return int(opened.connection.execute(COUNT).fetchone()[0])
    except Refused as refused:
        assert str(refused) == f"{path} may not be read"  # noqa: PT017 (runs in a child, which answers with a number)
        return -1


def as_nobody(work: Callable[[], int]) -> int:
    """The number `work` returns in a process without root's power to read and write everything."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            os.write(writer, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        return int(stream.read() or -99)


def test_a_service_at_work_is_read_as_of_its_last_commit(tmp_path: Path) -> None:
    with files.service(tmp_path / "data" / "x.db") as connection:
        connection.execute("BEGIN IMMEDIATE")
        files.commit(connection, 98)
        with files.untouched(tmp_path / "data"), open_readonly(str(tmp_path / "data" / "x.db")) as opened:
            assert (opened.how, opened.connection.execute(COUNT).fetchone()[0]) == ("read-only", 105)
        connection.execute("COMMIT")
        with open_readonly(str(tmp_path / "data" / "x.db")) as opened:
            assert opened.connection.execute(COUNT).fetchone()[0] == 106
            files.commit(connection, 99)  # the service goes on while it is looked at
            assert opened.connection.execute(COUNT).fetchone()[0] == 107


def test_the_connection_cannot_write(tmp_path: Path) -> None:
    for state in STATES:
        path = state(tmp_path / state.__name__ / "data")
        with open_readonly(str(path)) as opened, pytest.raises(sqlite3.OperationalError, match="readonly"):
            opened.connection.execute("DELETE FROM messages")


def test_the_service_keeps_its_locks_and_its_log_through_our_look(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with files.service(path) as connection:
        with open_readonly(str(path)) as opened:
            opened.connection.execute(COUNT).fetchone()
        files.commit(connection, 99)
        assert connection.execute(COUNT) == [[106]]
        assert connection.execute("PRAGMA integrity_check") == [["ok"]]


def test_writing_to_a_file_read_without_locks_is_noticed(tmp_path: Path) -> None:
    path = at_rest(tmp_path)
    with open_readonly(str(path)) as opened, files.connected(path) as connection:
        files.commit(connection, 1)
        assert opened.disturbed()


def test_a_locked_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_readonly, "_BUSY_S", 0.05)
    path = whole(tmp_path)
    with files.connected(path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with files.untouched(tmp_path), pytest.raises(Refused, match="is locked by another process"):
            open_readonly(str(path)).__enter__()


def test_a_transaction_cut_short_is_told_from_damage(tmp_path: Path) -> None:
    path = whole(tmp_path)
    subprocess.run([sys.executable, "-c", KILLED_IN_A_TRANSACTION, path], check=False)
    assert files.beside(path, "-journal").stat().st_size > 0
    with files.untouched(tmp_path), pytest.raises(Refused, match="in the middle of a transaction"):
        open_readonly(str(path)).__enter__()


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    for path in (tmp_path / "x.db", tmp_path / "no" / "folder" / "x.db"):
        with files.untouched(tmp_path), pytest.raises(Unreachable, match="no database at"):
            open_readonly(str(path)).__enter__()


def test_a_folder_or_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(Refused, match="not a regular file"):
            open_readonly(str(path)).__enter__()


def test_a_log_too_large_to_merge_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_readonly, "MAX_COPY_BYTES", 4096)
    path = without_index(tmp_path / "data")
    with files.untouched(path.parent), pytest.raises(Refused, match="too large"):
        open_readonly(str(path)).__enter__()


@pytest.mark.parametrize("name", ["with space?.db", "100%#.db", "ünïcödé;.db", b"\xff\xfe.db"])
def test_a_strange_name_is_taken_literally(tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / "data" / os.fsdecode(name)
    shutil.copy(crashed(tmp_path / "plain"), tmp_path / "x.db")
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(files.beside(tmp_path / "plain" / "x.db", suffix), files.beside(path, suffix))
    with files.untouched(path.parent), open_readonly(str(path)) as opened:
        assert opened.connection.execute(COUNT).fetchone()[0] == 105


def test_a_link_is_followed_to_the_log_of_its_target(tmp_path: Path) -> None:
    path = crashed(tmp_path / "data")
    (tmp_path / "link.db").symlink_to(path)
    with open_readonly(str(tmp_path / "link.db")) as opened:
        assert opened.connection.execute(COUNT).fetchone()[0] == 105
