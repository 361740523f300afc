"""Indexes are advised that were measured to help on the copy, and none where none does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from irkit.act.index_advice import Advice, advise


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("copy") / "copy.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, state TEXT, made REAL, note TEXT);"
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);"
        )
        rows = ((n % 997, ("open", "paid", "sent")[n % 3], n * 7 % 60_000, f"note {n}") for n in range(60_000))
        connection.executemany("INSERT INTO orders (customer, state, made, note) VALUES (?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO customers (name) VALUES (?)", [(f"c{n}",) for n in range(997)])
    return path


def indexes(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'").fetchall()


@pytest.mark.parametrize(
    ("sql", "table", "first"),
    [
        ("SELECT note FROM orders WHERE customer = 7", "orders", "customer"),
        ("SELECT note FROM orders WHERE customer = ? AND made > ?", "orders", "customer"),
        (
            "SELECT o.note FROM orders AS o WHERE o.customer = 7 AND o.state = 'open' ORDER BY o.made",
            "orders",
            "customer",
        ),
        ("SELECT max(made) FROM orders WHERE customer=?1 LIMIT ?", "orders", "customer"),
    ],
)
def test_an_index_that_helps_is_found_and_measured(sql: str, table: str, first: str, copy: Path) -> None:
    told = advise(copy, sql.replace("?1", "?"))
    assert isinstance(told, Advice)
    assert told.best is not None, told
    assert (told.best.table, told.best.columns[0], told.best.used) == (table, first, True)
    assert told.best.gain >= 1.5
    assert told.best.statement.startswith('CREATE INDEX "orders_customer')
    assert indexes(copy) == [], "each is dropped again"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM orders WHERE note LIKE '%9%'",  # no index serves it
        "SELECT note FROM orders WHERE id = 7",  # the key does
        "SELECT name FROM customers WHERE name <> 'c1'",  # nearly all of it is wanted
    ],
)
def test_where_none_helps_none_is_advised(sql: str, copy: Path) -> None:
    told = advise(copy, sql)
    assert told.best is None
    assert told.seconds is not None


def test_a_query_that_cannot_be_run_is_unknown_not_fine(copy: Path) -> None:
    told = advise(copy, "SELECT x FROM nowhere")
    assert (told.seconds, told.best) == (None, None)
    assert "no such table" in told.unknown
