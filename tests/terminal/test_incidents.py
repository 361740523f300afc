"""What is drawn for a terminal: told once, and whole on a narrow one."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from irkit import runbook
from irkit.act.engine import Proposed
from irkit.diagnose.service_names import Idle
from irkit.diagnose.verdicts import Diagnosis, Hypothesis
from irkit.model import Event, EventKind, Finding, Incident, IncidentType, Status, Verdict, VerdictState
from irkit.report.standing import Standing
from irkit.terminal import head as terminal_head
from irkit.terminal import incidents as terminal
from tests.support.example_report import TIMELINE

FILED = TIMELINE[-1].at + timedelta(days=1)
AT_ONCE = tuple(replace(event, recorded_at=FILED) for event in TIMELINE)


def drawn(events: Iterable[Event], width: int = 100) -> str:
    written = io.StringIO()
    Console(file=written, width=width).print(terminal.timeline_table(events))
    return written.getvalue()


def test_what_was_entered_at_once_is_told_in_one_line() -> None:
    said = drawn(AT_ONCE)
    assert said.count("entered") == 1
    assert f"All that happened before was entered at {FILED:%Y-%m-%d %H:%M:%S} UTC." in said


def test_what_was_entered_late_among_others_is_told_beside_it() -> None:
    assert "entered" not in drawn(TIMELINE)
    for events in ((*TIMELINE[:-1], AT_ONCE[-1]), (replace(AT_ONCE[0], recorded_at=TIMELINE[1].at), *AT_ONCE[1:])):
        said = " ".join(drawn(events).split())
        assert "(entered" in said
        assert "All that happened before" not in said


@pytest.mark.parametrize("width", [100, 60, 44])
def test_a_narrow_terminal_gets_whole_words(width: int) -> None:
    said = drawn(TIMELINE, width)
    assert max(map(len, said.splitlines())) <= width
    for words in ("no 5xx for 20 minutes", "acknowledged", "jon"):
        assert words in said


def test_of_what_irkit_itself_stopped_it_is_said_by_which_action() -> None:
    at = TIMELINE[-1].at
    data = {"run": "1", "action": "stop-all", "outcome": "begun", "changes": True}
    begun = replace(TIMELINE[-1], kind=EventKind.ACTION, actor="ana", data=data)
    over = replace(begun, at=at + timedelta(seconds=9), data=data | {"outcome": "done"})
    ended = [Idle("api", "exited", at + timedelta(seconds=each), 143, oom_killed=False) for each in (2, 60)]
    written = io.StringIO()
    for line in terminal_head.idle_lines(ended, (begun, over)):
        Console(file=written, width=200).print(line)
    ours, other = written.getvalue().splitlines()
    assert ours.endswith(f"with exit code 143, during stop-all by ana at {at:%H:%M:%S} UTC.")
    assert other.endswith("with exit code 143.")
    [said] = [str(line) for line in terminal_head.idle_lines(ended[1:], (), {"api": "api logged: cannot open x"})][1:]
    assert said == "  api logged: cannot open x"


@pytest.mark.parametrize("all_along", [False, True])
def test_a_start_is_proposed_where_the_evidence_shows_one(all_along: bool) -> None:  # noqa: FBT001
    """What was so from the first look on began before it: that look is no start to be recorded."""
    noticed = TIMELINE[0].at
    onset = noticed - timedelta(minutes=5)
    verdict = Verdict(VerdictState.FOUND, "It rises.", "", onset, 0.9, {"all_along": all_along})
    grows = Finding("gradual-memory-increase", ("memory-leak",), "Gradual memory increase", verdict, ())
    found = Diagnosis((grows,), (Hypothesis("memory-leak", 0.9, (grows,), (), ()),))
    incident = Incident(42, "It grows", "memory-leak", "High", Status.OPEN, noticed)
    written = io.StringIO()
    Console(file=written, width=200).print(
        terminal.next_steps(incident, found, runbook.load(), Standing(None, {}, None, ""), lambda _: Proposed())
    )
    assert ("irkit amend 42 started_at" in written.getvalue()) is not all_along
    seen = f"{onset:%H:%M:%S} UTC"
    assert (f"shows it at or before 2026-11-23 {seen}, the first look at it" in written.getvalue()) is all_along


def test_the_steps_of_a_type_are_proposed_once() -> None:
    """To propose one may mean to check a backup of a database."""
    kind, asked = runbook.load().incident_type("memory-leak"), list[str]()
    incident = Incident(42, "It grows", kind.slug, "High", Status.OPEN, TIMELINE[0].at)

    def steps(one: IncidentType) -> Proposed:
        asked.append(one.slug)
        return Proposed()

    terminal.next_steps(incident, Diagnosis((), ()), runbook.load(), Standing(kind, {}, None, ""), steps)
    assert asked == [kind.slug]
