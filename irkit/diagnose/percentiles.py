"""How requests' durations spread: percentiles per interval of time and per route, each with how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.estimate import Interval, quantile, quantile_interval
from irkit.logs.requests import route_of

if TYPE_CHECKING:
    import pandas as pd

_STEPS_S = (5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
# of fewer requests the p95 is their slowest; more of them in an interval would blur when it began
_ENOUGH = 20
_FEWEST_INTERVALS = 12
_SERVER_ERROR = 500
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of `total` durations in seconds; `interval` is the 95 % interval of the p95."""

    total: int
    p50_s: float
    p95_s: float
    p99_s: float
    slowest_s: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Moment:
    """The spread of the requests answered in the interval that begins `at`."""

    at: datetime
    spread: Spread


@dataclass(frozen=True, slots=True)
class Route:
    """The requests of one route: their spread, how many failed (5xx), and the p95 before and since a moment.

    A p95 is None where no request of the route fell on that side of the moment.
    """

    service: str
    method: str
    path: str
    spread: Spread
    failed: int
    before_p95_s: float | None
    since_p95_s: float | None


def timed(requests: pd.DataFrame) -> pd.DataFrame:
    """Return the requests whose duration and time are known, in order of time."""
    known = requests[requests["duration_s"].between(0.0, _LONGEST_S) & requests["at"].notna()]
    return known.sort_values("at", kind="stable", ignore_index=True)


def spread_of(durations_s: Sequence[float]) -> Spread:
    """Return the spread of at least one duration; the interval is distribution-free, see `quantile_interval`."""
    ordered = sorted(durations_s)
    p50, p95, p99 = (quantile(ordered, q) for q in (0.5, 0.95, 0.99))
    return Spread(len(ordered), p50, p95, p99, float(ordered[-1]), quantile_interval(ordered, 0.95))


def step_for(requests: pd.DataFrame) -> timedelta:
    """Return the smallest usual interval that holds enough requests, yet leaves a dozen intervals to compare."""
    times = requests["at"]
    span_s = (times.max() - times.min()).total_seconds()
    wanted_s = min(span_s * _ENOUGH / max(len(requests), 1), span_s / _FEWEST_INTERVALS)
    return timedelta(seconds=next((step for step in _STEPS_S if step >= wanted_s), _STEPS_S[-1]))


def over_time(requests: pd.DataFrame, step: timedelta) -> tuple[Moment, ...]:
    """Return the spread of each interval that has a request; `requests` as `timed` returns them."""
    grouped = requests.groupby(requests["at"].dt.floor(step))["duration_s"]
    return tuple(Moment(at.to_pydatetime(), spread_of(values.tolist())) for at, values in grouped)


def by_route(requests: pd.DataFrame, since: datetime) -> tuple[Route, ...]:
    """Return the routes, the slowest since a moment first; paths without query, numbers in them as `{id}`."""
    known = requests.assign(route=requests["path"].map(route_of))
    found = []
    for (service, method, path), rows in known.groupby(["service", "method", "route"], sort=True):
        # a request belongs to the side of the moment on which it was answered
        later = rows["at"] >= since
        found.append(
            Route(
                str(service),
                str(method),
                str(path),
                spread_of(rows["duration_s"].tolist()),
                int((rows["status_code"].fillna(0) >= _SERVER_ERROR).sum()),
                _p95(rows[~later]),
                _p95(rows[later]),
            )
        )
    return tuple(sorted(found, key=lambda item: (-(item.since_p95_s or 0.0), -item.spread.p95_s)))


def _p95(rows: pd.DataFrame) -> float | None:
    return quantile(sorted(rows["duration_s"].tolist()), 0.95) if len(rows) else None
