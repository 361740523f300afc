"""SQLite's own checks of a file as findings, and the whole verdict made of them: for as long as that takes."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.collect.contract import Refused
from irkit.sqlite.readonly import FAILURES, Opened, SqliteFile, fault_of, find, open_readonly
from irkit.sqlite.wal import read_wal

MAX_MESSAGES = 100
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})
_INDEX = re.compile(r"\b(?:missing from|in) index (.+?)$")
_NAMED_TABLE = re.compile(r"(?:constraint failed in|value in) ([^.]+?)(?:\.|$)")
_TREE = re.compile(r"\b[Tt]ree (?:page )?(\d+)\b")
_POLL_S = 0.2
_NEARLY = 0.99
_TRIES = 3
_BEGINNINGS, _MOMENT_S = 20, 0.005

Progress = Callable[[str, float], None]
"""Told what is being done and how much of it is, as a share of one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says: `ok` is False for damage; `table` is None where the message belongs to none."""

    check: str
    ok: bool
    message: str
    table: str | None = None


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """A table, whether it and its indexes are whole (None: nobody could tell), and how many rows it has (None: too)."""

    name: str
    whole: bool | None
    rows: int | None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on a file: `whole` is None where a check could not be finished and none found damage."""

    path: Path
    findings: tuple[Finding, ...]
    tables: tuple[TableVerdict, ...]
    gaps: tuple[str, ...]

    @property
    def damage(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if not one.ok)

    @property
    def whole(self) -> bool | None:
        return False if self.damage else None if self.gaps else True

    @property
    def sentence(self) -> str:
        """The verdict in words, with the first thing that is wrong."""
        if self.damage:
            more = f", and {len(self.damage) - 1} more" if len(self.damage) > 1 else ""
            return f"{self.path} is damaged: {self.damage[0].message}{more}"
        if self.gaps:
            return f"it is not known whether {self.path} is whole: {self.gaps[0]}"
        return f"{self.path} is whole: integrity_check and foreign_key_check found nothing"


def check(path: str | Path, progress: Progress = lambda *_: None) -> Checked:
    """Run the full check, the foreign keys and the WAL's checksums, and judge each table; nothing is written.

    Raises:
        Unreachable: there is no such file.
        Refused: it may not be read, is locked, or is being written to in a way that no check can follow.
    """
    for attempt in range(_TRIES):
        # the first look holds nothing in memory; what is written to meanwhile is looked at as it was at one moment
        made = _check_once(str(path), progress, snapshot=attempt > 0)
        if made is not None:
            return made
    raise Refused(f"{path} was written to while it was checked", hint="stop its writers, or check a backup of it")


def _check_once(path: str, progress: Progress, *, snapshot: bool) -> Checked | None:
    file = find(path)
    findings: list[Finding] = []
    gaps: list[str] = []
    # before SQLite opens the file: closing one that it has open as well would drop its locks
    for told in wal_findings(file):
        if isinstance(told, Finding):
            findings.append(told)
        else:
            gaps.append(told)
    if file.fault:
        return Checked(
            file.path, (*findings, Finding("integrity_check", ok=False, message=file.fault)), (), tuple(gaps)
        )
    with open_readonly(path, snapshot=snapshot) as opened:
        connection = opened.connection
        owners = owners_of(connection)
        with _watched(file, lambda share: progress("integrity_check", share)):
            _run("integrity_check", pragma_findings(connection, "integrity_check", owners), findings, gaps)
        progress("foreign_key_check", _NEARLY)
        _run("foreign_key_check", foreign_key_findings(connection), findings, gaps)
        tables = tuple(_verdicts(opened, findings, progress))
        return None if opened.disturbed() else Checked(file.path, tuple(findings), tables, tuple(gaps))


