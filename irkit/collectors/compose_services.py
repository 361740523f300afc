"""The service's containers as the Docker Engine holds them: state, health, exit codes, limits, mounts, images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from docker.errors import APIError
from docker.utils import parse_repository_tag

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Table, collector
from irkit.docker.containers import ListedContainer, parse_time
from irkit.docker.engine import EngineClient, connected, get, inspect, look_at_each, our_containers
from irkit.model import Window
from irkit.settings import DockerTarget

CONTAINERS: Mapping[str, ColumnType] = {
    "service": "string",
    "name": "string",
    "container_id": "string",
    "image": "string",
    "image_digest": "string",
    "state": "string",
    "health": "string",
    "health_failing_streak": "int",
    "exit_code": "int",
    "oom_killed": "bool",
    "restart_count": "int",
    "restart_policy": "string",
    "started_at": "time",
    "finished_at": "time",
    "created_at": "time",
    "error": "string",
    "tty": "bool",
    "log_driver": "string",
    "memory_limit_bytes": "int",
    "cpu_limit_cores": "float",
    "pids_limit": "int",
    "ports": "string",
    "project": "string",
}
CONTAINER_HEALTH: Mapping[str, ColumnType] = {
    "service": "string",
    "name": "string",
    "started_at": "time",
    "ended_at": "time",
    "exit_code": "int",
    "output": "string",
}
CONTAINER_MOUNTS: Mapping[str, ColumnType] = {
    "service": "string",
    "name": "string",
    "type": "string",
    "source": "string",
    "destination": "string",
    "read_only": "bool",
}
CONTAINER_ENVIRONMENT: Mapping[str, ColumnType] = {"service": "string", "name": "string", "variable": "string"}
RowsOf = Callable[[Mapping[str, Any]], Iterator[Mapping[str, object]]]
# the kernel's default, in effect where only a quota was given
_CPU_PERIOD_US = 100_000


@collector(
    "compose-services",
    target="docker",
    provides=("containers", "container_health", "container_mounts", "container_environment"),
    cost=2,
    command="docker-compose ps",
)
def collect(target: DockerTarget, window: Window, limits: Limits = USUAL) -> Iterator[Piece]:  # noqa: ARG001 (a state has no window)
    """Shows which containers run, which died and how, and which are unhealthy.

    Yields one row of `containers` for each container, one of `container_health` for each of its latest health checks
    (the Engine keeps five), one of `container_mounts` for each file system put into it, and one of
    `container_environment` for each variable's name: no value of one is ever read out. `exit_code` is None while a
    container runs and where none ever ran; a limit is None where there is none.

    Raises:
        Unreachable: no Engine answers, or it has no such containers.
        Refused: the Engine may not be asked.
    """
    with connected(target, limits) as client:
        ours, gaps = our_containers(client, target)
        inspected: list[tuple[ListedContainer, Mapping[str, Any]]] = []

        def of_each(rows_of: RowsOf) -> Iterator[Mapping[str, object]]:
            for each, details in inspected:
                for row in rows_of(details):
                    yield {"service": each.service, "name": each.name, **row}

        yield Table("containers", CONTAINERS, _rows(client, ours, inspected, gaps))
        yield Table("container_health", CONTAINER_HEALTH, of_each(_health_rows))
        yield Table("container_mounts", CONTAINER_MOUNTS, of_each(_mount_rows))
        yield Table("container_environment", CONTAINER_ENVIRONMENT, of_each(_variable_rows))
        yield from gaps


def _rows(
    client: EngineClient,
    ours: Sequence[ListedContainer],
    inspected: list[tuple[ListedContainer, Mapping[str, Any]]],
    gaps: list[Gap],
) -> Iterator[Mapping[str, object]]:
    digest_of = _digests(client)

    def look(each: ListedContainer) -> tuple[ListedContainer, Mapping[str, Any], str]:
        details = inspect(client, each)
        return each, details, digest_of(str(details["Image"]), str(details["Config"]["Image"]))

    for seen in look_at_each(ours, look):
        if isinstance(seen, Gap):
            gaps.append(seen)
            continue
        each, details, digest = seen
        inspected.append((each, details))
        yield {**_row(each, details), "image_digest": digest}


def _row(each: ListedContainer, details: Mapping[str, Any]) -> Mapping[str, object]:
    state, host = details["State"], details["HostConfig"]
    check = state.get("Health") or {}
    return {
        "service": each.service,
        "name": each.name,
        "container_id": each.id,
        "image": details["Config"]["Image"],
        "state": state["Status"],
        "health": check.get("Status") or "none",
        "health_failing_streak": check.get("FailingStreak"),
        "exit_code": _exit_code(state),
        "oom_killed": state.get("OOMKilled"),
        "restart_count": details.get("RestartCount"),
        "restart_policy": _restart_policy(host.get("RestartPolicy") or {}),
        "started_at": parse_time(state.get("StartedAt")),
        "finished_at": parse_time(state.get("FinishedAt")),
        "created_at": parse_time(details.get("Created")),
        "error": state.get("Error") or None,
        "tty": details["Config"].get("Tty"),
        "log_driver": (host.get("LogConfig") or {}).get("Type"),
        "memory_limit_bytes": host.get("Memory") or None,
        "cpu_limit_cores": _cpu_limit_cores(host),
        "pids_limit": host.get("PidsLimit") if (host.get("PidsLimit") or 0) > 0 else None,
        "ports": _ports((details.get("NetworkSettings") or {}).get("Ports") or host.get("PortBindings") or {}),
        "project": each.project,
    }


def _exit_code(state: Mapping[str, Any]) -> int | None:
    """The code of the last run that ended; the Engine says 0 also of what runs now and of what never ran.

    While it waits between two restarts a container counts as running, yet its last run ended. One that could not be
    started (no such command: 127) has a code though it never ran.
    """
    code = int(state["ExitCode"])
    if state["Running"] and not state.get("Restarting"):
        return None
    never_ran = parse_time(state.get("StartedAt")) is None
    return None if never_ran and code == 0 else code


def _restart_policy(policy: Mapping[str, Any]) -> str:
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount")
    return f"{name}:{most}" if most else name


def _ports(bindings: Mapping[str, Sequence[Mapping[str, str]] | None]) -> str | None:
    """Write ports as `docker ps` does: `127.0.0.1:8000->8000/tcp, [::]:8000->8000/tcp, 6379/tcp`."""
    shown = []
    for port, published in bindings.items():
        shown += [f"{_address(each)}->{port}" for each in published or ()] or [port]
    return ", ".join(shown) or None


def _address(published: Mapping[str, str]) -> str:
    host = published.get("HostIp") or "0.0.0.0"  # noqa: S104 (what the Engine binds when told nothing)
    return f"[{host}]:{published.get('HostPort')}" if ":" in host else f"{host}:{published.get('HostPort')}"


def _cpu_limit_cores(host: Mapping[str, Any]) -> float | None:
    """The limit as `--cpus` gives it, or as a share of a period, which older compose files and engines write."""
    if nano := host.get("NanoCpus"):
        return float(nano / 10**9)
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or _CPU_PERIOD_US
    return quota / period if quota > 0 else None


def _health_rows(details: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    for check in (details["State"].get("Health") or {}).get("Log") or ():
        yield {
            "started_at": parse_time(check.get("Start")),
            "ended_at": parse_time(check.get("End")),
            "exit_code": check.get("ExitCode"),
            "output": check.get("Output"),
        }


def _mount_rows(details: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    for mount in details.get("Mounts") or ():
        yield {
            "type": mount.get("Type"),
            # a volume is known by its name; where the Engine keeps it is the Engine's business
            "source": mount.get("Name") or mount.get("Source") or None,
            "destination": mount.get("Destination"),
            "read_only": not mount["RW"] if "RW" in mount else None,
        }
    for destination, options in (details["HostConfig"].get("Tmpfs") or {}).items():
        yield {
            "type": "tmpfs",
            "source": None,
            "destination": destination,
            "read_only": "ro" in options.split(","),
        }


def _variable_rows(details: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    for entry in details["Config"].get("Env") or ():
        yield {"variable": entry.partition("=")[0]}


def _digests(client: EngineClient) -> Callable[[str, str], str]:
    """Return a function from image id and name to the digest a registry knows, else the image id itself."""

    @cache
    def digest_of(image_id: str, name: str) -> str:
        try:
            digests: list[str] = get(client, f"/images/{image_id}/json").json().get("RepoDigests") or []
        except APIError:
            return image_id
        repository, _ = parse_repository_tag(name)
        own = [digest for digest in digests if digest.partition("@")[0] == repository]
        return (own or digests or [image_id])[0]

    return digest_of
