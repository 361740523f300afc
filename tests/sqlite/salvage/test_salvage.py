from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite.check import check
from irkit.sqlite.salvage import Salvage, salvage
from tests.support import damaged_databases as databases
from tests.support import sqlite_files as files
from tests.support.damaged_databases import Made, select, shared


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    folder = tmp_path_factory.mktemp("whole")
    return {name: databases.make(name, folder) for name in databases.MAKERS}


CASES = [
    *((damage, list(databases.MAKERS)[number % 3]) for number, damage in enumerate(databases.DAMAGES)),
    (databases.zero_pages, "shop"),
    (databases.damage_a_sector, "chat"),
]


@pytest.mark.parametrize(("damage", "name"), CASES, ids=lambda item: getattr(item, "__name__", item))
def test_every_row_whose_bytes_are_there_comes_back(
    tmp_path: Path, made: dict[str, Made], damage: databases.Damage, name: str
) -> None:
    whole, raw = made[name], bytearray(made[name].raw)
    damage(raw, whole.page_bytes, random.Random(name))  # noqa: S311 (seeded on purpose)
    source = tmp_path / "data" / "x.db"
    source.parent.mkdir()
    source.write_bytes(raw)
    with files.untouched(source.parent):
        found = salvage(source, tmp_path / "made.db")
    back, _, strange = shared(whole.rows, select(found.path))
    untouched = whole.untouched(bytes(raw))
    assert back >= untouched, found.sentence
    # what is not as it was had bytes of its own changed
    assert strange <= whole.total - untouched
    assert found.checked.whole is True or strange, found.checked.sentence
    assert sum(one.rows for one in found.tables) == found.rows >= back


def salvaged(path: Path, *, schema_from: Path | None = None) -> Salvage:
    return salvage(path, path.with_name("made.db"), schema_from=schema_from)


def test_a_whole_database_comes_back_as_it_was(tmp_path: Path, made: dict[str, Made]) -> None:
    for name, whole in made.items():
        path = tmp_path / f"{name}.db"
        path.write_bytes(whole.raw)
        found = salvage(path, tmp_path / f"{name}-made.db")
        assert select(found.path) == whole.rows
        assert (found.checked.whole, found.notes) == (True, ())
        assert all(one.whole and not one.mended for one in found.tables)
        assert "nothing is known to be missing" in found.sentence
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(found.path)) as new:
            for statement in (
                "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2",
                "PRAGMA page_size",
                "PRAGMA user_version",
            ):
                assert new.execute(statement).fetchall() == old.execute(statement).fetchall()


