"""Every try of a runbook's step is kept, in the order of the records; the command that a note quotes is a try, too."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from irkit import runbook
from irkit.model import Event, EventKind, Incident, Status, Step
from irkit.runbook.steps import acting_at, asked_of, last_in_vain, learned_from, tries

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
STEPS = runbook.load().incident_type("api-unresponsive").resolution


def event(number: int, text: str, kind: EventKind = EventKind.NOTE, **data: object) -> Event:
    at = AT + timedelta(minutes=number)
    return Event(number, 42, at, at, kind, "ana", text, (), data)


def test_a_step_tried_twice_keeps_both_outcomes() -> None:
    told = (
        event(1, "Step 1 (Restart the service): done. by hand", step=1, outcome="done"),
        event(2, "Step 1 (Restart the service): done, and it did not help. It crashed", step=1, outcome="failed"),
    )
    found = tries(told, STEPS)[1]
    assert [(one.outcome, one.note) for one in found] == [("done", "by hand"), ("failed", "It crashed")]
    assert found[0].record == "the note of 03:01:00 UTC"


def test_an_action_that_was_not_verified_did_not_help() -> None:
    [only] = tries([event(1, "Restarted", EventKind.ACTION, step=1, outcome="done", verified=False)], STEPS)[1]
    assert only.outcome == "failed"


def test_a_quoted_command_counts_until_a_record_names_the_step() -> None:
    quoted = event(1, "docker-compose restart jarvis-api brought it back", EventKind.MITIGATED)
    assert [one.recorded for one in tries([quoted], STEPS)[1]] == [False]
    named = event(2, "no: by hand", step=1, outcome="deviated")
    assert [one.outcome for one in tries([quoted, named], STEPS)[1]] == ["deviated"]


def test_what_says_nothing_of_steps_is_no_try() -> None:
    others = [
        event(1, "docker-compose restart jarvis-api-2"),
        event(2, "docker-compose restart jarvis-api", section="x"),
    ]
    assert tries(others, STEPS) == {}


def test_what_the_runbook_learned_from_an_incident_was_not_there_to_be_taken_in_it() -> None:
    learned = (Step(4, "What helped in INC-42: cleared the switch, then restarted", 9), Step(5, "Wait", 10))
    incident = Incident(42, "Down", "api-unresponsive", "Critical", Status.OPEN, AT)
    assert asked_of(incident, (*STEPS, *learned)) == (*STEPS, learned[1])
    assert asked_of(replace(incident, id=4), learned) == learned, "INC-4 is another than INC-42"
    assert [learned_from(step) for step in learned] == ["INC-42", ""]


def test_an_attempt_that_was_the_last_and_did_not_help_is_named_until_another_is_recorded() -> None:
    vain = event(1, "Restarted", EventKind.ACTION, step=1, outcome="done", verified=False)
    begun = event(2, "Restart begun", EventKind.ACTION, step=1, outcome="begun")
    looked = event(3, "Looked at the database", EventKind.ACTION, outcome="done", verified=False, changes=False)
    assert last_in_vain([vain, begun, looked]) == vain
    assert last_in_vain([vain, event(4, "Swapped the disk", repair=True)]) is None
    assert last_in_vain([vain, event(4, "Scaled", EventKind.ACTION, outcome="done", verified=True)]) is None
    assert last_in_vain([event(1, "a note")]) is None


def test_what_irkit_itself_was_doing_at_a_moment() -> None:
    def act(number: int, run: str, outcome: str, *, changes: bool = True) -> Event:
        return event(number, "Stopped", EventKind.ACTION, run=run, outcome=outcome, changes=changes)

    told = (act(1, "a", "begun"), act(3, "a", "done"), act(4, "b", "begun", changes=False), act(5, "c", "begun"))
    minutes = [acting_at(told, AT + timedelta(minutes=each)) for each in (0.5, 2, 3.5, 4.5, 9)]
    assert [each.data["run"] if each else None for each in minutes] == [None, "a", None, None, "c"]
