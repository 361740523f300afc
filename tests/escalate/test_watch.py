"""The acknowledgement clocks: the next contact after the response time, across restarts, and never twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import runbook
from irkit.escalate import tell as escalate
from irkit.escalate import watch
from irkit.escalate.contract import Purpose
from irkit.model import EventKind
from irkit.settings import Settings
from irkit.store import open_store
from tests.support.channel_servers import Request, Service, Status, alerts, slack_webhook
from tests.support.escalation import Lab, lab, pagerduty_target, slack_target

Paged = tuple[Service, Path]
LIMIT = timedelta(minutes=15)


@pytest.fixture
def there(tmp_path: Path, pagerduty: Paged, slack: Service) -> Lab:
    return lab(tmp_path / "home", pagerduty=pagerduty_target(*pagerduty), slack=slack_target(slack))


def looked(there: Lab) -> list[str]:
    """Look as a watch just started does; return what it could not do."""
    return [doubt.sentence for doubt in watch.look(there.again().case)]


def test_unanswered_it_goes_from_contact_to_contact_and_then_says_so(
    there: Lab, pagerduty: Paged, slack: Service
) -> None:
    incident = there.open()
    escalate.begin(there.case, incident.id)
    there.clock.pass_by(LIMIT - timedelta(seconds=1))
    assert looked(there) == []
    assert slack.taken == []
    there.clock.pass_by(timedelta(seconds=1))
    assert looked(there) == []
    assert ["Backend Lead" in one["text"] for one in slack.taken] == [True]
    there.clock.pass_by(LIMIT)
    looked(there)
    assert ["DevOps" in one["text"] for one in slack.taken] == [False, True]
    there.clock.pass_by(LIMIT)
    for _ in range(3):
        assert looked(there) == ["INC-1 is unanswered, and the runbook names nobody else to tell"]
    assert (len(pagerduty[0].taken), len(slack.taken)) == (1, 2)
    assert sum("names nobody else" in words for words in there.words(incident)) == 1


@pytest.mark.parametrize("kind", [EventKind.ACKNOWLEDGED, EventKind.MITIGATED, EventKind.RESOLVED])
def test_an_answer_stops_the_clock_and_pagerduty_hears_of_it(
    there: Lab, pagerduty: Paged, slack: Service, kind: EventKind
) -> None:
    incident = there.open()
    escalate.begin(there.case, incident.id)
    there.case.store.append(incident.id, kind, actor="ana", text="rolled back")
    there.clock.pass_by(LIMIT * 4)
    for _ in range(3):
        assert looked(there) == []
    assert slack.taken == []
    said = "resolve" if kind is EventKind.RESOLVED else "acknowledge"
    assert [event["event_action"] for event in pagerduty[0].taken] == ["trigger", said]


def test_an_incident_just_opened_by_whom_ever_is_told_of(there: Lab, pagerduty: Paged) -> None:
    there.open()
    assert looked(there) == []
    assert len(pagerduty[0].taken) == 1


def test_an_old_one_is_not_called_out_of_its_grave(there: Lab, pagerduty: Paged) -> None:
    there.open()
    there.clock.pass_by(timedelta(days=30))
    assert looked(there) == ["INC-1 is open and nobody was ever told of it by irkit"]
    assert pagerduty[0].requests == []


def test_one_opened_without_escalation_is_left_alone(there: Lab, pagerduty: Paged) -> None:
    incident = there.open()
    escalate.hold(there.case, incident.id)
    there.clock.pass_by(LIMIT)
    assert looked(there) == []
    assert pagerduty[0].requests == []


def test_where_nobody_could_be_reached_it_is_tried_again_ever_more_rarely(
    there: Lab, pagerduty: Paged, slack: Service
) -> None:
    incident = there.open()
    pagerduty[0].misbehave, slack.misbehave = [Status(503)] * 12, [Status(503)] * 12
    escalate.begin(there.case, incident.id)
    assert len(pagerduty[0].requests) == 4
    looked(there)
    assert len(pagerduty[0].requests) == 4, "not at once"
    there.clock.pass_by(timedelta(minutes=1))
    looked(there)
    assert len(pagerduty[0].requests) == 8
    there.clock.pass_by(timedelta(minutes=1))
    looked(there)
    assert len(pagerduty[0].requests) == 8
    there.clock.pass_by(timedelta(minutes=1))
    looked(there)
    there.clock.pass_by(timedelta(minutes=4))
    looked(there)
    assert list(alerts(pagerduty[0].taken).values()) == ["trigger"]
    assert there.told(incident)[-1][:2] == ("pagerduty", "sent")


def test_an_end_that_pagerduty_did_not_hear_is_told_later(there: Lab, pagerduty: Paged) -> None:
    incident = there.open()
    escalate.begin(there.case, incident.id)
    there.case.store.append(incident.id, EventKind.RESOLVED, actor="ana", text="rolled back")
    pagerduty[0].misbehave = [Status(500)] * 4
    assert looked(there) == ["PagerDuty could not be told that INC-1 is resolved"]
    looked(there)
    there.clock.pass_by(timedelta(minutes=1))
    assert looked(there) == []
    assert list(alerts(pagerduty[0].taken).values()) == ["resolve"]
    assert escalate.follow(there.case, incident.id, Purpose.RESOLVE) == ()


def test_the_next_contact_comes_by_the_first_channel_that_takes_it(
    there: Lab, pagerduty: Paged, slack: Service
) -> None:
    there.open()
    looked(there)
    there.clock.pass_by(LIMIT)
    slack.misbehave = [Status(404)]
    looked(there)
    assert [event["payload"]["custom_details"]["role"] for event in pagerduty[0].taken] == ["On-call", "Backend Lead"]


# -- on a real clock, with the command, and killed half-way

_OWN = """
[slack]
webhook_url = "{url}"
[escalation]
watch_interval_s = 0.05
timeout_s = 2
"""


def test_on_a_real_clock_a_watch_that_is_killed_and_started_again_tells_each_once(
    tmp_path: Path, slack: Service
) -> None:
    text = runbook.load().text.replace("| Critical | 15 min |", "| Critical | 1 s |")
    (tmp_path / "own.md").write_text(
        text.replace("| On-call | PagerDuty |", "| On-call | Slack |").replace("Immediate page", "Slack")
    )
    (tmp_path / "irkit.toml").write_text(f'runbook = "own.md"\n{_OWN.format(url=f"{slack.url}/services/T/B/s")}')
    (tmp_path / "irkit.toml").chmod(0o600)
    store = open_store(Settings(tmp_path / ".irkit"), create=True)
    watches: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-u", "-c", "from irkit.cli import main; main()", "watch"]
        watches.append(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))

    def rules(state: Service, request: Request) -> tuple[int, object]:
        # the first message kills its watch, as the power does, and another one is started
        answer = slack_webhook(state, request)
        if len(state.taken) == 1:
            watches[-1].send_signal(signal.SIGKILL)
            start()
        if len(state.taken) == 3:
            done.set()
        return answer

    done = threading.Event()
    slack.rules = rules
    start()
    try:
        # a watch that comes later than the response time tells nobody of what it was not there for
        assert watches[0].stdout
        assert watches[0].stdout.readline().startswith(b"Watching")
        incident = store.open_incident("Down", incident_type="api-unresponsive", severity="Critical", actor="ana")
        assert done.wait(180)
        store.append(incident.id, EventKind.ACKNOWLEDGED, actor="ana")
    finally:
        for each in watches:
            each.kill()
            each.communicate()
    assert [one["text"].splitlines()[0] for one in slack.taken] == [
        f"INC-1 Critical: Down ({role})" for role in ("On-call", "Backend Lead", "DevOps")
    ]
