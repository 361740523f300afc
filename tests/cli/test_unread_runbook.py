"""A slip in the team's own runbook in the middle of an incident: nothing stops but the telling of people."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from irkit import notebooks, workspace
from irkit.model import EventKind
from tests.support.channel_servers import Service, alerts
from tests.support.command_line import Run, runner
from tests.support.escalation import ROUTING_KEY

SOUND = """# Ours

| Severity | Response Time | Escalation |
|-|-|-|
| Sev1 | 7 minutes | Page the cavalry |
| Low | 3 days | Chat |

## Checkout Stuck (Sev1)

**Diagnosis:**
```bash
curl http://127.0.0.1:1/health
```

**Resolution:**
1. Call the bank

## Contacts

| Role | Channel | When |
|-|-|-|
| Cavalry | Pager | Always |
"""
BROKEN = SOUND.replace("## Contacts", "## Checkout Stuck (Sev1)\n\n## Contacts")


def unusable(name: str, path: Path) -> None:
    """Put something in the place of a runbook that cannot be used as one."""
    path.unlink(missing_ok=True)
    if name == "duplicate":
        path.write_text(BROKEN)
    elif name == "empty":
        path.write_text("broken\n")
    elif name == "not UTF-8":
        path.write_bytes(SOUND.encode() + b"\xff\n")
    elif name == "folder":
        path.mkdir()
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "device":
        path.symlink_to("/dev/zero")
    elif name == "large":
        path.write_text("x" * 1_000_001)


UNUSABLE = {
    "duplicate": "cannot be used as a runbook: line",
    "empty": "cannot be used as a runbook: line",
    "not UTF-8": "is not UTF-8: line",
    "gone": "cannot be read: No such file",
    "folder": "cannot be read: Is a directory",
    "pipe": "is no plain file",
    "device": "is no plain file",
    "large": "is larger than 1 MB",
}


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command beside incident 1, of the team's own type and severity, opened while its runbook was sound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "irkit.toml").write_text(f'runbook = "ours.md"\n[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n')
    (tmp_path / "irkit.toml").chmod(0o600)
    (tmp_path / "ours.md").write_text(SOUND)
    run = runner(monkeypatch, capsys)
    said = run("open", "Nobody can pay", "--type", "checkout-stuck", "--id", "1")
    assert (said.code, said.err) == (0, "")
    return run


@pytest.fixture
def paged(irkit: Run, tmp_path: Path, pagerduty: tuple[Service, Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    server, certificate = pagerduty
    monkeypatch.setenv("PAGERDUTY_KEY", ROUTING_KEY)
    with (tmp_path / "irkit.toml").open("a") as file:
        file.write(f'[pagerduty]\nrouting_key = "env:PAGERDUTY_KEY"\nurl = "{server.url}"\nca_file = "{certificate}"\n')
        file.write("[escalation]\nattempts = 2\nfirst_wait_s = 0.01\ntimeout_s = 2\n")
    return irkit


@pytest.mark.parametrize("name", UNUSABLE)
def test_it_stops_no_command_of_an_incident_and_each_says_it(irkit: Run, tmp_path: Path, name: str) -> None:
    unusable(name, tmp_path / "ours.md")
    for command in (
        ("list",),
        ("show", "1"),
        ("note", "1", "the bank says it is us"),
        ("ack", "1"),
        ("collect", "1"),
        ("triage", "1"),
        ("act", "1"),
        ("mitigate", "1", "called them"),
        ("resolve", "1", "they mended it"),
        ("record", "--unit"),
    ):
        said = irkit(*command)
        assert said.code in {0, 6}, (command, said.err)
        assert UNUSABLE[name] in said.err
        assert "until then the built-in one holds, nobody is told by it" in said.err
        assert said.err.count("the built-in one holds") == 1
    kinds = [event.kind for event in workspace.timeline(workspace.incident(1))]
    assert {EventKind.EVIDENCE, EventKind.ACKNOWLEDGED, EventKind.MITIGATED, EventKind.RESOLVED} <= set(kinds)


def test_what_was_filed_by_it_keeps_its_type_its_severity_and_its_response_time(irkit: Run, tmp_path: Path) -> None:
    unusable("duplicate", tmp_path / "ours.md")
    said = irkit("show", "1")
    assert "checkout-stuck, severity Sev1" in said.out
    assert "of 7 min left" in said.out or "7 min were up" in said.out
    assert "checkout-stuck" in irkit("list").out
    assert "Immediate page" not in said.out
    assert "tell" in said.out
    assert "unknown: your own runbook cannot be used" in said.out
    one = workspace.incident(1)
    assert (one.type, one.severity) == ("checkout-stuck", "Sev1")
    irkit("ack", "1")
    assert workspace.incident(1).response_time == one.response_time


def test_its_own_names_are_taken_and_nothing_is_promised_by_the_built_in_one(irkit: Run, tmp_path: Path) -> None:
    unusable("duplicate", tmp_path / "ours.md")
    said = irkit("open", "Again", "--type", "Checkout Stuck", "--severity", "Sev1", "--id", "2")
    assert said.code == 0, said.err
    assert "irkit tells nobody, as no channel is configured" in said.out
    assert "whom, only your runbook says" in said.out
    two = workspace.incident(2)
    assert (two.type, two.severity, two.response_time) == ("checkout-stuck", "Sev1", None)
    assert irkit("amend", "2", "type", "api-unresponsive").code == 0
    assert irkit("amend", "2", "type", "checkout-stuck").code == 0
    refused = irkit("amend", "2", "severity", "Low")
    assert refused.code == 2
    assert "which response time a severity has is not known" in refused.err
    (tmp_path / "ours.md").write_text(SOUND)
    assert "of 7 min left" in irkit("show", "2").out


def test_its_steps_are_not_recorded_by_the_built_in_one_s_numbers(irkit: Run, tmp_path: Path) -> None:
    unusable("duplicate", tmp_path / "ours.md")
    for command in (
        ("step", "1", "1", "--done"),
        ("follow-up", "1", "--skipped", "1", "not wanted"),
        ("runbook", "propose", "1"),
    ):
        refused = irkit(*command)
        assert refused.code == 2, command
        assert "cannot be used as a runbook:\n  line" in refused.err


def test_what_only_its_commands_name_is_not_looked_at_as_the_built_in_one_has_it(irkit: Run, tmp_path: Path) -> None:
    assert workspace.load_settings().http.health_url == "http://127.0.0.1:1/health"
    unusable("duplicate", tmp_path / "ours.md")
    settings = workspace.load_settings()
    assert (settings.http.health_url, settings.redis.url.reveal(), settings.sqlite.path, settings.service) == ("",) * 4
    assert irkit("collect", "1").code in {0, 6}


def test_nobody_is_told_by_the_built_in_one_and_it_is_filed_all_the_same(
    paged: Run, tmp_path: Path, pagerduty: tuple[Service, Path]
) -> None:
    unusable("duplicate", tmp_path / "ours.md")
    said = paged("open", "Again", "--type", "checkout-stuck", "--id", "2")
    assert said.code == 7
    assert "nobody is told of INC-2" in said.err
    assert "cannot be used as a runbook: line" in said.err
    assert "Next: irkit collect 2" in said.out
    (row,) = [event for event in workspace.timeline(workspace.incident(2)) if event.kind is EventKind.ESCALATION]
    assert row.text.startswith("Nobody is told by irkit: ")
    for command in (("escalate", "2"), ("escalate", "2", "--dry-run"), ("watch", "--once")):
        refused = paged(*command)
        assert refused.code == 7, command
        assert "cannot be used as a runbook: line" in refused.err
    assert not alerts(pagerduty[0].taken)
    (tmp_path / "ours.md").write_text(SOUND)
    assert paged("watch", "--once").code == 0
    assert alerts(pagerduty[0].taken)


def test_who_was_told_before_it_broke_hears_that_it_is_answered(
    paged: Run, tmp_path: Path, pagerduty: tuple[Service, Path]
) -> None:
    assert paged("open", "Again", "--type", "checkout-stuck", "--id", "2").code == 0
    unusable("pipe", tmp_path / "ours.md")
    assert paged("ack", "2").code == 0
    assert [each["event_action"] for each in pagerduty[0].taken] == ["trigger", "acknowledge"]


def test_without_escalation_nothing_is_wrong_with_opening_one(paged: Run, tmp_path: Path) -> None:
    unusable("duplicate", tmp_path / "ours.md")
    assert paged("open", "Again", "--id", "2", "--no-escalation").code == 0


@pytest.mark.parametrize("name", UNUSABLE)
def test_the_commands_about_it_say_it_in_full(irkit: Run, tmp_path: Path, name: str) -> None:
    unusable(name, tmp_path / "ours.md")
    assert irkit("runbook", "check", "ours.md").code != 0
    said = irkit("doctor")
    assert said.code == 1
    assert UNUSABLE[name].removesuffix(": line") in " ".join(said.out.split())
    shown = irkit("runbook")
    assert shown.code == 0
    assert "built in, as" in shown.out


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("postmortem", ("-p", "incident_id", "1", "-p", "collect", "never")),
        ("review", ("-p", "incident_type", "checkout-stuck")),
    ],
)
def test_a_notebook_run_without_irkit_says_it_on_its_first_screen(
    irkit: Run, tmp_path: Path, name: str, parameters: tuple[str, ...]
) -> None:
    del irkit
    unusable("duplicate", tmp_path / "ours.md")
    source, made = notebooks.find(name), tmp_path / "made.ipynb"
    papermill = shutil.which("papermill") or str(Path(sys.executable).with_name("papermill"))
    done = subprocess.run(
        [papermill, str(source), str(made), *parameters], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = made.read_text(encoding="utf-8")
    assert "Traceback" not in told
    assert "cannot be used as a runbook: line" in told
    assert "The built-in runbook stands in for it" in told


def test_a_sound_one_is_complained_of_by_nothing(irkit: Run) -> None:
    for command in (("list",), ("show", "1"), ("triage", "1")):
        assert "runbook" not in irkit(*command).err
