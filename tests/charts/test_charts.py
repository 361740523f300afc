"""Figures draw what their data says, with text that cannot become markup and labels that do not overlap."""

import base64
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from irkit.charts import (
    Band,
    Bar,
    BarLane,
    DurationBar,
    IncidentStrip,
    LineLane,
    Mark,
    MarkLane,
    Milestone,
    MilestoneBars,
    Point,
    svg,
)

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
END = START + timedelta(minutes=30)
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"&\x1b\x00\u202e\ud800]]>'


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def strip(*extra: Mark) -> IncidentStrip:
    return IncidentStrip(
        START,
        END,
        (
            BarLane("Requests", "in 1 min", 60, (Bar(at(0), 10), Bar(at(1), 8, 4), Bar(at(2), 2, 2))),
            LineLane("p95 latency", "s", 60, (Point(at(0), 0.1), Point(at(1), 4.0)), limit=2.0),
            MarkLane("Container events", (Mark(at(2), "api exited, code 1", bad=True, rank=0), *extra)),
        ),
        (Milestone(at(1), "started"), Milestone(at(1.2), "detected"), Milestone(at(29.9), "resolved")),
        Band(at(1), at(20)),
    )


def texts(drawn: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(drawn).iter(f"{SVG}text")]  # noqa: S314 (made here)


def bar_heights(drawn: str, look: str) -> list[float]:
    """Return the heights of the bars of a look, which are drawn as one shape."""
    shapes = [node for node in ET.fromstring(drawn).iter(f"{SVG}path") if node.get("class") == look]  # noqa: S314
    return [float(height) for shape in shapes for height in re.findall(r"v([\d.]+)h-", shape.get("d", ""))]


def test_the_strip_shows_lanes_milestones_and_what_failed() -> None:
    drawn = strip().svg()
    shown = texts(drawn)
    assert {"Requests", "p95 latency", "Container events", "api exited, code 1"} <= set(shown)
    assert {"started 03:01:00", "detected 03:01:12", "resolved 03:29:54"} <= set(shown)
    assert "peak 4 s, limit 2 s dashed" in shown
    classes = [node.get("class") for node in ET.fromstring(drawn).iter(f"{SVG}rect")]  # noqa: S314
    assert classes.count("shade") == 1
    assert classes.count("alarm") == 1  # the exit
    assert len(bar_heights(drawn, "alarm")) == 2  # intervals with failures


def test_failed_requests_are_drawn_to_scale() -> None:
    alarm, calm = (bar_heights(strip().svg(), look) for look in ("alarm", "calm"))
    assert alarm[0] == pytest.approx(calm[1])  # four of eight failed
    assert alarm[1] == pytest.approx(calm[0] / 5, abs=0.1)  # two of ten


