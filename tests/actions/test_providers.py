"""Switching providers, trying keys and waiting for limits, against real servers and a real Redis."""

import json
import threading
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.actions.conftest import acts
from tests.stack.stack import Stack
from tests.support.command_line import Run
from tests.support.http_servers import answer, drip, free_port, read_request, serving

DO = ("--apply", "--yes", "-p", "hold", "1")
KEY = "sk-a-made-up-key-of-this-test"


def configure(folder: Path, *lines: str) -> None:
    settings = folder / "irkit.toml"
    settings.write_text("\n".join([settings.read_text(), "[providers]", *lines]) + "\n")
    settings.chmod(0o600)


def test_a_switch_by_the_teams_command_is_proven_by_health(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    script = tmp_path / "switch"
    script.write_text(f'#!/bin/sh\necho "switched to $1"; : > "{stack.directory}/control/faults"\n')
    script.chmod(0o700)
    configure(tmp_path, 'switch_command = "./switch {name}"')
    with stack.broken("provider-down@provider-alpha"):
        planned = irkit("act", "42", "switch-provider", "provider-beta")
        assert "./switch provider-beta" in planned.out
        assert "503" in planned.out
        assert stack.health().status == 503, "a plan switches nothing"
        said = irkit("act", "42", "switch-provider", "provider-beta", *DO)
    assert said.code == 0, said.err
    assert "ended well, saying: switched to provider-beta" in said.out
    assert acts()[-1].data["verified"] is True


def test_a_switch_that_does_not_help_says_so(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    configure(tmp_path, 'switch_command = "true {name}"')
    with stack.broken("provider-down@provider-alpha"):
        said = irkit("act", "42", "switch-provider", "provider-beta", *DO, "-p", "patience", "1")
    assert said.code == 8
    assert "done, but it did not help" in said.err


def health_of(folder: Path, port: int) -> None:
    settings = folder / "irkit.toml"
    lines = settings.read_text().splitlines()
    address = f'health_url = "http://127.0.0.1:{port}/health"'
    settings.write_text("\n".join(address if line.startswith("health_url") else line for line in lines))


def degraded(beta: str, alpha: str = "down") -> bytes:
    return json.dumps({"status": "degraded", "providers": {"alpha": alpha, "beta": beta}}).encode()


def test_what_stays_degraded_for_the_old_provider_is_said_and_is_no_failure(irkit: Run, tmp_path: Path) -> None:
    configure(tmp_path, 'switch_command = "true {name}"')
    with serving(answer(degraded("up"))) as port:
        health_of(tmp_path, port)
        said = irkit("act", "42", "switch-provider", "beta", *DO)
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert "beta is healthy by its word; what stays degraded is said of alpha, and is no failure of the switch" in told
    assert "did not help" not in told
    assert acts()[-1].data["verified"] is None, "it answered before, too: only requests are proof"
    assert irkit("mitigate", "42", "switched to beta").err == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (degraded("up"), degraded("down")),  # the one switched to fails
        (degraded("down", "up"), degraded("up", "down")),  # what was well is not
        (degraded("up"), degraded("odd")),  # nobody knows
        (degraded("up"), b'{"status": "degraded"}'),
    ],
)
def test_a_switch_to_one_that_is_not_healthy_or_after_which_more_fails_did_not_help(
    before: bytes, after: bytes, irkit: Run, tmp_path: Path
) -> None:
    configure(tmp_path, 'switch_command = "touch {name}"')

    def told(connection) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        answer(after if (tmp_path / "beta").exists() else before)(connection, threading.Event())

    with serving(lambda connection, _: told(connection)) as port:
        health_of(tmp_path, port)
        said = irkit("act", "42", "switch-provider", "beta", *DO, "-p", "patience", "1")
    assert said.code == 8
    assert "done, but it did not help" in said.err


def test_a_service_that_answers_again_though_degraded_is_proof(irkit: Run, tmp_path: Path) -> None:
    configure(tmp_path, 'switch_command = "touch {name}"')

    def told(connection, closing_event: threading.Event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        well = (tmp_path / "beta").exists()
        status = "200 OK" if well else "503 Service Unavailable"
        answer(degraded("up"), status=status)(connection, closing_event)

    with serving(told) as port:
        health_of(tmp_path, port)
        said = irkit("act", "42", "switch-provider", "beta", *DO)
    assert said.code == 0, said.err
    assert acts()[-1].data["verified"] is True


def test_a_secret_in_the_teams_command_or_in_what_it_says_is_not_shown(irkit: Run, tmp_path: Path) -> None:
    command = f"sh -c 'echo now token={KEY}; exit 1' --token {KEY}"
    configure(tmp_path, f"switch_command = {json.dumps(command)}")
    said = irkit("act", "42", "switch-provider", "provider-beta", *DO)
    assert "now token=***" in said.err
    assert "--token ***" in said.out
    assert KEY not in said.out + said.err + "".join(f"{event.text}{event.data}" for event in acts())


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("./no-such-program {name}", "cannot be run"),
        ("sh -c 'echo no such provider >&2; exit 3'", "ended with 3: no such provider"),
        ("sh -c 'kill -TERM $$'", "was ended by SIGTERM"),
        ("sleep 60", "did not end in 1 s and was killed"),
    ],
)
def test_a_command_that_fails_is_a_sentence(command: str, sentence: str, irkit: Run, tmp_path: Path) -> None:
    configure(tmp_path, f"switch_command = {json.dumps(command)}", "timeout_s = 1")
    said = irkit("act", "42", "switch-provider", "provider-beta", *DO)
    assert said.code == 8
    assert sentence in said.err
    assert acts()[-1].data["outcome"] == "failed"


