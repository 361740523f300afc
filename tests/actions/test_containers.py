"""Containers that end slowly, vanish or fall over at once: what is done by then is told, what is proven is true."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from irkit import runbook
from irkit.act.contract import ActError, Ask
from irkit.actions import restart, scale, stop_all
from irkit.docker import engine as docker_engine
from irkit.model import Incident, Status, utc_now
from irkit.settings import DockerTarget, Settings
from irkit.settings.sections import HttpTarget
from tests.collectors.lab import SLEEP, Lab, python

STUBBORN = python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()")
FALLS_OVER = python("import time; time.sleep(0.3); raise SystemExit(1)")


def ask(lab: Lab, *arguments: str) -> Ask:
    settings = Settings(Path("nowhere"), docker=lab.target, http=HttpTarget(health_url=""))
    incident = Incident(42, "Down", "api-unresponsive", "Critical", Status.OPEN, utc_now())
    return Ask(incident, settings, runbook.load(), (), arguments, {"hold": "2"})


def test_what_was_done_before_one_vanished_is_told(lab: Lab) -> None:
    for number in (1, 2, 3):
        lab.run("web", SLEEP, name=f"{lab.project}-web-{number}", stop_signal="SIGKILL")
    for action, words in ((restart, "restarted"), (stop_all, "stopped")):
        wanted = ask(lab, *(("web",) if action is restart else ()))
        plan = action.plan(wanted)
        [gone] = [one for one in lab.containers() if one.name == f"{lab.project}-web-2"]
        gone.remove(force=True)
        with pytest.raises(ActError) as failed:
            action.apply(plan, wanted)
        told = str(failed.value)
        assert f"{lab.project}-web-2: the Docker Engine answers: No such container" in told
        order = (
            list(plan.data["containers"].values())
            if action is restart
            else [one["name"] for one in plan.data["running"]]
        )
        before, after = order[: order.index(gone.name)], order[order.index(gone.name) + 1 :]
        assert all(name in told for name in order)
        assert (f"{words} by then" in told) is bool(before)
        assert (" left as " in told) is bool(after)
        lab.run("web", SLEEP, name=f"{lab.project}-web-2", stop_signal="SIGKILL")


def test_a_container_may_take_as_long_to_end_as_it_was_given(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library's own patience is a minute, which no test waits for; to that it adds 10 s where it is not told for how
    # long the container is waited for. What the Engine needs beside, on a busy machine, has 5 s.
    monkeypatch.setattr(docker_engine, "EngineClient", functools.partial(docker_engine.EngineClient, timeout=5))
    labels = {"com.docker.compose.project": lab.project, "com.docker.compose.service": "web"}
    made = lab.client.api.create_container(lab.image, STUBBORN, labels=labels, stop_timeout=16)
    try:
        lab.client.api.start(made["Id"])
        wanted = ask(lab)
        plan = stop_all.plan(wanted)
        done = stop_all.apply(plan, wanted)
        assert stop_all.verify(plan, done, wanted).well
    finally:
        lab.client.api.remove_container(made["Id"], force=True)


def test_of_several_projects_none_is_changed_until_somebody_says_which(lab: Lab) -> None:
    other = Lab(lab.client, lab.image)
    try:
        lab.create("web", SLEEP)
        lab.create("alone", SLEEP)
        other.create("web", SLEEP)
        for action, arguments in ((stop_all, ()), (restart, ("web",)), (scale, ("web", "2"))):
            wanted = ask(lab, *arguments)
            anybody = replace(wanted, settings=replace(wanted.settings, docker=DockerTarget()))
            with pytest.raises(ActError, match="projects here") as refused:
                action.plan(anybody)
            told = str(refused.value)  # names three; others may run beside these
            assert "more)" in told or (lab.project in told and other.project in told)
            assert "[docker] project = " in refused.value.hint
        wanted = ask(lab, "alone")
        anybody = replace(wanted, settings=replace(wanted.settings, docker=DockerTarget()))
        assert list(restart.plan(anybody).data["before"]) == [f"{lab.project}-alone-1"]
    finally:
        other.clean()


@pytest.mark.parametrize("policy", ["no", "always"])
def test_one_that_falls_over_at_once_is_not_called_mended_where_no_endpoint_tells(lab: Lab, policy: str) -> None:
    lab.run("web", FALLS_OVER, restart_policy={"Name": policy})
    wanted = ask(lab, "web")
    plan = restart.plan(wanted)
    found = restart.verify(plan, restart.apply(plan, wanted), wanted)
    assert not found.well, found.sentence


def test_one_that_stays_up_is_called_well_where_no_endpoint_tells(lab: Lab) -> None:
    lab.run("web", SLEEP, stop_signal="SIGKILL")
    wanted = ask(lab, "web")
    plan = restart.plan(wanted)
    assert restart.verify(plan, restart.apply(plan, wanted), wanted).well
