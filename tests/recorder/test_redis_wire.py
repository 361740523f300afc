"""Redis on a bare connection: the same answers as by its library, from every kind of server, within one deadline."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from irkit.collect.contract import Refused, Unreachable
from irkit.model import utc_now
from irkit.recorder.redis_wire import RedisWire
from irkit.recorder.samples import redis as sample
from irkit.settings import RedisTarget, Secret
from tests.support.http_servers import close, free_port, hang, reset, serving
from tests.support.redis_servers import redis_server


def test_every_kind_of_reply_is_read(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, RedisWire(server.target(path="/3"), 2.0) as wire:
        assert wire.ask("SET", "a\r\n\u20ac", b"\x00\xff\r\n") == b"OK"
        assert wire.ask("GET", "a\r\n\u20ac") == b"\x00\xff\r\n"
        assert wire.ask("GET", "none") is None
        assert wire.ask("DBSIZE") == 1
        assert wire.ask("MGET", "none", "a\r\n\u20ac") == [None, b"\x00\xff\r\n"]
        assert wire.ask("SET", "large", b"x" * 1_000_000) == b"OK"
        assert wire.ask("GET", "large") == b"x" * 1_000_000
        with pytest.raises(Refused, match="unknown command"):
            wire.ask("NONESUCH")
        assert wire.ask("PING") == b"PONG"
        assert int(server.client.info("keyspace")["db3"]["keys"]) == 2


def test_it_logs_in_by_password_by_account_and_by_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    password = "p@ss:w/rd"  # noqa: S105 (of a server that lives for this test)
    options = ("--requirepass", password, "--unixsocket", str(path), "--user", *["ana", "on", ">s3cret", "~*", "+@all"])
    with redis_server(tmp_path, *options, password=password) as server:
        for user in (":p%40ss%3Aw%2Frd@", "ana:s3cret@"):
            with RedisWire(server.target(user), 2.0) as wire:
                assert wire.ask("PING") == b"PONG"
        with RedisWire(server.target(path="/0?username=ana&password=s3cret"), 2.0) as wire:
            assert wire.ask("PING") == b"PONG"
        local = RedisTarget(Secret(f"unix://:p%40ss%3Aw%2Frd@{path}?db=2"))
        with RedisWire(local, 2.0) as wire:
            wire.ask("SET", "a", "b")
        assert int(server.client.info("keyspace")["db2"]["keys"]) == 1
        with pytest.raises(Refused, match="WRONGPASS") as refused:
            RedisWire(server.target(":wrong-one@"), 2.0)
        assert "wrong-one" not in str(refused.value)
        with RedisWire(server.target(), 2.0) as wire, pytest.raises(Refused, match="NOAUTH"):
            wire.ask("PING")


def test_a_failure_is_one_sentence(tmp_path: Path) -> None:
    def told(target: RedisTarget) -> str:
        with pytest.raises((Unreachable, Refused)) as failure, RedisWire(target, 0.3) as wire:
            wire.ask("PING")
        return str(failure.value)

    def target(port: int, scheme: str = "redis") -> RedisTarget:
        return RedisTarget(Secret(f"{scheme}://127.0.0.1:{port}/0"))

    assert told(target(free_port())).startswith("nothing listens for Redis at redis://127.0.0.1:")
    assert told(RedisTarget(Secret(f"unix://{tmp_path}/none.sock"))).startswith("nothing listens for")
    assert "cannot be resolved" in told(RedisTarget(Secret("redis://no-such-host.invalid:1/0")))
    assert "not a Redis address" in told(RedisTarget(Secret("http://127.0.0.1:1/")))
    for behave in (reset, close):

        def after_a_word(connection: socket.socket, closing: threading.Event, behave: object = behave) -> None:
            connection.recv(10)
            if behave is reset:
                connection.sendall(b"+PO")

        with serving(after_a_word) as port:
            assert "closed the connection" in told(target(port))

    def web(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(web) as port:
        assert "is not Redis" in told(target(port))
    with serving(hang) as port:
        assert told(target(port)).endswith("gave no whole answer within 0.3 s")
        assert told(target(port, "rediss")).endswith("gave no whole answer within 0.3 s")
    with serving(web) as port:
        assert "by TLS" in told(target(port, "rediss"))


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    def flood(connection: socket.socket, closing: threading.Event) -> None:
        connection.recv(100)
        connection.sendall(b"$1000000000\r\n")
        while not closing.is_set():
            connection.sendall(b"x" * 65536)

    with (
        serving(flood) as port,
        RedisWire(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")), 20.0) as wire,
        pytest.raises(Refused, match="answers more than"),
    ):
        wire.ask("INFO")


def test_keys_are_counted_where_that_is_cheap_and_unknown_elsewhere(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        target = server.target()
        [row] = sample(target, utc_now).rows
        assert (row["keys"], row["ratelimit_keys"], row["max_memory_bytes"]) == (0, 0, None)
        server.client.mset({f"ratelimit:provider:{n}": 1 for n in range(3000)} | {f"other:{n}": 1 for n in range(3000)})
        server.client.config_set("maxmemory", "200mb")
        [row] = sample(target, utc_now).rows
        assert (row["keys"], row["ratelimit_keys"], row["max_memory_bytes"]) == (6000, 3000, 200 << 20)
        [row] = sample(replace(target, ratelimit_pattern=""), utc_now).rows
        assert row["ratelimit_keys"] is None
        server.client.mset({f"more:{n}": 1 for n in range(5000)})
        [row] = sample(target, utc_now).rows
        assert (row["keys"], row["ratelimit_keys"]) == (11000, None)


def test_an_account_that_may_only_read_figures_leaves_the_rest_open(tmp_path: Path) -> None:
    account = ["--user", "irkit", "on", ">s3cret", "~*", "-@all", "+info"]
    with redis_server(tmp_path, *account) as server:
        server.client.set("a", "b")
        found = sample(server.target("irkit:s3cret@"), utc_now)
    assert (found.rows[0]["keys"], found.rows[0]["ratelimit_keys"]) == (1, None)
    assert "the rate-limit keys were not counted" in found.gaps[0]
    assert "NOPERM" in found.gaps[0]


def test_only_the_named_database_s_keys_are_counted(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.client.mset({"ratelimit:provider:a": 1, "b": 2})
        [row] = sample(server.target(path="/5"), utc_now).rows
    assert (row["keys"], row["ratelimit_keys"]) == (0, 0)
