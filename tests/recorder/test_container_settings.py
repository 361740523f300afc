"""What a new container differs in from the one before it is named, and no value of a setting leaves the recorder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from irkit.model import utc_now
from irkit.recorder.container_samples import ContainerSampler
from irkit.recorder.container_settings import differences, settings_of, told
from irkit.settings import DockerTarget
from tests.collectors.lab import SLEEP, Lab
from tests.stack.stack import compose_command

VALUE = "postgres://app:correct-horse@db/shop"


def inspected(env: list[str], *, mounts: list[dict[str, object]] | None = None, **host: object) -> dict[str, Any]:
    return {
        "Image": "sha256:a",
        "Config": {"Env": env, "Cmd": ["serve"], "Hostname": "c0ffee"},
        "HostConfig": host,
        "Mounts": mounts or [],
    }


def differs(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    return told(differences(settings_of(before), settings_of(after)))


def test_what_is_new_gone_and_otherwise_is_told_apart() -> None:
    before = inspected(["A=1", "B=", "C=3"], mounts=[{"Type": "bind", "Source": "/a", "Destination": "/data"}])
    after = inspected(["A=2", "B=", "D="], Memory=64 << 20) | {"Image": "sha256:b"}
    assert differs(before, after) == (
        "its image",
        "its memory limit (new)",
        "the variable A",
        "the variable D (new)",
        "the variable C (gone)",
        "the mount at /data (gone)",
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (inspected(["A=1", "B=2"]), inspected(["B=2", "A=1"])),
        (inspected([]), inspected([]) | {"Config": {"Cmd": ["serve"], "Hostname": "decade"}}),
        (inspected([], Memory=0, PortBindings={}), inspected([], PortBindings=None)),
        (
            inspected([], mounts=[{"Type": "volume", "Name": "0a", "Source": "/var/0a", "Destination": "/d"}]),
            inspected([], mounts=[{"Type": "volume", "Name": "1b", "Source": "/var/1b", "Destination": "/d"}]),
        ),
    ],
)
def test_what_nobody_set_otherwise_is_no_difference(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert differs(before, after) == ()


def test_of_many_a_dozen_is_named_and_the_rest_counted() -> None:
    found = differs(inspected([]), inspected([f"V{n}=x" for n in range(40)]))
    assert len(found) == 12
    assert found[-1] == "29 settings more"


def test_a_name_that_holds_the_separator_stays_one() -> None:
    assert differs(inspected([]), inspected(["A; B=1"])) == ("the variable A, B (new)",)


def test_a_container_made_anew_by_compose_is_held_against_the_one_before(lab: Lab, tmp_path: Path) -> None:
    sampler = ContainerSampler(DockerTarget(project=lab.project), utc_now)

    def up(**environment: str) -> list[object]:
        service = {"image": lab.image, "command": SLEEP, "network_mode": "none", "stop_grace_period": "0s"}
        file = {"version": "2.4", "services": {"api": service | {"environment": environment}}}
        (tmp_path / "docker-compose.yml").write_text(json.dumps(file))
        lab.shell([*compose_command(), "-p", lab.project, "up", "--detach"], tmp_path)
        return [row.get("differs_in") for row in sampler.look().rows]

    try:
        assert up(MODEL="small", URL=VALUE) == [None]
        assert up(MODEL="small", URL=VALUE) == [None]
        assert up(MODEL="large", URL=f"{VALUE}2") == ["the variable MODEL; the variable URL"]
        assert up(MODEL="large", URL=f"{VALUE}2") == ["the variable MODEL; the variable URL"]
        assert up(MODEL="large") == ["the variable URL (gone)"]
        assert "correct-horse" not in repr(vars(sampler))
    finally:
        lab.shell([*compose_command(), "-p", lab.project, "down", "--timeout", "0"], tmp_path)
