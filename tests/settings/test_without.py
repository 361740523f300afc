"""`docker = false`: a source that the service has not is looked for nowhere, and is no failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.collect.engine import plan
from irkit.errors import InputError
from irkit.model import Outcome
from irkit.recorder.run import sources
from irkit.runbook import load as load_runbook
from irkit.settings import load
from irkit.targets import with_runbook_defaults
from tests.support.command_line import Run, runner

ALL = "docker = false\nredis = false\nhttp = false\nsqlite = false\n"


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a project that has none of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text(ALL)
    return runner(monkeypatch, capsys)


def test_what_there_is_not_is_absent_and_not_taken_from_the_runbook(tmp_path: Path) -> None:
    (tmp_path / "irkit.toml").write_text(ALL)
    settings = with_runbook_defaults(load(tmp_path), load_runbook())
    assert settings.problems == ()
    assert (settings.http.health_url, settings.redis.url.reveal(), settings.sqlite.path) == ("", "", "")
    looks = {look.collector.target: look for look in plan(settings)[0]}
    for name in ("docker", "redis", "http", "sqlite"):
        look = looks[name]
        assert (look.skipped, str(look.target), look.reason) == (
            Outcome.ABSENT,
            "",
            f"there is no {name}, by irkit.toml",
        )
    assert looks["host"].skipped is None
    assert sources(settings) == ()
    with pytest.raises(InputError, match=r"there is no redis, by irkit\.toml"):
        settings.refuse_unusable("redis")


def test_nothing_of_it_fails_a_collection_and_what_needs_it_is_refused(irkit: Run) -> None:
    assert irkit("open", "It is slow", "--type", "high-latency", "--id", "42").code == 0
    said = irkit("collect", "42")
    assert (said.code, said.err) == (0, "")
    assert "there is no docker, by irkit.toml" in " ".join(said.out.split())
    for words in (("restart", "web"), ("flush-cache",)):
        refused = irkit("act", "42", *words)
        assert (refused.code, "by irkit.toml" in refused.err) == (2, True)


def test_true_says_nothing_that_could_be_meant(tmp_path: Path) -> None:
    (tmp_path / "irkit.toml").write_text("docker = true\n")
    assert load(tmp_path).without == frozenset()
    assert [one.section for one in load(tmp_path).problems] == ["docker"]
