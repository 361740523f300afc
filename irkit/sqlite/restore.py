"""Put a verified backup in a database's place, so that a kill at any moment leaves the old one or the new one whole.

The order is what makes it so. The new file is made and checked beside the old one. The old one and its companions get
second names, so nothing of it can be lost. What its log still holds is merged into it, in one step, so that the log may
go without changing what the old one says; only then does the new one take its name. A log left beside the new file
would be played into it by SQLite, which is how restored databases are corrupted.
"""

from __future__ import annotations

import fcntl
import functools
import glob
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from irkit.bundle import sha256_of
from irkit.bundle.staging import remove_own
from irkit.collect.contract import Refused
from irkit.sqlite import durable
from irkit.sqlite import wal as sqlite_wal
from irkit.sqlite.backup import OWN, back_up, recorded_sum
from irkit.sqlite.check import Checked, Progress, TableVerdict, check
from irkit.sqlite.holders import database_files, holders
from irkit.sqlite.readonly import COMPANIONS, FAILURES, find
from irkit.text.phrase import listing

_NEW, _MERGED = "restoring", "merged"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backup that was looked at: its bytes' sha256, whether that is the one recorded, and its tables.

    `fault` says why it must not be restored, or nothing. `in_place` says that the database is this backup already.
    """

    path: Path
    sha256: str
    recorded: bool = False
    fault: str = ""
    in_place: bool = False
    tables: tuple[TableVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now; `kept` are the old database and its companions under their second names."""

    path: Path
    sha256: str
    kept: tuple[Path, ...]
    notes: tuple[str, ...]


def candidate(database: str | Path, backup: str | Path, progress: Progress = lambda *_: None) -> Candidate:
    """Verify a backup before anything is replaced by it: its recorded sha256, every page, every foreign key.

    Raises:
        Unreachable: there is no such file.
        Refused: it may not be read, is the database itself, or its bytes are not those that were recorded.
    """
    path, target = find(str(backup)).path, Path(os.path.realpath(database))
    if target.exists() and path.samefile(target):
        raise Refused(f"{backup} is the database itself", hint="name the backup to restore from")
    digest, recorded = sha256_of(path), recorded_sum(path)
    if recorded is not None and recorded != digest:
        hint = "it was changed or damaged since it was made: take an older one"
        raise Refused(f"{path} is not the file whose sha256 was recorded beside it", hint=hint)
    in_place = target.is_file() and target.stat().st_size == path.stat().st_size and sha256_of(target) == digest
    checked = check(path, progress)
    fault = "" if checked.whole else checked.sentence
    return Candidate(path, digest, recorded is not None, fault, in_place, checked.tables)


def interrupted(database: str | Path) -> str:
    """Say what an earlier restore that was killed left behind, or nothing; the database itself is whole either way."""
    path = Path(os.path.realpath(database))
    left = _leftovers(path)
    if not left:
        return ""
    return (
        f"an earlier restore was interrupted before it was done and left {listing(one.name for one in left)}, "
        "which the next one removes; the database in place was not harmed by it"
    )


def restore(database: str | Path, chosen: Candidate, at: datetime, progress: Progress = lambda *_: None) -> Restored:
    """Put a backup in the database's place; `at` is the time that the old one is kept under.

    Killed at any point, the old or the new database is whole and in place, and to run it again does the rest.

    Raises:
        Refused: the backup is damaged or was changed since it was looked at, somebody has the database open, or there
            is no room; the database is as it was, unless the sentence says that it was replaced.
    """
    if chosen.fault:
        raise Refused(f"{chosen.path} cannot be restored: {chosen.fault}", hint="take another backup")
    path = Path(os.path.realpath(database))
    with _alone(path), _told(path):
        _clear(path)
        old = path.stat() if path.exists() else None
        durable.require_space(path.parent, _needed_bytes(path, chosen))
        new = _prepared(path, chosen, progress)
        notes = [durable.same_owner(new, old)] if old else [f"{path} was missing: there was no old database to keep"]
        refuse_while_held(path)
        kept = _keep_old(path, at)
        if note := _settle(path, old):
            notes.append(note)
        refuse_while_held(path)
        digest = sha256_of(new)
        durable.replace(new, path)
        _clear(path)
        return Restored(path, digest, kept, tuple(filter(None, notes)))


def verify(path: Path, sha256: str, progress: Progress = lambda *_: None) -> Checked:
    """Check the database that was put in place, and that it is that one.

    Raises:
        Refused: other bytes are there, or a log lies beside it that is not its own: somebody opened it meanwhile.
    """
    beside = [one for one in database_files(path)[1:] if one.stat().st_size]
    if beside or sha256_of(path) != sha256:
        reason = f"{path} was replaced, and somebody has opened it since: it is no longer the backup byte for byte"
        raise Refused(reason, hint=f"see who: {holders(database_files(path)).sentence}; then run integrity-check")
    return check(path, progress)


def refuse_while_held(path: Path) -> None:
    """Raise where anybody has the database open: what they write after the swap would go to the old file, and be lost.

    Raises:
        Refused: somebody has; the sentence says who.
    """
    held = holders(database_files(path))
    if held.clear is False:
        how = listing(f"`{one.stopping}`" for one in held.found) if held.found else "its service"
        raise Refused(f"{path} is in use: {held.sentence}", hint=f"stop first: {how}")


