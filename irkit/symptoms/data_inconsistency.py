"""Data inconsistency: SQLite's own checks, its foreign keys, and the checksums of its write-ahead log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.wholeness import unless_cut
from irkit.model import Verdict, VerdictState
from irkit.onset.checks import CheckHistory, FailedRun, check_histories
from irkit.records import Row, rows_of, text_of
from irkit.text.phrase import between, clock, count, listing, quoted

if TYPE_CHECKING:
    import pandas as pd

_FULL = "integrity_check"
# what was found by checking each table and index by itself, on a copy
_PARTS = "parts"
# the recorder runs the full check alone, which does all that the quick one does
_RECORDED = {"quick_check": _FULL}
_ADVICE = "Stop what writes to it, keep the damaged file, and check the backup before you restore it."


@symptom("data-inconsistency", incident="database-corruption")
def detect(
    cut: Mapping[str, str],
    missing: Mapping[str, str],
    database_integrity: pd.DataFrame | None = None,
    database_history: pd.DataFrame | None = None,
) -> Verdict:
    """Found when a check failed; clear only after a full integrity check, since quick_check skips the indexes.

    Since when is what the flight recorder's looks tell: between the last that passed and the first that failed. A check
    that failed in looks of its and passes now is found with its end.
    """
    rows = [row for row in rows_of(database_integrity) if text_of(row, "check")]
    failed = [row for row in rows if row.get("ok") is False and row["check"] != _PARTS]
    passed = list(
        dict.fromkeys(text_of(row, "check") for row in rows if row.get("ok") is True and row["check"] != _PARTS)
    )
    checks = list(dict.fromkeys(text_of(row, "check") for row in failed))
    numbers: dict[str, object] = {"failed": checks, "passed": [name for name in passed if name not in checks]}
    histories = check_histories(database_history)
    if failed:
        return _damaged(rows, failed, histories, numbers)
    recorded = [run for seen in histories.values() if (run := seen.run)]
    lasting = [run for run in recorded if run.passes is None and run.check not in passed]
    if lasting:
        return _recorded(lasting, passed, numbers)
    if database_integrity is None:
        return _not_looked_at(missing.get("database_integrity", ""), histories, numbers)
    if _FULL not in passed:
        sentence = (
            f"The full integrity check did not finish ({listing(passed)} passed), and less does not rule damage out."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Run integrity_check on a copy of the file.", numbers=numbers)
    over = [run for run in recorded if run.passes or run.last > run.failed]
    if over:
        return _over(over, passed, numbers)
    clear = Verdict(VerdictState.CLEAR, f"SQLite's {listing(passed)} passed.", confidence=0.95, numbers=numbers)
    # the recorder's looks add times alone: what of them is missing hides no damage that is there now
    return unless_cut(clear, [cut.get("database_integrity", "")])


def _damaged(
    rows: list[Row], failed: list[Row], histories: Mapping[str, CheckHistory], numbers: dict[str, object]
) -> Verdict:
    checks = list(dict.fromkeys(text_of(row, "check") for row in failed))
    tables = [text_of(row, "table") for row in failed if text_of(row, "table")]
    line = text_of(failed[0], "message")
    numbers |= {"messages": len(failed), "tables": list(dict.fromkeys(tables)), "line": line}
    where = f" in {listing(tables)}" if tables else ""
    # one fault is told by several checks, so that their sum would count it twice
    told = Counter(text_of(row, "check") for row in failed)
    by_check = listing(f"{name} ({count(told[name], 'message')})" for name in checks)
    sentence = f"SQLite's {by_check} failed{where}, the first message is {quoted(line)}; "
    names = list(dict.fromkeys(_RECORDED.get(name, name) for name in checks))
    seen = [one for name in names if (one := histories.get(name))]
    runs = [one.run for one in seen if one.run and one.run.passes is None]
    if runs:
        sentence += "; ".join(map(_since, _alike(runs)))
    elif seen and (last := max((one.last_passed for one in seen if one.last_passed), default=None)):
        numbers["onset_earliest"] = last
        sentence += f"the flight recorder's last look, at {clock(last)}, passed"
    else:
        sentence += "a check tells what is damaged, not since when"
    sentence += "."
    parts = list(
        dict.fromkeys(text_of(row, "message") for row in rows if row["check"] == _PARTS and row.get("ok") is False)
    )
    if parts:
        numbers["parts"] = parts
        sentence += f" By itself, on a copy: {'; '.join(parts)}."
    return _found(sentence, runs, 0.99, numbers)


def _recorded(runs: list[FailedRun], passed: list[str], numbers: dict[str, object]) -> Verdict:
    """Tell of checks that failed in the recorder's last look and could not be made, or finished, since."""
    numbers |= {"failed": [run.check for run in runs], "line": runs[0].message}
    since = "; ".join(map(_since, _alike(runs)))
    now = f"{listing(passed)} passed" if passed else "none was finished"
    sentence = (
        f"By the flight recorder, {since}, with the first message {quoted(runs[0].message)}; of the checks made since, "
        f"{now}."
    )
    return _found(sentence, runs, 0.9, numbers)


