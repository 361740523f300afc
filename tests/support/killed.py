"""Work that kills itself before its first, second, third … step on a file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.truncate", "os.chmod", "os.chown", "sqlite3.connect"}


def killed(step: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do work in a child that kills itself before its step of that number in a folder; False where it had fewer."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _EVENTS and str(folder) in os.fsdecode(str(arguments[0])):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    work()
    os._exit(0)
