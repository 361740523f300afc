"""A program of many healthy parts whose sizes change, and of one leak or none: SEED LEAK|none FOLDER.

After each of a few rounds of work a snapshot of its heap is written into the folder.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from irkit.memory import agent
from irkit.memory.heap_file import store

ROUNDS = 4
LEAKS = Path(__file__).parents[1] / "memory" / "leaks"


class Part:
    """One healthy part: what it keeps, and what a round of work does to that."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        self.size = chance.randrange(500, 12_000)
        self.chance = chance
        self.kept: dict[int, object] = {}
        self.recent: deque[str] = deque(maxlen=self.size)
        self.lru: OrderedDict[int, list[str]] = OrderedDict()
        self.waiting: list[tuple[int, str]] = []
        self.work: Callable[[], None] = getattr(self, kind)

    def churns(self) -> None:
        """Sessions come and go; about as many stay."""
        for key in self.chance.sample(sorted(self.kept), len(self.kept) // 3):
            del self.kept[key]
        while len(self.kept) < self.size * self.chance.uniform(0.8, 1.2):
            self.kept[self.chance.randrange(1 << 40)] = {"user": str(self.chance.random()), "rows": [1, 2]}

    def remembers(self) -> None:
        """The last events, so many and no more."""
        self.recent.extend(f"event {number}" * 3 for number in range(self.size // 2))

    def warms_up(self) -> None:
        """A cache that is full after two rounds."""
        for key in range(self.size // 2):
            if len(self.kept) < self.size:
                self.kept[len(self.kept)] = [key, str(key)]

    def forgets_the_oldest(self) -> None:
        """A cache with a limit, already reached or soon to be."""
        for _ in range(self.size // 2):
            self.lru[self.chance.randrange(4 * self.size)] = [str(self.chance.random())]
            if len(self.lru) > self.size:
                self.lru.popitem(last=False)

    def waits(self) -> None:
        """A queue, as long as the load makes it."""
        self.waiting = [(number, f"job {number}") for number in range(self.chance.randrange(self.size))]


KINDS = ("churns", "remembers", "warms_up", "forgets_the_oldest", "waits")
PARTS: list[Part] = []


def take(path: Path) -> None:
    read, write = os.pipe()
    meta = json.dumps({"pid": os.getpid(), "taken_at": datetime.now(UTC).isoformat(), "rss_bytes": 1}).encode()
    walker = agent.native()
    assert walker is not None
    pid, pidfd, *_kept = walker.clone_walk(write, meta, sys.modules, 30.0)
    os.close(write)
    os.close(pidfd)
    with os.fdopen(read, "rb") as stream:
        store(stream, path)
    os.waitpid(pid, 0x40000000)


def main(seed: int, leak: str, folder: Path) -> None:
    sys.path.insert(0, str(LEAKS))
    threading.stack_size(1 << 20)
    chance = random.Random(seed)  # noqa: S311 (the same program each time)
    PARTS.extend(Part(chance.choice(KINDS), chance) for _ in range(chance.randrange(3, 8)))
    leaking = importlib.import_module(leak) if leak != "none" else None
    for number in range(ROUNDS):
        for part in PARTS:
            part.work()
        if leaking is not None:
            leaking.step()
        gc.collect()
        take(folder / f"{number}.irkheap")
    os._exit(0)  # threads that never end are part of some programs


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
