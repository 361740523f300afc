"""A copy of a live SQLite database that is whole, and the raw bytes of a damaged one.

`cp` reads a file page by page while its service writes: what it copies is of several moments. SQLite's online backup
copies one moment, the log included, and keeps no writer of a WAL database waiting.
"""

from __future__ import annotations

import functools
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from irkit.bundle import sha256_of
from irkit.bundle.staging import own_folder, remove_own
from irkit.collect.contract import Refused
from irkit.sqlite import durable
from irkit.sqlite.check import Checked, Progress, check
from irkit.sqlite.readonly import FAILURES, FILES, Opened, SqliteFile, fault_of, find, open_readonly
from irkit.text.phrase import size

_STEP_PAGES = 1024
_RESTARTS = 3
_TRIES = 3
_PAUSE_S = 0.01
_LOCKED_S = 30.0
_RAW = ".raw"
_SUM = ".sha256"
# the kind of the folders in which copies are made
OWN = "copy"
# what a restore names the file that it replaced, and how a backup's name ends before its suffix
_PUT_ASIDE = re.compile(r"\.replaced-\d{8}T\d{6}Z(?:-\d+)?\Z")
_STAMPED = re.compile(r"-\d{8}T\d{6}Z(?=(?:\.[^.]*)?\Z)")


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: `copy` is None where the database is too damaged for SQLite to copy any of it.

    `raw` are byte for byte the file and what lay beside it, made where the database is damaged. `sums` lists the
    sha256 of all, as `sha256sum --check` reads it. `notes` says what was out of the ordinary.
    """

    source: Path
    copy: Path | None
    checked: Checked | None
    raw: tuple[Path, ...]
    sums: Path
    sha256: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return self.copy is not None and self.checked is not None and self.checked.whole is True

    @property
    def sentence(self) -> str:
        """What there is now, in words."""
        if self.copy is None:
            return f"{self.source} is too damaged for SQLite to copy; its bytes are in {self.raw[0]}"
        copied = f"{self.copy} ({size(self.copy.stat().st_size)})"
        if self.whole:
            return f"{copied} is a whole copy of {self.source}: every check passed"
        raw = f", and its bytes as they lay there are in {self.raw[0]}" if self.raw else ""
        fault = self.checked.sentence if self.checked else "it was not checked"
        return f"{self.source} was kept with its damage, as evidence and for a salvage: in {copied}{raw}; {fault}"


def backup_name(source: Path, at: datetime) -> str:
    """Return a name that sorts by time and says of what: `jarvis-20260101T030507Z.db`."""
    return f"{source.stem}-{at:%Y%m%dT%H%M%SZ}{source.suffix or '.db'}"


def original_of(copy: Path) -> Path:
    """Return the file that a copy is of by its name: of `x.db.replaced-TIME`, and of `x-TIME.db.raw`, `x.db`."""
    name = _PUT_ASIDE.sub("", copy.name)
    return copy.with_name(_STAMPED.sub("", name.removesuffix(_RAW)) if name.endswith(_RAW) else name)


def made_at(backup: Path) -> datetime | None:
    """Return when a backup was made by its name, None where that does not tell."""
    stamp = backup.stem.rpartition("-")[2]
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def space_needed_bytes(file: SqliteFile) -> int:
    """Return the most that a backup of this file can take: the copy, and the raw bytes of a damaged one."""
    return 2 * (file.size_bytes + (file.wal_size_bytes or 0))


def back_up(source: str | Path, destination: Path, progress: Progress = lambda *_: None) -> Backup:
    """Copy a database to `destination`, where nothing may be yet, verify the copy, and write its sha256 beside it.

    Raises:
        Unreachable: there is no such database.
        Refused: it may not be read, the destination is taken or has no room, or the disk fails; nothing is left behind.
    """
    file = find(str(source))
    remove_own(destination.parent, OWN)
    for taken in (destination, *(_named(destination, _RAW + one) for one in FILES), _named(destination, _SUM)):
        if os.path.lexists(taken):
            raise Refused(f"{taken} is there already, and no backup is ever overwritten", hint="name another")
    durable.require_space(destination.parent, space_needed_bytes(file))
    with _writing(destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        return _back_up(file, destination, progress)


def _back_up(file: SqliteFile, destination: Path, progress: Progress) -> Backup:
    notes: list[str] = []
    made: Path | None = None
    checked: Checked | None = None
    with own_folder(destination.parent, OWN) as own:
        partial = own.path / "copy.db"
        if not file.fault:
            made = _copied(file, partial, notes, progress)
        if made is not None:
            checked = check(made, progress)
        whole = checked is not None and checked.whole
        raw = () if whole else tuple(_raw(file, destination, own.path, notes, progress))
        if made is not None:
            durable.place_new(made, destination)
            made = destination
        sums = [(one.name, sha256_of(one)) for one in (*([made] if made else []), *raw)]
        listed = _named(partial, _SUM)
        listed.write_text("".join(f"{digest}  {name}\n" for name, digest in sums), encoding="utf-8")
        durable.place_new(listed, _named(destination, _SUM))
    if checked is not None:
        checked = Checked(destination, checked.findings, checked.tables, checked.gaps)
    return Backup(file.path, made, checked, raw, _named(destination, _SUM), tuple(sums), tuple(notes))


def copy_only(source: str | Path, destination: Path) -> None:
    """Copy a database as it is at one moment to `destination`, to work on the copy: neither checked nor summed.

    Raises:
        Unreachable: there is no such database.
        Refused: it may not be read, is too damaged for SQLite to copy, or keeps changing.
    """
    notes: list[str] = []
    if _copied(find(str(source)), destination, notes, lambda *_: None) is None:
        raise Refused(f"{source} cannot be copied: {notes[-1]}", hint="`irkit act … salvage-database` saves its rows")


def recorded_sum(path: Path) -> str | None:
    """Return the sha256 that was written beside a backup when it was made, None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        for line in _named(path, _SUM).read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            if name == path.name:
                return digest
    return None


