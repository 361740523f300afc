from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from irkit.collect.contract import Refused, Unreachable
from irkit.redact import rules as redaction_rules
from irkit.redis_client import Failure, connected, explain
from irkit.settings import RedisTarget, Secret
from tests.support import http_servers as servers
from tests.support.redis_servers import RedisServer, redis_server

PASSWORD = "hunter2"  # noqa: S105 (a password for a server on loopback that lives for seconds)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(folder, "--requirepass", PASSWORD, password=PASSWORD) as server:
        server.client.execute_command("ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "~*", "+ping")
        yield server


def failure(target: RedisTarget, ask: Callable[[redis.Redis], object] = lambda client: client.ping()) -> Failure:
    with pytest.raises((Refused, Unreachable)) as caught, connected(target) as client:
        ask(client)
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    return caught.value


def test_an_answer_comes_as_bytes_whatever_the_url_asks_for(guarded: RedisServer) -> None:
    target = guarded.target(f":{PASSWORD}@", "/0?decode_responses=True&protocol=3")
    with connected(target) as client:
        assert client.echo("hello") == b"hello"


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("", "wants a password and the url has none"),
        (":wrong@", "refuses the user name or password of the url"),
        (f"nobody:{PASSWORD}@", "refuses the user name or password of the url"),
    ],
)
def test_a_password_missing_or_wrong_is_refused(guarded: RedisServer, user: str, sentence: str) -> None:
    found = failure(guarded.target(user))
    assert isinstance(found, Refused)
    assert str(found).endswith(sentence)


def test_a_server_that_lets_nobody_in_without_a_password_is_told_from_one_that_refuses_it() -> None:
    error = redis.AuthenticationError("come back with credentials")
    for url in ("redis://cache/0", "redis://app@cache/0"):
        assert str(explain(error, RedisTarget(Secret(url)))).endswith("wants a password and the url has none")
    for url in ("redis://:x@cache/0", "redis://cache/0?password=x"):
        assert "refuses the user name or password" in str(explain(error, RedisTarget(Secret(url))))


def test_what_an_account_may_not_do_is_named(guarded: RedisServer) -> None:
    found = failure(guarded.target(f"poor:{PASSWORD}@"), lambda client: client.info())
    assert isinstance(found, Refused)
    assert "does not permit it" in str(found)
    assert "'info'" in str(found)


def test_looking_in_leaves_no_denial_in_the_servers_log(guarded: RedisServer) -> None:
    guarded.client.execute_command("ACL", "LOG", "RESET")
    with connected(guarded.target(f"poor:{PASSWORD}@")) as client:
        client.ping()
    assert guarded.client.execute_command("ACL", "LOG") == []


def test_a_password_for_a_server_without_one_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        assert "has no password, but the url has one" in str(failure(server.target(f":{PASSWORD}@")))
        assert "DB index is out of range" in str(failure(server.target(path="/99")))