def wal_findings(file: SqliteFile, until: float = float("inf")) -> Iterator[Finding | str]:
    """Yield the verdict on the log beside a file, a plain string where it could not be had; `until` is monotonic."""
    path = file.path
    try:
        wal = read_wal(path, until)
    except OSError as error:
        yield f"{path.name}-wal cannot be read: {error.strerror}"
        return
    if wal is None:
        return
    foreign = file.header is not None and wal.page_size_bytes not in (0, file.header.page_size_bytes)
    if wal.damage:
        yield Finding("wal", ok=False, message=f"{path.name}-wal: {wal.damage}")
    elif foreign:
        message = f"{path.name}-wal has pages of {wal.page_size_bytes} bytes: it belongs to another database"
        yield Finding("wal", ok=False, message=message)
    elif not wal.complete:
        yield f"{path.name}-wal was checked up to frame {wal.frames}, then the time ran out"
    else:
        frames = f"{wal.frames} frames in {wal.transactions} committed transactions"
        unfinished = f"; {wal.unfinished_frames} frames of an unfinished one" if wal.unfinished_frames else ""
        yield Finding("wal", ok=True, message=f"{frames}, every checksum right{unfinished}")


def pragma_findings(
    connection: sqlite3.Connection, name: str, owners: Mapping[str, str], limit: int = MAX_MESSAGES
) -> Iterator[Finding | str]:
    """Yield what `quick_check` or `integrity_check` says, a plain string where it stopped at `limit` faults.

    SQLite, 3.40 for one, leaves the list of free pages out where its schema happens to begin with a view or a virtual
    table, so that is asked for by itself, as it was at the same moment, before anything is called well.

    Raises:
        sqlite3.DatabaseError: it could not go on; what it said until then was yielded.
    """
    with _one_moment(connection):
        yield from _of_pages(connection, name, owners, limit)


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Read in one transaction, which is over when the block is; in the one that there is where there is one.

    Who may not write the index of a log cannot begin to read at the moment in which its service begins the log anew.
    """
    if connection.in_transaction:
        yield
        return
    for _ in range(_BEGINNINGS):
        connection.execute("BEGIN")
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except FAILURES as error:
            if fault_of(error)[0] == sqlite3.SQLITE_READONLY:
                connection.execute("ROLLBACK")
                time.sleep(_MOMENT_S)
                continue
        break
    try:
        yield
    finally:
        with suppress(*FAILURES):
            connection.execute("ROLLBACK")


def _of_pages(
    connection: sqlite3.Connection, name: str, owners: Mapping[str, str], limit: int
) -> Iterator[Finding | str]:
    faults = fetched = 0
    try:
        for (text,) in connection.execute(f"PRAGMA {name}({limit})"):
            fetched += 1
            for one in _lines(name, str(text), owners):
                faults += not one.ok
                yield from () if one.ok else (one,)
    except FAILURES:
        # the driver steps ahead, so a check that ends in an error takes its last row with it: ask for that one
        rows = f"SELECT * FROM pragma_{name}({limit}) LIMIT 1 OFFSET {fetched}"  # noqa: S608 (our own names)
        with suppress(*FAILURES):
            for (text,) in connection.execute(rows):
                yield from _lines(name, str(text), owners)
        raise
    if not faults:
        # of the schema's own table it checks the free pages as well (sqlite.org/pragma.html#pragma_integrity_check)
        for (text,) in connection.execute(f"PRAGMA {name}('sqlite_master')"):
            yield from _lines(name, str(text), owners)
    if faults >= limit:
        yield f"{name} found {limit} faults and stopped there"


def foreign_key_findings(connection: sqlite3.Connection) -> Iterator[Finding | str]:
    """Yield a finding for each row without its parent, a plain string where there are too many, or one that is ok.

    Raises:
        sqlite3.DatabaseError: it could not go on.
    """
    name, orphans = "foreign_key_check", 0
    for table, rowid, parent, _ in connection.execute(f"PRAGMA {name}"):
        orphans += 1
        if orphans > MAX_MESSAGES:
            yield f"{name} found more than {MAX_MESSAGES} rows without a parent"
            return
        row = "a row" if rowid is None else f"row {rowid}"
        yield Finding(name, ok=False, message=f"{row} of {table} has no parent in {parent}", table=table)
    if not orphans:
        yield Finding(name, ok=True, message="ok")


@contextmanager
def stopped_after(connection: sqlite3.Connection, budget_s: float) -> Iterator[threading.Event]:
    """Interrupt what the connection does in the block when its time is up; the event tells that it was.

    A timer, since older SQLite checks a whole tree in one step that no progress handler sees into. An interrupted check
    may still end in "ok", about the part it saw.
    """
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    timer = threading.Timer(budget_s, stop)
    timer.start()
    try:
        yield stopped
    finally:
        timer.cancel()
        timer.join()


def owners_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the table of each index by its name, and of each tree by its root page, as far as they can be read."""
    found: dict[str, str] = {}
    try:
        for name, table, root in connection.execute("SELECT name, tbl_name, rootpage FROM sqlite_schema"):
            found[str(name)] = str(table)
            if root:
                found[f"tree {root}"] = str(table)
    except FAILURES:
        pass  # the checks say so themselves
    return found


