"""The incident store's schema and its connection: SQLite by default, another database by URL."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import sqlalchemy as sa

from irkit.errors import NotFoundError, StoreError
from irkit.settings.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from irkit.settings import Secret

# the schema's history, oldest first; the last is what this irkit writes
REVISIONS = ("0001",)
BUSY_TIMEOUT_S = 10.0
# what SQLite says where no index of the log can be made beside a store
_NO_INDEX = ("SQLITE_IOERR_SHM", "SQLITE_FULL")
_BACKUP_HINT = "restore it from a backup, or move it away: `irkit open TITLE` makes a new one"


class UtcTime(sa.TypeDecorator[datetime]):
    """A time stored and returned in UTC, also by databases that keep no time zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = sa.MetaData()
INCIDENT = sa.Table(
    "incident",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
)
EVENT = sa.Table(
    "event",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incident.id"), nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)


def connect(place: Path | Secret, *, create: bool) -> sa.Engine:
    """Return an engine on the store at a SQLite file or a URL, its schema brought up to date.

    Where `create` is false nothing is made: neither file nor folder nor table.

    Raises:
        NotFoundError: there is no store there and `create` is false.
        StoreError: what is there cannot be read or written, is no store of irkit, or is a newer irkit's.
    """
    engine = _sqlite(place, create=create) if isinstance(place, Path) else _by_url(place)
    with translated(place):
        try:
            opened = engine.connect()
        except UnicodeError:  # a driver's, of a name that is none
            msg = f"the incident store {place} has a host whose name cannot be looked up"
            raise StoreError(msg, hint="correct store_url") from None
        with opened as connection:
            revision = _revision(connection, place)
        if revision == REVISIONS[-1]:
            return engine
        if revision is None and not create:
            raise _missing(place)
        _migrate(engine, place)
    return engine


@contextmanager
def transaction(engine: sa.Engine, place: Path | Secret, *, write: bool = False) -> Iterator[sa.Connection]:
    """Run one transaction; a writing one holds SQLite's write lock from its start, so that what it read stays true.

    Raises:
        StoreError: the database fails; nothing of the transaction is kept.
    """
    with translated(place), engine.execution_options(irkit_write=write).begin() as connection:
        yield connection


@contextmanager
def translated(place: Path | Secret) -> Iterator[None]:
    """Turn a database's error into a StoreError: one sentence, without SQL, values or passwords."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _sentence(error.orig, place) from None
    except sqlite3.Error as error:
        raise _sentence(error, place) from None


def _sqlite(path: Path, *, create: bool) -> sa.Engine:
    if not path.exists():
        if not create:
            raise _missing(path)
        _create_file(path)
    if not path.is_file():
        raise StoreError(f"the incident store {path} is not a file", hint="point `home` in irkit.toml elsewhere")
    if not path.stat().st_size:
        raise StoreError(f"the incident store {path} is empty: 0 bytes", hint=_BACKUP_HINT)
    return _engine(path)


def _engine(path: Path) -> sa.Engine:
    def open_connection() -> sqlite3.Connection:
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(_NO_INDEX):
                raise
        return _opened(path, alone=True)

    engine = sa.create_engine("sqlite://", creator=open_connection, poolclass=sa.NullPool)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _opened(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Connect to a store; `alone` keeps the index of its log in memory, so that one on a full disk can be read.

    Nobody else reads or writes it then (sqlite.org/wal.html, 8: use of WAL without shared memory).
    """
    # mode=rw: a file that has gone since is an error, not a new and empty store
    uri = f"file:{quote(str(path))}?{'mode=ro&immutable=1' if _is_frozen(path) else 'mode=rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA schema_version").fetchone()  # makes the index, where there is none
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_frozen(path: Path) -> bool:
    """Say whether a store can be read and not even locked, as on a disk mounted read-only: nobody changes it then.

    What a write-ahead log beside it holds would be left out (sqlite.org/uri.html), so one with anything in it counts.
    """
    log = path.with_name(f"{path.name}-wal")
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not (log.exists() and log.stat().st_size)


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("irkit_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _create_file(path: Path) -> None:
    """Make a complete store aside and link it into place: a reader sees no store or a whole one."""
    try:
        is_new = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_new:  # evidence belongs in nobody's repository
            (path.parent / ".gitignore").write_text("*\n", encoding="ascii")
        with tempfile.TemporaryDirectory(prefix=".irkit-new-", dir=path.parent) as folder:
            new = Path(folder) / path.name
            with translated(path):
                connection = sqlite3.connect(new)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.close()
                engine = _engine(new)
                _migrate(engine, path)
            new.chmod(0o600)
            with suppress(FileExistsError):  # another process was faster; its store is as good
                _put(new, path)
    except OSError as error:
        raise StoreError(
            f"no incident store can be made at {path}: {error.strerror or error}",
            hint="make the folder writable, or set `home` in irkit.toml or IRKIT_HOME",
        ) from None


def _put(new: Path, path: Path) -> None:
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if not path.exists():
            new.rename(path)


def _by_url(url: Secret) -> sa.Engine:
    try:
        parsed = sa.make_url(url.reveal())
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            msg = "store_url names a SQLite file"
            raise StoreError(msg, hint="set `home` instead: the store is irkit.db in that folder")
        return sa.create_engine(parsed, poolclass=sa.NullPool)
    except (sa.exc.ArgumentError, ValueError):  # whose words hold the password, where it was taken for a port
        msg = "store_url is not a database URL irkit can use"
        raise StoreError(msg, hint="write postgresql://user@host/database") from None
    except ModuleNotFoundError as error:
        msg = f"the store at {url} needs the Python package {error.name}, which is not installed"
        raise StoreError(msg, hint=f"pip install {error.name}") from None


def _revision(connection: sa.Connection, place: Path | Secret) -> str | None:
    """Return the schema revision of a store, None where there are no tables at all."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables and not isinstance(place, Path):
        return None
    found = "alembic_version" in tables and connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if not found or "incident" not in tables:
        raise StoreError(f"{place} is a database, but no incident store of irkit", hint="check `home` and `store_url`")
    if found not in REVISIONS:
        raise StoreError(
            f"the incident store {place} was written by a newer irkit (schema {found}, known here: {REVISIONS[-1]})",
            hint="upgrade irkit",
        )
    return str(found)


def _migrate(engine: sa.Engine, place: Path | Secret) -> None:
    # alembic costs as much to import as all the rest; a store that is up to date never needs it
    from alembic import command
    from alembic.config import Config

    shipped = files("irkit.store").joinpath("migrations")
    with as_file(shipped) as folder, transaction(engine, place, write=True) as connection:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _missing(place: Path | Secret) -> NotFoundError:
    return NotFoundError(
        f"there is no incident store at {place}",
        hint="`irkit open TITLE --type TYPE` makes one; if yours is elsewhere, set `home` in irkit.toml or IRKIT_HOME",
    )


def _sentence(error: BaseException | None, place: Path | Secret) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    for prefix, what, hint in _SQLITE_FAILURES:
        if name.startswith(prefix):
            return StoreError(f"the incident store {place} {what}", hint=hint)
    said = str(error) if isinstance(place, Path) else without_secrets(str(error), place.reveal())
    detail = (said.strip().splitlines() or ["no detail"])[0][:200]
    return StoreError(
        f"the incident store {place} failed: {detail}", hint="nothing was changed; correct that and try again"
    )


_SQLITE_FAILURES: tuple[tuple[str, str, str], ...] = (
    ("SQLITE_NOTADB", "is not a database", _BACKUP_HINT),
    ("SQLITE_CORRUPT", "is damaged", _BACKUP_HINT),
    ("SQLITE_READONLY", "is read-only; nothing was changed", "make the file and its folder writable for you"),
    ("SQLITE_CANTOPEN", "cannot be opened", "make the file and its folder readable and writable for you"),
    ("SQLITE_BUSY", "is held by another process; nothing was changed", "try again once that process is done"),
    ("SQLITE_FULL", "is on a full disk; nothing was changed", "free some space and try again"),
    ("SQLITE_IOERR_SHMSIZE", "is on a full disk; nothing was changed", "free some space and try again"),
    (
        "SQLITE_IOERR",
        "could not be read or written; nothing was changed",
        "look at the disk (`dmesg`, `df`), then try again",
    ),
)
