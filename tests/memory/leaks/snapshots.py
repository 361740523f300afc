"""Run a program for a few rounds in this process, with a snapshot of the heap after each: PROGRAM FOLDER [python] [raw].

What is raw is as the walk writes it: a Python without numpy makes no file of it.
"""

import gc
import importlib
import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from irkit.memory import agent
from irkit.memory.heap_file import store

ROUNDS = 4


def take(path: Path, at: datetime) -> None:
    read, write = os.pipe()
    meta = json.dumps({"pid": os.getpid(), "taken_at": at.isoformat(), "rss_bytes": 1}).encode()
    walker = agent.pure() if "python" in sys.argv[3:] else agent.native()
    pid, pidfd, _, *kept = walker.clone_walk(write, meta, sys.modules, 30.0)
    os.close(write)
    os.close(pidfd)
    with os.fdopen(read, "rb") as stream:
        if "raw" in sys.argv[3:]:
            path.write_bytes(stream.read())
        else:
            store(stream, path)


def main(name: str, folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    threading.stack_size(1 << 20)
    program = importlib.import_module(name)
    began = datetime.now(UTC)
    for number in range(ROUNDS):
        program.step()
        gc.collect()
        # a second each, however long a busy machine takes: one round is as much work as another
        take(folder / f"{number}.irkheap", began + timedelta(seconds=number))
    os._exit(0)  # threads that never end are part of some programs


main(sys.argv[1], Path(sys.argv[2]))