def row_counts(path: str | Path) -> dict[str, int | None]:
    """Return how many rows each table has, None for one that cannot be read to its end; nothing where none can.

    Raises:
        Unreachable: there is no such file.
        Refused: it may not be read, or is locked.
    """
    if find(str(path)).fault:
        return {}
    with open_readonly(str(path)) as opened:
        try:
            found = opened.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        except FAILURES:
            return {}
        return {str(name): table_rows(opened.connection, str(name)) for (name,) in found}


def quoted_name(name: str) -> str:
    """Return a name of a table or column as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _lines(name: str, text: str, owners: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each line of a message; its heading is none."""
    lines = [line for line in text.splitlines() if not line.startswith("*** in database")]
    return [Finding(name, line == "ok", line, _table_of(line, owners)) for line in lines]


def _table_of(message: str, owners: Mapping[str, str]) -> str | None:
    if index := _INDEX.search(message):
        return owners.get(index[1])
    if named := _NAMED_TABLE.search(message):
        return owners.get(named[1])
    tree = _TREE.search(message)
    return owners.get(f"tree {tree[1]}") if tree else None


def _run(name: str, told: Iterator[Finding | str], findings: list[Finding], gaps: list[str]) -> None:
    try:
        for one in told:
            if isinstance(one, Finding):
                findings.append(one)
            else:
                gaps.append(one)
    except FAILURES as error:
        code, message = fault_of(error)
        if code in DAMAGE:
            findings.append(Finding(name, ok=False, message=message))
        else:
            gaps.append(f"{name} could not be run: {message}")


def _verdicts(opened: Opened, findings: list[Finding], progress: Progress) -> Iterator[TableVerdict]:
    """Yield a verdict for each table: from the whole check where that found nothing, else from one of its own."""
    connection = opened.connection
    try:
        names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    except FAILURES:
        return
    full = [one for one in findings if one.check == "integrity_check"]
    sound = bool(full) and all(one.ok for one in full)
    for done, name in enumerate(sorted(names)):
        progress(f"table {name}", done / len(names))
        messages = [one.message for one in findings if one.table == name and not one.ok]
        whole: bool | None = sound and not messages
        if not sound and not messages:
            own: list[Finding] = []
            unknown: list[str] = []
            _run("integrity_check", _of_table(connection, name), own, unknown)
            messages = [one.message for one in own if not one.ok]
            whole = None if unknown or not own else not messages
        yield TableVerdict(name, whole, table_rows(connection, name), tuple(messages))


def _of_table(connection: sqlite3.Connection, name: str) -> Iterator[Finding | str]:
    for (text,) in connection.execute(f"PRAGMA integrity_check({quoted_name(name)})"):
        yield from _lines("integrity_check", str(text), {})


def table_rows(connection: sqlite3.Connection, name: str) -> int | None:
    """Return how many rows a table has, None where they cannot be read to the end."""
    try:
        # through the table itself: an index may be the part that is damaged
        statement = f"SELECT count(*) FROM {quoted_name(name)} NOT INDEXED"  # noqa: S608 (a quoted name of the schema)
        return int(connection.execute(statement).fetchone()[0])
    except (*FAILURES, sqlite3.Warning):
        return None


@contextmanager
def _watched(file: SqliteFile, told: Callable[[float], None]) -> Iterator[None]:
    """Tell how much of the file was read, by what Linux says this process has read.

    Before 3.46 SQLite checks a whole tree in one step that its own progress handler does not see into.
    """
    begun, done = _read_bytes(), threading.Event()
    if begun is None or not file.size_bytes:
        yield
        return

    def watch() -> None:
        while not done.wait(_POLL_S):
            now = _read_bytes()
            if now is not None:
                told(min(_NEARLY, (now - begun) / file.size_bytes))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _read_bytes() -> int | None:
    try:
        return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
