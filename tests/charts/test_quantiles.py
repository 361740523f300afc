"""Latency over time: the limit, the interval, what few requests leave open, and gaps that stay gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from irkit.charts import Milestone, QuantileChart, QuantilePoint

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def point(minute: float, p95: float, total: int = 100, high: float | None = 0.0) -> QuantilePoint:
    bound = p95 * 1.2 if high == 0.0 else high
    return QuantilePoint(START + timedelta(minutes=minute), total, p95 / 3, p95, p95 * 1.1, p95 * 1.3, p95 * 0.8, bound)


CHART = QuantileChart(
    START,
    START + timedelta(minutes=10),
    60.0,
    (point(0.5, 0.1), point(1.5, 0.1, total=12, high=None), point(2.5, 3.0), point(8.5, 3.0)),
    limit=2.0,
    milestones=(Milestone(START + timedelta(minutes=2), "onset"),),
)


def drawn(chart: QuantileChart, name: str, look: str, width: int = 960) -> list[ET.Element]:
    nodes = ET.fromstring(chart.svg(width)).iter(f"{SVG}{name}")  # noqa: S314 (made here)
    return [node for node in nodes if node.get("class") == look]


def test_few_requests_are_hollow_and_open_above() -> None:
    assert len(drawn(CHART, "circle", "ring")) == 1
    assert len(drawn(CHART, "circle", "dot")) == 3
    assert len(drawn(CHART, "line", "thin")) == 1
    assert CHART.rows()[1][1] == ("03:01:30", "12", "0.0333 s", "0.1 s", "0.08 s to no bound", "0.11 s")


def test_a_line_across_minutes_without_an_answer_would_claim_what_nobody_measured() -> None:
    curves = drawn(CHART, "path", "curve")
    assert len(curves) == 1
    assert str(curves[0].get("d")).count("L") == 2
    assert len(drawn(CHART, "polygon", "band")) == 1


def test_the_limit_is_inside_even_where_all_is_far_below_it() -> None:
    (limit,) = drawn(replace(CHART, points=(point(1, 0.01), point(2, 0.01))), "line", "limit")
    (axis,) = [node for node in drawn(CHART, "line", "axis") if node.get("y1") == node.get("y2")][-1:]
    assert 0 < float(limit.get("y1", 0)) < float(axis.get("y1", 0))


@pytest.mark.parametrize("width", [360, 960])
def test_labels_stay_inside(width: int) -> None:
    for node in ET.fromstring(CHART.svg(width)).iter(f"{SVG}text"):  # noqa: S314
        assert 0 <= float(node.get("x", 0)) <= width


def test_what_it_shows_is_said() -> None:
    assert CHART.alt == "Latency from 03:00:00 to 03:10:00 UTC, p95 at most 3 s at 03:02:30, limit 2 s."
    assert "onset 03:02:00" in CHART.svg()


def test_nothing_and_one_point_can_be_drawn() -> None:
    for points in ((), (point(1, 0.0),), (point(1, 900.0),)):
        made = replace(CHART, points=points, limit=None)
        ET.fromstring(made.svg())  # noqa: S314
        made.rows()
    assert len(CHART.matplotlib().axes) == 1
