"""Latency over time: p50, p95 and p99 against a limit, with what the numbers of requests leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.charts.strip import Milestone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLOT_PX = 200
_EDGE_PX = 5
_LABEL_PX = 44
_ROW_PX = 16
_MAX_GAP_STEPS = 3
_FEW = 20
_OPEN_PX = 7
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


@dataclass(frozen=True, slots=True)
class QuantilePoint:
    """Percentiles in seconds, and the slowest, of the `total` requests of the interval around `at`.

    `low` and `high` are the ends of the p95's 95 % interval, None where so few requests do not bound it.
    """

    at: datetime
    total: int
    p50: float
    p95: float
    p99: float
    slowest: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class QuantileChart:
    """Percentiles over the time from `start` to `end` (aware UTC), one point each `step_s` seconds at most."""

    start: datetime
    end: datetime
    step_s: float
    points: tuple[QuantilePoint, ...]
    limit: float | None = None
    milestones: tuple[Milestone, ...] = ()

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        worst = max(self.points, key=lambda point: point.p95, default=None)
        told = f"Latency from {self.start:%H:%M:%S} to {self.end:%H:%M:%S} UTC"
        if worst:
            told += f", p95 at most {worst.p95:.3g} s at {worst.at:%H:%M:%S}"
        return told + (f", limit {self.limit:g} s." if self.limit is not None else ".")

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts an interval."""
        columns = ("Time (UTC)", "Requests", "p50", "p95", "95 % interval of the p95", "p99")
        return columns, tuple(
            (
                f"{point.at:%H:%M:%S}",
                f"{point.total}",
                f"{point.p50:.3g} s",
                f"{point.p95:.3g} s",
                f"{_bound(point.low)} to {_bound(point.high)}",
                f"{point.p99:.3g} s",
            )
            for point in self.points
        )

    def svg(self, width: int = 960) -> str:
        """Return the chart as an SVG image, `width` pixels wide."""
        top_s = max((point.slowest for point in self.points), default=0.0)
        top_s = max(top_s, self.limit or 0.0) * 1.1 or 1.0
        named = sorted(self.milestones, key=lambda item: item.at)

        def x(at: datetime) -> float:
            share = (at - self.start) / (self.end - self.start)
            return _LABEL_PX + min(max(share, 0.0), 1.0) * (width - _LABEL_PX - _EDGE_PX)

        labels = [(x(item.at) + 4, f"{item.label} {item.at:%H:%M:%S}") for item in named]
        placed = svg.rows_for(labels, width)
        head = (max((row for row, _, _ in placed), default=-1) + 1) * _ROW_PX + 10
        base = head + _PLOT_PX

        def y(value_s: float) -> float:
            return base - min(value_s / top_s, 1.0) * _PLOT_PX

        parts: list[str] = []
        for value_s in _gridlines(top_s):
            parts.append(svg.line(_LABEL_PX, y(value_s), width - _EDGE_PX, y(value_s), "axis"))
            parts.append(svg.text(_LABEL_PX - 6, y(value_s) + 4, f"{value_s:g} s", anchor="end"))
        for item, (_, label), (row, at, anchor) in zip(named, labels, placed, strict=True):
            parts.append(svg.line(x(item.at), (row + 1) * _ROW_PX - 12, x(item.at), base, "milestone"))
            parts.append(svg.text(at if anchor == "start" else at - 8, (row + 1) * _ROW_PX - 3, label, "name", anchor))
        for piece in svg.pieces(self.points, timedelta(seconds=_MAX_GAP_STEPS * self.step_s)):
            parts += _curves(piece, x, y)
        if self.limit is not None:
            parts.append(svg.line(_LABEL_PX, y(self.limit), width - _EDGE_PX, y(self.limit), "limit"))
        edges = {"left": _LABEL_PX, "right": width - _EDGE_PX, "width": width}
        parts += svg.time_axis(x, base, self.start, self.end, **edges)
        return svg.document(width, int(base + 24), self.alt, parts)

    def matplotlib(self) -> Figure:
        """Return the chart as a matplotlib figure, to zoom and to restyle."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.subplots()
        at = [point.at for point in self.points]
        low = [point.low or 0.0 for point in self.points]
        high = [point.slowest if point.high is None else point.high for point in self.points]
        axes.fill_between(at, low, high, color="#9fb0bf", alpha=0.4, label="95 % interval of the p95")  # type: ignore[arg-type]
        for name, style in (("p50", ":"), ("p95", "-"), ("p99", "--")):
            axes.plot(at, [getattr(point, name) for point in self.points], style, color="#1c2126", label=name)  # type: ignore[arg-type]
        if self.limit is not None:
            axes.axhline(self.limit, color="#b3261e", linewidth=1)
        axes.set_ylabel("seconds")
        axes.legend()
        return figure


def _curves(points: Sequence[QuantilePoint], x: Callable[[datetime], float], y: Callable[[float], float]) -> list[str]:
    """Draw one unbroken piece: the interval as a band, p99 and p50 thin, the p95 bold, hollow where it is a guess.

    An interval without an upper bound is drawn up to the slowest request, with a stroke that goes on from there.
    """
    above = [(x(point.at), y(point.slowest if point.high is None else point.high)) for point in points]
    below = [(x(point.at), y(point.low or 0.0)) for point in points]
    parts = [svg.polygon([*above, *below[::-1]], "band")] if len(points) > 1 else []
    parts += [
        svg.line(at, top, at, top - _OPEN_PX, "thin")
        for (at, top), point in zip(above, points, strict=True)
        if point.high is None
    ]
    for name, look in (("p99", "thin dashed"), ("p50", "thin"), ("p95", "curve")):
        line = [(x(point.at), y(getattr(point, name))) for point in points]
        parts += [svg.path(line, look)] if len(line) > 1 else []
    parts += [svg.circle(x(one.at), y(one.p95), 2.5, "ring" if one.total < _FEW else "dot") for one in points]
    return parts


def _gridlines(top_s: float) -> list[float]:
    step = next((one for one in _STEPS if top_s / one <= 5), _STEPS[-1] * (1 + int(top_s // _STEPS[-1] / 5)))  # noqa: PLR2004 (as many lines as help)
    return [step * index for index in range(int(top_s / step + 1e-9) + 1)]


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:.3g} s"
