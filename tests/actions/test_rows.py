"""The runbook's resolution steps, action by action and case by case: where each is proven, and what was not yet.

`PROOFS` is the table of what every action owes: that it works on the real stack, what it says where its target is
down, where nobody confirms it, where the proof fails, and what is there after kill -9. An action without a row, and a
proof that does not exist, fail the first test.
"""

from __future__ import annotations

import ast
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import pytest
import redis

from irkit.act import engine as act
from irkit.sqlite.check import check
from tests.actions.conftest import acts
from tests.stack.engine import wait_until
from tests.stack.stack import API_SERVICE, Stack
from tests.support import sqlite_files as files
from tests.support.command_line import Run
from tests.support.http_servers import free_port
from tests.support.type_evidence import BEGAN, sealed

HERE = Path(__file__).parent
DO = ("--apply", "--yes")
QUICK = ("-p", "hold", "1")
ASKS_NOBODY = "it changes nothing, so nobody is asked"


@dataclass(frozen=True)
class Proofs:
    """The tests that prove an action, a case each, as `module:function`; or the sentence why there is no such case."""

    good: str
    target_down: str
    refused: str
    not_proven: str
    killed: str


_LOOKED = "test_rows:test_a_look_at_the_stack_finds_it_well"
_TABLE: dict[str, Proofs] = {
    "restart": Proofs(
        "test_services:test_a_restart_that_helps_is_verified_by_health_and_does_the_runbooks_step",
        "test_services:test_without_an_engine_the_sentence_says_so",
        "test_services:test_the_targets_name_has_to_be_typed",
        "test_services:test_a_restart_that_does_not_help_says_what_it_left",
        "test_rows:test_a_restart_a_scale_and_a_start_that_were_killed_are_told_of_and_done_again",
    ),
    "check-database": Proofs(
        _LOOKED,
        "test_sql_servers:test_where_nothing_listens_the_address_is_named",
        ASKS_NOBODY,
        "test_reading:test_one_that_cannot_is_something_wrong_and_the_step_is_done",
        "test_rows:test_one_that_was_killed_is_told_of_and_can_be_done_again",
    ),
    "scale": Proofs(
        "test_services:test_a_service_without_one_is_scaled_up_and_down",
        "test_services:test_without_an_engine_the_sentence_says_so",
        "test_rows:test_nothing_is_changed_that_nobody_confirms",
        "test_rows:test_more_containers_that_do_not_help_are_not_called_well",
        "test_rows:test_a_restart_a_scale_and_a_start_that_were_killed_are_told_of_and_done_again",
    ),
    "switch-provider": Proofs(
        "test_providers:test_a_switch_by_the_teams_command_is_proven_by_health",
        "test_providers:test_a_command_that_fails_is_a_sentence",
        "test_rows:test_nothing_is_changed_that_nobody_confirms",
        "test_providers:test_a_switch_that_does_not_help_says_so",
        "test_killed:test_a_switch_is_told_to_have_begun_and_the_teams_command_is_not_torn_in_two",
    ),
    "flush-cache": Proofs(
        "test_rows:test_the_stacks_cache_is_flushed_and_its_rate_limits_stay",
        "test_cache:test_a_redis_that_is_gone_is_a_sentence",
        "test_cache:test_host_and_database_have_to_be_named",
        "test_rows:test_a_cache_that_fills_again_is_not_called_flushed",
        "test_killed:test_a_flush_by_prefix_takes_no_other_key_and_can_be_done_again",
    ),
    "explain-queries": Proofs(
        "test_rows:test_a_slow_query_of_the_stack_is_explained_beside_its_database",
        "test_rows:test_a_database_that_is_gone_is_a_sentence",
        ASKS_NOBODY,
        "test_reading:test_where_the_logs_tell_of_no_slow_query_nothing_is_made_up",
        "test_rows:test_one_that_was_killed_is_told_of_and_can_be_done_again",
    ),
    "wait-ratelimit": Proofs(
        "test_providers:test_waiting_ends_when_the_window_is_over",
        "test_rows:test_a_limit_in_a_redis_that_is_gone_is_a_sentence",
        ASKS_NOBODY,
        "test_providers:test_a_key_that_never_expires_is_not_waited_for",
        "test_killed:test_a_wait_changes_nothing_and_is_told_of",
    ),
    "check-api-key": Proofs(
        _LOOKED,
        "test_providers:test_a_key_that_is_not_there_or_a_provider_that_is_down_is_no_bad_key",
        ASKS_NOBODY,
        "test_providers:test_a_key_is_tried_and_never_shown",
        "test_rows:test_one_that_was_killed_is_told_of_and_can_be_done_again",
    ),
    "stop-all": Proofs(
        "test_services:test_what_was_stopped_is_started_again_and_nothing_else",
        "test_services:test_without_an_engine_the_sentence_says_so",
        "test_rows:test_nothing_is_changed_that_nobody_confirms",
        "test_proofs_fail:test_what_runs_though_all_was_stopped_is_named",
        "test_services:test_one_killed_half_way_is_told_of_and_can_be_undone",
    ),
    "start-all": Proofs(
        "test_services:test_one_killed_half_way_is_told_of_and_can_be_undone",
        "test_services:test_starting_what_nobody_stopped_is_refused",
        "test_rows:test_a_restart_a_scale_and_a_start_that_were_killed_are_told_of_and_done_again",
        "test_services:test_what_was_stopped_is_started_again_and_nothing_else",
        "test_rows:test_a_restart_a_scale_and_a_start_that_were_killed_are_told_of_and_done_again",
    ),
    "backup-database": Proofs(
        "test_database:test_a_restore_while_the_service_runs_is_refused_and_works_once_it_is_stopped",
        "test_database:test_a_backup_that_cannot_be_made_is_a_sentence",
        ASKS_NOBODY,
        "test_proofs_fail:test_a_backup_that_is_another_when_it_is_read_back_is_not_called_well",
        "test_killed:test_a_copy_is_whole_or_not_there_and_the_database_is_untouched",
    ),
    "integrity-check": Proofs(
        _LOOKED,
        "test_rows:test_a_database_that_is_gone_is_a_sentence",
        ASKS_NOBODY,
        "test_database:test_a_check_says_of_each_table_what_is_with_it",
        "test_rows:test_one_that_was_killed_is_told_of_and_can_be_done_again",
    ),
    "restore-database": Proofs(
        "test_database:test_a_restore_while_the_service_runs_is_refused_and_works_once_it_is_stopped",
        "test_database:test_a_restore_is_refused_while_anybody_has_the_database_open",
        "test_database:test_a_restore_brings_back_what_was_backed_up",
        "test_database:test_a_damaged_backup_is_not_restored",
        "../sqlite/test_restore:test_killed_at_any_step_the_old_or_the_new_one_is_whole_and_in_place",
    ),
    "salvage-database": Proofs(
        "test_rows:test_rows_of_the_stacks_damaged_database_come_back",
        "test_rows:test_a_database_that_is_gone_is_a_sentence",
        ASKS_NOBODY,
        "test_database:test_a_salvage_brings_rows_back_that_select_does_not",
        "test_killed:test_a_copy_is_whole_or_not_there_and_the_database_is_untouched",
    ),
}
PROOFS: Mapping[str, Proofs] = MappingProxyType(_TABLE)


