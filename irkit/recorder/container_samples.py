"""One look at the containers and at their processes, for the flight recorder: cheap, and ended in time.

The Engine tells states only: for figures it waits a second and wakes for each container, where the kernel has them in
files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit.collect.contract import Refused, Unreachable
from irkit.docker.cgroups import cgroups_of, process_ids, usage, usual_cgroups
from irkit.docker.containers import ListedContainer, choose, parse_time
from irkit.docker.engine_socket import EngineSocket, socket_path
from irkit.recorder.container_settings import differences, settings_of
from irkit.recorder.history import Sample
from irkit.settings import DockerTarget

ENGINE_DEADLINE_S = 5.0
# One container whose lock the daemon holds must not keep the others from being looked at.
CONTAINER_TIMEOUT_S = 1.0
_ALIVE = frozenset({"running", "paused"})
_MAX_PROCESSES = 10
_READ_PROCESSES = 200
# of those that are gone, too, since what replaces them comes a moment later
_KNOWN_SETTINGS = 1000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Known:
    """A running container as last seen: its first process, and its seconds on the processors at a moment."""

    listed: ListedContainer
    pid: int
    cpu_s: float | None
    read_at_s: float


@dataclass(frozen=True, slots=True)
class _Made:
    """What a container of a name was made with, and in what it differs from the one that had the name before."""

    container_id: str
    settings: Mapping[str, bytes]
    differs_in: str | None = None


class ContainerSampler:
    """Looks at the target's containers, and at the processes of those it knows of when the Engine is silent."""

    def __init__(self, target: DockerTarget, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._clock = clock
        self._engine: EngineSocket | None = None
        self._known: Mapping[str, _Known] = {}
        self._made: dict[str, _Made] = {}

    def look(self) -> Sample:
        """Return each container's state by the Engine and its use of the machine by the kernel.

        100 % of `cpu_percent` is one core, measured since the look before. A container that could not be inspected
        keeps what the Engine's list tells of it. `differs_in` names the settings in which it differs from the container
        that had its name before, where that one was looked at, too.

        Raises:
            Unreachable: the Engine does not answer in time, or has no such containers.
            Refused: it may not be asked, or is on another machine.
        """
        ends_s = time.monotonic() + ENGINE_DEADLINE_S
        at, engine = self._clock(), self._connected()
        listing = engine.get("/containers/json?all=1", ends_s - time.monotonic())
        ours, missing = choose(listing or (), self._target)
        gaps = [gap.reason for gap in missing]
        rows: list[Mapping[str, object]] = []
        known: dict[str, _Known] = {}
        unseen = []
        for each in ours:
            state: Mapping[str, object] = {"state": each.state or None}
            before = self._known.get(each.id)
            pid = before.pid if before else 0
            try:
                within_s = min(CONTAINER_TIMEOUT_S, ends_s - time.monotonic())
                details = engine.get(f"/containers/{each.id}/json", within_s)
                if details is None:
                    continue  # it vanished since it was listed
                state = {**_state(details), "differs_in": self._differs_in(each, details)}
                pid = int(details["State"].get("Pid") or 0)
            except (Unreachable, Refused) as error:
                gaps.append(f"{each}: {error}")
            used: Mapping[str, object] = {}
            if pid and each.state in _ALIVE:
                seen = _measure(each, pid, before)
                if seen is None:
                    unseen.append(each.name)
                else:
                    known[each.id], used = seen
            rows.append({"at": at, "service": each.service, "name": each.name, **state, **used})
        self._known = known
        if unseen:
            gaps.append(f"what {', '.join(unseen)} use cannot be seen from here: record where their processes are")
        return Sample(rows, tuple(gaps))

    def processes(self) -> Sample:
        """Return the largest processes of the containers that were last seen running; the Engine is not asked."""
        at = self._clock()
        rows: list[Mapping[str, object]] = []
        gone = []
        for each in self._known.values():
            folders = _folders(each.listed.id, each.pid)
            if not folders:
                gone.append(each.listed.name)
                continue
            found = [figures for pid in process_ids(folders)[:_READ_PROCESSES] if (figures := _process(pid))]
            found.sort(key=lambda figures: figures["rss_bytes"], reverse=True)
            named = {"at": at, "service": each.listed.service, "name": each.listed.name}
            rows += [
                named | figures | {"open_files": _open_files(figures["pid"])} for figures in found[:_MAX_PROCESSES]
            ]
        return Sample(rows, (f"the processes of {', '.join(gone)} ended",) if gone else ())

    def _differs_in(self, each: ListedContainer, details: Mapping[str, Any]) -> str | None:
        before = self._made.pop(each.name, None)
        if before is None or before.container_id != each.id:
            settings = settings_of(details)
            differs_in = differences(before.settings, settings) if before else None
            before = _Made(each.id, settings, differs_in)
        self._made[each.name] = before  # the last of them, so that the first is the one unseen for longest
        if len(self._made) > _KNOWN_SETTINGS:
            del self._made[next(iter(self._made))]
        return before.differs_in

    def _connected(self) -> EngineSocket:
        if self._engine is None:
            self._engine = EngineSocket(socket_path(self._target))
        return self._engine


def _folders(container_id: str, pid: int) -> Mapping[str, Path]:
    """Return a container's cgroups, also where the kernel names them from a namespace of our own, as in a container."""
    return cgroups_of(container_id, _PROC / str(pid) / "cgroup") or usual_cgroups(container_id)


def _measure(each: ListedContainer, pid: int, before: _Known | None) -> tuple[_Known, Mapping[str, object]] | None:
    """Read what a container uses; None where its processes are not this machine's, or are gone."""
    folders = _folders(each.id, pid)
    if not folders:
        return None
    now_s, used = time.monotonic(), usage(folders)
    cpu_percent = None
    if before and before.pid == pid and before.cpu_s is not None and used.cpu_s is not None:
        cpu_percent = max(0.0, 100 * (used.cpu_s - before.cpu_s) / (now_s - before.read_at_s))
    return _Known(each, pid, used.cpu_s, now_s), {
        "cpu_percent": cpu_percent,
        "memory_usage_bytes": used.memory_usage_bytes,
        "memory_limit_bytes": used.memory_limit_bytes,
        "pids": used.pids,
        "oom_kill_count": used.oom_kill_count,
    }


def _state(details: Mapping[str, Any]) -> Mapping[str, object]:
    state = details["State"]
    ended = not state.get("Running") or state.get("Restarting")
    started_at = parse_time(state.get("StartedAt"))
    code = state.get("ExitCode")
    return {
        "state": state.get("Status"),
        "health": (state.get("Health") or {}).get("Status") or "none",
        "restart_count": details.get("RestartCount"),
        # of what runs, and of what never ran, the Engine says 0
        "exit_code": code if ended and (started_at or code) else None,
        "oom_killed": state.get("OOMKilled"),
        "started_at": started_at,
    }


def _process(pid: int) -> dict[str, Any] | None:
    """Read one process (proc_pid_stat(5)), None where it is gone; its name may hold spaces and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    command, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return {"pid": pid, "command": command, "rss_bytes": int(fields[21]) * _PAGE_BYTES, "threads": int(fields[17])}


def _open_files(pid: int) -> int | None:
    try:
        with os.scandir(_PROC / str(pid) / "fd") as entries:
            return sum(1 for _ in entries)
    except OSError:
        return None  # gone, or another user's
