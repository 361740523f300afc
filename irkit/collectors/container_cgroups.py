"""What the kernel counted for the running containers: children killed for memory, stalls, throttling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, NotHere, Piece, Table, collector
from irkit.docker.cgroups import UNIFIED, cgroups_of, is_version_1, number, pairs, text, usual_cgroups
from irkit.docker.containers import ListedContainer
from irkit.docker.engine import EngineClient, connected, inspect, local_socket, look_at_each, our_containers
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


@collector(
    "container-cgroups",
    target="docker",
    provides=("cgroup",),
    cost=3,
    # of either version of cgroups, wherever the Engine puts a container's
    command="grep -rs --include=memory.events --include=memory.oom_control . /sys/fs/cgroup | grep docker",
)
def collect(target: DockerTarget, window: Window, limits: Limits = USUAL) -> Iterator[Piece]:  # noqa: ARG001 (counted since the start)
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
    with connected(target, limits) as client:
        ours, gaps = our_containers(client, target)
        alive = [each for each in ours if each.state in _ALIVE]
        rows = list(_rows(client, alive, gaps))
    if alive and not rows and all("not visible" in gap.reason for gap in gaps):
        raise NotHere("the containers' processes are not visible here: the Docker Engine runs in a machine of its own")
    yield Table("cgroup", CGROUP, rows)
    yield from gaps


def _rows(client: EngineClient, alive: Sequence[ListedContainer], gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    def look(each: ListedContainer) -> Mapping[str, object] | Gap:
        folders = usual_cgroups(each.id)
        if not folders:
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


def counted(folders: Mapping[str, Path]) -> dict[str, object]:
    """Read the kernel's counts as columns (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst)."""
    if is_version_1(folders):
        return _version_1(folders.get("memory"), folders.get("cpu"), folders.get("pids"))
    return _version_2(folders[UNIFIED])


def _version_1(memory: Path | None, cpu: Path | None, pids: Path | None) -> dict[str, object]:
    throttling = pairs(cpu, "cpu.stat")
    waited_ns = throttling.get("throttled_time")
    return {
        "oom_kill_count": pairs(memory, "memory.oom_control").get("oom_kill"),
        "memory_limit_hits": _sum(number(memory, "memory.failcnt"), number(memory, "memory.memsw.failcnt")),
        "memory_peak_bytes": number(memory, "memory.max_usage_in_bytes"),
        "cpu_periods": throttling.get("nr_periods"),
        "cpu_throttled_periods": throttling.get("nr_throttled"),
        "cpu_throttled_s": None if waited_ns is None else waited_ns / 10**9,
        "pids_limit_hits": pairs(pids, "pids.events").get("max"),
        "cgroup_version": 1,
    }


def _version_2(folder: Path) -> dict[str, object]:
    memory, throttling = pairs(folder, "memory.events"), pairs(folder, "cpu.stat")
    waited_us = throttling.get("throttled_usec")
    return {
        "oom_kill_count": memory.get("oom_kill"),
        "memory_limit_hits": memory.get("max"),
        "memory_peak_bytes": number(folder, "memory.peak"),
        "memory_stalled_s": _stalled_s(folder),
        "cpu_periods": throttling.get("nr_periods"),
        "cpu_throttled_periods": throttling.get("nr_throttled"),
        "cpu_throttled_s": None if waited_us is None else waited_us / 10**6,
        "pids_limit_hits": pairs(folder, "pids.events").get("max"),
        "cgroup_version": 2,
    }


def _stalled_s(folder: Path) -> float | None:
    """The total of `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS` (Documentation/accounting/psi.rst)."""
    for line in text(folder, "memory.pressure").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2]) / 10**6
    return None


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
