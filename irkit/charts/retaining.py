"""The paths that keep things alive, from a root down to what is kept: chains with what each link holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.charts import svg
from irkit.text.phrase import grouped, percent, size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_PX = 46
_KNOWN_PX = 28
_APART_PX = 14
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
        return f"{self.name} ({self.kind})" if self.name else f"{grouped(self.times)} more links"

    @property
    def kind(self) -> str:
        """Its type, and how many links of one name it stands for."""
        return f"{self.type_name}, {grouped(self.times)} links" if self.times > 1 else self.type_name


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

    def held(self, step: Step) -> str:
        """Say what a link retains and which part of the heap that is, "" of links that are left out."""
        return f"{size(step.retained_bytes)}, {percent(self.share(step))}" if step.name else ""

    def svg(self, width: int = 960) -> str:
        """Return the chain as an SVG image, `width` pixels wide."""
        return below_each_other((self,), self.alt, width)

    def drawn(self, width: int, top: float, known: int = 0) -> tuple[list[str], int]:
        """Return the shapes of the chain from `top` down, and how high it is; so many links are `known` from above."""
        parts: list[str] = []
        room = width - _TEXT_PX - _EDGE_PX
        y = top + 12
        for at, step in enumerate(self.steps, 1):
            below, hot = at == known, at == len(self.steps) != known
            height = _KNOWN_PX if below else _ROW_PX
            if at < known:
                continue
            parts.append(svg.line(_LEFT_PX, y, _LEFT_PX, y + height, "link"))
            if step.name:
                parts.append(svg.circle(_LEFT_PX, y, _RADIUS, "alarm" if hot else "ring"))
            if below:
                parts.append(svg.text(_TEXT_PX, y + 4, svg.fitted(f"below {step.name or step.said}", room)))
            else:
                parts += self._link(step, y, width, hot=hot)
            y += height
        parts.append(svg.rect(_LEFT_PX - 4, y - 4, 8, 8, "calm"))
        parts.append(svg.text(_TEXT_PX, y + 4, svg.fitted(self.kept, room)))
        return parts, round(y - top) + 14

    def _link(self, step: Step, y: float, width: int, *, hot: bool) -> list[str]:
        room, held = width - _TEXT_PX - _EDGE_PX, self.held(step)
        name = svg.fitted(step.said, room - svg.text_px(held) - 12)
        parts = [svg.text(_TEXT_PX, y + 4, name, "alarmed" if hot else "name" if step.name else "")]
        if held:
            parts.append(svg.text(width - _EDGE_PX, y + 4, held, "alarmed" if hot else "", "end"))
            parts.append(svg.rect(_TEXT_PX, y + 12, room, _BAR_PX, "quiet"))
            parts.append(svg.rect(_TEXT_PX, y + 12, room * self.share(step), _BAR_PX, "alarm" if hot else "calm"))
        return parts

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

    def share(self, step: Step) -> float:
        """Return which part of the heap a link retains."""
        return min(step.retained_bytes / self.heap_bytes, 1.0) if self.heap_bytes > 0 else 0.0


def below_each_other(paths: Sequence[RetainingPath], title: str, width: int) -> str:
    """Return chains as one SVG image, `width` pixels wide; links that an earlier one has are not drawn again."""
    parts: list[str] = []
    top = 0
    for at, path in enumerate(paths):
        known = max((_alike(path.steps, earlier.steps) for earlier in paths[:at]), default=0)
        shapes, height = path.drawn(width, top, known)
        parts += shapes
        top += height + _APART_PX
    return svg.document(width, top - _APART_PX, title, parts)


def _alike(steps: Sequence[Step], others: Sequence[Step]) -> int:
    """Return how many links two paths have in common from the root down."""
    return next((at for at, (one, other) in enumerate(zip(steps, others, strict=False)) if one != other),
                min(len(steps), len(others)))  # fmt: skip
