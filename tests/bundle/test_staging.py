"""What makers of bundles that died leave behind goes, and what those at work have stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from irkit.bundle.staging import is_staging, remove_abandoned, staging_folder

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
