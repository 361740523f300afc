"""Data inconsistency: SQLite's own checks, its foreign keys, and the checksums of its write-ahead log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from irkit.diagnose import Example, symptom
from irkit.model import Verdict, VerdictState
from irkit.phrase import count, listing, quoted
from irkit.records import rows_of, text_of

if TYPE_CHECKING:
    import pandas as pd

_FULL = "integrity_check"
# what was found by checking each table and index by itself, on a copy
_PARTS = "parts"


@symptom("data-inconsistency", incident="database-corruption")
def detect(database_integrity: pd.DataFrame) -> Verdict:
    """Found when a check failed; clear only after a full integrity check, since quick_check skips the indexes."""
    rows = [row for row in rows_of(database_integrity) if text_of(row, "check")]
    failed = [row for row in rows if row.get("ok") is False and row["check"] != _PARTS]
    parts = list(
        dict.fromkeys(text_of(row, "message") for row in rows if row["check"] == _PARTS and row.get("ok") is False)
    )
    passed = list(
        dict.fromkeys(text_of(row, "check") for row in rows if row.get("ok") is True and row["check"] != _PARTS)
    )
    checks = list(dict.fromkeys(text_of(row, "check") for row in failed))
    numbers: dict[str, object] = {"failed": checks, "passed": [name for name in passed if name not in checks]}
    if failed:
        tables = [text_of(row, "table") for row in failed if text_of(row, "table")]
        numbers |= {
            "messages": len(failed),
            "tables": list(dict.fromkeys(tables)),
            "line": text_of(failed[0], "message"),
        }
        where = f" in {listing(tables)}" if tables else ""
        # one fault is told by several checks, so that their sum would count it twice
        told = Counter(text_of(row, "check") for row in failed)
        by_check = listing(f"{name} ({count(told[name], 'message')})" for name in checks)
        sentence = (
            f"SQLite's {by_check} failed{where}, the first message is {quoted(text_of(failed[0], 'message'))}; "
            "a check tells what is damaged, not since when."
        )
        if parts:
            numbers["parts"] = parts
            sentence += f" By itself, on a copy: {'; '.join(parts)}."
        advice = "Stop what writes to it, keep the damaged file, and check the backup before you restore it."
        return Verdict(VerdictState.FOUND, sentence, advice, None, 0.99, numbers)
    if _FULL not in passed:
        sentence = (
            f"The full integrity check did not finish ({listing(passed)} passed), and less does not rule damage out."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Run integrity_check on a copy of the file.", numbers=numbers)
    return Verdict(VerdictState.CLEAR, f"SQLite's {listing(passed)} passed.", confidence=0.95, numbers=numbers)


def _row(check: str, message: str, table: str | None = None, *, ok: bool) -> dict[str, object]:
    return {"check": check, "ok": ok, "message": message, "table": table}


FIRES = (
    Example(
        "an index lacks rows, which quick_check does not see",
        {
            "database_integrity": [
                _row("quick_check", "ok", ok=True),
                _row("integrity_check", "row 7 missing from index messages_conversation", "messages", ok=False),
            ]
        },
    ),
    Example(
        "orphans",
        {
            "database_integrity": [
                _row("integrity_check", "ok", ok=True),
                _row("foreign_key_check", "row 9 of messages has no parent in conversations", "messages", ok=False),
            ]
        },
    ),
)
QUIET = (
    Example(
        "everything passed",
        {"database_integrity": [_row(check, "ok", ok=True) for check in ("quick_check", "integrity_check", "wal")]},
    ),
)
