from __future__ import annotations

from collections.abc import Iterator

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.collectors import redis_info
from irkit.collectors.redis_info import parse_info
from irkit.settings import RedisTarget, Secret
from tests.collectors.materialise import materialise
from tests.support.http_servers import free_port
from tests.support.redis_servers import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_all_sections_are_kept_with_numbers_as_numbers(server: RedisServer) -> None:
    server.client.set("a", "1", ex=100)
    made = materialise(redis_info.collect, server.target())
    assert (made.raised, made.gaps) == (None, [])
    info = made.documents["redis_info"]
    assert info["server"]["tcp_port"] == server.port
    assert info["server"]["redis_version"].count(".") == 2
    assert info["memory"]["used_memory"] > 100_000
    assert info["replication"]["role"] == "master"
    assert (info["keyspace"]["db0"]["keys"], info["keyspace"]["db0"]["expires"]) == (1, 1)
    assert info["commandstats"]["cmdstat_set"]["calls"] == 1


def test_looking_changes_nothing(server: RedisServer) -> None:
    before = server.client.info("persistence")["rdb_changes_since_last_save"]
    materialise(redis_info.collect, server.target())
    assert server.client.info("persistence")["rdb_changes_since_last_save"] == before


def test_no_digit_is_lost() -> None:
    text = "# Server\r\nrun_id:0012\r\nversion:7.0.15\r\nbig:99999999999999999999\r\nratio:1.50\r\nempty:\r\n\r\n"
    text += "# Errorstats\r\nerrorstat_ERR:count=3\r\nurl:a:b=c,d\r\nneg:-1\r\n"
    assert parse_info(text) == {
        "server": {"run_id": "0012", "version": "7.0.15", "big": "99999999999999999999", "ratio": 1.5, "empty": ""},
        "errorstats": {"errorstat_ERR": {"count": 3}, "url": "a:b=c,d", "neg": -1},
    }


def test_a_replica_cut_off_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("replica")
    with redis_server(folder, "--replicaof", f"127.0.0.1 {free_port()}") as server:
        made = materialise(redis_info.collect, server.target())
    assert made.documents["redis_info"]["replication"]["role"] == "slave"
    assert "is a replica cut off from its primary" in made.gaps[0]


def test_a_cluster_node_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_server(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes") as server:
        made = materialise(redis_info.collect, server.target())
    assert "is one node of a cluster" in made.gaps[0]


def test_without_permission_it_is_refused(server: RedisServer) -> None:
    server.client.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@read", "-info")
    made = materialise(redis_info.collect, server.target("poor:x@"))
    assert isinstance(made.raised, Refused)
    assert made.documents == {}


def test_nobody_listening_is_unreachable() -> None:
    made = materialise(redis_info.collect, RedisTarget(Secret(f"redis://127.0.0.1:{free_port()}/0")))
    assert isinstance(made.raised, Unreachable)
