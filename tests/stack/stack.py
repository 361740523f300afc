"""The stack under test as an object: up, traffic, break, repair, down."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from .app.faults import switch
from .engine import Images, StackError, wait_until

API_SERVICE = "jarvis-api"
PYTHON_SERVICES = (API_SERVICE, "provider-alpha", "provider-beta")
_SOURCE = Path(__file__).parent
_PORT_ATTEMPTS = 3
_REQUESTS: tuple[tuple[str, str, Mapping[str, str] | None], ...] = (
    ("POST", "/api/chat", {"message": "hello", "provider": "provider-alpha"}),
    ("GET", "/api/dashboard", None),
    ("POST", "/api/chat", {"message": "hello again", "provider": "provider-beta"}),
    ("GET", "/api/health", None),
)


@dataclass(frozen=True)
class Reply:
    """What a client saw: the HTTP status and JSON body, or status 0 when no answer came."""

    status: int
    body: Mapping[str, Any]


# Faults from outside the containers; what they stop or pause, repair() starts again.
OUTSIDE_FAULTS: dict[str, Callable[[Stack], None]] = {
    "redis-down": lambda stack: stack.container("redis").kill(),
    "redis-hangs": lambda stack: stack.container("redis").pause(),
    "api-paused": lambda stack: stack.container(API_SERVICE).pause(),
}


class Stack:
    """One running copy of the compose project, all of its files in `directory`, ports on 127.0.0.1 only.

    The directory holds an irkit.toml that points at this copy, so irkit run there finds it. `project` is unique
    unless given, so that several copies can run side by side. `restart` is the restart policy of the Python
    services: `no` leaves a crashed container to be looked at, `on-failure` makes a crash loop. `environment` holds
    other variables of the compose file.
    """

    def __init__(
        self,
        directory: Path,
        images: Images,
        *,
        project: str | None = None,
        restart: str = "no",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.project = project or f"jarvis{uuid.uuid4().hex[:8]}"
        self._client = docker.from_env()
        self._images = images
        self._restart = restart
        self._environment = environment or {}
        self._api_port = 0
        self.redis_port = 0

    @property
    def url(self) -> str:
        """The API's base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def redis_url(self) -> str:
        """The Redis URL."""
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def database_path(self) -> Path:
        """The API's live SQLite file."""
        return self.directory / "data" / "jarvis.db"

    def up(self) -> None:
        """Write the project into its directory, start it and wait until it is healthy; raises StackError."""
        for folder in ("control", "data"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        shutil.copytree(_SOURCE / "app", self.directory / "app", ignore=shutil.ignore_patterns("__pycache__"))
        self._switch([])
        shutil.copy(_SOURCE / "docker-compose.yml", self.directory)
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._write_settings()
            try:
                self.compose("up", "--detach")
                break
            except StackError as error:  # a port may be taken between finding it free and using it
                if attempt == _PORT_ATTEMPTS or "port is already allocated" not in str(error):
                    raise
        self._wait_until_healthy()

    def down(self) -> None:
        """Remove the containers and the network; the directory stays, and the object is of no more use."""
        self.compose("down", "--timeout", "0", "--remove-orphans")
        self._client.close()

    def compose(self, *arguments: str) -> str:
        """The output of a compose command in the project's directory; raises StackError with its complaint."""
        command = [*compose_command(), "--ansi", "never", *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"{' '.join(command)} failed with {done.returncode}: {done.stderr.strip()}"
            raise StackError(message)
        return done.stdout

    def container(self, service: str) -> Container:
        """The Engine API's view of one service's container, as it is now."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        found = self._client.containers.list(all=True, filters={"label": labels})
        if len(found) != 1:
            message = f"{len(found)} containers of service {service} in project {self.project}, expected one"
            raise StackError(message)
        return found[0]

    def count(self, service: str) -> int:
        """How many containers of one service run."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return len(self._client.containers.list(filters={"label": labels, "status": "running"}))

    def exit_code(self, service: str = API_SERVICE) -> int | None:
        """The exit code of a service's container, None while it runs."""
        state = self.container(service).attrs["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def logs(self, service: str = API_SERVICE) -> str:
        """Both output streams of a service so far."""
        return self.container(service).logs().decode(errors="replace")

    def events(self, since: datetime) -> list[dict[str, Any]]:
        """What the Engine told of this project's containers since then."""
        filters = {"type": "container", "label": f"com.docker.compose.project={self.project}"}
        until = datetime.now(UTC).timestamp()
        return list(self._client.events(since=since.timestamp(), until=until, filters=filters, decode=True))

    def request(self, method: str, path: str, body: object = None, timeout_s: float = 5.0) -> Reply:
        """One request to the API; a connection that fails or an answer that stays out gives status 0."""
        connection = http.client.HTTPConnection("127.0.0.1", self._api_port, timeout=timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return Reply(response.status, json.load(response))
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, {"error": str(error)})
        finally:
            connection.close()

    def health(self) -> Reply:
        """The answer of /api/health."""
        return self.request("GET", "/api/health")

    def traffic(self, requests: int, timeout_s: float = 5.0) -> Counter[int]:
        """Send that many requests, chats, dashboards and health checks in turn; count the statuses."""
        sent = (_REQUESTS[number % len(_REQUESTS)] for number in range(requests))
        return Counter(self.request(*request, timeout_s).status for request in sent)

    @contextmanager
    def steady_traffic(self, pause_s: float = 0.25) -> Iterator[None]:
        """The same traffic in the background, one request every `pause_s` seconds, for as long as the block runs."""
        over = threading.Event()

        def send() -> None:
            number = 0
            while not over.wait(pause_s):
                self.request(*_REQUESTS[number % len(_REQUESTS)])
                number += 1

        thread = threading.Thread(target=send, name="traffic")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def break_with(self, *names: str) -> None:
        """Switch the named faults on, in place of those of before, and wait until they are in force.

        A name is a word of the control file, `fault[=amount][@service]`, or one of `OUTSIDE_FAULTS`; raises KeyError
        for one that is neither.
        """
        inside = [switch(name) for name in names if name not in OUTSIDE_FAULTS]
        started_at = {each.service: self._started_at(each.service) for each in inside}
        self._switch([each.text for each in inside])
        for each in inside:
            if each.fault.ends_process:
                self._wait_until_ended(each.service, started_at[each.service])
            else:
                self._wait_in_force(each.service, [other.text for other in inside if other.service == each.service])
        for name in names:
            if name in OUTSIDE_FAULTS:
                OUTSIDE_FAULTS[name](self)

    def repair(self) -> None:
        """Switch all faults off, start what is stopped or paused, and wait until the stack is healthy."""
        self._switch([])
        for service in ("redis", *reversed(PYTHON_SERVICES)):
            container = self.container(service)
            if container.status == "paused":
                container.unpause()
            elif container.status != "running":  # restart, as start refuses one in a crash loop
                container.restart(timeout=0)
        self._wait_until_healthy()

    def undo(self) -> None:
        """Switch all faults off, and leave it to others to start what has ended."""
        self._switch([])

    @contextmanager
    def broken(self, *names: str) -> Iterator[None]:
        """The stack broken for the block and repaired after it."""
        try:
            self.break_with(*names)
            yield
        finally:
            self.repair()

    def _switch(self, names: list[str]) -> None:
        draft = self.directory / "control" / "faults.draft"
        draft.write_text("\n".join(names))
        draft.replace(draft.with_suffix(""))

    def _wait_in_force(self, service: str, names: list[str]) -> None:
        path = self.directory / "control" / f"in-force.{service}"
        self._wait(lambda: path.exists() and sorted(path.read_text().split()) == sorted(names), f"{names} in {service}")

    def _started_at(self, service: str) -> str:
        return str(self.container(service).attrs["State"]["StartedAt"])

    def _wait_until_ended(self, service: str, started_at: str) -> None:
        def ended() -> bool:
            return self.container(service).status != "running" or self._started_at(service) != started_at

        self._wait(ended, f"the process of {service} ended")

    def _wait_until_healthy(self) -> None:
        self._wait(lambda: self.health().status == 200, "/api/health answers 200")
        for service in PYTHON_SERVICES:
            self._wait_in_force(service, [])
        self._wait(
            lambda: self.container(API_SERVICE).attrs["State"]["Health"]["Status"] == "healthy",
            "Docker calls it healthy",
        )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, what)
        except StackError as error:
            checks = self.container(API_SERVICE).attrs["State"]["Health"]["Log"]
            message = f"{error}\n{self.compose('ps')}\n{self.compose('logs', '--tail=30')}\n{checks[-1:]}"
            raise StackError(message) from error

    def _write_settings(self) -> None:
        self._api_port, self.redis_port = _free_ports(2)
        settings = {
            "COMPOSE_PROJECT_NAME": self.project,
            "PYTHON_IMAGE": self._images.python,
            "REDIS_IMAGE": self._images.redis,
            "STACK_USER": f"{os.getuid()}:{os.getgid()}",
            "STACK_RESTART": self._restart,
            "API_PORT": self._api_port,
            "REDIS_PORT": self.redis_port,
            **self._environment,
        }
        (self.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (self.directory / "irkit.toml").write_text(
            f'[docker]\nproject = "{self.project}"\n\n'
            f'[http]\nhealth_url = "{self.url}/api/health"\n\n'
            f'[redis]\nurl = "{self.redis_url}"\n\n'
            f'[sqlite]\npath = "{self.database_path.relative_to(self.directory)}"\n'
        )


@contextmanager
def running_stack(
    directory: Path,
    images: Images,
    *,
    restart: str = "no",
    project: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """A healthy stack in `directory` for the block, removed after it; see Stack for the options."""
    stack = Stack(directory, images, restart=restart, project=project, environment=environment)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@cache
def compose_command() -> tuple[str, ...]:
    """The compose of this machine: the v2 plug-in if there is one, else v1; raises StackError without either."""
    plug_in = ("docker", "compose")
    if (
        shutil.which("docker")
        and subprocess.run([*plug_in, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plug_in
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    message = "neither `docker compose` nor `docker-compose` is installed; install Debian's docker-compose"
    raise StackError(message)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