def _needed_bytes(path: Path, chosen: Candidate) -> int:
    merged = path.stat().st_size if path.exists() and any(map(_size, _companions(path))) else 0
    return chosen.path.stat().st_size + sum(map(_size, _companions(path))) + merged


def _prepared(path: Path, chosen: Candidate, progress: Progress) -> Path:
    """Make the new file beside the old one and check it there."""
    new = _aside(path, _NEW)
    if any(_size(one) for one in _companions(chosen.path)):
        # what belongs to the backup is in two files: make one of them
        made = back_up(chosen.path, new, progress)
        for extra in (made.sums, *made.raw):
            extra.unlink()
        if sha256_of(chosen.path) != chosen.sha256:
            raise Refused(f"{chosen.path} was changed since it was checked", hint="run it again")
    elif durable.copy(chosen.path, new, functools.partial(progress, "copy")) != chosen.sha256:
        raise Refused(f"{chosen.path} was changed since it was checked", hint="run it again")
    checked = check(new, progress)
    if not checked.whole:
        raise Refused(
            f"the copy of {chosen.path} is not whole: {checked.sentence}", hint="check the disk; nothing was replaced"
        )
    return new


def _keep_old(path: Path, at: datetime) -> tuple[Path, ...]:
    """Give the old database and its companions second names; nothing moves yet."""
    there = [one for one in (path, *_companions(path)) if one.exists()]
    number, names = 1, [path]
    while number == 1 or any(os.path.lexists(one) for one in names):
        stamp = f"{at:%Y%m%dT%H%M%SZ}" + (f"-{number}" if number > 1 else "")
        names = [path.with_name(f"{path.name}.replaced-{stamp}{one.name.removeprefix(path.name)}") for one in there]
        number += 1
    # the database last: its second name says that all that belongs to it is there
    for one, name in reversed(list(zip(there, names, strict=True))):
        durable.keep(one, name)
    durable.sync(path.parent)
    return tuple(names)


def _settle(path: Path, old: os.stat_result | None) -> str:
    """Make the old database one file that says what it said with its log, then take the log away; return a doubt.

    Played once more into a file that holds it already, a log changes nothing: so it may go afterwards, in any order.
    """
    doubt = ""
    if old is not None and any(map(_size, _companions(path))):
        merged = _aside(path, _MERGED)
        doubt = _merge(path, merged)
        if not doubt:
            durable.same_owner(merged, old)
            durable.replace(merged, path)
    # the index of the log goes last: a log without one is read in full
    for one in _companions(path):
        one.unlink(missing_ok=True)
    durable.sync(path.parent)
    return doubt


def _merge(path: Path, merged: Path) -> str:
    """Copy the old database as SQLite would read it with its log or rollback journal; return why not, or nothing."""
    durable.copy(path, merged)
    journal = _named(path, "-journal")
    try:
        if _is_hot(journal):
            durable.copy(journal, _named(merged, "-journal"))
            with closing(sqlite3.connect(merged, isolation_level=None)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        pages, size_pages = sqlite_wal.committed_pages(path)
    except FAILURES as error:
        return f"the old database's journal could not be rolled back ({error}); it is kept as it was"
    finally:
        _named(merged, "-journal").unlink(missing_ok=True)
    page_size_bytes = len(next(iter(pages.values()), b""))
    header = find(str(path)).header
    if header is not None and page_size_bytes not in (0, header.page_size_bytes):
        return "the log beside the old database belongs to another one; it is kept with it"
    with merged.open("r+b") as stream:
        for number, page in sorted(pages.items()):
            stream.seek((number - 1) * page_size_bytes)
            stream.write(page)
        if size_pages:
            stream.truncate(size_pages * page_size_bytes)
    return ""


def _is_hot(journal: Path) -> bool:
    """Say whether SQLite would roll a journal back: it has content, and its header was not crossed out."""
    with suppress(OSError), journal.open("rb") as stream:
        return stream.read(1) not in (b"", b"\0")
    return False


def _leftovers(path: Path) -> list[Path]:
    """Return what a killed restore of this database left aside."""
    name = glob.escape(path.name)
    patterns = (f".{name}.{_NEW}*", f"..{name}.{_NEW}*", f".{name}.{_MERGED}*", f".{name}.replaced-*.partial")
    return sorted(one for pattern in patterns for one in path.parent.glob(pattern))


def _clear(path: Path) -> None:
    remove_own(path.parent, OWN)
    for one in _leftovers(path):
        one.unlink(missing_ok=True)
    # second names that a killed restore gave to companions before it came to the database: the first ones are there
    for companion in _companions(path):
        suffix = companion.name.removeprefix(path.name)
        for one in path.parent.glob(f"{glob.escape(path.name)}.replaced-*{suffix}"):
            kept = one.with_name(one.name.removesuffix(suffix))
            if not kept.exists() and companion.exists() and companion.samefile(one):
                one.unlink()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the folder against another restore; the lock goes with the process, however that ends."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path.parent} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(f"another restore into {path.parent} is running", hint="wait for it") from None
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn a failing disk into a sentence; what is made aside is removed."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            _clear(path)
        reason = f"{path} could not be restored: {error.strerror}"
        raise Refused(reason, hint="the database in place is whole; correct that and run it again") from None
    except BaseException:
        with suppress(OSError):
            _clear(path)
        raise


def _companions(path: Path) -> tuple[Path, ...]:
    return tuple(_named(path, suffix) for suffix in COMPANIONS)


def _aside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
