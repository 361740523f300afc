"""What happened to the containers: started, died, killed for memory, found unhealthy."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache

from docker.errors import APIError

from irkit.collect.contract import ColumnType, Gap, Piece, Table, collector
from irkit.docker.engine import EngineClient, connected, get
from irkit.docker.events import ContainerEvent, remembered_events
from irkit.model import Window
from irkit.settings import DockerTarget

CONTAINER_EVENTS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "action": "string",
    "exit_code": "int",
    "signal": "string",
    "image": "string",
    "image_id": "string",
}
# health checks and people looking make these; they say nothing of how the container fares
_NOISE = ("exec_", "attach", "detach", "top", "resize", "archive-path", "extract-to-dir", "export")


@collector(
    "container-events",
    target="docker",
    provides=("container_events",),
    cost=3,
    command="docker events --since 2000-01-01 --until 0s --filter type=container",
)
def collect(target: DockerTarget, window: Window) -> Iterator[Piece]:
    """Shows when containers started, died, ran out of memory or turned unhealthy.

    Yields the rows of `container_events` within the window, also of containers that are gone since. `action` is the
    Engine's word (`start`, `die`, `oom`, `kill`, `health_status: unhealthy`, …), `signal` a name such as SIGKILL,
    `image` the name that the container's image was asked for by, `image_id` what that name stands for now. The Engine
    remembers its last 256 events only, health checks included, and none from before it was started: where that does
    not reach back to the window's start, a gap says since when there are events.

    Raises:
        Unreachable: no Engine answers.
        Refused: the Engine may not be asked.
    """
    with connected(target) as client:
        remembered = remembered_events(client, target)
        yield Table("container_events", CONTAINER_EVENTS, _rows(client, remembered.events, window))
        if forgotten := remembered.gap(window.start):
            yield Gap(forgotten, remembered.since)


def _rows(client: EngineClient, events: Sequence[ContainerEvent], window: Window) -> Iterator[Mapping[str, object]]:
    @cache
    def identity(name: str) -> str | None:
        with suppress(APIError, KeyError):
            return str(get(client, f"/images/{name}/json").json()["Id"])
        return None

    for event in events:
        if not window.start <= event.at < window.end or event.action.startswith(_NOISE):
            continue
        code = str(event.attributes.get("exitCode", ""))
        yield {
            "at": event.at,
            "service": event.container.service,
            "name": event.container.name,
            "action": event.action,
            "exit_code": int(code) if code.isdecimal() else None,
            "signal": _signal_name(event.attributes.get("signal")),
            "image": (image := event.attributes.get("image") or None),
            "image_id": identity(image) if image else None,
        }


def _signal_name(number: str | None) -> str | None:
    with suppress(ValueError, TypeError):
        return signal.Signals(int(number or "")).name
    return number
