"""One Critical incident from the page to the closed postmortem, played with `irkit` commands alone on a real stack."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from icalendar import Calendar

from irkit import runbook
from tests.stack.stack import Stack
from tests.support.channel_servers import Mailbox, Service, alerts
from tests.support.command_line import Run, runner
from tests.support.escalation import ROUTING_KEY

# what the timeline of the report has to tell, in this order
STORY = (
    "Telling On-call by PagerDuty",
    "On-call told by PagerDuty",
    "Telling Backend Lead by Slack",
    "Backend Lead told by Slack",
    "Evidence collected into bundle",
    "I have it",
    "PagerDuty knows that somebody answered",
    "restart jarvis-api: begun",
    "restart jarvis-api: done and verified",
    "check-database jarvis.db: done and verified",
    "Step 3 (If persists, scale up): deviated. raised the pool from 5 to 20",
    "backup-database",
    "the API answers again",
    "the pool is bounded since 1.4.2",
    "PagerDuty knows that it is over",
    "Postmortem meeting on",
)


@dataclass(frozen=True)
class Desk:
    """A folder in which somebody on call types `irkit` commands, each of which has to work."""

    folder: Path
    run: Run

    def __call__(self, *arguments: str) -> str:
        said = self.run(*arguments)
        assert said.code == 0, f"irkit {' '.join(arguments)}\n{said.out}{said.err}"
        return said.out


@pytest.fixture
def irkit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stack: Stack,
    pagerduty: tuple[Service, Path],
    slack: Service,
    mailbox: Mailbox,
) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAGERDUTY_KEY", ROUTING_KEY)
    # a second to answer in, so that the next contact's turn comes within the test
    text = runbook.load().text.replace("| Critical | 15 min |", "| Critical | 1 s |")
    (tmp_path / "runbook.md").write_text(text)
    subprocess.run(["git", "init", "-q", "."], check=True, cwd=tmp_path)
    (tmp_path / "irkit.toml").write_text(
        f'runbook = "runbook.md"\n[docker]\nproject = "{stack.project}"\n'
        f'[http]\nhealth_url = "{stack.url}/api/health"\ntimeout_s = 2\n[redis]\nurl = "{stack.redis_url}"\n'
        f'[sqlite]\npath = "{stack.database_path}"\n[collect]\nwindow_minutes = 5\n'
        f'[pagerduty]\nrouting_key = "env:PAGERDUTY_KEY"\nurl = "{pagerduty[0].url}"\nca_file = "{pagerduty[1]}"\n'
        f'[slack]\nwebhook_url = "{slack.url}/services/T0/B0/made-up-secret"\n'
        f'[email]\nurl = "smtp://127.0.0.1:{mailbox.port}"\nsender = "irkit@example.com"\nto = ["team@example.com"]\n'
    )
    (tmp_path / "irkit.toml").chmod(0o600)
    return Desk(tmp_path, runner(monkeypatch, capsys))


def test_a_critical_incident_from_the_page_to_the_closed_postmortem(
    irkit: Desk, stack: Stack, pagerduty: tuple[Service, Path], slack: Service, mailbox: Mailbox
) -> None:
    with stack.broken("api-crashes"):
        irkit("open", "Chat does not answer", "--type", "api-unresponsive", "--id", "42")
        while not slack.taken:  # nobody answers, and the response time passes
            irkit("watch", "--once")
        irkit("collect", "42")
        irkit("ack", "42", "I have it")
        irkit("watch", "--once")
        stack.undo()
        irkit("act", "42", "restart", "jarvis-api", "--apply", "--yes", "-p", "hold", "1")
    irkit("act", "42", "check-database", "--apply")
    refused = irkit.run("act", "42", "scale", "jarvis-api", "3", "--apply", "--yes")
    assert refused.code == 8, "its port of the host is one container's"
    irkit("step", "42", "3", "--deviated", "raised the pool from 5 to 20")
    irkit("act", "42", "backup-database", "--apply", "--yes")
    irkit("mitigate", "42", "the API answers again")
    irkit("resolve", "42", "the pool is bounded since 1.4.2")
    assert list(alerts(pagerduty[0].taken).values()) == ["resolve"]
    assert len(slack.taken) == 1, "DevOps is not told once somebody answered"

    irkit("note", "42", "--section", "impact", "All 20 users of the test could not chat for a minute.")
    promise = ("--owner", "ana", "--due", "2 weeks", "--done-when", "it pages")
    irkit("action-item", "add", "42", "Alert on a full pool", *promise)
    patch = irkit("runbook", "propose", "42")
    subprocess.run(["git", "apply"], input=patch.encode(), check=True, cwd=irkit.folder)
    irkit("follow-up", "42", "--done", "2", "applied")
    irkit("alert-rule", "42")
    tested = ["promtool", "test", "rules", "irkit-inc-42.test.yml"]
    subprocess.run(tested, check=True, cwd=irkit.folder, capture_output=True)
    irkit("follow-up", "42", "--done", "3")
    irkit("meeting", "42", "--send")
    assert len(Calendar.from_ical((irkit.folder / "postmortem-42.ics").read_bytes()).walk("VEVENT")) == 1
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["team@example.com"]]
    lacking = irkit.run("lint", "42")
    assert lacking.code == 1
    assert "nothing is promised" not in lacking.out
    irkit("postmortem", "42")
    irkit("close", "42")
    told(irkit.folder / "postmortem-42.html")


def told(page: Path) -> None:
    """The report's timeline has every page, acknowledgement, step and deviation in order, and no secret."""
    html = page.read_text(encoding="utf-8")
    soup = BeautifulSoup(html, "html.parser")
    rows = [row.get_text(" ", strip=True) for row in soup.select("table.timeline tbody tr:not(.phase)")]
    assert [words for words in STORY if not any(words in row for row in rows)] == []
    places = [next(index for index, row in enumerate(rows) if words in row) for words in STORY]
    assert places == sorted(places)
    text = soup.get_text(" ", strip=True)
    for words in ("Alert on a full pool", "Proposed alert", "HealthCheckFailing"):
        assert words in text
    assert "Proposed runbook edit" not in text, "the patch was applied before"
    for secret in ("made-up-secret", ROUTING_KEY):
        assert secret not in html
