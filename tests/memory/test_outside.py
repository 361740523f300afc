"""Real processes watched from outside: one that grows, one that keeps still, one that ends, one that never was."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from irkit import procfs
from irkit.cli.commands import irkit
from irkit.errors import InputError, NotFoundError
from irkit.memory.outside import Outside, largest, watch
from irkit.memory.trend import Direction

GROWS = """
import time
print('up', flush=True)
kept = []
while True:
    kept.append(bytes(400_000) + b'x')
    time.sleep(0.01)
"""
KEEPS_STILL = "import signal; print('up', flush=True); signal.pause()"
LARGE = f"kept = bytes(50_000_000) + b'x'; {KEEPS_STILL}"
ENDS = "import time; print('up', flush=True); time.sleep(0.3)"


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs and has said so."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout
            assert started.stdout.readline() == "up\n"
            yield started
        finally:
            started.kill()


def test_a_process_that_grows_is_said_to_and_what_to_do_next() -> None:
    with process(GROWS) as one:
        seen = watch(one.pid, for_s=2.5, every_s=0.1)
    assert seen.rss.direction is Direction.GROWING
    assert seen.last_rss_bytes > seen.first_rss_bytes + 10_000_000
    assert "Verdict: growing: RSS rises by" in str(seen)
    assert "a restart destroys the evidence" in str(seen)


def test_a_process_that_keeps_still_is_not_called_growing() -> None:
    with process(KEEPS_STILL) as one:
        seen = watch(one.pid, for_s=2.5, every_s=0.1)
    assert seen.rss.direction is not Direction.GROWING
    assert not seen.has_ended
    assert "Next:" not in str(seen)


def test_a_short_rise_says_how_far_and_for_how_long_to_watch() -> None:
    with process(KEEPS_STILL) as one:
        seen = watch(one.pid, for_s=20, every_s=1, outside=_slowing())
    assert seen.rss.direction is Direction.RISING
    assert "stable" not in str(seen)
    assert "Verdict: rising so far: RSS rose by 14 MiB (21 samples over 20 s); that is too short" in seen.told
    assert "to tell a leak from a start: watch it for 2 min." in seen.told
    assert f"Next: irkit memory monitor --pid {one.pid} --for 120" in str(seen)


def _slowing() -> Outside:
    """A process that has taken 1.7 MiB in its first second and ever less, by a clock that nobody waits for."""
    passed = [0.0]

    def wait(for_s: float) -> None:
        passed[0] += for_s

    def rss_bytes(_pid: int) -> int:
        return int((50 + 18 * (1 - math.exp(-passed[0] / 10))) * (1 << 20))

    return Outside(rss_bytes=rss_bytes, clock_s=lambda: passed[0], wait=wait)


def test_a_process_that_ends_ends_the_watch() -> None:
    with process(ENDS) as one:
        seen = watch(one.pid, for_s=30, every_s=0.1)
    assert seen.has_ended
    assert "It ended meanwhile." in str(seen)


def test_what_cannot_be_watched_is_a_sentence() -> None:
    with process(ENDS) as one:
        one.wait()
    with pytest.raises(NotFoundError, match=f"there is no process {one.pid} here"):
        watch(one.pid, for_s=1)
    with pytest.raises(InputError, match="cannot be done"):
        watch(1, for_s=1, every_s=10)


def test_of_a_containers_processes_the_one_that_holds_the_most_is_watched() -> None:
    with process(ENDS) as gone, process(KEEPS_STILL) as small, process(LARGE) as large:
        gone.wait()
        assert largest([gone.pid, small.pid, large.pid]) == large.pid
        with pytest.raises(NotFoundError, match="none of its processes"):
            largest([gone.pid])


def test_a_starter_is_not_taken_for_what_it_started() -> None:
    """As an init in a container does: it holds next to nothing, and its child all."""
    command = ["sh", "-c", f'"$0" -c "{LARGE}"; true', sys.executable]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as starter:
        try:
            assert starter.stdout
            assert starter.stdout.readline() == "up\n"
            seen = watch(starter.pid, for_s=0.5, every_s=0.1)
            assert seen.larger
            child, size_bytes = seen.larger
            assert size_bytes > 50_000_000
            assert f"Process {child}, which it started, holds more" in str(seen)
            assert f"irkit memory monitor --pid {child}" in seen.told
            assert watch(child, for_s=0.5, every_s=0.1).larger is None
        finally:
            os.killpg(starter.pid, signal.SIGKILL)


def test_a_process_of_this_machine_is_not_said_to_be_in_a_container() -> None:
    with process(KEEPS_STILL) as one:
        seen = watch(one.pid, for_s=0.5, every_s=0.1)
    assert seen.is_contained is procfs.is_contained()
    assert ("its container" in str(seen)) is (seen.is_contained and seen.container is not None)


def test_the_command_says_what_it_saw() -> None:
    with process(KEEPS_STILL) as one:
        done = CliRunner().invoke(
            irkit, ["memory", "monitor", "--pid", str(one.pid), "--for", "500ms", "--every", "0.1"]
        )
    assert done.exit_code == 0, done.output
    assert "too few samples" in done.output
    assert "RSS " in done.output
