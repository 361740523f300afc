"""A desk beside the real stack, with incident 42 open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit import workspace
from irkit.model import Event, EventKind
from tests.stack.stack import Stack
from tests.support.command_line import Run, runner
from tests.support.redis_servers import RedisServer, redis_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stack: Stack) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text(
        f'[docker]\nproject = "{stack.project}"\n[http]\nhealth_url = "{stack.url}/api/health"\ntimeout_s = 2\n'
        f'[redis]\nurl = "{stack.redis_url}"\n[sqlite]\npath = "{stack.database_path}"\n[collect]\nwindow_minutes = 5\n'
    )
    run = runner(monkeypatch, capsys)
    assert run("open", "Chat is down", "--type", "api-unresponsive", "--id", "42").code == 0
    return run


def acts() -> list[Event]:
    """The actions on the timeline of incident 42, in the order they were recorded."""
    events = workspace.store(workspace.load_settings()).timeline(42)
    return sorted((one for one in events if one.kind is EventKind.ACTION), key=lambda one: one.id)
