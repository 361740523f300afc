"""What follows an incident, by the commands alone."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from icalendar import Calendar

from irkit import conclusions, reviewing, runbook, workspace
from irkit.followup import action_items
from tests.support.channel_servers import Mailbox
from tests.support.command_line import Run, runner


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mailbox: Mailbox) -> Run:
    """Run a command in a git repository with a runbook of its own and a mail server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/runbook.md").write_text(runbook.load().text)
    subprocess.run(["git", "init", "-q", "."], check=True, cwd=tmp_path)
    (tmp_path / "irkit.toml").write_text(
        f'runbook = "ops/runbook.md"\n[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n'
        f'[email]\nurl = "smtp://127.0.0.1:{mailbox.port}"\nsender = "irkit@example.com"\nto = ["team@example.com"]\n'
    )
    return runner(monkeypatch, capsys)


def resolved(irkit: Run, kind: str = "api-unresponsive") -> None:
    irkit("open", "Checkout is down", "--type", kind, "--id", "42", "--no-escalation")
    irkit("mitigate", "42", "put the old certificate back")
    irkit("resolve", "42", "deployed 1.4.2")


def test_opening_names_what_is_open_of_its_type_and_what_mended_the_last(irkit: Run) -> None:
    assert "same type" not in irkit("open", "Down", "--type", "api-unresponsive", "--no-escalation").out
    second = irkit("open", "Down again", "--type", "api-unresponsive", "--no-escalation").out
    assert "INC-1 of the same type is open since" in second
    assert "same type" not in irkit("open", "Slow", "--type", "high-latency", "--no-escalation").out
    irkit("dismiss", "1", "a test")
    irkit("mitigate", "2", "put the index back")
    irkit("resolve", "2", "deployed 1.4.2")
    third = " ".join(irkit("open", "Down once more", "--type", "api-unresponsive", "--no-escalation").out.split())
    assert "INC-2 of the same type was mended" in third
    assert "before by: put the index back" in third
    assert "INC-1 " not in third, "a false alarm"


def test_what_was_mended_long_ago_is_not_named_on_opening(irkit: Run) -> None:
    irkit("open", "Down", "--type", "api-unresponsive", "--no-escalation", "--at", "3 days ago")
    irkit("mitigate", "1", "put the index back", "--at", "2 days ago")
    irkit("resolve", "1", "deployed", "--at", "2 days ago")
    assert "same type" not in irkit("open", "Down", "--type", "api-unresponsive", "--no-escalation").out


def states(said: str) -> dict[str, str]:
    """How each step of the table stands."""
    rows = [line.split() for line in said.splitlines() if line[1:2].isdigit()]
    return {row[0]: row[1] for row in rows}


def test_the_four_steps_are_due_then_done(irkit: Run, mailbox: Mailbox, tmp_path: Path) -> None:
    resolved(irkit)
    said = irkit("follow-up", "42").out
    assert states(said) == {"1": "due", "2": "due", "3": "due", "4": "due"}
    for words in ("irkit lint 42", "irkit runbook propose 42", "irkit alert-rule 42", "irkit meeting 42"):
        assert words in said
    assert irkit("meeting", "42", "--send").code == 0
    for step, left in (("1", "things of the report are left to mend"), ("2", "changes of the runbook are proposed")):
        refused = irkit("follow-up", "42", "--done", step)
        assert refused.code == 2
        assert left in refused.err
        assert f'irkit follow-up 42 --done {step} "why"' in " ".join(refused.err.split())
    assert states(irkit("follow-up", "42").out)["2"] == "due"
    said = irkit("follow-up", "42", "--done", "2", "merged").out
    assert states(said) == {"1": "due", "2": "done", "3": "due", "4": "done"}
    refused = irkit("follow-up", "42", "--skipped", "3")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "irkit: why was step 3 skipped?")
    assert irkit("follow-up", "42", "--done", "9").code == 2


