"""The growth of times with the number of things, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure


def growth(
    counts: Sequence[int],
    series: Mapping[str, Sequence[float]],
    path: Path,
    what: str = "containers",
    title: str = "Time to collect",
) -> Path:
    """Draw seconds over a number of things, one line a series with its name at its end, and return the file's path."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        (line,) = axes.plot(counts, values, marker="o")
        axes.annotate(
            f"{name} {values[-1]:.1f} s",
            (counts[-1], values[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )
    axes.set(xlabel=what, ylabel="seconds", ylim=(0, None), xticks=counts, title=title)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    figure.savefig(path.with_suffix(".png"), dpi=110)
    return path
