"""Before a Redis is ended it is said what becomes of its keys, by what a real one says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.act.compose import Member
from irkit.act.redis_keeps import lost_with
from irkit.docker.containers import ListedContainer
from irkit.settings.sections import RedisTarget, Secret
from tests.stack.engine import wait_until
from tests.support.redis_servers import RedisServer, redis_server

Row = dict[str, object]


def member(service: str, port: int | None = None, *, running: bool = True) -> Member:
    listed = ListedContainer("9f2c", f"jarvis-{service}-1", service, "jarvis", "running")
    bindings = {"6379/tcp": [{"HostPort": str(port)}]} if port else {}
    return Member(listed, {"State": {"Running": running}, "HostConfig": {"PortBindings": bindings}})


@contextmanager
def with_keys(folder: Path, *options: str) -> Iterator[RedisServer]:
    with redis_server(folder / "redis", *options) as server:
        server.client.mset({"session:1": "x", "session:2": "y"})
        yield server


def said(server: RedisServer, user: str = "") -> tuple[str, ...]:
    return lost_with([member("api"), member("redis", server.port)], server.target(user))


def test_keys_that_are_in_memory_alone_are_said_to_be_lost(tmp_path: Path) -> None:
    with with_keys(tmp_path) as server:
        [told] = said(server)
    assert told == (
        "Redis holds 2 keys in memory alone, with neither snapshots nor an append-only file: ALL OF THEM ARE LOST"
    )


def test_one_in_the_network_of_the_host_is_known_by_its_port(tmp_path: Path) -> None:
    def on_the_host(port: int) -> Member:
        details = {
            "State": {"Running": True},
            "HostConfig": {"NetworkMode": "host", "PortBindings": {}},
            "Config": {"Image": "base", "Cmd": ["redis-server", "--save", "", "--port", str(port)]},
        }
        return Member(ListedContainer("9f2c", "jarvis-cache-1", "cache", "jarvis", "running"), details)

    with with_keys(tmp_path) as server:
        [told] = lost_with([on_the_host(server.port)], server.target())
        [other] = lost_with([on_the_host(server.port + 1)], server.target())
    assert "2 keys in memory alone" in told
    assert "jarvis-cache-1 runs Redis: whether its keys are on disk is not known" in other


@pytest.mark.parametrize("options", [("--save", "3600 1"), ("--appendonly", "yes")], ids=["snapshots", "every write"])
def test_of_keys_that_are_written_as_it_ends_nothing_is_said(options: tuple[str, ...], tmp_path: Path) -> None:
    with with_keys(tmp_path, *options) as server:
        assert said(server) == ()


def test_one_without_keys_loses_none(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        assert said(server) == ()


def test_a_snapshot_that_fails_is_said(tmp_path: Path) -> None:
    with with_keys(tmp_path, "--save", "3600 1") as server:
        (tmp_path / "redis" / "dump.rdb").mkdir()  # what it writes cannot take this place
        server.client.bgsave()
        wait_until(lambda: not server.client.info("persistence")["rdb_bgsave_in_progress"], "the snapshot has failed")
        [told] = said(server)
    assert "could not write its last snapshot" in told


def test_what_may_not_be_asked_is_not_known(tmp_path: Path) -> None:
    with with_keys(tmp_path) as server:
        server.client.acl_setuser(
            "reader", enabled=True, passwords=["+x"], keys="*", commands=["+@read", "+info", "+ping"]
        )
        [told] = said(server, "reader:x@")
        assert "whether it writes them to disk is not known, since CONFIG is not permitted" in told
        [refused] = said(server, "reader:wrong@")
        assert refused.startswith("whether Redis' keys are on disk is not known: Redis at ")


def test_what_is_not_the_redis_of_the_settings_is_not_asked(tmp_path: Path) -> None:
    with with_keys(tmp_path) as server:
        target = server.target()
        assert lost_with([member("api", server.port + 1)], target) == ()
        assert lost_with([member("redis", server.port, running=False)], target) == ()
        assert lost_with([member("redis", server.port)], RedisTarget()) == ()


@pytest.mark.parametrize(
    "configuration",
    [
        {"Cmd": ["redis-server", "--save", ""], "Image": "base:1"},
        {"Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["redis-server"], "Image": "redis:7-alpine"},
        {"Cmd": ["sh", "-c", "exec /usr/bin/redis-server /etc/redis.conf"], "Image": "sha256:1"},
        {"Cmd": ["start"], "Image": "registry.internal/cache/valkey@sha256:1"},
    ],
)
def test_of_a_redis_that_the_settings_do_not_name_it_is_said_that_nothing_is_known(configuration: Row) -> None:
    one = Member(member("cache").listed, {"State": {"Running": True}, "Config": configuration})
    for target in (RedisTarget(), RedisTarget(Secret("redis://127.0.0.1:9/0"))):
        [told] = lost_with([one], target)
        assert told.startswith("jarvis-cache-1 runs Redis: whether its keys are on disk is not known, as [redis] url")
    api = {"Cmd": ["python3", "-m", "app", "--redis", "redis://redis:6379"], "Image": "redis-exporter:1"}
    assert lost_with([Member(member("api").listed, {"State": {"Running": True}, "Config": api})], RedisTarget()) == ()


def test_it_is_known_by_its_name_where_irkit_is_beside_it() -> None:
    nobody = RedisTarget(Secret("redis://redis.invalid:6379/0"), timeout_s=0.5)
    assert lost_with([member("redis")], nobody) == ()
    [told] = lost_with([member("redis.invalid")], nobody)
    assert told.startswith("whether Redis' keys are on disk is not known")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache:7380/2", ("cache", 7380)),
        ("rediss://ana:x@cache/0", ("cache", 6379)),
        ("redis://:6380", ("localhost", 6380)),
        ("redis://", ("localhost", 6379)),
        ("unix:///run/redis.sock?db=2", None),
        ("http://cache:1", None),
        ("", None),
    ],
)
def test_host_and_port_are_read_from_the_url_in_one_place(url: str, address: tuple[str, int] | None) -> None:
    assert RedisTarget(Secret(url)).address == address


def test_a_url_without_a_host_names_the_redis_of_this_machine(tmp_path: Path) -> None:
    with with_keys(tmp_path) as server:
        [told] = lost_with([member("cache", server.port)], RedisTarget(Secret(f"redis://:{server.port}")))
    assert "ALL OF THEM ARE LOST" in told
    assert lost_with([member("cache", 6379)], RedisTarget()) == ()
    assert lost_with([member("cache", 6379)], RedisTarget(Secret("redis://cache:x"))) == ()
