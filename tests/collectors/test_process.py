"""Processes of real containers, with figures only their machine's /proc tells, and without them where it is shut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from irkit.collectors.process import collect
from tests.collectors.lab import SLEEP, Lab, Rows, gathered, python, recent
from tests.stack.engine import wait_until

HELD_BYTES = 48 * 1024 * 1024
BUSY = python(
    f"import os, signal, threading; held = b'x' * {HELD_BYTES}; files = [open('/dev/null') for _ in range(30)]\n"
    "done = threading.Event(); [threading.Thread(target=done.wait).start() for _ in range(4)]\n"
    "os.fork() or signal.pause(); print('ready'); signal.pause()"
)


@pytest.fixture(scope="module")
def busy(module_lab: Lab) -> Lab:
    container = module_lab.run("busy", BUSY)
    module_lab.run("idle", SLEEP).pause()
    module_lab.finish("gone", python("pass"))
    wait_until(lambda: b"ready" in container.logs(), "both processes run")
    return module_lab


def test_each_process_with_its_memory_threads_and_descriptors(busy: Lab) -> None:
    tables, gaps = gathered(collect, busy.target, recent())
    assert gaps == []
    rows = tables["container_processes"]
    assert {row["service"] for row in rows} == {"busy", "idle"}
    first, second = sorted((row for row in rows if row["service"] == "busy"), key=lambda row: row["pid"])
    assert second["parent_pid"] == first["pid"]
    assert (first["threads"], second["threads"]) == (5, 1)
    assert first["command"] == "python3"
    assert 33 <= first["open_files"] <= 36
    assert first["open_files_limit"] >= first["open_files"]


def test_shared_memory_is_shared_out_and_not_counted_twice(busy: Lab) -> None:
    rows = [
        row for row in gathered(collect, busy.target, recent())[0]["container_processes"] if row["service"] == "busy"
    ]
    assert all(row["rss_bytes"] > HELD_BYTES for row in rows)
    assert HELD_BYTES < sum(row["pss_bytes"] for row in rows) < 2 * HELD_BYTES


def elsewhere(lab: Lab, *prefix: str) -> tuple[Rows, list[str]]:
    """What the collector sees in a process that stands elsewhere or may less."""
    code = (
        "import json, sys; from irkit.settings import DockerTarget; from irkit.collectors.process import collect\n"
        "from tests.collectors.lab import gathered, recent\n"
        "tables, gaps = gathered(collect, DockerTarget(project=sys.argv[1]), recent())\n"
        "print(json.dumps([tables['container_processes'], gaps], default=str))"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, lab.project],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, gaps = json.loads(done.stdout)
    return rows, gaps


def test_from_another_machine_the_engine_tells_less_and_that_is_said(busy: Lab) -> None:
    """A process namespace of our own stands in for another machine: the engine's numbers mean nothing in it."""
    rows, gaps = elsewhere(busy, "unshare", "--pid", "--fork", "--mount-proc")
    assert [gap for gap in gaps if "cannot be looked into from here" in gap] == gaps
    assert len(gaps) == 1
    assert sum(row["rss_bytes"] > HELD_BYTES for row in rows) == 2
    assert all("pss_bytes" not in row and "open_files" not in row for row in rows)


def test_without_the_right_to_look_the_engine_tells_less_and_that_is_said(busy: Lab) -> None:
    rows, gaps = elsewhere(busy, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert len(gaps) == 1
    assert "may not be read: run irkit as root" in gaps[0]
    busy_rows = [row for row in rows if row["service"] == "busy"]
    assert all(row["pss_bytes"] is None and row["rss_bytes"] > HELD_BYTES for row in busy_rows)


def test_a_container_that_vanishes_is_a_gap_and_the_others_stay(lab: Lab) -> None:
    gone = lab.run("gone", SLEEP)
    lab.run("staying", SLEEP)
    pieces = collect(lab.target, recent())
    table = next(pieces)
    gone.remove(force=True)
    assert [row["service"] for row in table.rows] == ["staying"]  # type: ignore[union-attr]
    assert "vanished while it was looked at" in next(pieces).reason  # type: ignore[union-attr]


def test_no_argument_of_a_command_is_kept(lab: Lab) -> None:
    lab.run("secretive", [*SLEEP, "--password=hunter2hunter2"])
    (row,) = gathered(collect, lab.target, recent())[0]["container_processes"]
    assert "hunter2" not in json.dumps(row, default=str)
