from __future__ import annotations

import gzip
import itertools
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.health.http_probe import Probe, probe, probe_once, usable
from tests.support import http_servers as servers


def ask(port: int, scheme: str = "http", *, timeout_s: float = 5.0, limit_bytes: int = 100_000) -> Probe:
    url = f"{scheme}://127.0.0.1:{port}/api/health"
    [ended] = probe(url, probes=1, timeout_s=timeout_s, limit_bytes=limit_bytes)
    return ended


def assert_phases(ended: Probe, *reached: str) -> None:
    """The named phases follow one another and the total; the others were never reached."""
    times = [getattr(ended, f"{name}_s") for name in reached] + [ended.total_s]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times)), times
    unreached = {"name_lookup", "connect", "tls", "first_byte"} - set(reached)
    assert {name: getattr(ended, f"{name}_s") for name in unreached} == dict.fromkeys(unreached)


def test_an_answer_comes_with_its_phases() -> None:
    with servers.serving(servers.answer(b'{"status": "ok"}')) as port:
        ended = ask(port)
    assert (ended.fault, ended.error, ended.status_code) == (None, "", 200)
    assert (ended.body, ended.content_type) == (b'{"status": "ok"}', "application/json")
    assert_phases(ended, "name_lookup", "connect", "first_byte")


def test_nobody_listening_is_refused() -> None:
    ended = ask(servers.free_port())
    assert (ended.fault, ended.error) == ("refused", "connection refused: nothing listens there")
    assert ended.status_code is None
    assert_phases(ended, "name_lookup")


def test_a_hang_is_stopped_with_the_phases_it_reached() -> None:
    with servers.serving(servers.hang) as port:
        ended = ask(port, timeout_s=0.2)
    assert ended.fault == "timed_out"
    assert ended.error == "no whole answer within 0.2 s: the connection was accepted, then nothing was sent"
    assert_phases(ended, "name_lookup", "connect")


def test_a_drip_is_stopped_by_the_total_deadline() -> None:
    with servers.serving(servers.drip) as port:
        ended = ask(port, timeout_s=0.3)
    assert (ended.fault, ended.status_code) == ("timed_out", 200)
    assert ended.error.endswith("the answer began and did not end")
    assert ended.body.strip() == b""
    assert_phases(ended, "name_lookup", "connect", "first_byte")


def test_a_full_backlog_is_stopped_before_it_connects() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        held = [socket.socket() for _ in range(8)]
        for each in held:
            each.settimeout(0)
            each.connect_ex(("127.0.0.1", port))
        ended = ask(port, timeout_s=0.2)
        for each in held:
            each.close()
    assert (ended.fault, ended.connect_s) == ("timed_out", None)
    assert ended.error.endswith("the connection was not accepted")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (servers.reset, "the connection was reset"),
        (servers.close, "the connection was closed without an answer"),
    ],
)
def test_a_broken_connection_is_a_reset(behaviour: servers.Behaviour, error: str) -> None:
    with servers.serving(behaviour) as port:
        ended = ask(port)
    assert ended.fault == "reset"
    assert ended.error.startswith(error)


def test_an_answer_that_breaks_off_is_a_reset() -> None:
    def half(connection: socket.socket, _: threading.Event) -> None:
        servers.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")

    with servers.serving(half) as port:
        ended = ask(port)
    assert (ended.fault, ended.status_code, ended.body) == ("reset", 200, b"half of it")
    assert ended.error == "the connection was closed in the middle of the answer"


def test_what_is_not_http_is_an_error() -> None:
    def greet(connection: socket.socket, _: threading.Event) -> None:
        servers.read_request(connection)
        connection.sendall(b"220 mail.example ESMTP\r\n")

    with servers.serving(greet) as port:
        assert ask(port).fault == "error"


def test_a_name_that_cannot_be_resolved_is_dns() -> None:
    # a label over 63 characters is refused before any server is asked
    [ended] = probe(f"http://{'x' * 64}.invalid/", probes=1, timeout_s=5)
    assert (ended.fault, ended.error) == ("dns", "the host's name cannot be resolved")
    assert_phases(ended)


def test_tls_faults_are_told_from_a_service_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, certificate = servers.self_signed(tmp_path)
    with servers.serving(servers.answer(b"{}"), context) as port:
        ended = ask(port, "https")
        assert ended.fault == "tls"
        assert ended.error.startswith("TLS failed: ")
        assert "self-signed certificate" in ended.error
        assert_phases(ended, "name_lookup", "connect")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        ended = ask(port, "https")
        assert (ended.fault, ended.status_code) == (None, 200)
        assert_phases(ended, "name_lookup", "connect", "tls", "first_byte")


