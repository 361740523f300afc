"""What became of the runbook's resolution steps, read from a timeline: every try is kept, the last one counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from irkit.model import Event, EventKind, Incident, Step
from irkit.runbook import outcome_words

DONE = "done"
FAILED = "failed"
BLOCKED = "blocked"
SKIPPED = "skipped"
BEGUN = "begun"
# how a note is marked that tells of a repair which is no step of the runbook
REPAIR = "repair"
STOP_ALL, START_ALL = "stop-all", "start-all"
SWITCH = "switch-provider"
OUTCOMES = (DONE, FAILED, BLOCKED, SKIPPED, "deviated")
_CHANGED_NOTHING = frozenset({BLOCKED, SKIPPED})
# how a step begins that looks and mends nothing, behind a condition such as "If persists, "
_LOOKS = re.compile(
    r"(?:if [^,]+, )?(?:check|identify|analy[sz]e|inspect|review|verify|run integrity check)\b(?!.*\band\b)",
    re.IGNORECASE,
)
# how a step begins that the runbook learned from an incident: a person's words of what was done then
_LEARNED = re.compile(r"What (?:helped|was done) in (?P<incident>INC-\d+): ")
_RECORDS = {
    EventKind.ACTION: "action",
    EventKind.NOTE: "note",
    EventKind.MITIGATED: "mitigation",
    EventKind.RESOLVED: "resolution",
}


@dataclass(frozen=True, slots=True)
class Try:
    """One record of a step: its outcome (of `OUTCOMES`), what the record says beyond the step's words, and which it is.

    `recorded` is False where nobody named the step, but a record quotes its command: who writes it down has typed it.
    `changes` is False where an action did it that only looks.
    """

    outcome: str
    at: datetime
    record: str
    note: str = ""
    recorded: bool = True
    changes: bool = True


def tries(timeline: Iterable[Event], steps: Sequence[Step]) -> dict[int, tuple[Try, ...]]:
    """Return each step's records in the order of what they tell of, by its number; a step without any is left out.

    A command that a record quotes counts only where no record names the step.
    """
    events = tuple(timeline)
    found: dict[int, list[Try]] = {}
    texts = {step.number: step.text for step in steps}
    for event in sorted(events, key=lambda one: (one.at, one.id)):
        number = event.data.get("step")
        if event.kind in {EventKind.ACTION, EventKind.NOTE} and isinstance(number, int) and not is_begun(event):
            said = _beyond(event, number, texts.get(number, ""))
            changes = bool(event.data.get("changes", True))
            made = Try(outcome_of(event), event.at, _record(event), said, changes=changes)
            found.setdefault(number, []).append(made)
    return {number: (one,) for number, one in _quoted(events, steps).items()} | {
        number: tuple(many) for number, many in found.items()
    }


def learned_from(step: Step) -> str:
    """Return the label of the incident in whose words a step tells what was done then, "" for any other step."""
    found = _LEARNED.match(step.text)
    return found["incident"] if found else ""


def asked_of(incident: Incident, steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps without those that were learned from this very incident: they were not there to be taken."""
    return tuple(step for step in steps if learned_from(step) != incident.label)


def is_begun(event: Event) -> bool:
    """Say whether an event only tells that an action began."""
    return event.kind is EventKind.ACTION and event.data.get("outcome") == BEGUN


def acting_at(timeline: Iterable[Event], at: datetime) -> Event | None:
    """Return the record of an action's begin that was under way at a moment and changes the system, None without one.

    One without an end on record is taken for under way since.
    """
    acting = [event for event in timeline if event.kind is EventKind.ACTION and "run" in event.data]
    ends = {event.data["run"]: event.at for event in acting if not is_begun(event)}
    for event in acting:
        if is_begun(event) and event.data.get("changes", True):
            end = ends.get(event.data["run"])
            if event.at <= at and (end is None or at <= end):
                return event
    return None


