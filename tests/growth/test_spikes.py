"""Short spikes of memory are left out, and nothing that stays, starts anew, or comes again and again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from irkit.growth.spikes import without_spikes
from irkit.records import Row

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
MIB = 1 << 20
FLAT = [80.0, 81.0, 80.0, 81.0] * 8


def samples(levels_mib: Iterable[float], restart: int | None = None) -> list[Row]:
    began = START - timedelta(hours=1)
    return [
        {
            "at": START + index * timedelta(seconds=5),
            "started_at": began if restart is None or index < restart else START,
            "memory_usage_bytes": level * MIB,
        }
        for index, level in enumerate(levels_mib)
    ]


def levels(rows: Sequence[Row]) -> list[float]:
    return [row["memory_usage_bytes"] / MIB for row in rows]


def spiked(at: int, *heights: float) -> list[float]:
    return [*FLAT[:at], *heights, *FLAT[at + len(heights) :]]


@pytest.mark.parametrize("heights", [(312.0,), (200.0, 312.0), (150.0, 312.0, 120.0)])
def test_what_stood_far_above_both_sides_for_a_moment_is_drawn_down_between_them(heights: tuple[float, ...]) -> None:
    rows = samples(spiked(10, *heights))
    kept = without_spikes(rows)
    assert max(levels(kept)) <= 81
    assert [row["at"] for row in kept] == [row["at"] for row in rows]
    assert max(levels(rows)) == 312, "the samples themselves are as they were"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(samples(spiked(10, *[130.0] * 22)), id="a step"),
        pytest.param(samples(spiked(10, *[130.0] * 4)), id="a peak that lasts"),
        pytest.param(samples(spiked(31, 312.0)), id="one that has not come down yet"),
        pytest.param(samples(spiked(10, 84.0)), id="what is hardly above"),
        pytest.param(samples(spiked(10, 20.0, 21.0)), id="a fall"),
        pytest.param(samples([80.0 + index % 5 * 10 for index in range(40)]), id="a collector of garbage at work"),
        pytest.param(samples([80.0 + 60 * (index % 4 == 2) for index in range(40)]), id="a habit"),
        pytest.param(samples([*FLAT[:10], 180.0, 80.0, *FLAT[12:]], restart=11), id="the last sample before a restart"),
        pytest.param(samples([]), id="no sample"),
        pytest.param(samples([80.0]), id="one sample"),
    ],
)
def test_all_else_is_as_it_was(rows: list[Row]) -> None:
    assert without_spikes(rows) == rows
