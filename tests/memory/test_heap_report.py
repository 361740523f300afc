"""What snapshots say as text, in whatever order they are given, and of whom nothing can be said to grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.memory import agent, heap
from irkit.memory.heap_kernel import extension
from irkit.memory.heap_report import growth, report

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
