"""Every detector: fires and stays silent on its own examples, and never takes ignorance or rubbish for an answer."""

from __future__ import annotations

import importlib
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit import runbook
from irkit.diagnose.run import Example, Symptom, run_detector
from irkit.model import Outcome, Threshold, Verdict, VerdictState
from tests.symptoms.evidence import BOOL, DOCUMENTS, FLOAT, INT, TABLES, TIME, InMemory, detectors, frame

DETECTORS = detectors()
START = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
LIMIT = Threshold("p95 latency", ">", 2.0, "s")


def examples(name: str) -> list[Any]:
    found = []
    for item in DETECTORS.values():
        its_own: tuple[Example, ...] = getattr(importlib.import_module(item.module), name)
        assert its_own, f"{item.module} has no {name}"
        found += [pytest.param(item, example, id=f"{item.slug}: {example.name}") for example in its_own]
    return found


def verdict(item: Symptom, evidence: dict[str, Any], outcome: Outcome = Outcome.COLLECTED) -> Verdict:
    return run_detector(item, InMemory(evidence, outcome), LIMIT).verdict


def assert_well_said(told: Verdict) -> None:
    """A sentence that stands alone: no slip of a placeholder, no failed detector."""
    assert not told.sentence.startswith("The detector "), told.sentence
    assert re.fullmatch(r"(?:p95|[A-Z0-9“]).*\.", told.sentence, re.DOTALL), told.sentence
    assert not re.search(r"\bNone\b(?! of)|\bnan\b|\bNaT\b|<NA>|  ", told.sentence), told.sentence
    assert 0 <= told.confidence <= 1
    assert told.onset is None or told.onset.utcoffset() == timedelta()


def test_every_symptom_of_the_runbook_has_a_detector_of_its_incident_types() -> None:
    wanted: dict[str, set[str]] = {}
    for incident_type in runbook.load().incident_types:
        for worded in incident_type.symptoms:
            wanted.setdefault(worded.slug, set()).add(incident_type.slug)
    assert {slug: set(item.incident_types) for slug, item in DETECTORS.items()} == wanted


@pytest.mark.parametrize(("item", "example"), examples("FIRES"))
def test_fires(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence))
    assert told.state is VerdictState.FOUND, told.sentence
    assert_well_said(told)
    assert told.advice
    assert told.confidence >= 0.5


@pytest.mark.parametrize(("item", "example"), examples("QUIET"))
def test_stays_silent(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence))
    assert told.state is VerdictState.CLEAR, told.sentence
    assert_well_said(told)


@pytest.mark.parametrize(("item", "example"), examples("QUIET"))
def test_cut_evidence_is_never_clear(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence), Outcome.PARTIAL)
    assert told.state is VerdictState.UNKNOWN
    assert "cut for the test" in told.sentence


@pytest.mark.parametrize(("item", "example"), examples("FIRES"))
def test_what_is_found_in_cut_evidence_is_found(item: Symptom, example: Example) -> None:
    assert verdict(item, dict(example.evidence), Outcome.TIMED_OUT).state is VerdictState.FOUND


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
def test_without_evidence_nothing_is_known(item: Symptom) -> None:
    told = verdict(item, {})
    assert told.state is VerdictState.UNKNOWN
    assert told.sentence.startswith("Not looked at: no collector gathered")


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
@pytest.mark.parametrize("kind", TABLES)
def test_one_empty_table_alone_is_never_a_finding(item: Symptom, kind: str) -> None:
    told = verdict(item, {kind: []})
    assert told.state is not VerdictState.FOUND, told.sentence
    assert_well_said(told)


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
def test_rows_of_nothing_are_never_a_finding(item: Symptom) -> None:
    nothing = {kind: [dict.fromkeys(columns)] * 3 for kind, columns in TABLES.items()}
    told = verdict(item, {**nothing, **dict.fromkeys(DOCUMENTS)})
    assert told.state is not VerdictState.FOUND, told.sentence
    assert_well_said(told)


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "jarvis-api",
            "healthy",
            "unhealthy",
            "refused",
            "timed_out",
            "exited",
            "restarting",
            "die",
            "oom",
            "kill",
            "health_status: unhealthy",
            "integrity_check",
            "quick_check",
            "/api/chat",
            "/api/health",
            "/dashboard",
            "http://[::1:80/",
            "database disk image is malformed",
            "rate limit reached for provider alpha",
            "gc: done, 1 unreachable, 0 uncollectable, 99.5s elapsed",
            "timed out\x00\x1b[31m",
            "<script>alert(1)</script>",
        ]
    ),
    st.text(max_size=30),
)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (zone added)
CELLS = {
    INT: st.sampled_from([0, 1, -1, 137, 143, 200, 429, 500, 504, 2**62, -(2**62)]),
    FLOAT: st.floats(),
    BOOL: st.booleans(),
    TIME: TIMES,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("status"), inner, max_size=3),
    max_leaves=8,
)


