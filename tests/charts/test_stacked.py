"""Bars made of parts: drawn to scale, outlined where not known, readable where there is little room."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from irkit.charts import Part, StackedBar, StackedBars

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"&\x1b\u202e'
BARS = StackedBars(
    (
        StackedBar("First", (Part("a", 0.5, "calm"), Part("b", 0.25, "open")), "0.50, up to 0.75"),
        StackedBar("Second", (Part("c", 2.0, "alarm"),), "too much", alarmed=True),
    ),
    1.0,
    limit=0.8,
)


def drawn(bars: StackedBars, name: str, width: int = 960) -> list[ET.Element]:
    return list(ET.fromstring(bars.svg(width)).iter(f"{SVG}{name}"))  # noqa: S314 (made here)


def test_parts_are_drawn_to_scale_and_never_beyond_the_edge() -> None:
    first, second, third = drawn(BARS, "rect")
    assert float(first.get("width", 0)) == pytest.approx(477)  # half of 956, less a hair
    assert float(second.get("x", 0)) == pytest.approx(480)
    assert (first.get("class"), second.get("class"), third.get("class")) == ("calm", "open", "alarm")
    assert float(third.get("x", 0)) + float(third.get("width", 0)) <= 958


def test_the_limit_is_a_line_through_every_bar() -> None:
    lines = [node for node in drawn(BARS, "line") if node.get("class") == "milestone"]
    assert [node.get("x1") for node in lines] == ["766.8", "766.8"]


def test_words_get_a_line_of_their_own_where_they_would_meet() -> None:
    bars = StackedBars((StackedBar("A name of some length", (), "and words of some length"),), 1.0)
    wide, narrow = (drawn(bars, "text", width) for width in (960, 260))
    assert wide[0].get("y") == wide[1].get("y")
    assert narrow[0].get("y") != narrow[1].get("y")
    assert ET.fromstring(bars.svg(260)).get("height") == "54"  # noqa: S314


def test_the_alternative_text_and_the_table_tell_the_same() -> None:
    assert BARS.alt == "First: 0.50, up to 0.75; Second: too much."
    assert BARS.rows()[1] == (("First", "a", "0.5"), ("First", "b", "0.25"), ("Second", "c", "2"))


def test_text_stays_text_and_nothing_can_be_drawn() -> None:
    made = StackedBars((StackedBar(HOSTILE, (Part(HOSTILE, 1.0, "calm"),), HOSTILE),), 1.0)
    assert not drawn(made, "script")
    assert "\x1b" not in made.svg()
    for empty in (StackedBars((), 1.0), StackedBars((StackedBar("none", (), "0"),), 0.0)):
        ET.fromstring(empty.svg())  # noqa: S314
    assert len(BARS.matplotlib().axes) == 1
