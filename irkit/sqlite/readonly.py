"""Open somebody's SQLite file without leaving a trace: nothing written, nothing created, no lock that outlives us.

SQLite's `mode=ro` is not enough: on a WAL database it creates a missing `-shm` and writes into one that is there.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite import wal as sqlite_wal

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
MAX_COPY_BYTES = 128 * 1024 * 1024
# what may lie beside a database under its name, and with it all that belongs to it
COMPANIONS = ("-wal", "-shm", "-journal")
FILES = ("", *COMPANIONS)
_BUSY_S = 2.0
_LIGHTLY_BUSY_S = 0.05
_TRIES = 5
# longer than a step of the clock that a file's time of change is taken from
_TICK_S = 0.02
_WAL_VERSION = 2
_PRIMARY_CODE = 0xFF
_ENCODINGS = {1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}


# What any statement on a damaged file may raise: SQLite's message can quote bytes of it that are no text.
FAILURES = (sqlite3.DatabaseError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 100 bytes of a database say; section 1.3 of SQLite's "Database File Format"."""

    page_size_bytes: int
    page_count: int
    freelist_count: int
    encoding: str | None
    user_version: int
    wal: bool


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database file and its companions as they lie on disk; `header` is None where it is not a database."""

    path: Path
    size_bytes: int
    wal_size_bytes: int | None
    has_shm: bool
    header: Header | None

    @property
    def fault(self) -> str:
        """What is wrong with the file before any of its pages is read, or nothing."""
        if self.size_bytes == 0:
            return "the file is empty (zero bytes)"
        if self.size_bytes < HEADER_BYTES:
            return f"the file is cut short ({self.size_bytes} bytes)"
        if self.header is None:
            return "the file is not a SQLite database (or it is encrypted): its first 16 bytes are not SQLite's"
        return ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that cannot write; `how` is `read-only`, `immutable` or `memory copy`."""

    connection: sqlite3.Connection
    how: str
    file: SqliteFile
    signature: tuple[object, ...]

    def disturbed(self) -> bool:
        """Say whether somebody wrote to a file that was read without locks, so that what was read may be torn."""
        return self.how == "immutable" and self.signature != _signature(self.file.path)


class NotPermitted(Refused):
    """We may not read the file: nothing is known of it."""


def find(path: str) -> SqliteFile:
    """Look at the file and what lies beside it, following links as SQLite does.

    Raises:
        Unreachable: there is no such file.
        Refused: it is no regular file, or may not be read.
    """
    real = Path(os.path.realpath(path))
    try:
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path} is not a regular file", hint="point [sqlite] path at the database file itself")
        with real.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
        return SqliteFile(real, status.st_size, _size(real, "-wal"), _size(real, "-shm") is not None, _header(head))
    except (FileNotFoundError, NotADirectoryError):
        raise Unreachable(f"no database at {path}", hint="set [sqlite] path in irkit.toml") from None
    except PermissionError:
        raise NotPermitted(f"{path} may not be read", hint="run as a user who may read it and its folder") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", hint="check the disk it lies on") from None


class Changing(Refused):
    """The file was written to each time while it was read without locks: another time it may not be."""


@contextmanager
def open_readonly(path: str, *, snapshot: bool = False, lightly: bool = False) -> Iterator[Opened]:
    """Open a database so that not one byte of it or beside it changes, whatever state it was left in.

    A live WAL database is read through the wal-index of its service, mapped read-only. Without a WAL there is nothing
    to share and no lock to take: immutable. A WAL whose index is missing is merged with the database in memory.
    A damaged file opens too: its statements raise `sqlite3.DatabaseError`. With `snapshot` what would be read without
    locks is copied to memory first, as it was at one moment, where that is not too large: whose writers come and go
    leaves no log to share, and changes the file while it is read.

    `lightly` is for who looks again and again: it takes no lock that makes a writer wait or fail, waits for none, and
    copies nothing. A database without a WAL is then read as it lies, and `disturbed` tells whether that held.

    Raises:
        Unreachable: there is no such file.
        Changing: it was written to each time it was copied.
        Refused: it may not be read, is locked, was left in the middle of a transaction, or is too large to be copied.
    """
    file = find(path)
    signature = _signature(file.path)
    connection, how = _open_lightly(file) if lightly else _open(file, snapshot=snapshot)
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        for setting in ("query_only = ON", "trusted_schema = OFF", "temp_store = MEMORY", "mmap_size = 0"):
            connection.execute(f"PRAGMA {setting}")
        yield Opened(connection, how, file, signature)
    finally:
        connection.close()


def fault_of(error: Exception) -> tuple[int, str]:
    """Return SQLite's primary result code and message for one of `FAILURES`."""
    if isinstance(error, sqlite3.DatabaseError):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE, str(error)
    return sqlite3.SQLITE_CORRUPT, "malformed, with text that cannot be decoded"


def _open(file: SqliteFile, *, snapshot: bool) -> tuple[sqlite3.Connection, str]:
    if file.header is None or not file.header.wal:
        return _connect(file, "mode=ro"), "read-only"
    if not file.wal_size_bytes and not (file.wal_size_bytes == 0 and file.has_shm):
        if snapshot and file.size_bytes <= MAX_COPY_BYTES:
            return _copy(file), "memory copy"
        return _connect(file, "immutable=1"), "immutable"
    if file.has_shm:
        try:
            return _connect(file, "mode=ro&readonly_shm=1"), "read-only"
        except _IndexUnusable:
            pass
    return _copy(file), "memory copy"


