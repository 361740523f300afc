"""What can be followed over time in the evidence: failures and errors as events, latency and resources as samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from irkit.logs import patterns
from irkit.logs.patterns.changes import LEAST_BASELINE_S
from irkit.logs.requests import route_of
from irkit.onset.changepoint import LEAST_RISE_BYTES, LEAST_SAMPLES, MEMORY_NOISE_BYTES
from irkit.onset.checks import check_histories
from irkit.onset.events import LEAST_EVENTS
from irkit.onset.trials import LEAST_BAD
from irkit.text.phrase import quoted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from irkit.model import Window

    Values = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
    Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

KINDS = (
    "logs",
    "requests",
    "errors",
    "health_history",
    "health",
    "container_history",
    "container_stats",
    "process_history",
    "redis_history",
    "database_history",
)
_BINS = 240
_LEAST_BIN_S = 1.0
_MOST_EVENTS = 480
_MOST_ROUTES = 8
_MOST_PATTERNS = 8
_COARSER = 4
_SERVER_ERROR, _TOO_MANY_REQUESTS = 500, 429
_BAD = frozenset({"warning", "error", "critical"})
_LEAST_FACTOR = 1.5
_OF_ENDS = ["at", "name", "memory_usage_bytes", "oom_kill_count", "oom_killed", "restart_count", "exit_code"]
_FAR, _LEAST_SLOW_S = 4.0, 0.2
# a large database is looked at every ten minutes
_WIDEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Signal:
    """A series with its times (seconds since 1970), one a sample; `width_s` is how long each sample lasts.

    `rising` says that only a rise is trouble; `counted`, that the values are counts and may be added up; `trouble`,
    that a change is bad by itself and not only a busier hour. `least` is the smallest
    change that matters. Durations are logarithms, in which noise is even; what grows evenly is a ramp in `plain`
    seconds only. One that ends as something happens is named after it in `leads_to`. `least_noise` is as in `find`:
    amounts are no counts.
    """

    name: str
    at_s: Values
    values: Values
    width_s: float = 0.0
    rising: bool = True
    counted: bool = False
    trouble: bool = True
    least: float = 0.0
    plain: bool = False
    leads_to: str = ""
    least_noise: float | None = None

    def coarser(self) -> Signal:
        """Return the counts of four samples at a time."""
        whole = len(self.values) // _COARSER * _COARSER
        sums = self.values[:whole].reshape(-1, _COARSER).sum(axis=1)
        return replace(self, at_s=self.at_s[:whole:_COARSER], values=sums, width_s=_COARSER * self.width_s)


@dataclass(frozen=True, slots=True)
class Events:
    """Bad events at `at_s` (sorted, seconds since 1970) in evidence that goes from `start_s` to `end_s`."""

    name: str
    at_s: Values
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Trials:
    """What went well or not, such as requests: from `asked_s` to `done_s` each (seconds since 1970), until `end_s`."""

    name: str
    asked_s: Values
    done_s: Values
    bad: Flags
    end_s: float


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened for certain, after `earliest_s` and by `latest_s` (seconds since 1970).

    One that is not `sure` (a bad line that was never logged before) only bears out what others show.
    """

    name: str
    earliest_s: float
    latest_s: float
    sure: bool = True


def signals(
    tables: Mapping[str, pd.DataFrame | None], window: Window | None = None
) -> Iterator[Signal | Events | Trials | Fact]:
    """Yield what changes in the evidence could show: one for each service, route, pattern, probe and container.

    Traffic is counted in bins of the log's length through 240, a second at least. `window` is that of the evidence: a
    service that fell silent did so before its end.
    """
    logs = tables.get("logs")
    if logs is not None and logs["at"].notna().any():
        span = _span(logs["at"], window)
        requests, errors = tables.get("requests"), tables.get("errors")
        if requests is not None:
            yield from _of_requests(requests, span)
        if errors is not None:
            yield from _events("errors logged", errors["at"], span)
        yield from _of_patterns(logs, span)
    for kinds, read in (
        (("health_history", "health"), _of_health),
        (("container_history", "container_stats"), _of_resources),
        (("container_history",), _of_ends),
        (("process_history",), _of_processes),
        (("redis_history",), _of_redis),
        (("database_history",), _of_checks),
    ):
        table = next((found for kind in kinds if (found := tables.get(kind)) is not None and len(found)), None)
        if table is not None:
            yield from read(table)


