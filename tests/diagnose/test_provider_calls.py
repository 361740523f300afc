"""Calls to providers: which failed, whom an error names, and what a health answer says of latency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from irkit.diagnose.provider_calls import (
    Answers,
    answers,
    failures,
    latency_told,
    own_calls,
    provider_in,
    provider_names,
    told_failures,
)
from tests.symptoms.evidence import frame

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
NAMES = ("provider-alpha", "provider-alpha-eu", "provider-beta")


def errors(*messages: str) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"at": AT + timedelta(seconds=index), "service": "api", "message": said, "line": f"ERROR {said}"}
        for index, said in enumerate(messages)
    ]
    return frame("errors", rows)


def asked(*rows: tuple[str, str, int]) -> pd.DataFrame:
    made = [
        {"at": AT + timedelta(seconds=index), "service": service, "method": "POST", "path": path, "status_code": status}
        for index, (service, path, status) in enumerate(rows)
    ]
    return frame("requests", made)


def test_providers_are_those_anything_names_each_once() -> None:
    names = provider_names([{"name": "alpha"}, {"name": ""}], [{"provider": "beta"}, {"provider": "alpha"}],
                           ["redis", "openai-proxy", "jarvis-api"])  # fmt: skip
    assert names == ("alpha", "beta", "openai-proxy")


def test_a_providers_own_log_tells_its_calls_without_health_checks() -> None:
    rows = [("provider-alpha", "/v1/complete", 200), ("provider-alpha", "/v1/complete", 429)]
    calls = own_calls(asked(*rows, ("provider-alpha", "/health", 503), ("api", "/api/chat", 500)), NAMES)
    assert [(call.provider, call.status_code, call.failed) for call in calls] == [
        ("provider-alpha", 200, False),
        ("provider-alpha", 429, True),
    ]
    assert own_calls(None, NAMES) == ()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("call failed provider=provider-alpha-eu status=503", "provider-alpha-eu"),
        ("call failed provider=gamma status=503", "gamma"),
        ("openai.RateLimitError: Rate limit reached", "openai"),
        ("too many requests", ""),
    ],
)
def test_an_error_names_the_longest_known_name_first(line: str, name: str) -> None:
    assert provider_in(line, NAMES) == name


def test_errors_that_say_the_same_but_for_numbers_are_one_kind() -> None:
    said = [f"provider call failed provider=provider-beta status=503 duration_ms={ms}" for ms in (12.1, 900, 7)]
    found = failures(errors(*said, "provider call failed provider=provider-alpha status=429", "KeyError: 'x'"), NAMES)
    assert [(one.provider, one.count) for one in found] == [("provider-beta", 3), ("provider-alpha", 1)]
    assert found[0].pattern.endswith("status=# duration_ms=#")
    assert (found[0].first, found[0].last) == (AT, AT + timedelta(seconds=2))
    assert found[0].line.endswith("duration_ms=7")
    assert [one.provider for one in told_failures(errors(*said), NAMES)] == ["provider-beta"] * 3
    assert failures(None, NAMES) == ()


def test_ai_routes_are_counted_by_status() -> None:
    rows = [("api", "/api/chat?stream=1", 200), ("api", "/api/chat", 200), ("api", "/api/chat", 429), ("api", "/", 500)]
    told = answers(asked(*rows))
    assert [(one.route, one.status, one.count) for one in told] == [
        ("POST /api/chat", 200, 2),
        ("POST /api/chat", 429, 1),
    ]
    assert isinstance(told[0], Answers)
    assert told[0].first < told[0].last
    assert answers(None) == ()


@pytest.mark.parametrize(
    ("detail", "latency_s"),
    [
        ('{"latency_ms": 12.5}', 0.0125),
        ('{"latency": 40}', 0.04),
        ('{"response_time_s": 2}', 2.0),
        ('{"error": "timeout", "duration_ms": 2003}', 2.003),
        ('{"latency_ms": "fast"}', None),
        ('{"latency_ms": true}', None),
        ("[1]", None),
        ("", None),
        ('{"latency_ms": 1', None),
    ],
)
def test_a_health_answers_latency_is_read_where_it_is_one(detail: str, latency_s: float | None) -> None:
    assert latency_told(detail) == latency_s
