"""The heap as nested rectangles, the path that keeps something alive: true to scale, inside their bounds, escaped."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.charts import Cell, RetainingPath, Step, Treemap, below_each_other
from irkit.charts.svg import fitted, text_px
from irkit.charts.treemap import squarified

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"&\x1b\u202e'
MIB = 2.0**20
MAP = Treemap(
    (
        Cell("app", 60 * MIB, (Cell(".CACHE", 50 * MIB, (Cell("9 × Row", 48 * MIB),), suspected=True),)),
        Cell("lib", 20 * MIB),
    ),
    100 * MIB,
)
PATH = RetainingPath(
    (Step("app", "module", 60 * MIB), Step("", "", 0, 3), Step("app.CACHE", "dict", 50 * MIB)),
    "9 Row objects",
    100 * MIB,
)


def drawn(image: str, name: str) -> list[ET.Element]:
    return list(ET.fromstring(image).iter(f"{SVG}{name}"))  # noqa: S314 (made here)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=40), st.floats(1, 2000), st.floats(1, 2000))
def test_areas_are_shares_and_nothing_lies_outside_or_overlaps(values: list[int], wide: float, high: float) -> None:
    values = sorted(values, reverse=True)
    made = squarified(values, (0, 0, wide, high))
    assert len(made) == len(values)
    total = sum(values)
    for value, (x, y, w, h) in zip(values, made, strict=True):
        assert x >= -1e-6
        assert x + w <= wide + 1e-6 * max(wide, 1)
        assert y >= -1e-6
        assert y + h <= high + 1e-6 * max(high, 1)
        if total > 0:
            assert w * h == pytest.approx(value / total * wide * high, abs=1e-3 * wide * high)


def test_the_map_is_nested_to_scale_with_the_suspect_marked() -> None:
    rects = drawn(MAP.svg(960), "rect")
    app, cache, row, *others = rects
    assert (app.get("class"), cache.get("class"), row.get("class")) == ("cell", "hot", "within")
    assert len(others) == 2  # lib, and what has no name
    area = float(app.get("width", 0)) * float(app.get("height", 0))
    assert area == pytest.approx(0.6 * 959 * 399, rel=0.02)
    for inner, outer in ((cache, app), (row, cache)):
        for start, length in (("x", "width"), ("y", "height")):
            assert float(inner.get(start, 0)) >= float(outer.get(start, 0))
            end = float(inner.get(start, 0)) + float(inner.get(length, 0))
            assert end <= float(outer.get(start, 0)) + float(outer.get(length, 0)) + 0.2
    assert MAP.alt == (
        "100 MiB by what holds it; the largest: app 60 MiB, 60 %; lib 20 MiB, 20 %; suspected: .CACHE 50 MiB."
    )
    assert ("– .CACHE", "50 MiB", "50 %", "suspect") in MAP.rows()[1]
    assert ("all else", "20 MiB", "20 %", "") in MAP.rows()[1]


@pytest.mark.parametrize("width", [960, 360])
def test_labels_stay_in_their_rectangles(width: int) -> None:
    many = Treemap(tuple(Cell(f"a.rather.long.name.of.number.{n}", (30 - n) * MIB) for n in range(25)), 600 * MIB)
    places = [
        tuple(float(node.get(key, 0)) for key in ("x", "y", "width", "height"))
        for node in drawn(many.svg(width), "rect")
    ]
    for node in drawn(many.svg(width), "text"):
        at, long = (float(node.get("x", 0)), float(node.get("y", 0))), text_px(node.text or "")
        left = at[0] - (long if node.get("text-anchor") == "end" else 0)
        assert any(
            x <= left + 1 and left + long <= x + wide + 1 and y <= at[1] <= y + high for x, y, wide, high in places
        ), node.text


def test_an_empty_heap_and_hostile_names_are_drawn_all_the_same() -> None:
    assert drawn(Treemap((), 0).svg(), "svg") is not None
    hostile = Treemap((Cell(HOSTILE, 5 * MIB),), 5 * MIB)
    for image in (hostile.svg(), RetainingPath((Step(HOSTILE, HOSTILE, MIB),), HOSTILE, MIB).svg()):
        assert "<script" not in image
        assert "\x1b" not in image
        ET.fromstring(image)  # noqa: S314


def test_the_path_is_drawn_from_the_root_down() -> None:
    told = [node.text for node in drawn(PATH.svg(), "text")]
    assert told == ["app (module)", "60 MiB, 60 %", "3 more links", "app.CACHE (dict)", "50 MiB, 50 %", "9 Row objects"]
    bars = [float(node.get("width", 0)) for node in drawn(PATH.svg(), "rect") if node.get("class") in {"calm", "alarm"}]
    assert bars[0] / bars[1] == pytest.approx(60 / 50, rel=0.01)
    assert PATH.alt == "Kept alive by app (module) → 3 more links → app.CACHE (dict), which keeps 9 Row objects."
    assert PATH.rows()[1][1] == ("…", "", "3", "")
    assert PATH.matplotlib().axes
    assert MAP.matplotlib().axes


def test_of_several_paths_the_links_in_common_are_drawn_once() -> None:
    other = RetainingPath((*PATH.steps[:2], Step("app.LOG", "list", 5 * MIB)), "7 Row objects", 100 * MIB)
    told = [node.text for node in drawn(below_each_other((PATH, other, PATH), "Two", 960), "text")]
    assert told[-6:] == [
        *("below 3 more links", "app.LOG (list)", "5.0 MiB, 5.0 %", "7 Row objects"),
        *("below app.CACHE", "9 Row objects"),
    ]
    assert told.count("app (module)") == 1


def test_a_name_is_cut_in_its_middle_or_left_out() -> None:
    assert fitted("app.sessions.CACHE", 1000) == "app.sessions.CACHE"
    assert fitted("app.sessions.CACHE", 90) == "app…ns.CACHE"
    assert text_px(fitted("app.sessions.CACHE", 90)) <= 90
    assert fitted("app.sessions.CACHE", 20) == ""
