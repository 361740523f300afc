"""Read failures: the database cannot be opened or read, as told by the services' errors and by our own look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from irkit.diagnose import Example, symptom
from irkit.model import Verdict, VerdictState
from irkit.phrase import count, quoted
from irkit.signs import Sign, bearing, during, telling_message

if TYPE_CHECKING:
    import pandas as pd

# a lock or a permission kept us out: that is our failure to look, not the service's to read
_OUR_OWN = re.compile(
    r"locked|busy|permission|may not be read|too large|written to while|in the middle of", re.IGNORECASE
)


@symptom("read-failures", incident="database-corruption")
def detect(
    errors: pd.DataFrame | None = None,
    database: Any = None,  # noqa: ANN401 (a JSON document)
) -> Verdict:
    """Found when services log that the database cannot be read, or reading its schema failed for us too."""
    said = bearing(errors, Sign.CORRUPTION, Sign.UNREADABLE)
    error = str(database.get("error") or "") if isinstance(database, dict) else ""
    ours = "" if _OUR_OWN.search(error) else error
    onset = next(iter(said["at"].dropna().tolist()), None)
    numbers: dict[str, object] = {"errors": len(said), "read_by_us": isinstance(database, dict) and not error}
    if len(said) or ours:
        told = [f"{count(len(said), 'read')} failed{during(said)}" if len(said) else ""]
        if len(said):
            numbers["line"] = line = telling_message(said)
            told[0] += f", mostly with {quoted(line)}"
        told.append(f"reading its schema failed for irkit too: {quoted(ours)}" if ours else "")
        sentence = "; ".join(part for part in told if part)
        advice = "Keep the file as it is; see whether its disk has faults before blaming the file."
        confidence = 0.95 if len(said) else 0.9
        return Verdict(VerdictState.FOUND, f"{sentence[:1].upper()}{sentence[1:]}.", advice, onset, confidence, numbers)
    if error:
        sentence = f"No service logs a failed read, and irkit could not look itself: {quoted(error)}."
        return Verdict(VerdictState.UNKNOWN, sentence, "Look again when nothing holds the file.", numbers=numbers)
    if errors is None:
        sentence = "The schema could be read, but the logs, where failed reads would be, were not collected."
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers' logs.", numbers=numbers)
    read = ", and irkit read its schema" if isinstance(database, dict) else ""
    logged = f"None of {count(len(errors), 'error')} in the log tells" if len(errors) else "No error in the log tells"
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
