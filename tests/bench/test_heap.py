"""A heap of 1, 5 and 10 million objects: what a snapshot costs the service, what the answer costs, beside other tools.

`IRKIT_BENCH_OBJECTS="1 5"` chooses the millions. All figures of a row are of one process and one run.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from irkit.memory import agent
from irkit.memory.heap_kernel import extension
from irkit.memory.snapshot import Taken, snapshot
from irkit.procfs import rss_bytes
from tests.bench.plot import growth

ROOT = Path(__file__).parents[2]
MILLIONS = tuple(map(int, os.environ.get("IRKIT_BENCH_OBJECTS", "1 5 10").split()))
TOOLS = ("objgraph_growth", "objgraph_leaking", "pympler", "guppy3")
SNAPSHOTS = 5
# one request in a hundred waits for a snapshot of a million objects, so that its p99 needs many to be told
LOAD_S = 6
MIB = 2.0**20
ANALYSE = """
import sys
from irkit.memory import heap, heap_suspects
print(heap_suspects.suspects([heap.open(sys.argv[1])])[0].owner)
"""

COST_OF_IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


@dataclass
class Row:
    """What one heap cost; seconds and bytes."""

    objects: int = 0
    rss: int = 0
    pauses: list[float] = field(default_factory=list)
    dumps: list[float] = field(default_factory=list)
    private: int = 0
    on_disk: int = 0
    analysis: float = 0.0
    analysis_peak: int = 0
    owner: str = ""
    before: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    tools: dict[str, float | None] = field(default_factory=dict)


class Target:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process, self.pid = process, process.pid
        self.port = int(process.stdout.readline())

    def ask(self, tool: str) -> float | None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{tool}\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline().strip()
        return None if told == "absent" else float(told)


@contextmanager
def target(objects: int, walker: str = "native") -> Iterator[Target]:
    command = [sys.executable, "tests/bench/heap_target.py", str(objects), walker]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield Target(process)
        finally:
            process.kill()


class Load:
    """Requests one after another, each with when it began and how long it took, from a process of their own."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[float, float]] = []
        command = [sys.executable, "tests/bench/load.py", str(port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"

    def end(self) -> None:
        self._process.terminate()
        told, _ = self._process.communicate()
        self.taken = [(began, took) for began, took in json.loads(told)]


class Watcher:
    """The most private memory that any child of a process was seen to have."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,))
        self._thread.start()

    def _look(self, pid: int) -> None:
        while not self._ended.wait(0.01):
            for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError, ValueError):
                    for child in tasks.read_text().split():
                        lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
                        dirty = next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
                        self.peak = max(self.peak, dirty * 1024)

    def end(self) -> int:
        self._ended.set()
        self._thread.join()
        return self.peak


def measured(place: Target, folder: Path) -> Row:
    row = Row(rss=rss_bytes(place.pid))
    path = folder / "heap.irkheap"
    snapshot(place.pid, path)  # what is loaded on first use is not counted
    for _ in range(SNAPSHOTS):
        watcher = Watcher(place.pid) if _ == 0 else None  # reading smaps holds the child's memory map: once only
        began = time.perf_counter()
        taken = snapshot(place.pid, path)
        if watcher is None:
            row.dumps.append(time.perf_counter() - began)
            row.pauses.append(taken.pause_s)
        else:
            row.private = watcher.end()
    row.objects, row.on_disk = taken.object_count, taken.size_bytes
    under_load(place, path, row)
    return row


def under_load(place: Target, path: Path, row: Row) -> None:
    load = Load(place.port)
    time.sleep(LOAD_S)  # the load is what is measured, for so long
    calm_until = time.monotonic()
    spans: list[tuple[float, float]] = []
    taken: list[Taken] = []
    while len(taken) < SNAPSHOTS or sum(end - start for start, end in spans) < LOAD_S:
        began = time.monotonic()
        taken.append(snapshot(place.pid, path))
        spans.append((began, time.monotonic()))
    load.end()
    row.before = [took for began, took in load.taken if began + took < calm_until]
    row.during = [
        took for began, took in load.taken if any(began < end and began + took > start for start, end in spans)
    ]


def analysed(path: Path, row: Row) -> None:
    """A new process, so that its start and its imports count, too."""
    before = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", ANALYSE, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        row.owner = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    row.analysis, row.analysis_peak = time.perf_counter() - before, usage.ru_maxrss * 1024


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@pytest.mark.bench
@pytest.mark.skipif(agent.native() is None or extension() is None, reason="no compiler: the extensions are not built")
def test_a_snapshot_and_its_answer_beside_other_tools(tmp_path: Path) -> None:
    rows: list[Row] = []
    for millions in MILLIONS:
        with target(millions * 1_000_000) as place:
            row = measured(place, tmp_path)
            analysed(tmp_path / "heap.irkheap", row)
            for tool in TOOLS:
                row.tools[tool] = place.ask(tool)
        rows.append(row)
    shown(rows)
    counts = [round(row.objects / 1e6) for row in rows]
    series = {
        "irkit, snapshot": [statistics.median(row.dumps) for row in rows],
        "irkit, with analysis": [statistics.median(row.dumps) + row.analysis for row in rows],
        **{tool: [row.tools[tool] or 0.0 for row in rows] for tool in TOOLS if all(row.tools[tool] for row in rows)},
    }
    if len(rows) > 1:
        print("drawn:", growth(counts, series, ROOT / ".bench" / "heap.svg", "million objects", "Time to an answer"))
    for row in rows:
        millions = row.objects / 1e6
        assert row.owner == "__main__.LEAK"
        assert statistics.median(row.pauses) <= 0.005 + 0.025 * row.rss / 1e9
        assert statistics.median(row.dumps) / millions <= 0.15
        assert p99(row.during) <= 2 * p99(row.before)
        assert row.private <= 16 * MIB + 0.02 * row.rss
        assert row.on_disk <= 10 * row.objects
        assert row.analysis <= 5
        assert row.analysis_peak <= 2e9


def floor_s() -> float:
    """What a new process costs that does nothing but import numpy."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    return time.perf_counter() - began


def shown(rows: list[Row]) -> None:
    def line(name: str, *cells: str, goal: str = "") -> None:
        print(f"  {name:42}" + "".join(f"{cell:>14}" for cell in cells) + (f"   goal {goal}" if goal else ""))

    def ratio(seconds: float | None, ours: float) -> str:
        return "absent" if seconds is None else f"{seconds:.2f} s {seconds / ours:4.1f}×"

    print()
    line("objects", *(f"{row.objects:,}" for row in rows))
    line("resident memory", *(f"{row.rss / 1e6:,.0f} MB" for row in rows))
    line("pause, median", *(f"{1000 * statistics.median(row.pauses):.1f} ms" for row in rows), goal="5 ms + 25 ms a GB")
    line(
        "snapshot, s a million",
        *(f"{1e6 * statistics.median(row.dumps) / row.objects:.3f}" for row in rows),
        goal="0.15",
    )
    line("child's own memory", *(f"{row.private / MIB:.1f} MiB" for row in rows), goal="16 MiB + 2 %")
    line("bytes an object on disk", *(f"{row.on_disk / row.objects:.2f}" for row in rows), goal="10")
    line("analysis, cold", *(f"{row.analysis:.2f} s" for row in rows), goal="5 s at 10 M")
    line("its peak", *(f"{row.analysis_peak / 1e6:,.0f} MB" for row in rows), goal="2,000 MB at 10 M")
    line("p99 of requests before", *(f"{1000 * p99(row.before):.1f} ms" for row in rows))
    line("p99 during a snapshot", *(f"{p99(row.during) / p99(row.before):.1f}×" for row in rows), goal="2×")
    line("requests measured then", *(f"{len(row.during)}" for row in rows))
    whole = [statistics.median(row.dumps) + row.analysis for row in rows]
    line("the whole question, ours", *(f"{each:.2f} s" for each in whole))
    line("of it, Python's start and numpy's import", f"{floor_s():.2f} s")
    for tool in TOOLS:
        line(
            f"{tool}, blocking",
            *(ratio(row.tools[tool], each) for row, each in zip(rows, whole, strict=True)),
        )
    blocked = [statistics.median(row.pauses) for row in rows]
    slow = [max((row.tools["pympler"] or 0.0), (row.tools["guppy3"] or 0.0)) for row in rows]
    line(
        "the service stands still less by", *(f"{a / b:,.0f}×" for a, b in zip(slow, blocked, strict=True)), goal="50×"
    )
    ratios = [a / b for a, b in zip(slow, whole, strict=True)]
    line("the clock's time is less by", *(f"{each:.1f}×" for each in ratios), goal="50×, not met")
    at_most = [a / statistics.median(row.dumps) for a, row in zip(slow, rows, strict=True)]
    line("and were by, if the analysis took no time", *(f"{each:.1f}×" for each in at_most))


@pytest.mark.bench
@pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")
def test_the_walk_in_plain_python(tmp_path: Path) -> None:
    with target(1_000_000, "python") as place:
        row = measured(place, tmp_path)
    took = 1e6 * statistics.median(row.dumps) / row.objects
    print(f"\n  in plain Python, {row.objects:,} objects: {took:.2f} s a million, goal 2.5")
    share = row.private / row.rss
    print(f"  pause {1000 * statistics.median(row.pauses):.1f} ms, the child's own memory {share:.0%} of the RSS")
    print(f"  p99 during a snapshot {p99(row.during) / p99(row.before):.1f}× before, of {len(row.during)} requests")
    print(f"  peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    assert took <= 2.5


@pytest.mark.bench
def test_what_the_parts_cost_to_install_and_to_import() -> None:
    """Printed only: the extensions are ours, so that nothing like a compiler at run time has to be installed."""
    memory = ROOT / "irkit" / "memory"
    inside = sum(path.stat().st_size for path in memory.glob("*.py")) / 1024
    print(f"\n  irkit/memory in Python: {inside:.0f} KiB")
    for path in sorted(memory.glob("*.so")):
        print(f"  {path.name:52}{path.stat().st_size / 1024:6.0f} KiB")
    for module in ("irkit.memory.agent", "irkit.memory.heap", "numpy", "pandas"):
        command = [sys.executable, "-c", COST_OF_IMPORT.format(module)]
        took = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3)]
        print(f"  import {module:45}{1000 * statistics.median(took):6.0f} ms")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(f"  Pythons: {project['requires-python']}; compiled here for {_versions(memory)}")


def _versions(memory: Path) -> str:
    found = sorted(path.name.split("-")[1] for path in memory.glob("_heapwalk.cpython-*.so"))
    return ", ".join(f"{each[0]}.{each[1:]}" for each in found) or "none"
