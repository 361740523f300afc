"""Read failures: the database cannot be opened or read, as told by the services' errors and by our own look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from irkit.diagnose.database_state import failed_checks
from irkit.diagnose.health_words import NOTHING_ELSE, said_of
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import Sign, bearing, during, over_at, telling_message
from irkit.model import Verdict, VerdictState
from irkit.records import rows_of
from irkit.text.phrase import count, listing, quoted

if TYPE_CHECKING:
    import pandas as pd

# a lock or a permission kept us out: that is our failure to look, not the service's to read
_OUR_OWN = re.compile(
    r"locked|busy|permission|may not be read|too large|written to|somebody wrote|keeps changing|in the middle of",
    re.IGNORECASE,
)


@symptom("read-failures", incident="database-corruption")
def detect(
    errors: pd.DataFrame | None = None,
    database: Any = None,  # noqa: ANN401 (a JSON document)
    database_integrity: pd.DataFrame | None = None,
    health_body: Any = None,  # noqa: ANN401 (a JSON document)
    requests: pd.DataFrame | None = None,
) -> Verdict:
    """Found when services log or answer that the database cannot be read, or reading its schema failed for us too.

    That the schema can be read is no ground for `clear` where a check of the pages failed.
    """
    said = bearing(errors, Sign.CORRUPTION, Sign.UNREADABLE)
    error = str(database.get("error") or "") if isinstance(database, dict) else ""
    ours = "" if _OUR_OWN.search(error) else error
    onset = next(iter(said["at"].dropna().tolist()), None)
    numbers: dict[str, object] = {"errors": len(said), "read_by_us": isinstance(database, dict) and not error}
    answered = said_of(health_body, Sign.CORRUPTION, Sign.UNREADABLE)
    if len(said) or ours or answered:
        told = [f"{count(len(said), 'read')} failed{during(said)}" if len(said) else ""]
        if len(said):
            numbers["line"] = line = telling_message(said)
            told[0] += f", mostly with {quoted(line)}"
        told.append(f"reading its schema failed for irkit too: {quoted(ours)}" if ours else "")
        if answered:
            told.append(answered.sentence)
            numbers["health_answer"] = answered.words
        sentence = "; ".join(part for part in told if part)
        advice = "Keep the file as it is; see whether its disk has faults before blaming the file."
        confidence = 0.95 if len(said) else 0.9
        sentence = f"{sentence[:1].upper()}{sentence[1:]}."
        until = None if ours or answered else over_at(said["at"].dropna().tolist(), requests)
        return Verdict(VerdictState.FOUND, sentence, advice, onset, confidence, numbers, until=until)
    if error:
        sentence = f"No service logs a failed read, and irkit could not look itself: {quoted(error)}."
        return Verdict(VerdictState.UNKNOWN, sentence, "Look again when nothing holds the file.", numbers=numbers)
    if errors is None and database is None:
        advice = "Collect the containers' logs, and say where the database is."
        return Verdict(VerdictState.UNKNOWN, NOTHING_ELSE, advice, numbers=numbers)
    if errors is None:
        sentence = "The schema could be read, but the logs, where failed reads would be, were not collected."
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers' logs.", numbers=numbers)
    logged = f"None of {count(len(errors), 'error')} in the log tells" if len(errors) else "No error in the log tells"
    if failed := failed_checks(rows_of(database_integrity)):
        sentence = (
            f"{logged} of a read that failed, and irkit read the schema, but SQLite's {listing(failed)} failed: other "
            "parts of the file may not be readable."
        )
        advice = "Read each table to its end: `irkit act … integrity-check` counts their rows."
        return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers=numbers)
    read = ", and irkit read its schema" if isinstance(database, dict) else ""
    sentence = f"{logged} of a read that failed{read}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.85 if read else 0.7, numbers=numbers)


def _errors(message: str) -> list[dict[str, object]]:
    return [{"at": "2026-11-24T03:05:00Z", "service": "jarvis-api", "message": message, "line": message}]


FIRES = (
    Example("pages are malformed", {"errors": _errors("sqlite3.DatabaseError: database disk image is malformed")}),
    Example("it cannot be opened", {"errors": _errors("sqlite3.OperationalError: unable to open database file")}),
    Example("our own look failed", {"database": {"path": "data/jarvis.db", "error": "file is not a database"}}),
)
QUIET = (
    Example(
        "locked, yet readable",
        {"errors": _errors("sqlite3.OperationalError: database is locked"), "database": {"error": None}},
    ),
    Example("nothing logged", {"errors": [], "database": {"path": "data/jarvis.db", "error": None}}),
)
