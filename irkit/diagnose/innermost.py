"""Of services that fail together the innermost: what a proxy answers for the service behind it is not its own failure.

No log tells who calls whom. That one's failures are those of another is told by their routes and times, and which of
the two is in front by three signs, of which the first counts twice: a published port, answers that blame another (502
and 504), and who logs errors of its own. Where they name none, nobody is said to be behind anybody.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.diagnose.signs import names_what_was_raised
from irkit.logs.requests import route_of
from irkit.records import rows_of, text_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Times = np.ndarray[tuple[int], np.dtype[np.int64]]

_BLAMES_ANOTHER = (502, 504)
_SECOND_US = 1_000_000
_SAME_ROUTE_US = 2 * _SECOND_US
_SAME_TIME_US = _SECOND_US // 10
_MOST, _NEARLY_ALL = 0.5, 0.9
_FEWEST = 10
_FAR_MORE = 2
_VARIABLE = "{id}"


@dataclass(frozen=True, slots=True, eq=False)
class Failing:
    """A service with its failed requests and the errors that it logged meanwhile; `over` where it was well again."""

    service: str
    failed: pd.DataFrame
    errors: pd.DataFrame
    over: bool


def innermost(first: Failing, failing: Sequence[Failing], published: Mapping[str, bool]) -> Failing:
    """Return the service whose failures `first` passes on, through however many others; itself where it is none.

    `published` says of each service that was seen whether it publishes a port.
    """
    way = [first]
    while behind := [
        (shared, -place)
        for place, one in enumerate(failing)
        if one not in way and (shared := _shared(way[-1], one)) and _is_before(way[-1], one, published)
    ]:
        way.append(failing[-max(behind)[1]])
    return way[-1]


def silent_source(
    front: Failing, errors: pd.DataFrame, answering: Collection[str], published: Mapping[str, bool]
) -> Failing | None:
    """Return the service behind `front` that logs no request, and an exception with nearly each that fails there.

    It must be seen to publish no port while `front` does: workers and databases, too, log what went wrong elsewhere.
    """
    if not published.get(front.service) or len(front.errors) * _FAR_MORE >= len(front.failed):
        return None
    for service, logged in errors.groupby("service", sort=True):
        if service in answering or published.get(str(service)) is not False:
            continue
        raised = sum(map(names_what_was_raised, logged["message"].tolist()))
        if raised >= _MOST * len(logged) and _at_the_same_times(_times(front.failed), _times(logged)):
            return Failing(str(service), front.failed, logged, front.over)
    return None


def published_ports(containers: pd.DataFrame | None) -> dict[str, bool]:
    """Return by service and by container whether it publishes a port."""
    found: dict[str, bool] = {}
    for row in rows_of(containers):
        for name in (text_of(row, "service"), text_of(row, "name")):
            found[name] = found.get(name, False) or "->" in text_of(row, "ports")
    return found


def _shared(outer: Failing, inner: Failing) -> int:
    """Return how many failures of `outer` are those of `inner`, 0 where they are not most of its own."""
    if inner.over and not outer.over:
        return 0  # it answers well, and is not what still fails
    wanted, given = _by_route(outer.failed), _by_route(inner.failed)
    shared = sum(_pairs(times, given[route], _SAME_ROUTE_US) for route, times in wanted.items() if route in given)
    if shared >= _MOST * len(outer.failed):
        return shared
    return _at_the_same_times(_times(outer.failed), _times(inner.failed))


def _is_before(outer: Failing, inner: Failing, published: Mapping[str, bool]) -> bool:
    known = outer.service in published and inner.service in published
    ports = int(published[outer.service]) - int(published[inner.service]) if known else 0
    gateway = int(_blames_another(outer)) - int(_blames_another(inner))
    errors = int(_logs_more(inner, outer)) - int(_logs_more(outer, inner))
    return 2 * ports + gateway + errors > 0


def _blames_another(one: Failing) -> bool:
    return bool(one.failed["status_code"].isin(_BLAMES_ANOTHER).any())


def _logs_more(one: Failing, other: Failing) -> bool:
    return len(one.errors) >= _MOST * len(one.failed) and len(one.errors) > _FAR_MORE * len(other.errors)


def _at_the_same_times(wanted: Times, given: Times) -> int:
    """Return how many of the `wanted` times are among the `given`, 0 where they are not nearly all, or it is chance.

    As near as a proxy and what is behind it log one failure, and so near that by chance not half of them would be.
    """
    if min(len(wanted), len(given)) < _FEWEST:
        return 0
    span = max(int(given[-1] - given[0]), _SECOND_US)
    near = min(_SAME_TIME_US, int(span / len(given) * math.log(2) / 2))
    shared = _pairs(wanted, given, near)
    return shared if shared >= _NEARLY_ALL * len(wanted) else 0


def _by_route(failed: pd.DataFrame) -> dict[tuple[str, str], Times]:
    """Return the times of failures by method and end of the route: proxies add to its beginning, or take it away."""
    ends = failed["path"].map(_end_of)
    return {(str(method), str(end)): _times(rows) for (method, end), rows in failed.groupby(["method", ends])}


def _end_of(path: str) -> str:
    parts = route_of(path).strip("/").split("/")
    named = max((place for place, part in enumerate(parts) if part != _VARIABLE), default=0)
    return "/".join(parts[named:])


def _times(rows: pd.DataFrame) -> Times:
    import numpy as np

    at = rows["at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.sort(at.astype("int64"))


def _pairs(some: Times, others: Times, within_us: int) -> int:
    """Return how many can be paired, each with one of the others no further away."""
    left, right = some.tolist(), others.tolist()
    found = here = there = 0
    while here < len(left) and there < len(right):
        apart = right[there] - left[here]
        if abs(apart) <= within_us:
            found += 1
        here += apart >= -within_us
        there += apart <= within_us
    return found
