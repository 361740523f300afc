"""What snapshots say as text, in whatever order they are given, and of whom nothing can be said to grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from irkit.errors import InputError
from irkit.memory import agent, heap
from irkit.memory.heap_kernel import extension
from irkit.memory.heap_report import growth, report
from tests.cli.test_commands import Run, irkit

__all__ = ["irkit"]

pytestmark = pytest.mark.skipif(
    agent.native() is None or extension() is None, reason="no compiler: plain Python would take seconds for each"
)
RUNNER = Path(__file__).parent / "leaks" / "snapshots.py"


def taken(folder: Path) -> list[Path]:
    folder.mkdir()
    subprocess.run([sys.executable, RUNNER, "module_cache", folder], check=True, timeout=60)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return taken(tmp_path_factory.mktemp("report") / "one")


def test_the_order_they_are_named_in_changes_nothing(snapshots: list[Path]) -> None:
    told = report([heap.open(path) for path in snapshots])
    assert "`module_cache.CACHE` (dict)" in told
    assert "by growth" in told
    assert report([heap.open(path) for path in reversed(snapshots)]) == told
    grown = growth([heap.open(path) for path in (snapshots[0], snapshots[-1])])
    assert grown.startswith("Growth by owner")
    assert "module_cache.CACHE" in grown
    assert growth([heap.open(path) for path in (snapshots[-1], snapshots[0])]) == grown


def test_of_two_processes_nothing_is_said_to_grow_or_not_to(snapshots: list[Path], tmp_path: Path) -> None:
    other = taken(tmp_path / "other")
    two = [heap.open(snapshots[0]), heap.open(other[-1])]
    with pytest.raises(InputError, match="these are snapshots of 2 processes") as caught:
        report(two)
    assert "irkit memory diff" in caught.value.hint
    assert growth(two).startswith("Two processes, ")
    assert "need not have grown" in growth(two)


def test_the_picture_has_the_suspects_names_and_none_of_their_values(
    snapshots: list[Path], irkit: Run, tmp_path: Path
) -> None:
    said = irkit("memory", "report", *map(str, snapshots), "--picture", "out.svg")
    assert said.code == 0
    assert said.out.endswith("The retaining paths are drawn in out.svg\n")
    image = (tmp_path / "out.svg").read_text(encoding="utf-8")
    told = [one.text for one in ET.fromstring(image).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert told[:1] == ["CACHE"], "the arrow's name"
    assert "module_cache.CACHE" in told
    assert "session 1" not in image
    assert "12 000 module_cache.Session objects" in {one.replace("\u202f", " ") for one in told if one}
    again = irkit("memory", "report", *map(str, snapshots), "--picture", "out.svg")
    assert again.code == 0
    assert (tmp_path / "out.svg").read_text(encoding="utf-8") == image


def test_a_picture_that_cannot_be_drawn_is_said_in_a_sentence(
    snapshots: list[Path], irkit: Run, tmp_path: Path
) -> None:
    other = irkit("memory", "report", str(snapshots[-1]), "--picture", "out.png")
    assert (other.code, other.out) == (2, "")
    assert "name it with .svg at its end" in other.err
    (tmp_path / "file").touch()
    nowhere = irkit("memory", "report", str(snapshots[-1]), "--picture", "file/out.svg")
    assert nowhere.code == 2
    assert "file/out.svg cannot be written" in nowhere.err
