"""What makers of bundles that died leave behind goes, and what those at work have stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from irkit.bundle.staging import is_staging, own_folder, remove_abandoned, remove_own, staging_folder
from tests.support.halted import until_ended

AT_WORK = """
import sys
from pathlib import Path
from irkit.bundle.staging import staging_folder
with staging_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("of something")
    print("ready", flush=True)
    sys.stdin.read()
"""


def maker(destination: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, str(destination)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_folder_is_there_for_the_block_and_moved_or_gone_after_it(tmp_path: Path) -> None:
    with staging_folder(tmp_path / "one") as folder:
        assert folder.is_dir()
        assert is_staging(folder)
    with staging_folder(tmp_path / "two") as folder:
        folder.rename(tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert not is_staging(tmp_path / "two")


def test_what_the_dead_left_goes_and_what_the_living_have_stays(tmp_path: Path) -> None:
    with maker(tmp_path / "dead") as dead, maker(tmp_path / "alive") as alive:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert {path.name for path in tmp_path.iterdir()} == {".dead.partial", ".alive.partial"}
        with staging_folder(tmp_path / "new"):
            assert {path.name for path in tmp_path.iterdir()} == {".new.partial", ".alive.partial"}
        alive.communicate("")
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with staging_folder(tmp_path / "one") as folder, pytest.raises(FileExistsError), staging_folder(tmp_path / "one"):
        pass
    assert not folder.exists()


def test_a_link_of_that_name_leads_nowhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("stays")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".trap.partial").symlink_to(elsewhere)
    remove_abandoned(home)
    assert (elsewhere / "precious").read_text() == "stays"


def test_in_a_shared_folder_only_what_is_of_the_same_kind_is_looked_at(tmp_path: Path) -> None:
    others = (".somebody.partial", ".irkit-heap-0123abcd.partial", ".irkit-pdf-mine.partial")
    for name in (*others, ".irkit-pdf-0123abcd.partial"):
        (tmp_path / name).mkdir()
    with own_folder(tmp_path, "pdf") as own:
        assert own.path.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in tmp_path.iterdir()} == {*others, own.path.name}
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_a_child_that_got_the_lock_keeps_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys; from pathlib import Path\n"
        "from irkit.bundle.staging import own_folder\n"
        "with own_folder(Path(sys.argv[1]), 'pdf') as own:\n"
        "    print(subprocess.Popen(['cat'], pass_fds=(own.lock,)).pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dead:
        assert dead.stdin is not None
        assert dead.stdout is not None
        child = int(dead.stdout.readline())
        assert dead.wait() == -signal.SIGKILL
        remove_own(tmp_path, "pdf")
        assert len(list(tmp_path.iterdir())) == 1
        dead.stdin.close()
        until_ended(child)
    remove_own(tmp_path, "pdf")
    assert list(tmp_path.iterdir()) == []