def rows(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    columns = {name: st.none() | CELLS.get(type_, TEXTS) for name, type_ in TABLES[kind].items()}
    if kind == "requests":  # derived by our own parser, which promises these
        columns |= dict.fromkeys(("service", "method", "path", "line"), TEXTS)
    return st.lists(st.fixed_dictionaries(columns), max_size=5)


def evidence_of(item: Symptom) -> st.SearchStrategy[dict[str, Any]]:
    kinds = (*item.needs, *item.uses)
    return st.fixed_dictionaries(
        {kind: rows(kind) if kind in TABLES else JSON | st.fixed_dictionaries({"json": JSON}) for kind in item.needs},
        optional={kind: rows(kind) if kind in TABLES else JSON for kind in kinds if kind not in item.needs},
    )


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_hostile_evidence_never_fails_a_detector(item: Symptom, data: st.DataObject) -> None:
    told = verdict(item, data.draw(evidence_of(item)))
    assert not told.sentence.startswith("The detector "), told.sentence
    assert 0 <= told.confidence <= 1


def test_text_that_is_not_utf8_reaches_the_sentence_as_visible_signs() -> None:
    line = "Fatal \udcff\x00\x1b[2J\u202e"
    stopped = {"service": "api", "name": "api-1", "state": "exited", "exit_code": 1, "oom_killed": False}
    logs = frame("logs", [{"at": "2026-11-24T03:00:00Z", "service": "api"}])
    logs["line"] = pd.Series([line], dtype=object)
    told = verdict(DETECTORS["health-check-failing"], {"containers": [stopped], "logs": logs})
    assert "Fatal \\xff␀" in told.sentence
    assert told.sentence.isprintable()
    assert told.numbers["line"] == line


def test_a_threshold_of_another_unit_is_not_applied() -> None:
    item = DETECTORS["p95-latency"]
    evidence = InMemory({"requests": []})
    for threshold in (None, replace(LIMIT, unit="requests")):
        assert run_detector(item, evidence, threshold).verdict.state is VerdictState.UNKNOWN


def test_one_probe_of_three_that_fails_is_found_with_its_time_and_less_sure() -> None:
    probes = [
        {"at": f"2026-11-24T03:00:0{n}Z", "verdict": told} for n, told in enumerate(("healthy", "refused", "healthy"))
    ]
    told = verdict(DETECTORS["health-check-failing"], {"health": probes})
    assert told.state is VerdictState.FOUND
    assert told.onset == datetime(2026, 11, 24, 3, 0, 1, tzinfo=UTC)
    assert told.confidence < 0.9


def test_a_container_that_is_down_beside_the_probed_one_is_named() -> None:
    api = {"service": "api", "name": "api-1", "state": "running", "health": "unhealthy", "ports": "0.0.0.0:80->80/tcp"}
    redis = {"service": "redis", "name": "redis-1", "state": "exited", "exit_code": 137, "oom_killed": False}
    probe = {"at": "2026-11-24T03:00:00Z", "url": "http://api/health", "verdict": "unhealthy", "status_code": 503}
    told = verdict(DETECTORS["health-check-failing"], {"health": [probe], "containers": [redis, api]})
    assert told.numbers["name"] == "api-1"
    assert told.numbers["also_down"] == ["redis-1"]
    assert "redis-1 exited: exit code 137" in told.sentence


def test_an_unhealthy_answer_is_blamed_on_the_part_it_names() -> None:
    probe = {"at": "2026-11-24T03:00:00Z", "verdict": "unhealthy", "status_code": 503}

    def blamed(services: dict[str, object]) -> str:
        body = {"json": {"status": "degraded", "services": services}}
        return verdict(DETECTORS["health-check-failing"], {"health": [probe], "health_body": body}).explained_by

    down = {"status": "down", "error": "x"}
    assert blamed({"redis": {"status": "up"}, "providers": {"alpha": down}}) == "provider-failures"
    assert blamed({"redis": down, "providers": {"alpha": down}}) == ""
    malformed = {"status": "down", "error": "DatabaseError: database disk image is malformed"}
    assert blamed({"database": malformed}) == "database-corruption"
    assert blamed({"providers": {"alpha": False, "beta": True}}) == "provider-failures"


def test_killed_by_the_kernel_is_blamed_on_memory_but_not_for_an_old_flag() -> None:
    def blamed(finished_at: str) -> str:
        api = {"service": "api", "name": "api-1", "state": "exited", "exit_code": 137, "oom_killed": True}
        probe = {"at": "2026-11-24T03:00:30Z", "verdict": "refused"}
        evidence = {"containers": [{**api, "finished_at": finished_at}], "health": [probe]}
        return verdict(DETECTORS["health-check-failing"], evidence).explained_by

    assert blamed("2026-11-24T03:00:00Z") == "memory-leak"
    running = {"service": "api", "name": "api-1", "state": "running", "health": "unhealthy", "oom_killed": True}
    old = {"containers": [{**running, "finished_at": "2026-11-24T01:00:00Z"}]}
    assert verdict(DETECTORS["health-check-failing"], old).explained_by == ""


def test_failing_chats_are_blamed_on_the_provider_only_where_the_log_names_one() -> None:
    def rows(path: str, status_code: int) -> list[dict[str, object]]:
        shared = {"service": "api", "method": "POST", "path": path, "status_code": status_code}
        return [shared | {"at": f"2026-11-24T03:00:{n:02d}Z"} for n in range(30)]

    def blamed(message: str, dashboard: int) -> str:
        errors = [
            {"at": f"2026-11-24T03:00:{n:02d}Z", "service": "api", "message": message, "line": message}
            for n in range(9)
        ]
        requests = [*rows("/api/chat", 502), *rows("/api/dashboard", dashboard)]
        return verdict(DETECTORS["ai-responses-failing"], {"requests": requests, "errors": errors}).explained_by

    assert blamed("provider call failed", 200) == ""
    assert blamed("KeyError: 'x'", 500) == "api-unresponsive"
    assert blamed("OperationalError: database is locked", 200) == "a failure of the service itself"


def test_a_limit_without_expiry_is_said_to_stay() -> None:
    refused = {"service": "api", "method": "POST", "path": "/api/chat", "status_code": 429}
    requests = [refused | {"at": f"2026-11-24T03:00:{n:02d}Z"} for n in range(10)]
    limits = [{"key": "ratelimit:provider:alpha", "provider": "alpha", "type": "string", "value": "9"}]
    told = verdict(DETECTORS["rate-limit-errors"], {"requests": requests, "rate_limits": limits})
    assert "alpha has no expiry in Redis and will not reset by itself" in told.sentence


def test_quick_check_alone_never_clears_a_database() -> None:
    rows = [{"check": "quick_check", "ok": True, "message": "ok"}]
    told = verdict(DETECTORS["data-inconsistency"], {"database_integrity": rows})
    assert told.state is VerdictState.UNKNOWN
    assert "full integrity check did not finish" in told.sentence


def test_a_lock_is_a_sqlite_error_and_no_corruption() -> None:
    message = "sqlite3.OperationalError: database is locked"
    told = verdict(DETECTORS["sqlite-errors"], {"errors": [{"message": message, "line": message}]})
    assert told.state is VerdictState.FOUND
    assert told.explained_by == "lock contention"


def test_one_memory_sample_shows_no_slope_and_says_what_would() -> None:
    sample = {"at": "2026-11-24T03:00:00Z", "name": "api-1", "memory_usage_bytes": 9, "memory_percent": 97.0}
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_stats": [sample]})
    assert told.state is VerdictState.UNKNOWN
    assert "uses 97 % of its memory limit" in told.sentence
    assert "docker stats" in told.advice


def memory(levels_mib: list[float], step_s: int = 10, **changed: object) -> list[dict[str, object]]:
    shared = {"service": "api", "name": "api-1", "started_at": "2026-11-24T01:00:00Z", **changed}
    return [
        shared | {"at": START + timedelta(seconds=step_s * n), "memory_usage_bytes": int(level * 2**20)}
        for n, level in enumerate(levels_mib)
    ]


def test_a_rise_is_told_of_the_run_it_was_in_and_none_is_drawn_through_a_restart() -> None:
    levels = [80.0 + n for n in range(40)] + [80.0 + n % 2 for n in range(15)]
    stats = [{key: value for key, value in row.items() if key != "started_at"} for row in memory(levels)]
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_stats": stats})
    assert told.state is VerdictState.FOUND
    assert told.numbers["until"] == START + timedelta(seconds=390)
    assert ", until that run ended at 02:36:30 UTC." in told.sentence
    short = verdict(DETECTORS["gradual-memory-increase"], {"container_stats": stats[30:]})
    assert short.state is VerdictState.UNKNOWN  # ten samples before the restart, fifteen since: too few to tell


def test_a_rise_whose_slope_has_no_bound_yet_is_not_cleared() -> None:
    levels = [80.0 + n % 2 / 10 for n in range(46)]
    levels += [80.0 + 0.8 * n + 2 * math.sin(n / 6) + n % 2 / 10 for n in range(43)]
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_history": memory(levels)})
    assert told.state is VerdictState.UNKNOWN
    assert told.sentence.startswith("api-1 gained ")
    assert "it may go on rising or settle" in told.sentence


def test_the_time_to_the_limit_has_the_interval_of_the_slope() -> None:
    rows = memory([80 + n / 2 + (n * 37 % 11) / 10 for n in range(120)], memory_limit_bytes=256 * 2**20)
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_history": rows})
    assert told.numbers["full_in_s"] == pytest.approx((256 - 139.5) / 0.05, rel=0.03)
    assert re.search(r"its limit of 256 MiB is reached in 38 min \d+ s \(38 min \d+ s to 38 min \d+ s\)", told.sentence)


def test_what_the_processes_do_not_hold_is_no_leak_of_theirs() -> None:
    rows = memory([80 + n / 2 + (n * 37 % 11) / 10 for n in range(120)])
    held = [
        {"at": row["at"], "service": "api", "name": "api-1", "pid": 7, "rss_bytes": 60 * 2**20 + 4096 * (n * 13 % 7)}
        for n, row in enumerate(rows)
    ]
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_history": rows, "process_history": held})
    assert told.state is VerdictState.UNKNOWN
    assert "its processes do not" in told.sentence
    grown = [each | {"rss_bytes": row["memory_usage_bytes"]} for each, row in zip(held, rows, strict=True)]
    both = {"container_history": rows, "process_history": grown}
    assert verdict(DETECTORS["gradual-memory-increase"], both).state is VerdictState.FOUND


def test_memory_that_rises_with_the_traffic_is_not_called_a_leak() -> None:
    rows = memory([80 + n / 2 + (n * 37 % 11) / 10 for n in range(120)])
    requests = [
        {"at": START + timedelta(seconds=1200 * (n / 900) ** 0.5), "service": "api", "path": "/x", "status_code": 200}
        for n in range(900)
    ]
    told = verdict(DETECTORS["gradual-memory-increase"], {"container_history": rows, "requests": requests})
    assert told.state is VerdictState.UNKNOWN
    assert "requests to it rose 5.0 times meanwhile" in told.sentence


def test_a_saw_tooth_that_reaches_the_limit_is_no_calm_one() -> None:
    levels = [80 + 5 * (n % 30) + (n * 37 % 11) / 10 for n in range(175)]
    rows = memory(levels, memory_limit_bytes=256 * 2**20)
    for n, row in enumerate(rows):
        row["started_at"] = START + timedelta(seconds=300 * (n // 30) - 1)
    assert verdict(DETECTORS["gradual-memory-increase"], {"container_history": rows}).state is VerdictState.FOUND


def test_a_child_that_was_killed_is_told_from_the_end_of_the_container() -> None:
    api = {"service": "api", "name": "api-1", "state": "running", "oom_killed": False}
    shared = {"service": "api", "name": "api-1", "started_at": "2026-11-24T01:00:00Z"}
    history = [shared | {"at": f"2026-11-24T03:00:{5 * n:02d}Z", "oom_kill_count": n // 4} for n in range(8)]
    start = {"at": "2026-11-24T02:40:00Z", "service": "api", "name": "api-1", "action": "start"}
    evidence = {"containers": [api], "container_history": history, "container_events": [start]}
    told = verdict(DETECTORS["oom-kills"], evidence)
    assert told.sentence == (
        "The kernel killed a process of api-1 for want of memory from 03:00:15 UTC to 03:00:20 UTC "
        "(1 kill counted by the kernel); api-1 lived on: it was a process within, "
        "and OOMKilled tells of the first one only."
    )
    assert told.onset == datetime(2026, 11, 24, 3, 0, 20, tzinfo=UTC)
    die = {"at": "2026-11-24T03:00:19Z", "service": "api", "name": "api-1", "action": "die", "exit_code": 137}
    assert "lived on" not in verdict(DETECTORS["oom-kills"], evidence | {"container_events": [die]}).sentence


def test_137_at_the_limit_is_a_suspicion_and_by_hand_not_even_that() -> None:
    ended = {"service": "api", "name": "api-1", "state": "exited", "exit_code": 137, "oom_killed": False}
    api = ended | {"finished_at": "2026-11-24T03:00:20Z"}
    used = {"service": "api", "name": "api-1", "memory_usage_bytes": 255 * 2**20, "memory_limit_bytes": 256 * 2**20}
    evidence: dict[str, Any] = {"containers": [api], "container_history": [used | {"at": "2026-11-24T03:00:15Z"}]}
    told = verdict(DETECTORS["oom-kills"], evidence)
    assert told.state is VerdictState.UNKNOWN
    assert "ended with 137, a SIGKILL, while its memory stood at over 99 % of its limit" in told.sentence
    kill = {"at": "2026-11-24T03:00:19Z", "service": "api", "name": "api-1", "action": "kill", "signal": "9"}
    by_hand = verdict(DETECTORS["oom-kills"], evidence | {"container_events": [kill]})
    assert by_hand.state is VerdictState.CLEAR
    assert "api-1 ended with 137 by a kill that was asked for" in by_hand.sentence


def test_a_flag_that_the_next_start_cleared_is_in_the_recorders_history() -> None:
    shared = {"service": "api", "name": "api-1"}
    history = [shared | {"at": f"2026-11-24T03:00:{5 * n:02d}Z", "oom_killed": n == 2} for n in range(5)]
    told = verdict(
        DETECTORS["oom-kills"], {"containers": [shared | {"state": "running"}], "container_history": history}
    )
    assert told.state is VerdictState.FOUND
    assert told.onset == datetime(2026, 11, 24, 3, 0, 10, tzinfo=UTC)


def test_the_exit_code_of_a_container_that_runs_again_is_taken_from_the_events() -> None:
    api = {"service": "api", "name": "api-1", "state": "running", "health": "healthy", "ports": "0.0.0.0:80->80/tcp"}
    events = [
        {"at": f"2026-11-24T03:00:0{n}Z", "service": "api", "name": "api-1", "action": action, "exit_code": code}
        for n, (action, code) in enumerate((("oom", None), ("die", 137), ("start", None)))
    ]
    probe = {"at": "2026-11-24T03:01:00Z", "url": "http://api/health", "verdict": "healthy", "status_code": 200}
    told = verdict(
        DETECTORS["health-check-failing"], {"health": [probe], "containers": [api], "container_events": events}
    )
    assert told.state is VerdictState.FOUND
    assert told.onset == datetime(2026, 11, 24, 3, 0, 1, tzinfo=UTC)
    assert (told.numbers["exit_code"], told.numbers["oom_killed"]) == (137, True)
    assert "after it died at 03:00:01 UTC: killed by the kernel for want of memory" in told.sentence


@pytest.mark.parametrize("slug", ["p95-latency", "slow-dashboard-loading"])
@pytest.mark.parametrize(("total", "slow", "state"), [(19, 0, "unknown"), (26, 1, "unknown"), (60, 0, "clear")])
def test_too_few_requests_clear_no_latency(slug: str, total: int, slow: int, state: str) -> None:
    shared = {"service": "api", "method": "GET", "path": "/dashboard", "status_code": 200}
    requests = [
        shared | {"at": START + timedelta(seconds=n), "duration_s": 2.5 if n < slow else 0.1} for n in range(total)
    ]
    assert verdict(DETECTORS[slug], {"requests": requests}).state == state


@pytest.mark.parametrize(("second", "told"), [(4, True), (30, False)])
def test_a_service_that_fell_silent_with_the_onset_is_told_by_its_last_line(second: int, told: bool) -> None:  # noqa: FBT001
    probes = [{"at": f"2026-11-24T03:00:0{n}Z", "verdict": "timed_out"} for n in (3, 5, 7)]
    api = {"service": "api", "name": "api-1", "state": "running", "health": "unhealthy"}
    logs = [{"at": f"2026-11-24T03:00:{second:02d}Z", "service": "api", "line": "INFO: the last word"}]
    found = verdict(DETECTORS["health-check-failing"], {"health": probes, "containers": [api], "logs": logs})
    assert (found.numbers.get("line") == "INFO: the last word") is told
    assert ("its last log line, at 03:00:04 UTC" in found.sentence) is told


def test_the_last_line_is_the_last_one_whatever_it_says() -> None:
    probes = [{"at": f"2026-11-24T03:00:0{n}Z", "verdict": "timed_out"} for n in (3, 5, 7)]
    api = {"service": "api", "name": "api-1", "state": "running", "health": "unhealthy"}
    answered = 'INFO: 10.0.0.1:5000 - "GET /api/orders HTTP/1.1" 200 OK'

    def found(*lines: tuple[int, str]) -> Verdict:
        logs = [{"at": f"2026-11-24T03:00:{second:02d}Z", "service": "api", "line": line} for second, line in lines]
        return verdict(DETECTORS["health-check-failing"], {"health": probes, "containers": [api], "logs": logs})

    silent = found((1, "INFO: listening"), (4, answered)).sentence
    assert "its last log line, at 03:00:04 UTC, is of a request it answered; before that, at 03:00:01 UTC" in silent
    assert f"at 03:00:04 UTC, is “{answered}”" in found((2, answered), (4, answered)).sentence
    goes_on = found((1, "INFO: listening"), (30, answered))
    assert "last log line" not in goes_on.sentence, "one that answers has not fallen silent"


def test_the_recorders_own_history_tells_since_when_it_fails_and_its_body_in_which_word() -> None:
    shared = {"url": "http://localhost:8000/health", "status_code": 200}
    history = [
        shared
        | {"at": START + timedelta(seconds=5 * n), "verdict": "unhealthy" if n >= 6 else "healthy"}
        | {"reported_status": "degraded" if n >= 6 else "ok"}
        for n in range(24)
    ]
    api = {"service": "api", "name": "api-1", "state": "running", "health": "healthy", "ports": "0.0.0.0:8000->8000"}
    answered = {"service": "api", "method": "GET", "path": "/health", "status_code": 200, "duration_s": 0.01}
    requests = [answered | {"at": START + timedelta(seconds=n)} for n in range(3, 120, 10)]
    found = verdict(
        DETECTORS["health-check-failing"],
        {"health": history[-3:], "health_history": history, "containers": [api], "requests": requests},
    )
    assert found.onset == START + timedelta(seconds=30)
    assert "failed (it says “degraded”, HTTP 200)" in found.sentence
    assert "unhealthy" not in found.sentence


@pytest.mark.parametrize(
    ("levels", "unfelt"),
    [([80 + index / 2 for index in range(120)], True), ([50 + 1.6 * index for index in range(120)], False)],
)
def test_a_rise_is_felt_once_it_is_near_its_limit(levels: list[float], unfelt: bool) -> None:  # noqa: FBT001
    rows = [
        {"at": START + timedelta(seconds=10 * n), "service": "api", "name": "api-1", "started_at": START}
        | {"memory_usage_bytes": int(level * 2**20) + n * 7919 % 4096, "memory_limit_bytes": 256 * 2**20}
        for n, level in enumerate(levels)
    ]
    found = verdict(DETECTORS["gradual-memory-increase"], {"container_history": rows})
    assert found.state is VerdictState.FOUND
    assert found.numbers["unfelt"] is unfelt


def test_a_restart_loop_is_told_from_a_stop() -> None:
    api = {
        "service": "api",
        "name": "api-1",
        "state": "restarting",
        "exit_code": 1,
        "oom_killed": False,
        "restart_count": 7,
    }
    told = verdict(DETECTORS["health-check-failing"], {"containers": [{**api, "finished_at": "2026-11-24T03:00:00Z"}]})
    assert "is in a restart loop, last ended at 03:00:00 UTC: exit code 1" in told.sentence
    assert "restarted 7 times by the engine" in told.sentence
