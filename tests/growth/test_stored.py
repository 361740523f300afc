"""Redis that grows by what it is given to keep, and where that is more than its use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from irkit.growth.containers import Course, Growth
from irkit.growth.stored import stored

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIB = 1 << 20
GROWTH = Growth(
    "kv-1", "kv", Course.RISES, 35, 170.0, 13_000.0, onset=NOON, first_bytes=3.7 * MIB, last_bytes=6.1 * MIB
)
PROCESSES = pd.DataFrame([{"name": "kv-1", "command": "docker-init"}, {"name": "kv-1", "command": "redis-server"}])
LARGE = replace(GROWTH, slope_per_s=2.0 * MIB, last_bytes=130.0 * MIB)


def account(held_mib: float = 3.3, keys: int = 1081, most_mib: float | None = 200.0) -> pd.DataFrame:
    """Redis' own account over the 170 s: 1 MiB in 5 keys at first."""
    return pd.DataFrame(
        {
            "at": NOON + timedelta(seconds=170 * part),
            "used_memory_bytes": (1 + (held_mib - 1) * part) * MIB,
            "keys": int(5 + (keys - 5) * part),
            "max_memory_bytes": most_mib and most_mib * MIB,
        }
        for part in (0.0, 0.5, 1.0)
    )


def test_what_it_was_given_explains_a_small_rise_far_from_its_limit() -> None:
    told = stored(GROWTH, account(), PROCESSES)
    assert told is not None
    assert told.sentence == (
        "Redis accounts for it by what it was given, 1.0 MiB to 3.3 MiB in 5 to 1\u202f081 keys, 1.7 % of its "
        "maxmemory of 200 MiB"
    )


def test_without_a_limit_a_small_rise_is_explained_and_one_to_several_times_its_size_is_not() -> None:
    told = stored(GROWTH, account(most_mib=None), PROCESSES)
    assert told is not None
    assert told.sentence.endswith("; no limit is set, and it is not several times what it was")
    assert stored(LARGE, account(125.0, 238, None), PROCESSES) is None


def test_the_nearest_limit_counts() -> None:
    assert stored(GROWTH, account(most_mib=4.0), PROCESSES) is None
    assert stored(LARGE, account(125.0, 238, 1000.0), PROCESSES) is None  # full in eight minutes
    assert stored(replace(GROWTH, limit_bytes=4.0 * MIB), account(), PROCESSES) is None
    told = stored(replace(GROWTH, limit_bytes=100.0 * MIB), account(), PROCESSES)
    assert told is not None
    assert "of its container’s limit of 100 MiB" in told.sentence


def test_what_redis_does_not_account_for_stays_unexplained() -> None:
    assert stored(GROWTH, account(held_mib=1.3), PROCESSES) is None  # a small part of what the container gained
    assert stored(GROWTH, account(keys=5), PROCESSES) is None  # nothing was stored


def test_of_another_container_or_a_run_that_ended_redis_says_nothing() -> None:
    assert stored(replace(GROWTH, name="api-1"), account(), PROCESSES) is None
    assert stored(replace(GROWTH, until=NOON), account(), PROCESSES) is None
    assert stored(GROWTH, None, PROCESSES) is None
    assert stored(GROWTH, account(), None) is None
