"""The containers' logs within the window, merged by time, the newest first had."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
from docker.errors import APIError

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Table, collector
from irkit.docker.containers import ListedContainer, parse_time
from irkit.docker.engine import EngineClient, connected, failure_of, get, inspect, look_at_each, our_containers
from irkit.docker.events import Remembered, remembered_events
from irkit.docker.log_stream import MAX_LINE_BYTES, GarbledStreamError
from irkit.docker.log_tail import LogTail, StampedLine
from irkit.model import Window
from irkit.settings import DockerTarget

LOGS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "stream": "string",
    "line": "string",
}

# one part of the logs is read into memory, then written; with it may be lost what a deadline cuts
_PART_BYTES = 4 * 1024 * 1024
_LEAST_BYTES = 64 * 1024
# what can be read, redacted and written well within the deadline and the size
_SIZE_SHARE = 0.75
_TIME_SHARE = 0.6
_CHUNK_BYTES = 64 * 1024
_SHOWN = 5
_UNIT_BYTES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
# what these drivers do unless told otherwise; json-file without max-size never rotates
_ROTATION = {"json-file": {"max-size": "", "max-file": "1"}, "local": {"max-size": "20m", "max-file": "5"}}
# JSON escapes one byte as six at most, and adds names, stream and time to each line
_ESCAPED_BYTES = 6
_ENVELOPE_BYTES = 128


@dataclass(slots=True)
class _Log:
    """One container's log as far as it was read, and the lines not yet given out."""

    container: ListedContainer
    tail: LogTail
    created_at: datetime | None
    config: Mapping[str, Any]
    waiting: list[StampedLine] = field(default_factory=list)
    failed: bool = False
    gaps: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return not (self.tail.done or self.failed)


