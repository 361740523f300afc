"""Ask whether the service's databases can be connected to and read: the SQLite file, and others by their URLs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irkit.act.contract import ActError, Action, Ask, Plan, Result, only_look, register
from irkit.collect.contract import Refused, Unreachable
from irkit.errors import InputError
from irkit.settings.sections import Secret
from irkit.settings.urls import without_secrets
from irkit.sqlite.check import quoted_name
from irkit.sqlite.readonly import NotPermitted, find, open_readonly
from irkit.text.message import fit, one_line
from irkit.text.phrase import count, size

_TIMEOUT_S = 5
_SHOWN_CHARS = 300
# a driver for each kind of address that we know a good one for, and how it is told how long to wait
_DRIVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "postgresql": ("psycopg[binary]", {"connect_timeout": _TIMEOUT_S}),
    "mysql": ("pymysql", {"connect_timeout": _TIMEOUT_S, "read_timeout": _TIMEOUT_S}),
    "mariadb": ("pymysql", {"connect_timeout": _TIMEOUT_S, "read_timeout": _TIMEOUT_S}),
}
_DEFAULTS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def plan(ask: Ask) -> Plan:
    path, urls = _file(ask), ask.settings.database.urls
    if not path and not urls:
        raise InputError("it is not known which databases there are", hint="set [sqlite] path or [database] urls")
    changes = [f"{path} is opened read-only and read"] if path else []
    changes += [f"{name} at {Secret(url)} is connected to and asked one question" for name, url in urls]
    commands = [f"sqlite3 -readonly {path} .tables"] if path else []
    return Plan(_target(ask), tuple(changes), tuple(commands), data={"names": [name for name, _ in urls]})


def apply(plan: Plan, ask: Ask) -> Result:
    del plan
    told = [*_files(ask), *_servers(ask)]
    for _, sentence in told:
        ask.say(sentence)
    bad = [sentence for well, sentence in told if well is False]
    unseen = [sentence for well, sentence in told if well is None]
    if unseen and not bad:
        raise ActError(f"could not be looked at: {'; '.join(unseen)}")
    bad += unseen
    sentence = "; ".join(bad) if bad else f"{count(len(told), 'database')} can be connected to and read"
    return Result(not bad, sentence, {"databases": [{"well": well, "said": said} for well, said in told]})


def _file(ask: Ask) -> str:
    """Return the path of the SQLite file, "" where nobody configured one and a service has its data elsewhere."""
    sqlite = ask.settings.sqlite
    expected = sqlite.configured or not ask.settings.database.urls or Path(sqlite.path).exists()
    return sqlite.path if expected else ""


def _target(ask: Ask) -> str:
    path = _file(ask)
    return ", ".join([*([Path(path).name] if path else []), *(name for name, _ in ask.settings.database.urls)])


def _files(ask: Ask) -> Iterator[tuple[bool | None, str]]:
    """Yield the verdict on the file, None where we may not read it: that tells nothing of the database."""
    path = _file(ask)
    if not path:
        return
    began = time.monotonic()
    try:
        file = find(path)
        with open_readonly(path) as opened:
            tables = [
                str(row[0]) for row in opened.connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
            ]
            for table in tables:
                opened.connection.execute(f"SELECT * FROM {quoted_name(table)} LIMIT 1").fetchone()  # noqa: S608 (quoted)
    except NotPermitted as error:
        yield None, f"{error}; {error.hint}"
    except (Unreachable, Refused) as error:
        yield False, f"{path}: {error}{f'; {error.hint}' if error.hint else ''}"
    except sqlite3.Error as error:
        yield (
            False,
            f"{path} cannot be read: {error}; `irkit act {ask.incident.id} integrity-check` says how much of it",
        )
    else:
        took_ms = (time.monotonic() - began) * 1000
        yield True, f"{path}: {count(len(tables), 'table')} read in {took_ms:.0f} ms, {size(file.size_bytes)}"


def _servers(ask: Ask) -> Iterator[tuple[bool, str]]:
    for name, url in ask.settings.database.urls:
        yield _server(name, url)


def _server(name: str, url: str) -> tuple[bool, str]:
    """Connect to a database by its URL; no word of it may hold its password."""
    import sqlalchemy as sa
    from sqlalchemy import exc

    kind = url.partition(":")[0]
    package, options = _DRIVERS.get(kind.partition("+")[0], ("its driver", {}))
    began = time.monotonic()
    try:
        engine = sa.create_engine(url.replace(kind, _DEFAULTS.get(kind, kind), 1), connect_args=options)
    except (exc.ArgumentError, ValueError):  # a password that was taken for a port is in its words
        raise ActError(
            f"[database] urls: {name} is no address that SQLAlchemy knows", hint="postgresql://…, mysql://…"
        ) from None
    except ImportError as error:
        msg = f"the database {name} could not be looked at: {error.name} is not installed beside irkit"
        raise ActError(msg, hint=f"pip install '{package}'") from None
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1")).scalar()
    except (exc.SQLAlchemyError, UnicodeError) as error:  # a driver's, of a name that is none
        return False, f"{name} at {Secret(url)}: {_cause(error, url)}"
    finally:
        engine.dispose()
    return True, f"{name} at {Secret(url)}: answers in {(time.monotonic() - began) * 1000:.0f} ms"


def _cause(error: Exception, url: str) -> str:
    """Return a driver's own words in one line, without the password."""
    return fit(without_secrets(one_line(str(getattr(error, "orig", None) or error)), url), _SHOWN_CHARS)


register(
    Action(
        "check-database",
        "Connect to the databases and read: the SQLite file, and those of [database] urls.",
        plan,
        apply,
        only_look,
        needs=("sqlite", "database"),
        answers=r"\bdatabase connectivity\b|\bcheck\b.*\bdatabase\b",
        changes=False,
    )
)
