"""Which files can be put in a database's place: backups that irkit or others keep of it, and what was salvaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from irkit.bundle import sha256_of
from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite.backup import made_at, recorded_sum, was_damaged
from irkit.sqlite.check import check
from irkit.sqlite.nameless import names_tables, only_nameless, tables_in
from irkit.sqlite.readonly import COMPANIONS

# what is larger is judged by what was found when it was made: a list of commands is not to wait for minutes
READ_AGAIN_BYTES = 64 * 1024 * 1024
_SALVAGED = "salvaged-"
_HEADER = b"SQLite format 3\0"
# names of files that are no backups: what a restore put aside, and what is still being written
_OTHERS = (".replaced-", ".partial", *COMPANIONS)
# copies of others that are looked at, the newest first
_LOOKED_AT = 12


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that may be a backup: a copy of the database, or (`salvaged`) the rows that were saved of it.

    `at` is when it was made, by its name or else by its file's time; `ours` says that irkit made and checked it.
    """

    path: Path
    salvaged: bool
    at: datetime
    ours: bool = True

    @property
    def whole(self) -> bool:
        """Whether it may be put in place, by a full check, or by the record of one where it is large."""
        if was_damaged(self.path):
            return False
        try:
            if self.path.stat().st_size > READ_AGAIN_BYTES:
                return self.ours
            recorded = recorded_sum(self.path)
            return recorded in {None, sha256_of(self.path)} and check(self.path).whole is True
        except (OSError, Refused, Unreachable):
            return False


def kept(folder: Path, database: Path) -> Iterator[Kept]:
    """Yield what irkit keeps of a database."""
    pattern = f"{database.stem}-*Z{database.suffix or '.db'}"
    yield from (_kept(path, salvaged=False) for path in folder.glob(pattern))
    yield from (_kept(path, salvaged=True) for path in folder.glob(f"{_SALVAGED}{pattern}"))


def beside(database: Path) -> Iterator[Kept]:
    """Yield what others keep of a database, the newest first.

    Those are SQLite's files that bear its name, beside it or in a folder of backups there.
    """
    found: list[Kept] = []
    with suppress(OSError):
        folders = [one for one in database.parent.iterdir() if "back" in one.name.lower() and one.is_dir()]
        for folder in (database.parent, *folders):
            found += [_kept(path, salvaged=False, ours=False) for path in folder.iterdir() if _a_copy(path, database)]
    yield from _newest_first(found)[:_LOOKED_AT]


def newest_whole(folder: Path, database: Path, *, salvaged: bool = False, but: Path | None = None) -> Path | None:
    """Return the newest whole backup, irkit's or another's, or (`salvaged`) the newest whole file of saved rows.

    A file that is damaged is never returned, nor one whose tables have lost their names, nor is `but`.
    """
    return next((one.path for one in whole_ones(folder, database, salvaged=salvaged) if one.path != but), None)


def whole_ones(folder: Path, database: Path, *, salvaged: bool = False) -> Iterator[Kept]:
    """Yield what can be put in place, the newest first: each is checked as it is asked for."""
    known = [one for one in kept(folder, database) if one.salvaged == salvaged]
    known += () if salvaged else beside(database)
    for one in _newest_first(known):
        if one.whole and not only_nameless(tables_in(one.path) or ()):
            yield one


def newest_schema(folder: Path, database: Path) -> Path | None:
    """Return the newest whole backup that names tables, for what of a damaged file's schema is lost."""
    return next((one.path for one in whole_ones(folder, database) if names_tables(one.path)), None)


def _newest_first(found: Iterable[Kept]) -> list[Kept]:
    return sorted(found, key=lambda one: one.at, reverse=True)


def _kept(path: Path, *, salvaged: bool, ours: bool = True) -> Kept:
    named = made_at(path)
    return Kept(path, salvaged, named or datetime.fromtimestamp(path.stat().st_mtime, UTC), ours)


def _a_copy(path: Path, database: Path) -> bool:
    """Say whether a file bears a database's name and is one of SQLite's, and not that database itself."""
    if database.stem not in path.name or any(part in path.name for part in _OTHERS):
        return False
    with suppress(OSError):
        if path.is_file() and not (database.exists() and path.samefile(database)):
            with path.open("rb") as file:
                return file.read(len(_HEADER)) == _HEADER
    return False
