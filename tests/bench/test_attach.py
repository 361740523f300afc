"""What attaching costs a busy process of a million objects: for how long one thread, and all of them, stood still."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irkit.memory import agent
from irkit.memory.attach import LIBRARY, attach, planned

ROUNDS = 5
CALM_S = 2.0
TARGET = """
import sys, threading, time

KEPT = [[str(number), number] for number in range(330_000)]
LOCK = threading.Lock()
longest = 0.0

def watch():
    global longest
    before = time.perf_counter()
    while True:
        time.sleep(0.0005)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now

def work():
    while True:
        with LOCK:
            [object() for _ in range(100)]
        time.sleep(0.001)

threading.Thread(target=watch, daemon=True).start()
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    print(longest, flush=True)
    longest = 0.0
"""


@pytest.mark.bench
@pytest.mark.skipif(not LIBRARY.is_file() or agent.native() is None, reason="the compiled parts are not built here")
def test_attaching_stops_the_target_for_a_moment(tmp_path: Path) -> None:
    stopped, cloning, gaps, calm, whole = [], [], [], [], []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TARGET], **pipes) as process:  # type: ignore[call-overload]

        def longest_gap() -> float:
            process.stdin.write("gap\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        try:
            process.stdout.readline()
            for _ in range(ROUNDS):
                longest_gap()
                time.sleep(CALM_S)  # the calm before is what is measured, for so long
                calm.append(longest_gap())
                began = time.perf_counter()
                done = attach(planned(process.pid), tmp_path / "a.irkheap")
                whole.append(time.perf_counter() - began)
                gaps.append(longest_gap())
                stopped.append(done.stopped_s)
                cloning.append(done.taken.pause_s)
        finally:
            process.kill()
    print(f"\n  attach to {done.taken.object_count:,} objects, {ROUNDS} times")
    for name, values, goal in (
        ("one thread stopped by the injector", stopped, "   goal 150 ms"),
        ("all stopped by the clone", cloning, ""),
        ("longest gap a thread saw meanwhile", gaps, "   goal 150 ms"),
        ("longest gap without", calm, ""),
        ("from the question to the file", whole, ""),
    ):
        middle, most = 1000 * statistics.median(values), 1000 * max(values)
        print(f"  {name:36}{middle:8.1f} ms median{most:8.1f} ms at most{goal}")
    assert statistics.median(gaps) <= 0.15
