"""Suspects drawn by objgraph and the real Graphviz: names only, whatever they are; and chains where it is not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from irkit import path_graph
from irkit.charts import RetainingPath, Step, below_each_other
from irkit.path_graph import PathGraph, linked, written
from irkit.report import heap

SVG = "{http://www.w3.org/2000/svg}"
MIB = 2.0**20
ROOT, APP = Step("shop", "module", 60 * MIB), Step("shop.APP", "shop.App", 50 * MIB)
SESSIONS = RetainingPath((ROOT, APP, Step("shop.APP.sessions", "dict", 30 * MIB)), "9 shop.Session objects", 100 * MIB)
PAGES = RetainingPath((ROOT, APP, Step("shop.APP.pages", "list", 20 * MIB)), "7 list objects", 100 * MIB)
TWO = PathGraph((SESSIONS, PAGES))
OF_OBJGRAPH = {
    *("digraph", "ObjectGraph", "node", "shape", "box", "style", "filled", "fillcolor", "white", "o", "fontcolor"),
    *("red", "label", "height", "width", "weight"),
}
HOSTILE = (
    'a"];}\nx->y [URL="http://evil"',
    "<b>bold</b><img src=x onerror=alert(1)>",
    "</text><script>alert(1)</script>",
    "&#x202e;&lt;\x1b[31m\u202e\x00\udc80",
    "\\N\\G\\\\",
    "o0 -> o1; o2",
    "x" * 3_000_000,
    "größe",
    "",
)


@pytest.fixture(autouse=True)
def _none_drawn_before() -> Iterator[None]:
    path_graph._drawn.cache_clear()
    yield
    path_graph._drawn.cache_clear()


def texts(image: str) -> list[str | None]:
    return [one.text for one in ET.fromstring(image).iter(f"{SVG}text")]  # noqa: S314 (made here)


def is_graph(image: str) -> bool:
    return "<polygon" in image


def of_names(*names: str) -> PathGraph:
    """Return what the report draws of evidence with such names."""
    steps = [{"name": name, "type": name, "retained_bytes": MIB, "times": 1} for name in names]
    made = heap.paths([{"path": steps, "kept": 1, "kept_type": names[-1]}], 2 * MIB)
    assert made is not None
    return made


def program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another `dot` before the real one."""
    folder.mkdir()
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_link_that_two_suspects_hang_on_is_drawn_once() -> None:
    image = TWO.svg()
    assert is_graph(image)
    told = texts(image)
    # the boxes: a root and a suspect by name, what is between by its type, for its name is on the arrow to it
    assert sorted(filter(None, told)) == sorted(
        [
            *("shop", "module", "60 MiB, 60 %", "APP", "shop.App", "50 MiB, 50 %"),
            *("sessions", "shop.APP.sessions", "dict", "30 MiB, 30 %", "9 shop.Session objects"),
            *("pages", "shop.APP.pages", "list", "20 MiB, 20 %", "7 list objects"),
        ]
    )
    assert image.count('class="hot"') == 2
    assert image.count('class="thin"') == 5, "an arrow between each two of six boxes"
    assert TWO.alt == f"{SESSIONS.alt} {PAGES.alt}"
    assert f'aria-label="{TWO.alt}"' in image
    assert [row[0] for row in TWO.rows()[1]] == [
        *("shop", "shop.APP", "shop.APP.sessions"),
        *("shop", "shop.APP", "shop.APP.pages"),
    ]


def test_all_lies_in_the_picture_and_no_box_on_another() -> None:
    image = ET.fromstring(TWO.svg(700))  # noqa: S314
    boxes = [one for one in image.iter(f"{SVG}rect") if one.get("class") in {"ring", "hot", "cell"}]
    placed = [tuple(float(one.get(key, "")) for key in ("x", "y", "width", "height")) for one in boxes]
    assert len(placed) == 6
    assert max(x + width for x, _, width, _ in placed) - min(x for x, *_ in placed) <= 700
    for at, (x, y, width, height) in enumerate(placed):
        for left, top, wide, high in placed[at + 1 :]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y


def test_on_a_phone_and_where_there_is_no_graphviz_chains_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TWO.svg(360) == below_each_other(TWO.paths, TWO.alt, 360)
    told = texts(TWO.svg(360))
    assert told.count("shop.APP (shop.App)") == 1
    assert "below shop.APP" in told
    monkeypatch.setenv("PATH", "/nowhere")
    assert TWO.svg() == below_each_other(TWO.paths, TWO.alt, 960)
    assert PathGraph((PAGES,)).svg() == PAGES.svg()


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo no svg",
        "cat",
        'echo \'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g transform="translate(0 9)"/></svg>\'',
        "sed 's/^/;/' | /usr/bin/dot -Tsvg",
        "/usr/bin/dot -Tsvg | sed 's/points=\"/points=\"url(javascript:1) /'",
        "/usr/bin/dot -Tsvg | sed 's/viewBox=\"0.00 0.00 /viewBox=\"0 0 1/'",
        "/usr/bin/dot -Tsvg | sed s/polygon/polyline/",
        "exec sleep 60",
    ],
    ids=["fails", "garbage", "echoes", "empty", "misread", "no places", "wide", "no boxes", "hangs"],
)
def test_a_graphviz_that_cannot_do_it_changes_nothing_but_the_picture(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_graph, "_DEADLINE_S", 0.5)
    program(tmp_path / "bin", script, monkeypatch)
    assert TWO.svg() == below_each_other(TWO.paths, TWO.alt, 960)


def test_it_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", f"echo asked >>{tmp_path}/asked; exit 1", monkeypatch)
    assert len({TWO.svg() for _ in range(3)}) == 1
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_harmless_and_bounded(name: str) -> None:
    made = of_names("shop", f"shop.{name}", f"shop.{name}.{name}", f"{name}: {name}")
    graph = written(linked(made.paths))
    # nothing but arrows' labels is said to it, quoted and cut; what is in no quotes is objgraph's own
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', graph)
    assert set(re.findall(r"[A-Za-z_]+", bare)) <= OF_OBJGRAPH
    assert len(graph) < 3000
    assert not re.search(r"o\d{3,}", graph), "addresses"
    image = made.svg()
    assert is_graph(image)
    assert len(image) < 20_000
    for sign in ("<script", "<b>", "<img", "\x1b", "\u202e", "\x00", "<a ", "href"):
        assert sign not in image
    if name == "größe":
        assert texts(image).count("größe") == 2


def test_the_middle_that_is_left_out_and_elements_without_names_are_drawn() -> None:
    steps = (ROOT, Step("", "", 0, 4), Step("run()", "running", 3 * MIB), Step("run(): rows", "list", 2 * MIB, 2))
    steps += (Step("run(): rows[…]", "dict", MIB),)
    told = texts(PathGraph((RetainingPath(steps, "its own content", 4 * MIB),)).svg())
    assert "4 more links" in told
    assert "rows" in told
    assert "list, 2 links" in told
    assert "run(): rows[…]" in told


def test_each_process_draws_the_same_bytes() -> None:
    program = (
        "from tests.test_path_graph import TWO, linked, written; import sys\n"
        "sys.stdout.write(written(linked(TWO.paths)) + TWO.svg())"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(made) == 1
