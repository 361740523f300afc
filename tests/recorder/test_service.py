"""The recorder as a service: it is given what irkit.toml and the caller's environment name."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.recorder.service import compose
from irkit.settings import DockerTarget, Settings


@pytest.fixture(autouse=True)
def no_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)


def mounts(host: str, tmp_path: Path) -> list[str]:
    made = compose(Settings(tmp_path, docker=DockerTarget(host=host))).splitlines()
    return [line.strip() for line in made if "docker.sock:ro" in line or "no socket" in line]


def test_the_socket_of_the_settings_is_mounted_where_they_name_it(tmp_path: Path) -> None:
    assert mounts("unix:///run/user/7/docker.sock", tmp_path) == [
        "- /run/user/7/docker.sock:/run/user/7/docker.sock:ro"
    ]


def test_the_socket_of_the_environment_is_mounted_where_it_is_looked_for_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mounts("", tmp_path) == ["- /var/run/docker.sock:/var/run/docker.sock:ro"]
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/7/docker.sock")
    assert mounts("", tmp_path) == ["- /run/user/7/docker.sock:/var/run/docker.sock:ro"]


def test_an_engine_elsewhere_has_no_socket_to_mount_and_that_is_said(tmp_path: Path) -> None:
    [line] = mounts("tcp://10.0.0.7:2375", tmp_path)
    assert line.startswith("# no socket of the Docker Engine: ")
    assert line.endswith("tcp://10.0.0.7:2375")
