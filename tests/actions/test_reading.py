"""Actions that only look at databases: can they be connected to, and which index would help a slow query."""

import os
import sqlite3
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import workspace
from tests.actions.conftest import acts
from tests.support import sqlite_files as files
from tests.support.command_line import Run, runner
from tests.support.http_servers import free_port
from tests.support.type_evidence import BEGAN, sealed

NOBODY = 65534
SLOW = "SELECT content FROM messages WHERE conversation_id = 17 AND role = 'user'"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(tmp_path / "jarvis.db")) as connection, connection:
        connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation_id, role, content)")
        rows = [(n % 997, ("user", "ai")[n % 2], f"text {n}") for n in range(40_000)]
        connection.executemany("INSERT INTO messages (conversation_id, role, content) VALUES (?, ?, ?)", rows)
    configure(tmp_path)
    run = runner(monkeypatch, capsys)
    assert run("open", "Slow", "--type", "high-latency", "--id", "42").code == 0
    return run


def configure(folder: Path, *lines: str) -> None:
    text = "\n".join(['[sqlite]\npath = "jarvis.db"', *lines]) + "\n"
    (folder / "irkit.toml").write_text(text)
    (folder / "irkit.toml").chmod(0o600)


def logged(*lines: str) -> None:
    rows = [
        {"at": BEGAN + timedelta(seconds=n), "service": "api", "name": "api", "stream": "stdout", "line": line}
        for n, line in enumerate(lines)
    ]
    sealed(workspace.load_settings().home, {"logs": rows, "containers": []})


def test_a_database_that_can_be_read_is_said_to(desk: Run, tmp_path: Path) -> None:
    with files.untouched(files_folder(tmp_path)):
        said = desk("act", "42", "check-database", "--apply")
    assert said.code == 0, said.err
    assert "1 table read in" in said.out
    assert "done and verified. 1 database can be connected to and read." in said.out
    assert acts()[-1].data["outcome"] == "done"


def files_folder(folder: Path) -> Path:
    """Move the database into a folder of its own, where nothing else is written."""
    own = folder / "data"
    own.mkdir()
    (folder / "jarvis.db").rename(own / "jarvis.db")
    (folder / "irkit.toml").write_text('[sqlite]\npath = "data/jarvis.db"\n')
    return own


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), "no database at"),
        (lambda path: path.write_bytes(b"hello, I am a text file\n" * 100), "cannot be read"),
        (lambda path: files.overwrite(path, 100, b"\xa5" * 1000), "integrity-check` says how much of it"),
    ],
)
def test_one_that_cannot_is_something_wrong_and_the_step_is_done(
    damage: files.Damage, sentence: str, desk: Run, tmp_path: Path
) -> None:
    damage(tmp_path / "jarvis.db")
    said = desk("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert "done, and not all is well" in said.err
    assert sentence in said.err
    assert (acts()[-1].data["outcome"], acts()[-1].data["well"]) == ("done", False)


def test_one_that_may_not_be_read_was_not_looked_at_and_the_step_is_not_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user to whom the file is closed: root may read all, so it is put off for as long as that takes."""
    run, user = runner(monkeypatch, capsys), os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monkeypatch.chdir(folder)
        configure(folder)
        files.create(folder / "jarvis.db").chmod(0)
        assert run("open", "Chat is down", "--type", "api-unresponsive", "--id", "42").code == 0
        if user == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            said = run("act", "42", "check-database", "--apply")
            ended = acts()[-1]
        finally:
            os.seteuid(user)
            monkeypatch.undo()
    words = " ".join(said.err.split())
    assert (said.code, "could not be looked at" in words, "not all is well" in words) == (8, True, False)
    assert "is recorded as tried, and it could not be done" in words
    assert ended.data["outcome"] == "failed"


def test_databases_by_url_are_asked_and_their_passwords_never_shown(desk: Run, tmp_path: Path) -> None:
    configure(
        tmp_path,
        "[database]",
        f'urls = {{ other = "sqlite:///{tmp_path}/jarvis.db", gone = "sqlite:////no/such/folder/x" }}',
    )
    said = desk("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert "other at" in said.out
    assert "answers in" in said.out
    assert "gone at" in said.err
    configure(
        tmp_path, "[database]", f'urls = {{ main = "postgresql://ana:s3cret-word@127.0.0.1:{free_port()}/shop" }}'
    )
    said = desk("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert "psycopg" in said.err or "refused" in said.err
    assert "s3cret-word" not in said.out + said.err + "".join(f"{one.text}{one.data}" for one in acts())


def test_an_index_that_would_help_is_measured_on_a_copy(desk: Run, tmp_path: Path) -> None:
    logged(f"WARNING slow query took 1200 ms: {SLOW}", f"WARNING slow query took 900 ms: {SLOW}", "INFO hello")
    before = (tmp_path / "jarvis.db").read_bytes()
    planned = desk("act", "42", "explain-queries")
    assert "Run 2 times, up to 1.20 s" in " ".join(planned.out.split())
    assert "run on it: 1 slow query, with indexes" in " ".join(planned.out.split())
    said = desk("act", "42", "explain-queries", "--apply")
    assert said.code == 0, said.err
    assert 'CREATE INDEX "messages_conversation_id' in said.out
    assert "times as fast" in said.out
    assert "Step 3 of the runbook is recorded as done." in said.out
    assert (tmp_path / "jarvis.db").read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.db*")] == ["jarvis.db"]


def test_where_the_logs_tell_of_no_slow_query_nothing_is_made_up(desk: Run) -> None:
    assert "no evidence has been collected yet" in desk("act", "42", "explain-queries").err
    logged("INFO hello")
    said = desk("act", "42", "explain-queries", "--apply")
    assert said.code == 8
    assert "tell of no query that took 0.1 s or longer" in said.err


def test_a_query_that_writes_is_not_run(desk: Run) -> None:
    logged("WARNING slow query took 1200 ms: DELETE FROM messages WHERE role = 'ai'")
    said = desk("act", "42", "explain-queries", "--apply")
    assert "it writes, and is not run" in said.out
