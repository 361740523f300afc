"""kill -9 in the middle of an action: what it worked on is whole, the record says that it had begun, and it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.actions.conftest import acts
from tests.support.command_line import Run, runner
from tests.support.killed_copy import SCENARIOS
from tests.support.redis_servers import RedisServer

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from irkit.cli import main; main()")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_copy_is_whole_or_not_there_and_the_database_is_untouched(scenario: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.killed_copy", scenario, str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    outcomes = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(outcomes) > 10
    assert [one["died"] for one in outcomes] == [True] * (len(outcomes) - 1) + [False]
    assert all(one["untouched"] for one in outcomes)
    if scenario == "backup-of-a-damaged":  # what SQLite copies of it is damaged, too, so its bytes are kept first
        assert all("c.db.raw" in one["found"] for one in outcomes if "c.db" in one["found"])
    else:
        assert {one["copy"] for one in outcomes} == {"none", "whole"}
    assert {one["again"] for one in outcomes if not one["found"]} == {"done"}
    assert [one["left"] for one in outcomes] == [[]] * len(outcomes)
    assert {one["again"] for one in outcomes if one["found"]} == {"refused"}, "nothing is overwritten"


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: RedisServer
) -> Run:
    monkeypatch.chdir(tmp_path)
    for pipe in ("begun", "go-on", "ended"):
        os.mkfifo(tmp_path / pipe)
    script = tmp_path / "switch"
    script.write_text("#!/bin/sh\necho begun > begun\nread line < go-on\necho ended > ended\n")
    script.chmod(0o700)
    (tmp_path / "irkit.toml").write_text(
        f'[redis]\nurl = "redis://127.0.0.1:{server.port}/0"\ncache_prefixes = ["cache:"]\n'
        '[docker]\nhost = "unix:///nowhere/docker.sock"\n[http]\nhealth_url = "http://127.0.0.1:9/"\ntimeout_s = 0.5\n'
        '[providers]\nswitch_command = "./switch {name}"\n'
    )
    (tmp_path / "irkit.toml").chmod(0o600)
    run = runner(monkeypatch, capsys)
    assert run("open", "Slow", "--type", "high-latency", "--id", "42").code == 0
    return run


@contextmanager
def killed(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `irkit act 42 …`, and kill it -9 at the end of the block; what it began is then on record, and no end."""
    argv = [*COMMAND, "act", "42", *arguments, "--apply", "--yes"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, bufsize=1) as half:
        yield half
        half.send_signal(signal.SIGKILL)
    assert half.returncode == -signal.SIGKILL
    assert [one.data["outcome"] for one in acts()] == ["begun"]


def told_of(desk: Run, action: str) -> None:
    told = " ".join(desk("act", "42").out.split())
    assert action in told
    assert "was killed half-way" in told


def test_a_flush_by_prefix_takes_no_other_key_and_can_be_done_again(desk: Run, server: RedisServer) -> None:
    total = 300_000
    for first in range(0, total, 30_000):  # one script for all would outlast the client's patience on a busy machine
        server.client.eval("for n = 1, 30000 do redis.call('SET', 'cache:' .. ARGV[1] + n, n) end", 0, first)
    server.client.mset({"queue:jobs": 1, "ratelimit:provider:alpha": 7})
    target = f"127.0.0.1:{server.port}/0"
    with killed("flush-cache", "-p", "prefix", "cache:", "--target", target):
        while server.client.dbsize() == total + 2:
            pass
    assert server.client.exists("queue:jobs", "ratelimit:provider:alpha") == 2
    left = server.client.dbsize()
    assert 2 < left < total + 2
    told_of(desk, "flush-cache")
    said = desk("act", "42", "flush-cache", "-p", "prefix", "cache:", "--apply", "--yes", "--target", target)
    assert said.code == 0, said.err
    assert server.client.dbsize() == 2


def test_a_switch_is_told_to_have_begun_and_the_teams_command_is_not_torn_in_two(desk: Run, tmp_path: Path) -> None:
    with killed("switch-provider", "beta"):
        assert (tmp_path / "begun").read_text() == "begun\n"
    told = " ".join(desk("act", "42").out.split())
    assert "switch-provider beta began" in told
    assert "it runs still, or was killed half-way" in told
    (tmp_path / "go-on").write_text("on\n")
    assert (tmp_path / "ended").read_text() == "ended\n"


def test_a_wait_changes_nothing_and_is_told_of(desk: Run, server: RedisServer) -> None:
    server.client.set("ratelimit:provider:alpha", 7, ex=600)
    with killed("wait-ratelimit", "alpha") as half:
        assert half.stdout
        next(line for line in half.stdout if "resets in" in line)
    assert 590 < server.client.ttl("ratelimit:provider:alpha") <= 600
    told_of(desk, "wait-ratelimit")
