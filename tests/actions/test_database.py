"""Backup, check, restore and salvage of a real SQLite file, as a person asks for them."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from irkit.act import database_target
from irkit.sqlite.check import check
from irkit.sqlite.holders import database_files, holders
from tests.actions.conftest import acts
from tests.stack.stack import Stack
from tests.support import sqlite_files as files
from tests.support.command_line import Run, runner

YES = ("--apply", "--yes")
RESTORE = (*YES, "--target", "x.db")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Incident 42 open beside a database of its own, and no container of ours."""
    files.create(tmp_path / "data" / "x.db")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text(
        '[sqlite]\npath = "data/x.db"\n[docker]\nhost = "unix:///nowhere.sock"\n[collect]\nwindow_minutes = 1\n'
    )
    run = runner(monkeypatch, capsys)
    assert run("open", "Rows are missing", "--type", "database-corruption", "--id", "42").code == 0
    return run


def made(tmp_path: Path) -> Path:
    [found] = (tmp_path / ".irkit" / "backups").glob("x-*Z.db")
    return found


def test_the_steps_of_the_runbook_name_their_commands_on_lines_of_their_own(
    desk: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = desk("act", "42").out
    assert "irkit act 42 backup-database" in said
    assert "irkit act 42 integrity-check" in said
    assert "irkit act 42 restore-database BACKUP" in said
    assert desk("act", "42", "backup-database", *YES).code == 0
    # wider than the terminal, and to be pasted all the same
    monkeypatch.setenv("COLUMNS", "60")
    assert f"     irkit act 42 restore-database {made(tmp_path)}\n" in desk("act", "42").out
    said = desk("act", "42", "backup-database").out
    assert re.search(rf"by hand sqlite3 {tmp_path}/data/x.db \"\.backup '{tmp_path}/\S+\.db'\"\n", said)


def test_a_backup_is_planned_made_and_recorded(desk: Run, tmp_path: Path) -> None:
    with files.untouched(tmp_path / "data"):
        assert "Nothing was done" in desk("act", "42", "backup-database").out
        assert not (tmp_path / ".irkit" / "backups").exists()
        said = desk("act", "42", "backup-database", *YES)
    assert (said.code, check(made(tmp_path)).whole) == (0, True)
    assert "is a whole copy of" in " ".join(said.out.split())
    _, ended = acts()
    assert (ended.data["outcome"], ended.data["verified"], ended.data["step"]) == ("done", True, 2)
    again = desk("act", "42", "backup-database", *YES, "-p", "to", str(made(tmp_path)))
    assert again.code == 8
    assert "is there already" in again.err


def test_a_backup_of_a_damaged_database_keeps_its_bytes(desk: Run, tmp_path: Path) -> None:
    files.zero_a_table_page(tmp_path / "data" / "x.db")
    said = desk("act", "42", "backup-database", *YES, "-p", "to", "kept.db")
    assert said.code == 0
    assert (tmp_path / "kept.db.raw").read_bytes() == (tmp_path / "data" / "x.db").read_bytes()
    assert "was kept with its damage, as evidence and for a salvage" in " ".join(said.out.split())
    assert "is damaged" in " ".join(said.out.split())
    assert acts()[-1].data["found"]["whole"] is False  # type: ignore[index]


def test_a_backup_that_cannot_be_made_is_a_sentence(desk: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "x.db").unlink()
    said = desk("act", "42", "backup-database", *YES)
    assert (said.code, "no database at" in said.err) == (8, True)


def test_a_check_says_of_each_table_what_is_with_it(desk: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with files.untouched(tmp_path / "data"):
        said = desk("act", "42", "integrity-check", *YES)
    assert (said.code, "whole    messages: 1" in said.out) == (0, True)
    monkeypatch.setattr(database_target, "_TOLD_EVERY_S", 0.0)
    assert re.search("█+░*  \\d+%", desk("act", "42", "integrity-check", *YES).out), "how far it is, by a bar"
    files.damage_an_index_entry(tmp_path / "data" / "x.db")
    with files.untouched(tmp_path / "data"):
        said = desk("act", "42", "integrity-check", *YES)
    assert said.code == 8
    assert "damaged  messages: 1" in said.out
    assert "whole    conversations: 100 rows" in said.out
    assert "done, and not all is well" in said.err
    found = acts()[-1].data["found"]
    assert isinstance(found, dict)
    assert (found["damaged"], found["indexes"]) == ([], ["messages_conversation"])
    words = " ".join(said.err.split())
    assert "the index messages_conversation of messages, and no table's own rows" in words
    assert "on a copy in memory REINDEX mended it" in words
    assert "'REINDEX \"messages_conversation\"'" in words
    with closing(sqlite3.connect(tmp_path / "data" / "x.db")) as connection, connection:
        connection.execute('REINDEX "messages_conversation"')
    assert check(tmp_path / "data" / "x.db").whole is True


def test_where_reindex_does_not_mend_an_index_it_is_not_named(desk: Run, tmp_path: Path) -> None:
    """REINDEX empties the old index first, page by page, and stops at the one that it cannot read."""
    path = tmp_path / "data" / "x.db"
    files.zero_an_index_page(path)
    with files.untouched(tmp_path / "data"):
        said = desk("act", "42", "integrity-check", *YES)
    assert re.search(r"damaged  messages: 1.?000 rows \(all of them whole; of its indexes messages_conv", said.out)
    words = " ".join(said.err.split())
    assert "REINDEX did not mend it (database disk image is malformed), but made anew" in words
    assert "then `irkit act 42 salvage-database`" in words
    assert desk("act", "42", "salvage-database", *YES, "-p", "to", "made.db").code == 0
    assert {one.name: one.rows for one in check(tmp_path / "made.db").tables}["messages"] == 1000


def test_a_damaged_table_is_told_with_what_can_be_put_in_its_place(desk: Run, tmp_path: Path) -> None:
    assert desk("act", "42", "backup-database", *YES).code == 0
    backup = made(tmp_path)
    files.zero_a_table_page(tmp_path / "data" / "x.db")
    words = " ".join(desk("act", "42", "integrity-check", *YES).err.split())
    assert "damaged: the table messages" in words
    assert words.count("messages") == words.lower().count("the table messages"), "each of them once"
    assert f"restore-database {backup}`, the newest whole backup" in words


def test_a_restore_brings_back_what_was_backed_up(desk: Run, tmp_path: Path) -> None:
    assert desk("act", "42", "backup-database", *YES).code == 0
    backup, path = made(tmp_path), tmp_path / "data" / "x.db"
    files.truncate(path)
    damaged = path.read_bytes()
    with files.untouched(tmp_path / "data"):
        shown = desk("act", "42", "restore-database", str(backup))
        assert "messages: 1" in shown.out
        # what can lose data wants the target's name, too
        assert desk("act", "42", "restore-database", str(backup), *YES).code == 2
    said = desk("act", "42", "restore-database", str(backup), *RESTORE)
    assert (said.code, path.read_bytes() == backup.read_bytes()) == (0, True)
    assert "start what you stopped" in said.out, "no stop-all is on the timeline, so start-all starts nothing"
    [kept] = (tmp_path / "data").glob("x.db.replaced-*")
    assert kept.read_bytes() == damaged
    assert (acts()[-1].data["verified"], acts()[-1].data["step"]) == (True, 4)


@pytest.mark.parametrize("name", ["x-20200101T000000Z.db", "plain.db"])
def test_how_old_a_backup_is_is_told_also_where_it_was_copied_since(name: str, desk: Run, tmp_path: Path) -> None:
    backup = Path(shutil.copy(tmp_path / "data" / "x.db", tmp_path / name))
    if name == "plain.db":
        old = backup.stat().st_mtime - 3 * 86400
        os.utime(backup, (old, old))
    told = re.search(
        r"the backup is (\d+) d\b", " ".join(desk("act", "42", "restore-database", str(backup)).out.split())
    )
    assert told
    assert (int(told[1]) > 2000) is (name != "plain.db")
    assert int(told[1]) >= 3


def test_a_restore_by_hand_leaves_no_log_beside_the_restored_file(desk: Run, tmp_path: Path) -> None:
    """An old log that stays is played into the new file by SQLite."""
    backup = files.create(tmp_path / "b.db", rows=10)
    shutil.rmtree(tmp_path / "data")
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "data")
    assert {one.name for one in path.parent.iterdir()} >= {"x.db", "x.db-wal", "x.db-shm"}
    said = desk("act", "42", "restore-database", str(backup)).out.splitlines()
    start = next(number for number, line in enumerate(said) if "by hand " in line)
    for line in said[start : start + 2]:
        subprocess.run(["/bin/sh", "-c", line.strip().removeprefix("by hand ")], check=True)
    assert {one.name for one in path.parent.iterdir()} == {"x.db", "x.db.old", "x.db.old-wal", "x.db.old-shm"}
    assert path.read_bytes() == backup.read_bytes()
    # the old log went with its file: what it holds is still read
    with closing(sqlite3.connect(tmp_path / "data" / "x.db.old")) as connection:
        [(number,)] = connection.execute("SELECT count(*) FROM conversations WHERE title LIKE 'logged%'")
    assert number == 5


def test_a_restore_is_refused_while_anybody_has_the_database_open(desk: Run, tmp_path: Path) -> None:
    backup = shutil.copy(tmp_path / "data" / "x.db", tmp_path / "b.db")
    with files.connected(tmp_path / "data" / "x.db") as service:
        service.execute("SELECT 1 FROM messages")
        [held] = holders(database_files(tmp_path / "data" / "x.db")).found
        said = desk("act", "42", "restore-database", str(backup), *RESTORE)
    assert said.code == 8
    assert "it is in use: python" in said.err
    # a plain process: no container of ours is to be stopped, and irkit ends nobody's process itself
    assert f"`kill {held.pid}` for python" in said.err
    assert "`irkit step 42 1 --done` records that step 1 was taken" in said.err
    assert "stop-all" not in said.err
    assert acts() == []


def test_a_damaged_backup_is_not_restored(desk: Run, tmp_path: Path) -> None:
    backup = Path(shutil.copy(tmp_path / "data" / "x.db", tmp_path / "b.db"))
    files.damage_an_index_entry(backup)
    with files.untouched(tmp_path / "data"):
        said = desk("act", "42", "restore-database", str(backup), *RESTORE)
    assert (said.code, "is damaged" in said.err) == (8, True)
    assert "by hand" not in said.out, "what is refused is not to be done by hand either"
    assert desk("act", "42", "restore-database", *RESTORE).code == 2
    missing = desk("act", "42", "restore-database", "none.db", *RESTORE)
    assert (missing.code, "there is no backup none.db" in missing.err) == (8, True)


def test_a_damaged_backup_is_never_proposed_nor_left_without_what_can_follow(desk: Run, tmp_path: Path) -> None:
    """The newest backup is of the damaged file: an older whole one, or what was salvaged, can be put in place."""
    path, place = tmp_path / "data" / "x.db", tmp_path / ".irkit" / "backups"
    assert desk("act", "42", "backup-database", *YES, "-p", "to", f"{place}/x-20260101T000000Z.db").code == 0
    files.damage_an_index_entry(path)
    assert desk("act", "42", "backup-database", *YES, "-p", "to", f"{place}/x-20260101T000001Z.db").code == 0
    assert f"restore-database {place}/x-20260101T000000Z.db\n" in desk("act", "42").out
    said = desk("act", "42", "restore-database", f"{place}/x-20260101T000001Z.db", *RESTORE)
    assert (said.code, "is damaged" in said.err) == (8, True)
    assert f"restore-database {place}/x-20260101T000000Z.db`, the newest whole backup" in said.err
    assert "irkit act 42 salvage-database" in said.err
    assert desk("act", "42", "salvage-database", *YES, "-p", "to", f"{place}/salvaged-x-20260101T000002Z.db").code == 0
    said = desk("act", "42", "restore-database", *RESTORE)
    assert f"restore-database {place}/salvaged-x-20260101T000002Z.db`, the rows that were salvaged" in said.err
    (place / "x-20260101T000000Z.db").unlink()
    assert f"restore-database {place}/salvaged-x-20260101T000002Z.db\n" in desk("act", "42").out


def test_whole_copies_that_others_keep_beside_it_are_proposed(desk: Run, tmp_path: Path) -> None:
    """A team's own backups lie where it puts them; a damaged one, another database and an old one are not named."""
    path = tmp_path / "data" / "x.db"
    places = [tmp_path / "data" / "x.db.bak", tmp_path / "data" / "backups" / "x-monday.db"]
    places += [tmp_path / "data" / "x.damaged.db", tmp_path / "data" / "other.db", tmp_path / "data" / "x.txt"]
    places[1].parent.mkdir()
    for number, place in enumerate(places):
        shutil.copy(path, place)
        os.utime(place, (1_700_000_000 + number, 1_700_000_000 + number))
    files.damage_an_index_entry(places[2])
    places[4].write_text("x")
    files.damage_an_index_entry(path)
    said = desk("act", "42", "restore-database", *RESTORE)
    assert said.code == 2
    assert f"`irkit act 42 restore-database {places[1]}`, the newest whole backup" in said.err
    assert f"restore-database {places[1]}\n" in desk("act", "42").out
    places[1].unlink()
    assert f"restore-database {places[0]}`" in desk("act", "42", "restore-database", *RESTORE).err
    places[0].unlink()
    assert "restore-database" not in desk("act", "42", "restore-database", *RESTORE).err.partition("hint")[2]


def test_what_a_salvage_lost_is_said_before_it_is_put_in_place(desk: Run, tmp_path: Path) -> None:
    files.truncate(tmp_path / "data" / "x.db")
    assert desk("act", "42", "salvage-database", *YES, "-p", "to", "made.db").code == 0
    planned = " ".join(desk("act", "42", "restore-database", "made.db").out.split())
    assert re.search(r"it is what was salvaged, and this is lost: messages: \d+ rows, .*lost", planned)
    (tmp_path / "made.db").rename(tmp_path / "salvaged-other.db")
    planned = " ".join(desk("act", "42", "restore-database", "salvaged-other.db").out.split())
    assert "what was lost stands in the timeline of the incident it was salvaged in" in planned


def test_what_was_just_done_for_another_incident_is_told_before_the_same_thing_is_touched(desk: Run) -> None:
    assert desk("open", "Orders are missing", "--type", "database-corruption", "--id", "43").code == 0
    assert desk("act", "42", "backup-database", *YES, "-p", "to", "b.db").code == 0
    assert "for INC-42" not in desk("act", "43", "restore-database", "b.db").err, "a backup changes nothing"
    assert desk("act", "42", "restore-database", "b.db", *RESTORE, "--by", "ana").code == 0
    said = " ".join(desk("act", "43", "restore-database", "b.db").err.split())
    assert "ana did restore-database x.db at " in said
    assert "for INC-42" in said
    assert "see what came of it first: irkit show 42" in said
    assert "ana did" not in desk("act", "42", "restore-database", "b.db").err, "that is on its own timeline"


def test_rows_that_are_younger_than_the_backup_are_missed_and_the_way_to_them_is_named(
    desk: Run, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "x.db"
    assert desk("act", "42", "backup-database", *YES, "-p", "to", "b.db").code == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO conversations VALUES (?, 'late')", ((each,) for each in range(500, 507)))
    said = " ".join(desk("act", "42", "restore-database", "b.db", *RESTORE).out.split())
    assert "fewer rows than before are in conversations (100 rows, 107 before)" in said
    old = re.search(r"salvage-database (\S+)` saves what the old file has of them", said)
    assert old is not None
    assert desk("act", "42", "salvage-database", old[1], *YES).code == 0
    again = " ".join(desk("act", "42", "restore-database", "b.db", *RESTORE).out.split())
    assert "fewer rows" not in again


def test_a_wrong_word_for_the_backup_is_answered_with_the_right_one(desk: Run, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "data" / "x.db", tmp_path / "data" / "x.db.bak")
    for wrong, told in (("gone.db", "there is no backup gone.db"), ("data", "data is a folder")):
        said = desk("act", "42", "restore-database", wrong, *RESTORE)
        assert (said.code, told in said.err) == (8, True)
        assert f"restore-database {tmp_path}/data/x.db.bak`, the newest whole backup" in said.err


def test_where_there_is_no_docker_no_container_is_asked_for(desk: Run, tmp_path: Path) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(
        "docker = false\n" + settings.read_text().replace('[docker]\nhost = "unix:///nowhere.sock"\n', "")
    )
    assert desk("act", "42", "backup-database", *YES, "-p", "to", "b.db").code == 0
    said = desk("act", "42", "restore-database", "b.db", *RESTORE)
    assert (said.code, "container" in said.out) == (0, False)


def test_a_backup_that_was_changed_since_is_not_proposed(desk: Run, tmp_path: Path) -> None:
    place = tmp_path / ".irkit" / "backups"
    for second in range(2):
        name = f"{place}/x-20260101T00000{second}Z.db"
        assert desk("act", "42", "backup-database", *YES, "-p", "to", name).code == 0
    with closing(sqlite3.connect(place / "x-20260101T000001Z.db")) as changed, changed:
        changed.execute("CREATE TABLE added_by_hand (a)")
    assert f"restore-database {place}/x-20260101T000000Z.db\n" in desk("act", "42").out


def test_a_restore_while_the_service_runs_is_refused_and_works_once_it_is_stopped(irkit: Run, stack: Stack) -> None:
    assert irkit("act", "42", "backup-database", *YES, "-p", "to", "b.db").code == 0
    said = irkit("act", "42", "restore-database", "b.db", *YES, "--target", "jarvis.db")
    assert said.code == 8
    assert "runs and has it mounted" in " ".join(said.err.split())
    assert "stop-all" in said.err
    try:
        assert irkit("act", "42", "stop-all", *YES, "--target", stack.project).code == 0
        with closing(sqlite3.connect(stack.database_path)) as connection, connection:
            connection.execute("CREATE TABLE after_the_backup (a)")
        said = irkit("act", "42", "restore-database", "b.db", *YES, "--target", "jarvis.db")
        assert said.code == 0, said.err
        assert "start-all` starts what was stopped" in " ".join(said.out.split())
        assert "after_the_backup" not in {one.name for one in check(stack.database_path).tables}
    finally:
        assert irkit("act", "42", "start-all", *YES).code == 0
    assert stack.request("GET", "/api/health").status == 200


def test_a_salvage_brings_rows_back_that_select_does_not(desk: Run, tmp_path: Path) -> None:
    path = tmp_path / "data" / "x.db"
    files.flip_a_bit_in_a_page_header(path)
    with files.untouched(tmp_path / "data"):
        said = desk("act", "42", "salvage-database", *YES, "-p", "to", "made.db")
    assert said.code == 0, said.err
    assert {one.name: one.rows for one in check(tmp_path / "made.db").tables}["messages"] == 1000
    assert "nothing is known to be missing" in " ".join(said.out.split())
    assert desk("act", "42", "restore-database", "made.db", *RESTORE).code == 0
    assert check(path).whole is True
    again = desk("act", "42", "salvage-database", *YES, "-p", "to", "made.db")
    assert (again.code, "is there already" in again.err) == (8, True)


def squeezed(words: str) -> str:
    """What was said without its breaks, which a long path may have within it."""
    return "".join(words.split())


def forget_the_schema(path: Path) -> None:
    """The first page is noise after the header: no table's name is left, and none of their rows is lost."""
    files.overwrite(path, 100, b"\xa5" * (files.PAGE_BYTES - 100))


@pytest.mark.parametrize("copy", ["x.db.bak", ""])
def test_tables_whose_names_are_lost_get_those_of_the_newest_whole_backup(desk: Run, tmp_path: Path, copy: str) -> None:
    """Without one no application can use the file: that is said, and it is put in nobody's place."""
    path, place = tmp_path / "data" / "x.db", tmp_path / ".irkit" / "backups"
    if copy:
        shutil.copy(path, tmp_path / "data" / copy)
    forget_the_schema(path)
    with files.untouched(tmp_path / "data"):
        planned = desk("act", "42", "salvage-database").out
        said = desk("act", "42", "salvage-database", *YES)
    [saved] = place.glob("salvaged-x-*Z.db")
    names = {one.name for one in check(saved).tables}
    words = " ".join((said.out + said.err).split())
    if copy:
        taken = squeezed(f"what is lost of it is taken from {path}.bak")
        assert taken in squeezed(planned), "the plan says it, too"
        assert (said.code, taken in squeezed(words)) == (0, True), said.err
        assert {one.name: one.rows for one in check(saved).tables}["messages"] == 1000
        assert desk("act", "42", "restore-database", str(saved), *RESTORE).code == 0
        assert check(path).whole is True
        return
    assert names >= {"salvaged_1", "salvaged_2"}
    assert "salvage-database -p schema FILE" in " ".join(planned.split())
    assert (said.code, "done, and not all is well" in said.err) == (8, True)
    assert "no application finds salvaged_1 and salvaged_2" in words
    assert "`irkit act 42 salvage-database -p schema FILE`" in words
    refused = desk("act", "42", "restore-database", str(saved), *RESTORE)
    assert (refused.code, "no application can use it" in refused.err) == (8, True)
    assert "salvage-database -p schema FILE" in refused.err
    found = desk("act", "42", "integrity-check", *YES).err
    assert str(saved) not in found + desk("act", "42").out, "what nobody can use is proposed nowhere"
    # a backup that turns up later names them, and the refusal names it
    backup = files.create(tmp_path / "data" / "x.db.found")
    refused = desk("act", "42", "restore-database", str(saved), *RESTORE)
    assert f"`irkit act 42 salvage-database -p schema {backup}`" in refused.err


def test_what_is_salvaged_of_a_replaced_file_is_called_as_the_database_is(desk: Run, tmp_path: Path) -> None:
    path, place = tmp_path / "data" / "x.db", tmp_path / ".irkit" / "backups"
    for name in ("x.db.replaced-20260101T000000Z", "x.db.replaced-20260101T000000Z-2", "x-20260101T000000Z.db.raw"):
        shutil.copy(path, path.with_name(name))
        assert desk("act", "42", "salvage-database", f"data/{name}", *YES).code == 0
        [saved] = place.glob("salvaged-*")
        assert re.fullmatch(r"salvaged-x-\d{8}T\d{6}Z\.db", saved.name)
        saved.unlink()