def functions(module: str) -> set[str]:
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_action_has_its_row_and_every_proof_is_there() -> None:
    assert {one.name for one in act.known()} == PROOFS.keys()
    cited = {proof for row in PROOFS.values() for proof in vars(row).values() if ":" in proof}
    missing = [one for one in sorted(cited) if one.partition(":")[2] not in functions(one.partition(":")[0])]
    assert missing == []


@pytest.mark.parametrize("name", [name for name, row in PROOFS.items() if row.refused == ASKS_NOBODY])
def test_what_asks_nobody_changes_nothing(name: str) -> None:
    assert not act.find(name).changes


KEY = "sk-a-made-up-key-of-this-test"
SLOW = "SELECT content FROM messages WHERE provider = 'provider-alpha' AND role = 'assistant'"


def configure(folder: Path, *lines: str, instead: tuple[str, str] = ("", "")) -> None:
    settings = folder / "irkit.toml"
    settings.write_text("\n".join([settings.read_text().replace(*instead), *lines]) + "\n")
    settings.chmod(0o600)


def with_a_key(folder: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    urls = f'key_urls = {{ alpha = "{stack.url}/api/health" }}'
    configure(folder, "[providers]", urls, 'key_env = { alpha = "MADE_UP_KEY" }')


def slow_query(folder: Path) -> None:
    line = f"WARNING slow query took 1200 ms: {SLOW}"
    row = {"at": BEGAN + timedelta(seconds=1), "service": API_SERVICE, "name": "api", "stream": "stdout", "line": line}
    sealed(folder / ".irkit", {"logs": [row], "containers": []})


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (("check-database",), "1 database can be connected to and read"),
        (("integrity-check",), "whole    messages"),
        (("check-api-key", "alpha"), "takes the key of MADE_UP_KEY (200)"),
    ],
)
def test_a_look_at_the_stack_finds_it_well(
    action: tuple[str, ...], sentence: str, irkit: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_key(tmp_path, stack, monkeypatch)
    said = irkit("act", "42", *action, "--apply")
    assert said.code == 0, said.err
    assert sentence in said.out
    assert acts()[-1].data["well"] is True
    assert KEY not in said.out + said.err + "".join(f"{one.text}{one.data}" for one in acts())


def test_a_slow_query_of_the_stack_is_explained_beside_its_database(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    slow_query(tmp_path)
    said = irkit("act", "42", "explain-queries", "--apply")
    assert said.code == 0, said.err
    assert "1 slow query measured on a copy" in said.out
    assert acts()[-1].data["outcome"] == "done"
    with closing(sqlite3.connect(f"file:{stack.database_path}?mode=ro", uri=True)) as live:
        indexes = {name for (name,) in live.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert indexes == {"messages_conversation", "provider_calls_provider"}, "the live file has got none"


def test_the_stacks_cache_is_flushed_and_its_rate_limits_stay(irkit: Run, stack: Stack) -> None:
    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.mset({f"cache:answer:{number}": number for number in range(700)})
        server.set("ratelimit:provider:made-up", 7, ex=600)
        others = server.dbsize() - 700
        target = stack.redis_url.partition("://")[2]
        whole = irkit("act", "42", "flush-cache", *DO, "--target", target)
        assert whole.code == 8
        assert "ratelimit: (" in whole.err
        said = irkit("act", "42", "flush-cache", "-p", "prefix", "cache:", *DO, "--target", target)
        assert said.code == 0, said.err
        assert server.dbsize() >= others
        assert server.exists("ratelimit:provider:made-up")
        assert not server.keys("cache:*")
        server.delete("ratelimit:provider:made-up")


def test_a_cache_that_fills_again_is_not_called_flushed(irkit: Run, stack: Stack) -> None:
    over, place = threading.Event(), urlsplit(stack.redis_url)

    def fill() -> None:
        # faster than the server can take it, so that between any two questions of another client it has some to do
        with socket.create_connection((str(place.hostname), int(place.port or 0))) as service:
            service.sendall(b"CLIENT REPLY OFF\r\n")
            while not over.is_set():
                service.sendall(b"SET cache:hot 1\r\n" * 10_000)
            service.sendall(b"CLIENT REPLY ON\r\n")
            assert service.recv(64) == b"+OK\r\n"  # all that was sent before is done

    with closing(redis.Redis.from_url(stack.redis_url)) as server:
        server.set("cache:hot", 1)
        service = threading.Thread(target=fill)
        service.start()
        target = stack.redis_url.partition("://")[2]
        try:
            said = irkit("act", "42", "flush-cache", "-p", "prefix", "cache:", *DO, "--target", target)
        finally:
            over.set()
            service.join()
            server.delete("cache:hot")
    assert said.code == 8
    assert "done, but it did not help" in said.err


def test_more_containers_that_do_not_help_are_not_called_well(irkit: Run, stack: Stack) -> None:
    with stack.broken("api-answers-500"):
        said = irkit("act", "42", "scale", "provider-alpha", "1", *DO, "-p", "patience", "1")
    assert said.code == 8
    assert "1 of 1 run" in said.err
    assert "done, but it did not help" in said.err
    assert acts()[-1].data["verified"] is False


def test_rows_of_the_stacks_damaged_database_come_back(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    copy = tmp_path / "damaged.db"
    assert irkit("act", "42", "backup-database", *DO, "-p", "to", str(copy)).code == 0
    sound = {one.name: one.rows for one in check(copy).tables}
    files.overwrite(copy, (files.root_page(copy, "messages_conversation") - 1) * 4096, bytes(4096))
    assert not check(copy).whole
    configure(tmp_path, instead=(str(stack.database_path), str(copy)))
    said = irkit("act", "42", "salvage-database", *DO, "-p", "to", "made.db")
    assert said.code == 0, said.err
    assert {one.name: one.rows for one in check(tmp_path / "made.db").tables} == sound


@pytest.mark.parametrize("action", ["explain-queries", "integrity-check", "salvage-database"])
def test_a_database_that_is_gone_is_a_sentence(action: str, irkit: Run, stack: Stack, tmp_path: Path) -> None:
    slow_query(tmp_path)
    configure(tmp_path, instead=(str(stack.database_path), "gone.db"))
    said = irkit("act", "42", action, *DO)
    assert said.code == 8
    assert "no database at" in said.err


def test_a_limit_in_a_redis_that_is_gone_is_a_sentence(irkit: Run, stack: Stack, tmp_path: Path) -> None:
    configure(tmp_path, instead=(stack.redis_url, f"redis://127.0.0.1:{free_port()}/0"))
    said = irkit("act", "42", "wait-ratelimit", "alpha", "--apply")
    assert said.code == 8
    assert "nothing listens for Redis" in said.err


@pytest.mark.parametrize(
    "action", [("scale", "provider-alpha", "2"), ("switch-provider", "provider-beta"), ("stop-all",)]
)
def test_nothing_is_changed_that_nobody_confirms(
    action: tuple[str, ...], irkit: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, "[providers]", 'switch_command = "touch switched"')
    before = stack.container("provider-alpha").attrs["State"]["StartedAt"]
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        said = irkit("act", "42", *action, "--apply")
    assert (said.code, acts()) == (2, [])
    assert "nobody is there to confirm it; nothing was done" in said.err
    assert irkit("act", "42", *action, *DO, "--target", "another").code == 2
    assert stack.container("provider-alpha").attrs["State"]["StartedAt"] == before
    assert not (tmp_path / "switched").exists()


# the start is on record: what comes next is the first thing that the action does
AT_ITS_START = """
import os, signal, sys
from irkit import cli, store
append = store.Store.append_if
def and_die(self, *args, **given):
    event = append(self, *args, **given)
    if (given.get("data") or {}).get("outcome") == "begun":
        os.kill(os.getpid(), signal.SIGKILL)
    return event
store.Store.append_if = and_die
cli.main()
"""


def told_and_done_again(irkit: Run, *action: str) -> None:
    assert [one.data["outcome"] for one in acts()][-1] == "begun"
    told = " ".join(irkit("act", "42").out.split())
    assert action[0] in told
    assert "was killed half-way" in told
    again = irkit("act", "42", *action)
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    "action", [("check-database",), ("integrity-check",), ("explain-queries",), ("check-api-key", "alpha")]
)
def test_one_that_was_killed_is_told_of_and_can_be_done_again(
    action: tuple[str, ...], irkit: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_key(tmp_path, stack, monkeypatch)
    slow_query(tmp_path)
    argv = [sys.executable, "-c", AT_ITS_START, "act", "42", *action, "--apply"]
    died = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    told_and_done_again(irkit, *action, "--apply")


def test_a_restart_a_scale_and_a_start_that_were_killed_are_told_of_and_done_again(irkit: Run, stack: Stack) -> None:
    def killed_once(when: Callable[[], bool], *action: str) -> None:
        argv = [
            sys.executable,
            "-c",
            "from irkit.cli import main; main()",
            "act",
            "42",
            *action,
            *DO,
            "-p",
            "hold",
            "60",
        ]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as half:
            wait_until(when, f"{action[0]} is half done")
            half.send_signal(signal.SIGKILL)
        assert half.returncode == -signal.SIGKILL
        told_and_done_again(irkit, *action, *DO, *QUICK)

    try:
        since = stack.container("provider-beta").attrs["State"]["StartedAt"]
        killed_once(
            lambda: stack.container("provider-beta").attrs["State"]["StartedAt"] != since, "restart", "provider-beta"
        )
        killed_once(lambda: stack.count("provider-alpha") == 2, "scale", "provider-alpha", "2")
        stack.compose("up", "--detach", "--scale", "provider-alpha=1")
        assert irkit("act", "42", "stop-all", *DO, "--target", stack.project).code == 0
        with Path(os.devnull).open() as nobody, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", nobody)
            assert irkit("act", "42", "start-all", "--apply").code == 2
        killed_once(lambda: stack.container("redis").status == "running", "start-all")
        assert stack.health().status == 200
    finally:
        stack.repair()
