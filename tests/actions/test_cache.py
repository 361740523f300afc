"""The cache is emptied and nothing else, on a real Redis: counts first, then refusals, prefixes, confirmation."""

import os
import subprocess
from pathlib import Path

import pytest
import redis

from tests.actions.conftest import acts
from tests.support.command_line import Run, runner
from tests.support.redis_servers import RedisServer

LIMITS = {f"ratelimit:provider:{name}": 7 for name in ("alpha", "beta")}
CACHE = {f"cache:answer:{number}": number for number in range(1200)}


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: RedisServer
) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text(
        f'[redis]\nurl = "redis://127.0.0.1:{server.port}/0"\nratelimit_pattern = "ratelimit:provider:*"\n'
        'cache_prefixes = ["cache:"]\n[docker]\nhost = "unix:///nowhere/docker.sock"\n'
        '[http]\nhealth_url = "http://127.0.0.1:9/"\ntimeout_s = 0.5\n'
    )
    run = runner(monkeypatch, capsys)
    assert run("open", "Slow", "--type", "high-latency", "--id", "42").code == 0
    return run


def where(server: RedisServer) -> str:
    return f"127.0.0.1:{server.port}/0"


def do(server: RedisServer) -> tuple[str, ...]:
    return ("--apply", "--yes", "--target", where(server))


def test_what_is_cache_alone_is_flushed_whole(desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE)
    planned = desk("act", "42", "flush-cache")
    assert "1\u202f200 keys cache:…, cache" in planned.out
    assert f"all 1\u202f200 keys of {where(server)} are deleted (FLUSHDB)" in planned.out
    assert server.client.dbsize() == 1200
    said = desk("act", "42", "flush-cache", *do(server))
    assert said.code == 0, said.err
    assert "Step 2 of the runbook is recorded as done." in said.out
    assert server.client.dbsize() == 0
    assert acts()[-1].data["verified"] is True


def test_rate_limits_and_unknown_keys_hold_the_whole_flush_back(desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE | LIMITS | {"queue:jobs": "x", "lonely": 1})
    said = desk("act", "42", "flush-cache", *do(server))
    assert said.code == 8
    assert "keys that are not known to be cache" in said.err
    for words in ("ratelimit: (2)", "queue: (1)", "(no prefix) (1)"):
        assert words in said.err
    assert "flush-cache -p prefix cache:" in said.err
    assert "the state of rate limits among them" in said.out
    assert "redis-cli" not in said.out, "what irkit holds back is not to be done by hand either"
    assert server.client.dbsize() == 1204
    assert acts() == []


def test_a_prefix_is_deleted_and_all_else_stays(desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE | LIMITS | {"cache[x]": 1, "queue:jobs": "x"})
    said = desk("act", "42", "flush-cache", "-p", "prefix", "cache:", *do(server))
    assert said.code == 0, said.err
    assert "1\u202f200 keys were deleted" in said.out
    assert sorted(server.client.keys()) == [b"cache[x]", b"queue:jobs", *sorted(name.encode() for name in LIMITS)]


def test_a_prefix_is_taken_literally(desk: Run, server: RedisServer) -> None:
    server.client.mset({"a[b]c:1": 1, "abc:1": 1, "a[b]c:2": 1})
    said = desk("act", "42", "flush-cache", "-p", "prefix", "a[b]c:", *do(server))
    assert said.code == 0, said.err
    assert server.client.keys() == [b"abc:1"]
    assert "is not among [redis] cache_prefixes: you say that it is cache" in said.out


@pytest.mark.parametrize("prefix", ["ratelimit:", "ratelimit:provider:", "ratelimit:provider:alpha", "rate"])
def test_rate_limits_never_go_by_prefix(prefix: str, desk: Run, server: RedisServer) -> None:
    server.client.mset(LIMITS)
    said = desk("act", "42", "flush-cache", "-p", "prefix", prefix, *do(server))
    assert said.code == 8
    assert "holds the state of the rate limits" in said.err
    assert server.client.dbsize() == 2


