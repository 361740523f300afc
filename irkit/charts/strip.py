"""The annotated incident strip: what the service did over time, the impact shaded, the milestones drawn in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.text.phrase import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LANE_PX = 46
_MARKS_PX = 16
_HEAD_PX = 20
_GAP_PX = 14
_ROW_PX = 16
_EDGE_PX = 5
_MAX_NAMED = 6
_MAX_GAP_STEPS = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval from `at`: how many in all, and how many of them failed."""

    at: datetime
    total: float
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One value at a time."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One event; a bad one is filled, a good one hollow, so that colour is not alone in telling.

    Marks with a `rank` are labelled, the lowest ranks first where there are many.
    """

    at: datetime
    label: str
    bad: bool = False
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class BarLane:
    """Counts in intervals of `step_s` seconds; `legend` says what the colours mean.

    Where everything counted is a failure (`all_failed`), "3 of 3 failed" would say nothing.
    """

    name: str
    unit: str
    step_s: int
    bars: tuple[Bar, ...]
    legend: str = ""
    all_failed: bool = False


@dataclass(frozen=True, slots=True)
class LineLane:
    """A value for each interval of `step_s` seconds that has one, with the limit the runbook sets, if it does."""

    name: str
    unit: str
    step_s: int
    points: tuple[Point, ...]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class MarkLane:
    """Single events over time; `legend` says how the bad ones look."""

    name: str
    marks: tuple[Mark, ...]
    legend: str = ""


Lane = BarLane | LineLane | MarkLane


@dataclass(frozen=True, slots=True)
class Milestone:
    """A vertical line with its label."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded interval."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class IncidentStrip:
    """Lanes over one time axis from `start` to `end` (aware UTC); from `unseen_from` on nothing was collected.

    `undrawn` names what belongs to the story and lies outside the picture.
    """

    start: datetime
    end: datetime
    lanes: tuple[Lane, ...]
    milestones: tuple[Milestone, ...] = ()
    impact: Band | None = None
    unseen_from: datetime | None = None
    undrawn: tuple[str, ...] = ()

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        shown = ", ".join(lane.name.lower() for lane in self.lanes)
        said = f"{shown.capitalize()} from {self.start:%Y-%m-%d %H:%M} to {self.end:%H:%M} UTC"
        if self.milestones:
            said += "; " + ", ".join(f"{item.label} at {item.at:%H:%M:%S}" for item in self.milestones)
        if self.unseen_from:
            said += f"; no evidence after {self.unseen_from:%H:%M:%S}"
        if self.undrawn:
            said += f"; outside the picture: {', '.join(self.undrawn)}"
        return said + "."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts an interval."""
        columns = ("Time (UTC)", "What", "Value")
        made: list[tuple[datetime, str, str]] = [(item.at, "milestone", item.label) for item in self.milestones]
        for lane in self.lanes:
            if isinstance(lane, BarLane):
                made += [(bar.at, lane.name, _counted(bar, lane)) for bar in lane.bars if bar.failed]
            elif isinstance(lane, LineLane):
                highest = sorted(lane.points, key=lambda point: -point.value)[:1]
                made += [(p.at, f"{lane.name}, highest", f"{figure(p.value)} {lane.unit}") for p in highest]
            else:
                made += [(mark.at, lane.name, mark.label) for mark in lane.marks if mark.bad]
        made.sort(key=lambda row: row[0])
        # what repeats within a second is one row, and says how often
        often = Counter((f"{at:%H:%M:%S}", what, value) for at, what, value in made)
        return columns, tuple(
            (at, what, f"{value}, {times} times" if times > 1 else value) for (at, what, value), times in often.items()
        )

    def share(self, at: datetime, width: int = 960) -> float:
        """Return where a time lies in the picture, from 0 at its left edge to 1 at its right."""
        share = (at - self.start) / (self.end - self.start)
        return (_EDGE_PX + min(max(share, 0.0), 1.0) * (width - 2 * _EDGE_PX)) / width

    def svg(self, width: int = 960) -> str:
        """Return the strip as an SVG image, `width` pixels wide."""

        def x(at: datetime) -> float:
            return self.share(at, width) * width

        named = sorted(self.milestones, key=lambda item: item.at)
        labels = [f"{item.label} {item.at:%H:%M:%S}" for item in named]
        placed = svg.rows_for([(x(item.at) + 4, label) for item, label in zip(named, labels, strict=True)], width)
        top = (max((row for row, _, _ in placed), default=-1) + 1) * _ROW_PX + 6
        parts: list[str] = []
        y: float = top
        for lane in self.lanes:
            drawn, height = _draw(lane, x, y, width)
            parts += drawn
            y += height
        bottom = y
        under: list[str] = []
        if self.impact:
            left, right = x(self.impact.start), x(self.impact.end)
            under.append(svg.rect(left, top, right - left, bottom - top, "shade"))
        if self.unseen_from:
            left, right = x(self.unseen_from), x(self.end)
            under.append(svg.rect(left, top, right - left, bottom - top, "quiet"))
        for item, label, (row, at, anchor) in zip(named, labels, placed, strict=True):
            under.append(svg.line(x(item.at), (row + 1) * _ROW_PX - 12, x(item.at), bottom, "milestone"))
            offset = 0 if anchor == "start" else -8
            parts.append(svg.text(at + offset, (row + 1) * _ROW_PX - 3, label, "name", anchor))
        edges = {"left": _EDGE_PX, "right": width - _EDGE_PX, "width": width}
        axis = svg.time_axis(x, bottom, self.start, self.end, **edges)
        return svg.document(width, int(bottom + 24), self.alt, [*under, *parts, *axis])

    def matplotlib(self) -> Figure:
        """Return the strip as a matplotlib figure, to zoom and to restyle."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 1.6 * max(len(self.lanes), 1)), layout="constrained")
        every = figure.subplots(max(len(self.lanes), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, lane in zip(every, self.lanes, strict=False):
            axes.set_title(lane.name, loc="left", fontsize=10)
            if isinstance(lane, BarLane):
                days = lane.step_s / 86400
                at = [bar.at for bar in lane.bars]
                axes.bar(at, [bar.total for bar in lane.bars], days, color="#9fb0bf", align="edge")
                axes.bar(at, [bar.failed for bar in lane.bars], days, color="#b3261e", align="edge")
            elif isinstance(lane, LineLane):
                axes.plot([point.at for point in lane.points], [point.value for point in lane.points], color="#1c2126")
            else:
                colours = ["#b3261e" if mark.bad else "#9fb0bf" for mark in lane.marks]
                axes.scatter([mark.at for mark in lane.marks], [0] * len(lane.marks), c=colours)
                axes.set_yticks([])
            if self.impact:
                axes.axvspan(self.impact.start, self.impact.end, color="#b3261e", alpha=0.08)
            for item in self.milestones:
                axes.axvline(item.at, color="#1c2126", linewidth=1)
        every[-1].set_xlim(self.start, self.end)
        return figure


def _draw(lane: Lane, x: Callable[[datetime], float], y: float, width: int) -> tuple[list[str], float]:
    """Return a lane's parts and its height; `y` is its upper edge."""
    legend = "" if isinstance(lane, LineLane) else lane.legend
    title = svg.text(_EDGE_PX, y + 14, f"{lane.name}, {legend}" if legend else lane.name, "name")
    plot = y + _HEAD_PX
    if isinstance(lane, MarkLane):
        drawn, height = _marks(lane, x, plot, width)
        return [title, *drawn], _HEAD_PX + height + _GAP_PX
    base = plot + _LANE_PX
    drawn = _bars(lane, x, base) if isinstance(lane, BarLane) else _curve(lane, x, base, width)
    side = svg.text(width - _EDGE_PX, y + 14, _peak(lane), anchor="end")
    axis = svg.line(_EDGE_PX, base, width - _EDGE_PX, base, "axis")
    return [*drawn, axis, title, side], _HEAD_PX + _LANE_PX + _GAP_PX


def _counted(bar: Bar, lane: BarLane) -> str:
    return f"{bar.total:g} {lane.unit}" if lane.all_failed else f"{bar.failed:g} of {bar.total:g} failed {lane.unit}"


def _peak(lane: BarLane | LineLane) -> str:
    if isinstance(lane, BarLane):
        return f"peak {max((bar.total for bar in lane.bars), default=0):g} {lane.unit}"
    peak = max((point.value for point in lane.points), default=0)
    said = f"peak {peak:.3g} {lane.unit}"
    return f"{said}, limit {lane.limit:g} {lane.unit} dashed" if lane.limit is not None and lane.limit <= peak else said


def _bars(lane: BarLane, x: Callable[[datetime], float], base: float) -> list[str]:
    peak = max((bar.total for bar in lane.bars), default=0) or 1
    calm, alarm = [], []
    for bar in lane.bars:
        # as wide as its interval, whatever lies between it and the next
        wide = max(x(bar.at + timedelta(seconds=lane.step_s)) - x(bar.at) - 1, 1)
        tall, failed = bar.total / peak * _LANE_PX, bar.failed / peak * _LANE_PX
        if tall > failed:
            calm.append((x(bar.at), base - tall, wide, tall - failed))
        if failed:
            alarm.append((x(bar.at), base - failed, wide, failed))
    return [*svg.rects(calm, "calm"), *svg.rects(alarm, "alarm")]


def _curve(lane: LineLane, x: Callable[[datetime], float], base: float, width: int) -> list[str]:
    peak = max((point.value for point in lane.points), default=0) or 1
    parts = []
    if lane.limit is not None and lane.limit <= peak:
        at = base - lane.limit / peak * _LANE_PX
        parts.append(svg.line(_EDGE_PX, at, width - _EDGE_PX, at, "limit"))
    for piece in svg.pieces(lane.points, timedelta(seconds=_MAX_GAP_STEPS * lane.step_s)):
        points = [(x(point.at), base - point.value / peak * _LANE_PX) for point in piece]
        parts.append(svg.path(points, "curve") if len(points) > 1 else svg.circle(*points[0], 2, "dot"))
    return parts


def _marks(lane: MarkLane, x: Callable[[datetime], float], y: float, width: int) -> tuple[list[str], float]:
    """Draw the marks, and above them the labels of the gravest, in as many rows as keep them apart."""
    ranked = sorted((mark for mark in lane.marks if mark.rank is not None), key=lambda mark: mark.rank or 0)
    named = sorted(ranked[:_MAX_NAMED], key=lambda mark: mark.at)
    placed = svg.rows_for([(x(mark.at) + 8, mark.label) for mark in named], width - _EDGE_PX, 8)
    rows = max((row for row, _, _ in placed), default=-1) + 1
    middle = y + rows * _ROW_PX + _MARKS_PX / 2
    parts = [svg.line(_EDGE_PX, middle, width - _EDGE_PX, middle, "axis")]
    labels = []
    for mark, (row, at, anchor) in zip(named, placed, strict=True):
        base = y + (row + 1) * _ROW_PX - 4
        leader, look = ("leader", "alarmed") if mark.bad else ("axis", "name")
        labels.append(svg.line(x(mark.at), base - 8, x(mark.at), middle, leader))
        labels.append(svg.text(at - 4 if anchor == "start" else at - 12, base, mark.label, look, anchor))
    parts += svg.rings([(x(mark.at), middle) for mark in lane.marks if not mark.bad])
    parts += [svg.rect(x(mark.at) - 3, middle - 3, 6, 6, "alarm") for mark in lane.marks if mark.bad]
    return [*labels, *parts], rows * _ROW_PX + _MARKS_PX
