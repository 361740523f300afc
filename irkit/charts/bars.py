"""Durations against their target, as bars."""

from __future__ import annotations

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
    """Durations on one scale, each with its target as a line."""

    bars: tuple[DurationBar, ...]

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        return "; ".join(f"{bar.name.lower()}: {bar.said}" for bar in self.bars).capitalize() + "."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a bar."""
        return ("Duration", "Value"), tuple((bar.name, bar.said) for bar in self.bars)

    def svg(self, width: int = 960) -> str:
        """Return the bars as an SVG image, `width` pixels wide."""
        longest = max((max(bar.duration, bar.target or timedelta()) for bar in self.bars), default=timedelta(seconds=1))
        per_s = (width - 2 * _SIDE_PX) / max(longest.total_seconds(), 1)
        parts = []
        for index, bar in enumerate(self.bars):
            y = index * _ROW_PX
            long = bar.duration.total_seconds() * per_s
            parts.append(svg.text(_SIDE_PX, y + 13, bar.name, "name"))
            look = "alarmed" if bar.missed else ""
            parts.append(svg.text(width - _SIDE_PX, y + 13, bar.said, look, "end"))
            parts.append(svg.line(_SIDE_PX, y + 20 + _BAR_PX, width - _SIDE_PX, y + 20 + _BAR_PX, "axis"))
            parts.append(svg.rect(_SIDE_PX, y + 20, long, _BAR_PX, "alarm" if bar.missed else "calm"))
            if bar.target is not None:
                at = _SIDE_PX + bar.target.total_seconds() * per_s
                parts.append(svg.line(min(at, width - 1), y + 17, min(at, width - 1), y + 23 + _BAR_PX, "milestone"))
        return svg.document(width, max(len(self.bars) * _ROW_PX, 1), self.alt, parts)

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
