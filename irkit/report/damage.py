"""Sections for database corruption: the checks, what is damaged and what can still be read, the errors in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from irkit.diagnose import database_state
from irkit.diagnose.database_state import CheckState, TableDamage
from irkit.diagnose.signs import Sign, bearing, has
from irkit.model import Outcome
from irkit.records import Row, rows_of, text_of, time_of
from irkit.report.excerpt import quoted
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap, Shown
from irkit.text.phrase import size

_MAX_MESSAGES = 20
_MAX_ERRORS = 10
_MEANING = {
    "quick_check": "the pages and trees, without comparing the indexes with their tables",
    "integrity_check": "the pages, the trees, and every index against its table",
    "foreign_key_check": "rows whose parent is missing",
    "parts": "each table by itself, without its indexes and with one at a time, on a copy",
    "wal": "the checksums of what is written and not yet in the file",
}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check: what it looks at, how it ended, and why it is unknown where it is."""

    state: CheckState
    meaning: str
    why_unknown: str


@dataclass(frozen=True, slots=True, repr=False)
class Integrity(Shown):
    """SQLite's checks by kind; each message of those that failed, with the checks that gave it."""

    heading: ClassVar[str] = "Integrity checks"
    anchor: ClassVar[str] = "integrity"
    rows: tuple[CheckRow, ...]
    messages: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Damage(Shown):
    """What is damaged and what can still be read: the file, its schema, and each table."""

    heading: ClassVar[str] = "What is damaged, what can be read"
    anchor: ClassVar[str] = "damage"
    path: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    tables: tuple[TableDamage, ...]
    unplaced: int
    checked: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Errors of the database that say the same: how many, of which services, from when to when; the latest."""

    kind: str
    count: int
    services: tuple[str, ...]
    first: datetime | None
    last: datetime | None
    example: Claim


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseErrors(Shown):
    """What the services log of the database, damage first; `total` errors in all."""

    heading: ClassVar[str] = "Database errors in the log"
    anchor: ClassVar[str] = "database-errors"
    rows: tuple[ErrorRow, ...]
    total: int
    evidence: tuple[str, ...]


def integrity(of: Material) -> Integrity | Gap:
    """Return how each check ended."""
    if of.view.table("database_integrity") is None:
        return _gap(of, Integrity.heading, "database_integrity")
    rows = of.view.records("database_integrity")
    states = database_state.checks_of(rows)
    run = of.view.source.run_for("database_integrity")
    why = run.reason if run and run.outcome is not Outcome.COLLECTED else ""
    failed: dict[str, list[str]] = {}
    for one in states:
        for message in one.messages if one.ok is False else ():
            failed.setdefault(message, []).append(one.check)
    return Integrity(
        tuple(CheckRow(one, _MEANING.get(one.check, ""), _why(one, why, of)) for one in states),
        tuple((message, tuple(dict.fromkeys(checks))) for message, checks in list(failed.items())[:_MAX_MESSAGES]),
        max(len(failed) - _MAX_MESSAGES, 0),
        of.view.ids("database_integrity"),
    )


def damage(of: Material) -> Damage | Gap:
    """Return the file's own facts and, table by table, whether a check names it."""
    database = of.document("database")
    rows = of.view.records("database_integrity")
    checked = of.view.table("database_integrity") is not None
    if database is None and not checked:
        return _gap(of, Damage.heading, "database")
    database = database or {}
    names = [one.name for one in database_state.tables_of(database, None)]
    failed = [row for row in rows if row.get("ok") is False and not text_of(row, "table") and row["check"] != "wal"]
    said = {text_of(row, "message") for row in failed}  # several checks say the same
    return Damage(
        str(database.get("path") or "the database"),
        tuple(_facts(database)),
        tuple(_notes(database, rows)),
        database_state.damage_of(names, rows),
        len(said),
        checked,
        of.view.ids("database", "database_integrity"),
    )


def database_errors(of: Material) -> DatabaseErrors | Gap:
    """Return the errors of the database in the log, those that say the same together."""
    errors = of.view.table("errors")
    if errors is None:
        return _gap(of, DatabaseErrors.heading, "logs")
    alike: dict[str, list[Row]] = {}
    for row in rows_of(bearing(errors, Sign.DATABASE, Sign.CORRUPTION, Sign.UNREADABLE)):
        alike.setdefault(text_of(row, "message") or text_of(row, "line").partition("\n")[0], []).append(row)
    made = [_error_row(message, rows, of) for message, rows in alike.items()]
    made.sort(key=lambda row: (row.kind != "damage", -row.count))
    return DatabaseErrors(tuple(made[:_MAX_ERRORS]), sum(row.count for row in made), of.view.ids("logs"))


def _error_row(message: str, rows: list[Row], of: Material) -> ErrorRow:
    times = sorted(at for row in rows if (at := time_of(row, "at")))
    kinds = (("damage", Sign.CORRUPTION), ("lock contention", Sign.CONTENTION), ("cannot be read", Sign.UNREADABLE))
    kind = next((name for name, sign in kinds if has(sign, message)), "other")
    services = tuple(sorted({text_of(row, "service") for row in rows} - {""}))
    example = Claim(message, of.view.ids("logs"), *quoted(text_of(rows[-1], "line")))
    return ErrorRow(kind, len(rows), services, times[0] if times else None, times[-1] if times else None, example)


def _facts(database: Mapping[str, Any]) -> list[tuple[str, str]]:
    made = []
    for name, key in (("File", "size_bytes"), ("Write-ahead log", "wal_size_bytes")):
        if isinstance(database.get(key), int):
            made.append((name, size(database[key])))
    if isinstance(database.get("page_count"), int):
        made.append(("Pages", f"{database['page_count']} of {database.get('page_size')} bytes"))
    if database.get("journal_mode"):
        made.append(("Journal mode", str(database["journal_mode"])))
    if "schema" in database:
        error = database.get("error")
        made.append(("Schema", f"not readable: {error}" if error else f"read, {len(database['schema'] or ())} objects"))
    return made


def _notes(database: Mapping[str, Any], rows: list[Row]) -> list[str]:
    notes = []
    if isinstance(database.get("wal_size_bytes"), int) and database["wal_size_bytes"]:
        path = database.get("path") or "the database"
        notes.append(
            f"The latest writes are in {path}-wal and not yet in the file: a backup without it loses them, and a file "
            "restored beside it is mixed with them. Copy the two together; before a restore, move the old -wal away."
        )
    if any(text_of(row, "check") == "wal" and row.get("ok") is False for row in rows):
        notes.append("SQLite drops what stands after a wrong checksum in the write-ahead log, without an error.")
    return notes


def _why(one: CheckState, why: str, of: Material) -> str:
    if one.ok is not None:
        return ""
    database = of.document("database") or {}
    if one.check == "wal" and database.get("journal_mode") not in (None, "wal"):
        return "the database keeps no write-ahead log"
    return why or "it is not in the evidence"


def _gap(of: Material, title: str, kind: str) -> Gap:
    reason, hint = of.view.why_missing(kind)
    return Gap(title, f"{reason}.", hint)
