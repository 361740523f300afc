"""Which index would make a slow query of SQLite faster, found by trying on a copy: nothing is claimed unmeasured.

The columns to try are those that a query compares, joins or sorts by, of the tables that its plan reads in full
(SQLite, "The Query Planner"). Each is made on the copy, the query run with it and without, and the index dropped.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from irkit.logs.slow_queries import table_called
from irkit.sqlite.check import quoted_name

MOST_TRIED = 12
LEAST_GAIN = 1.5
_RUN_S = 10.0
_STEPS = 10_000
_ROUNDS = 3
_MOST_COLUMNS = 4
# a search that names no index is the way SQLite says that it looks for the least or the greatest in all of it
_SCAN = re.compile(r"(?:SCAN (?:TABLE )?(\S+)|SEARCH (?:TABLE )?(\S+)$)")
_COMPARED = r"(?:[\"`\[]?{alias}[\"`\]]?\s*\.\s*)[\"`\[]?(\w+)[\"`\]]?"
_PARAMETER = re.compile(r"'(?:[^']|'')*'|\?")
_EQUALS = re.compile(r"^\s*(?:=|==|IS\b|IN\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tried:
    """An index, the statement that makes it, and the query's seconds without it and with it; `used` by its plan."""

    statement: str
    table: str
    columns: tuple[str, ...]
    before_s: float
    after_s: float
    used: bool

    @property
    def gain(self) -> float:
        """How many times as fast the query is with the index."""
        return self.before_s / self.after_s if self.after_s > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Advice:
    """What was measured of a query on the copy: its seconds, its plan, the best index, and why there is none, if so."""

    sql: str
    seconds: float | None
    plan: tuple[str, ...]
    best: Tried | None
    tried: int
    unknown: str = ""


