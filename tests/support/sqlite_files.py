"""Real SQLite files, whole and broken, and the proof that looking at them left no trace."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PAGE_BYTES = 4096
_INDEX_LEAF = 10  # the first byte of such a page
_SCHEMA = """
CREATE TABLE conversations (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL REFERENCES conversations (id), content TEXT NOT NULL
);
CREATE INDEX messages_conversation ON messages (conversation_id, content);
CREATE TABLE scratch (a TEXT);
"""


def create(path: Path, *, wal: bool = False, rows: int = 1000) -> Path:
    """A database of two tables, an index, statistics and some free pages, closed in good order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO conversations VALUES (?, ?)", ((i, f"title {i}") for i in range(1, 101)))
        connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?)",
            ((i, i % 100 + 1, f"message {i} " + "x" * 100) for i in range(1, rows + 1)),
        )
        connection.executemany("INSERT INTO scratch VALUES (?)", (("y" * 1000,) for _ in range(60)))
        connection.execute("COMMIT")
        connection.execute("DELETE FROM scratch")
        connection.execute("PRAGMA user_version = 7")
        connection.execute("ANALYZE")
    return path


class Service:
    """A database connection in a process of its own: within one process SQLite shares locks and the wal-index."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> list[list[Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([sql, parameters]) + "\n")
        self._process.stdin.flush()
        rows: list[list[Any]] = json.loads(self._process.stdout.readline())
        return rows


_SERVICE = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    print(json.dumps(connection.execute(*json.loads(line)).fetchall()), flush=True)
connection.close()
"""


@contextmanager
def connected(path: Path) -> Iterator[Service]:
    """Another process that has the database open."""
    command = [sys.executable, "-c", _SERVICE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Service(process)


@contextmanager
def service(path: Path, commits: int = 5) -> Iterator[Service]:
    """A WAL database in use by another process, with `commits` transactions in the log."""
    create(path, wal=True)
    with connected(path) as running:
        running.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(commits):
            commit(running, number)
        yield running


def commit(running: Service, number: int) -> None:
    running.execute("INSERT INTO conversations (title) VALUES (?)", (f"logged {number}",))


def crashed(path: Path, folder: Path, commits: int = 5) -> Path:
    """What a killed service leaves behind: database, log and index as they were at that moment."""
    with service(path, commits):
        shutil.copytree(path.parent, folder)
    return folder / path.name


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def overwrite(path: Path, offset: int, raw: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(raw)


def flip(path: Path, offset: int) -> None:
    """Flip one bit."""
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 0x10]))


def root_page(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0])


def truncate(path: Path) -> None:
    """The second half is gone."""
    overwrite(path, 0, b"")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def zero_a_table_page(path: Path) -> None:
    """The root page of a table holds zeros, as after a lost write."""
    overwrite(path, (root_page(path, "messages") - 1) * PAGE_BYTES, bytes(PAGE_BYTES))


def damage_an_index_entry(path: Path) -> None:
    """One entry of the index no longer says what its row says; the table itself is whole."""
    raw = path.read_bytes()
    leaves = (start for start in range(PAGE_BYTES, len(raw), PAGE_BYTES) if raw[start] == _INDEX_LEAF)
    start = next(start for start in leaves if b"message " in raw[start : start + PAGE_BYTES])
    at = raw.index(b"message ", start, start + PAGE_BYTES)
    overwrite(path, at, b"massage ")


def zero_an_index_page(path: Path) -> None:
    """A page of the index holds zeros, as after a lost write; the table itself is whole."""
    raw = path.read_bytes()
    leaves = (start for start in range(PAGE_BYTES, len(raw), PAGE_BYTES) if raw[start] == _INDEX_LEAF)
    overwrite(path, next(one for one in leaves if b"message " in raw[one : one + PAGE_BYTES]), bytes(PAGE_BYTES))


def damage_the_freelist(path: Path) -> None:
    """The head of the list of free pages points beyond the end of the file."""
    assert int.from_bytes(path.read_bytes()[32:36], "big"), "there are no free pages to damage"
    overwrite(path, 32, (999_999).to_bytes(4, "big"))


def miscount_the_freelist(path: Path) -> None:
    """The head of the list of free pages stands, and their number is another."""
    overwrite(path, 36, (999_999).to_bytes(4, "big"))


def flip_a_bit_in_a_page_header(path: Path) -> None:
    """The kind of a table's root page is one that does not exist."""
    flip(path, (root_page(path, "messages") - 1) * PAGE_BYTES)


def damage_the_schema(path: Path) -> None:
    """The first page, which holds the schema, is garbage after its header."""
    overwrite(path, 100, b"\xa5" * 1000)


def orphan_a_row(path: Path) -> None:
    """A message names a conversation that does not exist."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET conversation_id = 12345 WHERE id = 17")


Damage = Callable[[Path], None]


def fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file below `folder`: size, time of last change, digest of its bytes."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Hold the block to its promise: nothing in the folder is changed, created or removed."""
    before = fingerprint(folder)
    # the folder's own stamp tells of a file that was made and removed again
    stamp = folder.stat().st_mtime_ns
    yield
    assert fingerprint(folder) == before
    assert folder.stat().st_mtime_ns == stamp, "a file was made and removed again"
