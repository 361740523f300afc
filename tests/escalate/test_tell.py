"""People are told by policy, each attempt is on the timeline, and nobody is told twice, whatever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit.errors import EscalationError, InputError
from irkit.escalate import contract as channel_contract
from irkit.escalate import tell as escalate
from irkit.escalate.contract import Purpose
from irkit.escalate.log import State
from irkit.model import EventKind
from irkit.settings.channel_sections import EscalationSettings
from tests.support import channel_servers
from tests.support.channel_servers import DROP, HANG, Mailbox, Request, Service, Status, alerts
from tests.support.escalation import Lab, email_target, lab, pagerduty_target, slack_target

Paged = tuple[Service, Path]


@pytest.fixture
def there(tmp_path: Path, pagerduty: Paged, slack: Service) -> Lab:
    return lab(tmp_path / "home", pagerduty=pagerduty_target(*pagerduty), slack=slack_target(slack))


def test_opening_a_critical_incident_pages_on_call_at_once(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open()
    told = escalate.begin(there.case, incident.id)
    assert told is not None
    assert (told.reached, told.channel, told.rung.role) == (True, "pagerduty", "On-call")
    assert [event["payload"]["summary"] for event in pagerduty[0].taken] == ["INC-1 Critical: Checkout is down"]
    assert pagerduty[0].taken[0]["payload"]["severity"] == "critical"
    assert slack.taken == []
    assert there.told(incident) == [("pagerduty", "sending", 1), ("pagerduty", "sent", 1)]
    assert there.words(incident)[0] == "Telling On-call by PagerDuty"
    assert there.words(incident)[1].startswith("On-call told by PagerDuty (dedup key irkit-INC-1-")
    assert there.news == there.words(incident)


def test_a_high_one_goes_to_slack(there: Lab, pagerduty: Paged, slack: Service) -> None:
    escalate.begin(there.case, there.open("high-latency", "High").id)
    assert pagerduty[0].taken == []
    assert slack.taken[0]["text"].startswith("INC-1 High: Checkout is down (Backend Lead)\n")


def test_without_channels_nobody_is_told_and_the_timeline_does_not_claim_it(tmp_path: Path) -> None:
    there = lab(tmp_path)
    incident = there.open()
    assert escalate.begin(there.case, incident.id) is None
    assert there.told(incident) == []
    with pytest.raises(InputError, match="no channel is configured"):
        escalate.climb(there.case, incident.id, 1)


def test_what_may_pass_is_tried_again_with_back_off_under_one_key(there: Lab, pagerduty: Paged) -> None:
    server, incident = pagerduty[0], there.open()
    server.misbehave = [Status(500), Status(429, (("Retry-After", "9"),)), DROP]
    told = escalate.climb(there.case, incident.id, 1)
    assert told.reached
    assert there.clock.waited_s == [1, 9, 4]
    assert there.told(incident) == [
        ("pagerduty", "sending", 1),
        ("pagerduty", "again", 2),
        ("pagerduty", "again", 3),
        ("pagerduty", "again", 4),
        ("pagerduty", "sent", 4),
    ]
    assert "PagerDuty answered 500" in there.words(incident)[1]
    assert len({event["dedup_key"] for event in server.taken}) == 1


@pytest.mark.parametrize("order", [Status(400), Status(403)])
def test_a_permanent_refusal_falls_to_the_next_channel_at_once(
    there: Lab, pagerduty: Paged, slack: Service, order: Status
) -> None:
    incident = there.open()
    pagerduty[0].misbehave = [order]
    told = escalate.climb(there.case, incident.id, 1)
    assert (told.reached, told.channel) == (True, "slack")
    assert there.clock.waited_s == []
    assert [row[:2] for row in there.told(incident)] == [
        ("pagerduty", "sending"),
        ("pagerduty", "refused"),
        ("slack", "sending"),
        ("slack", "sent"),
    ]
    assert "PagerDuty did not take this, so it comes by this way, to On-call." in slack.taken[0]["text"]


def test_what_is_down_for_long_falls_to_the_next_channel(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open()
    pagerduty[0].misbehave = [Status(503)] * 4
    assert escalate.climb(there.case, incident.id, 1).channel == "slack"
    assert there.told(incident)[4][:2] == ("pagerduty", "failed")
    again = there.open()
    pagerduty[0].misbehave = [Status(429, (("Retry-After", "3600"),))]
    assert escalate.climb(there.case, again.id, 1).channel == "slack"
    assert there.clock.waited_s == [1, 2, 4], "nobody waits an hour to be paged"
    assert len(slack.taken) == 2


def test_where_it_may_have_arrived_it_is_not_sent_again(there: Lab, slack: Service, mailbox: Mailbox) -> None:
    incident = there.open("high-latency", "High")
    settings = replace(there.case.settings, email=email_target(mailbox))
    slack.misbehave = [HANG]
    told = escalate.climb(replace(there.case, settings=settings), incident.id, 1)
    assert told.channel == "pagerduty", "the next that is configured"
    assert [row[:2] for row in there.told(incident)][:2] == [("slack", "sending"), ("slack", "unsure")]
    assert len(slack.requests) == 1
    assert "may have it, so it is not sent again" in there.words(incident)[1]


def test_an_answer_that_cannot_be_read_falls_to_the_next_channel(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open("high-latency", "High")
    slack.misbehave = [Status(500, body=b"\xff\xfe a proxy's page in Latin-1")]
    assert escalate.climb(there.case, incident.id, 1).channel == "pagerduty"
    assert len(pagerduty[0].taken) == 1
    assert "Slack gave an answer that nothing can be made of" in there.words(incident)[1]


def test_an_answer_that_drips_is_stopped(there: Lab, slack: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = there.open("high-latency", "High")

    def endless(*_: object) -> channel_contract.Receipt:
        signal.pause()
        return channel_contract.Receipt()

    monkeypatch.setitem(channel_contract._REGISTRY, "slack", replace(escalate.channels()[0]["slack"], function=endless))
    settings = replace(there.case.settings, escalation=EscalationSettings(timeout_s=0.05))
    escalate.climb(replace(there.case, settings=settings), incident.id, 1)
    assert "gave no whole answer within 0.1 s" in there.words(incident)[1]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_where_nobody_can_be_told_it_is_said(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open()
    pagerduty[0].misbehave, slack.misbehave = [Status(400)], [Status(404)]
    told = escalate.climb(there.case, incident.id, 1)
    assert (told.reached, told.state) == (False, State.UNREACHED)
    assert there.words(incident)[-1] == "Nobody was told for certain, though PagerDuty, Slack was tried"


def test_nobody_is_told_twice_by_any_number_of_calls(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open()
    for _ in range(3):
        assert escalate.climb(there.again().case, incident.id, 1).reached
        assert escalate.climb(there.again().case, incident.id, 2).reached
    assert (len(pagerduty[0].requests), len(slack.requests)) == (1, 1)
    escalate.climb(there.case, incident.id, 1, again=True)
    assert len(pagerduty[0].requests) == 2, "unless asked for"


def test_two_at_once_tell_once(there: Lab, slack: Service) -> None:
    incident = there.open("high-latency", "High")

    def rules(state: Service, request: Request) -> tuple[int, object]:
        # while the first is sending, the second comes
        second.append(escalate.climb(there.again().case, incident.id, 1).state)
        return channel_servers.slack_webhook(state, request)

    second: list[State] = []
    slack.rules = rules
    first = replace(there.case, settings=replace(there.case.settings, escalation=EscalationSettings(timeout_s=10)))
    assert escalate.climb(first, incident.id, 1).reached
    assert second == [State.SENDING]
    assert len(slack.taken) == 1


def test_services_hear_of_answer_and_end(there: Lab, pagerduty: Paged, slack: Service) -> None:
    server, incident = pagerduty[0], there.open()
    assert escalate.follow(there.case, incident.id, Purpose.ACKNOWLEDGE) == (), "nothing was ever sent there"
    escalate.climb(there.case, incident.id, 1)
    escalate.climb(there.case, incident.id, 2)
    for purpose, said in ((Purpose.ACKNOWLEDGE, "acknowledge"), (Purpose.RESOLVE, "resolve")):
        assert escalate.follow(there.case, incident.id, purpose) == ("PagerDuty",)
        assert escalate.follow(there.again().case, incident.id, purpose) == ()
        assert set(alerts(server.taken).values()) == {said}
    assert len(slack.taken) == 1
    assert there.words(incident)[-1].startswith("PagerDuty knows that it is over")


def test_a_service_that_cannot_be_told_of_the_end_is_a_sentence(there: Lab, pagerduty: Paged) -> None:
    server, incident = pagerduty[0], there.open()
    escalate.climb(there.case, incident.id, 1)
    server.misbehave = [Status(500)] * 4
    with pytest.raises(EscalationError, match="PagerDuty could not be told that INC-1 is acknowledged"):
        escalate.follow(there.case, incident.id, Purpose.ACKNOWLEDGE)
    assert escalate.follow(there.case, incident.id, Purpose.ACKNOWLEDGE, retry=True) == ("PagerDuty",)


def test_a_service_that_never_took_the_alert_is_not_missed_at_its_end(
    there: Lab, pagerduty: Paged, slack: Service
) -> None:
    server, incident = pagerduty[0], there.open()
    server.misbehave = [Status(503)] * 8
    assert escalate.climb(there.case, incident.id, 1).channel == "slack"
    assert escalate.plan(there.case, incident.id).ways[0] == "slack"
    assert escalate.follow(there.case, incident.id, Purpose.ACKNOWLEDGE) == ()
    refused = there.open()
    server.misbehave = [Status(400)]
    assert escalate.climb(there.case, refused.id, 1).channel == "slack"
    said = len(there.words(refused))
    assert escalate.follow(there.case, refused.id, Purpose.ACKNOWLEDGE) == ()
    assert len(there.words(refused)) == said, "nothing is sent to whom the incident is unknown"


def test_what_was_reopened_is_told_anew(there: Lab, pagerduty: Paged) -> None:
    incident = there.open()
    escalate.climb(there.case, incident.id, 1)
    for kind in (EventKind.ACKNOWLEDGED, EventKind.RESOLVED):
        there.case.store.append(incident.id, kind, actor="ana", text="done")
    escalate.follow(there.case, incident.id, Purpose.RESOLVE)
    there.case.store.append(incident.id, EventKind.REOPENED, actor="ana", text="it is back")
    assert escalate.climb(there.case, incident.id, 1).reached
    assert set(alerts(pagerduty[0].taken).values()) == {"trigger"}


# -- killed between the sending and the record of it

_CHILD = """
import sys
from pathlib import Path
from irkit import workspace
from irkit.escalate import tell as escalate
escalate.climb(workspace.escalation(workspace.load_settings(Path(sys.argv[1])), "child"), 1, int(sys.argv[2]))
"""


def killed_while_sending(there: Lab, server: Service, step: int, config: str) -> None:
    """Let another process climb a step, and kill it once the server has taken the message and not yet answered."""
    home = there.case.settings.home
    (home / "irkit.toml").write_text(f'home = "{home}"\n{config}')
    (home / "irkit.toml").chmod(0o600)
    rules, child = server.rules, list[subprocess.Popen[bytes]]()

    def take_and_kill(state: Service, request: Request) -> tuple[int, object]:
        answer = rules(state, request)
        os.kill(child[0].pid, signal.SIGKILL)
        return answer

    server.rules = take_and_kill
    child.append(subprocess.Popen([sys.executable, "-c", _CHILD, str(home), str(step)], cwd=home))
    assert child[0].wait(60) == -signal.SIGKILL
    server.rules = rules


def test_killed_after_slack_took_it_nobody_is_told_twice(there: Lab, pagerduty: Paged, slack: Service) -> None:
    incident = there.open("high-latency", "High")
    url = there.case.settings.slack.webhook_url.reveal()
    killed_while_sending(there, slack, 1, f'[slack]\nwebhook_url = "{url}"\n')
    assert there.told(incident) == [("slack", "sending", 1)]
    rows = there.case.store.timeline(incident.id)
    there.clock.now = rows[-1].at
    assert escalate.climb(there.again().case, incident.id, 1).state is State.SENDING, "it may still be at it"
    there.clock.pass_by(timedelta(minutes=1))
    assert escalate.climb(there.again().case, incident.id, 1).channel == "pagerduty"
    assert len(slack.taken) == 1
    assert "Slack may have it: irkit was stopped" in there.words(incident)[1]


def test_killed_after_pagerduty_took_it_it_is_the_same_alert(there: Lab, pagerduty: Paged) -> None:
    incident = there.open()
    target = there.case.settings.pagerduty
    config = f'routing_key = "{target.routing_key.reveal()}"\nurl = "{target.url}"\nca_file = "{target.ca_file}"\n'
    killed_while_sending(there, pagerduty[0], 1, f"[pagerduty]\n{config}")
    there.clock.now = there.case.store.timeline(incident.id)[-1].at + timedelta(minutes=1)
    assert escalate.climb(there.again().case, incident.id, 1).reached
    assert list(alerts(pagerduty[0].taken).values()) == ["trigger"]
    assert [row[1:] for row in there.told(incident)] == [("sending", 1), ("sending", 2), ("sent", 2)]
