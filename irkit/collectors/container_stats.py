"""What the running containers use: processor, memory, network, disk, processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Table, collector
from irkit.docker.cgroups import Usage, block_bytes, process_ids, usage, usual_cgroups
from irkit.docker.containers import ListedContainer, parse_time
from irkit.docker.engine import EngineClient, connected, get, local_socket, look_at_each, our_containers
from irkit.model import Window
from irkit.settings import DockerTarget

CONTAINER_STATS: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "cpu_percent": "float",
    "memory_usage_bytes": "int",
    "memory_limit_bytes": "int",
    "memory_percent": "float",
    "net_rx_bytes": "int",
    "net_tx_bytes": "int",
    "block_read_bytes": "int",
    "block_write_bytes": "int",
    "pids": "int",
}
# the states in which a container holds resources; the Engine answers zeros for the others
_ALIVE = frozenset({"running", "paused"})
# two samples are needed for a share of the processor: the Engine takes its own, a second apart, which takes two
_AT_ONCE = 100
_APART_S = 0.5
# what the Engine gives its containers; a kernel may list tunnels of its own beside them
_INTERFACES = ("eth", "en", "macvlan", "ipvlan")
# the Engine's own two samples take two seconds
_SAMPLE_SHARE = 0.8


@collector(
    "container-stats", target="docker", provides=("container_stats",), cost=4, command="docker stats --no-stream"
)
def collect(target: DockerTarget, window: Window, limits: Limits = USUAL) -> Iterator[Piece]:  # noqa: ARG001 (measured now, not in the window)
    """Shows what the running containers use of processor, memory, network and disk right now.

    Yields one row of `container_stats` for each running or paused container, in the terms of `docker stats`: 100 % of
    `cpu_percent` is one core, `memory_usage_bytes` leaves out the page cache that can be dropped, a container without
    a limit has the host's memory as `memory_limit_bytes`; network and disk count from the container's start. Where the
    containers run on this machine the kernel is asked, which is quicker, else the Engine. What is not told is None.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    with connected(target, limits) as client:
        ours, gaps = our_containers(client, target)
        alive = [each for each in ours if each.state in _ALIVE]
        local = local_socket(target) is not None
        sample_s = limits.share_s(_SAMPLE_SHARE)
        yield Table("container_stats", CONTAINER_STATS, _rows(client, alive, gaps, sample_s, local=local))
        yield from gaps


def _rows(
    client: EngineClient, alive: Sequence[ListedContainer], gaps: list[Gap], sample_s: float, *, local: bool
) -> Iterator[Mapping[str, object]]:
    def look(each: ListedContainer) -> Mapping[str, object]:
        path = f"/containers/{each.id}/stats"
        return measured(get(client, path, {"stream": "false"}, timeout_s=sample_s).json())

    here = {each: folders for each in alive if local and (folders := usual_cgroups(each.id))}
    elsewhere = [each for each in alive if each not in here]
    asked = zip(elsewhere, look_at_each(elsewhere, look, workers=_AT_ONCE), strict=True)
    for each, seen in chain(measured_here(here), asked):
        if isinstance(seen, Gap):
            gaps.append(seen)
        elif seen["at"] is None:
            gaps.append(Gap(f"{each} stopped while it was measured"))
        else:
            yield {"service": each.service, "name": each.name, **seen}


def measured_here(
    containers: Mapping[ListedContainer, Mapping[str, Path]],
) -> Iterator[tuple[ListedContainer, Mapping[str, object]]]:
    """Read the measured columns from the kernel, given each container's cgroups; `at` is None where it ended."""
    before = {each: (usage(folders), time.monotonic()) for each, folders in containers.items()}
    if containers:
        time.sleep(_APART_S)
    for each, folders in containers.items():
        yield each, _measured_here(each, folders, *before[each])


