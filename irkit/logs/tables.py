"""Log lines into tables: requests, errors and patterns, from evidence of kind `logs`.

Times are the container engine's, not those written inside the lines: one clock for all services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from irkit.logs.formats import (
    PATH_KEYS,
    LevelLine,
    RequestLine,
    clean,
    lacks_a_path,
    may_be_error,
    parse_level,
    parse_request,
)
from irkit.logs.patterns import mine
from irkit.text.phrase import count, listing

if TYPE_CHECKING:
    import pandas as pd

REQUEST_COLUMNS = ("at", "service", "method", "path", "status_code", "duration_s", "line")
ERROR_COLUMNS = ("at", "service", "level", "logger", "message", "line")

_TRACEBACK = "Traceback (most recent call last):"
_CHAINS = ("During handling of the above exception", "The above exception was the direct cause", "Caused by: ")
_ADDENDA = ("[SQL: ", "[parameters: ", "(Background on this error at: ", "... ")
_MAX_LINES = 300
_TWIN_S = 2.0


def parse_requests(logs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a request answered: at, service, method, path (no query), status_code, duration_s, line.

    Sorted by time. `duration_s` is NaN where the line tells none. A service that logs each request twice, once by its
    server and once by itself, is counted once: the line with the duration stays.
    """
    import pandas as pd

    lines = _column(logs, "line")
    found = [(index, read) for index, line in enumerate(lines) if (read := parse_request(clean(line)))]
    table = _taken(logs, [index for index, _ in found])
    reads: list[RequestLine] = [read for _, read in found]
    table["method"] = pd.Series([read.method for read in reads], dtype=object)
    table["path"] = pd.Series([read.path for read in reads], dtype=object)
    table["status_code"] = pd.Series([read.status_code for read in reads], dtype="int64")
    table["duration_s"] = pd.Series([read.duration_s for read in reads], dtype="float64")
    table["structured"] = pd.Series([read.structured for read in reads], dtype=bool)
    kept = _without_twins(table.sort_values("at", kind="stable", ignore_index=True))
    return kept[list(REQUEST_COLUMNS)]


def parse_errors(logs: pd.DataFrame) -> pd.DataFrame:
    """Return one row an error: at, service, level (error|critical), logger, message, line.

    Sorted by time. A traceback is one error with the log line before it and those that are chained to it: `message` is
    what was raised, `line` all its lines. The next one that stands by itself is another error. Access lines are
    requests, not errors, whatever their status.
    """
    import pandas as pd

    service, name, stream = (_column(logs, key) for key in ("service", "name", "stream"))
    drafts: list[_Draft] = []
    open_drafts: dict[tuple[object, ...], _Draft] = {}
    for index, (line, *source) in enumerate(zip(_column(logs, "line"), service, name, stream, strict=True)):
        key, text = tuple(source), clean(line)
        draft = open_drafts.get(key)
        if draft is not None:
            if draft.takes(text):
                continue
            del open_drafts[key]
        begun = _begin(index, text, source[0])
        if begun is not None:
            drafts.append(begun)
            open_drafts[key] = begun
    table = _taken(logs, [draft.index for draft in drafts])
    table["level"] = pd.Series([draft.level for draft in drafts], dtype=object)
    table["logger"] = pd.Series([draft.logger for draft in drafts], dtype=object)
    table["message"] = pd.Series([draft.message for draft in drafts], dtype=object)
    table["line"] = pd.Series(["\n".join(draft.lines) for draft in drafts], dtype=object)
    return table.sort_values("at", kind="stable", ignore_index=True)[list(ERROR_COLUMNS)]


def without_path(logs: pd.DataFrame | None) -> tuple[str, str]:
    """Say how many lines have a method and a status and no path that is understood, and what to do; "" for none."""
    if logs is None:
        return "", ""
    lines = zip(_column(logs, "service"), _column(logs, "line"), strict=True)
    services = [service for service, line in lines if lacks_a_path(clean(line))]
    if not services:
        return "", ""
    named = sorted({service for service in services if isinstance(service, str) and service})
    told = count(len(services), "JSON line") + (f" of {listing(named)}" if named else "")
    sentence = f"In {told} with a method and a status, no path stands under a name that irkit knows."
    return sentence, f"Have the path of each request logged under one of these names: {', '.join(PATH_KEYS)}."


