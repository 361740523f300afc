"""Whether the service's SQLite file is whole: SQLite's own checks, and the checksums of the WAL it never reports on."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event, Timer

from irkit.collect_contract import USUAL, ColumnType, Gap, Limits, Piece, Refused, Table, collector
from irkit.model import Window
from irkit.settings import SqliteTarget
from irkit.sqlite_readonly import FAILURES, Opened, SqliteFile, fault_of, find, open_readonly
from irkit.sqlite_wal import read_wal

_TIME_SHARE = 0.7
# In rollback mode a reader keeps the service from committing, so no statement of ours may take long.
BLOCKING_BUDGET_S = 2.0
MAX_MESSAGES = 100
_WORTH_STARTING_S = 0.05
_COLUMNS: Mapping[str, ColumnType] = {"check": "string", "ok": "bool", "message": "string", "table": "string"}
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})
_INDEX = re.compile(r"\b(?:missing from|in) index (.+?)$")
_NAMED_TABLE = re.compile(r"(?:constraint failed in|value in) ([^.]+?)(?:\.|$)")
_TREE = re.compile(r"\b[Tt]ree (?:page )?(\d+)\b")


@dataclass(slots=True)
class _Findings:
    """What the checks said so far, and which of them could not be finished."""

    rows: list[Mapping[str, object]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, check: str, message: str, *, ok: bool, table: str | None = None) -> None:
        self.rows.append({"check": check, "ok": ok, "message": message, "table": table})


@collector(
    "sqlite-integrity",
    target="sqlite",
    provides=("database_integrity",),
    cost=6,
    command="sqlite3 {target} 'PRAGMA integrity_check'",
)
def collect(target: SqliteTarget, _window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Whether the database is damaged, which quick_check alone cannot rule out."""
    until = time.monotonic() + limits.share_s(_TIME_SHARE)
    findings = _Findings()
    file = find(target.path)
    # before SQLite opens the file: closing one that it has open as well would drop its locks
    _check_log(file, findings, until)
    try:
        if file.fault:
            findings.add("integrity_check", file.fault, ok=False)
        else:
            _check_pages(target.path, findings, until)
    except Refused:
        if findings.rows:
            yield Table("database_integrity", _COLUMNS, findings.rows)
        raise
    yield Table("database_integrity", _COLUMNS, findings.rows)
    yield from map(Gap, findings.gaps)


def _check_pages(path: str, findings: _Findings, until: float) -> None:
    found = replace(findings, rows=[], gaps=[])
    with open_readonly(path) as opened:
        found.owners = _owners(opened)
        for check, run in _CHECKS.items():
            _attempt(check, run, opened, found, until)
        if opened.disturbed():
            raise Refused(f"{path} was written to while it was checked", hint="collect again")
    findings.rows.extend(found.rows)
    findings.gaps.extend(found.gaps)


def _check_log(file: SqliteFile, findings: _Findings, until: float) -> None:
    path = file.path
    try:
        wal = read_wal(path, until)
    except OSError as error:
        findings.gaps.append(f"{path.name}-wal cannot be read: {error.strerror}")
        return
    if wal is None:
        return
    foreign = file.header is not None and wal.page_size_bytes not in (0, file.header.page_size_bytes)
    if wal.damage:
        findings.add("wal", f"{path.name}-wal: {wal.damage}", ok=False)
    elif foreign:
        message = f"{path.name}-wal has pages of {wal.page_size_bytes} bytes: it belongs to another database"
        findings.add("wal", message, ok=False)
    elif not wal.complete:
        findings.gaps.append(f"{path.name}-wal was checked up to frame {wal.frames}, then the time ran out")
    else:
        frames = f"{wal.frames} frames in {wal.transactions} committed transactions"
        unfinished = f"; {wal.unfinished_frames} frames of an unfinished one" if wal.unfinished_frames else ""
        findings.add("wal", f"{frames}, every checksum right{unfinished}", ok=True)


