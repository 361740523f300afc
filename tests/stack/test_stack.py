"""The stack under test does what the tests that use it believe."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import docker
import pytest
import redis

from irkit.settings import load
from tests.stack import play
from tests.stack.app.faults import FAULTS, Switch, switch
from tests.stack.engine import Images, v2_style_container, wait_until
from tests.stack.labelled import LABELLED
from tests.stack.stack import OUTSIDE_FAULTS, Stack, running_stack

CHAT = ("POST", "/api/chat", {"message": "hello"})


@pytest.fixture
def stack_redis(stack: Stack) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(stack.redis_url, decode_responses=True)) as client:
        yield client


def statuses(stack: Stack, timeout_s: float = 5.0) -> tuple[int, ...]:
    """What chat, dashboard and health answer now; 0 for none."""
    with ThreadPoolExecutor() as pool:
        replies = [
            pool.submit(stack.request, "POST", "/api/chat", {"message": "hello"}, timeout_s),
            pool.submit(stack.request, "GET", "/api/dashboard", None, timeout_s),
            pool.submit(stack.request, "GET", "/api/health", None, timeout_s),
        ]
    return tuple(reply.result().status for reply in replies)


def test_a_healthy_stack_answers_everything(stack: Stack) -> None:
    assert statuses(stack) == (200, 200, 200)
    health = stack.health().body
    assert health["status"] == "healthy"
    assert set(health["services"]) == {"redis", "database", "providers"}
    assert set(health["services"]["providers"]) == {"provider-alpha", "provider-beta"}


def test_chats_are_rows_of_a_wal_database_with_statistics(stack: Stack) -> None:
    with closing(sqlite3.connect(f"file:{stack.database_path}?mode=ro", uri=True)) as database:
        count = "SELECT count(*) FROM provider_calls"
        (before,) = database.execute(count).fetchone()
        stack.request(*CHAT)
        assert database.execute(count).fetchone() == (before + 1,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert dict(database.execute("SELECT tbl, stat FROM sqlite_stat1"))["messages"].startswith("2000 ")


def test_rate_limits_are_a_string_and_a_sorted_set_that_expire(stack: Stack, stack_redis: redis.Redis) -> None:
    stack.traffic(4)
    keys = {"ratelimit:provider:provider-alpha": "string", "ratelimit:provider:provider-beta": "zset"}
    assert {key: stack_redis.type(key) for key in stack_redis.scan_iter("ratelimit:provider:*")} == keys
    assert all(0 < stack_redis.ttl(key) <= 60 for key in keys)


def test_a_used_up_rate_limit_refuses_chats(stack: Stack, stack_redis: redis.Redis) -> None:
    key = "ratelimit:provider:provider-alpha"
    stack_redis.set(key, 600, ex=60)
    try:
        assert stack.request(*CHAT).status == 429
    finally:
        stack_redis.delete(key)
    assert stack.request(*CHAT).status == 200


def test_logs_read_like_uvicorn_and_an_application(stack: Stack) -> None:
    stack.request(*CHAT)
    wait_until(lambda: '"POST /api/chat HTTP/1.1" 200 OK' in stack.logs(), "the access line is logged")
    assert re.search(r'^INFO:     [\d.]+:\d+ - "POST /api/chat HTTP/1\.1" 200 OK$', stack.logs(), re.MULTILINE)
    line = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO jarvis-api request .*path=/api/chat status=200 duration_ms=\d"
    assert re.search(line, stack.logs(), re.MULTILINE)


def test_containers_carry_the_labels_of_compose_and_publish_on_loopback_only(stack: Stack) -> None:
    for service in ("jarvis-api", "provider-alpha", "provider-beta", "redis"):
        container = stack.container(service)
        assert container.labels["com.docker.compose.project"] == stack.project
        assert container.labels["com.docker.compose.service"] == service
        published = [each for binding in container.ports.values() for each in binding or []]
        assert {each["HostIp"] for each in published} <= {"127.0.0.1"}


def test_irkit_finds_the_stack_from_its_directory(stack: Stack) -> None:
    settings = load(stack.directory, {})
    assert settings.docker.project == stack.project
    assert settings.http.health_url == f"{stack.url}/api/health"
    assert settings.redis.url.reveal() == stack.redis_url
    assert Path(settings.sqlite.path) == stack.database_path


def test_a_container_can_be_made_as_compose_v2_would(images: Images, tmp_path: Path) -> None:
    with v2_style_container("shop", "web", images.python, ["sleep", "60"], tmp_path) as container:
        assert container.name == "shop-web-1"
        assert container.labels["com.docker.compose.project.config_files"] == str(tmp_path / "docker-compose.yml")
        assert container.labels["com.docker.compose.version"].startswith("2.")
    with closing(docker.from_env()) as client:
        assert client.containers.list(all=True, filters={"name": "shop-web-1"}) == []


@dataclass(frozen=True)
class Effect:
    """What a client sees (statuses of chat, dashboard and health, 0 for no answer) and what else comes to be true."""

    statuses: tuple[int, int, int]
    proof: Callable[[Stack], bool] = lambda _stack: True


def api_state(stack: Stack) -> dict[str, Any]:
    return dict(stack.container("jarvis-api").attrs["State"])


def used_bytes(stack: Stack) -> int:
    stats = cast("dict[str, Any]", stack.container("jarvis-api").stats(stream=False))
    return int(stats["memory_stats"]["usage"])


def integrity(stack: Stack) -> str:
    with closing(sqlite3.connect(f"file:{stack.database_path}?mode=ro", uri=True)) as database:
        try:
            return str(database.execute("PRAGMA integrity_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)


EFFECTS = {
    "api-killed": Effect((0, 0, 0), lambda stack: stack.exit_code() == 137 and not api_state(stack)["OOMKilled"]),
    "api-crashes": Effect(
        (0, 0, 0),
        lambda stack: (
            stack.exit_code() == 1
            and "CRITICAL jarvis-api cannot continue" in stack.logs()
            and "PoolExhaustedError: database connection pool exhausted: 5 of 5" in stack.logs()
        ),
    ),
    "api-hangs": Effect((0, 0, 0), lambda stack: api_state(stack)["Health"]["Status"] == "unhealthy"),
    "api-answers-500": Effect((500, 500, 500), lambda stack: "KeyError: 'session_secret'" in stack.logs()),
    "api-paused": Effect((0, 0, 0), lambda stack: bool(api_state(stack)["Paused"])),
    "pool-exhausted": Effect((500, 500, 503), lambda stack: "PoolExhaustedError" in stack.logs()),
    "slow-responses": Effect(
        (200, 200, 200),
        lambda stack: re.search(r"path=/api/chat status=200 duration_ms=2[2-9]\d\d", stack.logs()) is not None,
    ),
    "provider-down": Effect((502, 200, 503), lambda stack: "provider=provider-alpha status=503" in stack.logs()),
    "provider-429": Effect((429, 200, 503), lambda stack: "provider=provider-alpha status=429" in stack.logs()),
    "memory-grows": Effect((200, 200, 200), lambda stack: used_bytes(stack) > 100 * 1024**2),
    "memory-exhausted": Effect((0, 0, 0), lambda stack: stack.exit_code() == 137 and api_state(stack)["OOMKilled"]),
    "database-locked": Effect((500, 200, 200), lambda stack: "database is locked" in stack.logs()),
    "database-corrupted": Effect((500, 500, 503), lambda stack: "malformed" in integrity(stack)),
    "redis-down": Effect((500, 200, 503), lambda stack: stack.exit_code("redis") == 137),
    "redis-hangs": Effect((500, 200, 503), lambda stack: "TimeoutError" in stack.logs()),
}


def test_every_fault_says_what_it_does_and_has_its_effect_checked() -> None:
    """Below, or by the witnesses of its recording (`witness.py`), who see it over half a minute."""
    recorded = {switch(text).fault.name for label in LABELLED.values() for text in label.switches}
    assert set(EFFECTS) | recorded == set(FAULTS) | set(OUTSIDE_FAULTS)
    assert all(fault.effect for fault in FAULTS.values())


def test_a_switch_says_how_much_of_a_fault_and_where() -> None:
    assert switch("provider-slow=2.5@provider-beta") == Switch(
        "provider-slow=2.5@provider-beta", FAULTS["provider-slow"], 2.5, "provider-beta"
    )
    assert switch("api-hangs").amount is None
    with pytest.raises(KeyError):
        switch("api-sulks")


def test_a_fault_is_switched_on_where_it_is_wanted_and_only_there(stack: Stack) -> None:
    with stack.broken("provider-down@provider-beta"):
        by_beta = {"message": "hello", "provider": "provider-beta"}
        assert stack.request(*CHAT).status == 200
        assert stack.request("POST", "/api/chat", by_beta).status == 502


@pytest.mark.parametrize("name", EFFECTS)
def test_a_fault_has_its_effect_and_is_repaired(stack: Stack, name: str) -> None:
    effect = EFFECTS[name]
    with stack.broken(name):
        # long enough for a slow answer, and for the pool and Redis to time out
        assert statuses(stack, timeout_s=3.0) == effect.statuses
        wait_until(lambda: effect.proof(stack), f"the proof of {name}")
    assert statuses(stack) == (200, 200, 200)
    assert integrity(stack) == "ok"


def test_a_restart_policy_makes_a_crash_loop_beside_the_other_stack(
    stack: Stack, images: Images, tmp_path: Path
) -> None:
    with running_stack(tmp_path, images, restart="on-failure") as looping:
        assert looping.project != stack.project
        looping.break_with("api-crashes")
        wait_until(lambda: looping.container("jarvis-api").attrs["RestartCount"] > 1, "it crashed again")
        assert stack.health().status == 200
        looping.repair()
        assert looping.health().status == 200


def test_the_played_incident_ends_in_a_crash_after_a_spike_of_500s(images: Images, tmp_path: Path) -> None:
    with play.api_unresponsive(tmp_path, images, minutes=0.1) as broken:
        assert broken.stack.exit_code() == 1
        assert " 200 OK" in broken.stack.logs()
        assert " 500 Internal Server Error" in broken.stack.logs()
        assert list(broken.times.values()) == sorted(broken.times.values())