@collector(
    "container-logs",
    target="docker",
    provides=("logs",),
    cost=5,
    command="docker-compose logs --timestamps",
)
def collect(target: DockerTarget, window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Shows what the services said, line by line in the order of time.

    Yields the rows of `logs` stamped within the window, of all containers, merged by time, in parts: the newest first,
    so that what is not read in time, or not kept for its size, is the oldest. Lines the daemon split at 16 KB are whole
    again, up to 1 MB; bytes that are not UTF-8 are lone surrogates, though the json-file driver has replaced them
    before. Gaps tell of what was not read, rotated away, not kept by its driver, or lost with a container removed.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    enough = time.monotonic() + limits.share_s(_TIME_SHARE)
    with connected(target, limits) as client:
        ours, gaps = our_containers(client, target)
        logs: list[_Log] = []

        def first_part() -> Iterator[Mapping[str, object]]:
            for seen in look_at_each(ours, lambda each: _log_of(client, each, window)):
                (gaps if isinstance(seen, Gap) else logs).append(seen)  # type: ignore[arg-type]
            yield from _next_part(logs, window)

        yield Table("logs", LOGS, first_part())
        while any(log.open for log in logs) and time.monotonic() < enough:
            if sum(log.tail.size_bytes for log in logs) > limits.max_size_bytes * _SIZE_SHARE:
                break
            yield Table("logs", LOGS, _next_part(logs, window))
        if left := [log for log in logs if log.waiting]:
            yield Table("logs", LOGS, _rows(left, window.start))
        yield from gaps
        yield from (gap for log in logs for gap in _amiss(log, window))
        yield from _lost_with_their_containers(remembered_events(client, target), logs, window)


def _log_of(client: EngineClient, each: ListedContainer, window: Window) -> _Log | Gap:
    details = inspect(client, each)
    config = details["HostConfig"].get("LogConfig") or {}
    if config.get("Type") == "none":
        return Gap(f"{each}: logs are not kept by driver none")

    @contextmanager
    def open_tail(records: int) -> Iterator[Iterator[bytes]]:
        wanted: Mapping[str, str | int] = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": records}
        with get(client, f"/containers/{each.id}/logs", wanted, stream=True) as response:
            yield response.iter_content(_CHUNK_BYTES)

    tail = LogTail(open_tail, window, tty=bool(details["Config"].get("Tty")))
    return _Log(each, tail, parse_time(details.get("Created")), config)


def _next_part(logs: Sequence[_Log], window: Window) -> Iterator[Mapping[str, object]]:
    """Read on where little is waiting; give out what is newer than what any log may still have unread."""
    reading = [log for log in logs if log.open]
    room_bytes = max(_LEAST_BYTES, _PART_BYTES // max(1, len(reading)))
    reading = [log for log in reading if sum(len(one.line.text) for one in log.waiting) < room_bytes // 2]
    by_id = {log.container.id: log for log in reading}
    for _ in look_at_each([log.container for log in reading], lambda each: _read_on(by_id[each.id], room_bytes)):
        pass
    return _rows(logs, max((log.tail.reached for log in logs if log.open), default=window.start))


def _read_on(log: _Log, room_bytes: int) -> None:
    log.failed = True
    try:
        log.waiting = log.tail.read_older(room_bytes) + log.waiting
        if log.tail.broken:
            raise log.tail.broken
        log.failed = False
    except GarbledStreamError:
        log.gaps.append(f"{log.container}: what the Docker Engine sends is not a log stream")
    except APIError as error:
        unread = "does not support reading" in str(error.explanation)
        driver = f"{log.container}: logs are not kept by driver {log.config.get('Type')}"
        log.gaps.append(driver if unread else failure_of(log.container, error))
    except requests.RequestException as error:
        log.gaps.append(failure_of(log.container, error))


def _rows(logs: Sequence[_Log], since: datetime) -> Iterator[Mapping[str, object]]:
    part = [(one.at, log.container, one.line) for log in logs for one in log.waiting if one.at >= since]
    for log in logs:
        log.waiting = [one for one in log.waiting if one.at < since]
    for _, container, line in sorted(part, key=lambda item: item[0]):
        yield {
            "at": line.at,
            "service": container.service,
            "name": container.name,
            "stream": line.stream,
            "line": line.text.decode("utf-8", "surrogateescape"),
        }


def _amiss(log: _Log, window: Window) -> Iterator[Gap]:
    """Say what is missing of one container's log."""
    yield from map(Gap, log.gaps)
    yield from (Gap(f"{log.container}: the Docker Engine says {remark}") for remark in log.tail.remarks)
    if log.tail.cut_lines:
        yield Gap(f"{log.container}: lines cut at {MAX_LINE_BYTES} bytes: {log.tail.cut_lines}")
    wanted_from = max(window.start, log.created_at or window.start)
    first_at = log.tail.first_at if log.tail.whole else log.tail.reached
    if first_at is None or first_at <= wanted_from:
        return
    since = f"{log.container}: logs from {first_at:%Y-%m-%d %H:%M:%S} UTC on"
    if log.open:
        yield Gap(f"{since}; older ones were not read, they are too many", first_at)
    elif log.tail.whole and _may_have_rotated(log):
        yield Gap(f"{since}; older ones, if any, were rotated away ({_rotation(log.config)})", first_at)


def _lost_with_their_containers(remembered: Remembered, logs: Sequence[_Log], window: Window) -> Iterator[Gap]:
    """Tell of containers removed since the window began: recreated or scaled down, their logs went with them."""
    removed = [event for event in remembered.events if event.action == "destroy" and event.at >= window.start]
    for event in removed[-_SHOWN:]:
        what = f"{event.container} of service {event.container.service}"
        yield Gap(f"{what} was removed at {event.at:%Y-%m-%d %H:%M:%S} UTC, and its logs with it", event.at)
    if earlier := removed[:-_SHOWN]:
        gone = f"{len(earlier)} more containers were removed before, and their logs with them"
        yield Gap(gone, earlier[-1].at)
    since = remembered.since
    young = [log for log in logs if since and log.created_at and window.start < log.created_at < since]
    if len(young) == 1:
        made = f"{young[0].container} was made at {young[0].created_at:%Y-%m-%d %H:%M:%S} UTC"
        lost = "if that replaced an older one, its logs are lost; the Docker Engine no longer knows"
        yield Gap(f"{made}; {lost}", young[0].created_at)
    elif young:
        first_at = min(log.created_at for log in young if log.created_at)
        made = f"{len(young)} containers were made from {first_at:%Y-%m-%d %H:%M:%S} UTC on"
        lost = "if they replaced older ones, the logs of those are lost; the Docker Engine no longer knows"
        yield Gap(f"{made}; {lost}", max(log.created_at for log in young if log.created_at))


def _may_have_rotated(log: _Log) -> bool:
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
    most_bytes = log.tail.size_bytes * _ESCAPED_BYTES + log.tail.records * _ENVELOPE_BYTES
    return not (log.tail.to_the_end and most_bytes < kept_bytes)


def _rotation(config: Mapping[str, Any]) -> str:
    options = config.get("Config") or {}
    given = [f"{name} {options[name]}" for name in ("max-size", "max-file") if name in options]
    return ", ".join([f"driver {config.get('Type')}", *given])
