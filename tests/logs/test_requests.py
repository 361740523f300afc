"""Requests in lines of plain text: read from any plain form, and from no line that only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.logs.formats import clean, parse_request
from irkit.logs.requests import route_of


@pytest.mark.parametrize(
    ("line", "method", "path", "status_code", "duration_s"),
    [
        ("2026-11-28T01:40:14.123Z ERROR [till] GET /buy -> 502 in 3.3 ms", "GET", "/buy", 502, 0.0033),
        ("2026-11-28 01:40:14,123 INFO [till] GET /history?page=2 -> 200 in 117.5 ms", "GET", "/history", 200, 0.1175),
        ('"POST /x" 200 12ms', "POST", "/x", 200, 0.012),
        ("method=GET path=/x status=500 took 0.2s", "GET", "/x", 500, 0.2),
        ("GET /x 200", "GET", "/x", 200, None),
        ("POST /x 201 Created", "POST", "/x", 201, None),
        ("GET /api/users/7 200 12.345 ms - 512", "GET", "/api/users/7", 200, 0.012345),
        ("--> GET / 200 5ms 10b", "GET", "/", 200, 0.005),
        (
            '[GIN] 2026/11/28 - 01:40:14 | 500 |    1.2034ms |  10.0.0.7 | GET    "/buy"',
            "GET",
            "/buy",
            500,
            0.0012034,
        ),
        ("[01:40:14] 200 - 12ms GET /path", "GET", "/path", 200, 0.012),
        ("01:40:14 | 404 | 1.5ms | 10.0.0.7 | DELETE | /x", "DELETE", "/x", 404, 0.0015),
        ("INFO: 10.0.0.7 - PUT /a/b responded 204 in 0.02 s", "PUT", "/a/b", 204, 0.02),
        ("GET /a => 503 (12 ms)", "GET", "/a", 503, 0.012),
        ("GET /a: status 503, 12 ms", "GET", "/a", 503, 0.012),
        ("request_id=7f GET /a status=503 duration=12ms user=ana", "GET", "/a", 503, 0.012),
        ("GET /a took 12 ms, returned 200", "GET", "/a", 200, 0.012),
        ("GET /a HTTP/1.1 from 10.0.0.7:4711 - 200 12B in 1.2ms", "GET", "/a", 200, 0.0012),
        ("2026-11-28 01:40:14 INFO web.access request GET /a 200 0.012s", "GET", "/a", 200, 0.012),
        ('{"level":"error","message":"GET /buy -> 502 in 3.3 ms"}', "GET", "/buy", 502, 0.0033),
    ],
)
def test_plain_requests(line: str, method: str, path: str, status_code: int, duration_s: float | None) -> None:
    read = parse_request(clean(line))
    assert read is not None
    assert (read.method, read.path, read.status_code) == (method, path, status_code)
    assert read.duration_s == (None if duration_s is None else pytest.approx(duration_s))


@pytest.mark.parametrize(
    "line",
    [
        # a client's own calls
        'INFO httpx HTTP Request: GET https://api.example.com/v1/models "HTTP/1.1 200 OK"',
        "WARNING provider POST /v1/chat/completions returned 503, retrying",
        "calling POST /v1/charge: 503",
        "upstream GET /v1/charge -> 503 in 4 s",
        "retry 2 of GET /v1/charge 503",
        # prose with URLs and paths
        "see GET /docs/500 for more",
        "GET /docs",
        "GET /docs for 200 pages and more",
        "the route GET /items 200 was renamed",
        "docs say that GET /items answers 200 where all is well",
        "Visit https://example.com/GET /500",
        "GET /items 200 rows read",
        "POST /items 500 bytes were too many for the parser",
        "GET /health was asked 300 times",
        "Mapped GET /items to ItemsController 200",
        "registered route GET /items 1 handler",
        "GET /items 2000",
        "GET /items 200.5",
        "GET /items v200",
        "Started GET /items at 200",
        # statements
        "SELECT * FROM routes WHERE method = 'GET' AND path = '/x' AND status = 200",
        "INSERT INTO calls VALUES ('GET', '/x', 200, 12.5)",
        "DELETE FROM purchases WHERE id = 200",
        "statement: UPDATE calls SET status = 500 WHERE path = '/x'",
        # frames of a traceback and code
        '  File "/app/till.py", line 200, in do_GET',
        "    at GET /x (server.js:200:12)",
        '    raise HTTPError("GET /x 500")',
        "requests.exceptions.HTTPError: 500 Server Error for url: http://paygate/charge",
        "assert client.get('/x').status_code == 200, 'GET /x 200'",
        # as LogHub's sets have them
        "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_388650490641 done",
        "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties",
        "[10.30 16:49:06] chrome.exe - proxy.cse.cuhk.edu.hk:5070 close, 0 bytes sent, 0 bytes received",
        "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM, HUP, INT]",
        "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh",
        "2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection] - Time out: 3200",
        "2016-09-28 04:30:30, Info CBS Loaded Servicing Stack v6.1.7601.23505 with Core: C:\\Windows\\winsxs\\200",
    ],
)
def test_what_only_looks_like_one_is_none(line: str) -> None:
    assert parse_request(clean(line)) is None


@given(st.text(), st.sampled_from(["GET /a ", "GET /a -> 200 ", "200 | 12ms | GET /a ", '"POST /x" 200 ']))
def test_any_text_around_can_be_read(text: str, start: str) -> None:
    parse_request(clean(start + text))
    parse_request(clean(text + start))


@pytest.mark.parametrize("piece", ["- ", "a ", "1 ", "[x] ", "12 ms ", "a=b ", ": ", "1:2:", '"', "-->", "OK a "])
def test_no_line_is_slow_to_read(piece: str) -> None:
    """One that would be read in all ways there are is never done with here."""
    few = (piece * 400)[:390]
    for line in (f"GET /a {piece * 3000}!", f"{piece * 3000}! GET /a 200", f"GET /a 200{few}!", f"!{few} GET /a 200 ="):
        assert parse_request(clean(line)) is None


def test_routes_are_told_apart_by_what_they_are_not_by_whom_they_serve() -> None:
    assert route_of("/users/42/posts/7?page=2") == "/users/{id}/posts/{id}"
    assert route_of("/v1/files/3fa85f64-5717-4562-b3fc-2c963f66afa6") == "/v1/files/{id}"
    assert route_of("/api/v2/dashboard") == "/api/v2/dashboard"
