"""A large log read from a file, beside `grep -cE` on the same file; `IRKIT_BENCH_BYTES` sets its size."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from irkit.logs.patterns import count_file
from tests.support.make_log_patterns import lines as our_own

SIZE_BYTES = int(os.environ.get("IRKIT_BENCH_BYTES", str(256 * 1024 * 1024)))
ROUNDS = 3


@pytest.mark.bench
def test_a_large_file_beside_grep(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    some = [line.split("\t", 1)[1] for line in our_own()]
    with path.open("w", encoding="utf-8") as file:
        size_bytes = number = 0
        while size_bytes < SIZE_BYTES:
            number += 1
            size_bytes += file.write("".join(f"{line} #{number}{index}\n" for index, line in enumerate(some)))
    with path.open("rb") as stream:
        count_file(stream)  # what is imported on first use is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took: dict[str, list[float]] = {"grep -cE": [], "irkit": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(["grep", "-cE", "timed? ?out|[Ee]rror", path], check=True, capture_output=True)
        took["grep -cE"].append(time.perf_counter() - began)
        began = time.perf_counter()
        with path.open("rb") as stream:
            table = count_file(stream)
        took["irkit"].append(time.perf_counter() - began)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    best = {name: min(values) for name, values in took.items()}
    print(f"\n{size_bytes / 1e6:.0f} MB, {table['lines'].sum():,} lines, {len(table)} patterns, best of {ROUNDS}")
    print("  " + ", ".join(f"{name} {value:.2f} s" for name, value in best.items()))
    print(f"  {best['irkit'] / best['grep -cE']:.1f} × grep; memory grew by {grown:.0f} MiB from run to run")
