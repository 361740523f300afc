"""One look at the service's SQLite file, for the flight recorder: SQLite's checks, bounded, and in nobody's way.

Damage says nothing when it happens: a check that passed and one that failed later give it a time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from irkit.collect.contract import Refused
from irkit.recorder.history import Sample
from irkit.settings import SqliteTarget
from irkit.sqlite.check import DAMAGE, Finding, foreign_key_findings, pragma_findings, stopped_after
from irkit.sqlite.readonly import FAILURES, Opened, SqliteFile, fault_of, find, open_readonly
from irkit.sqlite.wal_watch import WalWatch

# twice what both checks may take: damage is looked at again before it is believed
DEADLINE_S = 2.0
_BUDGET_S = 0.4
# before 3.43 SQLite checks all trees in one step that nothing interrupts: this much takes about as long
MAX_INTEGRITY_BYTES = 64 * 1024 * 1024
# for some hundred new frames, which a log seldom gets between two looks
_LOG_BUDGET_S = 0.05
# what was too large may have been so for a busy moment, or be smaller now
_TRY_AGAIN_S = 3600.0
# a file that is being replaced is empty for a moment
_MOMENT_S = 0.05
_FULL = "integrity_check"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a check ended: `ok` is None where it could not be made, which never reads as passed."""

    ok: bool | None
    message: str = ""
    took_s: float = 0.0
    unfinished: bool = False


def _integrity(connection: sqlite3.Connection) -> Iterator[Finding | str]:
    # the first fault is enough to know since when; the collector tells them all
    return pragma_findings(connection, _FULL, {}, limit=1)


# which does all that quick_check does
_CHECKS: Mapping[str, Callable[[sqlite3.Connection], Iterator[Finding | str]]] = {
    _FULL: _integrity,
    "foreign_key_check": foreign_key_findings,
}


class DatabaseSampler:
    """Checks the file at each look, also when nobody wrote to it: a failing disk leaves its time of change alone.

    It takes no lock that a writer would wait for or fail at, and gives a check up that takes too long: of a file too
    large for it only the sizes are kept, until it is tried again an hour later.
    """

    def __init__(self, target: SqliteTarget, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._clock = clock
        self._given_up: dict[str, tuple[_Verdict, float]] = {}
        self._log: WalWatch | None = None

    def look(self) -> Sample:
        """Return a row for each check, and for the log where the service counts on it, with the sizes of both.

        Raises:
            Unreachable: there is no such file.
        """
        at = self._clock()
        sizes: Mapping[str, object] = {}
        try:
            file = find(self._target.path)
            sizes = {"size_bytes": file.size_bytes, "wal_size_bytes": file.wal_size_bytes}
            verdicts = self._verdicts(file)
        except Refused as error:
            verdicts = dict.fromkeys(_CHECKS, _Verdict(None, str(error)))
        rows = [
            {"at": at, "check": name, "ok": one.ok, "message": one.message or None, "duration_s": one.took_s, **sizes}
            for name, one in verdicts.items()
        ]
        return Sample(rows, tuple(one.message for one in verdicts.values() if one.unfinished))

    def _verdicts(self, file: SqliteFile) -> Mapping[str, _Verdict]:
        if file.fault:
            time.sleep(_MOMENT_S)
            file = find(self._target.path)
        if file.fault:
            unknown = dict.fromkeys(_CHECKS, _Verdict(None, "the file cannot be opened"))
            return unknown | {_FULL: _Verdict(ok=False, message=file.fault)}
        now_s = time.monotonic()
        resting = {name: verdict for name, (verdict, until_s) in self._given_up.items() if now_s < until_s}
        due = [name for name in _CHECKS if name not in resting]
        found = self._looked(file, due)
        if any(one.ok is False for one in found.values()):
            # what was torn by somebody's writing is another thing the next time; damage is the same
            found = self._looked(file, due)
        self._given_up = {name: one for name, one in self._given_up.items() if name in resting}
        self._given_up |= {name: (one, now_s + _TRY_AGAIN_S) for name, one in found.items() if one.unfinished}
        return {**found, **resting}

    def _looked(self, file: SqliteFile, due: Sequence[str]) -> Mapping[str, _Verdict]:
        if self._log is None or self._log.database != file.path:
            self._log = WalWatch(file.path)
        begun_s = time.monotonic()
        # before SQLite opens the file: closing one that it has open as well would drop its locks
        damage = self._log.look(_LOG_BUDGET_S)
        took_s = time.monotonic() - begun_s
        log = {} if damage is None else {"wal": _Verdict(not damage, damage, took_s)}
        try:
            return {**_checked(self._target.path, due), **log}
        except Refused as error:
            return {**dict.fromkeys(due, _Verdict(None, str(error))), **log}


def _checked(path: str, names: Sequence[str]) -> Mapping[str, _Verdict]:
    """Run checks on the file as it lies; nothing is known of it where somebody wrote to it meanwhile."""
    if not names:
        return {}
    with open_readonly(path, lightly=True) as opened:
        found = {name: _run(name, opened) for name in names}
        if opened.disturbed():
            torn = _Verdict(None, "it was written to while it was checked")
            return {name: one if one.unfinished else torn for name, one in found.items()}
        return found


def _run(name: str, opened: Opened) -> _Verdict:
    """Run one check up to its first fault, and tell damage from everything else that can end it."""
    size = opened.file.size_bytes
    much = f"{name} is not watched: {size / 1e6:.0f} MB are too much to be checked within {_BUDGET_S:g} s"
    if name == _FULL and size > MAX_INTEGRITY_BYTES:
        return _Verdict(None, much, unfinished=True)
    begun_s = time.monotonic()
    fault, finished, reason = "", False, ""
    with stopped_after(opened.connection, _BUDGET_S) as stopped:
        try:
            told = [one for one in _first(_CHECKS[name](opened.connection)) if isinstance(one, Finding)]
            fault = next((one.message for one in told if not one.ok), "")
            finished = bool(told)
        except FAILURES as error:
            code, message = fault_of(error)
            if code in DAMAGE:
                fault = message
            else:
                reason = f"{name} could not be run: {message}"
    took_s = time.monotonic() - begun_s
    if fault:
        return _Verdict(ok=False, message=fault, took_s=took_s)
    if stopped.is_set():
        return _Verdict(None, much, took_s, unfinished=True)
    if not finished:
        return _Verdict(None, reason or f"{name} said nothing", took_s)
    return _Verdict(ok=True, took_s=took_s)


def _first(told: Iterator[Finding | str]) -> Iterator[Finding | str]:
    """Yield what is told up to the first fault."""
    for one in told:
        yield one
        if isinstance(one, Finding) and not one.ok:
            return
