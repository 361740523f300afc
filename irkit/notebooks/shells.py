"""Shell processes from outside: started, given cells, listened to, and gone in the end, whatever the cells did."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

# how long a shell may take to leave by itself: what cells left running (threads, at-exit functions) ends within this
_LEAVE_S = 5.0
# a shell that tells nothing for so long is taken to be at work
_QUIET_S = 0.05
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell's place in its notebook, its source, and whether the next one runs even where it fails."""

    index: int
    source: str
    may_fail: bool = False


@dataclass(slots=True)
class Shell:
    """A shell process that waits for cells, the leader of a group of its own; `finished` once it has run them all.

    `meanwhile` is done once, while it is at work and has nothing to tell.
    """

    pid: int
    link: socket.socket
    process: subprocess.Popen[bytes] | None = None
    finished: bool = False
    meanwhile: Callable[[], None] | None = None


@contextmanager
def spawned(modules: Sequence[str] = ()) -> Iterator[Shell]:
    """Start a shell in a new interpreter, which imports `modules` while it waits; at the end nothing of it is left."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "irkit.notebooks.shell", str(theirs.fileno()), *modules]
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        shell = Shell(process.pid, ours, process)
        try:
            yield shell
            if shell.finished:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LEAVE_S)
        finally:
            ours.close()
            _kill(process.pid)
            process.wait()


@contextmanager
def forked() -> Iterator[Shell]:
    """Start a shell as a fork of this process, with all that it has imported; at the end nothing of it is left.

    Only for a process of our own that has no threads: what a thread held at that moment would be held forever.
    """
    ours, theirs = socket.socketpair()
    with ours:
        pid = os.fork()
        if pid == 0:
            ours.close()
            _inside(theirs)
        theirs.close()
        try:
            yield Shell(pid, ours)
        finally:
            ours.close()
            end(pid)


def run(shell: Shell, cells: Sequence[Cell], cwd: str, idle: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """Run the cells in `cwd` and yield what the shell tells, as it comes, until it has told all or is gone.

    The shell goes on while its messages are handled. `idle` is called when all are and the next does not
    come at once.
    """
    work = {"cwd": cwd, "cells": [[cell.index, cell.source, cell.may_fail] for cell in cells]}
    with suppress(BrokenPipeError, ConnectionResetError):
        shell.link.sendall(json.dumps(work).encode("ascii") + b"\n")
    if not cells:
        shell.finished = True
        return
    rest = b""
    while piece := _received(shell, idle):
        *lines, rest = (rest + piece).split(b"\n")
        for message in map(json.loads, lines):
            shell.finished = message["kind"] == "end" and message["cell"] == cells[-1].index
            yield message


def how_it_ended(shell: Shell) -> str:
    """Say how a shell ended that is gone before its cells were: by which signal, or with which exit code."""
    if shell.process is not None:
        code = shell.process.wait()
    else:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(shell.pid, 0)[1])
        except ChildProcessError:
            return "was gone"
    return ended_by(code)


def ended_by(code: int) -> str:
    """Say what an exit code means, a negative one as the signal it stands for."""
    if code >= 0:
        return f"left with exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (", as it is when memory runs out" if name == "SIGKILL" else "")
    return f"was killed by signal {-code}"


def end(pid: int) -> None:
    """Kill a child with its group, where it leads one, and wait until it is gone."""
    _kill(pid)
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _received(shell: Shell, idle: Callable[[], None]) -> bytes:
    if not select.select([shell.link], [], [], _QUIET_S)[0]:
        idle()
        if meanwhile := shell.meanwhile:
            shell.meanwhile = None
            meanwhile()
    try:
        return shell.link.recv(_PIECE)
    except ConnectionResetError:
        return b""


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _inside(link: socket.socket) -> NoReturn:
    """Be the shell in a forked child; what the parent would do at its own exit is not ours to do."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from irkit.notebooks.shell import serve

        serve(link)
        code = 0
    finally:
        os._exit(code)
