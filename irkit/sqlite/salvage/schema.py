"""The schema of a damaged database: from its first page as far as that goes, else from an older file or SQL text."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from irkit.collect.contract import Refused
from irkit.sqlite.nameless import SQLITES
from irkit.sqlite.readonly import FAILURES, MAGIC, open_readonly
from irkit.sqlite.salvage.cells import TABLE_LEAF, Cell, values
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.leaf import read_leaf
from irkit.sqlite.salvage.shapes import Column, Shape
from irkit.sqlite.salvage.tree import holds_rows, orphans, walk

_CREATE = re.compile(r"\s*CREATE\s+(?:(?:UNIQUE|VIRTUAL)\s+)*(TABLE|INDEX|VIEW|TRIGGER)\b", re.IGNORECASE)
_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\b", re.IGNORECASE)
_TYPES = frozenset({"table", "index", "view", "trigger"})
_LONGEST_SQL = 2000
_NAMES = ("type", "name", "tbl_name", "rootpage", "sql")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of `sqlite_schema`; `sql` is "" for an index that SQLite made by itself, `root` 0 where it has no tree."""

    kind: str
    name: str
    table: str
    root: int
    sql: str

    @property
    def virtual(self) -> bool:
        return bool(_VIRTUAL.match(self.sql))


def schema_shape() -> Shape:
    """Return the shape of `sqlite_schema` itself."""
    columns = tuple(Column(name, "INTEGER" if name == "rootpage" else "TEXT", not_null=False) for name in _NAMES)
    return Shape("sqlite_schema", columns, with_rowid=True, seen=[Counter() for _ in columns], fewest=len(_NAMES))


def read(image: Image, taken: set[int], free: set[int]) -> tuple[list[Entry], bool]:
    """Return the schema's lines that can be read, and whether none can be missing; its pages are added to `taken`."""
    shape = schema_shape()
    tree = walk(image, 1, shape, TABLE_LEAF, taken)
    taken.add(1)
    whole = not tree.holes
    found: dict[tuple[str, str], Entry] = {}
    pages = [(one.page, one.within) for one in tree.leaves] or [(1, (None, None))]
    for page, within in pages:
        leaf = read_leaf(image.page(page), page, image.usable, TABLE_LEAF, shape, within)
        whole = whole and not leaf.lost_bytes
        _add(found, image, leaf.cells, taken)
    if not whole:
        for page, kind in list(orphans(image, taken, free)):
            if kind == TABLE_LEAF and holds_rows(image, page, shape):
                cells = read_leaf(image.page(page), page, image.usable, TABLE_LEAF, shape).cells
                if cells and _add(found, image, cells, taken) > len(cells) // 2:
                    taken.add(page)
    return list(found.values()), whole


def _add(found: dict[tuple[str, str], Entry], image: Image, cells: Iterable[Cell], taken: set[int]) -> int:
    """Add the lines among some cells and return how many there were."""
    count = 0
    for cell in cells:
        payload = cell.local
        if cell.size > len(payload):
            more, pages = image.chain(cell.overflow, cell.size - len(payload), taken)
            payload += more
            taken.update(pages)
        entry = _entry(values(payload, cell.types, cell.body, image.encoding))
        if entry is not None:
            found.setdefault((entry.kind, entry.name), entry)
            count += 1
    return count


def _entry(row: Sequence[object]) -> Entry | None:
    if len(row) != len(_NAMES):
        return None
    kind, name, table, root, sql = row
    if not (isinstance(name, str) and isinstance(table, str) and isinstance(kind, str)):
        return None
    if sql is None:
        return Entry("index", name, table, _root(root), "") if name.startswith("sqlite_autoindex_") else None
    if not isinstance(sql, str):
        return None
    told = _CREATE.match(sql)
    if told is None and kind in _TYPES:
        sql = _turned(sql, lambda text: _CREATE.match(text) is not None)
        told = _CREATE.match(sql)
    if told is None:
        return None
    if told[1].upper() == "TABLE" and not _VIRTUAL.match(sql) and not SQLITES.match(name) and not _makes(sql):
        sql = _turned(sql, _makes)
    # the statement says what the word before it may have lost
    return Entry(told[1].lower(), name, table, _root(root), sql)


def _turned(sql: str, right: Callable[[str], bool]) -> str:
    """Return a statement with the one bit turned back that makes it right, or as it is where there is none."""
    for index, letter in enumerate(sql[:_LONGEST_SQL]):
        for bit in range(7):
            turned = f"{sql[:index]}{chr(ord(letter) ^ 1 << bit)}{sql[index + 1 :]}"
            if right(turned):
                return turned
    return sql


def _makes(sql: str) -> bool:
    """Say whether SQLite makes a table of these words."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        try:
            connection.execute(sql)
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return False
    return True


def _root(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 32 else 0


def from_elsewhere(path: Path) -> list[Entry]:
    """Return the schema of another database, such as an older backup, or of a file of SQL statements.

    Raises:
        Unreachable: there is no such file.
        Refused: it is neither, or cannot be read.
    """
    try:
        head = b""
        if path.is_file():
            with path.open("rb") as stream:
                head = stream.read(len(MAGIC))
        if head == MAGIC or not head:
            with open_readonly(str(path)) as opened:
                return _listed(opened.connection)
        text = path.read_text(encoding="utf-8")
    except (*FAILURES, OSError) as error:
        raise Refused(f"no schema can be read from {path}: {error}", hint="name a backup or a file of SQL") from None
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.set_authorizer(_making)
        try:
            connection.executescript(text)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise Refused(f"{path} is no schema: {error}", hint="only CREATE statements are taken from it") from None
        return [replace(one, root=0) for one in _listed(connection)]


def _listed(connection: sqlite3.Connection) -> list[Entry]:
    rows = connection.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
    return [Entry(str(one[0]), str(one[1]), str(one[2]), int(one[3] or 0), str(one[4] or "")) for one in rows]


def _making(action: int, *_: object) -> int:
    """Let a script define things and nothing else: no file is attached, nothing is loaded."""
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_PRAGMA) else sqlite3.SQLITE_OK