def test_the_patch_is_taken_by_git_and_the_runbook_is_as_proposed(irkit: Run, tmp_path: Path) -> None:
    resolved(irkit)
    said = irkit("runbook", "propose", "42")
    assert said.code == 0
    subprocess.run(["git", "apply"], input=said.out.encode(), cwd=tmp_path, check=True)
    changed = (tmp_path / "ops/runbook.md").read_text()
    assert 'redis-cli --scan --pattern "ratelimit:provider:*"' in changed
    assert "4. What helped in INC-42: put the old certificate back" in changed
    again = irkit("runbook", "propose", "42")
    assert again.out == ""
    said = f"irkit: INC-42 suggests no change to the runbook ({tmp_path}/ops/runbook.md), or it is made already\n"
    assert again.err == f"{said}  → irkit follow-up 42 --done 2\n"
    left = irkit("follow-up", "42").out
    assert "nothing is left to be proposed" in left
    assert "irkit runbook propose" not in left
    assert "→ irkit follow-up 42 --done 2" in left


def test_the_alert_and_its_unit_test_are_files_promtool_passes(irkit: Run, tmp_path: Path) -> None:
    resolved(irkit)
    said = irkit("alert-rule", "42", "--to", "alerts")
    assert said.code == 0
    command = ["promtool", "test", "rules", "irkit-inc-42.test.yml"]
    done = subprocess.run(command, cwd=tmp_path / "alerts", check=True, capture_output=True, text=True)
    assert "SUCCESS" in done.stdout
    assert "irkit follow-up 42 --done 3" in said.out


def test_an_invitation_is_sent_once_and_moved_when_told(irkit: Run, mailbox: Mailbox, tmp_path: Path) -> None:
    resolved(irkit)
    assert "Nobody is invited yet" in irkit("meeting", "42").out
    assert mailbox.mails == []
    assert len(Calendar.from_ical((tmp_path / "postmortem-42.ics").read_bytes()).walk("VEVENT")) == 1
    assert irkit("meeting", "42", "--send").code == 0
    refused = irkit("meeting", "42", "--send")
    assert (refused.code, "invited already" in refused.err) == (2, True)
    assert irkit("meeting", "42", "--send", "--at", "2099-01-05T10:00Z").code == 0
    assert irkit("meeting", "42", "--at", "2020-01-05T10:00Z").code == 2
    uids = set()
    for envelope in mailbox.mails:
        text = bytes(envelope.original_content or b"").decode()
        uids |= {line for line in text.splitlines() if line.startswith("Message-ID")}
    assert (len(mailbox.mails), len(uids)) == (2, 2)


def test_where_the_runbook_wants_no_meeting_it_says_so(irkit: Run, mailbox: Mailbox) -> None:
    resolved(irkit, "memory-leak")
    refused = irkit("meeting", "42", "--send")
    assert refused.code == 2
    assert "the runbook wants no meeting for severity Medium: Schedule postmortem if Critical/High" in refused.err
    assert "not needed" in irkit("follow-up", "42").out
    assert irkit("meeting", "42", "--send", "--anyway").code == 0
    assert len(mailbox.mails) == 1


def test_lint_fails_until_there_is_nothing_to_mend(irkit: Run) -> None:
    resolved(irkit)
    said = irkit("lint", "42")
    assert said.code == 1
    flat = " ".join(said.out.split())
    for words in ("nobody says who could not do what", "no evidence was collected", "nothing is promised"):
        assert words in flat
    assert irkit("action-item", "add", "42", "Alert on it", "--owner", "ana").code == 2
    added = irkit(
        "action-item", "add", "42", "Alert on it", "--owner", "ana", "--due", "2 weeks", "--done-when", "it pages"
    )
    assert (added.code, added.out.split(",")[0]) == (0, "Action item 42.1")
    assert "nothing is promised" not in irkit("lint", "42").out


def test_action_items_are_listed_done_and_remembered(irkit: Run) -> None:
    resolved(irkit)
    irkit("action-item", "add", "42", "Alert on it", "--owner", "ana", "--due", "2 weeks")
    listed = irkit("action-item", "list").out
    assert "42.1" in listed
    assert "1 to be done, 0 done." in listed
    assert irkit("action-item", "done", "42", "1", "see #14").out == "Done: Alert on it\n"
    assert irkit("action-item", "list").out == "0 to be done, 1 done.\n"
    assert "done" in irkit("action-item", "list", "42", "--all").out
    assert irkit("action-item", "done", "42", "1").code == 2


