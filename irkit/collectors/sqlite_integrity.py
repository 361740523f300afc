"""Whether the service's SQLite file is whole: SQLite's own checks, and the checksums of the WAL it never reports on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Refused, Table, collector
from irkit.model import Window
from irkit.settings import SqliteTarget
from irkit.sqlite.check import (
    DAMAGE,
    Finding,
    foreign_key_findings,
    owners_of,
    pragma_findings,
    stopped_after,
    wal_findings,
)
from irkit.sqlite.parts import findings_of, parts_of
from irkit.sqlite.readonly import FAILURES, Changing, Opened, SqliteFile, fault_of, find, open_readonly

_TIME_SHARE = 0.7
# In rollback mode a reader keeps the service from committing, so no statement of ours may take long.
BLOCKING_BUDGET_S = 2.0
_WORTH_STARTING_S = 0.05
_OF_PAGES = frozenset({"quick_check", "integrity_check"})
_COLUMNS: Mapping[str, ColumnType] = {"check": "string", "ok": "bool", "message": "string", "table": "string"}


@dataclass(slots=True)
class _Findings:
    """What the checks said so far, and which of them could not be finished."""

    rows: list[Mapping[str, object]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, check: str, message: str, *, ok: bool, table: str | None = None) -> None:
        self.rows.append({"check": check, "ok": ok, "message": message, "table": table})

    def take(self, told: Iterator[Finding | str]) -> None:
        for one in told:
            if isinstance(one, Finding):
                self.add(one.check, one.message, ok=one.ok, table=one.table)
            else:
                self.gaps.append(one)


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
    """Check the pages as they were at one moment, as often as it takes and there is time for."""
    snapshot = False
    while not (found := _checked_once(path, findings, until, snapshot=snapshot)):
        if until - time.monotonic() < _WORTH_STARTING_S:
            raise Refused(f"{path} was written to each time it was checked", hint="collect again, or check a backup")
        snapshot = True
    findings.rows.extend(found.rows)
    findings.gaps.extend(found.gaps)


def _checked_once(path: str, findings: _Findings, until: float, *, snapshot: bool) -> _Findings | None:
    """Return what the checks say, None where somebody wrote to the file meanwhile."""
    found = replace(findings, rows=[], gaps=[])
    try:
        with open_readonly(path, snapshot=snapshot) as opened:
            found.owners = owners_of(opened.connection)
            for check, run in _CHECKS.items():
                _attempt(check, run, opened, found, until)
            if any(row["check"] in _OF_PAGES and not row["ok"] for row in found.rows):
                parts = parts_of(opened, until)
                found.take(findings_of(parts) if parts else iter(()))
            return None if opened.disturbed() else found
    except Changing:
        return None


def _check_log(file: SqliteFile, findings: _Findings, until: float) -> None:
    findings.take(wal_findings(file, until))


def _run_pragma(check: str, opened: Opened, findings: _Findings) -> None:
    findings.take(pragma_findings(opened.connection, check, findings.owners))


def _check_foreign_keys(_check: str, opened: Opened, findings: _Findings) -> None:
    findings.take(foreign_key_findings(opened.connection))


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
    earlier = len(findings.rows)
    with stopped_after(opened.connection, budget_s) as stopped:
        try:
            run(check, opened, findings)
        except FAILURES as error:
            code, message = fault_of(error)
            if code in DAMAGE:
                findings.add(check, message, ok=False)
            elif code != sqlite3.SQLITE_INTERRUPT:
                findings.gaps.append(f"{check} could not be run: {message}")
    if stopped.is_set():
        findings.rows[earlier:] = [row for row in findings.rows[earlier:] if not row["ok"]]
        findings.gaps.append(unfinished)


_CHECKS = {"quick_check": _run_pragma, "integrity_check": _run_pragma, "foreign_key_check": _check_foreign_keys}
