"""Percentiles per interval and per route: what they count, and what they leave open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from irkit.diagnose.percentiles import by_route, over_time, spread_of, step_for, timed

BEGAN = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def requests(*rows: tuple[float, str, float | None], status: int = 200) -> pd.DataFrame:
    """Requests by second after BEGAN, path and duration."""
    frame = pd.DataFrame(
        [
            {
                "at": BEGAN + timedelta(seconds=second),
                "service": "api",
                "method": "GET",
                "path": path,
                "status_code": status,
                "duration_s": took,
            }
            for second, path, took in rows
        ]
    )
    return frame.astype({"duration_s": "float64"})


def test_what_has_no_duration_or_none_that_can_be_is_left_out() -> None:
    kept = timed(requests((0, "/", 0.1), (1, "/", None), (2, "/", -1.0), (3, "/", float("inf")), (-5, "/", 0.2)))
    assert kept["duration_s"].tolist() == [0.2, 0.1]


def test_a_p95_of_a_few_requests_is_not_bounded_from_above() -> None:
    few, many = spread_of([0.1] * 12), spread_of([index / 100 for index in range(100)])
    assert (few.total, few.interval.high) == (12, None)
    assert many.p50_s == pytest.approx(0.495)
    assert many.interval.high is not None
    assert many.interval.low is not None
    assert many.interval.low < many.p95_s < many.interval.high
    assert many.slowest_s == pytest.approx(0.99)


@pytest.mark.parametrize(("number", "minutes", "step_s"), [(600, 10, 20), (6000, 10, 5), (100, 10, 60), (5, 1, 5)])
def test_intervals_hold_enough_and_leave_a_dozen_to_compare(number: int, minutes: int, step_s: int) -> None:
    rows = [(index * minutes * 60 / number, "/", 0.1) for index in range(number)]
    assert step_for(requests(*rows)) == timedelta(seconds=step_s)


def test_intervals_without_a_request_have_no_percentile() -> None:
    moments = over_time(timed(requests((0, "/", 0.1), (1, "/", 0.3), (65, "/", 2.0))), timedelta(seconds=10))
    assert [(item.at - BEGAN).total_seconds() for item in moments] == [0, 60]
    assert [item.spread.total for item in moments] == [2, 1]


def test_the_route_that_got_slow_comes_first() -> None:
    rows = [(second, "/always?x=1", 1.0) for second in range(-60, 60)]
    rows += [(second, f"/chat/{second + 100}", 0.1 if second < 0 else 3.0) for second in range(-60, 60)]
    first, second = by_route(timed(requests(*rows)), BEGAN)
    assert (first.path, first.before_p95_s, first.since_p95_s) == ("/chat/{id}", 0.1, 3.0)
    assert second.spread.total == 120
    assert second.failed == 0


def test_a_route_that_was_not_asked_for_before_has_no_before() -> None:
    (only,) = by_route(timed(requests((1, "/new", 0.5), status=503)), BEGAN)
    assert (only.before_p95_s, only.since_p95_s, only.failed) == (None, 0.5, 1)
