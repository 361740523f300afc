import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import irkit.store.migrations
from irkit.errors import IrkitError, NotFoundError, StoreError
from irkit.model import EventKind
from irkit.settings import Secret, Settings
from irkit.store import STORE_NAME, Store, open_store
from irkit.store.database import METADATA, REVISIONS, connect


@pytest.fixture
def home(tmp_path: Path) -> Path:
    filed(tmp_path)
    return tmp_path


def filed(home: Path) -> Store:
    store = open_store(Settings(home), create=True)
    store.open_incident("API down", incident_type="t", severity="s", actor="ana", incident_id=42)
    return store


def note(home: Path) -> None:
    open_store(Settings(home)).append(42, EventKind.NOTE, actor="ana", text="x" * 50_000)


def contents(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(home.iterdir())}


def test_reading_where_no_store_is_makes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with pytest.raises(NotFoundError, match="there is no incident store at") as refused:
        open_store(Settings(home))
    assert str(home / STORE_NAME) in str(refused.value)
    assert "irkit open" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_is_private_durable_and_alone_in_its_folder(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    filed(home)
    assert sorted(path.name for path in home.iterdir()) == [".gitignore", STORE_NAME]
    assert (home / STORE_NAME).stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(home / STORE_NAME)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with connect(home / STORE_NAME, create=False).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize("name", ["with space", "100%", "a?b#c", "ünï"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    filed(tmp_path / name)
    assert open_store(Settings(tmp_path / name)).incident(42).title == "API down"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET text = 'never happened'",
        "DELETE FROM event",
        "UPDATE incident SET id = 43",
        "DELETE FROM incident",
        "INSERT OR REPLACE INTO incident VALUES (42, '2026-11-24')",
        "INSERT OR REPLACE INTO event SELECT 1, 42, at, at, kind, 'eve', text, evidence, data FROM event LIMIT 1",
    ],
)
def test_the_database_itself_refuses_to_rewrite_history(home: Path, statement: str) -> None:
    before = open_store(Settings(home)).timeline(42)
    with closing(sqlite3.connect(home / STORE_NAME)) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    assert open_store(Settings(home)).timeline(42) == before


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))


def sql(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as raw, raw:
            for statement in statements:
                raw.execute(statement)

    return change


def replaced(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def foreign(path: Path) -> None:
    path.unlink()
    sql("CREATE TABLE incident (id INTEGER)")(path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "is empty: 0 bytes"),
        (lambda path: path.write_bytes(b"# notes\n" * 1000), "is not a database"),
        (truncated, "is damaged"),
        (zeroed, "is damaged"),
        (foreign, "is a database, but no incident store of irkit"),
        (sql("UPDATE alembic_version SET version_num = '9999'"), "was written by a newer irkit"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a file"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_what_is_no_sound_store_is_one_sentence_and_is_left_alone(
    home: Path, damage: Callable[[Path], object], sentence: str, *, create: bool
) -> None:
    path = home / STORE_NAME
    damage(path)
    before = contents(home) if path.is_file() else {}
    with pytest.raises(StoreError, match=sentence) as refused:
        open_store(Settings(home), create=create).incident(42)
    assert str(path) in str(refused.value)
    assert refused.value.hint
    assert "\n" not in str(refused.value)
    assert "SELECT" not in str(refused.value)
    if path.is_file():
        assert contents(home)[STORE_NAME] == before[STORE_NAME]


@contextmanager
def as_nobody(prepare: Callable[[Path], object] = lambda _: None) -> Iterator[Path]:
    """Give a folder that belongs to a user without rights; root, whom no permission stops, becomes that user.

    `prepare` fills it before: the user may not even read this repository, and what makes a store is read from it.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        prepare(Path(folder))
        user = os.geteuid()
        if user == 0:
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_a_store_that_must_not_be_written_is_a_sentence() -> None:
    with as_nobody(filed) as home:
        (home / STORE_NAME).chmod(0o400)
        home.chmod(0o500)
        with pytest.raises(StoreError, match=r"read-only; nothing was changed|cannot be opened"):
            note(home)
        (home / STORE_NAME).chmod(0o000)
        with pytest.raises(StoreError, match="cannot be opened") as refused:
            open_store(Settings(home)).incident(42)
        assert "readable" in refused.value.hint
        home.chmod(0o700)


def test_a_home_that_cannot_be_made_is_a_sentence() -> None:
    with as_nobody() as folder:
        folder.chmod(0o500)
        with pytest.raises(StoreError, match=r"no incident store can be made at .*: Permission denied") as refused:
            open_store(Settings(folder / "home"), create=True)
        assert "IRKIT_HOME" in refused.value.hint
        folder.chmod(0o700)


def test_a_home_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(IrkitError, match="incident store"):
        open_store(Settings(tmp_path / "home"), create=True)


def test_a_store_held_by_another_process_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irkit.store.database.BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(home / STORE_NAME, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is held by another process; nothing was changed"):
            note(home)
        assert open_store(Settings(home)).incident(42).title == "API down"
    note(home)


def test_a_full_disk_keeps_the_store_as_it_was(home: Path) -> None:
    """A limit on the size of files stops the writes of a real process as a full disk does."""
    before = open_store(Settings(home)).timeline(42)
    code = f"""
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.store.test_database import note
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, {resource.RLIM_INFINITY}))
try:
    note(Path({str(home)!r}))
