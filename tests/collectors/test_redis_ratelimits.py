from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from irkit.collect.contract import Gap, Limits, Refused, Table, Unreachable
from irkit.collectors import redis_ratelimits
from irkit.collectors.redis_ratelimits import provider_of
from irkit.settings import RedisTarget, Secret
from tests.collectors.materialise import WINDOW, Materialised, materialise
from tests.support.http_servers import free_port
from tests.support.redis_servers import RedisServer, redis_server

PREFIX = "ratelimit:provider:"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "yes") as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.client.flushall()
    return running


def look(target: RedisTarget) -> Materialised:
    return materialise(redis_ratelimits.collect, target)


def rows_of(made: Materialised) -> dict[str, dict[str, Any]]:
    assert made.raised is None
    return {row["provider"]: row for row in made.tables["rate_limits"]}


def test_every_type_is_measured_and_summed_up(server: RedisServer) -> None:
    client = server.client
    client.set(f"{PREFIX}string", "42", ex=60)
    client.hset(f"{PREFIX}hash", mapping={"limit": 600, "remaining": 0})
    client.zadd(f"{PREFIX}window", {"first": 100.5, "middle": 200, "last": 300})
    client.rpush(f"{PREFIX}list", "a", "b")
    client.sadd(f"{PREFIX}set", "only")
    client.xadd(f"{PREFIX}stream", {"a": "b"}, id="5-1")
    made = look(server.target())
    rows = rows_of(made)
    assert made.gaps == []
    assert {name: (row["type"], row["length"]) for name, row in rows.items()} == {
        "string": ("string", 2),
        "hash": ("hash", 2),
        "window": ("zset", 3),
        "list": ("list", 2),
        "set": ("set", 1),
        "stream": ("stream", 1),
    }
    assert rows["string"]["value"] == "42"
    assert json.loads(rows["hash"]["value"]) == {"limit": "600", "remaining": "0"}
    assert json.loads(rows["window"]["value"]) == {
        "lowest": {"member": "first", "score": 100.5},
        "highest": {"member": "last", "score": 300.0},
    }
    assert json.loads(rows["list"]["value"]) == ["a", "b"]
    assert json.loads(rows["set"]["value"]) == ["only"]
    assert json.loads(rows["stream"]["value"]) == ["5-1"]


def test_an_expiry_is_told_as_what_is_left_and_as_a_time(server: RedisServer) -> None:
    before = datetime.now(UTC)
    server.client.set(f"{PREFIX}limited", "1", ex=3600)
    server.client.set(f"{PREFIX}forever", "1")
    rows = rows_of(look(server.target()))
    after = datetime.now(UTC)
    assert 0 < rows["limited"]["ttl_s"] <= 3600
    # Redis and we read the same clock, but not in the same moment
    assert before + timedelta(seconds=3599) < rows["limited"]["reset_at"] < after + timedelta(seconds=3601)
    assert (rows["forever"]["ttl_s"], rows["forever"]["reset_at"]) == (None, None)


def test_only_what_fits_the_pattern_is_read(server: RedisServer) -> None:
    server.client.set(f"{PREFIX}openai", "1")
    server.client.set("session:1", "secret")
    server.client.set("ratelimit:user:1", "1")
    assert list(rows_of(look(server.target()))) == ["openai"]


def test_no_keys_is_an_empty_table_and_no_gap(server: RedisServer) -> None:
    made = look(server.target())
    assert made.tables["rate_limits"] == []
    assert (made.raised, made.gaps) == (None, [])


def test_huge_values_are_measured_but_not_fetched(server: RedisServer) -> None:
    client = server.client
    client.set(f"{PREFIX}string", b"x" * 20_000_000)
    client.hset(f"{PREFIX}hash", mapping={"small": "1", "huge": b"x" * 20_000_000})
    client.rpush(f"{PREFIX}list", *[b"x" * 1_000_000] * 30)
    client.execute_command("CONFIG", "RESETSTAT")
    rows = rows_of(look(server.target()))
    assert client.info("stats")["total_net_output_bytes"] < 100_000
    assert rows["string"]["value"] == "x" * 200 + "… (20000000 bytes)"
    assert rows["hash"]["length"] == 2
    assert rows["hash"]["value"] == rows["list"]["value"] == "(not read: large, or its size is not told)"


def test_a_long_sliding_window_is_read_at_its_ends(server: RedisServer) -> None:
    server.client.zadd(f"{PREFIX}window", {f"call {n}": n for n in range(50_000)})
    [row] = look(server.target()).tables["rate_limits"]
    assert row["length"] == 50_000
    assert json.loads(row["value"])["highest"] == {"member": "call 49999", "score": 49999.0}


def test_bytes_that_are_no_text_are_kept(server: RedisServer) -> None:
    server.client.set(PREFIX.encode() + b"\xff\x00", b"\xfe\x1b[31m")
    [row] = look(server.target()).tables["rate_limits"]
    assert (row["provider"], row["value"]) == ("\udcff\x00", "\udcfe\x1b[31m")


def test_few_keys_are_found_among_a_hundred_thousand(server: RedisServer) -> None:
    server.client.execute_command("DEBUG", "POPULATE", "100000")
    for number in range(5):
        server.client.set(f"{PREFIX}p{number}", number)
    made = look(server.target())
    assert sorted(rows_of(made)) == ["p0", "p1", "p2", "p3", "p4"]
    assert made.gaps == []


