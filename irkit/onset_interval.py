"""Since when something is wrong, as an interval on which several signals agree: requests, errors, patterns, resources.

One signal alone proves no incident: a lone change of memory or of traffic happens every day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from irkit import patterns
from irkit.changepoint import LEAST_SAMPLES, Shape, find
from irkit.logs import DERIVED, ORIGIN
from irkit.phrase import quoted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Values = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

KINDS = ("logs", "requests", "errors", "health_history", "health", "container_history", "container_stats")
FEWEST_SIGNALS = 2

_BINS = 240
_LEAST_BIN_S = 1.0
_MOST_PATTERNS = 8
_FEWEST_LINES = 8
_LEAST_SLACK_S = 5.0
_COARSER = 4
_SERVER_ERROR = 500
_BAD = frozenset({"warning", "error", "critical"})


class EvidenceSource(Protocol):
    """What is needed of a bundle."""

    def has(self, kind: str) -> bool: ...
    def load(self, kind: str) -> Any: ...  # noqa: ANN401 (a table is a DataFrame, a document is JSON-like)


@dataclass(frozen=True, slots=True)
class Signal:
    """A series with its times (seconds since 1970), one a sample; `width_s` is how long each sample lasts.

    `rising` says that only a rise is trouble; `counted`, that the values are counts and may be added up.
    """

    name: str
    at_s: Values
    values: Values
    width_s: float = 0.0
    rising: bool = True
    counted: bool = False

    def coarser(self) -> Signal:
        """Return the counts of four samples at a time."""
        whole = len(self.values) // _COARSER * _COARSER
        sums = self.values[:whole].reshape(-1, _COARSER).sum(axis=1)
        return replace(self, at_s=self.at_s[:whole:_COARSER], values=sums, width_s=_COARSER * self.width_s)


@dataclass(frozen=True, slots=True)
class Began:
    """One signal's change: the interval in which it began, `until` where it passed, `strength` as in `Onset`."""

    signal: str
    shape: Shape
    earliest: datetime
    latest: datetime
    until: datetime | None
    strength: float


@dataclass(frozen=True, slots=True)
class OnsetInterval:
    """When it began: not before `earliest`, not after `latest`, on which the `agreeing` signals agree.

    `others` changed too, at another time.
    """

    earliest: datetime
    latest: datetime
    agreeing: tuple[Began, ...]
    others: tuple[Began, ...] = ()


def onset_interval(tables: Mapping[str, pd.DataFrame | None]) -> OnsetInterval | None:
    """Return the interval in which trouble began, or None where no two signals agree on one: no clear onset.

    `tables` holds evidence by kind (`KINDS`); what is missing is not asked.
    """
    return agree(began for signal in signals(tables) if (began := began_of(signal)) is not None)


def interval_of(source: EvidenceSource) -> OnsetInterval | None:
    """Return the onset interval of a bundle, or None: no clear onset; requests and errors are read from its logs."""
    tables = {kind: source.load(kind) for kind in KINDS if source.has(kind)}
    derived = {
        kind: DERIVED[kind](tables[origin]) for kind, origin in ORIGIN.items() if kind in KINDS and origin in tables
    }
    return onset_interval({**derived, **tables})


def signals(tables: Mapping[str, pd.DataFrame | None]) -> Iterator[Signal]:
    """Yield what can be followed over time in the evidence: one series a service, container, probe or pattern.

    Requests, errors and patterns are counted in bins of the log's length through 240, a second at least.
    """
    logs = tables.get("logs")
    bins = _bins_of(logs)
    if logs is not None and bins is not None:
        requests, errors = tables.get("requests"), tables.get("errors")
        if requests is not None:
            yield from _of_requests(requests, bins)
        if errors is not None:
            yield from _counted("errors logged", errors, bins)
        yield from _of_patterns(logs, bins)
    for kinds, read in (
        (("health_history", "health"), _of_health),
        (("container_history", "container_stats"), _of_resources),
    ):
        table = next((found for kind in kinds if (found := tables.get(kind)) is not None), None)
        if table is not None:
            yield from read(table)


def began_of(signal: Signal) -> Began | None:
    """Return when a signal changed for the worse, or None; counts too thin to tell are added up and asked again."""
    found = find(signal.values)
    if found.shape is Shape.NONE and signal.counted and len(signal.values) >= _COARSER * LEAST_SAMPLES:
        signal = signal.coarser()
        found = find(signal.values)
    if found.shape is Shape.NONE or found.earliest is None or found.latest is None:
        return None
    if signal.rising and found.size <= 0:
        return None
    # a sample says what was true at its time: the change came after the one before
    first = found.earliest if signal.width_s else max(found.earliest - 1, 0)
    return Began(
        signal.name,
        found.shape,
        _time(signal.at_s[first]),
        _time(signal.at_s[found.latest] + signal.width_s),
        _time(signal.at_s[found.until]) if found.until is not None else None,
        found.strength,
    )


