"""The first screen of a leak: the kill and the growth are told, no line of a log that says neither, and no future."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit import drill, workspace
from irkit.report import Report
from irkit.report.parts import Gap


@pytest.fixture
def leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The recording of a leak that the kernel ended before anybody had looked into the heap."""
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file("memory-leak", workspace.load_settings(), 42)
    return workspace.postmortem(filed, workspace.gather(filed, "never"))


def test_what_leads_shows_the_leak(leak: Report) -> None:
    assert not isinstance(leak.header, Gap)
    kill, growth = leak.header.likely.claims
    assert kill.text == "jarvis-api exited with code 137 (killed for its use of memory) at 19:32:03 UTC"
    assert not kill.quote, "whom the kernel kills says nothing of it: its last line is any line"
    assert growth.text.startswith("Gradual memory increase: Memory of jarvis_jarvis-api_1 rose by 4.")
    assert "from 18 MiB to 247 MiB" in growth.text


def test_of_the_dead_nothing_is_foretold(leak: Report) -> None:
    shown = "\n".join(str(section) for section in leak.sections)
    assert "is reached in" not in shown
    assert "if it goes on" not in shown
    assert "killed at its limit, 19:32:03 UTC" in shown
    assert "Exited with code 137, killed for its use of memory" in str(leak.timeline)
    assert "0 uncollectable, 0.3346s elapsed" not in str(leak.timeline)