def test_more_keys_than_the_budget_are_cut_and_said(server: RedisServer) -> None:
    server.client.execute_command("DEBUG", "POPULATE", "5000", PREFIX.rstrip(":"))
    made = look(server.target())
    keys = [row["key"] for row in made.tables["rate_limits"]]
    assert len(keys) == len(set(keys)) == redis_ratelimits.MAX_KEYS
    assert made.gaps == ["only the first 2000 keys like ratelimit:provider:* were read"]


def test_a_search_out_of_time_yields_what_it_has(server: RedisServer) -> None:
    server.client.execute_command("DEBUG", "POPULATE", "100000")
    hasty = partial(redis_ratelimits.collect, limits=Limits(deadline_s=0.0))
    made = materialise(hasty, server.target())
    assert "rate_limits" in made.tables
    assert made.gaps == ["the search for ratelimit:provider:* was not finished within 0 s"]


def test_a_server_that_dies_in_the_search_leaves_what_was_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("dying")
    with redis_server(folder, "--enable-debug-command", "yes") as server:
        server.client.execute_command("DEBUG", "POPULATE", "1500", PREFIX.rstrip(":"))
        pieces = redis_ratelimits.collect(server.target(), WINDOW)
        table = next(pieces)
        assert isinstance(table, Table)
        rows = iter(table.rows)
        kept = [next(rows)]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        kept += list(rows)
        gaps = list(pieces)
    assert 1 <= len(kept) < 1500
    [gap] = gaps
    assert isinstance(gap, Gap)
    assert gap.reason.startswith("the search for ratelimit:provider:* broke off: ")


def test_only_commands_that_read_are_sent(server: RedisServer) -> None:
    server.client.set(f"{PREFIX}a", "1", ex=100)
    server.client.hset(f"{PREFIX}b", "x", "1")
    server.client.execute_command("CONFIG", "RESETSTAT")
    look(server.target())
    sent = {name.removeprefix("cmdstat_") for name in server.client.info("commandstats")}
    readers = {"scan", "type", "pttl", "strlen", "getrange", "hlen", "hscan", "memory|usage"}
    assert sent - {"config|resetstat", "info"} == readers


def test_the_account_of_the_hint_is_enough(server: RedisServer) -> None:
    server.client.execute_command("ACL", "SETUSER", "irkit", "on", "nopass", "~ratelimit:*", "+@read", "+info", "+ping")
    server.client.zadd(f"{PREFIX}window", {"a": 1})
    made = look(server.target("irkit:x@"))
    assert (made.raised, made.gaps) == (None, [])
    assert made.tables["rate_limits"][0]["value"]


def test_without_scan_it_is_refused(server: RedisServer) -> None:
    server.client.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@read", "-scan")
    made = look(server.target("poor:x@"))
    assert isinstance(made.raised, Refused)
    assert made.tables == {}


def test_keys_that_may_not_be_read_are_rows_with_a_gap(server: RedisServer) -> None:
    server.client.execute_command("ACL", "SETUSER", "half", "on", "nopass", f"~{PREFIX}open*", "+@read")
    server.client.set(f"{PREFIX}open", "1")
    server.client.set(f"{PREFIX}closed", "1")
    made = look(server.target("half:x@"))
    rows = rows_of(made)
    assert rows["open"]["value"] == "1"
    assert (rows["closed"]["type"], rows["closed"]["value"]) == (None, None)
    assert "some keys could not be read" in made.gaps[0]


def test_a_cluster_node_is_read_and_said_to_be_one_of_several(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_server(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes") as server:
        server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        until = time.monotonic() + 20
        while server.client.cluster("INFO")["cluster_state"] != "ok":
            assert time.monotonic() < until, "the cluster did not come up"
        server.client.set(f"{PREFIX}openai", "1")
        made = look(server.target())
    assert list(rows_of(made)) == ["openai"]
    assert "is one node of a cluster" in made.gaps[0]


def test_a_pattern_that_is_not_known_is_not_an_empty_table(server: RedisServer) -> None:
    made = look(replace(server.target(), ratelimit_pattern=""))
    assert isinstance(made.raised, Unreachable)
    assert made.tables == {}


def test_nobody_listening_is_unreachable() -> None:
    made = look(RedisTarget(Secret(f"redis://127.0.0.1:{free_port()}/0"), "ratelimit:*"))
    assert isinstance(made.raised, Unreachable)


@pytest.mark.parametrize(
    ("key", "pattern", "provider"),
    [
        ("ratelimit:provider:openai", "ratelimit:provider:*", "openai"),
        ("ratelimit:provider:openai:tokens", "ratelimit:provider:*", "openai"),
        ("ratelimit:provider:openai:tokens", "ratelimit:*", "openai"),
        ("rl:openai:limit", "rl:*:limit", "openai"),
        ("rl:openai", "rl:[a-z]*", "openai"),
        ("rl:openai", "rl:openai", "openai"),
        ("openai", "*", "openai"),
    ],
)
def test_the_provider_is_what_the_pattern_leaves_open(key: str, pattern: str, provider: str) -> None:
    assert provider_of(key, pattern) == provider