def _not_looked_at(why: str, histories: Mapping[str, CheckHistory], numbers: dict[str, object]) -> Verdict:
    """Say that nobody looked when evidence was collected: that a check passed before rules no damage out."""
    last = max((one.last_passed for one in histories.values() if one.last_passed), default=None)
    before = f" The flight recorder's last look that passed was at {clock(last)}." if last else ""
    sentence = f"Not looked at: {why}.{before}"
    return Verdict(VerdictState.UNKNOWN, sentence, "Run integrity_check on a copy of the file.", numbers=numbers)


def _over(runs: list[FailedRun], passed: list[str], numbers: dict[str, object]) -> Verdict:
    told = "; ".join(
        f"{run.check} failed{between(run.failed, run.last)}, first with {quoted(run.message)}, and passes again"
        + (f" since {clock(run.passes)}" if run.passes else "")
        for run in runs
    )
    numbers |= {"failed_before": [run.check for run in runs], "line": runs[0].message}
    sentence = f"By the flight recorder, {told}; SQLite's {listing(passed)} pass now."
    until = max(run.passes or run.last for run in runs)
    verdict = _found(sentence, runs, 0.8, numbers)
    advice = "If nobody restored it, find what mended it; a restore loses what was written since the backup."
    return Verdict(verdict.state, sentence, advice, verdict.onset, 0.8, numbers, until=until)


def _found(sentence: str, runs: Iterable[FailedRun], confidence: float, numbers: dict[str, object]) -> Verdict:
    """Return the verdict with its onset, where a look passed before one failed: what failed at once began earlier."""
    first = min((run for run in runs if run.passed), key=lambda run: run.failed, default=None)
    if first:
        numbers["onset_earliest"] = first.passed
    return Verdict(VerdictState.FOUND, sentence, _ADVICE, first.failed if first else None, confidence, numbers)


def _alike(runs: list[FailedRun]) -> list[tuple[list[str], FailedRun]]:
    """Return the names of the checks that failed at the same look, with one of their runs."""
    together: dict[tuple[object, str], tuple[list[str], FailedRun]] = {}
    for run in runs:
        key = (run.passed, clock(run.failed))
        together.setdefault(key, ([], run))[0].append(run.check)
    return list(together.values())


def _since(told: tuple[list[str], FailedRun]) -> str:
    names, run = told
    if run.passed is None:
        return f"{listing(names)} failed already at the flight recorder's first look, at {clock(run.failed)}"
    return f"{listing(names)} passed at {clock(run.passed)} and failed from {clock(run.failed)} on"


def _row(check: str, message: str, table: str | None = None, *, ok: bool) -> dict[str, object]:
    return {"check": check, "ok": ok, "message": message, "table": table}


def _look(second: int, *, ok: bool | None, check: str = _FULL, message: str | None = None) -> dict[str, object]:
    return {"at": f"2026-11-24T03:04:{second:02d}Z", "check": check, "ok": ok, "message": message, "duration_s": 0.01}


_ORPHAN = "row 9 of messages has no parent in conversations"
_KEYS = "foreign_key_check"
_WHOLE = [_row(check, "ok", ok=True) for check in ("quick_check", _FULL, _KEYS)]
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
                _row("foreign_key_check", _ORPHAN, "messages", ok=False),
            ]
        },
    ),
    Example(
        "orphans, since a look of the recorder",
        {
            "database_integrity": [_row(_FULL, "ok", ok=True), _row(_KEYS, _ORPHAN, "messages", ok=False)],
            "database_history": [
                _look(10, ok=True, check=_KEYS),
                _look(20, ok=False, check=_KEYS, message=_ORPHAN),
                _look(30, ok=None, check=_KEYS, message="it was written to while it was checked"),
            ],
        },
    ),
    Example(
        "damaged before the recorder first looked",
        {
            "database_integrity": [_row(_FULL, "row 7 missing from index i", ok=False)],
            "database_history": [_look(10, ok=False), _look(20, ok=False)],
        },
    ),
    Example(
        "damaged for a while, and restored",
        {
            "database_integrity": _WHOLE,
            "database_history": [
                _look(10, ok=True),
                *(_look(second, ok=False, message="row 7 missing from index i") for second in (20, 30)),
                _look(40, ok=True),
            ],
        },
    ),
)
QUIET = (
    Example(
        "everything passed",
        {"database_integrity": [_row(check, "ok", ok=True) for check in ("quick_check", "integrity_check", "wal")]},
    ),
    Example(
        "orphans for a moment, as of a batch that writes children first",
        {
            "database_integrity": _WHOLE,
            "database_history": [
                _look(10, ok=True, check=_KEYS),
                _look(20, ok=False, check=_KEYS, message=_ORPHAN),
                _look(30, ok=True, check=_KEYS),
            ],
        },
    ),
    Example(
        "looks that could not be made",
        {"database_integrity": _WHOLE, "database_history": [_look(second, ok=None) for second in (10, 20)]},
    ),
)
