"""A few words of SVG: shapes, text that is escaped and visible, a time axis, labels that do not overlap."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Protocol, TypeVar

from irkit.text.visible import cut, visible

FONT_PX = 12
# an average of bold digits and letters; generous, since an overlap hurts more than a gap
_CHARACTER_PX = 7.3
_TICK_PX = 92
# from a label to the line it hangs on, and to the next label of its row
_BESIDE_PX = 4
_APART_PX = 8
_STUB = 7
_SHORT_S = 300
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)

# the page's own colours; an image cannot read the page's variables, so they are written a second time here
STYLE = """
svg{--ink:#1c2126;--muted:#5b656f;--line:#cfd6dc;--calm:#9fb0bf;--quiet:#dbe2e8;--open:#8a5a00;--alarm:#b3261e;--shade:#b3261e14;
--paper:#fff}
@media (prefers-color-scheme:dark){svg{--ink:#e6eaee;--muted:#9da8b3;--line:#3a434c;--calm:#5f7385;--quiet:#333d46;
--open:#e2b25c;--alarm:#ff8a7d;--shade:#ff8a7d1f;--paper:#14181c}}
text{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round;
font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:var(--muted);
font-variant-numeric:tabular-nums}
.name{fill:var(--ink);font-weight:600}.alarmed{fill:var(--alarm);font-weight:600}
.leader{stroke:var(--alarm);stroke-width:1}.axis{stroke:var(--line);stroke-width:1}.calm{fill:var(--calm)}.alarm{fill:var(--alarm)}.shade{fill:var(--shade)}
.quiet{fill:var(--quiet)}.open{fill:none;stroke:var(--open);stroke-width:1;stroke-dasharray:3 2}
.band{fill:var(--calm);opacity:.3}.thin{fill:none;stroke:var(--muted);stroke-width:1}.dashed{stroke-dasharray:2 2}
.cell{fill:var(--quiet);stroke:var(--paper);stroke-width:1.5}.within{fill:var(--calm);fill-opacity:.3;stroke:var(--paper);stroke-width:1}
.hot{fill:var(--shade);stroke:var(--alarm);stroke-width:1.5}.bare{stroke:none}.link{stroke:var(--calm);stroke-width:1.5}
.milestone{stroke:var(--ink);stroke-width:1}.limit{stroke:var(--muted);stroke-width:1;stroke-dasharray:4 3}
.trend{stroke:var(--alarm);stroke-width:2.5;stroke-dasharray:7 3}
.curve{fill:none;stroke:var(--ink);stroke-width:1.5;stroke-linejoin:round}.dot{fill:var(--ink)}.rim,.hole{fill:none;stroke:var(--calm);stroke-width:6.5;stroke-linecap:round}.hole{stroke:var(--paper);stroke-width:3.5}
.ring{fill:var(--paper);stroke:var(--calm);
stroke-width:1.5}
"""


def document(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Return a whole SVG image; `title` is what a screen reader says of it."""
    name = escape(visible(title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{name}"><title>{name}</title><style>{STYLE}</style>{"".join(parts)}</svg>'
    )


def data_uri(svg: str) -> str:
    """Return an SVG image as a `data:` address, the only form in which a page may show it: nothing in it can run."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")


def text(x: float, y: float, content: str, look: str = "", anchor: str = "start") -> str:
    """Return one line of text, whatever it holds."""
    style = f' class="{look}"' if look else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}{side}>{escape(visible(cut(content, 80)))}</text>'


def rect(x: float, y: float, width: float, height: float, look: str) -> str:
    """Return a rectangle; `look` is a class of `STYLE`."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{max(height, 0):.1f}" class="{look}"/>'


def rects(sides: Sequence[tuple[float, float, float, float]], look: str) -> list[str]:
    """Return rectangles (left, top, width, height) as one shape: many in the room of few."""
    drawn = "".join(f"M{x:.1f} {y:.1f}h{width:.1f}v{max(height, 0):.1f}h-{width:.1f}z" for x, y, width, height in sides)
    return [f'<path d="{drawn}" class="{look}"/>'] if drawn else []


def line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    """Return a straight line; `look` is a class of `STYLE`."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>'


def path(points: Sequence[tuple[float, float]], look: str) -> str:
    """Return a line through points; `look` is a class of `STYLE`."""
    return f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" class="{look}"/>'


def polygon(points: Sequence[tuple[float, float]], look: str) -> str:
    """Return a closed shape through points; `look` is a class of `STYLE`."""
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{look}"/>'


def circle(x: float, y: float, radius: float, look: str) -> str:
    """Return a circle; `look` is a class of `STYLE`."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{look}"/>'


def rings(centres: Sequence[tuple[float, float]]) -> list[str]:
    """Return circles with an empty middle, many in the room of few: the round ends of lines without length."""
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in centres)
    return [f'<path d="{dots}" class="{look}"/>' for look in ("rim", "hole")] if dots else []


def text_px(content: str) -> float:
    """Return a generous estimate of how wide `content` is drawn, in pixels."""
    return len(content) * _CHARACTER_PX


def fitted(content: str, width: float) -> str:
    """Return `content`, cut in its middle where it is wider than `width` pixels; "" where not even a stub fits."""
    room = int(width / _CHARACTER_PX)
    if len(content) <= room:
        return content
    if room < _STUB:
        return ""
    head = (room - 1) // 3
    return f"{content[:head]}…{content[len(content) - (room - 1 - head) :]}"


def step_s(span: timedelta, at_most: int) -> int:
    """Return the smallest usual step, in seconds, that divides `span` into at most so many parts."""
    wanted = span.total_seconds() / max(at_most, 1)
    return next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1] * (1 + int(wanted // _STEPS_S[-1])))


def ticks(start: datetime, end: datetime, at_most: int) -> tuple[datetime, ...]:
    """Return the round times (UTC) between `start` and `end`."""
    step = step_s(end - start, at_most)
    first = -(-int(start.timestamp()) // step) * step
    return tuple(datetime.fromtimestamp(at, UTC) for at in range(first, int(end.timestamp()) + 1, step))


def time_axis(  # noqa: PLR0913 (where it lies, and what it spans)
    x: Callable[[datetime], float], y: float, start: datetime, end: datetime, *, left: float, right: float, width: int
) -> list[str]:
    """Return an axis at height `y` with round times; `width` is the picture's, which no label leaves."""
    parts = [line(left, y, right, y, "axis")]
    short = (end - start).total_seconds() < _SHORT_S
    for at in ticks(start, end, int(right - left) // _TICK_PX):
        label = f"{at:%H:%M:%S}" if short else f"{at:%H:%M}"
        half = text_px(label) / 2
        parts.append(line(x(at), y, x(at), y + 4, "axis"))
        parts.append(text(min(max(x(at), half), width - half), y + 18, label, anchor="middle"))
    return parts


class Dated(Protocol):
    """Something that happened at a time."""

    @property
    def at(self) -> datetime: ...


_Point = TypeVar("_Point", bound=Dated)


def pieces(points: Sequence[_Point], longest: timedelta, ends: Sequence[datetime] = ()) -> list[list[_Point]]:
    """Cut a curve where more than `longest` lies between two points, or an end: a line across claims the unmeasured."""
    made: list[list[_Point]] = []
    for point in points:
        before = made[-1][-1].at if made else None
        if before is None or point.at - before > longest or any(before < end <= point.at for end in ends):
            made.append([])
        made[-1].append(point)
    return made


def rows_for(labels: Sequence[tuple[float, str]], width: float, lead_px: float = 4) -> list[tuple[int, float, str]]:
    """Place labels, given from left to right, so that none overlap: (row, anchor x, text anchor) of each.

    Each hangs on a line `lead_px` left of its x that goes down from its row, to the right of it or, of the last ones,
    to the left: as many as let the fewest lines cross labels of other rows, in the fewest rows.
    """
    sizes = [text_px(content) for _, content in labels]
    fitting = sum(x + size + 4 <= width for (x, _), size in zip(labels, sizes, strict=True))
    lines = [x - lead_px for x, _ in labels]
    tried = [_placed(lines, sizes, rightward) for rightward in range(fitting, -1, -1)]
    best = min(tried, key=lambda boxes: (_crossings(boxes), max((box.row for box in boxes), default=0)))
    return [(box.row, x, "start" if box.left > box.line else "end") for box, (x, _) in zip(best, labels, strict=True)]


def _placed(lines: Sequence[float], sizes: Sequence[float], rightward: int) -> list[_Box]:
    """Place the first `rightward` labels right of their lines, the others left of them, each in the first free row."""
    made: dict[int, _Box] = {}
    for index in (*range(len(lines) - 1, rightward - 1, -1), *range(rightward)):
        line, size = lines[index], sizes[index]
        left = line + _BESIDE_PX if index < rightward else line - _BESIDE_PX - size
        boxes = [*made.values()]
        free = [box for row in range(len(boxes) + 1) if not (box := _Box(row, left, left + size, line)).overlaps(boxes)]
        made[index] = next((box for box in free if not box.crosses(boxes)), free[0])
    return [made[index] for index in range(len(lines))]


def _crossings(boxes: Sequence[_Box]) -> int:
    """Count the labels that a line crosses, and those that leave the picture at its left."""
    return sum(box.crosses(boxes) + (box.left < 0) for box in boxes)


@dataclass(frozen=True, slots=True)
class _Box:
    """A label in its row, from left to right, and the x of the line that it hangs on."""

    row: int
    left: float
    right: float
    line: float

    def overlaps(self, others: Sequence[_Box]) -> bool:
        return any(
            one.row == self.row and one.left < self.right + _APART_PX and self.left < one.right + _APART_PX
            for one in others
        )

    def crosses(self, others: Sequence[_Box]) -> bool:
        """Say whether a line from above crosses this label, or its own line one below."""
        return any(
            (one.row < self.row and self.left <= one.line <= self.right)
            or (self.row < one.row and one.left <= self.line <= one.right)
            for one in others
        )
