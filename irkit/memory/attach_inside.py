"""What runs inside a process that is attached to, in a thread of its own: the agent, until its folder is taken away.

It is run as a file of its own, named `attach.py`, that is handed the FOLDER it lies in; the agent and the walkers are
in it as a package without the rest of irkit. Standard library only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

LIMIT_S = 700.0
SOCKET = "memory.sock"
_PACKAGE = "irkit.memory"


def serve(folder: Path) -> None:
    """Answer at a socket in the folder, and leave the process's modules as they were found."""
    with _agent(folder) as agent:
        agent.serve_until_gone(folder / SOCKET, LIMIT_S)


@contextmanager
def _agent(folder: Path) -> Iterator[Any]:
    """Import the agent for as long as this thread, or another that was let in meanwhile, needs it."""
    while True:
        package = sys.modules.get(_PACKAGE) or _added(folder)
        shared = getattr(package, "shared", None)
        if shared is None:  # a service may have irkit, and yet no agent
            had = set(sys.modules)
            try:
                yield import_module(f"{_PACKAGE}.agent")
            finally:
                _forget(had)
            return
        with shared.lock:
            if sys.modules.get(_PACKAGE) is not package:  # who was the last has just left
                continue
            package.__path__.insert(0, str(folder / "irkit" / "memory"))  # of who is gone the files are, too
            agent = import_module(f"{_PACKAGE}.agent")
            shared.users += 1
        try:
            yield agent
        finally:
            with shared.lock:
                shared.users -= 1
                if not shared.users:
                    _forget(set())
        return


class _Shared:
    """How many threads use the package that was put into the process."""

    def __init__(self) -> None:
        self.lock, self.users = threading.Lock(), 0


def _added(folder: Path) -> ModuleType:
    for name in ("irkit", _PACKAGE):
        package = ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        if name == _PACKAGE:
            package.shared = _Shared()  # type: ignore[attr-defined] # as this is nobody else's module
        sys.modules.setdefault(name, package)
    return sys.modules[_PACKAGE]


def _forget(had: set[str]) -> None:
    for name in [each for each in list(sys.modules) if each.partition(".")[0] == "irkit" and each not in had]:
        sys.modules.pop(name, None)


if __name__ == "irkit_attach":
    serve(Path(globals()["FOLDER"]))
