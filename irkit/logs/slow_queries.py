"""The slow queries that the logs tell of, each with the plan that SQLite makes for it.

The plan is made on a copy that has the database's schema and the planner's statistics and no rows, in memory: what the
planner goes by, without so much as opening the service's file (SQLite, "The Query Planner", section on `sqlite_stat1`).
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.logs.formats import clean
from irkit.logs.queries import MAX_SQL_CHARS, parse_query
from irkit.records import Row, rows_of, text_of

if TYPE_CHECKING:
    import pandas as pd

LEAST_S = 0.1
MAX_QUERIES = 20
_BUDGET_S = 2.0
_STEPS = 1000
_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<name>\"[^\"]*\"|`[^`]*`|\[[^\]]*\])|(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<parameter>%\(\w{1,80}\)s|%s|\?[0-9]{0,4}|(?<![\w:])[:@$]\w{1,80})"
    r"|(?P<number>(?<![\w.])[0-9]+(?:\.[0-9]+)?(?![\w.]))",
    re.DOTALL,
)
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_PLAIN = re.compile(r"\s*CREATE\s+(?:TABLE|(?:UNIQUE\s+)?INDEX|VIEW)\s", re.IGNORECASE)
_SCAN = re.compile(r"SCAN (?:TABLE )?(\S+)(?: AS \S+)?(?: [A-Z]+-JOIN)?$")
_READING = frozenset(
    {
        *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE),
        *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
    }
)


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """A statement, however often it ran: parameters and literals are `?` in `sql`, times are in seconds.

    `plan` is SQLite's, indented; `scanned` names the tables it reads in full. Where there is no plan, `unplanned` says
    why. `example` is its longest run as it was logged, every driver's kind of parameter as `?`.
    """

    sql: str
    services: tuple[str, ...]
    runs: int
    longest_s: float
    total_s: float
    last_at: datetime | None
    plan: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    unplanned: str = ""
    example: str = field(default="", repr=False)

    @property
    def sentence(self) -> str:
        """What it costs and why, in words."""
        often = "once" if self.runs == 1 else f"{self.runs:,} times"
        cost = f"Run {often}, up to {self.longest_s:.2f} s, {self.total_s:.1f} s in all"
        if self.unplanned:
            return f"{cost}; its plan is unknown: {self.unplanned}."
        if not self.scanned:
            return f"{cost}; it reads no table in full."
        return f"{cost}; it reads {' and '.join(self.scanned)} in full, row by row: no index serves it."


@dataclass(slots=True)
class _Seen:
    """The runs of one statement, and the longest of them as it was logged."""

    services: dict[str, None] = field(default_factory=dict)
    runs: int = 0
    longest_s: float = 0.0
    total_s: float = 0.0
    last_at: datetime | None = None
    example: str = ""


def slow_queries(
    logs: pd.DataFrame, database: Mapping[str, Any] | None, statistics: pd.DataFrame | None
) -> tuple[SlowQuery, ...]:
    """Return the statements that took 0.1 s or longer at least once, those that cost most in all first; 20 at most.

    `logs`, `database` and `statistics` are evidence of the kinds `logs`, `database` and `database_statistics`.
    """
    dearest = sorted(_seen(logs).items(), key=lambda item: -item[1].total_s)[:MAX_QUERIES]
    if not dearest:
        return ()
    if database is None or not database.get("schema"):
        return tuple(_query(sql, seen, (), "the database's schema is not in the evidence") for sql, seen in dearest)
    with _planner(database["schema"], rows_of(statistics)) as planner:
        return tuple(_planned(sql, seen, planner) for sql, seen in dearest)


def fingerprint(sql: str) -> str:
    """Return a statement with its literals and parameters as `?` and its white space as single blanks."""

    def shown(token: re.Match[str]) -> str:
        return token[0] if token["name"] else "" if token["comment"] else "?"

    return _LIST.sub("(?)", " ".join(_TOKEN.sub(shown, sql[:MAX_SQL_CHARS]).split())).rstrip("; ")


def _seen(logs: pd.DataFrame) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    columns = [logs[name].tolist() for name in ("at", "service", "line")]
    for at, service, line in zip(*columns, strict=True):
        read = parse_query(clean(line))
        if read is None:
            continue
        one = found.setdefault(fingerprint(read.sql), _Seen())
        one.services[str(service)] = None
        one.runs += 1
        one.total_s += read.duration_s
        one.last_at = at.to_pydatetime(warn=False) if hasattr(at, "to_pydatetime") else at
        if read.duration_s >= one.longest_s:
            one.longest_s, one.example = read.duration_s, read.sql
    return {sql: one for sql, one in found.items() if one.longest_s >= LEAST_S}


def _query(sql: str, seen: _Seen, plan: Sequence[str], unplanned: str, scanned: Iterable[str] = ()) -> SlowQuery:
    services, names = tuple(seen.services), tuple(dict.fromkeys(scanned))
    example, _ = _with_parameters(seen.example)
    return SlowQuery(
        sql, services, seen.runs, seen.longest_s, seen.total_s, seen.last_at, tuple(plan), names, unplanned, example
    )


def _planned(sql: str, seen: _Seen, planner: sqlite3.Connection) -> SlowQuery:
    """Ask for a statement's plan; nothing of it is run."""
    bound, count = _with_parameters(seen.example)
    try:
        rows = planner.execute(f"EXPLAIN QUERY PLAN {bound}", (None,) * count).fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        return _query(sql, seen, (), str(error))
    # what else is read row by row is made by the statement itself: a common table, a subquery, constants
    tables = {
        name.casefold(): name for (name,) in planner.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    depths: dict[int, int] = {}
    lines, scanned = [], []
    for number, parent, _, detail in rows:
        depths[number] = depths.get(parent, -1) + 1
        lines.append(f"{'  ' * depths[number]}{detail}")
        found = _SCAN.fullmatch(detail)
        if found and (table := tables.get(table_called(found[1], seen.example).casefold())):
            scanned.append(table)
    return _query(sql, seen, lines, "", scanned)


def _with_parameters(sql: str) -> tuple[str, int]:
    """Return a statement with every driver's kind of parameter as `?`, and how many there are."""
    count = 0

    def bound(token: re.Match[str]) -> str:
        nonlocal count
        count += bool(token["parameter"])
        return "?" if token["parameter"] else token[0]

    return _TOKEN.sub(bound, sql), count


def table_called(name: str, sql: str) -> str:
    """Return the table behind an alias, by which the plan calls it."""
    alias = re.search(rf"\b(?:FROM|JOIN|,)\s+[\"`\[]?(\w+)[\"`\]]?\s+(?:AS\s+)?{re.escape(name)}\b", sql, re.IGNORECASE)
    return alias[1] if alias else name


@contextmanager
def _planner(schema: Sequence[Mapping[str, Any]], statistics: Sequence[Row]) -> Iterator[sqlite3.Connection]:
    """A database in memory with this schema and these statistics, that reads and writes nothing and ends in time."""
    until = time.monotonic() + _BUDGET_S
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 10 * MAX_SQL_CHARS)
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        # a schema out of evidence makes tables, and may not fill them
        connection.set_authorizer(lambda action, *_: _verdict(allowed=action != sqlite3.SQLITE_SELECT))
        for kind in ("table", "index", "view"):
            for item in schema:
                if item.get("type") == kind and _PLAIN.match(str(item.get("sql") or "")):
                    _attempt(connection, str(item["sql"]))
        connection.set_authorizer(None)  # from here the words are ours, and SQLite reads the statistics by a SELECT
        _attempt(connection, "ANALYZE sqlite_schema")
        for row in statistics:
            values = (text_of(row, "table"), row.get("index"), text_of(row, "stat"))
            _attempt(connection, "INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", values)
        _attempt(connection, "ANALYZE sqlite_schema")
        connection.set_authorizer(lambda action, *_: _verdict(allowed=action in _READING))
        yield connection


def _attempt(connection: sqlite3.Connection, statement: str, values: tuple[object, ...] = ()) -> None:
    """Run a statement; what this SQLite cannot make is then missing where a query wants it, which says so."""
    with suppress(sqlite3.Error, sqlite3.Warning):
        connection.execute(statement, values)


def _verdict(*, allowed: bool) -> int:
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
