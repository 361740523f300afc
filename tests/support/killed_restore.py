"""Restores that kill themselves before their first, second, third … step on a file, and what is in place then.

`python -m tests.support.killed_restore SCENARIO FOLDER` prints one JSON line for each: the step, what the database says
as its service would read it (`old`, `new`, or what else), and what it says after the restore was run again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from irkit.sqlite.restore import candidate, interrupted, restore, verify
from tests.support import sqlite_files as files
from tests.support.killed import killed

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_BESIDE = ("-wal", "-shm", "-journal")


def rollback(folder: Path) -> None:
    files.create(folder / "x.db")


def log(folder: Path) -> None:
    """A killed service of a WAL database, with transactions that are in the log alone."""
    files.crashed(folder.with_name("live") / "x.db", folder)


def journal(folder: Path) -> None:
    """A service killed in the middle of a transaction that has already changed the file."""
    path = files.create(folder.with_name("live") / "x.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("BEGIN")
        connection.execute("UPDATE messages SET content = 'never committed ' || content")
        shutil.copytree(path.parent, folder)


def damaged(folder: Path) -> None:
    log(folder)
    files.beside(folder / "x.db", "-shm").unlink()
    files.overwrite(folder / "x.db", 8192, bytes(4096))


SCENARIOS: dict[str, Callable[[Path], None]] = {one.__name__: one for one in (rollback, log, journal, damaged)}


def said(folder: Path, name: str = "x.db") -> str:
    """What SQLite reads there, as a digest of every row; on a copy, since reading may recover it."""
    copy = folder.with_name("read")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for one in folder.glob(f"{name}*"):
        suffix = one.name.removeprefix(name)
        if suffix in {"", "-wal", "-shm", "-journal"}:
            shutil.copy(one, copy / f"x.db{suffix}")
    digest = hashlib.sha256()
    with closing(sqlite3.connect(copy / "x.db")) as connection:
        try:
            for table in ("conversations", "messages", "scratch"):
                for row in connection.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY 1"):  # noqa: S608
                    digest.update(repr(row).encode())
            complaint = connection.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            complaint = str(error)
    return f"{digest.hexdigest()} {complaint}"


def outcomes(make: Callable[[Path], None], root: Path) -> Iterator[dict[str, object]]:
    source, folder = root / "source", root / "data"
    make(source)
    backup = files.create(root / "backup" / "b.db", rows=300)
    old, new = said(source), said(backup.parent, "b.db")
    names = {old: "old", new: "new"}
    step = 0
    died = True
    while died:
        step += 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        died = killed(step, folder, lambda: restore(folder / "x.db", candidate(folder / "x.db", backup), _AT))
        found = said(folder)
        left = interrupted(folder / "x.db")
        again = restore(folder / "x.db", candidate(folder / "x.db", backup), _AT)
        replaced = (one.name for one in folder.glob("x.db.replaced-*") if not one.name.endswith(_BESIDE))
        kept = {names.get(said(folder, one), "other") for one in replaced}
        yield {
            "step": step,
            "died": died,
            "found": names.get(found, found),
            "interrupted": left,
            "rerun": names.get(said(folder), "other") if verify(again.path, again.sha256).whole else "not whole",
            "kept": sorted(kept),
            "left": sorted(one.name for one in folder.glob(".*")),
        }


if __name__ == "__main__":
    for outcome in outcomes(SCENARIOS[sys.argv[1]], Path(sys.argv[2])):
        print(json.dumps(outcome), flush=True)
