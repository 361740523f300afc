"""Bars made of parts, on one scale: what a score is the sum of, where a request's time goes, how full a limit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.text.phrase import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_PX = 38
_LINE_PX = 16
_GAP_PX = 16
_BAR_PX = 10
_SIDE_PX = 2
_COLOURS = {"alarm": "#b3261e", "calm": "#9fb0bf", "open": "#ffffff", "quiet": "#d5dde4"}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar; `look` is `alarm`, `calm`, `quiet` (of no weight) or `open` (not known: only an outline)."""

    label: str
    value: float
    look: str


@dataclass(frozen=True, slots=True)
class StackedBar:
    """One bar with what is written above its end; `alarmed` where that is a warning."""

    name: str
    parts: tuple[Part, ...]
    said: str
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class StackedBars:
    """Bars on one scale from 0 to `scale`; `limit` is drawn as a line through all of them."""

    bars: tuple[StackedBar, ...]
    scale: float
    limit: float | None = None

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        return "; ".join(f"{bar.name}: {bar.said}" for bar in self.bars) + "."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a part."""
        made = tuple((bar.name, part.label, figure(part.value)) for bar in self.bars for part in bar.parts)
        return ("Bar", "Part", "Value"), made

    def svg(self, width: int = 960) -> str:
        """Return the bars as an SVG image, `width` pixels wide."""
        per = (width - 2 * _SIDE_PX) / self.scale if self.scale > 0 else 0.0
        # where name and words do not fit beside each other, the words get a line of their own
        tight = any(svg.text_px(bar.name) + svg.text_px(bar.said) + _GAP_PX > width for bar in self.bars)
        row_px = _ROW_PX + (_LINE_PX if tight else 0)
        parts: list[str] = []
        for index, bar in enumerate(self.bars):
            top = index * row_px
            parts.append(svg.text(_SIDE_PX, top + 13, bar.name, "name"))
            top += row_px - _ROW_PX
            side, anchor = (_SIDE_PX, "start") if tight else (width - _SIDE_PX, "end")
            parts.append(svg.text(side, top + 13, bar.said, "alarmed" if bar.alarmed else "", anchor))
            base = top + 20 + _BAR_PX
            parts.append(svg.line(_SIDE_PX, base, width - _SIDE_PX, base, "axis"))
            at = float(_SIDE_PX)
            for part in bar.parts:
                long = min(part.value * per, width - _SIDE_PX - at)
                if long > 0:
                    # a hair between two parts, so that neighbours of one colour stay two
                    parts.append(svg.rect(at, top + 20, max(long - 1, 1), _BAR_PX, part.look))
                at += max(long, 0.0)
            if self.limit is not None:
                x = min(_SIDE_PX + self.limit * per, width - 1)
                parts.append(svg.line(x, top + 19, x, base + 3, "milestone"))
        return svg.document(width, max(len(self.bars) * row_px, 1), self.alt, parts)

    def matplotlib(self) -> Figure:
        """Return the bars as a matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 0.5 * len(self.bars) + 0.6), layout="constrained")
        axes = figure.subplots()
        for bar in self.bars:
            left = 0.0
            for part in bar.parts:
                axes.barh(
                    bar.name, part.value, left=left, color=_COLOURS[part.look], edgecolor="#5b656f", linewidth=0.5
                )
                left += part.value
        if self.limit is not None:
            axes.axvline(self.limit, color="#1c2126", linewidth=1)
        axes.invert_yaxis()
        axes.set_xlim(0, self.scale)
        return figure
