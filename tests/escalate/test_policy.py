"""The ladder is the runbook's: its words name the channels, its contacts the steps, its response time the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import runbook
from irkit.escalate import tell as escalate
from irkit.escalate.policy import dedup_key, fall_back, ladder, meant_by, message
from irkit.settings import Secret, Settings
from irkit.settings.channel_sections import EmailTarget, EscalationSettings, PagerDutyTarget, SlackTarget, TicketsTarget
from tests.support.escalation import ROUTING_KEY, lab

ALL = {
    "pagerduty": PagerDutyTarget(Secret(ROUTING_KEY), configured=True),
    "slack": SlackTarget(Secret("https://hooks.slack.com/services/x"), configured=True),
    "email": EmailTarget(Secret("smtp://mail"), "irkit@example.com", ("team@example.com",), configured=True),
    "tickets": TicketsTarget("acme/shop", Secret("token"), configured=True),
}


@pytest.mark.parametrize(
    ("kind", "severity", "steps"),
    [
        (
            "api-unresponsive",
            "Critical",
            [("On-call", "pagerduty"), ("Backend Lead", "slack"), ("DevOps", "slack")],
        ),
        ("high-latency", "High", [("Backend Lead", "slack"), ("DevOps", "slack")]),
        ("memory-leak", "Medium", [("", "email"), ("Backend Lead", "slack"), ("DevOps", "slack")]),
        ("memory-leak", "Low", [("", "github"), ("Backend Lead", "slack"), ("DevOps", "slack")]),
    ],
)
def test_each_severity_of_the_runbook_has_its_ladder(
    tmp_path: Path, kind: str, severity: str, steps: list[tuple[str, str]]
) -> None:
    there = lab(tmp_path, **ALL)
    known, _ = escalate.channels()
    rungs = ladder(there.open(kind, severity), there.case.runbook, there.case.settings, known)
    assert [(rung.role, rung.channel) for rung in rungs] == steps
    limit = there.case.runbook.severity(severity).response_time
    assert [rung.after for rung in rungs] == [timedelta(), *[limit] * (len(rungs) - 1)]


def test_a_word_nobody_knows_is_shown_and_can_be_given_a_meaning(tmp_path: Path) -> None:
    text = (
        runbook.load()
        .text.replace("Immediate page", "Carrier pigeon")
        .replace("| DevOps | Slack |", "| DevOps | Bridge call |")
    )
    own = runbook.parse(text, "own.md")
    there = lab(tmp_path, own, **ALL)
    known, _ = escalate.channels()
    first, *_, last = ladder(there.open(), own, there.case.settings, known)
    assert (first.channel, last.channel) == ("", "")
    assert "“Carrier pigeon” has no word for a channel that irkit knows" in first.lacks
    assert fall_back(first, there.case.settings, known)[0] == "pagerduty"
    words = EscalationSettings(words=(("pigeon", "email"), ("Bridge call", "slack")))
    first, *_, last = ladder(there.open(), own, replace(there.case.settings, escalation=words), known)
    assert (first.channel, last.channel) == ("email", "slack")
    misnamed = replace(there.case.settings, escalation=EscalationSettings(words=(("pigeon", "emial"),)))
    assert "names the channel 'emial'" in ladder(there.open(), own, misnamed, known)[0].lacks


def test_what_is_not_set_up_falls_back_in_the_settings_order(tmp_path: Path) -> None:
    there = lab(tmp_path, slack=ALL["slack"], email=ALL["email"])
    known, _ = escalate.channels()
    first, *_ = ladder(there.open(), there.case.runbook, there.case.settings, known)
    assert (first.channel, first.lacks) == ("", "[pagerduty] is not in irkit.toml")
    assert fall_back(first, there.case.settings, known) == ("slack", "email")
    swapped = replace(there.case.settings, escalation=EscalationSettings(fall_back=("email", "nonesuch", "slack")))
    assert fall_back(first, swapped, known) == ("email", "slack")


@pytest.mark.parametrize(
    ("wording", "names"),
    [
        ("Immediate page", {"pagerduty"}),
        ("PagerDuty", {"pagerduty"}),
        ("Slack alert", {"slack"}),
        ("Email", {"email"}),
        ("E-mail to the list", {"email"}),
        ("Ticket", {"github", "jira"}),
        ("Jira ticket", {"github", "jira"}),
        ("homepage", set()),
        ("", set()),
    ],
)
def test_words_of_a_runbook_mean_channels(tmp_path: Path, wording: str, names: set[str]) -> None:
    known, _ = escalate.channels()
    assert meant_by(wording, Settings(tmp_path), known) == names


def test_the_message_stands_alone_at_night(tmp_path: Path) -> None:
    there = lab(tmp_path, **ALL)
    incident = there.open(impact="Nobody can pay.", owner="ana")
    known, _ = escalate.channels()
    rungs = ladder(incident, there.case.runbook, there.case.settings, known)
    told = message(incident, there.case.runbook, rungs[1], key="k", source="shop")
    assert told.headline == "INC-1 Critical: Checkout is down"
    for words in ("within 15 min, by 2026-11-24 03:20:00 UTC: irkit ack 1", "Nobody can pay.", "Restart the service"):
        assert words in told.body
    assert "Nobody answered those told before" in told.body


def test_the_dedup_key_is_the_incident_s_and_no_other_store_s(tmp_path: Path) -> None:
    ours, theirs = lab(tmp_path / "a"), lab(tmp_path / "b")
    theirs.clock.now += timedelta(microseconds=1)
    one, other = ours.open(), theirs.open()
    key = dedup_key(ours.case.store.timeline(one.id))
    assert key == dedup_key(ours.again().case.store.timeline(one.id))
    assert key != dedup_key(theirs.case.store.timeline(other.id))
    assert key.startswith("irkit-INC-1-")
    assert " " not in key
