"""Words and codes as signs: each tells its own kind of failure and no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from irkit.diagnose.signs import (
    AI_PATH,
    HEALTH_PATH,
    Sign,
    bearing,
    exit_meaning,
    has,
    incident_of,
    incident_of_most,
    last_words,
    over_at,
    telling_message,
)
from tests.symptoms.evidence import frame


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("ReadTimeout: HTTPConnectionPool(host='x'): Read timed out.", {Sign.TIMEOUT}),
        ("context deadline exceeded", {Sign.TIMEOUT}),
        ("asyncio.TimeoutError", {Sign.TIMEOUT}),
        ("upstream timed out (110: Connection timed out)", {Sign.TIMEOUT}),
        ("openai.RateLimitError: Error code: 429", {Sign.PROVIDER, Sign.RATE_LIMIT}),
        ("anthropic: 529 overloaded", {Sign.PROVIDER}),
        ("sqlite3.DatabaseError: database disk image is malformed", {Sign.CORRUPTION, Sign.DATABASE}),
        ("file is not a database", {Sign.CORRUPTION, Sign.DATABASE}),
        ("sqlite3.OperationalError: disk I/O error", {Sign.CORRUPTION, Sign.UNREADABLE, Sign.DATABASE}),
        ("sqlite3.OperationalError: unable to open database file", {Sign.UNREADABLE, Sign.DATABASE}),
        ("(sqlite3.OperationalError) database is locked", {Sign.CONTENTION, Sign.DATABASE}),
        ("MemoryError", {Sign.MEMORY}),
        ("KeyError: 'session_secret'", set()),
        ("connection pool exhausted", set()),
        ("the timetable is out", set()),
        ("IllumOS", set()),
        ("", set()),
    ],
)
def test_signs(text: str, signs: set[Sign]) -> None:
    assert {sign for sign in Sign if has(sign, text)} == signs


def test_code_in_a_traceback_is_no_sign() -> None:
    line = (
        'ERROR failed\nTraceback (most recent call last):\n    return opener.open(url, timeout)\nKeyError: "provider_x"'
    )
    errors = frame("errors", [{"message": 'KeyError: "x"', "line": line}])
    assert bearing(errors, Sign.TIMEOUT, Sign.PROVIDER).empty
    assert (
        last_words("Traceback (most recent call last):\n  urlopen(url, timeout)\nHTTPError: 500\n") == "HTTPError: 500"
    )


def test_what_raised_and_the_line_before_it_both_speak() -> None:
    line = "ERROR provider call failed\nTraceback (most recent call last):\n  File\nOSError: broken"
    errors = frame("errors", [{"message": "OSError: broken", "line": line}])
    assert len(bearing(errors, Sign.PROVIDER)) == 1


def test_most_errors_decide_whom_they_blame() -> None:
    def blamed(*messages: str) -> str:
        return incident_of_most(frame("errors", [{"message": message, "line": message} for message in messages]))

    assert blamed("provider failed", "provider failed", "KeyError") == "provider-failures"
    assert blamed("provider failed", "KeyError", "KeyError") == ""
    assert blamed() == ""
    assert incident_of("provider timed out: database disk image is malformed") == "database-corruption"


def test_the_telling_message_is_the_most_frequent_and_of_equals_the_latest() -> None:
    def told(*messages: str | None) -> str:
        return telling_message(frame("errors", [{"message": message} for message in messages]))

    assert told("a", "b", "a", "c") == "a"
    assert told("a", "b") == "b"
    assert told() == told(None) == ""


def test_an_exception_tells_more_than_that_there_was_a_request() -> None:
    def told(*messages: str) -> str:
        return telling_message(frame("errors", [{"message": message} for message in messages]))

    for label in ("request", "request_finished", "HTTP request failed", "access", "Response completed."):
        for raised in (
            "PriceError: no tariff",
            "app.db.DoesNotExist: 7",
            "ValueError",
            "java.lang.IllegalStateException",
        ):
            assert told(label, label, raised) == raised
    assert told("request", "request", "shutting down") == "request"  # one stray line is not what most fail of
    assert told("connection refused", "connection refused", "ValueError: x") == "connection refused"
    assert told("request", "request", "ERROR: relation does not exist") == "request"
    assert told("request timed out", "request timed out", "ValueError: x") == "request timed out"


@pytest.mark.parametrize(
    ("path", "of_health", "of_ai"),
    [("/api/health", True, False), ("/healthz/", True, False), ("/api/chat", False, True),
     ("/v1/chat/completions", False, True),
     ("/health/report", False, False), ("/api/chatter", False, False), ("/mail", False, False)],
)  # fmt: skip
def test_paths(path: str, *, of_health: bool, of_ai: bool) -> None:
    assert bool(HEALTH_PATH.search(path)) is of_health
    assert bool(AI_PATH.search(path)) is of_ai


@pytest.mark.parametrize(
    ("code", "flag", "told"),
    [
        (0, False, "a clean end"),
        (1, False, "an error of its own"),
        (127, False, "command was not found"),
        (137, True, "killed by the kernel for want of memory"),
        (137, False, "137 alone does not say who killed it"),
        (137, None, "the out-of-memory flag is not known"),
        (139, False, "SIGSEGV"),
        (143, False, "SIGTERM"),
        (200, False, "signal 72"),
        (None, None, "not known"),
    ],
)
def test_an_exit_code_proves_what_it_proves(code: int | None, *, flag: bool | None, told: str) -> None:
    assert told in exit_meaning(code, oom_killed=flag)


START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failed", "served", "over"),
    [
        (range(100, 200), range(200, 220), True),
        (range(100, 200), range(200, 209), False),  # nine: too few whatever was before
        (range(100, 200), (), False),  # nobody asked any more
        (range(0, 1000, 50), range(1000), False),  # one in fifty: ten quiet seconds are nothing
        (range(0, 1000, 50), range(2000), True),
    ],
)
def test_failures_are_over_where_so_many_were_served_since_that_it_is_no_chance(
    failed: range, served: range, *, over: bool
) -> None:
    at = [START + timedelta(seconds=second) for second in failed]
    common = {"service": "api", "method": "GET", "path": "/buy", "duration_s": 0.1}
    rows = [{"at": START + timedelta(seconds=second), **common, "status_code": 200} for second in served]
    refused = [{"at": START + timedelta(seconds=9000), **common, "status_code": 503}] * 50
    checks = [{"at": START + timedelta(seconds=9000), **common, "path": "/health", "status_code": 200}] * 50
    requests = frame("requests", [*rows, *refused, *checks])
    assert over_at(at, requests) == (max(at) if over else None)
    assert over_at(at, None) is over_at([], requests) is None
