"""`irkit memory` as a person meets it: what is printed to be typed next goes to the incident that was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Run, runner


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a project of its own, with incident 42."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text(f'[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n')
    run = runner(monkeypatch, capsys)
    assert run("open", "It grows", "--type", "memory-leak", "--id", "42").code == 0
    return run


def test_a_hint_keeps_the_incident_so_that_what_it_finds_is_filed(irkit: Run) -> None:
    ready = "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", ready], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        said = irkit("memory", "snapshot", "--pid", str(process.pid), "--incident", "42")
        assert (said.code, f"irkit memory attach --incident 42 --pid {process.pid}" in said.err) == (8, True)
        alone = irkit("memory", "snapshot", "--pid", str(process.pid))
        assert f"irkit memory attach --pid {process.pid}" in alone.err
        process.kill()
