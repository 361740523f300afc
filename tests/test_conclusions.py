"""What evidence says for commands and notebooks: last words of what ended badly, and what an action is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from irkit import conclusions, drill, workspace
from irkit.diagnose.service_names import idle_of
from irkit.model import EventKind
from irkit.settings import Settings
from tests.support.example_bundle import example_bundle


def test_the_last_words_of_what_ended_badly_are_told_and_of_nothing_else(tmp_path: Path) -> None:
    bundle = example_bundle(tmp_path)
    [api] = idle_of(bundle)
    assert api.exit_code not in {0, 143, None}
    [said] = conclusions.last_words([api], bundle).values()
    assert said.startswith("jarvis-api logged at ")
    for other in (replace(api, exit_code=0), replace(api, asked=True), replace(api, name="redis", exit_code=143)):
        assert conclusions.last_words([other], bundle) == {}


def test_what_is_asked_for_knows_what_was_just_done_for_other_incidents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home")
    drill.file("api-unresponsive", settings, 42)
    store = workspace.store(settings)
    other = store.open_incident("Also down", incident_type="api-unresponsive", severity="Critical", actor="eve")
    assert conclusions.asked(42, settings).beside == ()
    told = {"action": "restart", "target": "redis", "run": "1", "outcome": "begun", "changes": True}
    store.append(other.id, EventKind.ACTION, actor="eve", text="It began.", data=told)
    assert [event.actor for event in conclusions.asked(42, settings, ("redis",)).beside] == ["eve"]
    assert conclusions.asked(other.id, settings).beside == (), "that is on its own timeline"
