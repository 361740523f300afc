"""The doctor: what works, what does not, what to do; and that looking leaves no trace."""

from __future__ import annotations

import platform
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.doctor import Check, State, conclusion, examine, healthy
from irkit.memory import agent
from irkit.recorder.history import Sample, encode
from irkit.recorder.ring import Record, Ring
from irkit.redact import Redactor
from irkit.runbook import load as load_runbook
from tests.cli.test_commands import Run, irkit
from tests.stack.stack import Stack
from tests.support.channel_servers import mail_server
from tests.support.http_servers import free_port

__all__ = ["irkit"]

Examined = Callable[..., dict[str, Check]]


@pytest.fixture
def examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examined:
    """Examine a folder whose irkit.toml holds the given text, on top of sources that nobody answers for."""
    for name in ("DOCKER_HOST", "IRKIT_HOME", "IRKIT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    nowhere = f'[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n'

    def run(text: str = "", *, sources: str = nowhere) -> dict[str, Check]:
        (tmp_path / "irkit.toml").write_text(text + "\n" + sources)
        (tmp_path / "irkit.toml").chmod(0o600)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        checks = examine(tmp_path, datetime.now(UTC))
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        assert all(check.hint for check in checks if check.state is State.BROKEN)
        return {check.name: check for check in checks}

    return run


def test_a_sound_stack_is_sound(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IRKIT_HOME", raising=False)
    checks = examine(stack.directory, datetime.now(UTC))
    assert [check for check in checks if check.state is State.BROKEN] == []
    assert healthy(checks)
    states = {check.name: check.state for check in checks}
    for name in ("irkit.toml", "home", "runbook", "compose-services", "http-health", "redis-info", "sqlite-statistics"):
        assert states[name] is State.OK, name
    for name in ("plug-ins", "notebooks and page", "compose"):
        assert states[name] is State.OK, name
    assert not (stack.directory / ".irkit").exists()


def test_what_is_configured_and_does_not_answer_is_broken(examined: Examined) -> None:
    checks = examined(
        sources='[http]\nhealth_url = "http://127.0.0.1:9/health"\n[redis]\nurl = "redis://127.0.0.1:9/0"\n'
        '[sqlite]\npath = "no.db"\n[docker]\nhost = "unix:///nonexistent/docker.sock"\n'
    )
    for name in ("http-health", "redis-info", "sqlite-statistics", "compose-services"):
        assert checks[name].state is State.BROKEN, checks[name]
    assert "refused" in checks["http-health"].sentence
    assert "health_url" in checks["http-health"].hint
    assert "nothing is there" in checks["compose-services"].sentence
    assert not healthy(tuple(checks.values()))


def test_where_nothing_answers_at_an_address_that_was_only_guessed_nothing_is_set_up(
    examined: Examined, tmp_path: Path
) -> None:
    port = free_port()
    told = load_runbook().text.replace("localhost:8000", f"localhost:{port}")
    (tmp_path / "runbook.md").write_text(told, encoding="utf-8")
    check = examined(f'runbook = "{tmp_path}/runbook.md"')["http-health"]
    assert check.state is State.ABSENT
    assert f"localhost:{port}" in check.sentence
    assert "refused" in check.sentence
    assert "health_url" in check.hint


def test_a_source_that_hangs_is_broken_and_the_others_are_still_told(examined: Examined, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen(64)
        sources = f'[docker]\nhost = "unix://{tmp_path}/deaf.sock"\n'
        checks = examined("[collect]\ndeadline_s = 1\n", sources=sources)
    assert checks["compose-services"].state is State.BROKEN
    assert "deadline" in checks["compose-services"].sentence
    assert checks["runbook"].state is State.OK


def test_what_is_only_a_default_and_does_not_answer_is_no_fault(examined: Examined) -> None:
    assert examined()["sqlite-statistics"].state is State.ABSENT


def test_a_recorder_that_runs_is_seen(examined: Examined, tmp_path: Path) -> None:
    assert examined()["recorder-history"].state is State.ABSENT
    now = datetime.now(UTC)
    with Ring(tmp_path / ".irkit" / "recorder", max_size_bytes=1 << 20, max_age=timedelta(days=1)) as ring:
        for age_s in range(240, 0, -5):
            at = now - timedelta(seconds=age_s)
            ring.append(Record(at, "health", encode("health", Sample([{"at": at}]), Redactor(b"k" * 32))))
    assert examined()["recorder-history"].state in {State.OK, State.LIMITED}


def test_settings_that_cannot_be_read_are_named_and_the_rest_is_told(examined: Examined) -> None:
    checks = examined("home = 7")
    assert checks["irkit.toml"].state is State.BROKEN
    assert "irkit.toml:1: home should be a string" in checks["irkit.toml"].sentence
    assert checks["plug-ins"].state is State.OK


def test_settings_that_are_a_link_to_nothing_are_broken(tmp_path: Path, irkit: Run) -> None:
    (tmp_path / "irkit.toml").unlink(missing_ok=True)
    (tmp_path / "irkit.toml").symlink_to("not-yet")
    said = irkit("doctor")
    assert said.code == 1
    assert "leads nowhere" in " ".join(said.out.split())
    refused = irkit("list")
    assert refused.code == 2
    assert "leads nowhere: No such file or directory, so the settings are not known" in refused.err


def test_a_runbook_that_cannot_be_used_is_named(examined: Examined, tmp_path: Path) -> None:
    (tmp_path / "ours.md").write_text("# Nothing here\n")
    checks = examined('runbook = "ours.md"')
    assert checks["runbook"].state is State.BROKEN
    assert "ours.md" in checks["runbook"].sentence


def test_a_mail_server_that_does_not_answer_is_broken(examined: Examined) -> None:
    with mail_server() as mailbox:
        well = examined(f'[email]\nurl = "smtp://127.0.0.1:{mailbox.port}"\nsender = "a@b.c"\nto = ["d@b.c"]')["email"]
        assert (well.state, well.sentence) == (State.OK, "E-mail answers; nothing was sent")
        assert mailbox.mails == []
    gone = examined(f'[email]\nurl = "smtp://127.0.0.1:{free_port()}"\nsender = "a@b.c"\nto = ["d@b.c"]')["email"]
    assert gone.state is State.BROKEN
    assert "E-mail could not be reached" in gone.sentence


def test_a_mail_server_that_says_nothing_is_given_up_on(examined: Examined) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        settings = f'[escalation]\ntimeout_s = 0.3\n[email]\nurl = "smtp://u:made-up@127.0.0.1:{port}"\n'
        check = examined(settings + 'sender = "a@b.c"\nto = ["d@b.c"]')["email"]
    assert check.state is State.BROKEN
    assert "made-up" not in check.sentence


def test_of_a_channel_that_only_a_message_could_try_it_is_not_said_that_it_works(examined: Examined) -> None:
    checks = examined('[slack]\nwebhook_url = "http://127.0.0.1:1/services/T0/B0/made-up-secret"')
    assert checks["slack"].state is State.UNTRIED
    assert "not tried" in checks["slack"].sentence
    sound = tuple(check for check in checks.values() if check.state is not State.BROKEN)
    assert "1 channel could not be tried" in conclusion(sound)
    assert "All that is configured and was tried works" in conclusion(sound)


def test_no_settings_at_all_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "IRKIT_HOME", "IRKIT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    checks = {check.name: check for check in examine(tmp_path, datetime.now(UTC))}
    assert checks["irkit.toml"].state is State.ABSENT
    assert checks["incident store"].state is State.ABSENT
    # a library may keep a cache of its own
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []


def test_a_home_that_is_a_file(examined: Examined, tmp_path: Path) -> None:
    (tmp_path / ".irkit").write_text("")
    assert examined()["home"].state is State.BROKEN


def test_a_store_and_a_key_that_are_damaged(examined: Examined, tmp_path: Path) -> None:
    home = tmp_path / ".irkit"
    home.mkdir()
    (home / "irkit.db").write_bytes(b"not a database" * 100)
    (home / "redaction.key").write_bytes(b"short")
    checks = examined()
    assert checks["incident store"].state is State.BROKEN
    assert checks["redaction key"].state is State.BROKEN
    (home / "redaction.key").write_bytes(b"k" * 32)
    (home / "redaction.key").chmod(0o644)
    assert examined()["redaction key"].state is State.LIMITED


def test_a_disk_that_is_nearly_full(examined: Examined) -> None:
    """A cap no disk has room for stands in for a full disk."""
    checks = examined("[collect]\nmax_size_bytes = 1000000000000000000\n")
    assert checks["free disk"].state is State.BROKEN


def test_a_plug_in_that_is_broken(examined: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "site" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[irkit.collectors]\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    checks = examined()
    assert checks["plug-ins"].state is State.BROKEN
    assert "no_such_module" in checks["plug-ins"].sentence
    shutil.rmtree(tmp_path / "site")


def test_the_command_says_it_and_its_exit_code_too(irkit: Run, tmp_path: Path) -> None:
    said = irkit("doctor")
    assert (said.code, said.err) == (1, "")
    assert "broken" in said.out
    assert "see what is broken" in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["irkit.toml"]


def test_how_leak_suspects_are_drawn_is_told(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined()["graph of suspects"] == Check("installation", "graph of suspects", State.OK, "/usr/bin/dot")
    monkeypatch.setenv("PATH", "/nowhere")
    without = examined()["graph of suspects"]
    assert (without.state, without.sentence) == (State.ABSENT, "no Graphviz")
    assert "install graphviz" in without.hint


def test_each_setting_that_cannot_be_used_is_told_and_the_rest_is_checked(examined: Examined) -> None:
    text = "[pagerduty]\nrouting_key = 'env:NO_SUCH_KEY'\n[slack]\nwebhook_url = 7\n[collect]\ndeadline_s = 'x'\n"
    checks = examined(text + "[http]\nhealth_url = 80\n[redis]\nurl = 'redis://127.0.0.1:9/0'\n")
    for name in ("[pagerduty] routing_key", "[slack] webhook_url", "[collect] deadline_s", "[http] health_url"):
        assert checks[name].state is State.BROKEN
    assert "NO_SUCH_KEY" in checks["[pagerduty] routing_key"].sentence
    assert checks["pagerduty"].state is State.BROKEN
    assert checks["http-health"].state is State.BROKEN
    assert "should be a string" in checks["http-health"].sentence
    assert checks["runbook"].state is State.OK
    assert "nothing listens" in checks["redis-info"].sentence


@pytest.mark.skipif(agent.native() is None, reason="the heap walker is not built here")
def test_of_the_walker_it_is_said_for_which_python_it_is(examined: Examined) -> None:
    ours = ".".join(platform.python_version_tuple()[:2])
    said = f"compiled, for Python {ours}; of other versions plain Python walks"
    assert examined()["heap walker"].sentence == said
