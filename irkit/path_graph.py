"""The paths to leak suspects as objgraph draws them, laid out by Graphviz's `dot`; light chains where it is not there.

objgraph draws live objects and prints what they hold. A snapshot has names and no values, so small stand-ins are linked
here as the paths say, and objgraph follows these. Of `dot`'s answer only the places are taken: every text is put in
here, escaped and cut, whatever it holds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from irkit.charts import RetainingPath, Step, below_each_other, svg
from irkit.text.visible import visible

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PROGRAM = "dot"
_DEADLINE_S = 5.0
# a phone's picture is the chains: they need half the height, and no more room than there is
_LEAST_WIDTH_PX = 640
_LINE_PX = 16
_BESIDE_PX = 20
_AROUND_PX = 14
_BOX_PX = 280
_LEAST_BOX_PX = 90
_BAR_PX = 4
_POINTS_AN_INCH = 72
_LABEL_CHARS = 32
_STYLE = (
    *("-Gnodesep=0.25", "-Granksep=0.3", "-Gpad=0.06", "-Nfixedsize=true", "-Nfontname=Helvetica"),
    *("-Nfontsize=12", "-Efontname=Helvetica", "-Efontsize=12", "-Earrowsize=0.7"),
)
_SVG = "{http://www.w3.org/2000/svg}"
# letters of a path's own language and numbers: nothing that means something anywhere else
_COORDINATES = re.compile(r"[MCLZ0-9eE., +-]{1,4000}")
_MOVED = re.compile(r"translate\((-?[\d.]{1,12}) (-?[\d.]{1,12})\)")
_QUOTED_OR_ID = re.compile(r'"(?:[^"\\]|\\.)*"|\bo\d+\b')


@dataclass(frozen=True, slots=True)
class PathGraph:
    """The paths to several suspects as one picture, in which the links that they share are drawn once."""

    paths: tuple[RetainingPath, ...]

    @property
    def alt(self) -> str:
        """What the picture shows, a sentence a path."""
        return " ".join(path.alt for path in self.paths)

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a link, path by path."""
        tables = [path.rows() for path in self.paths]
        return tables[0][0], tuple(row for _, rows in tables for row in rows)

    def svg(self, width: int = 960) -> str:
        """Return an SVG image, `width` pixels wide: a graph where one can be drawn that is no wider, else chains."""
        program = shutil.which(PROGRAM) if width >= _LEAST_WIDTH_PX else None
        graph = _drawn(program, self.paths, self.alt, width) if program else None
        return graph or below_each_other(self.paths, self.alt, width)


# an instance would show its dict as a box of its own, or not, as each version of Python has it
class _Named(dict[str, object]):
    """The stand-in of something whose references have names."""

    __slots__ = ()


class _Unnamed(list[object]):
    """The stand-in of something whose references have none."""

    __slots__ = ()


class _Label(str):
    """The name of a reference; two may be alike."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__


@dataclass(slots=True, eq=False)
class _Link:
    """One box: its lines, how it looks, its share of the heap, what it refers to under which name, and its stand-in."""

    lines: tuple[str, ...]
    look: str
    width_px: float
    share: float = 0.0
    below: list[tuple[str, _Link]] = field(default_factory=list)
    stand_in: object = None

    @property
    def height_px(self) -> float:
        return len(self.lines) * _LINE_PX + _AROUND_PX

    def all(self) -> Iterator[_Link]:
        """Yield this one, then all below it, each after what refers to it."""
        yield self
        for _, link in self.below:
            yield from link.all()


# a section is shown as HTML and as text, and a program that hangs must do so once
@lru_cache(maxsize=32)
def _drawn(program: str, paths: tuple[RetainingPath, ...], title: str, width: int) -> str | None:
    """Return paths as a graph, None where `dot` fails, takes too long, or needs more than `width`."""
    roots = linked(paths)
    laid_out = _laid_out(program, written(roots))
    return None if laid_out is None else _picture(laid_out, roots, title, width)


def linked(paths: Sequence[RetainingPath]) -> list[_Link]:
    """Return the roots of the paths, with stand-ins that refer to each other as the links do."""
    roots: list[_Link] = []
    known: dict[tuple[Step, ...], _Link] = {}
    for path in paths:
        above: _Link | None = None
        for at, step in enumerate(path.steps):
            link, prefix = above, path.steps[: at + 1]
            above = known.get(prefix)
            if above is None:
                label = _joint(path.steps[at - 1].name, step.name) if at else ""
                above = known[prefix] = _of_step(path, step, label, hot=at == len(path.steps) - 1)
                if link is None:
                    roots.append(above)
                else:
                    link.below.append((label, above))
        if above is not None:
            above.below.append(("", _box((path.kept,), "cell")))
    for root in roots:
        for link in reversed([*root.all()]):
            link.stand_in = _stand_in(link)
    return roots


def _of_step(path: RetainingPath, step: Step, label: str, *, hot: bool) -> _Link:
    """Return a box for a link: its name is on the arrow that leads to it, or else, and of a suspect too, in the box."""
    if not step.name:
        return _box((step.said,), "")
    told = (step.kind, path.held(step))
    return _box((step.name, *told) if hot or not label else told, "hot" if hot else "ring", path.share(step))


def _joint(above: str, name: str) -> str:
    """Return what leads from one name to the next, "" of a name of its own."""
    told = name.removeprefix(above) if above and name.startswith(above) else ""
    room, label = (_LABEL_CHARS - 1) // 2, visible(told.lstrip(".: "))
    return label if len(label) <= _LABEL_CHARS else f"{label[:room]}…{label[-room:]}"


def _box(lines: tuple[str, ...], look: str, share: float = 0.0) -> _Link:
    fitted = tuple(svg.fitted(visible(line), _BOX_PX - _BESIDE_PX) for line in lines)
    width = max(max(map(svg.text_px, fitted)) + _BESIDE_PX, _LEAST_BOX_PX)
    return _Link(fitted, look, min(width, _BOX_PX), share)


def _stand_in(link: _Link) -> object:
    if any(label for label, _ in link.below):
        return _Named({_Label(label): below.stand_in for label, below in link.below})
    return _Unnamed(below.stand_in for _, below in link.below)


def written(roots: Sequence[_Link]) -> str:
    """Return links in Graphviz's language, as objgraph writes it; boxes are numbered in the order of `all`."""
    import objgraph

    links = [link for root in roots for link in root.all()]
    known = {id(link.stand_in): link for link in links}
    numbers = {f"o{id(link.stand_in)}": f"o{at}" for at, link in enumerate(links)}
    out = StringIO()
    objgraph.show_refs(
        [root.stand_in for root in roots],
        max_depth=len(links),
        too_many=len(links),
        filter=lambda one: id(one) in known,
        extra_node_attrs=lambda one: _attributes(known[id(one)]),
        output=out,
    )
    # it names objects by their addresses, which are others in each process
    return _QUOTED_OR_ID.sub(lambda found: numbers.get(found[0], found[0]), out.getvalue())


