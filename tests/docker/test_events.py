"""What an Engine that was started anew remembers: an Engine of our own, in a network of its own, restarted for real."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.docker import events as docker_events
from irkit.docker.engine import connected
from irkit.docker.events import remembered_events
from irkit.settings import DockerTarget
from tests.stack.engine import own_engine


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: those of the daemon's own sockets grow long."""
    with tempfile.TemporaryDirectory(prefix="irkit-") as path:
        yield Path(path)


def test_a_daemon_started_within_the_window_has_forgotten_what_was_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    with own_engine(folder):
        pass
    restarting = datetime.now(UTC)
    with own_engine(folder) as host:
        target = DockerTarget(host=host)
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