def _run_pragma(check: str, opened: Opened, findings: _Findings) -> None:
    messages = fetched = 0
    try:
        for (text,) in opened.connection.execute(f"PRAGMA {check}({MAX_MESSAGES})"):
            fetched += 1
            messages += _add_lines(check, str(text), findings)
    except FAILURES:
        # the driver steps ahead, so a check that ends in an error takes its last row with it: ask for that one
        rows = f"SELECT * FROM pragma_{check}({MAX_MESSAGES}) LIMIT 1 OFFSET {fetched}"  # noqa: S608 (our own names)
        with suppress(*FAILURES):
            for (text,) in opened.connection.execute(rows):
                _add_lines(check, str(text), findings)
        raise
    if messages >= MAX_MESSAGES:
        findings.gaps.append(f"{check} found {MAX_MESSAGES} faults and stopped there")


def _add_lines(check: str, text: str, findings: _Findings) -> int:
    """Add a row for each finding in a message, and return how many; a heading is none."""
    lines = [line for line in text.splitlines() if not line.startswith("*** in database")]
    for line in lines:
        findings.add(check, line, ok=line == "ok", table=_table_of(line, findings.owners))
    return 0 if lines == ["ok"] else len(lines)


def _check_foreign_keys(check: str, opened: Opened, findings: _Findings) -> None:
    orphans = 0
    for table, rowid, parent, _ in opened.connection.execute(f"PRAGMA {check}"):
        orphans += 1
        if orphans > MAX_MESSAGES:
            findings.gaps.append(f"{check} found more than {MAX_MESSAGES} rows without a parent")
            return
        row = "a row" if rowid is None else f"row {rowid}"
        findings.add(check, f"{row} of {table} has no parent in {parent}", ok=False, table=table)
    if not orphans:
        findings.add(check, "ok", ok=True)


def _attempt(
    check: str, run: Callable[[str, Opened, _Findings], None], opened: Opened, findings: _Findings, until: float
) -> None:
    """Run one check, stop it when its time is up, and tell damage from everything else that can end it."""
    header = opened.file.header
    blocking = opened.how == "read-only" and header is not None and not header.wal
    left_s = until - time.monotonic()
    budget_s = min(left_s, BLOCKING_BUDGET_S) if blocking else left_s
    unfinished = f"{check} was stopped when its time was up: {opened.file.size_bytes / 1e6:.0f} MB is too much for it"
    if budget_s < _WORTH_STARTING_S:
        findings.gaps.append(unfinished)
        return
    stopped = Event()

    def stop() -> None:
        stopped.set()
        opened.connection.interrupt()

    # a timer, since older SQLite checks a whole tree in one step that no progress handler sees into
    timer = Timer(budget_s, stop)
    timer.start()
    earlier = len(findings.rows)
    try:
        run(check, opened, findings)
    except FAILURES as error:
        code, message = fault_of(error)
        if code in _DAMAGE:
            findings.add(check, message, ok=False)
        elif code != sqlite3.SQLITE_INTERRUPT:
            findings.gaps.append(f"{check} could not be run: {message}")
    finally:
        timer.cancel()
        timer.join()
    if stopped.is_set():
        # an interrupted check may still end in "ok", about the part it saw
        findings.rows[earlier:] = [row for row in findings.rows[earlier:] if not row["ok"]]
        findings.gaps.append(unfinished)


def _owners(opened: Opened) -> dict[str, str]:
    """Return the table of each index by its name, and of each tree by its root page."""
    found: dict[str, str] = {}
    try:
        for name, table, root in opened.connection.execute("SELECT name, tbl_name, rootpage FROM sqlite_schema"):
            found[str(name)] = str(table)
            if root:
                found[f"tree {root}"] = str(table)
    except FAILURES:
        pass  # the checks say so themselves
    return found


def _table_of(message: str, owners: Mapping[str, str]) -> str | None:
    if index := _INDEX.search(message):
        return owners.get(index[1])
    if named := _NAMED_TABLE.search(message):
        return owners.get(named[1])
    tree = _TREE.search(message)
    return owners.get(f"tree {tree[1]}") if tree else None


_CHECKS = {"quick_check": _run_pragma, "integrity_check": _run_pragma, "foreign_key_check": _check_foreign_keys}