def _measured_here(
    each: ListedContainer, folders: Mapping[str, Path], before: Usage, began_s: float
) -> dict[str, object]:
    now, took_s = usage(folders), time.monotonic() - began_s
    ended = now.cpu_s is None or before.cpu_s is None
    processes = [] if each.network_mode == "host" else process_ids(folders)
    received, sent = _network_bytes(Path("/proc") / str(processes[0]) / "net" / "dev") if processes else (None, None)
    limit = now.memory_limit_bytes or _host_memory_bytes()
    read, written = block_bytes(folders)
    return {
        "at": None if ended else datetime.now(UTC),
        "cpu_percent": None if ended else max(0.0, 100 * (now.cpu_s - before.cpu_s) / took_s),  # type: ignore[operator]
        "memory_usage_bytes": now.memory_usage_bytes,
        "memory_limit_bytes": limit,
        "memory_percent": 100 * now.memory_usage_bytes / limit
        if limit and now.memory_usage_bytes is not None
        else None,
        "net_rx_bytes": received,
        "net_tx_bytes": sent,
        "block_read_bytes": read,
        "block_write_bytes": written,
        "pids": now.pids,
    }


def _network_bytes(path: Path) -> tuple[int | None, int | None]:
    """Received and sent over all interfaces but the loopback; None where there is no other (proc_pid_net(5))."""
    received: list[int] = []
    sent: list[int] = []
    with suppress(OSError):
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            name, colon, counts = line.partition(":")
            if colon and name.strip() != "lo" and name.strip().startswith(_INTERFACES):
                received.append(int(counts.split()[0]))
                sent.append(int(counts.split()[8]))
    return (sum(received), sum(sent)) if received else (None, None)


def _host_memory_bytes() -> int | None:
    with suppress(OSError, IndexError, ValueError):
        first = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()[0]
        return int(first.split()[1]) * 1024
    return None


def measured(sample: Mapping[str, Any]) -> dict[str, object]:
    """Turn one answer of `/containers/{id}/stats` into the measured columns.

    The formulas are those of `docker stats` (docker/cli, cli/command/container/stats_helpers.go).
    """
    memory = sample.get("memory_stats") or {}
    usage, limit = _memory_usage(memory), memory.get("limit") or None
    networks = sample.get("networks")
    disk = _disk((sample.get("blkio_stats") or {}).get("io_service_bytes_recursive"))
    return {
        "at": parse_time(sample.get("read")),
        "cpu_percent": _cpu_percent(sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}),
        "memory_usage_bytes": usage,
        "memory_limit_bytes": limit,
        "memory_percent": None if usage is None or limit is None else 100 * usage / limit,
        "net_rx_bytes": sum(each["rx_bytes"] for each in networks.values()) if networks else None,
        "net_tx_bytes": sum(each["tx_bytes"] for each in networks.values()) if networks else None,
        "block_read_bytes": disk.get("read"),
        "block_write_bytes": disk.get("write"),
        "pids": (sample.get("pids_stats") or {}).get("current"),
    }


def _cpu_percent(now: Mapping[str, Any], before: Mapping[str, Any]) -> float | None:
    """The container's share of the host's processor time between two samples, times the cores: 100 is one core."""
    cores = now.get("online_cpus") or len((now.get("cpu_usage") or {}).get("percpu_usage") or ())
    try:
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    except KeyError:
        return None  # without a first sample there is no share
    return 100.0 * cores * used / passed if passed > 0 and used >= 0 and cores else None


def _memory_usage(memory: Mapping[str, Any]) -> int | None:
    """Usage without the inactive page cache, which cgroup v1 calls total_inactive_file and v2 inactive_file."""
    usage, details = memory.get("usage"), memory.get("stats") or {}
    if usage is None:
        return None
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return int(usage - cache if cache < usage else usage)


def _disk(counters: Sequence[Mapping[str, Any]] | None) -> dict[str, int]:
    """Bytes by operation over all devices; empty where the kernel keeps no count."""
    total: dict[str, int] = {}
    for each in counters or ():
        operation = str(each.get("op")).lower()
        total[operation] = total.get(operation, 0) + int(each["value"])
    return total
