"""Skews between clocks: right to within what they claim, whatever the way took."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.clocks import docker_skew, http_skew, redis_skew, skew_between
from irkit.collect.contract import Refused, Unreachable
from irkit.model import utc_now
from irkit.settings import DockerTarget
from irkit.skew import Skew
from tests.stack.engine import Images
from tests.support import http_servers as servers
from tests.support.redis_servers import redis_server

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
AHEAD_S = 3600.0
delays = st.floats(0, 30)


@given(offset_s=st.floats(-1e6, 1e6), there_s=delays, back_s=delays, fraction=st.floats(0, 0.999))
def test_the_truth_is_within_the_uncertainty(offset_s: float, there_s: float, back_s: float, fraction: float) -> None:
    asked, answered = AT, AT + timedelta(seconds=there_s + back_s)
    told = AT + timedelta(seconds=there_s + offset_s)
    for resolution_s, shown in ((0.0, told), (1.0, told.replace(microsecond=0))):
        skew = skew_between(asked, answered, shown, resolution_s)
        assert abs(skew.skew_s - offset_s) <= skew.uncertainty_s + 1e-5


def agrees(skew: Skew, expected_s: float = 0.0) -> bool:
    # a microsecond for what either side rounds
    return abs(skew.skew_s - expected_s) <= skew.uncertainty_s + 1e-6


def dated(shift: timedelta, *more: str) -> servers.Behaviour:
    def behave(connection: object, closing: object) -> None:
        date = format_datetime(datetime.now(UTC) + shift, usegmt=True)
        servers.answer(b"", f"Date: {date}", *more)(connection, closing)  # type: ignore[arg-type]

    return behave


@pytest.mark.parametrize("shift_s", [0.0, AHEAD_S, -86400.0])
def test_http_tells_its_clock_in_whole_seconds(shift_s: float) -> None:
    with servers.serving(dated(timedelta(seconds=shift_s))) as port:
        skew = http_skew(f"http://127.0.0.1:{port}/health", timeout_s=5.0)
    assert agrees(skew, shift_s)
    assert 0.5 <= skew.uncertainty_s < 5


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (servers.answer(b""), "no valid Date"),
        (servers.answer(b"", "Date: yesterday"), "no valid Date"),
        (dated(timedelta(), "Age: 300"), "a cache's"),
    ],
)
def test_http_that_tells_no_time_of_its_own(behaviour: servers.Behaviour, sentence: str) -> None:
    with servers.serving(behaviour) as port, pytest.raises(Refused, match=sentence):
        http_skew(f"http://127.0.0.1:{port}/", timeout_s=5.0)


def test_http_is_asked_as_anybody_does_so_that_no_server_logs_an_error() -> None:
    methods: list[bytes] = []

    def behave(connection: socket.socket, closing: threading.Event) -> None:
        methods.append(servers.read_request(connection).split(b" ")[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n")

    with servers.serving(behave) as port:
        http_skew(f"http://127.0.0.1:{port}/health", timeout_s=5.0)
    assert methods == [b"GET"]


@pytest.mark.parametrize("behaviour", [servers.hang, servers.reset, servers.close])
def test_http_that_does_not_answer(behaviour: servers.Behaviour) -> None:
    with servers.serving(behaviour) as port, pytest.raises(Unreachable):
        http_skew(f"http://127.0.0.1:{port}/", timeout_s=0.3)


def ahead() -> datetime:
    """Our own clock, wrong by an hour, which is the same as theirs being wrong the other way."""
    return utc_now() + timedelta(seconds=AHEAD_S)


@pytest.mark.parametrize(("clock", "expected_s"), [(utc_now, 0.0), (ahead, -AHEAD_S)])
def test_redis_tells_its_clock(tmp_path: Path, clock: Callable[[], datetime], expected_s: float) -> None:
    with redis_server(tmp_path) as server:
        assert agrees(redis_skew(server.target(), clock=clock), expected_s)


@pytest.mark.parametrize(("clock", "expected_s"), [(utc_now, 0.0), (ahead, -AHEAD_S)])
def test_docker_tells_its_clock(images: Images, clock: Callable[[], datetime], expected_s: float) -> None:
    skew, info = docker_skew(DockerTarget(), clock=clock)
    assert skew is not None
    assert agrees(skew, expected_s)
    assert info["DockerRootDir"]
