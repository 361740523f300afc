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
    lines = {name: axes.plot(counts, values, marker="o")[0] for name, values in series.items()}
    # names stand at the ends of their lines, apart where these are not
    apart = max(max(values) for values in series.values()) / 18
    at = float("-inf")
    for name, values in sorted(series.items(), key=lambda item: item[1][-1]):
        at = max(values[-1], at + apart)
        axes.annotate(
            f"{name} {values[-1]:.1f} s",
            (counts[-1], at),
            xytext=(8, 0),
            textcoords="offset points",
            color=lines[name].get_color(),
            va="center",
            annotation_clip=False,
        )
    axes.set(xlabel=what, ylabel="seconds", ylim=(0, None), xticks=counts, title=title)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    figure.savefig(path.with_suffix(".png"), dpi=110)
    return path
