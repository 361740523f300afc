"""Agents that are in one process at the same time share its modules, and the last one takes them away."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from irkit.memory import agent, attach_inside

CODE = """
import runpy, sys
from pathlib import Path

def ours():
    return sorted(name for name in sys.modules if name.startswith("irkit"))

enter = runpy.run_path(sys.argv[1])["_agent"]
one, other, third = (enter(Path(folder)) for folder in sys.argv[2:])
first = one.__enter__()
second = other.__enter__()
assert first is second, "it keeps count of what is done to this process"
one.__exit__(None, None, None)
assert "irkit.memory.agent" in ours(), "the other needs it"
other.__exit__(None, None, None)
assert ours() == [], ours()
with third as agent:
    assert agent is not first
assert ours() == [], ours()
print("well")
"""


def test_the_last_one_takes_the_modules_away(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other", "third")]
    for folder in folders:
        (folder / "irkit" / "memory").mkdir(parents=True)
        shutil.copy(agent.__file__, folder / "irkit" / "memory")
    command = [sys.executable, "-I", "-S", "-c", CODE, attach_inside.__file__, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "well\n", done.stderr