def _attributes(link: _Link) -> dict[str, str]:
    # of two labels the last counts; without a text, as each box is as large as its own needs
    return {
        "label": "",
        "width": f"{link.width_px / _POINTS_AN_INCH:.3f}",
        "height": f"{link.height_px / _POINTS_AN_INCH:.3f}",
    }


def _laid_out(program: str, graph: str) -> Element | None:
    try:
        done = subprocess.run(  # noqa: S603 (Graphviz, by its place; what it reads is its standard input)
            [program, "-Tsvg", *_STYLE], input=graph.encode(), capture_output=True, timeout=_DEADLINE_S, check=True
        )
        return ET.fromstring(done.stdout)  # noqa: S314 (a local program's; of it only numbers are taken)
    except (OSError, subprocess.SubprocessError, ET.ParseError):
        return None


def _picture(laid_out: Element, roots: Sequence[_Link], title: str, width: int) -> str | None:
    """Draw boxes and arrows where they were laid out; None where that is not understood, or does not fit."""
    links = [link for root in roots for link in root.all()]
    boxes = {f"o{at}": link for at, link in enumerate(links)}
    names = {link: name for name, link in boxes.items()}
    labels = {f"{names[link]}->{names[below]}": label for link in links for label, below in link.below}
    arrows: list[str] = []
    drawn: list[str] = []
    try:
        _, _, needed, height = map(float, laid_out.get("viewBox", "").split())
        graph = laid_out.find(f"{_SVG}g")
        moved = _MOVED.search(graph.get("transform", "")) if graph is not None else None
        if graph is None or moved is None or needed > width:
            return None
        for group in graph.iter(f"{_SVG}g"):
            name = group.findtext(f"{_SVG}title", "")
            if name in labels:
                arrows += _arrow(group, labels.pop(name))
            elif name in boxes:
                drawn += _drawn_box(group, boxes.pop(name))
    except ValueError:
        return None
    if labels or boxes:
        return None
    paper = f'<rect width="{width}" height="{height:.0f}" style="fill:var(--paper)"/>'
    begin = f'<g transform="translate({float(moved[1]) + (width - needed) / 2:.1f} {moved[2]})">'
    return svg.document(width, round(height), title, [paper, begin, *arrows, *drawn, "</g>"])


def _arrow(group: Element, label: str) -> Iterator[str]:
    """Yield an arrow, and its label beside it.

    Raises:
        ValueError: its place is none.
    """
    for kind, told, look in (("path", "d", "thin"), ("polygon", "points", "calm")):
        for shape in group.iter(f"{_SVG}{kind}"):
            yield f'<{kind} {told}="{_sound(shape.get(told, ""))}" class="{look}"/>'
    for place in [*group.iter(f"{_SVG}text")][-1:] if label else ():
        yield svg.text(float(place.get("x", "")) + 5, float(place.get("y", "")), label, "", "middle")


def _drawn_box(group: Element, link: _Link) -> Iterator[str]:
    """Yield a box with its lines, and below them its share of the heap as a bar.

    Raises:
        ValueError: its place is none.
    """
    shape = group.find(f"{_SVG}polygon")
    corners = _sound(shape.get("points", "") if shape is not None else "")
    xs, ys = zip(*((float(x), float(y)) for x, y in (corner.split(",") for corner in corners.split())), strict=True)
    left, top, wide = min(xs), min(ys), max(xs) - min(xs)
    if link.look:
        yield svg.rect(left, top, wide, max(ys) - top, link.look)
    if link.share:
        look = "alarm" if link.look == "hot" else "calm"
        yield svg.rect(left, max(ys) - _BAR_PX, wide * link.share, _BAR_PX, look)
    looks = {"hot": "alarmed bare", "ring": "name bare"}
    for at, line in enumerate(link.lines):
        y = top + _AROUND_PX / 2 + (at + 0.75) * _LINE_PX - (_BAR_PX / 2 if link.share else 0)
        yield svg.text(left + wide / 2, y, line, "bare" if at else looks.get(link.look, "bare"), "middle")


def _sound(coordinates: str) -> str:
    """Return coordinates that are nothing else.

    Raises:
        ValueError: they are something else.
    """
    if not _COORDINATES.fullmatch(coordinates):
        raise ValueError(coordinates)
    return coordinates
