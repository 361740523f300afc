"""What drawings for a terminal are made of: tables that keep their words whole, and text that is only text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from irkit.text.visible import cut, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

LINE_CHARS = 700
# room in which a sentence can still be read
_LEAST_ROOM = 20
# what is left free between two columns, and the rule's ends
_GAP = 3


class Columns(Table):
    """A table whose last column says the most: where the others leave that no room, each row goes on below them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table, or what it says row by row."""
        *before, last = self.columns
        taken = sum(max(map(_cells, (one.header, *one.cells))) for one in before if one.no_wrap)
        if options.max_width - taken - _GAP * len(before) >= _LEAST_ROOM:
            yield from super().__rich_console__(console, options)
            return
        yield from [Text(str(self.title), "bold")] if self.title else []
        yield Text(" · ".join(str(one.header) for one in self.columns), "dim")
        for cells, said in zip(zip(*(one.cells for one in before), strict=True), last.cells, strict=True):
            first, *others = (cell if isinstance(cell, Text) else Text(str(cell)) for cell in cells)
            yield Text("")
            yield Text(" · ").join([Text.assemble(first, style="bold"), *(one for one in others if one.plain)])
            if not isinstance(said, Text) or said.plain:
                yield Padding(said, (0, 0, 0, 2))
        yield Text("")


def table(*columns: str, title: str = "", whole: int | None = None) -> Columns:
    """Return an empty table whose last column takes what room is left.

    The first `whole` columns, by default all but the last, keep their words whole; the others fold.
    """
    made = Columns(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    kept = len(columns) - 1 if whole is None else whole
    for name in columns[:kept]:
        made.add_column(name, no_wrap=True)
    for name in columns[kept:-1]:
        made.add_column(name, overflow="fold")
    made.add_column(columns[-1], overflow="fold", ratio=1)
    return made


def _cells(cell: RenderableType) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(str(cell))


def typed(command: str, indent: int = 2) -> Text:
    """Return a command on a line of its own that is never broken, so that it can be pasted."""
    return Text(" " * indent + command, style="cyan", no_wrap=True, overflow="ignore")


def plain(text: str, style: str = "") -> Text:
    """Return text from a person or from evidence as it is: no markup, no control characters."""
    return Text(cut(visible(text, lines=True), LINE_CHARS), style=style)
