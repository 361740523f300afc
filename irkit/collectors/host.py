"""The machine: load, pressure, memory, disks, and how far the clocks of the sources are from its own."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from irkit import procfs
from irkit.clocks import docker_skew, http_skew, redis_skew
from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Refused, Table, Unreachable, collector
from irkit.health.http_probe import usable
from irkit.model import Window, utc_now
from irkit.settings import HostTarget
from irkit.skew import Skew

_HOST: Mapping[str, ColumnType] = {
    "at": "time",
    "hostname": "string",
    "started_at": "time",
    "uptime_s": "float",
    "processors": "int",
    "load_1m": "float",
    "load_5m": "float",
    "load_15m": "float",
    "memory_total_bytes": "int",
    "memory_available_bytes": "int",
    "swap_total_bytes": "int",
    "swap_free_bytes": "int",
}
_PRESSURE: Mapping[str, ColumnType] = {
    "resource": "string",
    "share": "string",
    "avg10_percent": "float",
    "avg60_percent": "float",
    "avg300_percent": "float",
    "total_s": "float",
}
_DISK: Mapping[str, ColumnType] = {
    "holds": "string",
    "path": "string",
    "total_bytes": "int",
    "used_bytes": "int",
    "free_bytes": "int",
    "used_percent": "float",
    "inodes_total": "int",
    "inodes_free": "int",
    "read_only": "bool",
}
_SKEW: Mapping[str, ColumnType] = {
    "source": "string",
    "skew_s": "float",
    "uncertainty_s": "float",
    "reason": "string",
}
_CALLED = {"docker": "the Docker Engine", "http": "the health endpoint", "prometheus": "Prometheus", "redis": "Redis"}
# further off than this for sure, a clock puts what it stamps before or after what it followed or caused
_AGREE_S = 1.0
# a clock that takes longer than this to tell the time is of no use, and must not keep the others from being heard
_CLOCK_SHARE = 0.2
_CLOCKS_SHARE = 0.4

Told = tuple[Skew | None, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Silent:
    """Why a clock was not heard; `down` where its source does not answer at all."""

    reason: str
    down: bool


@collector(
    "host",
    target="host",
    provides=("host", "host_pressure", "disk_usage", "clock_skew"),
    cost=1,
    command="uptime; free -b; grep . /proc/pressure/*; df; date",
)
def collect(target: HostTarget, _window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Whether the machine itself is short of processor, memory or disk, and whether all clocks agree.

    Yields one row of `host`, one of `host_pressure` for each resource and share, one of `disk_usage` for each place
    that matters (irkit's home, the database, Docker's root), and one of `clock_skew` for each source that tells the
    time: `skew_s` is positive where its clock is ahead of ours, and true to within `uncertainty_s`. Of a configured
    source that does not answer it says so in `reason`, and no gap does: its own collector has that to tell.
    """
    gaps: list[Gap] = []
    yield Table("host", _HOST, _host(gaps))
    yield Table("host_pressure", _PRESSURE, _pressure(gaps))
    engine: dict[str, object] = {}
    yield Table("clock_skew", _SKEW, _skews(target, engine, gaps, limits))
    yield Table("disk_usage", _DISK, _disks(target, engine, gaps))
    yield from gaps


