"""Statements and durations read from log lines as real programs write them."""

from __future__ import annotations

import json

import pytest

from irkit.logs.queries import QueryLine, parse_query

SQL = "SELECT id, body FROM messages WHERE conversation = ? ORDER BY at"


@pytest.mark.parametrize(
    ("line", "sql", "duration_s"),
    [
        (f"WARNING slow query (1.234s): {SQL}", SQL, 1.234),
        (f"2026-11-24 03:05:00 WARNING jarvis.db slow query took 812 ms: {SQL};", SQL, 0.812),
        (f"INFO Query took 1.5s: {SQL}", SQL, 1.5),
        (f"(0.532) {SQL}; args=(7,)", SQL, 0.532),
        (f"(0.532) {SQL}; args=(7,); alias=default", SQL, 0.532),
        (f"  Message Load (532.1ms)  {SQL}", SQL, 0.5321),
        (f"LOG:  duration: 1234.5 ms  statement: {SQL}", SQL, 1.2345),
        (f"{SQL} took 2.5 s", SQL, 2.5),
        (f"{SQL} [1200 ms]", SQL, 1.2),
        (f'level=warning msg="slow query" duration=1.2s sql="{SQL}"', SQL, 1.2),
        (f'level=warning msg="slow query" duration_ms=1200 sql="{SQL}" rows=3', SQL, 1.2),
        (json.dumps({"event": "slow query", "duration_ms": 1200, "sql": SQL}), SQL, 1.2),
        (json.dumps({"db": {"statement": SQL}, "elapsed_s": 0.3}), SQL, 0.3),
        (json.dumps({"level": "warning", "message": f"slow query (1.5 s): {SQL}"}), SQL, 1.5),
        ("took 30ms: UPDATE messages SET body = 'took 9 s' WHERE id = 1", None, 0.03),
        ("took 30ms: INSERT OR REPLACE INTO messages VALUES (1, 2)", None, 0.03),
        ("took 30ms: DELETE FROM messages", None, 0.03),
        ("took 30ms: WITH recent AS (SELECT 1) SELECT * FROM recent", None, 0.03),
    ],
)
def test_a_statement_with_its_duration_is_read(line: str, sql: str | None, duration_s: float) -> None:
    found = parse_query(line)
    assert found is not None
    assert found.sql == (sql or line.partition(": ")[2])
    assert found.duration_s == pytest.approx(duration_s)


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"DEBUG executing {SQL}",
        "INFO took 3 s to select a provider from the list",
        "WARNING please update the settings and delete from your cache, took 2 s",
        "took 1200: " + SQL,
        json.dumps({"sql": SQL}),
        json.dumps({"duration_ms": 3, "sql": 7}),
        "{" + SQL,
    ],
)
def test_what_lacks_either_is_none(line: str) -> None:
    assert parse_query(line) is None


@pytest.mark.parametrize("piece", ["SELECT ", "SELECT a ", "WITH x ", "(", "1.1 ", "UPDATE a", "params=", "; ", "'"])
def test_no_line_takes_more_than_a_look(piece: str) -> None:
    """One that takes quadratic time would take minutes here."""
    parse_query("took 3 s: SELECT 1 FROM " + piece * (60_000 // len(piece)))
    parse_query(piece * (60_000 // len(piece)))


def test_what_is_found_is_data() -> None:
    assert parse_query(f"took 1 s: {SQL}") == QueryLine(SQL, 1.0)
