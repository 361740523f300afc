"""What the kernel counted for the running containers: children killed for memory, stalls, throttling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from docker import APIClient

from irkit.collect_contract import ColumnType, Gap, NotHere, Piece, Table, collector
from irkit.docker_engine import ListedContainer, connected, inspect, local_socket, look_at_each, our_containers
from irkit.model import Window
from irkit.settings import DockerTarget

CGROUP: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "oom_kill_count": "int",
    "memory_limit_hits": "int",
    "memory_peak_bytes": "int",
    "memory_stalled_s": "float",
    "cpu_periods": "int",
    "cpu_throttled_periods": "int",
    "cpu_throttled_s": "float",
    "pids_limit_hits": "int",
    "cgroup_version": "int",
}
_ALIVE = frozenset({"running", "paused"})
_MOUNT = Path("/sys/fs/cgroup")
_UNIFIED = ""


@collector(
    "container-cgroups",
    target="docker",
    provides=("cgroup",),
    cost=3,
    command="cat /sys/fs/cgroup/system.slice/docker-*.scope/memory.events",
)
def collect(target: DockerTarget, window: Window) -> Iterator[Piece]:  # noqa: ARG001 (counted since the start)
    """Shows whether the kernel killed, stalled or throttled processes of containers that live on.

    Yields one row of `cgroup` for each running or paused container, counted since its start. `oom_kill_count` is of
    any process within, though the container and its OOMKilled know only the first one; `memory_limit_hits` is how
    often memory had to be taken back at the limit, `cpu_throttled_s` how long processes that could have run had to
    wait (summed over cores), `memory_stalled_s` how long some process waited for memory. What this kernel does not
    count is None.

    Raises:
        NotHere: the Engine is on another machine, or in another one within this.
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    if local_socket(target) is None:
        raise NotHere(f"the kernel's own counts are on the Docker Engine's machine: {target.host or 'DOCKER_HOST'}")
    with connected(target) as client:
        ours, gaps = our_containers(client, target)
        alive = [each for each in ours if each.state in _ALIVE]
        rows = list(_rows(client, alive, gaps))
    if alive and not rows and all("not visible" in gap.reason for gap in gaps):
        raise NotHere("the containers' processes are not visible here: the Docker Engine runs in a machine of its own")
    yield Table("cgroup", CGROUP, rows)
    yield from gaps


def _rows(client: APIClient, alive: Sequence[ListedContainer], gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    def look(each: ListedContainer) -> Mapping[str, object] | Gap:
        pid = inspect(client, each)["State"].get("Pid")
        folders = cgroups_of(each.id, Path(f"/proc/{pid}/cgroup"))
        if not folders:
            return Gap(f"{each}: its processes are not visible here")
        return {"at": datetime.now(UTC), "service": each.service, "name": each.name, **counted(folders)}

    for seen in look_at_each(alive, look):
        if isinstance(seen, Gap):
            gaps.append(seen)
        else:
            yield seen


def cgroups_of(container_id: str, listing: Path, mount: Path = _MOUNT) -> Mapping[str, Path]:
    """Return a container's folders by controller, on version 2 all in one under an empty name.

    `listing` is the `/proc/PID/cgroup` of its first process (cgroups(7)). Nothing is returned unless the container's
    own id is in the path: the number may be some other machine's, and then stand for a stranger here.
    """
    try:
        lines = listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if container_id in path:
            for name in names.split(","):
                folder = mount / name / path.lstrip("/")
                if folder.is_dir():
                    found[name] = folder
    return found


def counted(folders: Mapping[str, Path]) -> dict[str, object]:
    """Read the kernel's counts as columns (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst)."""
    if "memory" in folders or "cpu" in folders:
        return _version_1(folders.get("memory"), folders.get("cpu"), folders.get("pids"))
    return _version_2(folders[_UNIFIED])


def _version_1(memory: Path | None, cpu: Path | None, pids: Path | None) -> dict[str, object]:
    throttling = _pairs(cpu, "cpu.stat")
    waited_ns = throttling.get("throttled_time")
    return {
        "oom_kill_count": _pairs(memory, "memory.oom_control").get("oom_kill"),
        "memory_limit_hits": _sum(_number(memory, "memory.failcnt"), _number(memory, "memory.memsw.failcnt")),
        "memory_peak_bytes": _number(memory, "memory.max_usage_in_bytes"),
        "cpu_periods": throttling.get("nr_periods"),
        "cpu_throttled_periods": throttling.get("nr_throttled"),
        "cpu_throttled_s": None if waited_ns is None else waited_ns / 10**9,
        "pids_limit_hits": _pairs(pids, "pids.events").get("max"),
        "cgroup_version": 1,
    }


def _version_2(folder: Path) -> dict[str, object]:
    memory, throttling = _pairs(folder, "memory.events"), _pairs(folder, "cpu.stat")
    waited_us = throttling.get("throttled_usec")
    return {
        "oom_kill_count": memory.get("oom_kill"),
        "memory_limit_hits": memory.get("max"),
        "memory_peak_bytes": _number(folder, "memory.peak"),
        "memory_stalled_s": _stalled_s(folder),
        "cpu_periods": throttling.get("nr_periods"),
        "cpu_throttled_periods": throttling.get("nr_throttled"),
        "cpu_throttled_s": None if waited_us is None else waited_us / 10**6,
        "pids_limit_hits": _pairs(folder, "pids.events").get("max"),
        "cgroup_version": 2,
    }


def _stalled_s(folder: Path) -> float | None:
    """The total of `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS` (Documentation/accounting/psi.rst)."""
    for line in _text(folder, "memory.pressure").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2]) / 10**6
    return None


def _pairs(folder: Path | None, name: str) -> dict[str, int]:
    words = (line.split() for line in _text(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _number(folder: Path | None, name: str) -> int | None:
    text = _text(folder, name).strip()
    return int(text) if text.isdecimal() else None


def _text(folder: Path | None, name: str) -> str:
    """What a file says; nothing where this kernel has none, or the container ended meanwhile."""
    with suppress(OSError):
        return (folder / name).read_text(encoding="ascii", errors="replace") if folder else ""
    return ""