def _host(gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    now = utc_now()
    row: dict[str, object] = {"at": now, "hostname": socket.gethostname(), "processors": os.cpu_count()}
    try:
        row |= dict(zip(("load_1m", "load_5m", "load_15m"), os.getloadavg(), strict=True))
        uptime_s, memory = procfs.uptime_s(), procfs.memory()
    except OSError as error:
        gaps.append(Gap(f"this machine does not tell its load and memory: {error.strerror or error}"))
    else:
        row |= {"uptime_s": uptime_s, "started_at": now - timedelta(seconds=uptime_s)}
        row |= {"memory_total_bytes": memory.get("MemTotal"), "memory_available_bytes": memory.get("MemAvailable")}
        row |= {"swap_total_bytes": memory.get("SwapTotal"), "swap_free_bytes": memory.get("SwapFree")}
    yield row


def _pressure(gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    try:
        yield from map(asdict, procfs.pressures())
    except OSError as error:
        reason = error.strerror or error
        gaps.append(Gap(f"the kernel does not tell its pressure stall information ({reason}): psi=1 turns it on"))


def _disks(target: HostTarget, engine: Mapping[str, object], gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    places = [("home", target.home)]
    if target.sqlite.path and (target.sqlite.configured or Path(target.sqlite.path).exists()):
        places.append(("database", str(Path(target.sqlite.path).parent)))
    if engine.get("Name") == socket.gethostname() and engine.get("DockerRootDir"):
        places.append(("docker", str(engine["DockerRootDir"])))
    for holds, path in places:
        try:
            yield {"holds": holds, "path": path, **_usage(path)}
        except OSError as error:
            gaps.append(Gap(f"the disk of {path} ({holds}) cannot be measured: {error.strerror or error}"))


def _usage(path: str) -> Mapping[str, object]:
    """Return the figures `df` shows of the file system a path is on: what only root may use counts as used up."""
    found = os.statvfs(path)
    used, free = (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_bavail * found.f_frsize
    return {
        "total_bytes": found.f_blocks * found.f_frsize,
        "used_bytes": used,
        "free_bytes": free,
        "used_percent": 100 * used / (used + free) if used + free else None,
        "inodes_total": found.f_files or None,
        "inodes_free": found.f_favail if found.f_files else None,
        "read_only": bool(found.f_flag & os.ST_RDONLY),
    }


def _skews(
    target: HostTarget, engine: dict[str, object], gaps: list[Gap], limits: Limits
) -> Iterator[Mapping[str, object]]:
    """Ask all clocks at once; one that only the runbook names and that does not answer is none of ours."""
    configured, asks = _clocks(target, limits.share_s(_CLOCK_SHARE))
    for source, told in _heard(asks, limits.share_s(_CLOCKS_SHARE)):
        if isinstance(told, _Silent):
            reason = f"the clock of {_CALLED[source]} could not be compared: {told.reason}"
            if source in configured and told.down:
                yield {"source": source, "reason": reason}
            elif source in configured:
                gaps.append(Gap(reason))
            continue
        skew, info = told
        engine.update(info)
        if skew is None:
            gaps.append(Gap(f"the clock of {_CALLED[source]} could not be compared: it does not tell its time"))
        else:
            yield {"source": source, **asdict(skew)}
            if skew.beyond(_AGREE_S):
                gaps.append(Gap(f"the clock of {_CALLED[source]} is {skew}: the times it tells are off by as much"))
    name = engine.get("Name")
    if name and name != socket.gethostname():
        gaps.append(Gap(f"the containers run on {name}: what this machine has of load and memory is not theirs"))


def _clocks(target: HostTarget, clock_s: float) -> tuple[set[str], dict[str, Callable[[], Told]]]:
    asks: dict[str, Callable[[], Told]] = {}
    if "docker" not in target.without:
        asks["docker"] = lambda: docker_skew(target.docker)
    prometheus_url = target.prometheus.url.reveal()
    if usable(target.http.health_url):
        asks["http"] = lambda: (_http_skew(target.http.health_url, str(target.http), clock_s), {})
    if usable(prometheus_url):
        asks["prometheus"] = lambda: (_http_skew(prometheus_url, str(target.prometheus), clock_s), {})
    if target.redis.url.reveal():
        quick = replace(target.redis, timeout_s=min(clock_s, target.redis.timeout_s))
        asks["redis"] = lambda: (redis_skew(quick), {})
    return {name for name in asks if getattr(target, name).configured}, asks


def _http_skew(url: str, shown: str, timeout_s: float) -> Skew:
    try:
        return http_skew(url, timeout_s=timeout_s)
    except Unreachable as error:
        raise Unreachable(f"{shown} did not answer ({error})") from None


def _heard(asks: Mapping[str, Callable[[], Told]], within_s: float) -> Iterator[tuple[str, Told | _Silent]]:
    """Yield each clock's answer as it comes, or why there is none; at the deadline the silent ones are given up.

    Their threads are not waited for: they end with this collector's process.
    """
    answers: queue.SimpleQueue[tuple[str, Told | _Silent]] = queue.SimpleQueue()

    def ask(source: str, call: Callable[[], Told]) -> None:
        try:
            answers.put((source, call()))
        except (Unreachable, Refused) as error:
            answers.put((source, _Silent(str(error), down=isinstance(error, Unreachable))))
        except Exception as error:  # noqa: BLE001 (whatever else a library raises is no reason to lose the others)
            answers.put((source, _Silent(f"{type(error).__name__}: {error}", down=False)))

    for source, call in asks.items():
        threading.Thread(target=ask, args=(source, call), name=f"clock of {source}", daemon=True).start()
    silent, until = dict.fromkeys(asks), time.monotonic() + within_s
    while silent:
        try:
            source, told = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            yield from ((source, _Silent(f"no answer within {within_s:g} s", down=True)) for source in silent)
            return
        del silent[source]
        yield source, told
