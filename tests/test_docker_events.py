"""What an Engine that was started anew remembers: an Engine of our own, in a network of its own, restarted for real."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit import docker_events
from irkit.docker_engine import connected
from irkit.docker_events import remembered_events
from irkit.settings import DockerTarget
from tests.stack.engine import wait_until

DOCKERD = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: those of the daemon's own sockets grow long."""
    with tempfile.TemporaryDirectory(prefix="irkit-") as path:
        yield Path(path)


@contextmanager
def engine(folder: Path) -> Iterator[DockerTarget]:
    """A daemon on this folder until the block ends; its network is its own, so that no other daemon's is touched."""
    if DOCKERD is None or os.geteuid() != 0:
        pytest.skip("needs root and Debian's docker.io: it starts an Engine of its own")
    host = f"unix://{folder}/docker.sock"
    options = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    options += ["-H", host, "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]
    with (folder / "log").open("ab") as log:
        daemon = subprocess.Popen(["unshare", "--net", DOCKERD, *options], stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(folder / "docker.sock"), "the Engine of our own answers", 60.0)
        yield DockerTarget(host=host)
    finally:
        daemon.terminate()
        daemon.wait(30)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 OK" in probe.recv(4096)
    return False


def test_a_daemon_started_within_the_window_has_forgotten_what_was_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = datetime.now(UTC)
    with engine(folder):
        pass
    restarting = datetime.now(UTC)
    with engine(folder) as target:
        with connected(target) as client:
            remembered = remembered_events(client, target)
            # where the daemon's process is not to be seen, its default network tells about as much
            monkeypatch.setattr(docker_events, "local_socket", lambda _: None)
            from_network = remembered_events(client, target)
        after = datetime.now(UTC)
    for seen in (remembered, from_network):
        assert seen.since is not None
        assert restarting - timedelta(seconds=2) <= seen.since <= after
        gap = seen.gap(before)
        assert gap.startswith(f"events from {seen.since:%Y-%m-%d %H:%M:%S} UTC on; the Docker Engine was started then")
        assert seen.gap(after) == ""