def _open_lightly(file: SqliteFile) -> tuple[sqlite3.Connection, str]:
    if file.header is None or not file.header.wal:
        if _in_transaction(file.path):
            raise Refused(f"{file.path} is in the middle of a transaction", hint="look again when it is over")
        return _connect(file, "immutable=1", _LIGHTLY_BUSY_S), "immutable"
    if not file.wal_size_bytes and not (file.wal_size_bytes == 0 and file.has_shm):
        return _connect(file, "immutable=1", _LIGHTLY_BUSY_S), "immutable"
    if file.has_shm:
        try:
            return _connect(file, "mode=ro&readonly_shm=1", _LIGHTLY_BUSY_S), "read-only"
        except _IndexUnusable:
            pass
    reason = f"{file.path} has a -wal without a -shm that can be used: it can only be read from a copy in memory"
    raise Refused(reason, hint="`irkit collect` makes one; the next start of the service folds the log in")


def _in_transaction(path: Path) -> bool:
    """Say whether a rollback journal counts; of one that is kept for the next transaction the head is zeroed."""
    try:
        with path.with_name(f"{path.name}-journal").open("rb") as stream:
            return any(stream.read(8))
    except FileNotFoundError:
        return False
    except OSError:
        return True


class _IndexUnusable(Exception):  # noqa: N818 (a turn of the way, not a fault)
    pass


def _connect(file: SqliteFile, how: str, busy_s: float = _BUSY_S) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(file.path))}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode
        if code & _PRIMARY_CODE in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return connection  # damaged, which is what it was opened for
        connection.close()
        if code & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
            reason = f"{file.path} is locked by another process"
            raise Refused(reason, hint=f"find it with `fuser {file.path}`; collect again when it is done") from None
        if code == sqlite3.SQLITE_READONLY_ROLLBACK:
            reason = f"{file.path} was left in the middle of a transaction: its -journal still has to be rolled back"
            hint = "the service does that when it next opens it; to look before, copy both files and open the copy"
            raise Refused(reason, hint=hint) from None
        if how.endswith("readonly_shm=1"):
            raise _IndexUnusable from None
        raise Refused(f"{file.path} cannot be opened: {error}", hint="check the disk and the file's owner") from None
    return connection


def _copy(file: SqliteFile) -> sqlite3.Connection:
    """Merge database and WAL in memory, so that no copy with somebody's data is left behind when we are killed."""
    if file.size_bytes + (file.wal_size_bytes or 0) > MAX_COPY_BYTES:
        reason = f"{file.path} has a -wal without a usable -shm and is too large to be read from memory"
        raise Refused(reason, hint="copy the database and its -wal elsewhere and open the copy with sqlite3")
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_TICK_S)
        begun_ns, before = time.time_ns(), _signature(file.path)
        image = _merged(file.path)
        if before == _signature(file.path) and _marks_changes(before, begun_ns):
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.deserialize(image)
            return connection
    raise Changing(f"{file.path} keeps changing while it is copied", hint="collect again, or stop its writers first")


def _merged(path: Path) -> bytes:
    try:
        pages, size_pages = sqlite_wal.committed_pages(path)
        image = bytearray(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} or its -wal cannot be read: {error.strerror}", hint="check their owner") from None
    if pages:
        page_size_bytes = len(next(iter(pages.values())))
        del image[size_pages * page_size_bytes :]
        image.extend(bytes(size_pages * page_size_bytes - len(image)))
        for number, page in pages.items():
            if number <= size_pages:
                image[(number - 1) * page_size_bytes : number * page_size_bytes] = page
    image[18:20] = b"\1\1"  # a database in memory has no WAL; section 1.3.3 of the file format
    return bytes(image)


def _header(head: bytes) -> Header | None:
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        return None

    def number(offset: int, size: int = 4) -> int:
        return int.from_bytes(head[offset : offset + size], "big")

    page_size_bytes = number(16, 2)
    return Header(
        65536 if page_size_bytes == 1 else page_size_bytes,
        number(28),
        number(36),
        _ENCODINGS.get(number(56)),
        int.from_bytes(head[60:64], "big", signed=True),
        _WAL_VERSION in (head[18], head[19]),
    )


def _size(path: Path, suffix: str) -> int | None:
    try:
        return path.with_name(path.name + suffix).stat().st_size
    except FileNotFoundError:
        return None


def _signature(path: Path) -> tuple[object, ...]:
    """Return what changes whenever somebody writes to the database, its WAL or its rollback journal."""
    found: list[object] = []
    for suffix in ("", "-wal", "-journal"):
        try:
            status = path.with_name(path.name + suffix).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _marks_changes(signature: Iterable[object], at_ns: int) -> bool:
    """Say whether any later write would show: a second one within a step of the clock leaves the time as it was."""
    changed = [one[2] for one in signature if isinstance(one, tuple)]
    return not any(0 <= at_ns - one < _TICK_S * 1e9 for one in changed)