def was_damaged(path: Path) -> bool:
    """Say whether a backup is known to be of a damaged database: then its bytes were kept beside it."""
    return _named(path, _RAW).exists()


class _Restarted(Exception):  # noqa: N818 (a turn of the way, not a fault)
    pass


def _copied(file: SqliteFile, partial: Path, notes: list[str], progress: Progress) -> Path | None:
    """Copy by SQLite; None, with the reason in the notes, where it cannot for damage."""
    for _ in range(_TRIES):
        _fresh(partial)
        try:
            with open_readonly(str(file.path)) as opened:
                _copy(opened, partial, notes, progress)
                if not opened.disturbed():
                    return partial
        except FAILURES as error:
            code, message = fault_of(error)
            if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY):
                raise Refused(f"the backup could not be written: {message}", hint="check the disk it goes to") from None
            notes.append(f"SQLite cannot copy it: {message}")
            return None
    raise Refused(f"{file.path} keeps changing while it is copied", hint="try again, or stop its writers first")


def _copy(opened: Opened, partial: Path, notes: list[str], progress: Progress) -> None:
    connection, header = opened.connection, opened.file.header
    if opened.how == "read-only" and header is not None and header.wal:
        # one moment for the whole copy; in a WAL database that keeps no writer waiting
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    lowest, restarts, moved = float("inf"), 0, time.monotonic()

    def told(_status: int, remaining: int, total: int) -> None:
        nonlocal lowest, restarts, moved
        if remaining == lowest and time.monotonic() - moved > _LOCKED_S:
            raise Refused(f"{opened.file.path} stays locked by another process", hint="end that, and try again")
        moved = moved if remaining == lowest else time.monotonic()
        restarts += remaining > lowest
        lowest = remaining
        progress("copy", 1 - remaining / max(1, total))
        if restarts > _RESTARTS:
            raise _Restarted

    with closing(sqlite3.connect(partial, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        try:
            connection.backup(target, pages=_STEP_PAGES, progress=told, sleep=_PAUSE_S)
        except _Restarted:
            begun = time.monotonic()
            connection.backup(target, pages=-1)
            notes.append(
                f"it is written to all the time: its writers were kept waiting for {time.monotonic() - begun:.1f} s"
            )


def _raw(file: SqliteFile, destination: Path, own: Path, notes: list[str], progress: Progress) -> Iterator[Path]:
    """Copy the bytes of the file and of what lies beside it; what was written to meanwhile is said to be."""
    before = [_stamp(_named(file.path, suffix)) for suffix in FILES]
    for suffix in FILES:
        source = _named(file.path, suffix)
        if not source.is_file():
            continue
        kept = _named(destination, _RAW + suffix)
        partial = own / f"raw{suffix}"
        durable.copy(source, partial, functools.partial(progress, f"raw {source.name}"))
        durable.place_new(partial, kept)
        yield kept
    if before != [_stamp(_named(file.path, suffix)) for suffix in FILES]:
        notes.append("it was written to while its raw bytes were copied: they may be of several moments")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _fresh(partial: Path) -> None:
    """Make an empty file that only we may read, whatever an earlier run left under its name."""
    for suffix in FILES:
        _named(partial, suffix).unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise Refused(f"{error.filename} is there already, and no backup is ever overwritten") from None
    except OSError as error:
        hint = "check that the folder may be written to and has room"
        raise Refused(f"no backup could be written to {folder}: {error.strerror}", hint=hint) from None


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
