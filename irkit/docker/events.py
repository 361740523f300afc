"""What the Docker Engine remembers of events, and since when its memory is whole."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from docker.errors import APIError

from irkit.collect.contract import Unreachable
from irkit.docker.containers import ListedContainer, is_ours, listed_by_labels, parse_time
from irkit.docker.engine import EngineClient, get, local_socket, our_containers
from irkit.settings import DockerTarget

# the daemon keeps this many in memory, of all kinds and all containers (moby, daemon/events/events.go)
KEPT_EVENTS = 256
# more than may happen from the question for the Engine's time to the one for its events
_BETWEEN = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PID_FILE = Path("/var/run/docker.pid")
_START_TICKS_FIELD = 19  # of /proc/PID/stat after the name in brackets (proc(5), starttime)


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """One event of a container of ours, with the Engine's word for it and its attributes."""

    at: datetime
    container: ListedContainer
    action: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The events of our containers in order; `forgotten` says why there are none before `since`, if there may be."""

    events: tuple[ContainerEvent, ...]
    since: datetime | None
    forgotten: str

    def gap(self, start: datetime) -> str:
        """Say what of the time from `start` on the Engine does not remember, or nothing."""
        if self.since is None or self.since <= start:
            return ""
        return f"events from {self.since:%Y-%m-%d %H:%M:%S} UTC on; {self.forgotten}"


def remembered_events(client: EngineClient, target: DockerTarget) -> Remembered:
    """Ask for every event, since a filter would hide whether the daemon's memory is full.

    The memory holds the last 256 events and starts empty with the daemon. When that started is read from the process
    at the other end of a local socket, else from the default network, which a starting daemon makes anew (unless it
    was told to keep containers running meanwhile). Without both, nothing is said of a beginning.

    Raises:
        APIError: the Engine answers with an error.
        requests.RequestException: it does not answer.
    """
    known = _known_now(client)
    if KEPT_EVENTS - _BETWEEN <= len(known) < KEPT_EVENTS:
        # what happened between our two questions has pushed as many old ones out, and is not among these
        seen = {_identity(event) for event in known}
        known += [event for event in _known_now(client) if _identity(event) not in seen]
    events = tuple(_of_ours(client, target, known))
    if len(known) >= KEPT_EVENTS:
        forgotten = f"the Docker Engine remembers its last {KEPT_EVENTS} only, older ones are lost"
        return Remembered(events, _at(known[0]), forgotten)
    forgotten = "the Docker Engine was started then and has forgotten what was before"
    return Remembered(events, _daemon_started_at(client, target), forgotten)


def _known_now(client: EngineClient) -> list[Mapping[str, Any]]:
    # the daemon's own clock says until when: for a time to come it would wait
    now = parse_time(client.info()["SystemTime"]) or datetime.now(UTC)
    until = f"{(now - _EPOCH) / timedelta(seconds=1):.6f}"
    with get(client, "/events", {"since": 0, "until": until}, stream=True) as response:
        return [json.loads(line) for line in response.iter_lines() if line]


def _identity(event: Mapping[str, Any]) -> tuple[object, ...]:
    return event["timeNano"], event["Action"], event["Actor"]["ID"]


def _of_ours(client: EngineClient, target: DockerTarget, known: Sequence[Mapping[str, Any]]) -> list[ContainerEvent]:
    made = [_event(event) for event in known if event.get("Type") == "container"]
    ours = [event for event in made if is_ours(event.container, event.attributes, target)]
    if target.project or target.services:
        return ours
    by_compose = any(event.container.project for event in ours)
    with suppress(Unreachable):
        by_compose = by_compose or any(each.project for each in our_containers(client, target)[0])
    return [event for event in ours if event.container.project or not by_compose]


def _event(event: Mapping[str, Any]) -> ContainerEvent:
    actor = event["Actor"]
    attributes = actor["Attributes"]
    container = listed_by_labels(actor["ID"], attributes.get("name", actor["ID"][:12]), attributes)
    return ContainerEvent(_at(event), container, str(event["Action"]), attributes)


def _at(event: Mapping[str, Any]) -> datetime:
    return _EPOCH + timedelta(microseconds=event["timeNano"] // 1000)


def _daemon_started_at(client: EngineClient, target: DockerTarget) -> datetime | None:
    path = local_socket(target)
    for pid in _daemon_pids(path) if path else ():
        with suppress(OSError, ValueError, IndexError, StopIteration):
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "dockerd":
                return _started_at(pid)
    with suppress(APIError):
        return parse_time(get(client, "/networks/bridge").json().get("Created"))
    return None


def _daemon_pids(path: str) -> list[int]:
    """The process that listens, or under systemd's socket activation the one that says so in its file."""
    pids = []
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pids.append(struct.unpack("3i", credentials)[0])
    with suppress(OSError, ValueError):
        pids.append(int(_PID_FILE.read_text(encoding="ascii")))
    return pids


def _started_at(pid: int) -> datetime:
    status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    ticks = int(status.rpartition(")")[2].split()[_START_TICKS_FIELD])
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return _EPOCH + timedelta(seconds=booted + ticks / os.sysconf("SC_CLK_TCK"))
