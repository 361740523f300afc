"""What was so from the first look on began then or before: that look is no start, on the page as on the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit.diagnose.verdicts import is_first_look
from irkit.model import Event, EventKind, Incident, Status
from irkit.report import Report
from irkit.report.parts import Gap
from tests.cli.test_commands import Run, irkit
from tests.support.example_report import report_of
from tests.support.type_evidence import COLLECTED, START, at, leaking, sealed

__all__ = ["irkit"]
NOTICED = COLLECTED - timedelta(minutes=1)
INCIDENT = Incident(42, "It grows", "memory-leak", "High", Status.OPEN, NOTICED)
OPENED = Event(1, 42, NOTICED, NOTICED, EventKind.OPENED, "ana", "It grows")
LOOK = "at or before 03:00:00 UTC, the first look at it"


def rising(since_s: int) -> dict[str, object]:
    """Memory of the API that rises from a second on, by the recorder, each fifth second from the first on."""
    made = leaking()
    rows = [
        row | {"memory_usage_bytes": int((60 + 0.2 * max(second - since_s, 0)) * 2**20)}
        for second, row in zip(range(0, 600, 5), made["container_history"], strict=True)
    ]
    return {"container_history": rows, "logs": made["logs"], "containers": made["containers"]}


def report(folder: Path, since_s: int, incident: Incident = INCIDENT) -> Report:
    return report_of(sealed(folder, rising(since_s)), incident, (OPENED,), COLLECTED + timedelta(hours=1))


def words(shown: object) -> str:
    return " ".join(str(shown).split())


def test_the_first_look_at_what_rose_all_along_is_no_start(tmp_path: Path) -> None:
    made = report(tmp_path, 0)
    assert not isinstance(made.header, Gap)
    assert (made.header.started_at, made.header.started_by_evidence) == (None, False)
    for section in made.sections:
        assert "start by the evidence" not in words(section).casefold()
        assert "irkit amend 42 started_at" not in words(section)
        assert "(by the evidence)" not in words(section)
    assert "How long detection took is unknown" in words(made.detection)
    assert f"was visible {LOOK}, 9 min or more before that" in words(made.detection)
    assert f"by the evidence, {LOOK}." in words(made.open_questions)
    assert not isinstance(made.timeline, Gap)
    [row] = [one for one in made.timeline.rows if one.text.startswith("First look at “Gradual memory increase”")]
    assert row.at == START
    assert row.text.endswith(": it began then or before")
    assert row.evidence


def test_a_rise_whose_beginning_was_seen_is_a_start(tmp_path: Path) -> None:
    made = report(tmp_path, 240)
    assert not isinstance(made.header, Gap)
    assert made.header.started_by_evidence
    assert made.header.started_at is not None
    assert abs(made.header.started_at - at(240)) < timedelta(minutes=1)
    assert "irkit amend 42 started_at" in words(made.open_questions)
    assert not any("first look" in words(section).casefold() for section in made.sections)


def test_a_dismissed_false_alarm_has_no_beginning_and_no_impact(tmp_path: Path) -> None:
    over = replace(INCIDENT, status=Status.RESOLVED, resolved_at=NOTICED + timedelta(seconds=20))
    ended = Event(2, 42, COLLECTED, COLLECTED, EventKind.RESOLVED, "ana", "a test", (), {"false_alarm": True})
    made = report_of(sealed(tmp_path, rising(240)), over, (OPENED, ended), COLLECTED + timedelta(hours=1))
    assert not isinstance(made.header, Gap)
    assert (made.header.started_at, made.header.lasted) == (None, timedelta(seconds=20))
    assert "Impact lasted" not in words(made.header)
    assert "Was open for" in words(made.header)


def test_beside_a_recorded_start_it_is_told_as_a_look_and_not_as_a_beginning(tmp_path: Path) -> None:
    made = report(tmp_path, 0, replace(INCIDENT, started_at=at(500), detected_at=NOTICED))
    assert f"was visible {LOOK}, 9 min or more before that" in words(made.detection)
    assert "First look" not in words(made.timeline)


@pytest.mark.parametrize("since_s", [0, 240])
def test_the_commands_say_the_same(irkit: Run, tmp_path: Path, since_s: int) -> None:
    when = ("--at", f"{NOTICED:%Y-%m-%dT%H:%M:%SZ}")
    assert irkit("open", "It grows", "--type", "memory-leak", "--id", "42", *when, "--no-escalation").code == 0
    sealed(tmp_path / ".irkit", rising(since_s))
    told = json.loads(irkit("triage", "42", "--json").out)
    assert told["onset"]["at_or_before"] is (since_s == 0)
    said = irkit("lint", "42")
    whole = words(said.out + said.err)
    assert ("the evidence shows it at or before 2026-11-24 03:00:00 UTC" in whole) is (since_s == 0)
    assert ("irkit amend 42 started_at TIME" in whole) is (since_s == 0)
    again = words(irkit("collect", "42").out)
    assert ("shows it at or before 2026-11-24 03:00:00 UTC, the first look at it" in again) is (since_s == 0)
    assert ("irkit amend 42 started_at 2026-11-24T03:0" in again) is (since_s != 0)


def test_only_what_says_so_is_a_first_look(tmp_path: Path) -> None:
    from irkit import runbook
    from irkit.diagnose.run import diagnose

    report(tmp_path / "loaded", 0)
    found = diagnose(sealed(tmp_path / "first", rising(0)), runbook.load())
    assert [is_first_look(one) for one in found.starting] == [True]
    assert found.began_unseen
    assert not diagnose(sealed(tmp_path / "later", rising(240)), runbook.load()).began_unseen