def test_a_new_incident_is_told_what_was_promised_and_is_overdue_but_for_drills(irkit: Run) -> None:
    resolved(irkit, "memory-leak")
    irkit("drill", "memory-leak", "--id", "43")
    store = workspace.store()
    for number, text in ((42, "Bound the cache"), (43, "Practise it")):
        due = datetime(2026, 1, 1, tzinfo=UTC)
        action_items.add(store, number, text, owner="ana", due=due, criterion="", kind="prevent", actor="ana")
    said = irkit("open", "It grows again", "--type", "memory-leak", "--no-escalation").out
    assert "Promised after INC-42" in said
    assert "overdue: Bound the cache (ana)" in said
    assert "Practise it" not in said


def test_evidence_that_is_damaged_or_gone_is_a_lack(irkit: Run, tmp_path: Path) -> None:
    resolved(irkit)
    for _ in range(2):
        assert irkit("collect", "42").code in {0, 6}
    told = " ".join(irkit("lint", "42").out.split())
    assert "cannot be trusted" not in told
    assert "is gone" not in told
    first, second = sorted((tmp_path / ".irkit/bundles/INC-42").iterdir())
    [table, *_] = sorted(second.rglob("*.parquet"))
    table.write_bytes(table.read_bytes() + b"0")
    shutil.move(first, tmp_path / first.name)
    for _ in range(2):
        told = "".join(irkit("lint", "42").out.split())
        assert f"bundle{second.name}cannotbetrusted:{table.relative_to(second)}waschangedaftersealing" in told
        assert f"evidenceisgone:thetimelinetellsofbundle{first.name}" in told
        # known as well of an incident of which nobody needs the evidence to say when it began
        irkit("amend", "42", "started_at", "1h ago")
    assert f"tells of bundle {first.name}" in irkit("show", "42").err
    shutil.move(tmp_path / first.name, first.with_name(f"{first.name}-redacted"))
    assert "is gone" not in irkit("lint", "42").out


def test_a_false_alarm_is_over_at_once_and_wants_no_postmortem(irkit: Run, tmp_path: Path) -> None:
    resolved(irkit)
    irkit("open", "Probe says down", "--type", "api-unresponsive", "--id", "43", "--no-escalation")
    refused = irkit("dismiss", "43")
    assert (refused.code, refused.out) == (2, "")
    said = irkit("dismiss", "43", "the probe had yesterday's address")
    assert said.code == 0
    assert "closed" in said.out
    assert "INC-43" not in irkit("lint", "43").out
    assert irkit("lint", "43").code == 0
    store = workspace.store()
    alike = conclusions.alike(store.incident(42), store.timeline(42), store.incidents(), store)
    assert alike == (), "of a false alarm nothing happened that could happen again"
    figures = {one.name: one.value for one in reviewing.review().overview.figures}
    assert (figures["Incidents"], figures["False alarms"]) == ("1", "1")
    made = irkit("postmortem", "43", "--collect", "never")
    page = (tmp_path / "postmortem-43.html").read_text(encoding="utf-8")
    assert made.code == 0
    told = BeautifulSoup(page, "html.parser").find("dl", class_="told")
    assert told is not None
    assert told.get_text(" ", strip=True) == "False alarm the probe had yesterday's address"
    assert "nothing follows but what keeps it from coming again" in irkit("follow-up", "43").out
    assert "To be written" not in page
    assert "parts written" not in page
    irkit("reopen", "43", "it was none")
    irkit("drill", "api-unresponsive", "--id", "44")
    irkit("reopen", "44", "to be dismissed")
    said = irkit("dismiss", "44", "we thought so")
    assert said.code == 0, "the person knows better"
    assert "the evidence of INC-44 shows “Health check failing”" in said.err
    assert irkit("lint", "43").code != 0
    assert irkit("dismiss", "42", "no").code == 2, "it is resolved already"
