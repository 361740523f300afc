"""Growth told from what fills up, however unevenly the snapshots were taken."""

from __future__ import annotations

import pytest

from irkit.memory.heap_suspects import grows_on

MIB = 1 << 20


@pytest.mark.parametrize(
    ("levels_mib", "spans_s"),
    [
        ((100, 200), (60,)),
        ((100, 200, 300), (60, 60)),
        ((10, 85, 109), (25, 8)),  # as much a second, and a third as much by then
        ((10, 34, 109), (8, 25)),
        ((10, 85, 84, 160), (25, 0.3, 25)),  # a moment between two collections of garbage
        ((10, 20, 40), (2, 4)),
        ((10, 20, 30), (0.1, 0.3)),  # rounds of as much work, whatever they took
        ((10, 20, 30), (0, 0)),  # nobody knows when
    ],
)
def test_what_grows_as_fast_as_before_goes_on(levels_mib: tuple[int, ...], spans_s: tuple[float, ...]) -> None:
    assert grows_on([level * MIB for level in levels_mib], spans_s)


@pytest.mark.parametrize(
    ("levels_mib", "spans_s"),
    [
        ((100, 100), (60,)),
        ((100, 200, 220), (60, 60)),
        ((100, 200, 190), (60, 60)),
        ((100, 200, 240), (60, 180)),
        ((10, 20, 24), (2, 2)),
        ((10, 20, 22), (0.1, 0.1)),
    ],
)
def test_what_fills_up_or_keeps_its_size_does_not(levels_mib: tuple[int, ...], spans_s: tuple[float, ...]) -> None:
    assert not grows_on([level * MIB for level in levels_mib], spans_s)
