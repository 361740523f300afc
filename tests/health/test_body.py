from __future__ import annotations

import json
from typing import Any

import pytest

from irkit.health.body import MAX_PROVIDERS, means_healthy, parse_json, read_health


@pytest.mark.parametrize(
    ("word", "healthy"),
    [
        ("ok", True),
        ("UP", True),
        ("Healthy ", True),
        ("pass", True),
        ("up (12 ms)", True),
        (True, True),
        ("down", False),
        ("DEGRADED", False),
        ("out of service", False),
        ("rate-limited", False),
        ("not ok", False),
        ("error: 401 invalid key", False),
        (False, False),
        ("unknown", None),
        ("v1.2.3", None),
        ("", None),
        (200, None),
        (None, None),
    ],
)
def test_status_words_mean_what_people_mean(word: object, *, healthy: bool | None) -> None:
    assert means_healthy(word) is healthy


@pytest.mark.parametrize(
    ("body", "healthy", "status"),
    [
        ({"status": "healthy"}, True, "healthy"),
        ({"Status": "DOWN"}, False, "DOWN"),
        ({"healthy": False}, False, None),
        ({"ok": True}, True, None),
        ({"status": "ok", "healthy": False}, False, "ok"),
        ({"status": True}, True, "true"),
        ({"error": "database gone"}, False, None),
        ({"status": "weird"}, None, "weird"),
        ({"version": 3}, None, None),
        ("OK", True, "OK"),
        (False, False, "false"),
        ([], None, None),
        (None, None, None),
    ],
)
def test_a_service_speaks_for_itself(body: object, *, healthy: bool | None, status: str | None) -> None:
    found = read_health(body)
    assert (found.healthy, found.status, found.providers) == (healthy, status, None)


SHAPES: dict[str, Any] = {
    "strings": {"openai": "up", "anthropic": "down", "local": "who knows"},
    "booleans": {"openai": True, "anthropic": False, "local": None},
    "objects": {"openai": {"status": "up"}, "anthropic": {"healthy": False}, "local": {"latency_ms": 3}},
    "mixed": {"openai": {"status": "up"}, "anthropic": False, "local": 17},
    "list": [
        {"name": "openai", "status": "operational"},
        {"provider": "anthropic", "available": False},
        {"id": "local"},
    ],
}


@pytest.mark.parametrize("place", ["services.providers", "providers"])
@pytest.mark.parametrize("shape", SHAPES)
def test_providers_are_read_in_every_shape_and_place(place: str, shape: str) -> None:
    found = SHAPES[shape]
    health = read_health({"services": {"providers": found}} if "." in place else {"services": "up", "providers": found})
    assert health.providers is not None
    assert [(item.name, item.healthy) for item in health.providers] == [
        ("openai", True),
        ("anthropic", False),
        ("local", None),
    ]
    assert health.doubts == ("the body does not tell whether these providers are healthy: local",)


def test_the_words_and_the_rest_of_a_provider_are_kept() -> None:
    entry = {"status": "down", "error": "401", "latency_ms": 12}
    health = read_health({"providers": {"openai": entry}})
    assert health.providers is not None
    [provider] = health.providers
    assert provider.status == "down"
    assert json.loads(provider.detail or "") == {"error": "401", "latency_ms": 12}
    assert health.doubts == ()


def test_the_word_of_the_whole_group_is_not_a_provider() -> None:
    health = read_health({"providers": {"status": "degraded", "openai": {"ok": True}}})
    assert [item.name for item in health.providers or ()] == ["openai"]


def test_a_list_of_names_tells_nothing_of_their_health() -> None:
    health = read_health({"providers": ["openai", "anthropic"]})
    assert [(item.name, item.healthy) for item in health.providers or ()] == [("openai", None), ("anthropic", None)]
    assert "openai, anthropic" in health.doubts[0]


@pytest.mark.parametrize("shape", ["all good", 7, [1, 2], True])
def test_an_unknown_shape_is_said_and_not_guessed(shape: object) -> None:
    health = read_health({"providers": shape})
    assert health.providers is None
    assert health.doubts == ("the providers are in a shape irkit does not know",)


def test_no_providers_at_all_is_an_answer() -> None:
    assert read_health({"providers": {}}).providers == ()
    assert read_health({"services": {"redis": "up"}}).providers is None


def test_more_providers_than_anyone_has_are_cut_and_said() -> None:
    health = read_health({"providers": {f"p{number}": True for number in range(MAX_PROVIDERS + 1)}})
    assert len(health.providers or ()) == MAX_PROVIDERS
    assert health.doubts == ("only the first 500 of 501 providers were read",)


@pytest.mark.parametrize("body", [b"", b"OK", b"{", b"[" * 100_000, b"[" * 70 + b"]" * 70, b"1" * 5000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_json(body)


def test_bytes_that_are_not_utf8_are_kept() -> None:
    assert parse_json(b'\xef\xbb\xbf{"status": "\xff"}') == {"status": "\udcff"}
