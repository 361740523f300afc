"""Where the Engine is looked for, and what is said when it is not there or not ours to ask."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.docker.containers import parse_time
from irkit.docker.engine import connected
from irkit.settings import DockerTarget
from tests.stack.engine import Images

NOBODY = 65534


@pytest.fixture(autouse=True)
def no_docker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def failure(target: DockerTarget) -> Unreachable | Refused:
    with pytest.raises((Unreachable, Refused)) as caught, connected(target):
        pass
    return caught.value


@pytest.fixture
def dead_socket(tmp_path: Path) -> Path:
    """A socket file that an Engine left behind."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    return path


def test_no_daemon_at_all(tmp_path: Path) -> None:
    error = failure(DockerTarget(host=f"unix://{tmp_path}/none.sock"))
    assert isinstance(error, Unreachable)
    assert str(error) == f"no Docker Engine at unix://{tmp_path}/none.sock: nothing is there"
    assert "systemctl start docker" in error.hint


def test_a_socket_nobody_listens_on(dead_socket: Path) -> None:
    error = failure(DockerTarget(host=f"unix://{dead_socket}"))
    assert isinstance(error, Unreachable)
    assert str(error).endswith("connection refused")


def test_a_port_nobody_listens_on() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(DockerTarget(host=f"tcp://127.0.0.1:{unused.getsockname()[1]}"))
    assert isinstance(error, Unreachable)
    assert str(error).endswith("connection refused")


def test_a_socket_we_may_not_use(dead_socket: Path) -> None:
    dead_socket.chmod(0)
    target = DockerTarget(host=f"unix://{dead_socket}")
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        error = failure(target)
    finally:
        os.seteuid(user)
    assert isinstance(error, Refused)
    assert str(error) == f"permission denied on unix://{dead_socket}"
    assert error.hint == "add yourself to group docker and log in again, or use sudo"


def test_a_host_nobody_knows() -> None:
    error = failure(DockerTarget(host="tcp://no-such-host.invalid:2375"))
    assert isinstance(error, Unreachable)
    assert str(error) == "no Docker Engine at tcp://no-such-host.invalid:2375: the host name is not known"


@pytest.mark.parametrize("host", ["nonsense://x", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:port"])
def test_an_address_that_cannot_be_meant(host: str) -> None:
    error = failure(DockerTarget(host=host))
    assert isinstance(error, Refused)
    assert host in str(error)
    assert "DOCKER_HOST" in error.hint


@pytest.fixture
def web_server() -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>It works!</html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_something_that_is_no_docker_engine(web_server: str) -> None:
    error = failure(DockerTarget(host=web_server))
    assert isinstance(error, Refused)
    assert str(error) == f"what answers at {web_server} is not a Docker Engine"


def test_a_context_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    error = failure(DockerTarget())
    assert isinstance(error, Refused)
    assert str(error) == "the Docker context elsewhere does not exist"
    assert "docker context ls" in error.hint


def test_certificates_that_do_not_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    error = failure(DockerTarget(host="tcp://127.0.0.1:1"))
    assert isinstance(error, Refused)
    assert "DOCKER_CERT_PATH" in error.hint


def test_the_settings_come_before_the_environment_and_that_before_the_context(
    images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert images
    real, wrong = "unix:///var/run/docker.sock", f"unix://{tmp_path}/wrong.sock"
    use_context(tmp_path, wrong)
    assert "wrong.sock" in str(failure(DockerTarget()))
    monkeypatch.setenv("DOCKER_HOST", real)
    with connected(DockerTarget()) as client:
        assert client.ping()
    monkeypatch.setenv("DOCKER_HOST", wrong)
    assert "wrong.sock" in str(failure(DockerTarget()))
    with connected(DockerTarget(host=real)) as client:
        assert client.ping()


def use_context(folder: Path, host: str) -> None:
    """What `docker context create` and `docker context use` leave in the configuration."""
    identity = hashlib.sha256(b"lab").hexdigest()
    (folder / "config.json").write_text(json.dumps({"currentContext": "lab"}))
    meta = folder / "contexts" / "meta" / identity
    meta.mkdir(parents=True)
    endpoint = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "lab", "Metadata": {}, "Endpoints": endpoint}))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-24T03:05:00.123456789Z", datetime(2026, 11, 24, 3, 5, 0, 123456, tzinfo=UTC)),
        ("2026-11-24T04:05:00.1+01:00", datetime(2026, 11, 24, 3, 5, 0, 100000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-24T03:05:00", None),
        ("", None),
        (None, None),
    ],
)
def test_the_engines_times(text: str | None, at: datetime | None) -> None:
    assert parse_time(text) == at
