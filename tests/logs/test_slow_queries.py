"""Plans made from evidence alone, held to those SQLite makes on the database the evidence is of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from irkit.collectors import sqlite_statistics
from irkit.logs.slow_queries import MAX_QUERIES, SlowQuery, fingerprint, slow_queries
from irkit.settings import SqliteTarget
from tests.collectors.materialise import materialise
from tests.support import sqlite_files as files

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
SCHEMA = """
CREATE TABLE conversations (id INTEGER PRIMARY KEY, owner TEXT);
CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation INTEGER, role TEXT, body TEXT, at REAL);
CREATE INDEX messages_conversation ON messages (conversation);
CREATE INDEX messages_role ON messages (role);
CREATE VIEW latest AS SELECT max(at) AS at, conversation FROM messages GROUP BY conversation;
CREATE TRIGGER counted AFTER INSERT ON messages BEGIN UPDATE conversations SET owner = owner; END;
CREATE VIRTUAL TABLE words USING fts5(body);
"""
QUERIES = (
    "SELECT body FROM messages WHERE conversation = 7",
    "SELECT body FROM messages WHERE body LIKE '%refund%'",
    "SELECT m.body FROM conversations AS c JOIN messages m ON m.conversation = c.id WHERE c.owner = 'ada'",
    "SELECT * FROM latest WHERE conversation > 3 ORDER BY at",
    "SELECT body FROM messages WHERE role = 'user' AND conversation = 7",
    "UPDATE messages SET body = '' WHERE at < 5",
    "DELETE FROM messages WHERE conversation IN (SELECT id FROM conversations WHERE owner IS NULL)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n JOIN messages ON id=i",
)


def database(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        rows = [(number % 50, ("user", "ai")[number % 2], f"text {number}", number) for number in range(5000)]
        connection.executemany("INSERT INTO conversations (owner) VALUES (?)", [(f"o{n}",) for n in range(50)])
        connection.executemany("INSERT INTO messages (conversation, role, body, at) VALUES (?, ?, ?, ?)", rows)
        connection.execute("ANALYZE")
    return path


def logged(*lines: str) -> pd.DataFrame:
    rows = [{"at": AT + timedelta(seconds=n), "service": "api", "line": line} for n, line in enumerate(lines)]
    return pd.DataFrame(rows, columns=["at", "service", "line"])


def asked(path: Path, *queries: str) -> tuple[SlowQuery, ...]:
    """Say what irkit makes of these queries with what the collector took of the database, which stays untouched."""
    with files.untouched(path.parent):
        made = materialise(sqlite_statistics.collect, SqliteTarget(str(path)))
        lines = [f"slow query ({len(queries) - n}.5 s): {query}" for n, query in enumerate(queries)]
        return slow_queries(
            logged(*lines), made.documents["database"], pd.DataFrame(made.tables["database_statistics"])
        )


def test_the_plans_are_those_the_database_itself_makes(tmp_path: Path) -> None:
    path = database(tmp_path / "x.db")
    found = asked(path, *QUERIES)
    with closing(sqlite3.connect(path)) as connection:
        for query, one in zip(QUERIES, found, strict=True):
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            assert [line.strip() for line in one.plan] == [row[3] for row in rows], query
            assert one.unplanned == ""
    by_query = dict(zip(QUERIES, found, strict=True))
    assert by_query[QUERIES[0]].scanned == ()
    assert by_query[QUERIES[1]].scanned == ("messages",)
    assert by_query[QUERIES[2]].scanned == ("conversations",)
    assert by_query[QUERIES[5]].scanned == ("messages",)
    assert "reads messages in full" in by_query[QUERIES[1]].sentence
    assert "no table in full" in by_query[QUERIES[0]].sentence


def test_a_table_that_an_outer_join_reads_in_full_is_named_and_a_common_table_is_none(tmp_path: Path) -> None:
    query = (
        "WITH c AS (SELECT id FROM conversations LIMIT 50) "
        "SELECT c.id, count(m.id) FROM c LEFT JOIN messages m ON m.body = c.id GROUP BY c.id"
    )
    [found] = asked(database(tmp_path / "x.db"), query)
    assert any("LEFT-JOIN" in line for line in found.plan), found.plan
    assert "messages" in found.scanned
    assert "c" not in found.scanned


def test_the_planners_statistics_decide_as_they_do_in_the_database(tmp_path: Path) -> None:
    path = database(tmp_path / "x.db")
    assert "messages_conversation" in asked(path, QUERIES[4])[0].plan[0]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sqlite_stat1 SET stat = '5000 2' WHERE idx = 'messages_role'")
        connection.execute("UPDATE sqlite_stat1 SET stat = '5000 2500' WHERE idx = 'messages_conversation'")
    assert "messages_role" in asked(path, QUERIES[4])[0].plan[0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT body FROM messages WHERE conversation = ? AND role = ?",
        "SELECT body FROM messages WHERE conversation = ?1 AND role = ?2",
        "SELECT body FROM messages WHERE conversation = %s AND role = %s",
        "SELECT body FROM messages WHERE conversation = %(one)s AND role = %(other)s",
        "SELECT body FROM messages WHERE conversation = :one AND role = :other",
        "SELECT body FROM messages WHERE conversation = $1 AND role = $2",
        "SELECT body FROM messages WHERE conversation = @one AND role = '?' -- ? is no parameter here",
        "SELECT body FROM messages WHERE conversation = '[redacted:password:0a1b2c3d]' AND role = 'it''s'",
    ],
)
def test_parameters_of_every_driver_are_understood(tmp_path: Path, query: str) -> None:
    [found] = asked(database(tmp_path / "x.db"), query)
    assert found.unplanned == ""
    assert found.plan[0].startswith("SEARCH messages USING INDEX messages_conversation")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT a FROM nonesuch", "no such table: nonesuch"),
        ("SELECT body FROM messages WHERE body LIKE 'cut sho", "unrecognized token"),
        ("SELECT body FROM words WHERE words MATCH 'x'", "no such table: words"),
        ("SELECT body FROM messages; DROP TABLE messages", "one statement at a time"),
    ],
)
def test_why_there_is_no_plan_is_said_and_the_others_have_theirs(tmp_path: Path, query: str, why: str) -> None:
    refused, planned = asked(database(tmp_path / "x.db"), query, QUERIES[1])
    assert why in refused.unplanned
    assert refused.plan == refused.scanned == ()
    assert "its plan is unknown: " in refused.sentence
    assert planned.scanned == ("messages",)


def test_runs_of_one_statement_are_counted_together_and_the_dearest_come_first() -> None:
    lines = [f"took 40ms: SELECT a FROM t WHERE id = {n} AND s IN ({n}, 2)" for n in range(9)]  # noqa: S608 (a log line)
    lines += ["took 700ms: SELECT a FROM t WHERE id = 77 AND s IN ('x', 2, 3)", "took 90ms: SELECT b FROM t"]
    lines += ["took 5 s: DELETE FROM t"]
    deleted, selected = slow_queries(logged(*lines), None, None)
    assert deleted.sql == "DELETE FROM t"
    assert selected.sql == "SELECT a FROM t WHERE id = ? AND s IN (?)"
    assert (selected.runs, selected.longest_s, selected.services) == (10, pytest.approx(0.7), ("api",))
    assert selected.total_s == pytest.approx(1.06)
    assert selected.last_at == AT + timedelta(seconds=9)
    assert "schema is not in the evidence" in selected.unplanned
    assert "Run 10 times, up to 0.70 s, 1.1 s in all" in selected.sentence


def test_quick_queries_and_other_lines_are_none() -> None:
    assert slow_queries(logged("took 20ms: SELECT a FROM t", "hello", "took 3 s"), None, None) == ()
    assert slow_queries(logged(), None, None) == ()


def test_what_is_left_out_of_too_many_is_the_cheapest() -> None:
    lines = [f"took {200 + n}ms: SELECT column_{n:03} FROM t" for n in range(MAX_QUERIES + 5)]  # noqa: S608 (as above)
    found = slow_queries(logged(*lines), None, None)
    assert len(found) == MAX_QUERIES
    assert "column_024" in found[0].sql


def test_comments_and_white_space_make_no_difference() -> None:
    assert fingerprint("SELECT  a\n FROM t /* 7 */ WHERE b=-1.5 ;") == fingerprint("SELECT a FROM t WHERE b=-2 -- x")


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
HOSTILE: tuple[tuple[str, str | None], ...] = (
    ("table", f"CREATE TABLE t AS {ENDLESS}"),
    ("table", "ATTACH '{path}/made.db' AS made"),
    ("table", "CREATE TABLE v (a); ATTACH '{path}/made.db' AS made"),
    ("index", "CREATE TABLE made.w (a)"),
    ("table", None),
    ("table", "CREATE TABLE y (a CHECK (load_extension('{path}/x.so')))"),
    ("trigger", "CREATE TRIGGER z AFTER INSERT ON good BEGIN SELECT 1; END"),
    ("table", "CREATE TABLE good (a)"),
)


def test_a_hostile_schema_makes_nothing_and_ends(tmp_path: Path) -> None:
    schema: list[dict[str, Any]] = [{"type": kind, "sql": sql and sql.format(path=tmp_path)} for kind, sql in HOSTILE]
    lines = logged("took 9 s: SELECT a FROM good", "took 8 s: SELECT load_extension('x.so') FROM good")
    statistics = pd.DataFrame([{"table": "good", "index": None, "stat": "not a number " * 999}])
    good, _ = slow_queries(lines, {"schema": schema}, statistics)
    assert good.plan == ("SCAN good",)
    assert list(tmp_path.iterdir()) == []
