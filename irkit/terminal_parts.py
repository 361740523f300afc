"""What drawings for a terminal are made of: tables that keep their words whole, and text that is only text."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from irkit.visible import cut, visible

LINE_CHARS = 700


def table(*columns: str, title: str = "", whole: int | None = None) -> Table:
    """Return an empty table whose last column takes what room is left.

    The first `whole` columns, by default all but the last, keep their words whole; the others fold.
    """
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    kept = len(columns) - 1 if whole is None else whole
    for name in columns[:kept]:
        made.add_column(name, no_wrap=True)
    for name in columns[kept:-1]:
        made.add_column(name, overflow="fold")
    made.add_column(columns[-1], overflow="fold", ratio=1)
    return made


def typed(command: str, indent: int = 2) -> Text:
    """Return a command on a line of its own that is never broken, so that it can be pasted."""
    return Text(" " * indent + command, style="cyan", no_wrap=True, overflow="ignore")


def plain(text: str, style: str = "") -> Text:
    """Return text from a person or from evidence as it is: no markup, no control characters."""
    return Text(cut(visible(text, lines=True), LINE_CHARS), style=style)
