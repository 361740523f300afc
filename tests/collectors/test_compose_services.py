"""Containers in every state, made for real, and what the collector says of each."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from docker.errors import APIError
from docker.types import Healthcheck

from irkit.collect.contract import Limits, Unreachable
from irkit.collectors.compose_services import collect
from irkit.settings import DockerTarget
from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import LITTLE_BYTES, SLEEP, Lab, Rows, each_at_once, gathered, python, recent, taken
from tests.stack.engine import wait_until
from tests.stack.stack import compose_command

SECOND = 10**9


def checked(command: str) -> Healthcheck:
    return Healthcheck(test=["CMD-SHELL", command], interval=SECOND, timeout=5 * SECOND, retries=1)


@pytest.fixture(scope="module")
def seen(module_lab: Lab) -> dict[str, Rows]:
    lab = module_lab

    def killed() -> None:
        container = lab.run("killed", SLEEP)
        container.kill()
        container.wait()

    def unstartable() -> None:
        with pytest.raises(APIError, match="no such file"):
            lab.run("unstartable", ["/no/such/program"])

    makers = [
        lambda: lab.run(
            "running", SLEEP, mem_limit=LITTLE_BYTES, restart_policy={"Name": "on-failure", "MaximumRetryCount": 5}
        ),
        lambda: lab.run("limited", SLEEP, nano_cpus=250_000_000, pids_limit=32),
        lambda: lab.run("throttled", SLEEP, cpu_quota=150_000, cpu_period=100_000, pids_limit=-1),
        lambda: lab.run(
            "mounted",
            SLEEP,
            volumes={"/etc/hostname": {"bind": "/given", "mode": "ro"}, f"{lab.project}-kept": {"bind": "/kept"}},
            tmpfs={"/scratch": "size=64k"},
            environment={"API_KEY": "hunter2hunter2", "EMPTY": ""},
        ),
        lambda: lab.finish("exited", python("raise SystemExit(3)")),
        killed,
        lambda: lab.starve("oom"),
        lambda: lab.run("paused", SLEEP).pause(),
        lambda: lab.create("created", SLEEP),
        unstartable,
        lambda: lab.run("unhealthy", SLEEP, healthcheck=checked("echo the queue is stuck; exit 1")),
        lambda: lab.run("healthy", SLEEP, healthcheck=checked("exit 0")),
        lambda: lab.run("loop", python("raise SystemExit(3)"), restart_policy={"Name": "always"}),
        lambda: lab.run("terminal", SLEEP, tty=True, log_config={"type": "local"}),
        lambda: lab.run(
            "published", SLEEP, network_mode="bridge", ports={"8000/tcp": ("127.0.0.1", None), "9/udp": None}
        ),
    ]
    each_at_once(lambda make: make(), makers)

    def settled() -> bool:
        state = {each.labels["com.docker.compose.service"]: each.attrs for each in lab.containers()}
        healths = [state[service]["State"]["Health"]["Status"] for service in ("healthy", "unhealthy")]
        return healths == ["healthy", "unhealthy"] and state["loop"]["RestartCount"] >= 2

    wait_until(settled, "health checks ran and the loop went round")
    tables, gaps = gathered(collect, lab.target, recent())
    assert gaps == []
    return tables


def row(seen: dict[str, Rows], service: str) -> dict[str, object]:
    (found,) = (row for row in seen["containers"] if row["service"] == service)
    return found


@pytest.mark.parametrize(
    ("service", "state", "exit_code", "oom_killed"),
    [
        ("running", "running", None, False),
        ("exited", "exited", 3, False),
        ("killed", "exited", 137, False),
        ("oom", "exited", 137, True),
        ("paused", "paused", None, False),
        ("created", "created", None, False),
        ("unstartable", "created", 127, False),
    ],
)
def test_each_state_is_told_apart(
    seen: dict[str, Rows], service: str, state: str, exit_code: int | None, *, oom_killed: bool
) -> None:
    found = row(seen, service)
    assert (found["state"], found["exit_code"], found["oom_killed"]) == (state, exit_code, oom_killed)


def test_a_container_that_never_ran_has_no_times_but_its_making(seen: dict[str, Rows]) -> None:
    for service in ("created", "unstartable"):
        found = row(seen, service)
        assert (found["started_at"], found["finished_at"]) == (None, None)
        assert found["created_at"] is not None
    assert "/no/such/program" in str(row(seen, "unstartable")["error"])
    assert row(seen, "created")["error"] is None


def test_times_are_aware_and_in_order(seen: dict[str, Rows]) -> None:
    found = row(seen, "killed")
    made, started, finished = (found[name] for name in ("created_at", "started_at", "finished_at"))
    assert made < started < finished  # type: ignore[operator]
    assert made.utcoffset() == timedelta()  # type: ignore[attr-defined]


def test_a_restart_loop_shows_its_count_and_the_last_exit_code(seen: dict[str, Rows]) -> None:
    found = row(seen, "loop")
    assert found["restart_count"] >= 2  # type: ignore[operator]
    assert found["restart_policy"] == "always"
    # between two runs it is restarting and keeps the code of the last; caught while it runs, it has none
    assert (found["state"], found["exit_code"]) in {("restarting", 3), ("running", None)}


def test_health_is_told_with_the_words_of_the_check(seen: dict[str, Rows]) -> None:
    unhealthy, healthy, unchecked = (row(seen, service) for service in ("unhealthy", "healthy", "running"))
    assert (unhealthy["health"], healthy["health"], unchecked["health"]) == ("unhealthy", "healthy", "none")
    assert unhealthy["health_failing_streak"] >= 1  # type: ignore[operator]
    assert (healthy["health_failing_streak"], unchecked["health_failing_streak"]) == (0, None)
    checks = [check for check in seen["container_health"] if check["service"] == "unhealthy"]
    assert {(check["exit_code"], check["output"]) for check in checks} == {(1, "the queue is stuck\n")}
    assert all(check["started_at"] < check["ended_at"] for check in checks)
    assert {check["service"] for check in seen["container_health"]} == {"unhealthy", "healthy"}


def test_settings_of_a_container(seen: dict[str, Rows], module_lab: Lab) -> None:
    running, terminal = row(seen, "running"), row(seen, "terminal")
    assert running["project"] == module_lab.project
    assert running["name"] == f"{module_lab.project}-running-1"
    assert running["image"] == module_lab.image
    # an image that no registry knows has no digest but its id
    assert running["image_digest"] == module_lab.client.images.get(module_lab.image).id
    assert (running["memory_limit_bytes"], terminal["memory_limit_bytes"]) == (LITTLE_BYTES, None)
    assert (running["restart_policy"], terminal["restart_policy"]) == ("on-failure:5", "no")
    assert (running["tty"], terminal["tty"]) == (False, True)
    assert (running["log_driver"], terminal["log_driver"]) == ("json-file", "local")


def test_limits_are_told_in_the_units_of_docker_run(seen: dict[str, Rows]) -> None:
    limits = {
        service: (row(seen, service)["cpu_limit_cores"], row(seen, service)["pids_limit"])
        for service in ("limited", "throttled", "running")
    }
    assert limits == {"limited": (0.25, 32), "throttled": (1.5, None), "running": (None, None)}


def test_mounts_are_told_with_what_they_are_and_whether_they_can_be_written(
    seen: dict[str, Rows], module_lab: Lab
) -> None:
    found = {
        (mount["type"], mount["source"], mount["destination"], mount["read_only"])
        for mount in seen["container_mounts"]
        if mount["service"] == "mounted"
    }
    assert found == {
        ("bind", "/etc/hostname", "/given", True),
        ("volume", f"{module_lab.project}-kept", "/kept", False),
        ("tmpfs", None, "/scratch", False),
    }
    assert {mount["service"] for mount in seen["container_mounts"]} == {"mounted"}


def test_of_the_environment_only_names_are_read(seen: dict[str, Rows]) -> None:
    names = {each["variable"] for each in seen["container_environment"] if each["service"] == "mounted"}
    assert {"API_KEY", "EMPTY", "PATH"} <= names
    assert "hunter2" not in repr(seen)


def test_ports_read_as_docker_ps_writes_them(seen: dict[str, Rows]) -> None:
    assert row(seen, "running")["ports"] is None
    assert re.fullmatch(
        r"127\.0\.0\.1:\d+->8000/tcp, 0\.0\.0\.0:\d+->9/udp(, \[::\]:\d+->9/udp)?", str(row(seen, "published")["ports"])
    )


def test_a_container_removed_after_the_listing_is_a_gap_and_the_others_stay(lab: Lab) -> None:
    lab.finish("staying", python("pass"))
    gone = lab.finish("gone", python("pass"))
    pieces = collect(lab.target, recent())
    first = next(pieces)
    gone.remove()
    assert [row["service"] for row in first.rows] == ["staying"]  # type: ignore[union-attr]
    _, gaps = taken(pieces)
    assert gaps == [f"container {gone.name} of service gone vanished while it was looked at"]


def test_a_container_the_engine_cannot_look_at_is_a_gap_and_the_others_stay(
    lab: Lab, faulty_engine: FaultyEngine
) -> None:
    lab.create("staying", SLEEP)
    stuck = lab.create("stuck", SLEEP)
    faulty_engine.hang(f"/containers/{stuck.id}/json")
    tables, gaps = taken(collect(faulty_engine.target(lab), recent(), Limits(deadline_s=1.0)))
    assert [row["service"] for row in tables["containers"]] == ["staying"]
    assert gaps == [f"container {stuck.name}: the Docker Engine did not answer in time"]


def test_compose_v1_names_and_labels_are_read_and_one_off_containers_left_out(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(f"""
version: "2.4"
services:
  web: {{image: "{lab.image}", command: [python3, -c, "import signal; signal.pause()"], network_mode: none}}
