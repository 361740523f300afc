"""Which of the files that irkit keeps of a database can be put in its place: backups, and what was salvaged of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from irkit.bundle import sha256_of
from irkit.collect.contract import Refused, Unreachable
from irkit.sqlite.backup import recorded_sum, was_damaged
from irkit.sqlite.check import check

# what is larger is judged by what was found when it was made: a list of commands is not to wait for minutes
READ_AGAIN_BYTES = 64 * 1024 * 1024
_SALVAGED = "salvaged-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in the place of backups: a copy of the database, or (`salvaged`) the rows that were saved of it."""

    path: Path
    salvaged: bool

    @property
    def whole(self) -> bool:
        """Whether it may be put in place, by a full check, or by the record of one where it is large."""
        if was_damaged(self.path):
            return False
        try:
            if self.path.stat().st_size > READ_AGAIN_BYTES:
                return True
            recorded = recorded_sum(self.path)
            return recorded in {None, sha256_of(self.path)} and check(self.path).whole is True
        except (OSError, Refused, Unreachable):
            return False


def kept(folder: Path, database: Path) -> Iterator[Kept]:
    """Yield what irkit keeps of a database, the newest first, by the times in their names."""
    pattern = f"{database.stem}-*Z{database.suffix or '.db'}"
    found = [Kept(path, salvaged=False) for path in folder.glob(pattern)]
    found += [Kept(path, salvaged=True) for path in folder.glob(f"{_SALVAGED}{pattern}")]
    yield from sorted(found, key=lambda one: one.path.name.removeprefix(_SALVAGED), reverse=True)


def newest_whole(folder: Path, database: Path, *, salvaged: bool = False, but: Path | None = None) -> Path | None:
    """Return the newest whole backup, or (`salvaged`) the newest whole file of rows that were saved.

    A file that is damaged is never returned, nor is `but`.
    """
    ours = (one for one in kept(folder, database) if one.salvaged == salvaged and one.path != but)
    return next((one.path for one in ours if one.whole), None)
