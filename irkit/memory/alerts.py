"""Thresholds on memory, and the alerts when one is crossed: once each way, not at every sample beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from irkit.memory.footprint import ContainerMemory
from irkit.memory.trend import Direction, Forecast, Trend
from irkit.text.phrase import percent, seconds, size
from irkit.times import format_duration

_REARMED = 0.95
_HOUR_S = 3600.0
_YEAR_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on someone wants to know; None is never.

    `limit_share` is of the container's limit, `growth_bytes_per_hour` counts where a trend holds, `time_to_limit_s`
    is the forecast, `gc_pause_s` the longest garbage collection.
    """

    rss_bytes: int | None = None
    limit_share: float | None = 0.9
    growth_bytes_per_hour: float | None = None
    time_to_limit_s: float | None = 3600.0
    gc_pause_s: float | None = 0.5


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold that was crossed: which (by its name in `Thresholds`), when, and in a sentence."""

    at: datetime
    threshold: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What thresholds are held against; those for what is None are left as they are."""

    rss_bytes: int
    container: ContainerMemory | None = None
    trend: Trend | None = None
    forecast: Forecast | None = None
    longest_pause_s: float | None = None


def crossed(standing: Standing, thresholds: Thresholds, active: set[str], at: datetime) -> list[Alert]:
    """Return the alerts for thresholds crossed since the last look; `active` is kept up to date.

    One is armed again when the figure is 5 % below it, so that a figure which trembles at it tells once.
    """
    alerts = []
    for name, excess, sentence in _excesses(standing, thresholds):
        if excess >= 1 and name not in active:
            active.add(name)
            alerts.append(Alert(at, name, sentence))
        elif excess < _REARMED:
            active.discard(name)
    return alerts


def _excesses(now: Standing, wanted: Thresholds) -> Iterator[tuple[str, float, str]]:
    """Yield each threshold with how often over the figure is, and the sentence to say if it is once or more."""
    if wanted.rss_bytes is not None:
        told = f"RSS is {size(now.rss_bytes)}, the threshold {size(wanted.rss_bytes)}."
        yield "rss_bytes", now.rss_bytes / max(wanted.rss_bytes, 1), told
    if wanted.limit_share is not None and now.container and now.container.limit_bytes:
        share = now.container.usage_bytes / now.container.limit_bytes
        told = f"The container uses {percent(share)} of its limit of {size(now.container.limit_bytes)}."
        yield "limit_share", share / wanted.limit_share, told
    if wanted.growth_bytes_per_hour is not None and now.trend is not None:
        rate = now.trend.slope_per_s * _HOUR_S if now.trend.direction is Direction.GROWING else 0.0
        yield "growth_bytes_per_hour", rate / wanted.growth_bytes_per_hour, f"Memory grows by {size(rate)} an hour."
    if wanted.time_to_limit_s is not None and now.trend is not None:
        left_s = now.forecast.likely_s if now.forecast else None
        in_time = format_duration(timedelta(seconds=min(left_s or 0.0, _YEAR_S)))
        told = f"At this rate the container’s limit is reached in {in_time}."
        yield "time_to_limit_s", wanted.time_to_limit_s / max(left_s, 1e-9) if left_s is not None else 0.0, told
    if wanted.gc_pause_s is not None and now.longest_pause_s is not None:
        told = f"A garbage collection took {seconds(now.longest_pause_s)}."
        yield "gc_pause_s", now.longest_pause_s / wanted.gc_pause_s, told
