"""Durations against their target, as bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.times import format_duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_PX = 40
_BAR_PX = 10
_SIDE_PX = 2
_AXIS_PX = 24
_TICK_PX = 110
_ARROW_PX = 5
# where a target is so many times the longest duration, bars on its scale could not be seen
_BEYOND = 4


@dataclass(frozen=True, slots=True)
class DurationBar:
    """One duration; `running` where its end has not come yet."""

    name: str
    duration: timedelta
    target: timedelta | None = None
    running: bool = False

    @property
    def missed(self) -> bool:
        return self.target is not None and self.duration > self.target

    @property
    def said(self) -> str:
        """The duration in words, with its target where it has one."""
        words = format_duration(self.duration) + (" so far" if self.running else "")
        if self.target is None:
            return words
        return f"{words} of {format_duration(self.target)}" + (", missed" if self.missed else "")


@dataclass(frozen=True, slots=True)
class MilestoneBars:
    """Durations on one scale, each with its target as a line, or as an arrow where that lies far beyond them all."""

    bars: tuple[DurationBar, ...]

    @property
    def scale(self) -> timedelta:
        """How much time the picture spans from its left to its right."""
        longest = max((bar.duration for bar in self.bars), default=timedelta())
        targets = (bar.target for bar in self.bars if bar.target and bar.target <= _BEYOND * longest)
        # nothing to see yet: the targets are all there is
        return max([longest, *targets]) or max((bar.target or timedelta() for bar in self.bars), default=timedelta())

    @property
    def beyond(self) -> bool:
        """Whether a target lies beyond the scale."""
        return any(bar.target is not None and bar.target > self.scale for bar in self.bars)

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        return "; ".join(f"{bar.name.lower()}: {bar.said}" for bar in self.bars).capitalize() + "."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a bar."""
        return ("Duration", "Value"), tuple((bar.name, bar.said) for bar in self.bars)

    def svg(self, width: int = 960) -> str:
        """Return the bars as an SVG image, `width` pixels wide."""
        scale = self.scale
        right, bottom = width - _SIDE_PX, len(self.bars) * _ROW_PX

        def x(duration: timedelta) -> float:
            return _SIDE_PX + duration.total_seconds() * (right - _SIDE_PX) / max(scale.total_seconds(), 1)

        parts = []
        for index, bar in enumerate(self.bars):
            base = index * _ROW_PX + 20 + _BAR_PX
            parts.append(svg.text(_SIDE_PX, base - 17, bar.name, "name"))
            parts.append(svg.text(right, base - 17, bar.said, "alarmed" if bar.missed else "", "end"))
            parts.append(svg.line(_SIDE_PX, base, right, base, "axis"))
            long = x(bar.duration) - _SIDE_PX
            parts.append(svg.rect(_SIDE_PX, base - _BAR_PX, long, _BAR_PX, "alarm" if bar.missed else "calm"))
            if bar.target is not None and bar.target > scale:
                middle = base - _BAR_PX / 2
                points = [
                    (right - _ARROW_PX, middle - _ARROW_PX),
                    (right, middle),
                    (right - _ARROW_PX, middle + _ARROW_PX),
                ]
                parts += [
                    svg.line(right - 3 * _ARROW_PX, middle, right, middle, "milestone"),
                    svg.path(points, "curve"),
                ]
            elif bar.target is not None:
                at = min(x(bar.target), width - 1)
                parts.append(svg.line(at, base - _BAR_PX - 3, at, base + 3, "milestone"))
        return svg.document(width, bottom + _AXIS_PX, self.alt, [*parts, *_axis(x, bottom, scale, width)])

    def matplotlib(self) -> Figure:
        """Return the bars as a matplotlib figure, in minutes."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 0.6 * len(self.bars) + 0.6), layout="constrained")
        axes = figure.subplots()
        minutes = [bar.duration.total_seconds() / 60 for bar in self.bars]
        names = [bar.name for bar in self.bars]
        axes.barh(names, minutes, color=["#b3261e" if bar.missed else "#9fb0bf" for bar in self.bars])
        axes.invert_yaxis()
        axes.set_xlabel("minutes")
        return figure


def _axis(x: Callable[[timedelta], float], y: float, scale: timedelta, width: int) -> list[str]:
    """Return round durations below the bars; none where there is no time to divide."""
    step = timedelta(seconds=svg.step_s(scale, width // _TICK_PX))
    parts = []
    for number in range(scale // step + 1 if scale else 0):
        at, label = number * step, format_duration(number * step)
        half = svg.text_px(label) / 2
        parts.append(svg.line(x(at), y - _BAR_PX, x(at), y - _BAR_PX + 4, "axis"))
        parts.append(svg.text(min(max(x(at), half), width - half), y + 8, label, anchor="middle"))
    return parts