""")
    compose = [*compose_command(), "--project-name", lab.project]
    lab.shell([*compose, "up", "--detach"], tmp_path)
    try:
        lab.shell([*compose, "run", "--detach", "web", "python3", "-c", "raise SystemExit(9)"], tmp_path)
        tables, gaps = gathered(collect, lab.target, recent())
    finally:
        lab.shell([*compose, "down", "--timeout", "0", "--remove-orphans"], tmp_path)
    assert gaps == []
    (found,) = tables["containers"]
    assert (found["service"], found["project"], found["state"]) == ("web", lab.project, "running")
    assert found["name"] in {f"{lab.project}_web_1", f"{lab.project}-web-1"}


def test_a_project_that_is_not_there_is_unreachable_and_names_those_that_are(lab: Lab) -> None:
    lab.create("web", SLEEP)
    with pytest.raises(Unreachable, match="no container of project no-such-project") as caught:
        list(collect(DockerTarget(project="no-such-project"), recent()))
    assert "compose projects here: " in caught.value.hint


def test_a_service_without_container_is_a_gap(lab: Lab) -> None:
    lab.create("web", SLEEP)
    lab.create("other", SLEEP)
    target = DockerTarget(project=lab.project, services=("web", "worker"))
    tables, gaps = gathered(collect, target, recent())
    assert [row["service"] for row in tables["containers"]] == ["web"]
    assert gaps == ["service worker has no container"]