def test_a_plain_server_asked_for_tls_is_a_tls_fault() -> None:
    def refuse(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with servers.serving(refuse) as port:
        assert ask(port, "https").fault == "tls"


def test_redirects_are_reported_and_not_followed() -> None:
    with servers.serving(servers.answer(b"", "Location: /elsewhere", status="302 Found")) as port:
        ended = ask(port)
    assert (ended.fault, ended.status_code) == (None, 302)
    assert ended.location == f"http://127.0.0.1:{port}/elsewhere"


def test_a_decompression_bomb_is_cut_while_it_unfolds() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    with servers.serving(servers.answer(bomb, "Content-Encoding: gzip")) as port:
        ended = ask(port, limit_bytes=100_000)
    assert (ended.fault, ended.status_code) == (None, 200)
    assert (len(ended.body), ended.truncated) == (100_000, True)


def test_headers_without_end_are_an_error() -> None:
    def flood(connection: socket.socket, closing: threading.Event) -> None:
        servers.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not closing.is_set():
            connection.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")

    with servers.serving(flood) as port:
        assert ask(port).fault in ("error", "reset")


@pytest.mark.parametrize("behave", [servers.answer(b"OK"), servers.hang, servers.drip, servers.reset, servers.close])
def test_a_single_probe_ends_as_one_of_several_does(behave: servers.Behaviour) -> None:
    with servers.serving(behave) as port:
        url = f"http://127.0.0.1:{port}/"
        [of_several] = probe(url, probes=1, timeout_s=0.3)
        single = probe_once(url, timeout_s=0.3)
    told = [(one.fault, one.status_code, one.content_type, one.truncated) for one in (of_several, single)]
    assert told[0] == told[1]
    assert single.error == of_several.error
    assert bool(single.first_byte_s) == bool(of_several.first_byte_s)


def test_a_single_probe_is_cut_at_its_limit() -> None:
    with servers.serving(servers.answer(b"x" * 5000)) as port:
        single = probe_once(f"http://127.0.0.1:{port}/", timeout_s=5, limit_bytes=1000)
    assert (single.body, single.truncated, single.fault) == (b"x" * 1000, True, None)


def test_several_probes_follow_one_another() -> None:
    clock = (datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    with servers.serving(servers.answer(b"{}")) as port:
        ended = list(probe(f"http://127.0.0.1:{port}/", probes=4, timeout_s=5, clock=lambda: next(clock)))
    assert [item.at.second for item in ended] == [0, 1, 2, 3]
    assert [item.status_code for item in ended] == [200] * 4


def test_a_probe_that_hangs_does_not_keep_the_next_ones_waiting() -> None:
    """The first connection hangs until the second has been answered: one after the other would never end well."""
    first, answered = threading.Event(), threading.Event()

    def behave(connection: socket.socket, closing: threading.Event) -> None:
        if not first.is_set():
            first.set()
            answered.wait(30)
        servers.answer(b"{}")(connection, closing)
        answered.set()

    with servers.serving(behave) as port:
        ended = list(probe(f"http://127.0.0.1:{port}/", probes=2, timeout_s=5))
    assert [item.status_code for item in ended] == [200, 200]


def test_credentials_in_the_address_are_sent_as_basic_authentication() -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        seen.append(servers.read_request(connection))

    with servers.serving(behave) as port:
        list(probe(f"http://user:pass@127.0.0.1:{port}/", probes=1, timeout_s=5))
    assert b"Authorization: Basic dXNlcjpwYXNz" in seen[0]


def test_a_probe_left_early_leaves_no_connection() -> None:
    gone = threading.Event()

    def behave(connection: socket.socket, _: threading.Event) -> None:
        servers.read_request(connection)
        if connection.recv(1) == b"":
            gone.set()

    with servers.serving(behave) as port:
        attempts = probe(f"http://127.0.0.1:{port}/", probes=1, timeout_s=0.2)
        next(attempts)
        attempts.close()
        assert gone.wait(5)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://localhost:8000/api/health", True),
        ("https://[::1]/", True),
        ("", False),
        ("localhost:8000/api/health", False),
        ("file:///etc/passwd", False),
        ("http://", False),
        ("http://host:99999/", False),
        ("http://host:port/", False),
        ("http://[::1/", False),
    ],
)
def test_only_http_addresses_are_usable(url: str, *, good: bool) -> None:
    assert usable(url) is good
