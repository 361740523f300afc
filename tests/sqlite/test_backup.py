from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite import durable
from irkit.sqlite.backup import back_up, backup_name, recorded_sum
from irkit.sqlite.check import check
from tests.support import sqlite_files as files
from tests.support.halted import halted_at, kill_at

# Every transaction moves a unit from one account to another, so that a torn copy has another sum.
_WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("PRAGMA wal_autocheckpoint = 50")
number = 0
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE accounts SET units = units - 1 WHERE id = ?", (number * 7 % 400,))
    connection.execute("UPDATE accounts SET units = units + 1 WHERE id = ?", (number * 13 % 400,))
    connection.execute("COMMIT")
    time.sleep(0.002)  # the work between two of them
    if number % 20 == 0:
        print(number, flush=True)
"""


def accounts(path: Path, mode: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, units INTEGER, pad TEXT)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO accounts VALUES (?, 100, ?)", ((i, "x" * 3000) for i in range(400)))
        connection.execute("COMMIT")


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_copy_made_under_constant_writes_is_of_one_moment(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "live" / "x.db"
    path.parent.mkdir()
    accounts(path, mode)
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            for number in range(3):
                assert writer.stdout.readline(), "the writer died"
                backup = back_up(path, tmp_path / f"{number}.db")
                assert (backup.whole, backup.raw) == (True, ()), backup.sentence
                with closing(sqlite3.connect(f"file:{backup.copy}?immutable=1", uri=True)) as copied:
                    assert copied.execute("SELECT count(*), sum(units) FROM accounts").fetchone() == (400, 40_000)
        finally:
            writer.kill()


def test_a_live_database_is_copied_with_what_its_log_holds_and_is_not_touched(tmp_path: Path) -> None:
    with files.service(tmp_path / "live" / "x.db", commits=5), files.untouched(tmp_path / "live"):
        backup = back_up(tmp_path / "live" / "x.db", tmp_path / "made" / "copy.db")
    assert backup.copy == tmp_path / "made" / "copy.db"
    assert {one.name: one.rows for one in backup.checked.tables if one.name == "conversations"} == {  # type: ignore[union-attr]
        "conversations": 105
    }
    assert sorted(one.name for one in (tmp_path / "made").iterdir()) == ["copy.db", "copy.db.sha256"]
    told = subprocess.run(
        ["sha256sum", "--check", "copy.db.sha256"], cwd=tmp_path / "made", check=True, text=True, stdout=-1
    )
    assert told.stdout == "copy.db: OK\n"
    assert recorded_sum(backup.copy) == hashlib.sha256(backup.copy.read_bytes()).hexdigest()
    assert backup.copy.stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    for taken in ("copy.db", "copy.db.sha256", "copy.db.raw-wal"):
        folder = tmp_path / taken.replace(".", "_")
        folder.mkdir()
        (folder / taken).write_text("somebody's")
        with pytest.raises(Refused, match=f"{taken} is there already"):
            back_up(path, folder / "copy.db")
        assert [one.name for one in folder.iterdir()] == [taken]
        assert (folder / taken).read_text() == "somebody's"


def test_two_backups_under_one_name_leave_one_whole(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    outcomes: list[object] = []

    def one(folder: Path) -> None:
        try:
            outcomes.append(durable.place_new(folder, tmp_path / "copy.db"))
        except FileExistsError:
            outcomes.append("taken")

    made = [shutil.copy(path, tmp_path / name) for name in ("a", "b")]
    threads = [threading.Thread(target=one, args=(Path(each),)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["None", "taken"]
    assert check(tmp_path / "copy.db").whole is True


@pytest.mark.parametrize(
    "damage", [files.truncate, files.zero_a_table_page, files.damage_the_schema, files.damage_an_index_entry]
)
def test_a_damaged_one_is_kept_byte_for_byte_with_its_log(tmp_path: Path, damage: files.Damage) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed")
    damage_copy = tmp_path / "plain.db"
    shutil.copy(path, damage_copy)
    files.beside(path, "-shm").unlink()
    raw = {suffix: files.beside(path, suffix).read_bytes() for suffix in ("", "-wal")}
    if damage is files.damage_the_schema:
        files.damage_the_schema(path)
    else:
        for suffix in ("-wal", "-shm"):
            files.beside(path, suffix).unlink(missing_ok=True)
        damage(path)
        files.beside(path, "-wal").write_bytes(raw["-wal"])
    expected = {suffix: files.beside(path, suffix).read_bytes() for suffix in ("", "-wal")}
    with files.untouched(path.parent):
        backup = back_up(path, tmp_path / "made" / "copy.db")
    if backup.raw:
        kept = tmp_path / "made" / "copy.db.raw"
        assert {suffix: files.beside(kept, suffix).read_bytes() for suffix in ("", "-wal")} == expected
        assert not backup.whole
        assert "copy.db.raw" in backup.sentence
    else:
        # the log held newer pages than those that were damaged: what SQLite reads is whole
        assert backup.whole
    subprocess.run(["sha256sum", "--check", "--quiet", "copy.db.sha256"], cwd=tmp_path / "made", check=True)


@pytest.mark.parametrize(
    "content", [b"", b"not a database, but long enough to be asked " * 20, b"SQLite format 3\0 and no more"]
)
def test_what_is_no_database_is_kept_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    backup = back_up(tmp_path / "x.db", tmp_path / "copy.db")
    assert (backup.copy, backup.raw[0].read_bytes()) == (None, content)
    assert "too damaged for SQLite to copy" in backup.sentence


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.create(tmp_path / "x.db")
    monkeypatch.setattr(durable, "_SPARE_BYTES", shutil.disk_usage(tmp_path).total)
    with pytest.raises(Refused, match=r"has .* free, and .* are needed"):
        back_up(path, tmp_path / "made" / "copy.db")
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.create(tmp_path / "x.db", rows=5000)
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    try:
        monkeypatch.setattr(durable, "require_space", lambda *_: None)
        with pytest.raises(Refused, match="could not be written"):
            back_up(path, small / "copy.db")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_no_such_database_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no database at"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_its_name_tells_what_and_when() -> None:
    at = datetime(2026, 1, 2, 3, 5, 7, tzinfo=UTC)
    assert backup_name(Path("data/jarvis.db"), at) == "jarvis-20260102T030507Z.db"
    assert backup_name(Path("data/jarvis"), at) == "jarvis-20260102T030507Z.db"


@pytest.mark.parametrize("what", ["back_up", "salvage"])
def test_what_a_killed_one_left_goes_with_the_next_and_what_a_running_one_has_stays(what: str, tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    kept = tmp_path / "kept"
    code = (
        "from pathlib import Path; from irkit.sqlite.backup import back_up; from irkit.sqlite.salvage import salvage\n"
        f"{what}(Path(sys.argv[1]), Path(sys.argv[2]))"
    )

    def aside() -> set[str]:
        return {one.name for one in kept.iterdir() if one.name.startswith(".")}

    # each has a name of its own, as they have the time in it
    kill_at("sqlite3.connect", f"{kept}/.", code, path, kept / "one.db")
    (dead,) = aside()
    with halted_at("sqlite3.connect", f"{kept}/.", code, path, kept / "two.db"):
        (living,) = aside()
        assert living != dead
        assert back_up(path, kept / "three.db").whole
        assert aside() == {living}
    assert aside() == set()
    assert sorted(one.name for one in kept.glob("*.db")) == ["three.db", "two.db"]
    assert check(kept / "two.db").whole