@pytest.mark.parametrize("width", [360, 960])
def test_labels_never_overlap_and_stay_inside(width: int) -> None:
    labels = [(float(x), "a label of some length") for x in range(0, width, width // 12)]
    boxes = []
    for (row, x, anchor), (_, content) in zip(svg.rows_for(labels, width), labels, strict=True):
        left = x if anchor == "start" else x - svg.text_px(content)
        boxes.append((row, left, left + svg.text_px(content)))
        assert left + svg.text_px(content) <= width or anchor == "end"
    for index, (row, left, right) in enumerate(boxes):
        for other_row, other_left, other_right in boxes[index + 1 :]:
            assert row != other_row or right <= other_left or other_right <= left


def test_a_phone_gets_its_own_drawing() -> None:
    narrow = ET.fromstring(strip().svg(360))  # noqa: S314
    assert narrow.get("width") == "360"
    assert "started 03:01:00" in [node.text for node in narrow.iter(f"{SVG}text")], "with its time, as on a desk"


@pytest.mark.parametrize("width", [360, 960])
def test_no_line_of_a_milestone_crosses_a_label(width: int) -> None:
    at = [0.50, 0.57, 0.65, 0.80, 0.97]
    labels = [(share * width + 4, f"{name} 19:29:29") for share, name in zip(at, "abcde", strict=True)]
    boxes = []
    for (row, x, anchor), (_, content) in zip(svg.rows_for(labels, width), labels, strict=True):
        left = x if anchor == "start" else x - 8 - svg.text_px(content)
        boxes.append((row, left, left + svg.text_px(content), x - 4))
    crossed = [(one, line) for one in boxes for row, _, _, line in boxes if row < one[0] and one[1] <= line <= one[2]]
    assert crossed == []


def test_text_of_evidence_stays_text() -> None:
    drawn = strip(Mark(at(3), HOSTILE, bad=True, rank=1)).svg()
    root = ET.fromstring(drawn)  # noqa: S314 (that it parses is the point)
    assert not list(root.iter(f"{SVG}script"))
    assert any("</text><script>alert(1)</script>" in text for text in texts(drawn))
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn


def test_the_alternative_text_and_the_table_tell_the_same_story() -> None:
    figure = strip()
    assert figure.alt.startswith("Requests, p95 latency, container events from 2026-11-23 03:00 to 03:30 UTC")
    assert "started at 03:01:00" in figure.alt
    columns, rows = figure.rows()
    assert columns == ("Time (UTC)", "What", "Value")
    assert ("03:01:00", "Requests", "4 of 8 failed in 1 min") in rows
    assert ("03:02:00", "Container events", "api exited, code 1") in rows
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_what_repeats_within_a_second_is_one_row_that_says_how_often() -> None:
    refused = tuple(
        Mark(at(2) + timedelta(milliseconds=300 * number), "probe refused", bad=True) for number in range(3)
    )
    rows = IncidentStrip(START, END, (MarkLane("Health probes", refused),)).rows()[1]
    assert rows == (("03:02:00", "Health probes", "probe refused, 3 times"),)


def test_what_only_counts_failures_is_no_share_and_the_legend_is_drawn_only() -> None:
    errors = BarLane("Errors in the log", "in 5 s", 5, (Bar(at(1), 3, 3),), all_failed=True)
    checks = MarkLane("Health checks", (Mark(at(2), "api check failed", bad=True),), legend="failed filled")
    figure = IncidentStrip(START, END, (errors, checks))
    rows = figure.rows()[1]
    assert rows == (("03:01:00", "Errors in the log", "3 in 5 s"), ("03:02:00", "Health checks", "api check failed"))
    assert "Health checks, failed filled" in texts(figure.svg())
    assert "filled" not in figure.alt


def test_one_point_and_no_points_can_be_drawn() -> None:
    for points in ((Point(at(1), 0.0),), ()):
        figure = IncidentStrip(START, END, (LineLane("p95 latency", "s", 60, points),))
        ET.fromstring(figure.svg())  # noqa: S314
        figure.rows()


def test_durations_show_their_target_and_who_missed_it() -> None:
    bars = MilestoneBars(
        (
            DurationBar("Time to detect", timedelta(minutes=5)),
            DurationBar("Time to acknowledge", timedelta(minutes=20), timedelta(minutes=15)),
            DurationBar("Time to resolve", timedelta(0), running=True),
        )
    )
    shown = texts(bars.svg())
    assert {"5 min", "20 min of 15 min, missed", "0 s so far"} <= set(shown)
    assert bars.alt == (
        "Time to detect: 5 min; time to acknowledge: 20 min of 15 min, missed; time to resolve: 0 s so far."
    )


def test_minutes_are_seen_beside_a_target_of_hours() -> None:
    bars = MilestoneBars(
        (
            DurationBar("Time to acknowledge", timedelta(seconds=20), timedelta(hours=4)),
            DurationBar("Time to resolve", timedelta(minutes=2, seconds=27)),
        )
    )
    drawn = ET.fromstring(bars.svg())  # noqa: S314
    widths = [float(one.get("width", 0)) for one in drawn.iter() if one.get("class") == "calm"]
    assert widths == pytest.approx([20 / 147 * 956, 956], abs=1)
    assert bars.beyond
    assert {"20 s of 4 h", "1 min", "2 min"} <= set(texts(bars.svg())), "and an axis says what is how long"
    near = MilestoneBars((DurationBar("Time to acknowledge", timedelta(minutes=5), timedelta(minutes=15)),))
    assert not near.beyond
    assert near.scale == timedelta(minutes=15)
    waiting = MilestoneBars((DurationBar("Time to acknowledge", timedelta(0), timedelta(hours=4), running=True),))
    assert waiting.scale == timedelta(hours=4)
    ET.fromstring(MilestoneBars((DurationBar("Time to detect", timedelta(0)),)).svg())  # noqa: S314


@pytest.mark.parametrize(
    ("minutes", "parts", "step"), [(30, 10, 300), (0.5, 10, 5), (60 * 24 * 400, 10, 604_800 * 6), (60, 90, 60)]
)
def test_intervals_are_usual_ones(minutes: float, parts: int, step: int) -> None:
    assert svg.step_s(timedelta(minutes=minutes), parts) == step


def test_ticks_are_round_times_inside() -> None:
    found = svg.ticks(START + timedelta(seconds=7), END, 8)
    assert found[0] == at(5)
    assert all(tick.minute % 5 == 0 and START <= tick <= END for tick in found)


def test_an_image_is_data_and_nothing_else() -> None:
    uri = svg.data_uri("<svg/>")
    prefix, _, body = uri.partition(",")
    assert prefix == "data:image/svg+xml;base64"
    assert base64.b64decode(body) == b"<svg/>"


def test_matplotlib_is_there_for_interactive_work() -> None:
    assert len(strip().matplotlib().axes) == 3
    assert len(MilestoneBars((DurationBar("Time to detect", timedelta(minutes=5)),)).matplotlib().axes) == 1


def test_a_curve_breaks_where_nothing_was_measured() -> None:
    points = (Point(at(0), 1.0), Point(at(1), 1.0), Point(at(20), 1.0), Point(at(21), 1.0), Point(at(29), 2.0))
    drawn = ET.fromstring(IncidentStrip(START, END, (LineLane("p95 latency", "s", 60, points),)).svg())  # noqa: S314
    assert len(list(drawn.iter(f"{SVG}path"))) == 2
    assert [node.get("class") for node in drawn.iter(f"{SVG}circle")] == ["dot"]
