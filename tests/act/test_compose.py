"""The order in which services stop, and whether one may run in several containers, from what compose and labels say."""

from collections.abc import Mapping
from typing import Any

import pytest

from irkit.act import compose
from irkit.act.compose import Member
from irkit.docker.containers import ListedContainer


def member(service: str, labels: Mapping[str, str] | None = None, **details: Any) -> Member:  # noqa: ANN401
    listed = ListedContainer(f"id-{service}", f"shop_{service}_1", service, "shop", "running")
    named = {f"com.docker.compose.{name}": value for name, value in (labels or {}).items()}
    return Member(listed, {"Config": {"Labels": named}, **details})


def services(found: list[Member]) -> list[str]:
    return [one.service for one in found]


def test_who_depends_on_others_stops_first() -> None:
    found = [member("api"), member("db"), member("redis"), member("web")]
    configured = {"services": {"web": {"depends_on": ["api"]}, "api": {"depends_on": {"db": {}, "redis": {}}}}}
    assert services(compose.stop_order(found, configured)) == ["web", "api", "db", "redis"]


def test_the_labels_of_the_plug_in_say_the_same() -> None:
    found = [member("db"), member("api", {"depends_on": "db:service_started:false,redis:service_healthy:true"})]
    assert services(compose.stop_order(found, {})) == ["api", "db"]


def test_those_that_wait_for_each_other_stop_all_the_same() -> None:
    configured = {"services": {"a": {"depends_on": ["b"]}, "b": {"depends_on": ["a"]}}}
    assert services(compose.stop_order([member("b"), member("a")], configured)) == ["a", "b"]


@pytest.mark.parametrize(
    ("ports", "several"),
    [
        (["8000:8000"], False),
        (["8000-8002:8000"], True),
        (["127.0.0.1:8000-8002:8000"], True),
        ([{"published": "8000-8010", "target": 8000}], True),
        ([{"published": 8000, "target": 8000}], False),
        ([], False),
    ],
)
def test_a_range_of_ports_is_told_from_a_fixed_one(ports: list[object], *, several: bool) -> None:
    assert compose.publishes_a_range({"services": {"api": {"ports": ports}}}, "api") is several


def test_a_container_says_how_it_is() -> None:
    exited = member("api", State={"Status": "exited", "ExitCode": 1, "Running": False})
    assert (exited.state, exited.running, exited.is_over) == ("exited, code 1", False, True)
    looping = member("api", State={"Status": "restarting"}, HostConfig={"RestartPolicy": {"Name": "always"}})
    assert not looping.is_over
    well = member("api", State={"Status": "running", "Running": True, "Health": {"Status": "healthy"}})
    assert well.state == "running, healthy"
    ports = {"8000/tcp": [{"HostIp": "", "HostPort": "8000"}], "9/tcp": None, "1/tcp": [{"HostPort": ""}]}
    assert member("api", HostConfig={"PortBindings": ports}).fixed_ports == ("8000",)
