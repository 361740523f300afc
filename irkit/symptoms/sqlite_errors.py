"""SQLite errors: what the services log and what opening the file said; damage is kept apart from lock contention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from irkit.diagnose.database_state import failed_checks, is_whole
from irkit.diagnose.health_words import NOTHING_ELSE, said_of
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import Sign, bearing, during, has, over_at, telling_message
from irkit.model import Verdict, VerdictState
from irkit.records import rows_of
from irkit.text.phrase import count, listing, quoted

if TYPE_CHECKING:
    import pandas as pd

_DAMAGED = "Stop what writes to it and keep a copy of the damaged file before anything is tried on it."
_WHOLE_AGAIN = (
    "Its own checks pass now: see that no such error follows; if it was restored, what came after the backup is lost."
)


@symptom("sqlite-errors", incident="database-corruption")
def detect(
    errors: pd.DataFrame | None = None,
    database: Any = None,  # noqa: ANN401 (a JSON document)
    database_integrity: pd.DataFrame | None = None,
    health_body: Any = None,  # noqa: ANN401 (a JSON document)
    requests: pd.DataFrame | None = None,
) -> Verdict:
    """Found when an error in the logs or in the health answer is SQLite's, or opening the file said it is damaged.

    A file that opens is no ground for `clear` where a check of its pages failed: opening reads the first of them.
    """
    said = bearing(errors, Sign.DATABASE)
    damage = bearing(said, Sign.CORRUPTION)
    on_opening = _damage_on_opening(database)
    onset = next(iter((damage if len(damage) else said)["at"].dropna().tolist()), None)
    numbers: dict[str, object] = {"errors": len(said), "errors_of_damage": len(damage)}
    answered = said_of(health_body, Sign.CORRUPTION)
    if len(damage) or on_opening or answered:
        told = [
            f"{count(len(damage), 'error')} of a damaged database in the log{during(damage)}" if len(damage) else ""
        ]
        if len(damage):
            numbers["line"] = line = telling_message(damage)
            told[0] += f", mostly {quoted(line)}"
        told.append(f"opening the file said {quoted(on_opening)}" if on_opening else "")
        if answered:
            told.append(answered.sentence)
            numbers["health_answer"] = answered.words
        sentence = "; ".join(part for part in told if part)
        advice = _WHOLE_AGAIN if not on_opening and is_whole(rows_of(database_integrity)) else _DAMAGED
        sentence = f"{sentence[:1].upper()}{sentence[1:]}."
        until = None if on_opening or answered else over_at(damage["at"].dropna().tolist(), requests)
        return Verdict(VerdictState.FOUND, sentence, advice, onset, 0.98, numbers, until=until)
    if len(said):
        numbers["line"] = line = telling_message(said)
        locked = len(bearing(said, Sign.CONTENTION)) == len(said)
        kind = "all of them of a locked database, none of damage" if locked else "none of them of damage"
        sentence = f"{count(len(said), 'SQLite error')} in the log{during(said)}, {kind}: {quoted(line)}."
        advice = (
            "Find who holds the lock: a long transaction, a backup." if locked else "Read them; damage looks different."
        )
        explained_by = "lock contention" if locked else ""
        until = over_at(said["at"].dropna().tolist(), requests)
        return Verdict(VerdictState.FOUND, sentence, advice, onset, 0.5, numbers, explained_by, until=until)
    if errors is None and database is None:
        advice = "Collect the containers' logs, and say where the database is."
        return Verdict(VerdictState.UNKNOWN, NOTHING_ELSE, advice, numbers=numbers)
    if errors is None:
        sentence = (
            "The file opened without complaint, but the logs, where a service's errors would be, were not collected."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers' logs.", numbers=numbers)
    logged = f"None of {count(len(errors), 'error')} in the log is" if len(errors) else "No error in the log is"
    if failed := failed_checks(rows_of(database_integrity)):
        sentence = f"{logged} SQLite's, but its own {listing(failed)} failed: who reads what is damaged gets an error."
        advice = "Ask the service for what it reads from each table, and look at its log again."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers=numbers)
    opened = ", and the file opened without complaint" if database is not None and not _error(database) else ""
    sentence = f"{logged} SQLite's{opened}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.9 if opened else 0.8, numbers=numbers)


def _error(database: Any) -> str:  # noqa: ANN401
    return str(database.get("error") or "") if isinstance(database, dict) else ""


def _damage_on_opening(database: Any) -> str:  # noqa: ANN401
    error = _error(database)
    return error if has(Sign.CORRUPTION, error) else ""


def _errors(message: str, number: int = 3) -> list[dict[str, object]]:
    return [
        {"at": f"2026-11-24T03:05:{second:02d}Z", "service": "jarvis-api", "message": message, "line": message}
        for second in range(number)
    ]


FIRES = (
    Example("a malformed image", {"errors": _errors("sqlite3.DatabaseError: database disk image is malformed", 1)}),
    Example("the health answer names it", {"health_body": {"json": {"checks": {"orders": "disk image is malformed"}}}}),
    Example("not a database", {"database": {"path": "data/jarvis.db", "error": "file is not a database"}}),
    Example("locked, which is no damage", {"errors": _errors("sqlite3.OperationalError: database is locked")}),
)
QUIET = (
    Example("other errors", {"errors": _errors("KeyError: 'session_secret'"), "database": {"error": None}}),
    Example("no errors", {"errors": [], "database": {"path": "data/jarvis.db", "error": None}}),
)