except Exception as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""
    # nor may what Python compiles be cut, to be believed by everybody who imports it later
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("StoreError: the incident store ")
    assert "nothing was changed" in run.stderr
    assert open_store(Settings(home)).timeline(42) == before
    note(home)


def test_a_store_on_a_full_disk_is_read_and_says_what_to_do(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (home / "irkit.toml").write_text('home = "."\n')
    command = (
        'mount -t tmpfs -o size=1m none "$1" && cp -a . "$1" && cd "$1" && { cat /dev/zero > fill; '
        '"$0" show 42 && ! "$0" note 42 "lost"; } 2>&1'
    )
    irkit = Path(sys.executable).parent / "irkit"
    place = tmp_path_factory.mktemp("full")
    mounts = ["unshare", "--mount", "--propagation", "private", "sh", "-c", command, str(irkit), str(place)]
    run = subprocess.run(mounts, cwd=home, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "API down" in run.stdout
    assert "is on a full disk; nothing was changed" in run.stdout


def test_a_store_on_a_disk_that_is_read_only_is_read_and_not_written(home: Path) -> None:
    (home / "irkit.toml").write_text('home = "."\n')
    command = (
        'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && "$0" show 42 && ! "$0" note 42 "lost" 2>&1'
    )
    irkit = Path(sys.executable).parent / "irkit"
    mounts = ["unshare", "--mount", "--propagation", "private", "sh", "-c", command, str(irkit)]
    done = subprocess.run(mounts, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "API down" in done.stdout
    assert "is read-only; nothing was changed" in done.stdout
    assert "lost" not in str(open_store(Settings(home)).timeline(42))


def test_revisions_known_here_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(irkit.store.migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_the_migrations_make_the_tables_that_are_used(home: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with connect(home / STORE_NAME, create=False).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_an_up_to_date_store_opens_without_alembic(home: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from irkit.settings import Settings
from irkit.store import open_store
assert open_store(Settings(Path({str(home)!r}))).incident(42)
sys.exit("alembic" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "is not a database URL"),
        ("teradata://u:hunter2@host/x", "is not a database URL|needs the Python package"),
        ("sqlite:////tmp/x.db", "store_url names a SQLite file"),
        ("postgresql://app:hunter2secret/x", "is not a database URL"),
        ("postgresql://u:hunter2@[::1/x", "is not a database URL"),
        ("postgresql://u:hunter2@db.invalid:notaport/x", "is not a database URL"),
        ("postgresql://u:hunter2@db..invalid/x", "needs the Python package psycopg|cannot be looked up"),
        ("postgresql://u:hunter2@127.0.0.1:1/x", "needs the Python package psycopg|failed: "),
    ],
)
def test_a_store_url_that_leads_nowhere_is_a_sentence_without_the_password(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as refused:
        open_store(Settings(Path("/nowhere"), store_url=Secret(url)))
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"
