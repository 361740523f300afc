"""Prometheus's range queries, against a server that keeps the rules of its HTTP API.

Its answers were recorded from Prometheus 2.42.
"""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from irkit.collect.contract import Refused, Table, Unreachable
from irkit.collectors.prometheus import collect
from irkit.model import Window
from irkit.settings import PrometheusTarget, Secret
from tests.collectors.materialise import WINDOW, Materialised, materialise
from tests.support import http_servers as servers

UP = {"__name__": "up", "instance": "127.0.0.1:9090", "job": 'a "job"'}
SERIES = {
    "up": [{"metric": UP, "values": [[1795488426.129, "1"], [1795488441.129, "0"]]}],
    "0/0 * up": [{"metric": {"job": "self"}, "values": [[1795488426.129, "NaN"], [1795488441.129, "+Inf"]]}],
    "nonesuch": [],
    "histogram": [{"metric": {"__name__": "histogram"}, "histograms": [[1795488426.129, {"count": "1"}]]}],
}
MOST_POINTS = 11_000


def query_range(target: str) -> tuple[str, bytes]:
    """Status and body as /api/v1/query_range answers them."""
    address = urlsplit(target)
    given = {name: values[0] for name, values in parse_qs(address.query).items()}
    if address.path != "/prometheus/api/v1/query_range":
        return "404 Not Found", b"404 page not found\n"
    points = (float(given["end"]) - float(given["start"])) / float(given["step"])
    error = "exceeded maximum resolution of 11,000 points per timeseries" if points > MOST_POINTS else ""
    if given["query"] not in SERIES:
        error = "1:4: parse error: unexpected end of input inside braces"
    if error:
        return "400 Bad Request", json.dumps({"status": "error", "errorType": "bad_data", "error": error}).encode()
    data = {"resultType": "matrix", "result": SERIES[given["query"]]}
    warnings = {"warnings": ["a part of the storage did not answer"]} if given["query"] == "0/0 * up" else {}
    return "200 OK", json.dumps({"status": "success", "data": data, **warnings}).encode()


def prometheus(connection: socket.socket, _: threading.Event) -> None:
    request = servers.read_request(connection)
    status, body = query_range(request.split(b" ")[1].decode())
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)


def look(port: int, path: str = "/prometheus/", *, timeout_s: float = 5.0, **queries: str) -> Materialised:
    url = Secret(f"http://user:hunter2hunter2@127.0.0.1:{port}{path}")
    return materialise(
        collect, PrometheusTarget(url, tuple(queries.items()) or (("up", "up"),), timeout_s, configured=True)
    )


def test_samples_come_with_their_time_query_and_series() -> None:
    with servers.serving(prometheus) as port:
        made = look(port, alive="up")
    assert made.raised is None
    assert made.gaps == []
    series = 'up{instance="127.0.0.1:9090", job="a \\"job\\""}'
    at = datetime(2026, 11, 24, 2, 47, 6, 129000, tzinfo=UTC)
    assert made.tables["prometheus_samples"] == [
        {"at": at, "query": "alive", "series": series, "value": 1.0},
        {"at": at + timedelta(seconds=15), "query": "alive", "series": series, "value": 0.0},
    ]


def test_what_is_wrong_with_a_query_is_said_and_the_others_are_kept() -> None:
    with servers.serving(prometheus) as port:
        made = look(port, broken="up{", nothing="nonesuch", odd="0/0 * up", native="histogram", alive="up")
    assert made.gaps == [
        "query broken: 1:4: parse error: unexpected end of input inside braces",
        "query nothing found no series in the window",
        "query odd: a part of the storage did not answer",
        "query native: native histograms are not kept; use histogram_quantile() in the query",
    ]
    rows = made.tables["prometheus_samples"]
    assert [(row["query"], row["value"]) for row in rows] == [("odd", None)] * 2 + [("alive", 1.0), ("alive", 0.0)]


def test_a_window_of_weeks_is_asked_for_in_steps_the_api_allows() -> None:
    target_queries = (("up", "up"),)
    with servers.serving(prometheus) as port:
        target = PrometheusTarget(Secret(f"http://127.0.0.1:{port}/prometheus"), target_queries, 5.0, configured=True)
        table, *gaps = collect(target, Window(WINDOW.end - timedelta(days=60), WINDOW.end))
        assert isinstance(table, Table)
        assert len(list(table.rows)) == 2
    assert gaps == []


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (servers.answer(b"<html>", content_type="text/html"), "is not Prometheus"),
        (servers.answer(b'{"status": "up"}'), "is not Prometheus"),
        (servers.answer(b"[" * 100_000), "is not Prometheus"),
        (servers.answer(b"", status="401 Unauthorized"), "wants other credentials"),
        (servers.answer(b"", "Location: /login", status="302 Found"), "is not Prometheus"),
    ],
)
def test_what_is_no_prometheus_is_refused(behaviour: servers.Behaviour, sentence: str) -> None:
    with servers.serving(behaviour) as port:
        made = look(port)
    assert isinstance(made.raised, Refused)
    assert sentence in str(made.raised)
    assert "hunter2" not in str(made.raised) + made.raised.hint
    assert made.raised.hint
    assert made.tables == {}


@pytest.mark.parametrize("behaviour", [servers.hang, servers.drip, servers.reset, servers.close])
def test_one_that_does_not_answer_is_unreachable(behaviour: servers.Behaviour) -> None:
    with servers.serving(behaviour) as port:
        made = look(port, timeout_s=0.3)
    assert isinstance(made.raised, Unreachable)
    assert "cannot be asked" in str(made.raised)


def test_nobody_there_and_no_address() -> None:
    assert "connection refused" in str(look(servers.free_port()).raised)
    made = materialise(collect, PrometheusTarget(Secret("prometheus:9090"), configured=True))
    assert "is not an HTTP address" in str(made.raised)


def test_an_answer_without_end_is_left_out_and_said() -> None:
    def flood(connection: socket.socket, closing: threading.Event) -> None:
        servers.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not closing.is_set():
            connection.sendall(b"[" * 65536)

    with servers.serving(flood) as port:
        made = look(port, timeout_s=30.0)
    assert made.gaps == ["query up: the answer has more than 16,777,216 bytes and was left out"]
