"""Nested parts of a whole as rectangles: what holds how much of a heap, and what is in it.

Squarified, so that areas can be compared: M. Bruls, K. Huizing and J. van Wijk, "Squarified Treemaps", 2000.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.text.phrase import percent, size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT_SHARE = 0.42
_TALLEST_PX = 400
_LEAST_HEIGHT_PX = 300
_HEAD_PX = 18
_PAD_PX = 3
_LEAST_PX = 3.0
_LEAST_LABEL_PX = 16
_TWO_LINES_PX = 34
_DEPTH = 3
_MOST_TOLD = 3
_NOTHING_PX = 1e-9
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """A part: how large it is in bytes, what of that it is made of; `suspected` is drawn as a warning."""

    name: str
    size_bytes: float
    parts: tuple[Cell, ...] = ()
    suspected: bool = False

    @property
    def said(self) -> str:
        """The part in words."""
        return f"{self.name} {size(self.size_bytes)}"


@dataclass(frozen=True, slots=True)
class Treemap:
    """The parts of a whole of `size_bytes`; what no part of it holds is drawn as `rest`."""

    parts: tuple[Cell, ...]
    size_bytes: float
    rest: str = "all else"

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        largest = [f"{one.said}, {percent(self._share(one))}" for one in self.parts[:_MOST_TOLD]]
        suspected = next((one for one in _all(self.parts) if one.suspected), None)
        told = f"{size(self.size_bytes)} by what holds it; the largest: {'; '.join(largest) or 'nothing by name'}"
        return f"{told}; suspected: {suspected.said}." if suspected else f"{told}."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a part, what is within it indented."""
        made = []
        for depth, one in _nested(self._whole(), 0):
            share = percent(self._share(one))
            made.append((f"{'– ' * depth}{one.name}", size(one.size_bytes), share, "suspect" if one.suspected else ""))
        return ("Held by", "Size", "Share", ""), tuple(made)

    def svg(self, width: int = 960) -> str:
        """Return the map as an SVG image, `width` pixels wide."""
        height = int(min(max(width * _HEIGHT_SHARE, _LEAST_HEIGHT_PX), _TALLEST_PX))
        return svg.document(width, height, self.alt, _drawn(self._whole(), (0.5, 0.5, width - 1.0, height - 1.0), 0))

    def matplotlib(self) -> Figure:
        """Return the outermost parts as a matplotlib figure, to zoom and to restyle."""
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle as Patch

        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots()
        whole = self._whole()
        for one, (x, y, wide, high) in zip(
            whole, squarified([each.size_bytes for each in whole], (0, 0, 90, 40)), strict=True
        ):
            hot = one.suspected or any(each.suspected for each in _all(one.parts))
            axes.add_patch(Patch((x, y), wide, high, facecolor="#f3d3d0" if hot else "#dbe2e8", edgecolor="white"))
            axes.annotate(one.name, (x + wide / 2, y + high / 2), ha="center", va="center", fontsize=8, clip_on=True)
        axes.set(xlim=(0, 90), ylim=(40, 0))
        axes.set_axis_off()
        return figure

    def _share(self, one: Cell) -> float:
        return one.size_bytes / self.size_bytes if self.size_bytes > 0 else 0.0

    def _whole(self) -> tuple[Cell, ...]:
        left = self.size_bytes - sum(one.size_bytes for one in self.parts)
        rest = (Cell(self.rest, left),) if left > 0 else ()
        return tuple(sorted([*self.parts, *rest], key=lambda one: -one.size_bytes))


def squarified(values: Sequence[float], within: Rectangle) -> list[Rectangle]:
    """Return a rectangle (x, y, width, height) for each value, by its share of all; values in descending order."""
    x, y, wide, high = within
    total = sum(values)
    if total <= 0 or wide <= 0 or high <= 0:
        return [(x, y, 0.0, 0.0) for _ in values]
    scale = wide * high / total
    areas = [max(value, 0.0) * scale for value in values]
    made: list[Rectangle] = []
    start = 0
    while start < len(areas):
        side = min(wide, high)
        if side <= 0:
            made += [(x, y, 0.0, 0.0)] * (len(areas) - start)
            break
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        thick = sum(areas[start:end]) / side
        at = 0.0
        for area in areas[start:end]:
            long = area / thick if thick else 0.0
            made.append((x, y + at, thick, long) if wide >= high else (x + at, y, long, thick))
            at += long
        if wide >= high:
            x, wide = x + thick, wide - thick
        else:
            y, high = y + thick, high - thick
        start = end
    return made


def _worst(areas: Sequence[float], side: float) -> float:
    """Return the largest ratio of two sides among areas laid side by side along `side`."""
    total, least = sum(areas), min(areas)
    if least < _NOTHING_PX:
        return float("inf")
    return max(side * side * max(areas) / (total * total), total * total / (side * side * least))


def _drawn(cells: Sequence[Cell], within: Rectangle, depth: int) -> Iterator[str]:
    for one, (x, y, wide, high) in zip(cells, squarified([each.size_bytes for each in cells], within), strict=True):
        if min(wide, high) < _LEAST_PX:
            continue
        look = "hot" if one.suspected else "within" if depth else "cell"
        yield svg.rect(x, y, wide, high, look)
        label = _label(one.name, wide - 2 * _PAD_PX - 4) if high >= _LEAST_LABEL_PX else ""
        head = _HEAD_PX if label else _PAD_PX
        inner = (x + _PAD_PX, y + head, wide - 2 * _PAD_PX, high - head - _PAD_PX)
        nested = one.parts if depth + 1 < _DEPTH and min(inner[2:]) >= 4 * _LEAST_PX else ()
        if label:
            roomy = svg.text_px(f"{label} {size(one.size_bytes)}") + 3 * _PAD_PX < wide
            look = "alarmed" if one.suspected else "name" if depth <= 1 else ""
            yield svg.text(x + _PAD_PX + 2, y + 13, label, f"{look} bare".strip())
            held = svg.fitted(size(one.size_bytes), wide - 2 * _PAD_PX)
            if roomy:
                yield svg.text(x + wide - _PAD_PX - 2, y + 13, held, "bare", "end")
            elif not nested and high >= _TWO_LINES_PX and "…" not in held:
                yield svg.text(x + _PAD_PX + 2, y + 28, held, "bare")
        if nested:
            # the parts take the share of the area that they have of the whole; what is left is its own
            left = one.size_bytes - sum(each.size_bytes for each in nested)
            own = [Cell("", left)] if left > 0.02 * one.size_bytes else []
            parts = sorted([*nested, *own], key=lambda each: -each.size_bytes)
            placed = zip(parts, squarified([each.size_bytes for each in parts], inner), strict=True)
            for part, place in placed:
                if part.name:
                    yield from _drawn((part,), place, depth + 1)


def _label(name: str, room_px: float) -> str:
    """Return a name as there is room for it: without how many of it there are before anything of itself is cut."""
    return next((each for each in (name, name.rpartition("× ")[2]) if svg.text_px(each) <= room_px), "") or svg.fitted(
        name.rpartition("× ")[2], room_px
    )


def _all(cells: Sequence[Cell]) -> Iterator[Cell]:
    for one in cells:
        yield one
        yield from _all(one.parts)


def _nested(cells: Sequence[Cell], depth: int) -> Iterator[tuple[int, Cell]]:
    for one in cells:
        yield depth, one
        yield from _nested(one.parts, depth + 1)
