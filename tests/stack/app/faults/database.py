"""Damage to the SQLite file; what is broken here is restored from the backup when the fault is switched off."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .contract import Steps, fault

if TYPE_CHECKING:
    from ..database import Database
    from ..jarvis_api import JarvisApi

PAGE_BYTES = 4096
_WAL_HEADER_BYTES = 32
_FRAME_BYTES = 24 + PAGE_BYTES
_KEPT_SHARE = 0.6


@fault("database-corrupted", incident="database-corruption")
def database_corrupted(api: JarvisApi) -> Steps:
    """The pages of every table but the schema's are overwritten: reads fail with "disk image is malformed"."""

    def overwrite(path: Path) -> None:
        schema = path.read_bytes()[:PAGE_BYTES]
        path.write_bytes(schema + b"\xa5" * (path.stat().st_size - PAGE_BYTES))

    yield from _damaged(api.database, overwrite)


@fault("pages-flipped", incident="database-corruption")
def pages_flipped(api: JarvisApi, pages: float = 6) -> Steps:
    """A few pages have bits flipped all over, as on a failing disk."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        dice = random.Random(pages)  # noqa: S311 (the same damage each time)
        for page in dice.sample(range(1, len(content) // PAGE_BYTES), int(pages)):
            for place in dice.sample(range(PAGE_BYTES), 200):
                content[page * PAGE_BYTES + place] ^= 1 << dice.randrange(8)
        path.write_bytes(content)

    yield from _damaged(api.database, flip)


@fault("page-zeroed", incident="database-corruption")
def page_zeroed(api: JarvisApi) -> Steps:
    """The first page of the table of messages is all zeros, as after a lost write."""

    def zero(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
        with path.open("r+b") as file:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(bytes(PAGE_BYTES))

    yield from _damaged(api.database, zero)


@fault("file-truncated", incident="database-corruption")
def file_truncated(api: JarvisApi) -> Steps:
    """The end of the file is missing, as after a copy that was cut short."""

    def cut(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * _KEPT_SHARE) // PAGE_BYTES * PAGE_BYTES)

    yield from _damaged(api.database, cut)


@fault("not-a-database", incident="database-corruption")
def not_a_database(api: JarvisApi) -> Steps:
    """Something else was written over the head of the file."""

    def overwrite(path: Path) -> None:
        with path.open("r+b") as file:
            file.write(b"<!doctype html><title>502 Bad Gateway</title>")

    yield from _damaged(api.database, overwrite)


@fault("index-damaged", incident="database-corruption")
def index_damaged(api: JarvisApi, rows: float = 40) -> Steps:
    """Some rows are missing from an index, so queries that use it answer wrongly and without an error."""

    def forget(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            query = "SELECT rootpage, sql FROM sqlite_master WHERE name = 'provider_calls_provider'"
            root, sql = connection.execute(query).fetchone()
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("DELETE FROM sqlite_master WHERE name = 'provider_calls_provider'")
        with closing(sqlite3.connect(path)) as connection, connection:
            row = ("provider-alpha", 200, 20.0, "2026-01-01T00:00:00.000+00:00")
            columns = "provider, status, duration_ms, created_at"
            connection.executemany(
                f"INSERT INTO provider_calls ({columns}) VALUES (?, ?, ?, ?)",  # noqa: S608 (constant)
                [row] * int(rows),
            )
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "INSERT INTO sqlite_master VALUES ('index', 'provider_calls_provider', 'provider_calls', ?, ?)",
                (root, sql),
            )

    yield from _damaged(api.database, forget)


@fault("foreign-keys-broken", incident="database-corruption")
def foreign_keys_broken(api: JarvisApi, rows: float = 12) -> Steps:
    """Conversations were deleted and their messages were not: no query fails, the data contradict each other."""

    def orphan(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM conversations WHERE id <= ?", (int(rows),))

    yield from _damaged(api.database, orphan)


@fault("wal-damaged", incident="database-corruption")
def wal_damaged(api: JarvisApi) -> Steps:
    """The write-ahead log has bits flipped in the frames it holds, while the API works on."""
    wal = api.database.path.with_name(f"{api.database.path.name}-wal")

    def flip(_path: Path) -> None:
        content = bytearray(wal.read_bytes())
        frames = (len(content) - _WAL_HEADER_BYTES) // _FRAME_BYTES
        dice = random.Random(frames)  # noqa: S311 (the same damage for the same log)
        for frame in range(max(0, frames - 3), frames):
            start = _WAL_HEADER_BYTES + frame * _FRAME_BYTES + 24
            for place in dice.sample(range(PAGE_BYTES), 60):
                content[start + place] ^= 1 << dice.randrange(8)
        with wal.open("r+b") as file:
            file.write(content)

    yield from _damaged(api.database, flip, offline=False)


def _damaged(database: Database, damage: Callable[[Path], None], *, offline: bool = True) -> Steps:
    if offline:
        with database.offline():
            damage(database.path)
    else:
        damage(database.path)
    try:
        while True:
            yield
    finally:
        with database.offline():
            shutil.copyfile(database.backup_path, database.path)
