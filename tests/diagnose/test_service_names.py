"""What a runbook's service is called here, and which containers do not run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from irkit.diagnose.service_names import PLACEHOLDER, hindrance, idle_of, meant, placeholder_hint, unwell
from irkit.model import Finding, Verdict, VerdictState
from tests.symptoms.evidence import InMemory

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEALTH = "http://localhost:9321/healthz"
TILL = {"service": "till", "name": "shop_till_1", "state": "running", "ports": "127.0.0.1:9321->8080/tcp"}
KV = {"service": "kv", "name": "shop_kv_1", "state": "running", "ports": "127.0.0.1:7380->6379/tcp"}
GONE = {**KV, "state": "exited", "exit_code": 0, "finished_at": "2026-11-24T03:04:03Z", "oom_killed": False}
KILLED = {**TILL, "state": "restarting", "exit_code": 137, "finished_at": "2026-11-24T03:05:00Z", "oom_killed": True}


def seen(*containers: dict[str, object]) -> InMemory:
    return InMemory({"containers": list(containers)})


def test_what_is_paused_is_told_with_the_way_on_and_is_not_to_be_restarted() -> None:
    paused = {**KV, "state": "paused", "finished_at": None}
    (one,) = idle_of(seen(TILL, paused))
    assert one.sentence == "kv is paused, and answers nobody until `docker unpause shop_kv_1`"
    found = meant("jarvis-api", HEALTH, seen(TILL, paused))
    assert found is not None
    assert found.in_command("irkit act 2 restart jarvis-api") == "irkit act 2 restart till"


def test_the_service_is_the_one_that_publishes_the_health_port() -> None:
    found = meant("jarvis-api", HEALTH, seen(TILL, KV))
    assert found is not None
    assert found.in_command("docker-compose logs --tail=100 jarvis-api") == "docker-compose logs --tail=100 till"
    assert found.in_command("irkit act 2 restart jarvis-api") == "irkit act 2 restart till"
    assert found.in_command("docker-compose up -d --scale jarvis-api=3") == "docker-compose up -d --scale till=3"
    assert found.in_command("docker logs jarvis-api-2") == "docker logs jarvis-api-2"


def test_what_does_not_run_is_what_is_restarted() -> None:
    found = meant("jarvis-api", HEALTH, seen(TILL, GONE))
    assert found is not None
    assert found.in_command("irkit act 2 restart jarvis-api") == "irkit act 2 restart kv"
    assert found.in_command("irkit act 2 scale jarvis-api 3") == "irkit act 2 scale till 3"


@pytest.mark.parametrize("url", ["http://localhost:1/", "", "http://[::1", "http://localhost:99999999/"])
def test_where_nothing_tells_a_placeholder_stands_with_the_list(url: str) -> None:
    found = meant("jarvis-api", url, seen(TILL, KV))
    assert found is not None
    command = found.in_command("irkit act 2 restart jarvis-api")
    assert command == f"irkit act 2 restart {PLACEHOLDER}"
    assert placeholder_hint(found, (command,)) == (
        "SERVICE stands for the one you mean of kv and till; jarvis-api is none of them."
    )
    five = replace(found, known=("a", "b", "c", "d", "e"))
    assert "of a, b, c, d and e;" in placeholder_hint(five, (command,))
    assert placeholder_hint(found, ("irkit act 2 check-database",)) == ""


@pytest.mark.parametrize(
    ("named", "containers"), [("till", [TILL, KV]), ("shop_till_1", [TILL]), ("", [TILL]), ("jarvis-api", [])]
)
def test_a_service_that_was_seen_keeps_its_name(named: str, containers: list[dict[str, object]]) -> None:
    assert meant(named, HEALTH, seen(*containers)) is None


def test_without_a_look_at_containers_nothing_is_said() -> None:
    assert meant("jarvis-api", HEALTH, InMemory({})) is None
    assert idle_of(InMemory({})) == ()


def test_what_does_not_run_is_said_with_since_when_and_how_it_ended() -> None:
    assert [one.sentence for one in idle_of(seen(TILL, GONE))] == [
        "kv is not running: exited since 2026-11-24 03:04:03 UTC, with exit code 0"
    ]
    (killed,) = idle_of(seen(KILLED, KV))
    assert killed.sentence == (
        "till is not running: restarting since 2026-11-24 03:05:00 UTC, with exit code 137, killed for want of memory"
    )
    assert [one.name for one in idle_of(seen(GONE, KILLED))] == ["till", "kv"]


def test_what_was_done_before_the_window_is_not_missed() -> None:
    migration = {**GONE, "service": "migrate", "finished_at": "2026-11-20T00:00:00Z"}
    assert idle_of(seen(migration)) == ()
    assert [one.name for one in idle_of(seen({**migration, "exit_code": 1}))] == ["migrate"]


def of(slug: str, numbers: dict[str, object], *, over: bool = False) -> Finding:
    verdict = Verdict(VerdictState.FOUND, "", numbers=numbers, until=NOON if over else None)
    return Finding("some-symptom", (slug,), "Some symptom", verdict, ())


def test_the_unwell_service_is_the_one_that_a_type_s_symptoms_are_of() -> None:
    leak, slow = of("memory-leak", {"name": "shop_kv_1"}), of("high-latency", {"service": "till"})
    assert unwell("memory-leak", [leak, slow], seen(TILL, KV)) == "kv"
    assert unwell("high-latency", [leak, slow], seen(TILL, KV)) == "till"
    assert unwell("database-corruption", [leak, slow], seen(TILL, KV)) == ""


def test_of_several_the_one_that_does_not_run_is_unwell() -> None:
    behind = of("api-unresponsive", {"name": "shop_till_1", "service": "till", "also_down": ["shop_kv_1"]})
    assert unwell("api-unresponsive", [behind], seen(TILL, GONE)) == "kv"
    errors = of("api-unresponsive", {"service": "kv"})
    assert unwell("api-unresponsive", [errors, of("api-unresponsive", {"service": "till"})], seen(TILL, KV)) == ""


def test_a_service_that_passes_on_what_fails_behind_it_is_not_the_one_that_is_unwell() -> None:
    failing = of("api-unresponsive", {"service": "kv", "passed_on_by": ["till"]})
    unhealthy = of("api-unresponsive", {"name": "shop_till_1"})
    assert unwell("api-unresponsive", [unhealthy, failing], seen(TILL, KV)) == "kv"
    assert unwell("api-unresponsive", [unhealthy], seen(TILL, KV)) == "till"
    crashed = of("api-unresponsive", {"name": "shop_kv_1"})
    assert unwell("api-unresponsive", [crashed, failing], seen(TILL, GONE)) == "kv"


def test_of_several_that_run_the_one_that_the_kernel_killed_is_unwell() -> None:
    killed = of("memory-leak", {"name": "shop_till_1", "oom_killed": True})
    assert unwell("memory-leak", [of("memory-leak", {"name": "shop_kv_1"}), killed], seen(TILL, KV)) == "till"


def test_what_is_over_or_was_never_seen_as_a_container_is_not_unwell() -> None:
    leak = {"name": "shop_kv_1"}
    assert unwell("memory-leak", [of("memory-leak", leak, over=True)], seen(TILL, KV)) == ""
    assert unwell("memory-leak", [of("memory-leak", {"service": "worker.log"})], seen(TILL, KV)) == ""
    assert unwell("memory-leak", [of("memory-leak", leak)], InMemory({})) == ""


RANGE = {**TILL, "name": "shop_till_2", "ports": "127.0.0.1:9322->8080/tcp"}


@pytest.mark.parametrize("command", ["irkit act 2 scale till 3", "docker-compose up -d --scale till=3"])
def test_what_publishes_a_port_is_not_to_be_scaled_without_the_reason_and_the_way_out(command: str) -> None:
    said = hindrance(command, seen(TILL, KV))
    assert said.startswith("till publishes port 9321 of this host, which only one container can have; where it has")
    assert 'publish a range in the compose file ("9321-9323:…")' in said


@pytest.mark.parametrize(
    ("command", "containers"),
    [
        ("irkit act 2 scale till 3", [{**TILL, "ports": "8080/tcp"}]),
        ("irkit act 2 scale till 3", [{**TILL, "ports": None}]),
        ("irkit act 2 scale till 3", [TILL, RANGE]),
        ("irkit act 2 scale till 1", [TILL]),
        ("irkit act 2 scale SERVICE 3", [TILL]),
        ("irkit act 2 restart till", [TILL]),
        ("docker-compose up -d --scale worker=3", [TILL]),
        ("irkit act 2 scale till 3", []),
    ],
)
def test_nothing_is_said_against_a_command_that_can_be_done(command: str, containers: list[dict[str, object]]) -> None:
    """No port, a range in use, one container, another service, another command, and nothing seen."""
    assert hindrance(command, seen(*containers)) == ""


def test_nothing_looks_into_the_memory_of_a_container_that_does_not_run() -> None:
    command = "irkit memory snapshot --container kv --incident 2"
    assert hindrance(command, seen(TILL, GONE)).startswith("kv does not run, and has no memory to look into")
    assert hindrance(command, seen(TILL, KV)) == ""
    assert hindrance(command.replace("kv", "till"), seen(TILL, GONE)) == ""
