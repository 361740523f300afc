from __future__ import annotations

import json
from typing import Any

import pytest

from irkit.collect.contract import Unreachable
from irkit.collectors import http_health
from irkit.settings import HttpTarget
from tests.collectors.materialise import Materialised, materialise
from tests.support import http_servers as servers


def look(port: int, *, probes: int = 1, timeout_s: float = 5.0, configured: bool = True) -> Materialised:
    url = f"http://127.0.0.1:{port}/api/health"
    return materialise(http_health.collect, HttpTarget(url, probes, timeout_s, configured))


def served(behaviour: servers.Behaviour, *, probes: int = 1, timeout_s: float = 5.0) -> tuple[Materialised, Any]:
    """What a server of this behaviour makes of the collector: all of it, and the last row of health."""
    with servers.serving(behaviour) as port:
        made = look(port, probes=probes, timeout_s=timeout_s)
    assert made.raised is None
    assert len(made.tables["health"]) == probes
    return made, made.tables["health"][-1]


def test_a_healthy_service_with_healthy_providers() -> None:
    body = {"status": "healthy", "services": {"redis": {"status": "up"}, "providers": {"alpha": {"status": "up"}}}}
    made, row = served(servers.answer(json.dumps(body).encode()), probes=3)
    assert (row["verdict"], row["status_code"], row["reported_status"], row["error"]) == (
        "healthy",
        200,
        "healthy",
        None,
    )
    assert row["size_bytes"] == len(json.dumps(body))
    assert made.documents["health_body"] == {"json": body, "truncated": False}
    assert made.tables["providers"] == [{"name": "alpha", "healthy": True, "status": "up", "detail": None}]
    assert made.gaps == []


def test_a_failing_provider_is_read_from_an_answer_of_503() -> None:
    body = {"status": "degraded", "services": {"providers": {"alpha": {"status": "down", "error": "timeout"}}}}
    made, row = served(servers.answer(json.dumps(body).encode(), status="503 Service Unavailable"))
    assert (row["verdict"], row["error"]) == ("unhealthy", "answered 503, reporting 'degraded'")
    [provider] = made.tables["providers"]
    assert (provider["healthy"], provider["status"], json.loads(provider["detail"])) == (
        False,
        "down",
        {"error": "timeout"},
    )


@pytest.mark.parametrize(
    ("behaviour", "verdict", "error"),
    [
        (servers.answer(b'{"status": "down"}'), "unhealthy", "answered 200, reporting 'down'"),
        (servers.answer(b'{"healthy": false}'), "unhealthy", "answered 200, reporting that it is not healthy"),
        (servers.answer(b"unhealthy", content_type="text/plain"), "unhealthy", "answered 200, reporting 'unhealthy'"),
        (servers.answer(b"OK", content_type="text/plain"), "healthy", None),
        (servers.answer(b"build 17 of main", content_type="text/plain"), "healthy", None),
        (servers.answer(b"", status="204 No Content"), "healthy", None),
        (servers.answer(b'{"status": "grand"}'), "healthy", "answered 200, reporting 'grand', a word"),
        (servers.answer(b"<!DOCTYPE html><p>ok", content_type="text/plain"), "error", "answered 200 with a web page"),
        (servers.answer(b"hello", content_type="text/html"), "error", "answered 200 with a web page"),
        (servers.answer(b'{"status": "ok"'), "error", "answered 200 with malformed JSON"),
        (servers.answer(b'"' + b"x" * 2_000_000 + b'"'), "error", "answered 200 with a body over 1048576 bytes"),
        (servers.answer(b"oops", status="500 Internal Server Error"), "unhealthy", "answered 500"),
        (servers.answer(b"{}", status="404 Not Found"), "error", "answered 404: there is nothing at this path"),
        (servers.answer(b"{}", status="401 Unauthorized"), "error", "answered 401: it wants credentials"),
        (servers.answer(b"{}", status="499 Odd"), "error", "answered 499: not what a health check answers"),
        (
            servers.answer(b"", "Location: https://other/x?key=1", status="301 Moved"),
            "redirect",
            "answered 301, pointing to https://other/x, which",
        ),
        (servers.reset, "reset", "the connection was reset"),
        (servers.close, "reset", "the connection was closed without an answer"),
    ],
)
def test_each_answer_gets_its_verdict(behaviour: servers.Behaviour, verdict: str, error: str | None) -> None:
    made, row = served(behaviour)
    assert row["verdict"] == verdict
    assert (error is None) == (row["error"] is None)
    assert (error or "") in (row["error"] or "")
    assert "providers" not in made.tables, "nobody spoke of providers"


@pytest.mark.parametrize("behaviour", [servers.hang, servers.drip])
def test_a_service_that_does_not_come_to_an_end_is_timed_out(behaviour: servers.Behaviour) -> None:
    made, row = served(behaviour, probes=2, timeout_s=0.2)
    assert row["verdict"] == "timed_out"
    assert row["connect_s"] is not None
    assert made.gaps == []


def test_a_service_that_is_down_is_evidence_not_a_failure() -> None:
    port = servers.free_port()
    made = look(port, probes=3)
    assert made.raised is None
    assert [row["verdict"] for row in made.tables["health"]] == ["refused"] * 3
    assert made.gaps == []
    assert made.documents == {}


def test_a_default_address_that_does_not_answer_is_said_to_be_only_that() -> None:
    port = servers.free_port()
    made = look(port, configured=False)
    assert [row["verdict"] for row in made.tables["health"]] == ["refused"]
    [gap] = made.gaps
    assert gap.startswith(f"http://127.0.0.1:{port}/api/health is the address in the runbook: no health_url is conf")


def test_what_cannot_be_understood_is_kept_and_said() -> None:
    made, row = served(servers.answer(b'{"status": "ok", "providers": "all good"}'))
    assert row["verdict"] == "healthy"
    assert made.documents["health_body"]["json"]["providers"] == "all good"
    assert made.gaps == ["the providers are in a shape irkit does not know; see health_body"]
    assert "providers" not in made.tables


def test_text_is_kept_as_text_with_its_broken_bytes() -> None:
    made, _ = served(servers.answer(b"boom \xff\x00", status="500 Oops", content_type="text/plain"))
    assert made.documents["health_body"] == {"text": "boom \udcff\x00", "truncated": False}


def test_credentials_of_the_address_are_in_no_row() -> None:
    with servers.serving(servers.hang) as port:
        target = HttpTarget(f"http://user:hunter2@127.0.0.1:{port}/health?key=hunter2", 1, 0.2, configured=True)
        made = materialise(http_health.collect, target)
    assert made.tables["health"][0]["url"] == f"http://***@127.0.0.1:{port}/health"
    assert "hunter2" not in repr(made)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/", "http://host:99999/"])
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    made = materialise(http_health.collect, HttpTarget(url, configured=True))
    assert isinstance(made.raised, Unreachable)
    assert made.tables == {}
