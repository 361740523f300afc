"""What runs inside a process that is attached to, in a thread of its own: the agent, until its folder is taken away.

It is run as a file of its own, named `attach.py`, that is handed the FOLDER it lies in; the agent and the walkers are
in it as a package without the rest of irkit. Standard library only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

LIMIT_S = 700.0
SOCKET = "memory.sock"


def serve(folder: Path) -> None:
    """Answer at a socket in the folder, and leave the process's modules as they were found."""
    had = set(sys.modules)
    if "irkit.memory" not in had:  # a service may have irkit, and yet no agent
        for name, place in (("irkit", folder / "irkit"), ("irkit.memory", folder / "irkit" / "memory")):
            package = ModuleType(name)
            package.__path__ = [str(place)]
            sys.modules.setdefault(name, package)
    try:
        import_module("irkit.memory.agent").serve_until_gone(folder / SOCKET, LIMIT_S)
    finally:
        for name in [each for each in list(sys.modules) if each.partition(".")[0] == "irkit" and each not in had]:
            sys.modules.pop(name, None)


if __name__ == "irkit_attach":
    serve(Path(globals()["FOLDER"]))