def advise(copy: Path, sql: str) -> Advice:
    """Return which index on a copy makes a reading query at least 1.5 times as fast; the copy may be changed.

    Where parameters (`?`) stand, values that the columns have are taken. A query that does not end in ten seconds is
    measured by what it does in them, so that its gain is a lower bound.
    """
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        try:
            values = _values(connection, sql)
            plan = tuple(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
            before_s = _timed(connection, sql, values)
        except (sqlite3.Error, sqlite3.Warning) as error:
            return Advice(sql, None, (), None, 0, str(error))
        found = []
        for table, columns in _candidates(connection, sql, plan):
            one = _try(connection, sql, values, (table, columns), before_s)
            found += [one] if one else []
        useful = [one for one in found if one.used and one.gain >= LEAST_GAIN]
        # of indexes about as good, the one with the fewest columns costs writers least
        best = min(useful, key=lambda one: (round(one.after_s / before_s, 1), len(one.columns)), default=None)
        return Advice(sql, before_s, plan, best, len(found))


def _try(
    connection: sqlite3.Connection, sql: str, values: Sequence[object], on: tuple[str, tuple[str, ...]], before_s: float
) -> Tried | None:
    table, columns = on
    name = f"{table}_{'_'.join(columns)}"
    statement = f"CREATE INDEX {quoted_name(name)} ON {quoted_name(table)} ({', '.join(map(quoted_name, columns))})"
    try:
        connection.execute(statement)
    except sqlite3.Error:
        return None
    try:
        with suppress(sqlite3.Error):
            connection.execute(f"ANALYZE {quoted_name(table)}")
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        used = any(re.search(rf"INDEX {re.escape(name)}\b", line) for line in plan)
        after_s = _timed(connection, sql, values) if used else before_s
    finally:
        connection.execute(f"DROP INDEX {quoted_name(name)}")
    return Tried(statement, table, columns, before_s, after_s, used)


def _timed(connection: sqlite3.Connection, sql: str, values: Sequence[object]) -> float:
    """Return the seconds of the fastest of three runs, of one that takes long of one run."""
    best = float("inf")
    for _ in range(_ROUNDS):
        connection.set_progress_handler(_alarm(_RUN_S), _STEPS)
        began = time.perf_counter()
        try:
            for _row in connection.execute(sql, values):
                pass
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
        finally:
            connection.set_progress_handler(None, 0)
        best = min(best, time.perf_counter() - began)
        if best > 1:
            break
    return best


def _alarm(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def _values(connection: sqlite3.Connection, sql: str) -> tuple[object, ...]:
    """Return a value for each parameter: one from the middle of the column it is compared with, else a small number."""
    tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    named = [table for table in tables if re.search(rf"\b{re.escape(table)}\b", sql, re.IGNORECASE)]
    values: list[object] = []
    for found in _PARAMETER.finditer(sql):
        if found[0] != "?":
            continue
        column = re.search(
            r"(\w+)[\"`\]]?\s*(?:=|==|<=?|>=?|<>|!=|\bLIKE|\bIS)\s*$", sql[: found.start()], re.IGNORECASE
        )
        values.append(_typical(connection, named, column[1]) if column else 20)
    return tuple(values)


def _typical(connection: sqlite3.Connection, tables: Sequence[str], column: str) -> object:
    for table in tables:
        with suppress(sqlite3.Error):
            [(rows,)] = connection.execute(f"SELECT count(*) FROM {quoted_name(table)}")  # noqa: S608 (quoted)
            taken = f"SELECT {quoted_name(column)} FROM {quoted_name(table)} LIMIT 1 OFFSET ?"  # noqa: S608 (quoted)
            # a name in double quotes that is no column would be taken for a text
            if column.casefold() in {
                str(row[1]).casefold() for row in connection.execute(f"PRAGMA table_info({quoted_name(table)})")
            }:
                return next((row[0] for row in connection.execute(taken, (rows // 2,))), None)
    return None


def _candidates(connection: sqlite3.Connection, sql: str, plan: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield tables and columns to index: alone, in pairs with the one compared for equality first, then in threes."""
    made: dict[tuple[str, tuple[str, ...]], None] = {}
    for alias in dict.fromkeys(found[1] or found[2] for line in plan if (found := _SCAN.match(line))):
        table = table_called(alias, sql)
        known = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({quoted_name(table)})")]
        if not known:
            continue
        equal, others = _columns(alias, table, sql, known)
        chosen = [*equal, *(one for one in others if one not in equal)][:_MOST_COLUMNS]
        made |= {(table, (one,)): None for one in chosen}
        pairs = [pair for pair in permutations(chosen, 2) if pair[0] in equal or not equal]
        made |= {(table, pair): None for pair in pairs}
        made |= {(table, tuple(chosen[:3])): None} if len(chosen) > 2 else {}  # noqa: PLR2004 (a third column)
    yield from list(made)[:MOST_TRIED]


def _columns(alias: str, table: str, sql: str, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of a table that a query compares for equality, and those it compares or sorts by otherwise."""
    named = {name.casefold(): name for name in known}
    equal: dict[str, None] = {}
    others: dict[str, None] = {}
    patterns = [_COMPARED.format(alias=re.escape(one)) for one in dict.fromkeys((alias, table))]
    # a column without a table's name counts where only the name tells
    patterns.append(r"(?<![\w.\"`\]])[\"`\[]?(\w+)[\"`\]]?(?!\s*[.(\w])")
    conditions = re.split(r"\b(?:WHERE|ON|HAVING|ORDER\s+BY|GROUP\s+BY)\b", sql, flags=re.IGNORECASE)[1:]
    for part in conditions:
        for pattern in patterns:
            for found in re.finditer(pattern, part, re.IGNORECASE):
                if name := named.get(found[1].casefold()):
                    after, before = part[found.end() :], part[: found.start()]
                    target = equal if _EQUALS.match(after) or re.search(r"=\s*$", before) else others
                    target[name] = None
    return list(equal), [name for name in others if name not in equal]
