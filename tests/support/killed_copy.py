"""Backups and salvages that kill themselves before each step on a file, and what is there then.

`python -m tests.support.killed_copy SCENARIO FOLDER` prints one JSON line for each step: whether the database is as it
was, what stands under the copy's name (`none`, `whole`, or what else), and whether the work, done again, ends well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from irkit.collect.contract import Refused
from irkit.sqlite.backup import back_up
from irkit.sqlite.check import check
from irkit.sqlite.salvage import salvage
from tests.support import sqlite_files as files
from tests.support.killed import killed

Work = Callable[[Path, Path], object]


def _damaged(path: Path) -> Path:
    files.overwrite(files.create(path), 8192, bytes(4096))
    return path


SCENARIOS: dict[str, tuple[Callable[[Path], Path], Work]] = {
    "backup": (files.create, back_up),
    "backup-of-a-damaged": (_damaged, back_up),
    "salvage": (_damaged, salvage),
}


def outcomes(make: Callable[[Path], Path], work: Work, root: Path) -> Iterator[dict[str, object]]:
    source = make(root / "data" / "x.db")
    before = {one.name: one.read_bytes() for one in source.parent.iterdir()}
    step, died = 0, True
    while died:
        step += 1
        copies = root / "copies" / str(step)
        copies.mkdir(parents=True)
        died = killed(step, copies, lambda copies=copies: work(source, copies / "c.db"))  # type: ignore[misc]
        found = sorted(one.name for one in copies.iterdir() if not one.name.startswith("."))
        state = "none"
        if "c.db" in found:
            state = "whole" if check(copies / "c.db").whole else "damaged"
        try:
            work(source, copies / "c.db")
            again = "done"
        except Refused as error:
            again = "refused" if "is there already" in str(error) else str(error)
        yield {
            "died": died,
            "untouched": {one.name: one.read_bytes() for one in source.parent.iterdir()} == before,
            "copy": state,
            "found": found,
            "again": again,
            "left": sorted(one.name for one in copies.iterdir() if one.name.startswith(".")),
        }


if __name__ == "__main__":
    for outcome in outcomes(*SCENARIOS[sys.argv[1]], Path(sys.argv[2])):
        print(json.dumps(outcome), flush=True)
