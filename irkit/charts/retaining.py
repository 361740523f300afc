"""The path that keeps something alive, from a root down to what is kept: a chain with what each link holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.phrase import grouped, percent, size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_PX = 46
_LEFT_PX = 12
_TEXT_PX = 28
_BAR_PX = 6
_EDGE_PX = 4
_RADIUS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One link: what it is called and of what type, and what it retains in bytes; `times` links of one name in a row.

    One without a name stands for `times` links that are left out.
    """

    name: str
    type_name: str
    retained_bytes: float
    times: int = 1

    @property
    def said(self) -> str:
        """The link in words."""
        if not self.name:
            return f"{grouped(self.times)} more links"
        many = f", {grouped(self.times)} links" if self.times > 1 else ""
        return f"{self.name} ({self.type_name}{many})"


@dataclass(frozen=True, slots=True)
class RetainingPath:
    """Links from a root to the accumulation point, then `kept`: what hangs there; bars are shares of `heap_bytes`."""

    steps: tuple[Step, ...]
    kept: str
    heap_bytes: float

    @property
    def alt(self) -> str:
        """One sentence that says what the picture shows."""
        return f"Kept alive by {' → '.join(step.said for step in self.steps)}, which keeps {self.kept}."

    def rows(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the picture as a table: column names, and a row of texts a link."""
        made = [
            (step.name or "…", step.type_name, grouped(step.times), size(step.retained_bytes) if step.name else "")
            for step in self.steps
        ]
        return ("Link", "Type", "Links", "Retains"), tuple(made)

    def svg(self, width: int = 960) -> str:
        """Return the chain as an SVG image, `width` pixels wide."""
        parts: list[str] = []
        room = width - _TEXT_PX - _EDGE_PX
        last = len(self.steps) - 1
        for index, step in enumerate(self.steps):
            y = index * _ROW_PX + 12
            parts.append(svg.line(_LEFT_PX, y, _LEFT_PX, y + _ROW_PX, "link"))
            hot = index == last
            if step.name:
                parts.append(svg.circle(_LEFT_PX, y, _RADIUS, "alarm" if hot else "ring"))
            held = f"{size(step.retained_bytes)}, {percent(self._share(step))}" if step.name else ""
            name = svg.fitted(step.said, room - svg.text_px(held) - 12)
            parts.append(svg.text(_TEXT_PX, y + 4, name, "alarmed" if hot else "name" if step.name else ""))
            if held:
                parts.append(svg.text(width - _EDGE_PX, y + 4, held, "alarmed" if hot else "", "end"))
                parts.append(svg.rect(_TEXT_PX, y + 12, room, _BAR_PX, "quiet"))
                parts.append(svg.rect(_TEXT_PX, y + 12, room * self._share(step), _BAR_PX, "alarm" if hot else "calm"))
        y = len(self.steps) * _ROW_PX + 12
        parts.append(svg.rect(_LEFT_PX - 4, y - 4, 8, 8, "calm"))
        parts.append(svg.text(_TEXT_PX, y + 4, svg.fitted(self.kept, room)))
        return svg.document(width, y + 14, self.alt, parts)

    def matplotlib(self) -> Figure:
        """Return the links as bars of a matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 0.5 * len(self.steps) + 0.8), layout="constrained")
        axes = figure.subplots()
        told = [step.said for step in self.steps]
        looks = ["#9fb0bf"] * (len(told) - 1) + ["#b3261e"]
        axes.barh(told, [step.retained_bytes / 2**20 for step in self.steps], color=looks)
        axes.invert_yaxis()
        axes.set_xlabel("retained, MiB")
        return figure

    def _share(self, step: Step) -> float:
        return min(step.retained_bytes / self.heap_bytes, 1.0) if self.heap_bytes > 0 else 0.0
