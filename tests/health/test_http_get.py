"""One GET: what was answered and when, and never more or longer than was asked for."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime

import pytest

from irkit.collect.contract import Unreachable
from irkit.health.http_get import Answer, get
from tests.support import http_servers as servers


def look(port: int, *, timeout_s: float = 5.0, limit_bytes: int = 1000) -> Answer:
    url = f"http://user:secret@127.0.0.1:{port}/path?a=b"
    return get(url, timeout_s=timeout_s, limit_bytes=limit_bytes)


def test_an_answer_with_its_headers_and_the_time_it_was_made() -> None:
    made: list[datetime] = []

    def behave(connection: socket.socket, closing: threading.Event) -> None:
        request = servers.read_request(connection)
        assert b"Authorization: Basic " in request
        made.append(datetime.now(UTC))
        body = b'{"a": 1}'
        head = f"HTTP/1.1 200 OK\r\nX-Odd: a: b\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    with servers.serving(behave) as port:
        answer = look(port)
    assert (answer.status_code, answer.body, answer.truncated) == (200, b'{"a": 1}', False)
    assert answer.headers["x-odd"] == "a: b"
    assert answer.asked_at <= made[0] <= answer.answered_at


def test_a_body_over_the_limit_is_cut_there() -> None:
    with servers.serving(servers.answer(b"x" * 100_000)) as port:
        answer = look(port, limit_bytes=1000)
    assert (answer.body, answer.truncated) == (b"x" * 1000, True)
    with servers.serving(servers.answer(b"x" * 1000)) as port:
        assert not look(port, limit_bytes=1000).truncated


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with servers.serving(servers.answer(b"", "Location: http://127.0.0.1:1/", status="302 Found")) as port:
        answer = look(port)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/")


@pytest.mark.parametrize("behaviour", [servers.hang, servers.drip, servers.reset, servers.close])
def test_no_answer_is_unreachable_and_tells_no_secret(behaviour: servers.Behaviour) -> None:
    with servers.serving(behaviour) as port, pytest.raises(Unreachable) as caught:
        look(port, timeout_s=0.3)
    assert "secret" not in str(caught.value)