def test_a_switch_by_http_shows_no_token(irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def take(connection, closing_event: threading.Event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        asked.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    monkeypatch.setenv("SWITCH_TOKEN", KEY)
    with serving(take) as port:
        configure(tmp_path, f'switch_url = "http://127.0.0.1:{port}/provider"', 'switch_token = "env:SWITCH_TOKEN"')
        said = irkit("act", "42", "switch-provider", "provider-beta", *DO)
    assert said.code == 0, said.err
    assert b"POST /provider" in asked[0]
    assert f"Bearer {KEY}".encode() in asked[0]
    told = said.out + "".join(f"{event.text}{event.data}" for event in acts())
    assert KEY not in told
    assert "Bearer ***" in said.out


def test_a_switch_that_was_not_answered_is_not_called_done(irkit: Run, tmp_path: Path) -> None:
    with serving(drip) as port:
        configure(tmp_path, f'switch_url = "http://127.0.0.1:{port}/"', "timeout_s = 1")
        said = irkit("act", "42", "switch-provider", "provider-beta", *DO)
    assert said.code == 8
    assert "could not be told" in said.err
    assert "whether it switched is unknown" in said.err


def test_without_a_way_to_switch_the_setting_is_named(irkit: Run) -> None:
    said = irkit("act", "42", "switch-provider", "provider-beta")
    assert said.code == 8
    assert "[providers] switch_command" in said.err
    assert "is not a provider's name" in irkit("act", "42", "switch-provider", "a; rm -rf /").err


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        ("200 OK", 0, "takes the key of MADE_UP_KEY (200)"),
        ("401 Unauthorized", 8, "refuses the key of MADE_UP_KEY (401)"),
        ("429 Too Many Requests", 8, "tells nothing of the key"),
    ],
)
def test_a_key_is_tried_and_never_shown(
    status: str, code: int, sentence: str, irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    with serving(answer(json.dumps({"key": KEY}).encode(), status=status)) as port:
        configure(
            tmp_path,
            f'key_urls = {{ alpha = "http://127.0.0.1:{port}/models" }}',
            'key_env = { alpha = "MADE_UP_KEY" }',
        )
        said = irkit("act", "42", "check-api-key", "alpha", "--apply")
    assert said.code == code
    assert sentence in said.out + said.err
    assert "Bearer $MADE_UP_KEY" in said.out
    assert KEY not in said.out + said.err + "".join(f"{event.text}{event.data}" for event in acts())
    assert acts()[-1].data["outcome"] == ("failed" if "429" in status else "done")


def test_a_key_that_is_not_there_or_a_provider_that_is_down_is_no_bad_key(
    irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f'key_urls = {{ alpha = "http://127.0.0.1:{free_port()}/models" }}'
    configure(tmp_path, url, 'key_env = { alpha = "MADE_UP_KEY" }')
    monkeypatch.delenv("MADE_UP_KEY", raising=False)
    assert "MADE_UP_KEY is not set here" in irkit("act", "42", "check-api-key", "alpha", "--apply").err
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    assert "could not be asked" in irkit("act", "42", "check-api-key", "alpha", "--apply").err
    assert "there are: alpha" in irkit("act", "42", "check-api-key", "beta", "--apply").err


@pytest.mark.parametrize(
    ("key", "sentence"),
    [(f"{KEY}\n", "ends with a space"), (f"“{KEY}”", "is not ASCII"), (f"{KEY}\r\nX-Odd: 1", "control character")],
)
def test_a_key_that_was_pasted_badly_is_not_tried(
    key: str, sentence: str, irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADE_UP_KEY", key)
    url = f'key_urls = {{ alpha = "http://127.0.0.1:{free_port()}/models" }}'
    configure(tmp_path, url, 'key_env = { alpha = "MADE_UP_KEY" }')
    said = irkit("act", "42", "check-api-key", "alpha", "--apply")
    assert said.code == 8
    assert sentence in said.err
    assert KEY not in said.out + said.err + acts()[-1].text


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('key_urls = { alpha = "file:///etc/hostname" }', ("check-api-key", "alpha")),
        ('switch_url = "file:///etc/hostname"', ("switch-provider", "alpha")),
    ],
)
def test_what_is_no_http_address_is_refused(line: str, arguments: tuple[str, ...], irkit: Run, tmp_path: Path) -> None:
    configure(tmp_path, line, 'key_env = { alpha = "HOME" }')
    said = irkit("act", "42", *arguments)
    assert said.code == 2
    assert "no HTTP address" in said.err


def test_waiting_ends_when_the_window_is_over(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("ratelimit:provider:made-up", 600, px=2500)
        said = irkit("act", "42", "wait-ratelimit", "made-up", "--apply")
        assert said.code == 0, said.err
        assert "has expired" in said.out
        assert not server.exists("ratelimit:provider:made-up")
    waited = acts()[-1].data["found"]
    assert isinstance(waited, dict)
    assert waited["waited_s"] >= 1


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_sliding_window_has_room_when_its_oldest_call_leaves_it(unit: int, irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        now = server.time()[0] * unit
        server.zadd("ratelimit:provider:made-up", {"old": now - 57 * unit, "new": now})
        server.expire("ratelimit:provider:made-up", 60)
        said = irkit("act", "42", "wait-ratelimit", "made-up", "--apply")
        assert said.code == 0, said.err
        assert "has reset, 1 used" in said.out
        assert server.exists("ratelimit:provider:made-up"), "only its oldest call has left it"
        server.delete("ratelimit:provider:made-up")


def test_scores_that_are_no_times_are_not_taken_for_some(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.zadd("ratelimit:provider:made-up", {"a": 3, "b": 5})
        server.expire("ratelimit:provider:made-up", 900)
        said = irkit("act", "42", "wait-ratelimit", "made-up", "--apply", "-p", "patience", "1")
        server.delete("ratelimit:provider:made-up")
    assert said.code == 8
    assert "had not reset after 1 s" in said.err


def test_a_key_that_tells_its_limit_is_held_to_it(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.hset("ratelimit:provider:made-up", mapping={"limit": 600, "remaining": 0})
        server.expire("ratelimit:provider:made-up", 900)
        full = irkit("act", "42", "wait-ratelimit", "made-up", "--apply", "-p", "patience", "1")
        server.hset("ratelimit:provider:made-up", mapping={"remaining": 597})
        free = irkit("act", "42", "wait-ratelimit", "made-up", "--apply")
        server.delete("ratelimit:provider:made-up")
    assert "600 used of 600" in full.out
    assert "had not reset after 1 s" in full.err
    assert free.code == 0, free.err
    assert "has reset, 3 used" in free.out


def test_all_limits_of_a_provider_are_waited_for_and_one_nearly_used_up_counts(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("ratelimit:provider:made-up", 600, px=1500)
        server.hset("ratelimit:provider:made-up:tokens", mapping={"limit": 10000, "used": 9800})
        server.expire("ratelimit:provider:made-up:tokens", 1440)
        said = irkit("act", "42", "wait-ratelimit", "made-up", "--apply", "-p", "patience", "3")
        server.pexpire("ratelimit:provider:made-up:tokens", 1500)
        after = irkit("act", "42", "wait-ratelimit", "made-up", "--apply")
    assert "made-up:tokens: 9800 used of 10000" in said.out
    assert (said.code, after.code) == (8, 0), after.err
    assert "ratelimit:provider:made-up:tokens had not reset after 3 s" in said.err
    assert "made-up:tokens has expired" in after.out


@pytest.mark.usefixtures("stack")
def test_a_provider_that_fails_though_its_limit_has_reset_is_not_all_well(
    irkit: Run, stack: Stack, tmp_path: Path
) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("ratelimit:provider:beta", 600, px=1000)
        with serving(answer(degraded("down"))) as port:
            health_of(tmp_path, port)
            said = irkit("act", "42", "wait-ratelimit", "beta", "--apply")
    assert said.code == 8
    assert "The health endpoint says that beta is not healthy all the same" in " ".join(said.err.split())


def test_where_a_provider_has_no_key_those_there_are_are_named(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("ratelimit:provider:made-up", 6, ex=60)
        said = irkit("act", "42", "wait-ratelimit", "elsewhere")
        server.delete("ratelimit:provider:made-up")
    assert "Redis limits it no more" in said.err
    assert "there are: ratelimit:provider:made-up" in said.err


def test_a_key_that_never_expires_is_not_waited_for(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("ratelimit:provider:made-up", 600)
        said = irkit("act", "42", "wait-ratelimit", "made-up", "--apply")
        server.set("ratelimit:provider:made-up", 600, ex=900)
        long = irkit("act", "42", "wait-ratelimit", "made-up", "--apply", "-p", "patience", "1")
        server.delete("ratelimit:provider:made-up")
    assert said.code == 8
    assert "never expires by itself" in said.err
    assert "had not reset after 1 s" in long.err
    assert "Redis limits it no more" in irkit("act", "42", "wait-ratelimit", "made-up", "--apply").err
