"""What happened to the containers: started, died, killed for memory, found unhealthy."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from docker import APIClient

from irkit.collect_contract import ColumnType, Gap, Piece, Table, Unreachable, collector
from irkit.docker_engine import (
    ListedContainer,
    connected,
    get,
    is_ours,
    listed_by_labels,
    our_containers,
    parse_time,
)
from irkit.model import Window
from irkit.settings import DockerTarget

CONTAINER_EVENTS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "action": "string",
    "exit_code": "int",
    "signal": "string",
}
# the daemon keeps this many in memory, of all kinds and all containers (moby, daemon/events/events.go)
_KEPT_EVENTS = 256
# health checks and people looking make these; they say nothing of how the container fares
_NOISE = ("exec_", "attach", "detach", "top", "resize", "archive-path", "extract-to-dir", "export")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@collector(
    "container-events",
    target="docker",
    provides=("container_events",),
    cost=3,
    command="docker events --since 1h --until 0s --filter type=container",
)
def collect(target: DockerTarget, window: Window) -> Iterator[Piece]:
    """Shows when containers started, died, ran out of memory or turned unhealthy.

    Yields the rows of `container_events` within the window, also of containers that are gone since. `action` is the
    Engine's word (`start`, `die`, `oom`, `kill`, `health_status: unhealthy`, …), `signal` a name such as SIGKILL. The
    Engine remembers its last 256 events only, health checks included: where that does not reach back to the window's
    start, a gap says since when there are events.

    Raises:
        Unreachable: no Engine answers.
        Refused: the Engine may not be asked.
    """
    with connected(target) as client:
        events = _remembered(client)
        yield Table("container_events", CONTAINER_EVENTS, _rows(_of_ours(client, target, events), window))
        if len(events) >= _KEPT_EVENTS and (oldest := _at(events[0])) > window.start:
            yield Gap(
                f"events from {oldest:%Y-%m-%d %H:%M:%S} UTC on; "
                f"the Docker Engine remembers its last {_KEPT_EVENTS} only, older ones are lost"
            )


def _remembered(client: APIClient) -> list[Mapping[str, Any]]:
    """Every event the daemon remembers, in order: a filter would hide whether its memory is full.

    The daemon's own clock says until when, since with a time to come it would wait for it.
    """
    now = parse_time(client.info()["SystemTime"]) or datetime.now(UTC)
    until = f"{(now - _EPOCH) / timedelta(seconds=1):.6f}"
    with get(client, "/events", {"since": 0, "until": until}, stream=True) as response:
        events: list[Mapping[str, Any]] = [json.loads(line) for line in response.iter_lines() if line]
    return events


def _of_ours(
    client: APIClient, target: DockerTarget, events: Sequence[Mapping[str, Any]]
) -> list[tuple[ListedContainer, Mapping[str, Any]]]:
    named = [(_named(event), event) for event in events if event.get("Type") == "container"]
    ours = [(each, event) for each, event in named if is_ours(each, event["Actor"]["Attributes"], target)]
    if target.project or target.services:
        return ours
    by_compose = any(each.project for each, _ in ours)
    with suppress(Unreachable):
        by_compose = by_compose or any(each.project for each in our_containers(client, target)[0])
    return [(each, event) for each, event in ours if each.project or not by_compose]


def _rows(
    events: Sequence[tuple[ListedContainer, Mapping[str, Any]]], window: Window
) -> Iterator[Mapping[str, object]]:
    for each, event in events:
        action = str(event["Action"])
        if not window.start <= _at(event) < window.end or action.startswith(_NOISE):
            continue
        attributes = event["Actor"]["Attributes"]
        code = str(attributes.get("exitCode", ""))
        yield {
            "at": _at(event),
            "service": each.service,
            "name": each.name,
            "action": action,
            "exit_code": int(code) if code.isdecimal() else None,
            "signal": _signal_name(attributes.get("signal")),
        }


def _named(event: Mapping[str, Any]) -> ListedContainer:
    actor = event["Actor"]
    return listed_by_labels(actor["ID"], actor["Attributes"].get("name", actor["ID"][:12]), actor["Attributes"])


def _at(event: Mapping[str, Any]) -> datetime:
    return _EPOCH + timedelta(microseconds=event["timeNano"] // 1000)


def _signal_name(number: str | None) -> str | None:
    with suppress(ValueError, TypeError):
        return signal.Signals(int(number or "")).name
    return number
