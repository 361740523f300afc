"""The incidents that ship as drills: what befalls the stack, who notices, and how it is handled."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from irkit.model import EventKind

from .handler import Handler, Recording
from .stack import API_SERVICE
from .surroundings import around

_KILLED_WITHIN_S = 240


def api_unresponsive(handler: Handler) -> Recording:
    """The connection pool runs dry, requests fail with 500, and the API crashes before anybody can look."""
    stack = handler.stack
    handler.wait(240)
    started_at = datetime.now(UTC)
    stack.break_with("pool-exhausted")
    handler.wait(25)
    impact = "Chat and dashboard fail for everybody; nothing is lost that was stored before."
    handler.open("Chat and dashboard answer with errors, then not at all", "api-unresponsive", started_at, impact)
    handler.wait(40)
    handler.tell(EventKind.ACKNOWLEDGED, "On it.")
    handler.wait(20)
    stack.break_with("api-crashes")
    handler.wait(15)
    evidence = handler.collect()
    handler.wait(10)
    stack.repair()
    restart = (
        f"docker-compose restart jarvis-api: healthy again. Evidence was collected before, as bundle {evidence.id}."
    )
    handler.tell(EventKind.ACTION, restart, {"step": 1, "outcome": "done"})
    handler.tell(EventKind.MITIGATED, "Chat and dashboard answer again after the restart.")
    handler.wait(45)
    handler.tell(EventKind.RESOLVED, "Leak of database connections fixed and deployed; pool usage flat since.")
    handler.write("trigger", "A deploy in the morning made failed chats keep their database connection.")
    handler.write("contributing-factor", "The pool has 5 connections and nothing reports how many are in use.")
    handler.write("contributing-factor", "No restart policy: the crashed container stayed down until somebody came.")
    handler.write("went-well", "The health check turned unhealthy at once, and the logs named the pool.")
    handler.write("went-badly", "Nobody was told of the first 500s; the page came from the health check only.")
    handler.write("got-lucky", "It happened in working hours, while the author of the deploy was online.")
    return handler.done((api_unresponsive.__doc__ or "").strip(), evidence)


def high_latency(handler: Handler) -> Recording:
    """A release asks the database once for each conversation, and the dashboard takes seconds to load."""
    stack = handler.stack
    handler.wait(210)
    started_at = datetime.now(UTC)
    stack.break_with("slow-query=3.2")
    handler.wait(60)
    impact = "The dashboard takes more than 3 s to load for everybody; chat is as quick as before."
    handler.open("The dashboard takes seconds to load", "high-latency", started_at, impact)
    handler.wait(25)
    handler.tell(EventKind.ACKNOWLEDGED, "Looking; chat feels fine here.")
    handler.wait(20)
    evidence = handler.collect()
    handler.step(1, "done", "Both providers answer within milliseconds; nothing to switch.")
    handler.step(2, "skipped", "The rate limits live in the same Redis database, and it is not slow.")
    handler.wait(30)
    stack.repair()
    handler.step(3, "done", "The log tells of hundreds of statements for one dashboard; release 1.4.0 rolled back.")
    handler.tell(EventKind.MITIGATED, "The dashboard loads in milliseconds again since the release was rolled back.")
    handler.wait(45)
    handler.tell(EventKind.RESOLVED, "The dashboard asks with one joined query again; deployed, p95 below 100 ms.")
    handler.write("trigger", "Release 1.4.0 replaced the dashboard's joined query by one query for each conversation.")
    handler.write("contributing-factor", "The test database holds three conversations, so the loop was not slow there.")
    handler.write("went-well", "The log of slow queries named the route and counted the statements.")
    handler.write("went-badly", "The alert on p95 needs a minute of slow answers before it tells anybody.")
    handler.write("got-lucky", "The pool of connections was just large enough for chat to go on beside it.")
    return handler.done((high_latency.__doc__ or "").strip(), evidence)


def provider_failures(handler: Handler) -> Recording:
    """A batch job spends the rate limit of provider-alpha, which refuses the chats of everybody else with 429."""
    stack = handler.stack
    handler.wait(210)
    started_at = datetime.now(UTC)
    with ExitStack() as job:
        stack.break_with("provider-429")
        handler.wait(15)
        job.enter_context(around(stack, "limit-spent=provider-alpha"))
        handler.wait(25)
        impact = "Chats through provider-alpha, about half of all, are refused; provider-beta still answers."
        handler.open("Half of the chats are refused", "provider-failures", started_at, impact)
        handler.wait(20)
        handler.tell(EventKind.ACKNOWLEDGED, "On it.")
        job.enter_context(around(stack, "limit-spent=provider-alpha"))
        handler.wait(20)
        evidence = handler.collect()
        handler.step(1, "deviated", "Waited for it: the limit stays spent, so somebody is using it up.")
        handler.step(3, "done", "The key is valid: the provider says 429, not 401.")
        handler.wait(30)
    stack.repair()
    handler.step(2, "skipped", "The API has no setting that moves chats to the other provider; the job was stopped.")
    handler.tell(EventKind.MITIGATED, "The batch job is stopped and chats through provider-alpha are answered again.")
    handler.wait(60)
    handler.tell(EventKind.RESOLVED, "The job has a key and a limit of its own.")
    handler.write("trigger", "A job that summarises old conversations was started with the API's own key.")
    handler.write("contributing-factor", "The limit is counted for the key, not for who uses it.")
    handler.write("contributing-factor", "No backup provider can be chosen while the service runs.")
    handler.write("went-well", "The keys in Redis told at once which limit was spent and when it resets.")
    handler.write("went-badly", "The health check turned red for the whole API though half of the chats worked.")
    handler.write("got-lucky", "The job's author was on call that day.")
    return handler.done((provider_failures.__doc__ or "").strip(), evidence)


def memory_leak(handler: Handler) -> Recording:
    """The API keeps every answer for good, collecting garbage takes ever longer, and the kernel kills it."""
    stack = handler.stack
    handler.wait(210)
    started_at = datetime.now(UTC)
    stack.break_with("objects-leak=11000")
    handler.wait(110)
    impact = "Nobody is affected yet; at its limit of 256 MiB the API will be killed and all chats with it."
    handler.open("Memory of jarvis-api grows by the minute", "memory-leak", started_at, impact)
    handler.wait(20)
    handler.tell(EventKind.ACKNOWLEDGED, "Watching it grow.")
    _wait_until_killed(handler)
    handler.tell(EventKind.NOTE, "The API is gone: the kernel has killed it at its limit.")
    handler.wait(10)
    evidence = handler.collect()
    handler.step(1, "skipped", "The process was gone before anybody had looked into its heap.")
    handler.wait(10)
    stack.repair()
    restart = (
        f"docker-compose restart jarvis-api: healthy again. Evidence was collected before, as bundle {evidence.id}."
    )
    handler.tell(EventKind.ACTION, restart, {"step": 2, "outcome": "done"})
    handler.tell(EventKind.MITIGATED, "Chats are answered again after the restart.")
    handler.wait(45)
    handler.step(3, "done", "The list of answers is bounded now and deployed.")
    handler.tell(EventKind.RESOLVED, "The fix is deployed; memory flat since.")
    handler.write(
        "impact", "Chats slowed down, then were refused from the kill until the restart, about half a minute."
    )
    handler.write("trigger", "Release 1.4.0 keeps every answer in a list that nothing ever shortens.")
    handler.write("contributing-factor", "No restart policy: the killed container stayed down until somebody came.")
    handler.write("went-well", "The flight recorder shows the growth from its first minute.")
    handler.write("went-badly", "Nobody took a memory snapshot between the page and the kill.")
    handler.write("got-lucky", "No conversation was lost: each answer is stored before it is sent.")
    return handler.done((memory_leak.__doc__ or "").strip(), evidence)


def database_corruption(handler: Handler) -> Recording:
    """A page of the table of messages is lost: SQLite calls the file malformed, chat and dashboard fail."""
    stack = handler.stack
    handler.wait(210)
    started_at = datetime.now(UTC)
    stack.break_with("page-zeroed")
    handler.wait(30)
    impact = "Dashboard and chat fail for everybody; what was said since the last backup may be lost."
    handler.open("The database is malformed", "database-corruption", started_at, impact)
    handler.wait(25)
    handler.tell(EventKind.ACKNOWLEDGED, "Stopping what writes to it as soon as the evidence is collected.")
    handler.wait(10)
    evidence = handler.collect()
    stack.compose("stop", API_SERVICE)
    handler.step(1, "done", "docker-compose stop jarvis-api; nothing else writes to the database.")
    damaged, backup = stack.database_path, stack.database_path.parent / "backups" / stack.database_path.name
    for file in damaged.parent.glob(f"{damaged.name}*"):
        shutil.copy(file, file.with_name(f"damaged-{file.name}"))
    handler.step(2, "done", "Copied jarvis.db with its -wal before anything was tried on it.")
    handler.step(3, "done", f"On the copy: {_integrity(damaged)}. On the backup: {_integrity(backup)}.")
    handler.wait(20)
    for file in damaged.parent.glob(f"{damaged.name}*"):
        file.unlink()
    shutil.copy(backup, damaged)
    stack.repair()
    handler.step(4, "done", "Restored from the backup; what was said since then is lost.")
    handler.tell(EventKind.MITIGATED, "Chat and dashboard answer again on the restored database.")
    handler.wait(45)
    handler.tell(EventKind.RESOLVED, "The disk was replaced; integrity_check says ok an hour later.")
    handler.write("trigger", "A page of zeros in the middle of the file, as a disk writes that loses a write.")
    handler.write("contributing-factor", "Nobody checks the integrity of the database unless something fails.")
    handler.write("went-well", "The backup was from the same day and passed its integrity check.")
    handler.write("went-badly", "The service went on writing to a damaged file for a minute.")
    handler.write("got-lucky", "The damage was in a table that every request reads, so it was noticed at once.")
    return handler.done((database_corruption.__doc__ or "").strip(), evidence)


def _wait_until_killed(handler: Handler) -> None:
    end = datetime.now(UTC).timestamp() + _KILLED_WITHIN_S
    while handler.stack.exit_code() is None:
        if datetime.now(UTC).timestamp() > end:
            raise RuntimeError("the kernel has not killed the API")
        handler.wait(1)


def _integrity(path: Path) -> str:
    """What SQLite says of a file: its first words."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0]).splitlines()[0]
        except sqlite3.DatabaseError as error:
            return str(error)


INCIDENTS: dict[str, Callable[[Handler], Recording]] = {
    "api-unresponsive": api_unresponsive,
    "high-latency": high_latency,
    "provider-failures": provider_failures,
    "memory-leak": memory_leak,
    "database-corruption": database_corruption,
}
