"""Which containers are ours, read from the Engine's list; without the Docker library, which is dear to load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from irkit.collect.contract import Gap, Unreachable
from irkit.settings import DockerTarget

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
# what compose takes for a service's name
_SERVICE = re.compile(r"[a-zA-Z0-9._-]+")
_ONEOFF_LABEL = "com.docker.compose.oneoff"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """One container as the Engine lists it; `service` is its name where compose did not make it."""

    id: str
    name: str
    service: str
    project: str | None
    state: str
    network_mode: str = ""

    def __str__(self) -> str:
        return f"container {self.name}"


def choose(entries: Iterable[Mapping[str, Any]], target: DockerTarget) -> tuple[list[ListedContainer], list[Gap]]:
    """Choose the target's containers, by service and name, with a gap for each service that has none.

    Compose labels decide, v1 and v2 alike; one-off containers (`run`) are left out as compose itself does. A target
    without project and services means all compose containers, or simply all where compose made none.

    Raises:
        Unreachable: there is no such container.
    """
    listed = [(_listed(entry), _labels(entry)) for entry in entries]
    ours = sorted(
        (each for each, labels in listed if is_ours(each, labels, target)), key=lambda each: (each.service, each.name)
    )
    if not (target.project or target.services):
        ours = [each for each in ours if each.project] or ours
    if not ours:
        raise _nothing_of_ours(target, [each for each, _ in listed])
    missing = sorted(set(target.services) - {each.service for each in ours})
    return ours, [Gap(f"service {service} has no container") for service in missing]


def is_ours(each: ListedContainer, labels: Mapping[str, str], target: DockerTarget) -> bool:
    """Whether a container is of the target's project and services, as far as these are given."""
    if labels.get(_ONEOFF_LABEL, "").lower() == "true":
        return False
    if target.project and each.project != target.project:
        return False
    return not target.services or each.service in target.services


def listed_by_labels(
    identity: str, name: str, labels: Mapping[str, str], state: str = "", network_mode: str = ""
) -> ListedContainer:
    """Name a container by its compose labels, as found in a listing or on an event.

    A label may hold anything, also what no service can be called: an image brings its own. Such a one names nothing.
    """
    project, service = labels.get(PROJECT_LABEL), labels.get(SERVICE_LABEL, "")
    named = service if _SERVICE.fullmatch(service) else name
    return ListedContainer(identity, name, named, project, state, network_mode)


def parse_time(text: str | None) -> datetime | None:
    """Read the Engine's RFC 3339 time with nanoseconds as aware UTC, cut to microseconds.

    None stands for what never happened, which Go writes as the year 1, and for what is no time at all.
    """
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at.astimezone(UTC) if at.year > 1 and at.tzinfo else None


def _listed(entry: Mapping[str, Any]) -> ListedContainer:
    identity = str(entry["Id"])
    # links add further names with a second slash
    names = sorted(entry.get("Names") or [identity[:12]], key=lambda name: name.count("/"))
    network_mode = str((entry.get("HostConfig") or {}).get("NetworkMode", ""))
    return listed_by_labels(identity, names[0].lstrip("/"), _labels(entry), str(entry.get("State", "")), network_mode)


def _labels(entry: Mapping[str, Any]) -> Mapping[str, str]:
    return entry.get("Labels") or {}


def _nothing_of_ours(target: DockerTarget, listed: Sequence[ListedContainer]) -> Unreachable:
    wanted = [f"project {target.project}"] if target.project else []
    wanted += [f"service {service}" for service in target.services]
    if not wanted:
        return Unreachable("the Docker Engine has no containers", hint="start the service, or check DOCKER_HOST")
    projects = sorted({each.project for each in listed if each.project})
    shown = ", ".join(projects[:_SHOWN]) + (", …" if len(projects) > _SHOWN else "")
    hint = f"compose projects here: {shown}" if projects else "no container here was made by compose"
    return Unreachable(f"the Docker Engine has no container of {', '.join(wanted)}", hint=hint)
