"""The sections for high latency: since when, which routes, where in a request, which provider, what database."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.report import Report
from irkit.report.html import html, text
from irkit.report.parts import Gap
from irkit.report.slowness import Latency, ProbePhases, Queries, Routes
from tests.report.closer import HOSTILE, closer_report
from tests.support.type_evidence import BEGAN, container, healthy, line, slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return closer_report(tmp_path_factory.mktemp("slow"), "high-latency", slow())


def test_latency_is_drawn_over_time_against_the_runbooks_limit(report: Report) -> None:
    made = report.latency
    assert isinstance(made, Latency)
    assert (made.subject, made.chart.limit, made.unmeasured) == ("jarvis-api", 2.0, 0)
    before = [point.p95 for point in made.chart.points if point.at < BEGAN - made.step]
    since = [point.p95 for point in made.chart.points if point.at > BEGAN + made.step]
    assert len(before) >= 5
    assert max(before) < 0.1
    assert min(since) > 2.0
    assert all(point.high is None for point in made.chart.points), "so few a point do not bound it from above"
    assert made.rows[0].over
    assert "p95 latency > 2s, found: " in text(made)
    assert "95 % interval" in made.claims[0].text


def test_of_a_dozen_requests_the_p95_says_that_it_is_their_slowest(tmp_path: Path) -> None:
    made = slow()
    few = [row for row in made["logs"] if "dashboard" in row["line"]][-12:]
    shown = text(closer_report(tmp_path, "high-latency", made | {"logs": few}).latency)
    assert "no upper bound: of so few the p95 is the slowest" in shown
    assert "p95 of 12 requests" in shown


def test_the_slowest_routes_come_first_with_before_and_since(report: Report) -> None:
    assert isinstance(report.routes, Routes)
    dashboard, chat = report.routes.rows
    assert (dashboard.method, dashboard.path) == ("GET", "/api/dashboard")
    assert dashboard.before_p95_s == pytest.approx(0.01)
    assert dashboard.since_p95_s == pytest.approx(3.3)
    assert chat.since_p95_s == pytest.approx(chat.before_p95_s or 0.0, abs=0.01)


def test_where_the_front_tells_no_durations_those_behind_it_are_judged(tmp_path: Path) -> None:
    made = slow()
    front = container("front", "8000->80/tcp")
    made["containers"] = [front, container("jarvis-api"), *made["containers"][1:]]
    served = '10.0.0.7 - - [24/Nov/2026:03:05:00 +0000] "GET /api/dashboard HTTP/1.1" 200 612 "-" "x"'
    made["logs"] = sorted(
        [*made["logs"], *(line(each, served, "front") for each in range(600))], key=lambda row: row["at"]
    )
    report = closer_report(tmp_path, "high-latency", made)
    assert isinstance(report.latency, Latency)
    assert report.latency.subject == "jarvis-api"
    assert isinstance(report.routes, Routes)
    assert report.routes.rows[0].path == "/api/dashboard"


def test_a_probes_time_is_split_into_phases_before_and_since(report: Report) -> None:
    made = report.probe_phases
    assert isinstance(made, ProbePhases)
    before, since, _ = made.bars.bars
    waiting = {part.label: part.value for part in since.parts}
    assert waiting["waiting for the first byte"] > 2.0
    assert waiting["connect"] == pytest.approx(0.0003, abs=1e-5)
    assert (before.alarmed, since.alarmed) == (False, True)
    assert made.unanswered == 0


def test_probes_that_never_got_an_answer_are_counted_not_averaged(tmp_path: Path) -> None:
    made = healthy()
    refused = made["health"][0] | {"verdict": "refused", "status_code": None, "first_byte_s": None, "total_s": 0.0002}
    report = closer_report(tmp_path, "high-latency", {"health": [refused] * 3})
    assert isinstance(report.probe_phases, ProbePhases)
    assert report.probe_phases.bars.bars == ()
    assert "3 of 3 probes got no answer" in text(report.probe_phases)
    assert "No probe got as far as a first byte." in text(report.probe_phases)


def test_where_no_durations_are_logged_the_probes_stand_in(tmp_path: Path) -> None:
    made = slow()
    silent = [row for row in made["logs"] if "duration_ms" not in row["line"]]
    report = closer_report(tmp_path, "high-latency", made | {"logs": silent})
    assert isinstance(report.latency, Latency)
    assert report.latency.subject == "health probes from outside"
    assert isinstance(report.routes, Gap)
    assert "hold no request" in report.routes.reason


def test_providers_are_compared_by_their_own_logs_and_the_health_answer(report: Report) -> None:
    shown = text(report.provider_latency)
    assert "provider-alpha | 300 | 20 ms | 20 ms | 20 ms | 20 ms to 20 ms | 3.1 ms" in shown


def test_the_database_tells_what_its_queries_run_on(report: Report, tmp_path: Path) -> None:
    assert isinstance(report.queries, Queries)
    assert report.queries.notes[0].startswith("messages has 48000 rows and no index but its key")
    assert "a long reader holds up its checkpoint" in text(report.queries)
    logs = [line(1, f"WARNING slow query took 3.2 s: SELECT {HOSTILE}")]
    made = closer_report(tmp_path, "high-latency", healthy() | {"logs": logs}).queries
    assert isinstance(made, Queries)
    assert made.slow_lines == 1
    assert not made.statements
    assert "<script>" not in html(made)
    assert "\u202e" not in html(made)


def test_a_query_that_the_log_calls_slow_is_shown_with_its_plan(tmp_path: Path) -> None:
    slow = "WARNING slow query took 3.2 s: SELECT * FROM messages WHERE id LIKE '%7'"
    made = closer_report(tmp_path, "high-latency", healthy() | {"logs": [line(1, slow), line(2, slow)]}).queries
    assert isinstance(made, Queries)
    shown = text(made)
    assert "SELECT * FROM messages WHERE id LIKE ?" in shown
    assert "Run 2 times, up to 3.20 s, 6.4 s in all; it reads messages in full" in shown
    assert "SCAN messages" in shown
    assert not made.slow


def test_missing_evidence_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    report = closer_report(tmp_path, "high-latency", {})
    for name in ("latency", "routes", "probe_phases", "provider_latency", "queries"):
        section = getattr(report, name)
        assert isinstance(section, Gap), name
        assert "failed: nothing answered" in section.reason, name
        assert section.hint == "see whether it runs", name