def seconds_of(at: pd.Series[Any]) -> Values:
    """Return times as seconds since 1970."""
    stamps = at if str(at.dtype) == "datetime64[us, UTC]" else at.astype("datetime64[us, UTC]")
    return stamps.astype("int64").to_numpy(dtype="float64") / 1e6


def _span(at: pd.Series[Any], window: Window | None) -> tuple[float, float]:
    first, last = at.min().timestamp(), at.max().timestamp()
    return first, max(last, min(window.end.timestamp(), _soon(last, first))) if window else last


def _soon(last: float, first: float) -> float:
    """Return until when a silence after the last line tells: one longer than the log itself says nothing more."""
    return last + (last - first)


def _bins(span: tuple[float, float]) -> Values | None:
    import numpy as np

    width = max(_LEAST_BIN_S, (span[1] - span[0]) / _BINS)
    count = int((span[1] - span[0]) // width)
    return span[0] + width * np.arange(count + 1) if count >= LEAST_SAMPLES else None


def _of_requests(requests: pd.DataFrame, span: tuple[float, float]) -> Iterator[Signal | Trials]:
    timed = requests[requests["at"].notna()]
    bins = _bins(span)
    for service, rows in timed.groupby("service", sort=True):
        failed = (rows["status_code"] >= _SERVER_ERROR) | (rows["status_code"] == _TOO_MANY_REQUESTS)
        yield from _trials(f"failed requests to {service}", rows, failed.to_numpy(dtype=bool), span)
        if bins is not None and len(rows) >= LEAST_SAMPLES:
            yield _in_bins(f"requests to {service}", seconds_of(rows["at"]), bins)
        known = rows[rows["duration_s"].notna()]
        routes = known.groupby(["method", known["path"].astype(str).map(route_of)], sort=True)
        frequent = sorted(routes, key=lambda item: -len(item[1]))[:_MOST_ROUTES]
        for (method, path), own in frequent:
            if len(own) >= LEAST_SAMPLES:
                yield _latency(f"latency of {method} {path} at {service}", own, bins)
        yield from _slow(str(service), [own for _, own in frequent if len(own) >= LEAST_EVENTS], span)


def _trials(name: str, rows: pd.DataFrame, bad: Flags, span: tuple[float, float]) -> Iterator[Trials]:
    """Yield the requests of the routes of which one was bad ever: what never fails does not tell when others began to.

    Routes that are hardly asked for, such as those that name what they ask for, are taken together.
    """
    import pandas as pd

    if int(bad.sum()) < LEAST_BAD:
        return
    route = rows["method"].astype(str) + " " + rows["path"].astype(str).map(route_of)
    route = route.where(route.map(route.value_counts()) >= LEAST_EVENTS, "")
    ours = route.isin(route[bad].unique()).to_numpy(dtype=bool)
    done_s = seconds_of(rows["at"])
    took_s = pd.to_numeric(rows["duration_s"]).fillna(0.0).to_numpy(dtype="float64")
    yield Trials(name, (done_s - took_s)[ours], done_s[ours], bad[ours], span[1])


def _slow(service: str, routes: Sequence[pd.DataFrame], span: tuple[float, float]) -> Iterator[Trials]:
    """Yield which requests took far longer than the quick ones of their route."""
    import numpy as np
    import pandas as pd

    if routes:
        limits = [max(_FAR * float(own["duration_s"].quantile(0.25)), _LEAST_SLOW_S) for own in routes]
        far = [(own["duration_s"] > most).to_numpy(dtype=bool) for own, most in zip(routes, limits, strict=True)]
        if sum(int(each.sum()) for each in far) < LEAST_BAD:
            return
        yield from _trials(f"slow requests to {service}", pd.concat(routes), np.concatenate(far), span)


def _latency(name: str, rows: pd.DataFrame, bins: Values | None) -> Signal:
    """Return the logarithm of durations by when each request was asked for, of many requests the p95 of each bin."""
    import numpy as np
    import pandas as pd

    took_s = rows["duration_s"].to_numpy(dtype="float64")
    asked_s = seconds_of(rows["at"]) - took_s
    order = np.argsort(asked_s, kind="stable")
    asked_s, logged = asked_s[order], np.log(np.maximum(took_s[order], 1e-6))
    least = float(np.log(_LEAST_FACTOR))
    if len(asked_s) <= _MOST_EVENTS or bins is None:
        return Signal(name, asked_s, logged, least=least, plain=True)
    place = np.clip(np.searchsorted(bins, asked_s, side="right") - 1, 0, len(bins) - 2)
    slowest = pd.Series(logged).groupby(place).quantile(0.95)
    values = slowest.reindex(range(len(bins) - 1)).to_numpy(dtype="float64")
    return Signal(name, bins[:-1], values, float(bins[1] - bins[0]), least=least, plain=True)


def _of_patterns(logs: pd.DataFrame, span: tuple[float, float]) -> Iterator[Events | Fact]:
    """Yield the log patterns that speak of trouble: the most frequent, and of the rare those that are new."""
    bad = [(text, at_s) for text, level, at_s in patterns.times_of(logs) if level in _BAD and len(at_s)]
    bad.sort(key=lambda item: -len(item[1]))
    frequent = [item for item in bad if len(item[1]) >= LEAST_EVENTS]
    for text, at_s in frequent[:_MOST_PATTERNS]:
        yield Events(f"log pattern {quoted(text, 80)}", at_s, *span)
    rare = [item for item in bad[len(frequent) :] if item[1][0] - span[0] >= LEAST_BASELINE_S]
    for text, at_s in rare[:_MOST_PATTERNS]:
        yield Fact(f"new log pattern {quoted(text, 80)}", float(at_s[0]) - _LEAST_BIN_S, float(at_s[0]), sure=False)


@dataclass(frozen=True, slots=True)
class _Samples:
    """The samples of one container in order: what it used, by when the kernel had killed in it, or it had ended."""

    name: str
    rows: pd.DataFrame
    at_s: Values
    killed: Flags
    ended: Flags


def _of_ends(history: pd.DataFrame) -> Iterator[Fact | Signal]:
    """Yield for each container the first kill that the kernel counted, and the first end that nobody wanted.

    After them the memory of each container up to its first kill: what climbed until then began the trouble.
    """
    import numpy as np

    containers = list(_by_container(history))
    for one in containers:
        for told, happened in ((f"OOM kill in {one.name}", one.killed), (f"end of {one.name}", one.ended)):
            places = happened.nonzero()[0]
            if len(places):
                yield Fact(told, float(one.at_s[places[0]]), float(one.at_s[places[0] + 1]))
    for one in containers:
        places = one.killed.nonzero()[0]
        if len(places):
            before = one.rows.iloc[: places[0] + 1]
            used = before["memory_usage_bytes"].to_numpy(dtype="float64", na_value=np.nan)
            climb = _memory(f"memory of {one.name} until its OOM kill", before["at"], used)
            yield replace(climb, leads_to=f"OOM kill in {one.name}")


def _by_container(history: pd.DataFrame) -> Iterator[_Samples]:
    """Yield the samples of each container; its flags are of each sample but the first, beside the one before."""
    import numpy as np

    # a recorder of an earlier irkit may not have kept all of it
    timed = history.reindex(columns=_OF_ENDS)[history["at"].notna()].sort_values("at", kind="stable")
    at_s = seconds_of(timed["at"])
    kills, starts, code = (
        timed[name].to_numpy(dtype="float64", na_value=np.nan)
        for name in ("oom_kill_count", "restart_count", "exit_code")
    )
    flagged, unflagged = (timed["oom_killed"].isin([value]).to_numpy(dtype=bool) for value in (True, False))
    crashed = ~np.isnan(code) & ~np.isin(code, (0.0, 143.0))
    for name, places in sorted(timed.groupby("name", sort=True).indices.items()):
        later, last = places[1:], places[:-1]
        killed = (kills[later] > kills[last]) | (flagged[later] & unflagged[last])
        ended = (starts[later] > starts[last]) | crashed[later]
        yield _Samples(str(name), timed.iloc[places], at_s[places], killed, ended)


def _of_health(health: pd.DataFrame) -> Iterator[Signal]:
    """Yield for each probed address whether it was unhealthy, and how long it took."""
    import numpy as np

    for url, rows in health[health["at"].notna()].groupby("url", sort=True):
        failed = (rows["verdict"] != "healthy").to_numpy().astype(np.float64)
        yield _sampled(f"failed probes of {url}", rows["at"], failed)
        took = rows["total_s"].to_numpy(dtype="float64", na_value=np.nan)
        logged = np.log(np.where(took > 0, took, np.nan))
        yield replace(
            _sampled(f"answer time of {url}", rows["at"], logged, least=float(np.log(_LEAST_FACTOR))), plain=True
        )


def _of_resources(stats: pd.DataFrame) -> Iterator[Signal]:
    import numpy as np

    for name, rows in stats[stats["at"].notna()].groupby("name", sort=True):
        used = rows["memory_usage_bytes"].to_numpy(dtype="float64", na_value=np.nan)
        yield _memory(f"memory of {name}", rows["at"], used)
        cpu = rows["cpu_percent"].to_numpy(dtype="float64", na_value=np.nan)
        yield _sampled(f"CPU of {name}", rows["at"], cpu, trouble=False)


def _of_processes(processes: pd.DataFrame) -> Iterator[Signal]:
    """Yield what the processes of each container hold in all: what they keep resident, and their open files."""
    import numpy as np

    columns = {"rss_bytes": "resident size of the processes of", "open_files": "open files of"}
    timed = processes[processes["at"].notna()]
    held = timed.groupby(["name", "at"], sort=True)[list(columns)].sum(min_count=1)
    for column, told in columns.items():
        for name, sums in held[column].dropna().groupby(level="name", sort=True):
            values = sums.to_numpy(dtype="float64", na_value=np.nan)
            sampled = _memory if column == "rss_bytes" else _sampled
            yield sampled(f"{told} {name}", sums.index.get_level_values("at").to_series(), values)


def _of_redis(history: pd.DataFrame) -> Iterator[Signal]:
    import numpy as np

    timed = history[history["at"].notna()]
    used = timed["used_memory_bytes"].to_numpy(dtype="float64", na_value=np.nan)
    # its own account, exact to the byte
    yield replace(_sampled("memory of Redis", timed["at"], used), least_noise=0.0)
    took = timed["answer_s"].to_numpy(dtype="float64", na_value=np.nan)
    yield _sampled("answer time of Redis", timed["at"], np.log(np.where(took > 0, took, np.nan)), least=1.0)
    blocked = timed["blocked_clients"].to_numpy(dtype="float64", na_value=np.nan)
    yield _sampled("blocked clients of Redis", timed["at"], blocked)


def _of_checks(history: pd.DataFrame) -> Iterator[Fact]:
    """Yield for each check of the database that fails to the last look since when: after it had passed.

    Of looks with a long hole between them nothing is said: all that changed meanwhile would seem to agree.
    """
    for check, seen in check_histories(history).items():
        run = seen.run
        if run and run.passed and not run.passes and (run.failed - run.passed).total_seconds() <= _WIDEST_S:
            yield Fact(f"{check} of the database", run.passed.timestamp(), run.failed.timestamp())


def _sampled(name: str, at: pd.Series[Any], values: Values, *, trouble: bool = True, least: float = 0.0) -> Signal:
    import numpy as np

    order = np.argsort(seconds := seconds_of(at), kind="stable")
    return Signal(name, seconds[order], values[order], trouble=trouble, least=least)


def _memory(name: str, at: pd.Series[Any], used_bytes: Values) -> Signal:
    return replace(_sampled(name, at, used_bytes, least=LEAST_RISE_BYTES), least_noise=MEMORY_NOISE_BYTES)


def _events(name: str, at: pd.Series[Any], span: tuple[float, float]) -> Iterator[Events]:
    import numpy as np

    timed = at.dropna()
    if len(timed) >= LEAST_EVENTS:
        yield Events(name, np.sort(seconds_of(timed)), *span)


def _in_bins(name: str, at_s: Values, bins: Values) -> Signal:
    import numpy as np

    counts = np.histogram(at_s, bins=bins)[0].astype(np.float64)
    return Signal(name, bins[:-1], counts, float(bins[1] - bins[0]), rising=False, counted=True, trouble=False)
