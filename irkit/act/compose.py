"""The compose project as actions change it: its containers through the Engine, `docker compose` or `docker-compose`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.act.contract import ActError, in_our_words
from irkit.docker.containers import ListedContainer
from irkit.errors import InputError
from irkit.settings import DockerTarget
from irkit.text.phrase import count, listing, were

# what speaks with the Engine is dear to load, and a list of what can be done speaks with nobody
if TYPE_CHECKING:
    from irkit.docker.engine import EngineClient

_LABEL = "com.docker.compose"
_TIMEOUT_S = 120.0
# Docker's own, where neither the image nor the compose file sets another
_GRACE_S = 10


@dataclass(frozen=True, slots=True)
class Member:
    """One container of the project, and what the Engine knows of it."""

    listed: ListedContainer
    details: Mapping[str, Any]

    @property
    def service(self) -> str:
        return self.listed.service

    @property
    def name(self) -> str:
        return self.listed.name

    @property
    def state(self) -> str:
        state = self.details.get("State") or {}
        health = (state.get("Health") or {}).get("Status")
        said = str(state.get("Status") or "unknown")
        if said == "exited":
            return f"exited, code {state.get('ExitCode')}"
        return f"{said}, {health}" if health else said

    @property
    def restarts(self) -> int:
        """How often the Engine itself started it again since somebody did by hand."""
        return int(self.details.get("RestartCount") or 0)

    @property
    def running(self) -> bool:
        return bool((self.details.get("State") or {}).get("Running"))

    @property
    def grace_s(self) -> int:
        """How long the container may take to end before it is killed."""
        return int((self.details.get("Config") or {}).get("StopTimeout") or _GRACE_S)

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing starts it again."""
        state = self.details.get("State") or {}
        policy = ((self.details.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no"
        return state.get("Status") in {"exited", "dead"} and policy == "no"

    @property
    def fixed_ports(self) -> tuple[str, ...]:
        """The ports of the host that this container has for itself."""
        bindings = (self.details.get("HostConfig") or {}).get("PortBindings") or {}
        ports = (each.get("HostPort") for bound in bindings.values() for each in bound or ())
        return tuple(sorted({port for port in ports if port and port != "0"}))

    def label(self, name: str) -> str:
        labels = (self.details.get("Config") or {}).get("Labels") or {}
        return str(labels.get(f"{_LABEL}.{name}") or "")


@contextmanager
def engine(target: DockerTarget) -> Iterator[EngineClient]:
    """Connect to the Docker Engine; whatever it refuses is a sentence.

    Raises:
        ActError: it does not answer, may not be used, or answers with an error.
    """
    import requests
    from docker.errors import APIError

    from irkit.docker.engine import connected

    try:
        with in_our_words(), connected(target) as client:
            yield client
    except (APIError, requests.RequestException) as error:
        raise ActError(f"the Docker Engine answers: {getattr(error, 'explanation', None) or error}") from None


def members(client: EngineClient, target: DockerTarget, service: str = "") -> list[Member]:
    """Return the project's containers, of one service where it is named.

    Raises:
        InputError: there are others, and none of that service; the hint names the nearest.
        ActError: there is none at all, or they are of several projects: to look at all is no harm where nobody says
            which is meant, to change all is.
    """
    from irkit.docker.engine import inspect, our_containers

    listed, _ = our_containers(client, target)
    chosen = [one for one in listed if service in {"", one.service, one.name}]
    if not chosen:
        services = sorted({one.service for one in listed})
        near = get_close_matches(service, services, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(services)}"
        sentence = f"no container of {target} is of a service {service!r}"
        if services:  # a slip of the keyboard: nothing was tried
            raise InputError(sentence, hint=hint)
        raise ActError(sentence, hint="`docker-compose ps --all` shows what there is")
    _refuse_several(chosen, target, service)
    return [Member(one, inspect(client, one)) for one in chosen]


def all_members(client: EngineClient, target: DockerTarget) -> list[Member]:
    """Return all containers the target may mean, of whichever project: to look at, not to change."""
    from irkit.docker.engine import inspect, our_containers

    return [Member(one, inspect(client, one)) for one in our_containers(client, target)[0]]


def _refuse_several(chosen: Sequence[ListedContainer], target: DockerTarget, service: str) -> None:
    projects = sorted({one.project or "" for one in chosen})
    if len(projects) > 1:
        named = [one for one in projects if one]
        what = f"service {service} runs" if service else "containers run"
        reason = f"{what} in {count(len(projects), 'project')} here ({listing(named)}), and nobody says which is meant"
        raise ActError(reason, hint=f'set [docker] project = "{named[0]}" in irkit.toml')
    if projects == [""] and not (service or target.project or target.services):
        reason = "no container here was made by compose, so nobody knows which of them belong together"
        raise ActError(reason, hint='name them in irkit.toml: [docker] services = ["NAME", "NAME"]')


def in_turn(names: Mapping[str, str], do: Callable[[str], object], *, done: str) -> None:
    """Do something to containers one after the other; `names` has each one's name by its id.

    Raises:
        ActError: the Engine refuses one; the sentence says which, what was done by then, and what was left.
    """
    import requests
    from docker.errors import APIError

    waiting = list(names.values())
    for place, (identity, name) in enumerate(names.items()):
        try:
            do(identity)
        except (APIError, requests.RequestException) as error:
            said = [f"{name}: the Docker Engine answers: {getattr(error, 'explanation', None) or error}"]
            said += [f"{listing(waiting[:place])} {were(place)} {done} by then"] if place else []
            left = waiting[place + 1 :]
            said += (
                [f"{listing(left)} {were(len(left))} left as {'it was' if len(left) == 1 else 'they were'}"]
                if left
                else []
            )
            raise ActError("; ".join(said)) from None


def why_hopeless(target: DockerTarget, service: str) -> str:
    """Say which containers of a service have ended for good, where all have; "" while one may still come up."""
    with engine(target) as client:
        found = members(client, target, service)
    return "; ".join(f"{one.name} is {one.state}" for one in found) if all(one.is_over for one in found) else ""


def command() -> tuple[str, ...]:
    """Return how compose is called here: the v2 plug-in where it is there, else the v1 program.

    Raises:
        ActError: neither is installed.
    """
    if shutil.which("docker"):
        plugin = ["docker", "compose", "version"]
        asked = subprocess.run(plugin, capture_output=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603 (fixed words)
        if asked.returncode == 0:
            return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise ActError(
        "neither the `docker compose` plug-in nor `docker-compose` is installed here",
        hint="install one of them, or do it by hand where the project was started",
    )


def project_command(member: Member) -> tuple[str, ...]:
    """Return the start of a compose command for the project a container is of, from the folder it was started in.

    Raises:
        ActError: compose did not make it, its folder is not on this machine, or compose is not installed.
    """
    project, folder = member.label("project"), member.label("project.working_dir")
    if not project:
        raise ActError(f"{member.name} was not made by docker-compose", hint="do it by the tool that made it")
    if not folder or not Path(folder).is_dir():
        where = f"was started in {folder}, which is" if folder else "says not where it was started, so its files are"
        raise ActError(f"the project {project} {where} not on this machine", hint="run irkit where it is")
    files = [Path(folder, each) for each in member.label("project.config_files").split(",") if each]
    named = [word for each in files if each.is_file() for word in ("-f", str(each))]
    return (*command(), "--project-name", project, "--project-directory", folder, *named)


def run(argv: Sequence[str]) -> str:
    """Run a compose command to its end and return what it printed.

    Raises:
        ActError: it failed or did not end in two minutes; the sentence has its last words.
    """
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ActError(f"`{' '.join(argv)}` did not end: {error}") from None
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise ActError(f"`{' '.join(argv)}` failed: {last[0] if last else f'exit code {ended.returncode}'}")
    return ended.stdout


def configuration(member: Member) -> Mapping[str, Any]:
    """Return the project's own configuration as compose reads it; empty where compose cannot be asked."""
    import yaml

    try:
        found = yaml.safe_load(run((*project_command(member), "config")))
    except (ActError, yaml.YAMLError):
        return {}
    return found if isinstance(found, Mapping) else {}


def publishes_a_range(configured: Mapping[str, Any], service: str) -> bool:
    """Say whether a service may have several containers, by a range of host ports: `8000-8010:8000`."""
    ports = ((configured.get("services") or {}).get(service) or {}).get("ports") or []
    published = [
        str(one.get("published", "") if isinstance(one, Mapping) else str(one).rpartition(":")[0]) for one in ports
    ]
    return bool(published) and all("-" in one or one in {"", "0"} for one in published)


def stop_order(found: Sequence[Member], configured: Mapping[str, Any]) -> list[Member]:
    """Return containers in the order to stop them: who depends on others first; else in the order of their names."""
    services = {one.service for one in found}
    needs = {one.service: _needs(one, configured) & services for one in found}
    ordered: list[str] = []
    left = dict(sorted(needs.items()))
    while left:
        # a service that nobody left depends on; where they wait for each other, the first by name
        free = [name for name in left if not any(name in wanted for other, wanted in left.items() if other != name)]
        chosen = free or [next(iter(left))]
        ordered += chosen
        left = {name: wanted for name, wanted in left.items() if name not in chosen}
    return sorted(found, key=lambda one: (ordered.index(one.service), one.name))


def _needs(member: Member, configured: Mapping[str, Any]) -> set[str]:
    labelled = {part.partition(":")[0] for part in member.label("depends_on").split(",") if part}
    said = ((configured.get("services") or {}).get(member.service) or {}).get("depends_on") or ()
    return labelled | set(said)