ORIGIN: Mapping[str, str] = MappingProxyType({"requests": "logs", "errors": "logs", "patterns": "logs"})
DERIVED: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = MappingProxyType(
    {"requests": parse_requests, "errors": parse_errors, "patterns": mine}
)


@dataclass(slots=True)
class _Draft:
    """An error whose lines are still coming in."""

    index: int
    level: str
    logger: str
    message: str
    in_traceback: bool
    lines: list[str] = field(default_factory=list)
    # how many tracebacks it holds, and whether one that goes with them was announced and is still to come
    tracebacks: int = 0
    chained: bool = False

    def takes(self, text: str) -> bool:
        """Take the next line of the same stream if it belongs to this error."""
        if len(self.lines) >= _MAX_LINES:
            return False
        starts_traceback = text.startswith(_TRACEBACK)
        if starts_traceback and self.tracebacks and not self.chained:
            return False  # of the next process, or of the next thing that went wrong
        if starts_traceback or text.startswith(_CHAINS):
            self.in_traceback = starts_traceback or not text.startswith("Caused by")
            self.tracebacks += starts_traceback
            self.chained = not starts_traceback
        elif text[:1] in {" ", "\t"} or (not text and len(self.lines) > 1) or text.startswith(_ADDENDA):
            if _TRACEBACK in text:
                self.in_traceback = True
        elif self.in_traceback and not _is_another(text):
            self.message, self.in_traceback = text, False
        else:
            return False
        self.lines.append(text)
        return True


def _begin(index: int, text: str, service: object) -> _Draft | None:
    if not may_be_error(text):
        return None
    if " HTTP/" in text and parse_request(text) is not None:
        return None
    read = parse_level(text, service if isinstance(service, str) else "")
    if _TRACEBACK in text and text[:1] != "{":
        read = read if read and read.is_error else LevelLine("error", "", text)
        return _Draft(index, read.level, read.logger, read.message, in_traceback=True, lines=[text], tracebacks=1)
    if read is None or not read.is_error:
        return None
    return _Draft(index, read.level, read.logger, read.message, in_traceback=False, lines=[text])


def _is_another(text: str) -> bool:
    """Say whether a line in the place of an exception's is an ordinary log line, so that the traceback broke off."""
    if parse_request(text) is not None:
        return True
    read = parse_level(text)
    return read is not None and read.message != text


def _without_twins(requests: pd.DataFrame) -> pd.DataFrame:
    """Drop access lines for which the service wrote a line of its own, with the duration, within two seconds."""
    import pandas as pd

    timed = requests["at"].notna()
    own, served = requests[requests["structured"] & timed], requests[~requests["structured"] & timed]
    if own.empty or served.empty:
        return requests
    if own["duration_s"].notna().mean() < served["duration_s"].notna().mean():
        own, served = served, own
    keys = ["service", "method", "path", "status_code"]
    right = own[["at", *keys]].assign(twin=True)
    tolerance = pd.Timedelta(seconds=_TWIN_S)
    paired = pd.merge_asof(served[["at", *keys]], right, on="at", by=keys, direction="nearest", tolerance=tolerance)
    return requests.drop(served.index[paired["twin"].notna().to_numpy()]).reset_index(drop=True)


def _column(logs: pd.DataFrame, name: str) -> list[Any]:
    """Return a column as a list; one that is missing is all None."""
    return logs[name].tolist() if name in logs else [None] * len(logs)


def _taken(logs: pd.DataFrame, indices: list[int]) -> pd.DataFrame:
    """Return time, service and line of the rows at these positions; text stays text even where it is not UTF-8."""
    import pandas as pd

    service, line = (_column(logs, name) for name in ("service", "line"))
    if "at" in logs and pd.api.types.is_datetime64_any_dtype(logs["at"]):
        at = logs["at"].iloc[indices].reset_index(drop=True)  # as it is: to make an object of each time takes long
    else:
        given = _column(logs, "at")
        at = pd.Series([given[index] for index in indices], dtype=object)
    times = pd.to_datetime(at, utc=True, errors="coerce")
    services = [value if isinstance(value := service[index], str) else "" for index in indices]
    columns = {
        "at": times.astype("datetime64[us, UTC]"),
        "service": pd.Series(services, dtype=object),
        "line": pd.Series([line[index] for index in indices], dtype=object),
    }
    return pd.DataFrame(columns)
