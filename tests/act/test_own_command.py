"""A team's program that ends, hangs, talks without end, or leaves somebody behind."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from irkit.act.own_command import Ended, run


def shell(script: str, folder: Path, timeout_s: float = 20.0) -> Ended:
    return run(["sh", "-c", script], folder=folder, timeout_s=timeout_s)


def test_what_it_said_and_how_it_ended(tmp_path: Path) -> None:
    said = shell("pwd; echo no >&2; cat; exit 3", tmp_path)
    assert (said.code, said.out, said.err, said.words) == (3, f"{tmp_path}\n", "no\n", "ended with 3")
    assert shell("kill -TERM $$", tmp_path).words == "was ended by SIGTERM"
    with pytest.raises(FileNotFoundError):
        run(["./there-is-none"], folder=tmp_path, timeout_s=1)


def test_of_endless_words_the_end_is_kept(tmp_path: Path) -> None:
    said = shell("yes | head -c 5000000; echo; echo last", tmp_path)
    assert said.out.endswith("\nlast\n")
    assert len(said.out) <= 16 * 1024


def test_who_is_left_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    said = shell("sleep 600 & echo $!", tmp_path)
    left = int(said.out)
    assert said.code == 0
    os.kill(left, signal.SIGKILL)  # it lives on: a worker that was started is meant to


@pytest.mark.parametrize("quiet", ["", "exec >&- 2>&-;"])
def test_at_its_deadline_it_is_killed_with_all_it_started(quiet: str, tmp_path: Path) -> None:
    mark = f"601.{os.getpid()}"
    with pytest.raises(TimeoutError):
        shell(f"{quiet} sleep {mark} & sleep {mark}; true", tmp_path, timeout_s=0.3)
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if f"sleep {mark}" in line and not line.startswith("Z")] == []
