"""Python code in a process of its own that is killed, or halted, at a moment of its own: as it opens a certain file."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_HOOK = """
import os, signal, sys
how, at, words = sys.argv[1:4]
del sys.argv[1:4]
def hook(event, arguments):
    global at
    if event == at and words in os.fsdecode(str(arguments[0])):
        at = ""
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        print("halted", flush=True)
        sys.stdin.read()
sys.addaudithook(hook)
"""


def kill_at(event: str, words: str, code: str, *arguments: object) -> None:
    """Run code that is killed before its first audit event of that name about a path with these words in it."""
    command = [sys.executable, "-c", _HOOK + code, "kill", event, words, *map(str, arguments)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@contextmanager
def halted_at(event: str, words: str, code: str, *arguments: object) -> Iterator[None]:
    """Have code stand still at such an event for as long as the block runs; after it, it must end well."""
    command = [sys.executable, "-c", _HOOK + code, "halt", event, words, *map(str, arguments)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halted\n"
        yield
        process.communicate("")
    assert process.returncode == 0


def until_ended(pid: int) -> None:
    """Return when no process of that number runs any more, whoever's child it is."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            select.select([descriptor], [], [])
        finally:
            os.close(descriptor)