def test_a_command_switched_off_is_named(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--rename-command", "SCAN", "") as server:
        found = failure(server.target(), lambda client: client.scan(0))
        assert isinstance(found, Refused)
        assert "does not have the command" in str(found)


def test_a_server_without_connections_left_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxclients", "1") as server:
        found = failure(server.target())
        assert isinstance(found, Refused)
        assert "has no connection left" in str(found)


def test_a_server_in_protected_mode_is_refused() -> None:
    said = b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"
    with servers.serving(lambda connection, _: connection.sendall(said)) as port:
        found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")))
    assert isinstance(found, Refused)
    assert "is in protected mode" in str(found)


def test_a_server_busy_with_a_script_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--busy-reply-threshold", "1") as server:
        looping = threading.Thread(target=_loop, args=(server.port,))
        looping.start()
        try:
            for _ in range(500):  # until the script has run long enough to count as busy
                found = _try(server.target())
                if found:
                    break
            assert "is busy with a script" in str(found)
        finally:
            server.client.script_kill()
            looping.join()


def _loop(port: int) -> None:
    with redis.Redis(port=port) as client, pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _try(target: RedisTarget) -> Failure | None:
    try:
        with connected(target) as client:
            client.ping()
    except (Refused, Unreachable) as found:
        return found
    return None


def test_a_server_that_loads_its_data_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--enable-debug-command", "yes") as server:
        server.client.execute_command("DEBUG", "POPULATE", "3000", "key", "100")
        server.client.save()
    slow = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    with redis_server(tmp_path, *slow) as server:
        found = failure(server.target(), lambda client: client.scan(0))
        assert isinstance(found, Refused)
        assert str(found).endswith("is still loading its data")
        with connected(server.target()) as client:
            assert client.info("persistence")["loading"] == 1


def test_a_dead_replica_is_refused(tmp_path: Path) -> None:
    options = ("--replicaof", f"127.0.0.1 {servers.free_port()}", "--replica-serve-stale-data", "no")
    with redis_server(tmp_path, *options) as server:
        found = failure(server.target(), lambda client: client.get("x"))
        assert "is a replica that lost its primary" in str(found)


def test_nobody_listening_is_unreachable() -> None:
    found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{servers.free_port()}/0")))
    assert isinstance(found, Unreachable)
    assert str(found).startswith("nothing listens for Redis at redis://127.0.0.1:")


def test_a_missing_socket_is_unreachable(tmp_path: Path) -> None:
    assert isinstance(failure(RedisTarget(Secret(f"unix://{tmp_path}/redis.sock"))), Unreachable)


# both are longer than names may be, so that no server has to be asked
@pytest.mark.parametrize("host", ["x" * 64, ".".join(["x" * 60] * 6)])
def test_a_name_that_cannot_be_resolved_is_unreachable(host: str) -> None:
    found = failure(RedisTarget(Secret(f"redis://{host}:6379/0")))
    assert isinstance(found, Unreachable)
    assert "cannot be resolved" in str(found)


def test_a_server_that_hangs_is_asked_once_and_left(tmp_path: Path) -> None:
    connections: list[socket.socket] = []

    def hang(connection: socket.socket, closing: threading.Event) -> None:
        connections.append(connection)
        closing.wait()

    with servers.serving(hang) as port:
        found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0"), timeout_s=0.2))
    assert isinstance(found, Unreachable)
    assert str(found).endswith("does not answer within 0.2 s")
    assert len(connections) == 1


def test_another_protocol_is_named() -> None:
    with servers.serving(servers.answer(b"{}")) as port:
        # a web server waits for an empty line, which an inline PING does not send
        found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")), lambda client: client.echo("\r\n\r\n"))
    assert isinstance(found, Refused)
    assert "is not Redis" in str(found)


def test_tls_and_plain_are_told_apart(tmp_path: Path) -> None:
    context, _ = servers.self_signed(tmp_path)
    with redis_server(tmp_path / "redis") as server:
        # Redis waits for the end of a line that a handshake does not have
        found = failure(RedisTarget(Secret(f"rediss://127.0.0.1:{server.port}/0"), timeout_s=0.2))
        assert isinstance(found, Unreachable)
        assert "does not speak TLS" in found.hint
    with servers.serving(lambda connection, _: connection.sendall(b"-ERR what?\r\n")) as port:
        found = failure(RedisTarget(Secret(f"rediss://127.0.0.1:{port}/0")))
        assert isinstance(found, Refused)
        assert "cannot be spoken to by TLS" in str(found)
    with servers.serving(servers.close, context) as port:
        found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")))
        assert isinstance(found, Refused)
        assert "rediss://" in found.hint
        found = failure(RedisTarget(Secret(f"rediss://127.0.0.1:{port}/0")))
        assert "cannot be spoken to by TLS" in str(found)
        assert "self-signed" in str(found) or "CERTIFICATE_VERIFY_FAILED" in str(found)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost/", "redis://host:port/0"])
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    found = failure(RedisTarget(Secret(url)))
    assert isinstance(found, Unreachable)
    assert str(found) == "the [redis] url is not a Redis address"
    assert not redaction_rules.spans(found.hint), "the engine would replace a part of it"


@pytest.mark.parametrize("path", ["/cache", "/1/2", "/-1", "/\N{SUPERSCRIPT TWO}", "/0?db=x", "/0?db=-1"])
def test_a_database_that_is_no_number_is_not_taken_for_another(guarded: RedisServer, path: str) -> None:
    found = failure(guarded.target(f":{PASSWORD}@", path))
    assert isinstance(found, Refused | Unreachable)
    assert "url" in str(found)


@pytest.mark.parametrize(("path", "number"), [("/3", 3), ("/0?db=4", 4), ("?db=5", 5), ("/%36", 6), ("", 0)])
def test_the_database_that_is_asked_is_the_one_that_is_shown(guarded: RedisServer, path: str, number: int) -> None:
    target = guarded.target(f":{PASSWORD}@", path)
    with connected(target) as client:
        client.set("here", 1)
    try:
        assert set(guarded.client.info("keyspace")) == {f"db{number}"}
        assert target.place == f"127.0.0.1:{guarded.port}/{number}"
    finally:
        guarded.client.flushall()


def test_options_for_a_services_own_pool_are_left_out(guarded: RedisServer) -> None:
    options = "max_connections=20&socket_keepalive_options=a&parser_class=x&frobnicate=1&ssl_cert_reqs=none&timeout=3"
    with connected(guarded.target(path=f"/0?username=default&password={PASSWORD}&{options}")) as client:
        assert client.ping()


@pytest.mark.parametrize("answer", [b"$abc\r\n", b":5\r\n", b"*1\r\n" * 20_000, b"*2\r\n$3\r\nxyz\r\n*0\r\n"])
def test_an_answer_that_nothing_can_be_made_of_is_another_protocol(answer: bytes) -> None:
    def behave(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(4096):
            connection.sendall(answer)

    with servers.serving(behave) as port:
        found = failure(RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")), lambda client: client.scan())
    assert isinstance(found, Refused)
    assert "is not Redis" in str(found)
