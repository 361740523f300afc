"""Tables that no application asks for: what a salvage makes of rows whose table's name is lost with the schema."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite.readonly import FAILURES, find, open_readonly

ASIDE = "lost_and_found"
_MADE = "salvaged_"
_NAMELESS = re.compile(rf"{_MADE}\d+\Z")
# how the names of SQLite's own tables begin
SQLITES = re.compile(r"sqlite_", re.IGNORECASE)


def name_for(number: int) -> str:
    """Return what a salvage calls the table of this number."""
    return f"{_MADE}{number}"


def nameless(tables: Iterable[str]) -> tuple[str, ...]:
    """Return those of the tables whose names a salvage made up."""
    return tuple(one for one in tables if _NAMELESS.match(one))


def only_nameless(tables: Iterable[str]) -> bool:
    """Say whether all tables that hold rows of a service's are such: then no application can use the file."""
    theirs = _theirs(tables)
    return bool(theirs) and len(nameless(theirs)) == len(theirs)


def tables_in(path: Path) -> tuple[str, ...] | None:
    """Return the tables of a file by the names in its schema, None where that cannot be read."""
    try:
        if find(str(path)).fault:
            return None
        with open_readonly(str(path)) as opened:
            found = opened.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    except (*FAILURES, Refused, Unreachable, OSError):
        return None
    return tuple(str(name) for (name,) in found)


def names_tables(path: Path) -> bool:
    """Say whether the schema of a file names tables of a service's, so that it can name another file's."""
    theirs = _theirs(tables_in(path) or ())
    return bool(theirs) and not only_nameless(theirs)


def _theirs(tables: Iterable[str]) -> list[str]:
    return [one for one in tables if not SQLITES.match(one) and one != ASIDE]
