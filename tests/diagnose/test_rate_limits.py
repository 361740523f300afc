"""Rate limits as services keep them: what is used of which limit, and what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from irkit.diagnose.rate_limits import limits_told, usage_of

RESET = datetime(2026, 11, 24, 3, 10, tzinfo=UTC)


def row(kind: str, value: str, length: int = 1, ttl_s: float | None = 30.0) -> dict[str, object]:
    made: dict[str, object] = {"key": "ratelimit:provider:alpha", "provider": "alpha", "type": kind, "value": value}
    return made | {"length": length, "ttl_s": ttl_s, "reset_at": RESET if ttl_s else None}


@pytest.mark.parametrize(
    ("given", "used", "limit"),
    [
        (row("string", "601"), 601, 600),
        (row("zset", '{"lowest": {}}', length=599), 599, 600),
        (row("hash", '{"used": "12", "limit": "50"}'), 12, 50),
        (row("hash", '{"limit": 50, "remaining": 0}'), 50, 50),
        (row("hash", '{"Count": 7}'), 7, 600),
        (row("string", "locked"), None, 600),
        (row("string", "[1, 2]"), None, 600),
        (row("string", ""), None, 600),
    ],
)
def test_use_and_limit_are_read_as_services_write_them(given: dict[str, object], used: int, limit: int) -> None:
    (one,) = usage_of([given], {"alpha": 600})
    assert (one.used, one.limit, one.full) == (used, limit, used is not None and used >= limit)
    assert one.reset_at == RESET


def test_a_limit_that_nobody_tells_is_not_full_and_one_without_expiry_never_resets() -> None:
    (one,) = usage_of([row("string", "601", ttl_s=None)], {})
    assert (one.limit, one.full, one.expires, one.reset_at) == (None, False, False, None)


def test_the_fullest_comes_first() -> None:
    rows = [row("string", str(used)) | {"key": f"k{used}"} for used in (5, 700, 300)]
    assert [one.key for one in usage_of(rows, {"alpha": 600})] == ["k700", "k300", "k5"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("rate limit exceeded provider=alpha used=601 limit=600", {"alpha": 600}),
        ("alpha: 61/60 calls", {"alpha": 60}),
        ("alpha used 61 of 60", {"alpha": 60}),
        ('{"provider": "alpha", "limit": 600}', {"alpha": 600}),
        ("beta limit=600", {}),
        ("alpha is rate limited", {}),
    ],
)
def test_the_log_tells_limits_of_the_providers_it_names(line: str, found: dict[str, int]) -> None:
    assert limits_told([line], ["alpha", "", "gamma"]) == found


def test_the_latest_line_counts() -> None:
    assert limits_told(["alpha limit=60", "alpha limit=90"], ["alpha"]) == {"alpha": 90}