def agree(changes: Iterable[Began]) -> OnsetInterval | None:
    """Return the interval on which most signals agree, the earliest of equals; None for fewer than two."""
    known = sorted(changes, key=lambda item: item.earliest)
    slack = timedelta(seconds=_LEAST_SLACK_S)
    groups = [
        [item for item in known if item.earliest <= each.latest + slack and item.latest >= each.latest - slack]
        for each in known
    ]
    most = max(groups, key=len, default=[])
    if len(most) < FEWEST_SIGNALS:
        return None
    earliest, latest = sorted((max(item.earliest for item in most), min(item.latest for item in most)))
    if earliest == latest or not all(item.earliest <= earliest and item.latest >= latest for item in most):
        # they touch or follow one another closely: as wide again as the sharpest of them on either side
        sharpest = min(item.latest - item.earliest for item in most)
        earliest, latest = earliest - sharpest, latest + sharpest
    return OnsetInterval(earliest, latest, tuple(most), tuple(item for item in known if item not in most))


def _bins_of(logs: pd.DataFrame | None) -> Values | None:
    """Return the edges of the bins that the log is counted in."""
    import numpy as np

    if logs is None or not logs["at"].notna().any():
        return None
    first, last = logs["at"].min().timestamp(), logs["at"].max().timestamp()
    width = max(_LEAST_BIN_S, (last - first) / _BINS)
    count = int((last - first) // width)
    return first + width * np.arange(count + 1) if count >= LEAST_SAMPLES else None


def _of_requests(requests: pd.DataFrame, bins: Values) -> Iterator[Signal]:
    import numpy as np
    import pandas as pd

    timed = requests[requests["at"].notna()]
    for service, rows in timed.groupby("service", sort=True):
        failed = rows[rows["status_code"] >= _SERVER_ERROR]
        yield from _counted(f"failed requests to {service}", failed, bins)
        yield from _counted(f"requests to {service}", rows, bins, rising=False)
        took = rows[rows["duration_s"].notna()]
        if len(took) >= LEAST_SAMPLES:
            place = np.clip(np.searchsorted(bins, _seconds(took["at"]), side="right") - 1, 0, len(bins) - 2)
            slowest = pd.Series(took["duration_s"].to_numpy(dtype="float64")).groupby(place).quantile(0.95)
            values = np.log(slowest.reindex(range(len(bins) - 1)).clip(lower=1e-6).to_numpy(dtype="float64"))
            yield Signal(f"latency of {service}", bins[:-1], values, float(bins[1] - bins[0]))


def _of_patterns(logs: pd.DataFrame, bins: Values) -> Iterator[Signal]:
    """Yield the log pattern that speaks of trouble and changes most clearly; of all of them one signal, not many."""
    mined = patterns.read(logs)
    levels, texts = mined.patterns["level"].tolist(), mined.patterns["pattern"].tolist()
    bad = [index for index, level in enumerate(levels) if level in _BAD and len(mined.at_s[index]) >= _FEWEST_LINES]
    frequent = sorted(bad, key=lambda index: -len(mined.at_s[index]))[:_MOST_PATTERNS]
    counted = [_in_bins(f"log pattern {quoted(texts[index], 80)}", mined.at_s[index], bins) for index in frequent]
    changed = [(began.strength, index) for index, each in enumerate(counted) if (began := began_of(each)) is not None]
    if changed:
        yield counted[max(changed)[1]]


def _of_health(health: pd.DataFrame) -> Iterator[Signal]:
    """Yield for each probed address whether it was unhealthy, and how long it took."""
    import numpy as np

    for url, rows in health[health["at"].notna()].groupby("url", sort=True):
        failed = (rows["verdict"] != "healthy").to_numpy().astype(np.float64)
        yield _sampled(f"failed probes of {url}", rows["at"], failed)
        took = rows["total_s"].to_numpy(dtype="float64", na_value=np.nan)
        yield _sampled(f"answer time of {url}", rows["at"], np.log(np.where(took > 0, took, np.nan)))


def _of_resources(stats: pd.DataFrame) -> Iterator[Signal]:
    import numpy as np

    for column, told in (("memory_usage_bytes", "memory"), ("cpu_percent", "CPU")):
        for name, rows in stats[stats["at"].notna()].groupby("name", sort=True):
            values = rows[column].to_numpy(dtype="float64", na_value=np.nan)
            # not whole numbers: bytes are no counts of events
            yield _sampled(f"{told} of {name}", rows["at"], values / 1024 if column.endswith("bytes") else values)


def _sampled(name: str, at: pd.Series[Any], values: Values) -> Signal:
    import numpy as np

    order = np.argsort(seconds := _seconds(at), kind="stable")
    return Signal(name, seconds[order], values[order])


def _counted(name: str, rows: pd.DataFrame, bins: Values, *, rising: bool = True) -> Iterator[Signal]:
    timed = rows[rows["at"].notna()]
    if len(timed) >= _FEWEST_LINES:
        yield _in_bins(name, _seconds(timed["at"]), bins, rising=rising)


def _in_bins(name: str, at_s: Values, bins: Values, *, rising: bool = True) -> Signal:
    import numpy as np

    counts = np.histogram(at_s, bins=bins)[0].astype(np.float64)
    return Signal(name, bins[:-1], counts, float(bins[1] - bins[0]), rising, counted=True)


def _seconds(at: pd.Series[Any]) -> Values:
    return at.astype("datetime64[us, UTC]").astype("int64").to_numpy(dtype="float64") / 1e6


def _time(at_s: float) -> datetime:
    return datetime.fromtimestamp(float(at_s), UTC)
