"""Proofs that fail where no fault of the stack makes them, and a key that stays unseen however the try of it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from irkit import workspace
from irkit.act import engine as act
from irkit.act.contract import Result
from irkit.actions import backup_database
from irkit.conclusions import asked
from tests.actions.conftest import acts
from tests.stack.stack import Stack
from tests.support.command_line import Run
from tests.support.http_servers import read_request, serving

KEY = "sk-a-made-up-key-of-this-test"
COMMAND = (sys.executable, "-c", "from irkit.cli import main; main()")


@pytest.mark.usefixtures("irkit")
def test_a_backup_that_is_another_when_it_is_read_back_is_not_called_well(tmp_path: Path) -> None:
    ask = asked(42, workspace.load_settings(), (), {"to": str(tmp_path / "b.db")})
    plan = backup_database.plan(ask)
    made = backup_database.apply(plan, ask)
    (tmp_path / "b.db").write_bytes(b"another's")
    found = backup_database.verify(plan, made, ask)
    assert (found.well, found.sentence) == (False, "b.db is not what was written")


@pytest.mark.usefixtures("irkit")
def test_what_runs_though_all_was_stopped_is_named(stack: Stack) -> None:
    ask, stop_all = asked(42, workspace.load_settings()), act.find("stop-all")
    found = stop_all.verify(stop_all.plan(ask), Result(well=True, sentence=""), ask)
    assert not found.well
    assert str(stack.container("redis").name) in found.sentence


def test_a_key_that_is_being_tried_is_in_no_argument_and_in_no_file(
    irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    tried = threading.Event()

    def hold(connection, closing_event: threading.Event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        read_request(connection)
        tried.set()
        closing_event.wait()

    with serving(hold) as port:
        settings = tmp_path / "irkit.toml"
        urls = f'key_urls = {{ alpha = "http://127.0.0.1:{port}/models" }}'
        settings.write_text(f'{settings.read_text()}[providers]\n{urls}\nkey_env = {{ alpha = "MADE_UP_KEY" }}\n')
        argv = [*COMMAND, "act", "42", "check-api-key", "alpha", "--apply"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as half:
            assert tried.wait(60)
            assert KEY.encode() not in Path(f"/proc/{half.pid}/cmdline").read_bytes()
            half.send_signal(signal.SIGKILL)
            said, _ = half.communicate()
    assert [one.data["outcome"] for one in acts()] == ["begun"]
    assert "was killed half-way" in " ".join(irkit("act", "42").out.split())
    assert KEY.encode() not in said + b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