def stopped_by_us(timeline: Iterable[Event], until: datetime | None = None) -> Event | None:
    """Return the record of irkit's last stop of all services that no start of them followed, by `until` if given."""
    stop = None
    for event in sorted(timeline, key=lambda one: one.id):
        name = event.data.get("action") if event.kind is EventKind.ACTION else None
        if name in {STOP_ALL, START_ALL} and event.data.get("outcome") == DONE and (until is None or event.at <= until):
            stop = event if name == STOP_ALL else None
    return stop


def switched_to(timeline: Iterable[Event]) -> str:
    """Return the provider that irkit switched to last, "" where it did not or the look at it showed no help."""
    named = ""
    for event in sorted(timeline, key=lambda one: one.id):
        if event.kind is EventKind.ACTION and event.data.get("action") == SWITCH and outcome_of(event) == DONE:
            named = str(event.data.get("target") or "") if not is_begun(event) else named
    return named


def is_attempt(event: Event) -> bool:
    """Say whether an event tells of an attempt to mend the service: an action that changes it, a step, a repair."""
    if event.kind is EventKind.ACTION:
        return bool(event.data.get("changes", True))
    if event.kind is not EventKind.NOTE:
        return False
    return bool(event.data.get(REPAIR)) or ("step" in event.data and outcome_of(event) not in _CHANGED_NOTHING)


def last_in_vain(timeline: Iterable[Event]) -> Event | None:
    """Return the last attempt to mend the service if it is on record as no help, None where it is not."""
    tried = [event for event in timeline if is_attempt(event) and not is_begun(event)]
    last = max(tried, key=lambda one: (one.at, one.id), default=None)
    return last if last and outcome_of(last) == FAILED else None


def began_anew(events: Iterable[Event]) -> datetime | None:
    """Return when it was taken up again last after it had been mended, None where it was not.

    What mended it then did not mend what it was taken up for. One that nobody ever called mitigated was the same all
    along, and what was collected since shows what was tried.
    """
    ended, again = False, None
    for event in sorted(events, key=lambda one: (one.at, one.id)):
        if event.kind is EventKind.MITIGATED:
            ended = True
        elif event.kind is EventKind.REOPENED and ended:
            ended, again = False, event.at
    return again


def only_looks(step: Step) -> bool:
    """Say whether a step, by its words, looks at something and mends nothing."""
    return _LOOKS.match(step.text) is not None


def outcome_of(event: Event) -> str:
    """Return what became of the step that an event tells of, one of `OUTCOMES`."""
    said = str(event.data.get("outcome") or DONE)
    if event.kind is EventKind.ACTION and said == FAILED:
        return (
            BLOCKED  # an action that could not be carried out; one that was, and did not help, is done and not verified
        )
    if event.data.get("verified") is False:
        return FAILED
    return said if said in OUTCOMES else DONE


def _record(event: Event) -> str:
    return f"the {_RECORDS[event.kind]} of {event.at:%H:%M:%S} UTC"


def _beyond(event: Event, number: int, text: str) -> str:
    opening = f"Step {number} ({text}): {outcome_words(str(event.data.get('outcome')))}"
    return event.text.removeprefix(opening).lstrip(". ") if event.text.startswith(opening) else event.text


def _quoted(events: Sequence[Event], steps: Sequence[Step]) -> dict[int, Try]:
    found: dict[int, Try] = {}
    plain = [one for one in events if one.kind in _RECORDS and not {"section", "step"} & one.data.keys()]
    for step in steps:
        if not (typed := (step.command or "").split()):
            continue
        # a longer word is another command: restart api is not restart api-2
        command = re.compile(rf"(?<![\w-]){re.escape(' '.join(typed))}(?![\w-])")
        for event in sorted(plain, key=lambda event: event.at):
            if command.search(" ".join(event.text.split())):
                found.setdefault(step.number, Try(DONE, event.at, _record(event), recorded=False))
    return found
