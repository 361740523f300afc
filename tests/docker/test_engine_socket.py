"""The Engine by its socket: found as the docker command finds it, asked within a deadline."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.docker.engine_socket import EngineSocket, socket_path
from irkit.settings import DockerTarget
from tests.stack.engine import Images


def test_the_socket_is_found_as_the_docker_command_does(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert socket_path(DockerTarget(), environ) == "/var/run/docker.sock"
    assert socket_path(DockerTarget(), {**environ, "DOCKER_HOST": "unix:///run/other.sock"}) == "/run/other.sock"
    named = DockerTarget(host="unix:///run/named.sock")
    assert socket_path(named, {**environ, "DOCKER_HOST": "unix:///run/other.sock"}) == "/run/named.sock"
    meta = tmp_path / ".docker" / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///run/context.sock"}}}))
    assert socket_path(DockerTarget(), {**environ, "DOCKER_CONTEXT": "mine"}) == "/run/context.sock"
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    assert socket_path(DockerTarget(), environ) == "/run/context.sock"
    assert socket_path(DockerTarget(), {**environ, "DOCKER_CONTEXT": "default"}) == "/var/run/docker.sock"
    for environment, sentence in (
        ({"DOCKER_HOST": "tcp://10.0.0.1:2376"}, "of its own machine only, and this one is at tcp://10.0.0.1:2376"),
        ({"DOCKER_CONTEXT": "nonesuch"}, "the Docker context nonesuch does not exist"),
    ):
        with pytest.raises(Refused, match=sentence):
            socket_path(DockerTarget(), {**environ, **environment})


def test_the_real_engine_answers_and_what_is_not_there_is_none(images: Images) -> None:
    assert images
    engine = EngineSocket("/var/run/docker.sock")
    assert engine.get("/version", 5.0)["ApiVersion"]
    assert engine.get("/containers/nonesuch/json", 5.0) is None
    with pytest.raises(Refused, match=r"the Docker Engine at /var/run/docker\.sock answers: "):
        engine.get("/containers/json?filters=nonsense", 5.0)
    assert engine.get("/version", 5.0)["ApiVersion"]
    engine.close()


Answer = Callable[[socket.socket, threading.Event], None]


@contextmanager
def listening(path: Path, answer: Answer) -> Iterator[EngineSocket]:
    """A socket on which each connection is answered as told."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(4096)
                answer(connection, over)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        engine = EngineSocket(str(path))
        try:
            yield engine
        finally:
            over.set()
            engine.close()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join()


def silent(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def dripping(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not over.wait(0.02):
        connection.sendall(b" ")


def flooding(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while not over.is_set():
        connection.sendall(b" " * 65536)


def web_page(connection: socket.socket, _: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")


def closing(_: socket.socket, __: threading.Event) -> None:
    return


@pytest.mark.parametrize(
    ("answer", "timeout_s", "sentence"),
    [
        (silent, 0.3, "gave no whole answer within 0.3 s"),
        (dripping, 0.3, "gave no whole answer within 0.3 s"),
        (flooding, 20.0, "answers more than"),
        (web_page, 5.0, "is not a Docker Engine"),
        (closing, 5.0, "no Docker Engine answers at"),
    ],
)
def test_what_answers_wrongly_is_named(tmp_path: Path, answer: Answer, timeout_s: float, sentence: str) -> None:
    with listening(tmp_path / "engine.sock", answer) as engine, pytest.raises((Unreachable, Refused), match=sentence):
        engine.get("/containers/json", timeout_s)


def test_where_nobody_listens_and_when_no_time_is_left(tmp_path: Path) -> None:
    engine = EngineSocket(str(tmp_path / "none.sock"))
    with pytest.raises(Unreachable, match="no Docker Engine answers at"):
        engine.get("/version", 1.0)
    with pytest.raises(Unreachable, match="did not answer in time"):
        engine.get("/version", 0.0)
