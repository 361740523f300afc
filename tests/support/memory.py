"""How much memory the processes started by this one hold, watched while a block runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from irkit import procfs

_EVERY_S = 0.05


class Peak:
    """The largest sum of proportional set sizes seen, and of how many processes."""

    def __init__(self) -> None:
        self.pss_bytes = 0
        self.processes = 0


@contextmanager
def watched() -> Iterator[Peak]:
    """Watch the processes started within the block; a page shared by several counts once.

    An Engine that an earlier test started is a child of this process, too, and none of the block's.
    """
    peak, over = Peak(), threading.Event()
    mine = Path("/proc/self/cmdline").read_bytes()
    before = descendants(os.getpid())

    def watch() -> None:
        while not over.wait(_EVERY_S):
            ours = started_since(before)
            # what was forked and is about to become another program still holds all that this one holds
            sizes = [pss for pid in ours if _cmdline(pid) != mine and (pss := _pss_bytes(pid)) is not None]
            if sum(sizes) > peak.pss_bytes:
                peak.pss_bytes, peak.processes = sum(sizes), len(sizes)

    thread = threading.Thread(target=watch, name="memory")
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _cmdline(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def started_since(before: set[int]) -> set[int]:
    """The descendants of this process that are not of `before`, nor started by these: a Docker Engine starts some."""
    return descendants(os.getpid()) - before.union(*(descendants(pid) for pid in before))


def descendants(pid: int) -> set[int]:
    """The processes started by a process, by those, and so on."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # the name in parentheses may hold anything, also parentheses
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def _pss_bytes(pid: int) -> int | None:
    with suppress(OSError):
        return procfs.process(pid).pss_bytes
    return None
