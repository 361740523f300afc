"""What a terminal shows of something drawn, as text."""

from io import StringIO

from rich.console import Console, RenderableType


def drawn(what: RenderableType, width: int = 200) -> str:
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(what)
    return out.getvalue()
