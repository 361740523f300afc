"""The containers' logs within the window, merged by time."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import requests
from docker import APIClient
from docker.errors import APIError

from irkit.collect_contract import ColumnType, Gap, Piece, Table, collector
from irkit.docker_engine import (
    ListedContainer,
    connected,
    failure_of,
    get,
    inspect,
    look_at_each,
    our_containers,
    parse_time,
)
from irkit.log_stream import MAX_LINE_BYTES, PIECE_BYTES, GarbledStreamError, LogLine, decode_lines
from irkit.model import Window
from irkit.settings import DockerTarget

LOGS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "stream": "string",
    "line": "string",
}

# Asking with `since` makes the daemon read the whole file; asking for a tail seeks from its end.
_FIRST_TAIL = 2_000
_TAIL_GROWTH = 10
# what can be read, redacted and written well within the default deadline; at least the second for each container
_MOST_LINES = 100_000
_FEWEST_LINES = 2_000
_CHUNK_BYTES = 64 * 1024
# stdout and stderr are stamped by two writers: neighbours may be swapped, and a long line starts before it ends
_REORDER_LINES = 64
_REORDER = timedelta(seconds=1)
_UNIT_BYTES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
# what these drivers do unless told otherwise; json-file without max-size never rotates
_ROTATION = {"json-file": {"max-size": "", "max-file": "1"}, "local": {"max-size": "20m", "max-file": "5"}}
# JSON escapes one byte as six at most, and adds names, stream and time to each line
_ESCAPED_BYTES = 6
_ENVELOPE_BYTES = 128


@dataclass(slots=True)
class _Log:
    """One container's log, opened at a tail that reaches back to the window's start, or as far as there is one."""

    container: ListedContainer
    response: requests.Response
    lines: Iterator[LogLine]
    created_at: datetime | None
    config: Mapping[str, Any]
    first_at: datetime | None
    tail: int
    whole: bool
    pieces: int = 0
    size_bytes: int = 0
    gaps: list[str] = field(default_factory=list)


@collector(
    "container-logs",
    target="docker",
    provides=("logs",),
    cost=5,
    command="docker-compose logs --timestamps --tail=1000",
)
def collect(target: DockerTarget, window: Window) -> Iterator[Piece]:
    """Shows what the services said, line by line in the order of time.

    Yields the rows of `logs` stamped within the window, of all containers, merged by time. Lines the daemon split at
    16 KB are whole again, up to 1 MB; bytes that are not UTF-8 are lone surrogates, though the json-file driver has
    replaced them before. Of a log with more lines in the window than can be read in time, the newest are kept.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    with connected(target) as client, ExitStack() as open_logs:
        ours, gaps = our_containers(client, target)
        most = max(_FEWEST_LINES, _MOST_LINES // len(ours))
        logs: list[_Log] = []

        def rows() -> Iterator[Mapping[str, object]]:
            for seen in look_at_each(ours, lambda each: _opened(client, each, window, most)):
                if isinstance(seen, Gap):
                    gaps.append(seen)
                elif seen is not None:
                    open_logs.callback(seen.response.close)
                    logs.append(seen)
            yield from _merged(logs, window)

        yield Table("logs", LOGS, rows())
        yield from gaps
        yield from (Gap(reason) for log in logs for reason in log.gaps)


def _opened(client: APIClient, each: ListedContainer, window: Window, most: int) -> _Log | Gap | None:
    """Open the log at the shortest tail that covers the window; None where nothing was ever written."""
    details = inspect(client, each)
    config = details["HostConfig"].get("LogConfig") or {}
    tty = bool(details["Config"].get("Tty"))
    if config.get("Type") == "none":
        return Gap(f"{each}: logs are not kept by driver none")
    tail, before = _FIRST_TAIL, None
    while True:
        try:
            response = get(client, f"/containers/{each.id}/logs", _parameters(tail), stream=True)
        except APIError as error:
            if "does not support reading" in str(error.explanation):
                return Gap(f"{each}: logs are not kept by driver {config.get('Type')}")
            raise
        try:
            lines = decode_lines(response.iter_content(_CHUNK_BYTES), tty=tty)
            first = next(lines, None)
        except GarbledStreamError:
            response.close()
            return Gap(f"{each}: what the Docker Engine sends is not a log stream")
        if first is None:
            response.close()
            return None
        whole = first == before
        if whole or tail >= most or (first.at and first.at <= window.start):
            created_at = parse_time(details.get("Created"))
            return _Log(each, response, chain([first], lines), created_at, config, first.at, tail, whole)
        response.close()
        tail, before = min(tail * _TAIL_GROWTH, most), first


def _parameters(tail: int) -> Mapping[str, str | int]:
    return {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": tail}


def _merged(logs: Sequence[_Log], window: Window) -> Iterator[Mapping[str, object]]:
    streams = [_in_order(log, window) for log in logs]
    for _, log, line in heapq.merge(*streams, key=lambda item: item[0]):
        yield {
            "at": line.at,
            "service": log.container.service,
            "name": log.container.name,
            "stream": line.stream,
            "line": line.text.decode("utf-8", "surrogateescape"),
        }


def _in_order(log: _Log, window: Window) -> Iterator[tuple[datetime, _Log, LogLine]]:
    waiting: list[tuple[datetime, int, LogLine]] = []
    for number, (at, line) in enumerate(_within(log, window)):
        heapq.heappush(waiting, (at, number, line))
        if len(waiting) > _REORDER_LINES:
            first_at, _, first = heapq.heappop(waiting)
            yield first_at, log, first
    for at, _, line in sorted(waiting):
        yield at, log, line


def _within(log: _Log, window: Window) -> Iterator[tuple[datetime, LogLine]]:
    """Yield the lines of the window with the time to sort by; what is amiss is left in `log.gaps`."""
    at, cut, to_the_end = window.start, 0, False
    try:
        for line in log.lines:
            at = line.at or at
            if line.stream == "engine":
                log.gaps.append(f"{log.container}: the Docker Engine says {line.text.decode(errors='replace').strip()}")
                continue
            log.pieces += 1 + (len(line.text) + line.dropped_bytes) // PIECE_BYTES
            log.size_bytes += len(line.text) + line.dropped_bytes
            if at >= window.end + _REORDER:
                break
            if window.start <= at < window.end:
                cut += bool(line.dropped_bytes)
                yield at, line
        else:
            to_the_end = True
    except requests.RequestException as error:
        log.gaps.append(failure_of(log.container, error))
    except GarbledStreamError:
        log.gaps.append(f"{log.container}: from {at:%Y-%m-%d %H:%M:%S} UTC on the log could not be decoded")
    finally:
        log.response.close()
    if cut:
        log.gaps.append(f"{log.container}: lines cut at {MAX_LINE_BYTES} bytes: {cut}")
    if missing := _missing_beginning(log, window, to_the_end=to_the_end):
        log.gaps.append(missing)


def _missing_beginning(log: _Log, window: Window, *, to_the_end: bool) -> str | None:
    """Say from when on there are logs, if the window's beginning was not read or may have been rotated away."""
    wanted_from = max(window.start, log.created_at or window.start)
    if log.first_at is None or log.first_at <= wanted_from:
        return None
    since = f"{log.container}: logs from {log.first_at:%Y-%m-%d %H:%M:%S} UTC on"
    if not log.whole and not (to_the_end and log.pieces < log.tail):
        return f"{since}, the newest {log.tail} lines; older ones were not read"
    if _may_have_rotated(log, to_the_end=to_the_end):
        return f"{since}; older ones, if any, were rotated away ({_rotation(log.config)})"
    return None


def _may_have_rotated(log: _Log, *, to_the_end: bool) -> bool:
    """Whether the driver rotates, unless all there is would not even fill the files it keeps before it drops one."""
    driver, options = log.config.get("Type"), log.config.get("Config") or {}
    if driver == "json-file" and "max-size" not in options:
        return False
    if driver not in _ROTATION:
        return True
    size, files = (options.get(name, default) for name, default in _ROTATION[driver].items())
    written = re.fullmatch(r"(\d+)([kmg]?)b?", str(size).lower())
    if not written or not str(files).isdecimal():
        return True
    kept_bytes = (int(files) - 1) * int(written[1]) * _UNIT_BYTES[written[2]]
    most_bytes = log.size_bytes * _ESCAPED_BYTES + log.pieces * _ENVELOPE_BYTES
    return not (to_the_end and most_bytes < kept_bytes)


def _rotation(config: Mapping[str, Any]) -> str:
    options = config.get("Config") or {}
    given = [f"{name} {options[name]}" for name in ("max-size", "max-file") if name in options]
    return ", ".join([f"driver {config.get('Type')}", *given])
