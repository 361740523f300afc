"""Containers in every state, each made on the real Engine for a test and removed after it."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
from docker import DockerClient
from docker.models.containers import Container

from irkit.collect.contract import CollectFunction, Piece
from irkit.model import Window
from irkit.settings import DockerTarget
from tests.collectors.materialise import materialise
from tests.stack.engine import wait_until

Rows = list[dict[str, Any]]


def python(code: str) -> list[str]:
    return ["python3", "-u", "-c", code]


SLEEP = python("import signal; signal.pause()")
LITTLE_BYTES = 16 * 1024 * 1024
# the Engine begins to listen for kills while a container starts, and misses one that comes before: so wait to be told
WAITS_FOR_GO = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
print('ready')
signal.sigwait([signal.SIGUSR2])
"""
STARVING = f"""{WAITS_FOR_GO}
signal.signal(signal.SIGUSR1, lambda *_: bytearray(2**28))
if os.fork() == 0:
    held = bytearray(2**28)
os.wait()
while True:
    signal.pause()
"""


class Lab:
    """One compose project of its own, so that what else runs on the Engine stays out of sight."""

    def __init__(self, client: DockerClient, image: str) -> None:
        self.client = client
        self.image = image
        self.project = f"lab{uuid.uuid4().hex[:8]}"
        self.target = DockerTarget(project=self.project)
        self._made: list[Container] = []

    def create(self, service: str, command: list[str], **options: Any) -> Container:  # noqa: ANN401
        """Make a container as Compose v2 names and labels it, and do not start it."""
        labels = {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": service,
            "com.docker.compose.oneoff": "False",
        }
        options = {"labels": labels, "name": f"{self.project}-{service}-1", "network_mode": "none", **options}
        container = self.client.containers.create(self.image, command, **options)
        self._made.append(container)
        return container

    def run(self, service: str, command: list[str], **options: Any) -> Container:  # noqa: ANN401
        container = self.create(service, command, **options)
        container.start()
        return container

    def finish(self, service: str, command: list[str], **options: Any) -> Container:  # noqa: ANN401
        """Run a container to its end."""
        container = self.run(service, command, **options)
        container.wait(timeout=30)
        return container

    def starve(self, service: str) -> Container:
        """Have the kernel kill a container's first process for want of memory, and the Engine know it.

        The Engine hears of the exit and of the kill on two ways, and a kill that it hears of second is never
        written into the state. So a child dies first, and the parent only once that kill has been heard of.
        """
        container = self.run(service, python(STARVING), mem_limit=LITTLE_BYTES, memswap_limit=LITTLE_BYTES)
        self.let_go(container)
        self.heard_of_kill(container)
        container.kill(signal="SIGUSR1")
        container.wait(timeout=30)
        return container

    def let_go(self, container: Container) -> None:
        """Tell a started container that waits for it (`WAITS_FOR_GO`) to go on."""
        wait_until(lambda: b"ready" in container.logs(), "the container is ready")
        container.kill(signal="SIGUSR2")

    def heard_of_kill(self, container: Container) -> None:
        """Wait until the Engine has told of a process of this container killed for want of memory."""
        wait_until(lambda: self._events(container, "oom"), "the Engine heard of the kill")

    def _events(self, container: Container, action: str) -> list[object]:
        now = datetime.now(UTC).timestamp()
        filters = {"container": container.id, "event": action}
        return list(self.client.events(since=0, until=now, filters=filters))

    def containers(self) -> list[Container]:
        """The project's containers as they are now."""
        found: list[Container] = self.client.containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self.project}"}
        )
        return found

    def shell(self, command: list[str], folder: Path) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def remove(self, containers: Iterable[Container]) -> None:
        each_at_once(lambda container: container.remove(force=True), containers)

    def clean(self) -> None:
        # others use this Engine, too, and their containers may go while they are listed
        left = {container.id for container in self.client.containers.list(all=True, ignore_removed=True)}
        self.remove(container for container in self._made if container.id in left)
        for volume in self.client.volumes.list(filters={"name": self.project}):
            volume.remove()


def each_at_once(call: Any, items: Iterable[Any]) -> None:  # noqa: ANN401
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, items))


def recent() -> Window:
    now = datetime.now(UTC)
    return Window(now - timedelta(minutes=10), now + timedelta(minutes=1))


def gathered(collect: CollectFunction, target: DockerTarget, window: Window) -> tuple[dict[str, Rows], list[str]]:
    """The rows of each kind and the reasons of the gaps; raises what the collector raises."""
    return taken(collect(target, window))


def taken(pieces: Iterator[Piece]) -> tuple[dict[str, Rows], list[str]]:
    made = materialise(lambda *_: pieces, None)
    if made.raised:
        raise made.raised
    return made.tables, made.gaps


@contextmanager
def empty_lab(image: str) -> Iterator[Lab]:
    """An empty compose project on the real Engine; nothing of it is left afterwards."""
    with closing(docker.from_env()) as client:
        made = Lab(client, image)
        try:
            yield made
        finally:
            made.clean()
