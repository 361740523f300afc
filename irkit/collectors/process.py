"""The processes inside the service's containers: memory, threads and open descriptors of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from docker.errors import APIError

from irkit import procfs
from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Table, collector
from irkit.docker.containers import ListedContainer
from irkit.docker.engine import EngineClient, connected, get, look_at_each, our_containers
from irkit.errors import IrkitError
from irkit.memory.gc_figures import gc_figures
from irkit.model import Window, utc_now
from irkit.settings import DockerTarget
from irkit.text.phrase import count, seconds

PROCESSES: Mapping[str, ColumnType] = {
    "at": "time",
    "service": "string",
    "name": "string",
    "pid": "int",
    "parent_pid": "int",
    "command": "string",
    "rss_bytes": "int",
    "pss_bytes": "int",
    "threads": "int",
    "open_files": "int",
    "open_files_limit": "int",
    "garbage_collection": "string",
    "gc_collections": "int",
    "gc_pause_s": "float",
    "gc_longest_s": "float",
    "gc_over_s": "float",
}
# the command's name only: arguments are where passwords are given
_PS = "-eo pid,ppid,rss,nlwp,comm"
_KIB = 1024
# collections of garbage are counted inside a process, and nothing outside it can read them
_NO_AGENT = "not known: no memory agent in the process"
_ALIVE = frozenset({"running", "paused"})
_FOREIGN = "are counted by an engine whose processes cannot be looked into from here: shares of memory and descriptors"


@collector(
    "container-processes",
    target="docker",
    provides=("container_processes",),
    cost=3,
    command="docker-compose top",
)
def collect(target: DockerTarget, _window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Shows which process of a container holds the memory, the threads or the descriptors.

    Yields one row of `container_processes` for each process of each running or paused container. `pid` is the host's.
    `pss_bytes` counts a page shared by n processes as 1/n of it, so that the rows of a container add up to what it
    holds (Linux, Documentation/filesystems/proc.rst). Descriptors and shares need the engine's own machine, and
    usually root. Of a process with a memory agent `gc_collections` took `gc_pause_s` in all and `gc_longest_s` at most,
    in the last `gc_over_s` seconds; of others `garbage_collection` says why that is not known.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    with connected(target, limits) as client:
        ours, gaps = our_containers(client, target)
        running = [each for each in ours if each.state in _ALIVE]
        yield Table("container_processes", PROCESSES, _rows(client, running, gaps))
        yield from gaps


def _rows(client: EngineClient, running: Sequence[ListedContainer], gaps: list[Gap]) -> Iterator[Mapping[str, object]]:
    foreign: list[str] = []
    closed: list[str] = []
    for seen in look_at_each(running, lambda each: _look(client, each)):
        if isinstance(seen, Gap):
            gaps.append(seen)
            continue
        if any(row.get("threads") is not None and "open_files_limit" not in row for row in seen):
            foreign.append(str(seen[0]["name"]))
        # a process that has ended and is not yet waited for holds no memory and tells nothing
        elif any(row["rss_bytes"] and None in (row.get("open_files"), row.get("pss_bytes")) for row in seen):
            closed.append(str(seen[0]["name"]))
        yield from seen
    if foreign:
        gaps.append(Gap(f"the processes of {', '.join(foreign)} {_FOREIGN} are not known"))
    if closed:
        gaps.append(Gap(f"descriptors or shares of memory of {', '.join(closed)} may not be read: run irkit as root"))


def _look(client: EngineClient, each: ListedContainer) -> list[dict[str, object]]:
    rows = []
    for process in _top(client, each):
        row: dict[str, object] = {"at": utc_now(), "service": each.service, "name": each.name, **process}
        row["garbage_collection"] = _NO_AGENT
        pid = process["pid"]
        if isinstance(pid, int) and procfs.in_container(pid, each.id):
            try:
                figures = asdict(procfs.process(pid))
            except OSError:
                continue  # it ended between the two looks
            row |= {name: value for name, value in figures.items() if value is not None or name not in row}
            row |= _collections(pid)
        rows.append(row)
    return rows


def _collections(pid: int) -> dict[str, object]:
    """Return what the process's own agent says of its collections of garbage, or why nothing is known of them."""
    try:
        told = gc_figures(pid)
    except IrkitError as error:
        return {"garbage_collection": f"not known: {error}"}
    if told is None:
        return {}
    said = f"{count(told.collections, 'collection')}, {seconds(told.pause_s)} in all, {seconds(told.longest_s)} at most"
    return {
        "garbage_collection": said,
        "gc_collections": told.collections,
        "gc_pause_s": told.pause_s,
        "gc_longest_s": told.longest_s,
        "gc_over_s": told.over_s,
    }


def _top(client: EngineClient, each: ListedContainer) -> Iterator[dict[str, object]]:
    """Yield the engine's list of a container's processes; the `ps` of its machine may not know our columns."""
    path = f"/containers/{each.id}/top"
    try:
        found: Mapping[str, Any] = get(client, path, {"ps_args": _PS}).json()
    except APIError as error:
        if error.status_code != 500:  # noqa: PLR2004 (what the engine answers when ps fails)
            raise
        found = get(client, path).json()
    titles = [str(title).upper() for title in found.get("Titles") or ()]
    for cells in found.get("Processes") or ():
        named = dict(zip(titles, cells, strict=False))
        rss_kib = _number(named.get("RSS"))
        yield {
            "pid": _number(named.get("PID")),
            "parent_pid": _number(named.get("PPID")),
            "command": named.get("COMMAND"),
            "rss_bytes": None if rss_kib is None else rss_kib * _KIB,
            "threads": _number(named.get("NLWP")),
        }


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None
