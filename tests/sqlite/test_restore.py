from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from irkit.collect.contract import Refused
from irkit.procfs import Unit
from irkit.sqlite.backup import back_up
from irkit.sqlite.holders import Holder, database_files, holders
from irkit.sqlite.restore import candidate, interrupted, restore, verify
from tests.support import sqlite_files as files
from tests.support.killed_restore import SCENARIOS, said

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def make_backup(folder: Path, rows: int = 300) -> Path:
    made = back_up(files.create(folder / "source" / "x.db", rows=rows), folder / "backups" / "b.db")
    assert made.copy is not None
    return made.copy


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_step_the_old_or_the_new_one_is_whole_and_in_place(tmp_path: Path, scenario: str) -> None:
    command = [sys.executable, "-m", "tests.support.killed_restore", scenario, str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    outcomes = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(outcomes) > 15
    found = [one["found"] for one in outcomes]
    swap = found.index("new")
    assert set(found[:swap]) == {"old"}
    assert set(found[swap:]) == {"new"}
    # every step but the last was a death, a second run went on from each, and nothing of the old one was ever lost
    assert [one["died"] for one in outcomes] == [True] * (len(outcomes) - 1) + [False]
    assert {one["rerun"] for one in outcomes} == {"new"}
    assert {tuple(one["left"]) for one in outcomes} == {()}
    assert all("old" in one["kept"] and "other" not in one["kept"] for one in outcomes)
    assert any(one["interrupted"] for one in outcomes[:swap])
    assert not any(one["interrupted"] for one in outcomes[swap + 1 :])


def test_a_log_left_behind_would_corrupt_what_was_restored_and_is_moved_aside(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    backup = make_backup(tmp_path)
    naive = tmp_path / "naive"
    shutil.copytree(path.parent, naive)
    shutil.copy(backup, naive / "x.db")
    assert said(naive) != said(backup.parent, "b.db"), "the hazard is gone: a stale log no longer changes the file"
    old = said(path.parent)
    made = restore(path, candidate(path, backup), AT)
    assert said(path.parent) == said(backup.parent, "b.db")
    assert verify(made.path, made.sha256).whole
    assert [one.name for one in made.kept] == [f"x.db.replaced-20260102T030405Z{one}" for one in ("", "-wal", "-shm")]
    assert said(path.parent, made.kept[0].name) == old
    assert not list(path.parent.glob("x.db-*"))


@pytest.mark.parametrize("wal", [False, True])
def test_it_is_refused_while_a_service_has_the_database_open(tmp_path: Path, *, wal: bool) -> None:
    path = files.create(tmp_path / "live" / "x.db", wal=wal)
    chosen = candidate(path, make_backup(tmp_path))
    with files.connected(path) as service:
        service.execute("SELECT count(*) FROM messages")
        before = path.read_bytes()
        with pytest.raises(Refused) as refused:
            restore(path, chosen, AT)
        assert path.read_bytes() == before
        assert "is in use: python" in str(refused.value)
        assert re.search(r"`kill \d+`", refused.value.hint)
    made = restore(path, chosen, AT)
    assert verify(made.path, made.sha256).whole


def test_a_lock_of_a_process_that_hides_is_seen(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with files.connected(path) as service:
        service.execute("BEGIN IMMEDIATE")
        empty = tmp_path / "proc"
        empty.mkdir()
        held = holders(database_files(path), empty)
        assert (held.found, held.locked, held.clear) == ((), True, False)
        assert held.sentence == "a process that cannot be looked into holds a lock on it"
    assert holders(database_files(path)).locked is False


@pytest.mark.parametrize(
    "damage",
    [
        files.zero_a_table_page,
        files.damage_an_index_entry,
        files.damage_the_freelist,
        files.orphan_a_row,
        files.truncate,
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path: Path, damage: files.Damage) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    backup = files.create(tmp_path / "b.db")
    damage(backup)
    with files.untouched(path.parent):
        chosen = candidate(path, backup)
        assert chosen.fault
        with pytest.raises(Refused, match=r"b\.db cannot be restored: .*is damaged"):
            restore(path, chosen, AT)


def test_a_backup_that_is_not_the_one_recorded_is_refused(tmp_path: Path) -> None:
    path, backup = files.create(tmp_path / "live" / "x.db"), make_backup(tmp_path)
    with closing(sqlite3.connect(backup)) as connection, connection:
        connection.execute("DELETE FROM messages WHERE id = 1")
    with pytest.raises(Refused, match="is not the file whose sha256 was recorded"):
        candidate(path, backup)
    with pytest.raises(Refused, match="is the database itself"):
        candidate(path, path)


def test_a_backup_changed_after_the_look_is_refused(tmp_path: Path) -> None:
    path, backup = files.create(tmp_path / "live" / "x.db"), files.create(tmp_path / "b.db")
    chosen = candidate(path, backup)
    assert not chosen.recorded
    files.flip(backup, 5000)
    before = path.read_bytes()
    with pytest.raises(Refused, match="was changed since it was checked"):
        restore(path, chosen, AT)
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["x.db"]


def test_a_backup_with_a_log_of_its_own_is_restored_with_it(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    backup = files.crashed(tmp_path / "other" / "x.db", tmp_path / "crashed", commits=7)
    made = restore(path, candidate(path, backup), AT)
    assert {one.name: one.rows for one in verify(made.path, made.sha256).tables}["conversations"] == 107
    assert not list(path.parent.glob(".*"))


def test_a_missing_database_is_put_there_and_a_stale_log_of_it_kept(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    path.unlink()
    backup = make_backup(tmp_path)
    made = restore(path, candidate(path, backup), AT)
    assert verify(made.path, made.sha256).whole
    assert [one.name for one in made.kept] == [
        "x.db.replaced-20260102T030405Z-wal",
        "x.db.replaced-20260102T030405Z-shm",
    ]
    assert "was missing" in made.notes[0]


def test_mode_and_owner_are_those_of_the_old_one_through_a_link(tmp_path: Path) -> None:
    path = files.create(tmp_path / "data" / "x.db")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    (tmp_path / "link.db").symlink_to(path)
    before = path.stat()
    made = restore(tmp_path / "link.db", candidate(tmp_path / "link.db", make_backup(tmp_path)), AT)
    now = path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (made.path, (tmp_path / "link.db").is_symlink(), made.notes) == (path, True, ())


def test_two_restores_at_once_are_one(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    chosen = candidate(path, make_backup(tmp_path))
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another restore into"):
            restore(path, chosen, AT)
    finally:
        os.close(descriptor)


def test_a_service_that_wrote_between_the_swap_and_the_look_is_told(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    made = restore(path, candidate(path, make_backup(tmp_path)), AT)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM messages")
    with pytest.raises(Refused, match="somebody has opened it since"):
        verify(made.path, made.sha256)


def test_what_is_in_place_already_is_known(tmp_path: Path) -> None:
    path, backup = files.create(tmp_path / "live" / "x.db"), make_backup(tmp_path)
    assert candidate(path, backup).in_place is False
    restore(path, candidate(path, backup), AT)
    assert candidate(path, backup).in_place is True
    # a second one keeps the first's old database too
    restore(path, candidate(path, backup), AT)
    assert sorted(one.name for one in path.parent.glob("*.replaced-*")) == [
        "x.db.replaced-20260102T030405Z",
        "x.db.replaced-20260102T030405Z-2",
    ]


def test_what_an_interrupted_one_left_is_told_and_removed(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    (path.parent / ".x.db.restoring").write_bytes(b"half")
    assert interrupted(path).startswith(
        "an earlier restore was interrupted before it was done and left .x.db.restoring"
    )
    restore(path, candidate(path, make_backup(tmp_path)), AT)
    assert interrupted(path) == ""


def test_a_backup_is_only_one_when_every_check_was_finished(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    chosen = candidate(path, make_backup(tmp_path))
    with pytest.raises(Refused, match="cannot be restored: it is not known whether"):
        restore(path, replace(chosen, fault="it is not known whether it is whole"), AT)


@pytest.mark.parametrize(
    ("holder", "command"),
    [
        (Holder(7, "till"), "kill 7"),
        (Holder(7, "till", unit=Unit("till.service")), "systemctl stop till.service"),
        (Holder(7, "till", unit=Unit("my till.service", of_user=True)), "systemctl --user stop 'my till.service'"),
        (Holder(7, "till", "0123456789abcdef" * 4, Unit("till.service")), "docker stop 0123456789ab"),
    ],
)
def test_who_has_it_open_is_told_with_what_stops_it(holder: Holder, command: str) -> None:
    assert holder.stopping == command
