"""What the running containers use: processor, memory, network, disk, processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker import APIClient

from irkit.collect_contract import ColumnType, Gap, Piece, Table, collector
from irkit.containers import ListedContainer, parse_time
from irkit.docker_engine import connected, get, look_at_each, our_containers
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
# the Engine needs two samples a second apart and takes them for all who ask at once
_AT_ONCE = 100
_SAMPLE_TIMEOUT_S = 8.0


@collector(
    "container-stats", target="docker", provides=("container_stats",), cost=4, command="docker stats --no-stream"
)
def collect(target: DockerTarget, window: Window) -> Iterator[Piece]:  # noqa: ARG001 (measured now, not in the window)
    """Shows what the running containers use of processor, memory, network and disk right now.

    Yields one row of `container_stats` for each running or paused container, in the terms of `docker stats`: 100 % of
    `cpu_percent` is one core, `memory_usage_bytes` leaves out the page cache that can be dropped, a container without
    a limit has the host's memory as `memory_limit_bytes`; network and disk count from the container's start. What the
    Engine does not tell is None.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    with connected(target) as client:
        ours, gaps = our_containers(client, target)
        alive = [each for each in ours if each.state in _ALIVE]
        yield Table("container_stats", CONTAINER_STATS, _rows(client, alive, gaps))
        yield from gaps


def _rows(client: APIClient, alive: Sequence[ListedContainer], gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    def look(each: ListedContainer) -> Mapping[str, object] | Gap:
        path = f"/containers/{each.id}/stats"
        sample = get(client, path, {"stream": "false"}, timeout_s=_SAMPLE_TIMEOUT_S).json()
        if parse_time(sample.get("read")) is None:
            return Gap(f"{each} stopped while it was measured")
        return {"service": each.service, "name": each.name, **measured(sample)}

    for seen in look_at_each(alive, look, workers=_AT_ONCE):
        if isinstance(seen, Gap):
            gaps.append(seen)
        else:
            yield seen


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