def test_everything_that_sqlite_stores_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            PRAGMA encoding = 'UTF-16be'; PRAGMA application_id = 77; PRAGMA user_version = -3;
            PRAGMA auto_vacuum = FULL;
            CREATE TABLE kinds (i INTEGER, r REAL, n NUMERIC, t TEXT, b BLOB, anything);
            CREATE TABLE named (rowid TEXT, "odd ""name" TEXT, k INT PRIMARY KEY DESC);
            CREATE TABLE counted (
                id INTEGER PRIMARY KEY AUTOINCREMENT, double INTEGER AS (id * 2) STORED, t TEXT AS (id || 'x')
            );
            CREATE TABLE empty (a);
            CREATE VIRTUAL TABLE found USING fts5(body);
            CREATE VIEW some AS SELECT t FROM kinds;
            CREATE TRIGGER grows AFTER INSERT ON kinds BEGIN INSERT INTO empty VALUES (new.t); END;
            CREATE INDEX partial ON kinds (i) WHERE i > 0;
            CREATE INDEX expression ON kinds (lower(t));
        """)
        db.executemany(
            "INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?)",
            [
                (None, None, None, None, None, None),
                (2**63 - 1, 1e300, 2**40, "häßlich 🙂 \0 end", b"", "x"),
                (-(2**63), -0.5, 0.25, "", bytes(range(256)), 7),
                (0, float("inf"), "text", "x" * 70_000, b"\0" * 9000, 2.5),
            ],
        )
        db.executemany("INSERT INTO named VALUES (?, ?, ?)", [("a", "b", 1), ("c", None, 2)])
        db.executemany("INSERT INTO counted (id) VALUES (?)", [(1,), (2,), (500,)])
        db.execute("DELETE FROM counted WHERE id = 500")
        db.executemany("INSERT INTO found VALUES (?)", [("the quick fox",), ("a slow dog",)])
    whole = {table: _all(path, table) for table in ("kinds", "named", "counted", "empty", "found", "some")}
    files.overwrite(path, 28, bytes(20))
    found = salvaged(path)
    assert {table: _all(found.path, table) for table in whole} == whole
    assert found.checked.whole is True, found.checked.sentence
    with closing(sqlite3.connect(found.path, isolation_level=None)) as db:
        assert db.execute("SELECT body FROM found WHERE found MATCH 'fox'").fetchall() == [("the quick fox",)]
        assert db.execute("INSERT INTO counted DEFAULT VALUES RETURNING id").fetchone() == (501,)
        names = ("encoding", "application_id", "user_version")
        settings = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
        assert settings == ["UTF-16be", 77, -3]


def _all(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        return db.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall()  # noqa: S608


def test_text_that_is_none_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE t (a TEXT)")
        db.execute("INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT))")
    with closing(sqlite3.connect(salvaged(path).path)) as db:
        assert db.execute("SELECT hex(a), typeof(a) FROM t").fetchall() == [("41FF42", "text")]


def test_what_the_log_holds_is_newer_than_the_file(tmp_path: Path) -> None:
    path = files.crashed(tmp_path / "live" / "x.db", tmp_path / "crashed", commits=7)
    files.zero_a_table_page(Path(shutil.copy(path, tmp_path / "ruined.db")))
    files.overwrite(path, 3 * files.PAGE_BYTES, bytes(16))
    found = salvage(path, tmp_path / "made.db")
    assert {one.name: one.rows for one in found.tables}["conversations"] == 107
    assert any("from the log beside it" in note for note in found.notes)


def test_an_unfinished_transaction_is_not_taken_for_rows(tmp_path: Path) -> None:
    path = files.create(tmp_path / "live" / "x.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 5")
        db.execute("BEGIN")
        db.execute("UPDATE messages SET content = 'never committed ' || content")
        shutil.copytree(path.parent, tmp_path / "crashed")
    found = salvage(tmp_path / "crashed" / "x.db", tmp_path / "made.db")
    assert all(str(row[2]).startswith("message ") for row in _all(found.path, "messages"))
    assert {one.name: one.rows for one in found.tables}["messages"] == 1000


def test_deleted_rows_stay_deleted(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("DELETE FROM messages WHERE id % 3 = 0")
        db.execute("DELETE FROM conversations WHERE id > 50")
    files.damage_the_freelist(path)
    files.flip_a_bit_in_a_page_header(path)
    found = salvaged(path)
    assert {one.name: one.rows for one in found.tables} == {"messages": 667, "conversations": 50, "scratch": 0}


def test_pages_that_are_lost_are_named_and_so_are_the_rows_an_index_still_knows(tmp_path: Path) -> None:
    path = files.create(tmp_path / "x.db", rows=3000)
    with closing(sqlite3.connect(path)) as db:
        [(page,)] = db.execute(
            "SELECT pageno FROM dbstat WHERE name = 'messages' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 5"
        )
    files.overwrite(path, (page - 1) * files.PAGE_BYTES, bytes(files.PAGE_BYTES))
    found = salvaged(path)
    [messages] = [one for one in found.tables if one.name == "messages"]
    # the index has every column of the table: nothing is lost but the page
    assert (messages.rows, messages.lost_pages, messages.known_lost) == (3000, (page,), 0)
    assert 20 < messages.from_others < 40
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_schema WHERE name = 'messages_conversation'")
    (tmp_path / "made.db").unlink()
    bare = salvaged(path)
    [messages] = [one for one in bare.tables if one.name == "messages"]
    assert messages.rows == 3000 - found.tables[1].from_others
    assert (messages.lost_pages, messages.known_lost, messages.whole) == ((page,), None, False)
    assert f"page {page} lost" in messages.sentence
    assert "something is missing of messages" in bare.sentence


@pytest.mark.parametrize("kind", ["backup", "sql", "nothing"])
def test_without_its_first_page_the_schema_comes_from_elsewhere(
    tmp_path: Path, made: dict[str, Made], kind: str
) -> None:
    whole = made["chat"]
    path, backup = tmp_path / "x.db", tmp_path / "backup.db"
    backup.write_bytes(whole.raw)
    path.write_bytes(bytes(whole.page_bytes) + whole.raw[whole.page_bytes :])
    with closing(sqlite3.connect(backup)) as db:
        statement = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
        words = [sql for (sql,) in db.execute(statement)]
    (tmp_path / "schema.sql").write_text(";\n".join(words) + ";")
    other = {"backup": backup, "sql": tmp_path / "schema.sql", "nothing": None}[kind]
    found = salvaged(path, schema_from=other)
    rows = select(found.path)
    if kind == "nothing":
        assert {"salvaged_1", "salvaged_2"} <= set(rows)
        merged = sum((counted.total() for counted in rows.values()), 0)
        assert merged >= whole.total
    else:
        back, total, _ = shared(whole.rows, rows)
        assert back == total, [one.sentence for one in found.tables]


def test_a_file_cut_short_gives_what_is_in_it(tmp_path: Path, made: dict[str, Made]) -> None:
    whole = made["events"]
    path = tmp_path / "x.db"
    path.write_bytes(whole.raw[: len(whole.raw) // 2 // whole.page_bytes * whole.page_bytes + 777])
    found = salvaged(path)
    back, total, strange = shared(whole.rows, select(found.path))
    assert 0.4 * total < back < 0.7 * total, found.sentence
    assert strange <= 2
    assert "something is missing of counters and events" in found.sentence


def test_what_cannot_be_salvaged_is_a_sentence(tmp_path: Path) -> None:
    whole = files.create(tmp_path / "whole.db")
    for name, content, sentence in (
        ("empty", b"", r"is empty \(zero bytes\)"),
        ("prose", b"the quick brown fox jumps over the lazy dog " * 500, "nothing of a SQLite database"),
        ("noise", random.Random(1).randbytes(50_000), "nothing of a SQLite database"),  # noqa: S311
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match=sentence):
            salvage(tmp_path / name, tmp_path / "made.db")
    with pytest.raises(Unreachable, match="no database at"):
        salvage(tmp_path / "none", tmp_path / "made.db")
    with pytest.raises(Refused, match="nothing is overwritten"):
        salvage(whole, whole)
    (tmp_path / "bad.sql").write_text("ATTACH '/etc/passwd' AS x;")
    with pytest.raises(Refused, match="is no schema"):
        salvage(whole, tmp_path / "made.db", schema_from=tmp_path / "bad.sql")
    assert not list(tmp_path.glob("*made*"))
    assert not list(tmp_path.glob(".*made*"))


def test_noise_at_every_place_of_a_page_ends_and_harms_no_other_table(tmp_path: Path) -> None:
    """Whatever a damaged page says of itself, reading it comes to an end."""
    base = files.create(tmp_path / "base.db", rows=200).read_bytes()
    for seed in range(8):
        rng = random.Random(seed)  # noqa: S311
        raw = bytearray(base)
        page = rng.randrange(1, len(raw) // files.PAGE_BYTES) * files.PAGE_BYTES
        for _ in range(rng.randint(1, 400)):
            raw[page + rng.randrange(files.PAGE_BYTES)] = rng.randrange(256)
        path = tmp_path / f"{seed}.db"
        path.write_bytes(raw)
        found = salvage(path, tmp_path / f"{seed}-made.db")
        assert check(found.path).whole is not None
        assert found.rows >= 100


def test_it_agrees_with_sqlite_about_a_file_of_debian_s_own_tool(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    script = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t SELECT value, printf('%d!', value)"
    script += " FROM generate_series(1, 500);"
    if subprocess.run(["sqlite3", str(path), script], check=False, capture_output=True).returncode:
        pytest.skip("this sqlite3 has no generate_series")
    assert select(salvaged(path).path) == select(path)
