"""The terminal: commands decide what is said, and this module alone says it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from irkit.collect import Progress


def say(text: str) -> None:
    """Write a line to standard output."""
    click.echo(text)


def show(renderable: RenderableType) -> None:
    """Draw what `irkit.terminal` made to standard output."""
    _console().print(renderable)


def complain(sentence: str, hint: str = "") -> None:
    """Write a failure and what to do about it to standard error, unable to steer the terminal."""
    from irkit.visible import visible

    click.echo(f"irkit: {visible(sentence, lines=True)}", err=True)
    if hint:
        click.echo(f"  → {visible(hint, lines=True)}", err=True)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show that something is under way, on standard error, for as long as the block runs."""
    with _console(stderr=True).status(text):
        yield


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Show each look while it runs and its outcome when it ends, on standard error."""
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    console = _console(stderr=True)
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, int] = {}

        def on_progress(news: Progress) -> None:
            if news.run is None:
                tasks[news.collector] = int(bars.add_task(f"{news.collector:<20} looking", total=1))
            elif news.collector in tasks:
                told = f"{news.collector:<20} {news.run.outcome.replace('_', ' ')}"
                bars.update(bars.task_ids[list(tasks).index(news.collector)], description=told, completed=1)

        yield on_progress


def user() -> str:
    """Return who is at the terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container that runs under a bare number
        return "unknown"


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)