@pytest.mark.parametrize("pattern", ["cache:limit:*", "*:limit:*", "cache:?imit:*"])
@pytest.mark.parametrize("options", [(), ("-p", "prefix", "cache:")])
def test_rate_limits_are_kept_where_they_are_named_like_cache(
    pattern: str, options: tuple[str, ...], desk: Run, server: RedisServer, tmp_path: Path
) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(settings.read_text().replace("ratelimit:provider:*", pattern))
    server.client.mset({"cache:limit:alpha": 7, "cache:answer": 1})
    said = desk("act", "42", "flush-cache", *options, *do(server))
    assert said.code == 8
    assert "the state of the rate limits" in said.err
    assert server.client.dbsize() == 2


@pytest.mark.parametrize("prefix", ["", " , ", "a", "*", "cache:*"])
def test_what_is_no_prefix_is_refused(prefix: str, desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE)
    assert desk("act", "42", "flush-cache", "-p", "prefix", prefix, *do(server)).code == 2
    assert server.client.dbsize() == 1200


def test_host_and_database_have_to_be_named(desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE)
    alone = desk("act", "42", "flush-cache", "--apply", "--yes")
    assert alone.code == 2
    assert f'--yes --target "{where(server)}"' in alone.err
    other = desk("act", "42", "flush-cache", "--apply", "--yes", "--target", where(server).replace("/0", "/1"))
    assert other.code == 2
    assert server.client.dbsize() == 1200


def test_the_database_that_the_url_asks_for_is_named_and_flushed_also_by_hand(
    desk: Run, server: RedisServer, tmp_path: Path
) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(settings.read_text().replace(f"{server.port}/0", f"{server.port}/0?db=3"))
    server.client.set("cache:of another", 1)
    with redis.Redis(port=server.port, db=3) as there:
        there.mset(CACHE)
    assert desk("act", "42", "flush-cache", *do(server)).code == 2, "the other database was typed"
    said = desk("act", "42", "flush-cache", "--apply", "--yes", "--target", where(server).replace("/0", "/3"))
    assert said.code == 0, said.err
    assert f"redis-cli -u redis://127.0.0.1:{server.port}/3 FLUSHDB" in " ".join(said.out.split())
    assert server.client.keys() == [b"cache:of another"]


def test_an_empty_prefix_makes_no_key_cache(desk: Run, server: RedisServer, tmp_path: Path) -> None:
    settings = tmp_path / "irkit.toml"
    settings.write_text(settings.read_text().replace('["cache:"]', '["cache:", ""]'))
    server.client.mset({"queue:jobs": 1, "cache:a": 1})
    assert desk("act", "42", "flush-cache", *do(server)).code == 8
    assert server.client.dbsize() == 2


def test_a_redis_that_is_gone_is_a_sentence(desk: Run, server: RedisServer) -> None:
    server.client.mset(CACHE)
    os.kill(server.process.pid, 9)
    server.process.wait()
    said = desk("act", "42", "flush-cache", *do(server))
    assert said.code == 8
    assert "nothing listens for Redis" in said.err


def test_the_line_for_doing_it_by_hand_deletes_the_same_keys_on_the_same_server(desk: Run, server: RedisServer) -> None:
    kept = {**LIMITS, "cache*": 1, "queue:jobs": "x"}
    server.client.mset({**kept, "cache:an answer": 1, "cache:it's": 2, "cache:*": 3})
    said = desk("act", "42", "flush-cache", "-p", "prefix", "cache:")
    line = next(line for line in said.out.splitlines() if "redis-cli" in line).partition("redis-cli")
    subprocess.run("".join(line[1:]), shell=True, check=True, capture_output=True)  # noqa: S602 (as a person pastes it)
    assert {key.decode() for key in server.client.scan_iter()} == set(kept)
