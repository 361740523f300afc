"""Restart, scale, stop and start on the real stack: what helps, what does not, what is refused, what is killed."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from irkit.model import EventKind
from tests.actions.conftest import acts
from tests.stack.stack import Stack
from tests.support.command_line import Run

DO = ("--apply", "--yes")
QUICK = ("-p", "hold", "1")
COMMAND = (sys.executable, "-c", "from irkit.cli import main; main()")


def states(stack: Stack) -> dict[str, str]:
    services = ("jarvis-api", "provider-alpha", "provider-beta", "redis")
    return {service: stack.container(service).status for service in services}


@pytest.fixture
def mended(stack: Stack) -> Iterator[Stack]:
    """The stack, whole again after the test whatever it did."""
    try:
        yield stack
    finally:
        stack.repair()


def test_a_plan_changes_nothing(irkit: Run, stack: Stack) -> None:
    before = stack.container("jarvis-api").attrs["State"]["StartedAt"]
    said = irkit("act", "42", "restart", "jarvis-api")
    assert said.code == 0
    assert "is running, healthy" in said.out
    assert "Nothing was done. To do it: irkit act 42 restart jarvis-api --apply" in said.out
    assert stack.container("jarvis-api").attrs["State"]["StartedAt"] == before
    assert acts() == []


def keep_a_session(stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as client:
        client.set("session:1", "x")


def test_the_keys_that_a_restart_of_redis_loses_are_told_before(irkit: Run, stack: Stack) -> None:
    keep_a_session(stack)
    assert "ALL OF THEM ARE LOST" in " ".join(irkit("act", "42", "restart", "redis").out.split())
    assert "Redis" not in irkit("act", "42", "restart", "jarvis-api").out
    assert "ALL OF THEM ARE LOST" in " ".join(irkit("act", "42", "stop-all").out.split())
    assert stack.health().status == 200


def test_a_restart_that_helps_is_verified_by_health_and_does_the_runbooks_step(irkit: Run, stack: Stack) -> None:
    with stack.broken("api-crashes"):
        stack.undo()
        said = irkit("act", "42", "restart", *DO, *QUICK)
        assert said.code == 0, said.err
        assert stack.health().status == 200
    assert "done and verified" in said.out
    assert "Step 1 of the runbook is recorded as done." in said.out
    begun, ended = acts()
    assert begun.evidence, "what the restart destroys was collected first"
    assert (ended.data["verified"], ended.data["step"]) == (True, 1)
    assert "before: connection refused" in ended.text
    assert "running" in str(ended.data["found"])


@pytest.mark.usefixtures("stack")
def test_a_restart_for_a_leak_is_said_to_mend_none(irkit: Run) -> None:
    said = irkit("act", "42", "restart", *DO, *QUICK)
    assert "mends no leak" not in said.out
    assert "done; whether it helped is not seen" in said.out, "it was well before"
    assert "It was well before, too, so look at what was wrong: `irkit collect 42`" in " ".join(said.out.split())
    assert (acts()[-1].data["verified"], acts()[-1].data["step"]) == (None, 1)
    assert "1. Restart the service  done" in irkit("act", "42").out
    irkit("amend", "42", "type", "memory-leak")
    said = irkit("act", "42", "restart", *DO, *QUICK)
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert "irkit memory monitor --container" in told
    assert "mends no leak" in told


def test_a_restart_that_does_not_help_says_what_it_left(irkit: Run, stack: Stack) -> None:
    with stack.broken("api-crashes"):
        said = irkit("act", "42", "restart", "jarvis-api", *DO)
    assert said.code == 8
    assert "done, but it did not help" in said.err
    assert "exited, code 1" in said.err
    assert "done, and it did not help" in irkit("act", "42").out
    assert (acts()[-1].data["verified"], acts()[-1].data["step"]) == (False, 1)
    assert "irkit escalate" not in irkit("act", "42").out


def test_nobody_to_confirm_means_nothing_done(irkit: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stack.container("jarvis-api").attrs["State"]["StartedAt"]
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        said = irkit("act", "42", "restart", "jarvis-api", "--apply")
    assert (said.code, acts()) == (2, [])
    assert "nobody is there to confirm it; nothing was done" in said.err
    assert "the target is jarvis-api, not redis" in irkit("act", "42", "restart", *DO, "--target", "redis").err
    assert stack.container("jarvis-api").attrs["State"]["StartedAt"] == before


@pytest.mark.parametrize(("typed", "code"), [("jarvis", 2), ("jarvis-api", 0)])
def test_the_targets_name_has_to_be_typed(typed: str, code: int, irkit: Run, stack: Stack) -> None:
    del irkit, stack
    ours, theirs = pty.openpty()
    argv = [*COMMAND, "act", "42", "restart", "jarvis-api", "--apply", *QUICK]
    with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asked:
        os.close(theirs)
        os.write(ours, f"{typed}\n".encode())
        said, _ = asked.communicate(timeout=120)
    os.close(ours)
    assert asked.returncode == code, said.decode()
    assert b"Type jarvis-api to do it" in said
    assert bool(acts()) is (code == 0)


@pytest.mark.parametrize("action", [("restart", "jarvis-api"), ("scale", "jarvis-api", "2"), ("stop-all",)])
def test_without_an_engine_the_sentence_says_so(action: tuple[str, ...], irkit: Run, tmp_path: Path) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(settings.read_text().replace("[docker]", '[docker]\nhost = "unix:///nowhere/docker.sock"'))
    said = irkit("act", "42", *action, *DO)
    assert said.code == 8
    assert "no Docker Engine at unix:///nowhere/docker.sock" in said.err
    assert acts() == []
    shown = " ".join(irkit("show", "42").out.split())
    assert f"{' '.join(action)} could not be planned" in shown, "that somebody wanted it is part of the story"


def test_an_unknown_service_names_the_nearest_and_is_nothing_that_was_tried(irkit: Run) -> None:
    for more in ((), DO):
        said = irkit("act", "42", "restart", "jarvis-apu", *more)
        assert said.code == 2
        assert "did you mean jarvis-api?" in said.err
    assert "tried" not in irkit("act", "42").out


def test_a_restart_of_another_service_than_the_steps_is_no_step_of_the_runbook(irkit: Run, mended: Stack) -> None:
    assert irkit("collect", "42").code == 0
    other = irkit("act", "42", "restart", "provider-beta", *DO, *QUICK)
    assert other.code == 0, other.err
    assert "Step 1 of the runbook" not in other.out
    assert acts()[-1].data["target"] == "provider-beta"
    assert irkit("collect", "42").code == 0
    assert "Step 1 of the runbook is recorded as done" in irkit("act", "42", "restart", "jarvis-api", *DO, *QUICK).out


def test_nothing_is_done_for_an_incident_that_is_closed(irkit: Run, stack: Stack) -> None:
    before = stack.container("jarvis-api").attrs["State"]["StartedAt"]
    assert irkit("resolve", "42", "it was nothing").code == 0
    assert irkit("close", "42").code == 0
    assert irkit("act", "42", "restart", "jarvis-api").code == 0, "to look is no harm"
    said = irkit("act", "42", "restart", "jarvis-api", *DO)
    assert said.code == 8
    assert "INC-42 is closed, so nothing more is done for it; nothing was done" in said.err
    assert "irkit reopen 42 WHY" in said.err
    assert stack.container("jarvis-api").attrs["State"]["StartedAt"] == before


def test_a_service_with_a_fixed_port_is_not_scaled(irkit: Run, stack: Stack) -> None:
    said = irkit("act", "42", "scale", "jarvis-api", "3", *DO)
    assert said.code == 8
    assert "which only one container can have" in said.err
    assert "publish a range" in said.err
    assert 'irkit step 42 3 --skipped "why"' in said.err
    assert acts() == []
    assert "scale jarvis-api is refused" in irkit("show", "42").out, "that it was tried is part of the story"
    assert re.search(r"3\. .*tried, and it could not be done", irkit("act", "42").out)
    assert stack.health().status == 200


def test_a_service_without_one_is_scaled_up_and_down(irkit: Run, mended: Stack) -> None:
    try:
        up = irkit("act", "42", "scale", "provider-alpha", "2", *DO, *QUICK)
        assert up.code == 0, up.err
        assert "2 of 2 run" in up.out
    finally:
        down = irkit("act", "42", "scale", "provider-alpha", "1", *DO, *QUICK)
    assert down.code == 0, down.err
    assert mended.container("provider-alpha").status == "running", "there is one again"
    assert "is not a number of containers" in irkit("act", "42", "scale", "provider-alpha", "0").err


def test_what_was_stopped_is_started_again_and_nothing_else(irkit: Run, mended: Stack) -> None:
    keep_a_session(mended)
    mended.container("provider-beta").stop(timeout=0)
    held = irkit("act", "42", "stop-all", *DO)
    assert held.code == 2
    assert "can lose data, so --yes alone does not do; nothing was done" in held.err, "Redis' keys"
    all_of_it = (*DO, "--target", mended.project)
    stopped = irkit("act", "42", "stop-all", *all_of_it)
    assert stopped.code == 0, stopped.err
    assert set(states(mended).values()) == {"exited"}
    order = [
        line.split()[0] for line in stopped.out.splitlines() if line.endswith(" is stopped") and " then" not in line
    ]
    assert "jarvis-api" in order[0], "what depends on the others is stopped first"
    assert "nothing of it runs" in irkit("act", "42", "stop-all", *DO).err
    # its health is not well without the one that stays away, which is said
    started = irkit("act", "42", "start-all", *DO, "-p", "patience", "2")
    after = states(mended)
    assert after.pop("provider-beta") == "exited"
    assert set(after.values()) == {"running"}, started.err


def test_one_killed_half_way_is_told_of_and_can_be_undone(irkit: Run, mended: Stack) -> None:
    argv = [*COMMAND, "act", "42", "stop-all", *DO, "--target", mended.project]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, bufsize=1) as half:
        assert half.stdout
        for line in half.stdout:
            if line.endswith(" is stopped\n") and line.startswith(mended.project):
                half.send_signal(signal.SIGKILL)
                break
    assert half.returncode == -signal.SIGKILL
    assert [one.data["outcome"] for one in acts()] == ["begun"]
    told = " ".join(irkit("act", "42").out.split())
    assert "stop-all" in told
    assert "was killed half-way" in told
    # to do it again finds only what runs still, and what was stopped before is started with the rest
    assert irkit("act", "42", "stop-all", *DO, "--target", mended.project).code == 0
    assert irkit("act", "42", "start-all", *DO, *QUICK).code == 0
    assert set(states(mended).values()) == {"running"}


def test_a_bundle_that_cannot_be_trusted_is_set_aside_and_stops_nothing(
    irkit: Run, mended: Stack, tmp_path: Path
) -> None:
    assert irkit("collect", "42").code == 0
    [bundle] = (tmp_path / ".irkit" / "bundles" / "INC-42").iterdir()
    (bundle / "manifest.json").write_text("{}")
    said = irkit("act", "42", "restart", "redis", *DO, "--target", "redis", *QUICK)
    assert said.code == 0, said.err
    assert "counts as no evidence here" in said.err
    assert "Evidence first" in said.out
    assert mended.container("redis").status == "running"


def test_starting_what_nobody_stopped_is_refused(irkit: Run) -> None:
    said = irkit("act", "42", "start-all", *DO)
    assert said.code == 8
    assert "no stop-all is on the timeline of INC-42" in said.err


def test_evidence_that_cannot_be_had_holds_the_action_back(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(settings.read_text() + "deadline_s = 0.001\n")
    before = stack.container("provider-beta").attrs["State"]["StartedAt"]
    said = irkit("act", "42", "restart", "provider-beta", *DO)
    assert said.code == 8
    assert "would destroy evidence that could not be collected" in said.err
    assert "restart provider-beta was held back" in " ".join(irkit("show", "42").out.split()), "it was tried"
    assert stack.container("provider-beta").attrs["State"]["StartedAt"] == before
    assert irkit("act", "42", "restart", "provider-beta", *DO, *QUICK, "--without-evidence").code == 0
    assert [one.kind for one in acts()] == [EventKind.ACTION] * 2
