"""Escalation as a person meets it: who was told, who was not, and what it would say."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit import doctor, workspace
from tests.support.channel_servers import Service, Status, alerts
from tests.support.command_line import Run, Said, runner
from tests.support.escalation import ROUTING_KEY

Paged = tuple[Service, Path]


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a project of its own without any channel."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "irkit.toml").write_text(f'[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n')
    (tmp_path / "irkit.toml").chmod(0o600)

    return runner(monkeypatch, capsys)


@pytest.fixture
def with_channels(irkit: Run, tmp_path: Path, pagerduty: Paged, slack: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    server, certificate = pagerduty
    monkeypatch.setenv("PAGERDUTY_KEY", ROUTING_KEY)
    with (tmp_path / "irkit.toml").open("a") as file:
        file.write(f'[pagerduty]\nrouting_key = "env:PAGERDUTY_KEY"\nurl = "{server.url}"\nca_file = "{certificate}"\n')
        file.write(f'[slack]\nwebhook_url = "{slack.url}/services/T0/B0/made-up-secret"\n')
        file.write("[escalation]\nattempts = 2\nfirst_wait_s = 0.01\ntimeout_s = 2\n")
    return irkit


def opened(irkit: Run, *more: str) -> Said:
    return irkit("open", "Checkout is down", "--type", "api-unresponsive", "--id", "42", *more)


def test_without_channels_opening_says_that_it_tells_nobody(irkit: Run) -> None:
    said = opened(irkit)
    assert said.code == 0
    assert "irkit tells nobody, as no channel is configured" in said.out
    assert "the runbook wants “Immediate page”." in " ".join(said.out.split())
    assert irkit("ack", "42").code == 0
    refused = irkit("escalate", "42", "--again")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "irkit: no channel is configured")
    assert irkit("watch", "--once").code == 7


def test_a_channel_half_configured_is_named_by_its_line_and_not_to_who_only_reads_files(
    irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    with (tmp_path / "irkit.toml").open("a") as file:
        file.write('[redis]\nurl = "redis://127.0.0.1:9/0"\n[email]\nsender = "a@b.c"\nurl = "env:NO_SUCH_URL"\n')
    said = opened(irkit)
    assert "no channel is configured" not in said.out
    assert "irkit tells nobody, as no channel can be used, as [email] lacks" in " ".join(said.out.split())
    assert "irkit.toml:7: email.url wants the environment variable NO_SUCH_URL" in " ".join(said.err.split())
    for command in (("redact", "nonesuch"), ("bundle", "export", "nonesuch")):
        assert "NO_SUCH_URL" not in irkit(*command).err


def test_opening_says_that_what_the_runbook_wants_was_not_sent(irkit: Run, tmp_path: Path, slack: Service) -> None:
    with (tmp_path / "irkit.toml").open("a") as file:
        file.write(f'[slack]\nwebhook_url = "{slack.url}/services/T0/B0/made-up-secret"\n')
    said = opened(irkit)
    assert said.code == 0
    assert "told by Slack" in said.out
    wanted = "the runbook wants “Immediate page”, which irkit could not do: [pagerduty] is not in irkit.toml"
    assert wanted in " ".join(said.err.split())
    assert "yourself" in said.err
    high = irkit("open", "Slow", "--type", "high-latency", "--severity", "High")
    assert "the runbook wants" not in high.err, "Slack is what it wants for that"


def test_opening_pages_answering_and_resolving_end_the_alert(with_channels: Run, pagerduty: Paged) -> None:
    said = opened(with_channels)
    assert said.code == 0
    assert "On-call told by PagerDuty" in said.out
    assert "the runbook wants" not in said.err
    assert "PagerDuty knows that somebody answered" in with_channels("ack", "42").out
    assert "PagerDuty knows that it is over" in with_channels("resolve", "42", "rolled back").out
    assert list(alerts(pagerduty[0].taken).values()) == ["resolve"]
    shown = with_channels("show", "42").out
    assert shown.count("escalation") >= 6
    assert "made-up-secret" not in shown
    assert ROUTING_KEY not in shown


def test_a_dry_run_shows_the_ladder_and_the_words_and_sends_nothing(
    with_channels: Run, pagerduty: Paged, slack: Service
) -> None:
    opened(with_channels, "--no-escalation", "--impact", "Nobody can pay.")
    said = with_channels("escalate", "42", "--dry-run")
    assert said.code == 0
    for words in ("Nothing is sent.", "On-call: Immediate page → pagerduty", "15 min unanswered", "Nobody can pay."):
        assert words in said.out
    assert (pagerduty[0].requests, slack.requests) == ([], [])
    assert with_channels("watch", "--once").code == 0
    assert pagerduty[0].requests == []


def test_by_hand_it_goes_from_contact_to_contact(with_channels: Run, pagerduty: Paged, slack: Service) -> None:
    opened(with_channels)
    assert "Backend Lead told by Slack" in with_channels("escalate", "42").out
    assert "DevOps told by Slack" in with_channels("escalate", "42").out
    said = with_channels("escalate", "42")
    assert (said.code, said.err.splitlines()[0]) == (2, "irkit: INC-42 has told everybody the runbook names")
    assert "On-call told by PagerDuty" in with_channels("escalate", "42", "--again").out
    assert (len(pagerduty[0].taken), len(slack.taken)) == (2, 2)


def test_where_nobody_can_be_told_opening_fails_and_the_incident_is_open(
    with_channels: Run, pagerduty: Paged, slack: Service
) -> None:
    pagerduty[0].misbehave, slack.misbehave = [Status(400, body='{"message": "no"}')], [Status(404)]
    said = opened(with_channels)
    assert said.code == 7
    assert said.err.startswith("irkit: On-call could not be told of INC-42 for certain\n  → tell them yourself;")
    assert "Next: irkit collect 42" in said.out
    assert with_channels("list").out.count("Checkout is down") == 1


def test_an_answer_counts_whatever_pagerduty_says(with_channels: Run, pagerduty: Paged) -> None:
    opened(with_channels)
    pagerduty[0].misbehave = [Status(500)] * 2
    said = with_channels("ack", "42")
    assert said.code == 7
    assert said.out.splitlines()[1].split() == ["status", "acknowledged"]
    assert "PagerDuty could not be told that INC-42 is acknowledged" in said.err


def channel_checks(folder: Path) -> dict[str, doctor.Check]:
    settings = workspace.load_settings(folder)
    return {check.name: check for check in doctor._channels(settings, workspace.load_runbook(settings))}


def test_the_doctor_says_what_is_configured_and_sends_nothing(
    with_channels: Run, tmp_path: Path, pagerduty: Paged, slack: Service
) -> None:
    states = {name: str(check.state) for name, check in channel_checks(tmp_path).items()}
    assert states == {
        "pagerduty": "untried",
        "slack": "untried",
        **dict.fromkeys(("apprise", "email", "github", "jira"), "absent"),
    }
    assert (pagerduty[0].requests, slack.requests) == ([], [])


def test_the_doctor_finds_a_channel_half_configured_and_words_of_nobody(irkit: Run, tmp_path: Path) -> None:
    text = (Path(workspace.__file__).parent / "runbook.md").read_text().replace("Immediate page", "Carrier pigeon")
    (tmp_path / "own.md").write_text(text)
    config = tmp_path / "irkit.toml"
    config.write_text(f'runbook = "own.md"\n{config.read_text()}[pagerduty]\nrouting_key = "too short"\n')
    found = channel_checks(tmp_path)
    assert found["pagerduty"].state is doctor.State.BROKEN
    assert "[pagerduty] lacks a routing_key of 9 characters" in found["pagerduty"].sentence
    assert "the runbook names what irkit has no channel for: Carrier pigeon" in found["runbook's words"].sentence


def test_a_secret_in_a_file_others_can_read_is_not_used(with_channels: Run, tmp_path: Path) -> None:
    (tmp_path / "irkit.toml").chmod(0o644)
    said = with_channels("list")
    assert said.code != 2
    assert "slack.webhook_url holds a password and the file is readable by others" in said.err
    assert "made-up-secret" not in said.err
