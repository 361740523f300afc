"""What reaches a stream: words alone where it is a file, whatever the environment claims of it."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

DRAWN = """
from rich.text import Text
from irkit.terminal import console
from irkit.collect.engine import Progress
with console.status("under way"): pass
with console.progress() as on_progress: on_progress(Progress("host"))
console.show(Text("done", style="bold red"))
"""
FORCED = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "CLICOLOR_FORCE": "1"}


def test_no_escape_code_reaches_a_stream_that_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", DRAWN], capture_output=True, check=True, env={**os.environ, **FORCED})
    assert (done.stdout, done.stderr) == (b"done\n", b"")


def test_a_line_said_meanwhile_has_a_row_of_its_own() -> None:
    said = on_a_terminal("from irkit.terminal import console\nwith console.status('under way'): console.say('news')\n")
    before, _, after = said.partition(b"news")
    assert b"under way" in before
    assert b"under way" not in before.rpartition(b"\x1b[2K")[2], "its row was cleared first"
    assert after.startswith(b"\r\n")


def test_a_terminal_is_shown_what_is_under_way() -> None:
    said = on_a_terminal(DRAWN)
    for words in (b"under way", b"host", b"done"):
        assert words in said
    assert b"\x1b[?25h" in said, "the cursor is given back"


def on_a_terminal(program: str) -> bytes:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # how the end of a terminal is told
            while piece := os.read(ours, 4096):
                said += piece
    os.close(ours)
    assert process.returncode == 0
    return said


def test_what_cannot_be_said_on_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    """/dev/full is Linux's own full disk."""
    command = [sys.executable, "-c", "from irkit.cli import main; main()", "runbook"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123 (a device, for a descriptor)
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "irkit: what there is to say cannot be written: No space left on device\n"
        "  → what was recorded stays; free some space there, or have it shown elsewhere\n"
    )
