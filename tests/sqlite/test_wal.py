from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.sqlite import wal as sqlite_wal
from irkit.sqlite.wal import Wal, read_wal
from tests.support import sqlite_files as files

HEADER, FRAME = 32, 24
STEP = FRAME + files.PAGE_BYTES


@given(st.integers(1, 40).flatmap(lambda pairs: st.binary(min_size=8 * pairs, max_size=8 * pairs)), st.booleans())
def test_the_checksum_is_that_of_the_file_format(data: bytes, big_endian: bool) -> None:  # noqa: FBT001 (drawn)
    seed, words = (0x9E3779B9, 0xDEADBEEF), [data[i : i + 4] for i in range(0, len(data), 4)]
    s0, s1 = seed
    for first, second in zip(words[::2], words[1::2], strict=True):
        s0 = (s0 + int.from_bytes(first, "big" if big_endian else "little") + s1) % 2**32
        s1 = (s1 + int.from_bytes(second, "big" if big_endian else "little") + s0) % 2**32
    assert sqlite_wal.checksum(data, seed, ">u4" if big_endian else "<u4") == (s0, s1)


def test_a_whole_log_is_read_to_its_last_commit(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed", commits=7)
    wal = read_wal(path)
    assert wal is not None
    assert (wal.transactions, wal.damage, wal.unfinished_frames) == (7, "", 0)
    assert HEADER + wal.frames * STEP == files.beside(path, "-wal").stat().st_size


def test_no_log_is_no_finding(tmp_path: Path) -> None:
    assert read_wal(files.create(tmp_path / "x.db")) is None


def test_every_damaged_frame_before_a_commit_is_seen(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed", commits=12)
    log = files.beside(path, "-wal")
    whole = read_wal(path)
    assert whole is not None
    for frame in range(whole.frames):
        for offset in (0, 5, 9, 17, 23, FRAME + 100, FRAME + files.PAGE_BYTES - 1):
            at = HEADER + frame * STEP + offset
            files.flip(log, at)
            seen = read_wal(path)
            files.flip(log, at)
            assert seen is not None, f"frame {frame + 1}"
            assert seen.damage, f"frame {frame + 1}, byte {offset}"
    assert read_wal(path) == whole


def test_without_an_index_a_broken_last_frame_is_a_torn_tail(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed")
    files.beside(path, "-shm").unlink()
    log = files.beside(path, "-wal")
    with log.open("r+b") as stream:
        stream.truncate(log.stat().st_size - 1000)
    wal = read_wal(path)
    assert wal is not None
    assert (wal.transactions, wal.damage) == (4, "")


def test_a_damaged_header_loses_the_whole_log(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed")
    files.flip(files.beside(path, "-wal"), 20)
    assert read_wal(path) == Wal(damage="its header is damaged, so SQLite ignores all of it")


def test_a_log_emptied_under_its_service_is_damage(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed")
    files.beside(path, "-wal").write_bytes(b"")
    wal = read_wal(path)
    assert wal is not None
    assert wal.damage == "it is empty, though the wal-index counts 5 frames"


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_a_checkpoint_and_what_it_leaves_behind_is_not_damage(tmp_path: Path, mode: str) -> None:
    with files.service(tmp_path / "x.db", commits=30) as connection:
        connection.execute(f"PRAGMA wal_checkpoint({mode})")
        assert _damage(tmp_path / "x.db") == ""
        files.commit(connection, 99)
        assert _damage(tmp_path / "x.db") == ""


def test_a_rolled_back_transaction_that_reached_the_log_is_not_damage(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db") as connection:
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("BEGIN")
        connection.execute("UPDATE messages SET content = content || 'y'")
        spilled = files.beside(tmp_path / "x.db", "-wal").stat().st_size
        connection.execute("ROLLBACK")
        files.commit(connection, 99)
        assert HEADER + 50 * STEP < spilled == files.beside(tmp_path / "x.db", "-wal").stat().st_size
        assert _damage(tmp_path / "x.db") == ""


def test_a_log_cut_off_by_the_clock_says_so(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db"):
        wal = read_wal(tmp_path / "x.db", until=time.monotonic() - 1)
    assert wal is not None
    assert not wal.complete


def test_committed_pages_are_what_sqlite_would_read(tmp_path: Path) -> None:
    with files.service(tmp_path / "x.db") as connection:
        pages, size_pages = sqlite_wal.committed_pages(tmp_path / "x.db")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw = (tmp_path / "x.db").read_bytes()
    assert size_pages * files.PAGE_BYTES == len(raw)
    assert pages
    for number, page in pages.items():
        assert raw[(number - 1) * files.PAGE_BYTES : number * files.PAGE_BYTES] == page


def _damage(path: Path) -> str:
    wal = read_wal(path)
    assert wal is not None
    return wal.damage


def test_sqlite_itself_is_silent_about_what_we_see(tmp_path: Path) -> None:
    """The reason this module exists: were SQLite to tell one day, its own word would be better."""
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed")
    files.flip(files.beside(path, "-wal"), HEADER + FRAME + 50)
    assert "committed transaction(s)" in _damage(path)
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM conversations").fetchone() == (100,)
    finally:
        connection.close()
