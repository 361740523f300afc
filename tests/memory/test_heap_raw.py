"""The raw form of a heap and its packing, beside the decoder that reads it back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import SnapshotError
from irkit.memory import agent, heap_pure
from irkit.memory.heap_file import RAW_MAGIC, store
from irkit.memory.heap_raw import packed


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_numbers_are_packed_as_they_are_read(numbers: list[int]) -> None:
    found = np.empty(len(numbers), np.uint64)
    heap_pure.varints(packed(np.array(numbers, np.uint64)), found)
    assert found.tolist() == numbers


@pytest.mark.parametrize("stream", [b"", b"x" * 40, bytes([255, 0, 0, 0]) + bytes(12)])
def test_a_raw_stream_that_is_cut_or_damaged_makes_no_file(stream: bytes, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError):
        store(io.BytesIO(RAW_MAGIC + stream), tmp_path / "a.irkheap")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")
def test_a_heap_that_was_frozen_is_walked_all_the_same(tmp_path: Path) -> None:
    """`gc.freeze()` takes all objects out of the lists that `gc.get_objects` reads."""
    program = tmp_path / "frozen.py"
    program.write_text(
        "import gc, json, os, sys\n"
        "from irkit.memory import agent\n"
        "class Kept:\n    pass\n"
        "ALL = [Kept() for _ in range(5000)]\n"
        "gc.freeze()\n"
        "meta = json.dumps({'pid': 1, 'rss_bytes': 1, 'taken_at': '2026-11-24T03:00:00+00:00'}).encode()\n"
        "pid, pidfd, _, *kept = agent.pure().clone_walk(1, meta, sys.modules, 30.0)\n"
        "os.wait4(pid, 0x40000000)\n"
    )
    done = subprocess.run(
        [sys.executable, program], env=os.environ | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, check=True
    )
    store(io.BytesIO(done.stdout), tmp_path / "a.irkheap")
    from irkit.memory import heap

    told = heap.open(tmp_path / "a.irkheap").by_type().set_index("type")
    assert told.loc["__main__.Kept", "objects"] == 5000
