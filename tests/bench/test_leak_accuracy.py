"""How often a planted leak is the first suspect amid healthy parts that grow and shrink, and how often these are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from irkit.memory import agent, heap, heap_suspects
from irkit.memory.heap_kernel import extension
from tests.memory.test_leaks import LEAKS

ROOT = Path(__file__).parents[2]
SEEDS = range(3)
HEALTHY = range(100, 160)


def suspects(seed: int, leak: str, folder: Path) -> tuple[heap_suspects.Suspect, ...]:
    folder.mkdir(parents=True)
    command = [sys.executable, "tests/bench/leak_target.py", str(seed), leak, str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    found = heap_suspects.suspects([heap.open(path) for path in sorted(folder.iterdir())])
    for path in folder.iterdir():
        path.unlink()
    return found


@pytest.mark.bench
@pytest.mark.skipif(agent.native() is None or extension() is None, reason="no compiler: the extensions are not built")
def test_the_planted_leak_comes_first_and_the_healthy_are_seldom_blamed(tmp_path: Path) -> None:
    missed = []
    for leak, owner in LEAKS.items():
        for seed in SEEDS:
            found = suspects(seed, leak, tmp_path / leak / str(seed))
            if not found or found[0].owner != owner:
                missed.append(f"{leak} {seed}: {found[0].owner if found else 'no suspect'}")
    tried = len(LEAKS) * len(SEEDS)
    blamed = Counter(bool(suspects(seed, "none", tmp_path / "none" / str(seed))) for seed in HEALTHY)
    print(f"\n  the planted leak is the first suspect in {tried - len(missed)} of {tried}, goal 95 %")
    print("".join(f"    not in {each}\n" for each in missed), end="")
    print(f"  false alarms: {blamed[True]} of {len(HEALTHY)} healthy programs, of four snapshots each")
    assert len(missed) <= 0.05 * tried
