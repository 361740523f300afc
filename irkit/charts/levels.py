"""Levels over time, one lane each: what a container held and used, its limit, its exits and starts, and the trend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.charts.strip import Milestone, Point
from irkit.text.phrase import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLOT_PX = 84
_HEAD_PX = 22
_GAP_PX = 16
_EDGE_PX = 5
_ROW_PX = 16
_MAX_GAP_STEPS = 4
_HEADROOM = 1.08
_FAR = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run ended or another began, and the word for it: `exit`, `restart`, or `start` of what ended unseen."""

    at: datetime
    word: str


@dataclass(frozen=True, slots=True)
class LevelLane:
    """A level in `unit`; `said` is written at its right, `limit` dashed, `trend` drawn between its two points.

    No line is drawn across one of its `turns`, nor where samples are missing.
    """

    name: str
    said: str
    unit: str
    points: tuple[Point, ...]
    limit: float | None = None
    trend: tuple[Point, Point] | None = None
    turns: tuple[Turn, ...] = ()

    @property
    def drawn_limit(self) -> float | None:
        """The limit, None where it is far above all that was used, and would press that to the floor."""
        return self.limit if self.limit is not None and self.limit <= _FAR * self._peak else None

    @property
    def top(self) -> float:
        """The highest value that is drawn."""
        return max(self._peak, self.drawn_limit or 0.0) * _HEADROOM or 1.0

    @property
    def _peak(self) -> float:
        return max((point.value for point in self.points), default=0.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """Lanes over one time axis from `start` to `end` (aware UTC)."""

    start: datetime
    end: datetime
    lanes: tuple[LevelLane, ...]
    milestones: tuple[Milestone, ...] = ()

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        told = "; ".join(f"{lane.name}: {lane.said}" for lane in self.lanes)
        return f"From {self.start:%H:%M:%S} to {self.end:%H:%M:%S} UTC. {told}."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and for each lane its first, lowest, highest and last value."""
        columns = ("Lane", "First", "Lowest", "Highest", "Last", "Exits and starts")
        made = []
        for lane in self.lanes:
            values = [point.value for point in lane.points]
            told = (values[0], min(values), max(values), values[-1])
            turns = ", ".join(f"{one.word} {one.at:%H:%M:%S}" for one in lane.turns) or "none"
            made.append((lane.name, *(f"{figure(value)} {lane.unit}" for value in told), turns))
        return columns, tuple(made)

    def svg(self, width: int = 960) -> str:
        """Return the lanes as an SVG image, `width` pixels wide."""

        def x(at: datetime) -> float:
            share = (at - self.start) / (self.end - self.start)
            return _EDGE_PX + min(max(share, 0.0), 1.0) * (width - 2 * _EDGE_PX)

        named = sorted(self.milestones, key=lambda item: item.at)
        labels = [(x(item.at) + 4, f"{item.label} {item.at:%H:%M:%S}") for item in named]
        placed = svg.rows_for(labels, width)
        y = (max((row for row, _, _ in placed), default=-1) + 1) * _ROW_PX + 6.0
        parts: list[str] = []
        heights = [_head_px(lane, width) + _PLOT_PX + _GAP_PX for lane in self.lanes]
        bottom = y + sum(heights) - _GAP_PX
        for item, (_, label), (row, at, anchor) in zip(named, labels, placed, strict=True):
            parts.append(svg.line(x(item.at), (row + 1) * _ROW_PX - 12, x(item.at), bottom, "milestone"))
            parts.append(svg.text(at if anchor == "start" else at - 8, (row + 1) * _ROW_PX - 3, label, "name", anchor))
        for lane, height in zip(self.lanes, heights, strict=True):
            parts += _drawn(lane, x, y, width)
            y += height
        edges = {"left": _EDGE_PX, "right": width - _EDGE_PX, "width": width}
        parts += svg.time_axis(x, bottom, self.start, self.end, **edges)
        return svg.document(width, int(bottom + 24), self.alt, parts)

    def matplotlib(self) -> Figure:
        """Return the lanes as a matplotlib figure, to zoom and to restyle."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 2 * max(len(self.lanes), 1)), layout="constrained")
        every = figure.subplots(max(len(self.lanes), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, lane in zip(every, self.lanes, strict=False):
            axes.set_title(f"{lane.name}: {lane.said}", loc="left", fontsize=10)
            axes.plot([one.at for one in lane.points], [one.value for one in lane.points], color="#1c2126")
            if lane.trend:
                axes.plot([one.at for one in lane.trend], [one.value for one in lane.trend], "--", color="#b3261e")
            if lane.limit is not None:
                axes.axhline(lane.limit, color="#b3261e", linewidth=1)
            for one in lane.turns:
                axes.axvline(one.at, color="#b3261e", linewidth=1)
            axes.set_ylabel(lane.unit)
        return figure


def _drawn(lane: LevelLane, x: Callable[[datetime], float], y: float, width: int) -> list[str]:
    """Return a lane's parts; `y` is its upper edge."""
    base, top = y + _head_px(lane, width) + _PLOT_PX, lane.top

    def height(value: float) -> float:
        return base - min(value / top, 1.0) * _PLOT_PX

    parts = [svg.line(_EDGE_PX, base, width - _EDGE_PX, base, "axis")]
    turns = tuple(one.at for one in lane.turns)
    for at in turns:
        parts.append(svg.line(x(at), base - _PLOT_PX, x(at), base, "leader"))
        parts.append(svg.rect(x(at) - 3, base - 3, 6, 6, "alarm"))
    if lane.drawn_limit is not None:
        at_limit = height(lane.drawn_limit)
        parts.append(svg.line(_EDGE_PX, at_limit, width - _EDGE_PX, at_limit, "limit"))
    for piece in svg.pieces(lane.points, _longest(lane.points), turns):
        points = [(x(point.at), height(point.value)) for point in piece]
        parts.append(svg.path(points, "curve") if len(points) > 1 else svg.circle(*points[0], 2, "dot"))
    if lane.trend:
        first, last = lane.trend
        parts.append(svg.line(x(first.at), height(first.value), x(last.at), height(last.value), "trend"))
    parts.append(svg.text(_EDGE_PX, y + 14, lane.name, "name"))
    if _beside(lane, width):
        parts.append(svg.text(width - _EDGE_PX, y + 14, lane.said, anchor="end"))
    else:
        for row, said in enumerate(_below(lane, width), 1):
            parts.append(svg.text(_EDGE_PX, y + 14 + row * _ROW_PX, svg.fitted(said, width - 2 * _EDGE_PX)))
    return parts


def _beside(lane: LevelLane, width: int) -> bool:
    """Say whether a lane's name and what is said of it fit into one line."""
    return svg.text_px(f"{lane.name}  {lane.said}") <= width - 2 * _EDGE_PX


def _below(lane: LevelLane, width: int) -> list[str]:
    """Return what is said of a lane in as many lines as it needs, parted where it holds a semicolon."""
    fits = svg.text_px(lane.said) <= width - 2 * _EDGE_PX
    return [lane.said] if fits else lane.said.split("; ")


def _head_px(lane: LevelLane, width: int) -> int:
    return _HEAD_PX if _beside(lane, width) else _HEAD_PX + _ROW_PX * len(_below(lane, width))


def _longest(points: Sequence[Point]) -> timedelta:
    """Return how far apart two samples may lie so that none is missing between them: four times the usual."""
    gaps = sorted(after.at - before.at for before, after in pairwise(points))
    return _MAX_GAP_STEPS * gaps[len(gaps) // 2] if gaps else timedelta()
