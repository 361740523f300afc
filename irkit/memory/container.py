"""Which process of a running container is meant, found by the container's name or by its compose service."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import SnapshotError
from irkit.memory.attach_target import refuse_unwalkable
from irkit.memory.snapshot import PROC, START, candidates, has_agent
from irkit.procfs import family
from irkit.settings import DockerTarget

if TYPE_CHECKING:
    from irkit.docker.engine import EngineClient


def pid_with_agent(name: str, target: DockerTarget, proc: Path = PROC) -> int:
    """Return the number, here, of the one process of a running container or service that has a memory agent.

    Raises:
        SnapshotError: the container cannot be looked up or into, none of its processes has one, or several have.
    """
    found = pids_of_container(name, target)
    having = [each for each in found if has_agent(each, proc)]
    if len(having) > 1:
        told = ", ".join(map(str, having))
        hint = "name one by --pid; `docker top` tells which is which"
        raise SnapshotError(f"{len(having)} processes of container {name} have a memory agent: {told}", hint=hint)
    if not having:
        candidates(found[0], proc)  # says so where it is but that we may not look
        refuse_unwalkable(found, proc)
        hint = f"irkit memory attach --container {name} puts one in for as long as a snapshot takes, and asks first"
        raise SnapshotError(f"no process of container {name} has a memory agent", hint=f"{hint}; or {START}")
    return having[0]


def pids_of_container(name: str, target: DockerTarget) -> list[int]:
    """Return the numbers, here, of a running container's first process and of those that descend from it.

    `name` is a container's name or id, or a compose service of the target that has one running container.

    Raises:
        SnapshotError: the Engine cannot be asked, knows neither, several are meant, or it does not run.
    """
    from irkit.collect.contract import Refused, Unreachable
    from irkit.docker.engine import connected

    try:
        with connected(target) as client:
            details = _details(client, name, target)
            pid = int(details["State"]["Pid"])
            listed: Any = client.top(details["Id"]) if pid else {}
    except (Refused, Unreachable) as error:
        raise SnapshotError(f"container {name} cannot be looked up: {error}", hint=error.hint) from error
    if not pid:
        raise SnapshotError(f"container {name} does not run", hint="`docker ps` lists those that do")
    titles = [str(title).upper() for title in listed.get("Titles") or ()]
    if not {"PID", "PPID"} <= set(titles):
        return [pid]
    at, above = titles.index("PID"), titles.index("PPID")
    parents = {int(cells[at]): int(cells[above]) for cells in listed.get("Processes") or ()}
    return family(pid, parents)


def _details(client: EngineClient, name: str, target: DockerTarget) -> Mapping[str, Any]:
    """Return what the Engine knows of the container of this name or, where there is none, of this service."""
    from docker.errors import NotFound

    from irkit.docker.engine import inspect, our_containers

    try:
        details: Mapping[str, Any] = client.inspect_container(name)
    except NotFound:
        ours, _ = our_containers(client, target)
    else:
        return details
    found = [each for each in ours if each.service == name]
    running = [each for each in found if each.state == "running"] or found
    if len(running) == 1:
        return inspect(client, running[0])
    if running:
        hint = f"name one of them: {', '.join(each.name for each in running)}"
        raise SnapshotError(f"service {name} has {len(running)} containers", hint=hint)
    known = sorted({word for each in ours for word in (each.service, each.name)})
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise SnapshotError(f"neither a container nor a service is named {name}", hint=hint)
