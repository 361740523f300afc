"""The terminal: commands decide what is said, and this module alone says it."""

from __future__ import annotations

import errno
import getpass
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType
    from rich.status import Status

    from irkit.collect.engine import Progress
    from irkit.model import CollectorRun


_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
# enough for seconds to tick, too few to flicker
_FRAMES_A_SECOND = 4
# what is drawn at the cursor for now; it makes room for each line that is said meanwhile
_DRAWN: ContextVar[Status | None] = ContextVar("_DRAWN", default=None)


def say(text: str) -> None:
    """Write a line to standard output, on a row of its own whatever is shown to be under way."""
    drawn = _DRAWN.get()
    if drawn is None:
        click.echo(text)
        return
    drawn.stop()
    click.echo(text)
    drawn.start()


def show(renderable: RenderableType) -> None:
    """Draw what `irkit.terminal.incidents` made to standard output."""
    _console().print(
        renderable, crop=False
    )  # a command wider than the terminal goes on in its next row, and pastes whole


def complain(sentence: str, hint: str = "") -> None:
    """Write a failure or a doubt, and what to do about it, to standard error, unable to steer the terminal."""
    from irkit.text.visible import visible

    click.echo(f"irkit: {visible(sentence, lines=True)}", err=True)
    if hint:
        click.echo(f"  → {visible(hint, lines=True)}", err=True)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show that something is under way, on a terminal that is standard error, for as long as the block runs."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(text) as drawn:
        mark = _DRAWN.set(drawn)
        try:
            yield
        finally:
            _DRAWN.reset(mark)


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Show each look while it runs and its outcome when it ends, on standard error; nothing of it stays.

    Where that is no terminal nothing is shown: the table of outcomes that follows tells the same.
    """
    from rich.live import Live

    from irkit.terminal import incidents as terminal

    began: dict[str, float] = {}
    ended: dict[str, CollectorRun] = {}

    def drawn() -> RenderableType:
        now = time.monotonic()
        return terminal.looks_under_way([(name, now - began[name], ended.get(name)) for name in began])

    def on_progress(news: Progress) -> None:
        if news.run is None:
            began[news.collector] = time.monotonic()
        elif news.collector in began:
            ended[news.collector] = news.run

    console = _console(stderr=True)
    if not console.is_terminal:
        yield on_progress
        return
    with Live(get_renderable=drawn, console=console, transient=True, refresh_per_second=_FRAMES_A_SECOND):
        yield on_progress


def user() -> str:
    """Return who is at the terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container that runs under a bare number
        return "unknown"


def _console(*, stderr: bool = False) -> Console:
    """Return a stream as Rich draws on it, with escape codes where it is a terminal, whatever the environment says.

    Variables such as FORCE_COLOR and TTY_COMPATIBLE would have Rich take a file for one.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=False, force_terminal=stream.isatty())


def of_the_system(error: OSError) -> tuple[str, str] | None:
    """Return in words, and with what to do, what the system refused; None where it is no matter of places and disks."""
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}", "choose another place, or see who may write there"
    if error.errno not in _DISK:
        return None
    # it is standard output: what is left in its buffer would be tried once more, and fail, on the way out
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    said = f"what there is to say cannot be written: {error.strerror}"
    return said, "what was recorded stays; free some space there, or have it shown elsewhere"
