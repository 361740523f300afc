"""What was truly the matter, as told by the users, the Engine, the kernel and SQLite itself; irkit has no say here."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from .clients import CLIENT_TIMEOUT_S, Seen
from .labelled import AI, DASHBOARD, DATA, ERRORS, HEALTH, LIMITED, OOM, P95, READ, SQLITE, TIMEOUTS, Labelled
from .stack import API_SERVICE, Stack

_LIMIT_S = 2.0
_SHARE = 0.1
_FEWEST = 3
_SERVER_ERROR, _TOO_MANY = 500, 429
# what these say is not told from outside, or not for sure: it rests on how the fault is made
_DECLARED = {"wal-damaged": {DATA}}


def borne_out(stack: Stack, users: Sequence[Seen], since: datetime) -> set[str]:
    """The symptoms that users and tools saw since then, of those they can see at all."""
    later = [each for each in users if each.at >= since]
    of_users = [each for each in later if each.path != "/api/health"]
    answered = [each for each in of_users if each.status]
    chats = [each for each in answered if each.path == "/api/chat"]
    health = [each.status for each in later if each.path == "/api/health"]
    # what a service says in passing is no complaint, whatever its words
    logs = "\n".join(line for line in stack.logs().splitlines() if " INFO " not in line)
    found = {
        HEALTH: len(health) >= 2 and all(status != 200 for status in health[-2:]),
        ERRORS: _many([each.status >= _SERVER_ERROR for each in answered]),
        AI: _many([each.status >= _SERVER_ERROR or each.status == _TOO_MANY for each in chats]),
        LIMITED: sum(each.status == _TOO_MANY for each in answered) >= _FEWEST,
        P95: _p95([each.duration_s for each in of_users]) > _LIMIT_S,
        DASHBOARD: _p95([each.duration_s for each in of_users if each.path == "/api/dashboard"]) > _LIMIT_S,
        TIMEOUTS: sum(each.duration_s >= CLIENT_TIMEOUT_S for each in later) >= _FEWEST
        or logs.count("TimeoutError") >= 3,
        OOM: _oom_kills(stack, since),
        SQLITE: "sqlite3." in logs,
        READ: "malformed" in logs or "not a database" in logs or "disk I/O error" in logs,
        DATA: _damaged(stack.database_path),
    }
    return {symptom for symptom, holds in found.items() if holds}


def contradictions(label: Labelled, seen: set[str]) -> list[str]:
    """Where the label and the witnesses disagree, each in a few words."""
    askable = {HEALTH, ERRORS, AI, LIMITED, P95, DASHBOARD, TIMEOUTS, OOM, SQLITE, READ, DATA}
    askable -= {*label.either, *_DECLARED.get(label.name, ())}
    declared = set(label.symptoms)
    found = [f"{symptom} is declared and nobody saw it" for symptom in sorted((declared - seen) & askable)]
    return found + [f"{symptom} was seen and is not declared" for symptom in sorted((seen - declared) & askable)]


def _many(bad: Sequence[bool]) -> bool:
    return sum(bad) >= _FEWEST and sum(bad) >= _SHARE * len(bad)


def _p95(durations_s: Sequence[float]) -> float:
    ordered = sorted(durations_s)
    return ordered[int(0.95 * (len(ordered) - 1))] if ordered else 0.0


def _oom_kills(stack: Stack, since: datetime) -> bool:
    """Whether the kernel told the Engine of one: a container that was restarted shows no flag any more."""
    flagged = bool(stack.container(API_SERVICE).attrs["State"]["OOMKilled"])
    return flagged or any(event["Action"] == "oom" for event in stack.events(since))


def _damaged(path: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        for file in path.parent.glob(f"{path.name}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
            try:
                said = copy.execute("PRAGMA integrity_check").fetchone()[0]
                orphans = copy.execute("PRAGMA foreign_key_check").fetchall()
            except sqlite3.DatabaseError:
                return True
    return said != "ok" or bool(orphans)
