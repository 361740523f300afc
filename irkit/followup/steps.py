"""What follows an incident: the runbook's own post-incident steps, which of them are done, and what does each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from irkit.model import Event, EventKind, Incident, Step
from irkit.runbook import Runbook, step_told
from irkit.text.markdown import words_of

_KEY = "follow_up"


class Task(StrEnum):
    """What irkit knows to do for a post-incident step; `OTHER` is for people alone."""

    REPORT = "report"
    RUNBOOK = "runbook"
    MONITORING = "monitoring"
    MEETING = "meeting"
    OTHER = "other"


# the first that a step's words name; a meeting about a postmortem before the report of one
_WORDS = (
    (Task.MEETING, {"schedule", "meeting", "retrospective", "review"}),
    (Task.RUNBOOK, {"runbook", "playbook"}),
    (Task.MONITORING, {"monitoring", "monitor", "alert", "alerts", "alerting"}),
    (Task.REPORT, {"report", "postmortem", "writeup"}),
)
_COMMANDS = {
    Task.REPORT: "irkit lint {id}, then irkit postmortem {id}",
    Task.RUNBOOK: "irkit runbook propose {id}",
    Task.MONITORING: "irkit alert-rule {id}",
    Task.MEETING: "irkit meeting {id} --send",
    Task.OTHER: "by hand",
}


@dataclass(frozen=True, slots=True)
class Due:
    """One post-incident step: `done`, `skipped`, `due`, or `not needed` for such a severity; why, and what does it."""

    step: Step
    task: Task
    state: str
    why: str
    command: str
    at: datetime | None = None


def follow_up(
    incident: Incident, timeline: Sequence[Event], runbook: Runbook, *, can_send: bool = True
) -> tuple[Due, ...]:
    """Return the runbook's post-incident steps and how each stands for this incident.

    Without a mail server (`can_send`) an invitation is only written, for people to send.
    """
    found = tuple(_due(step, incident, timeline, runbook) for step in runbook.post_incident)
    return found if can_send else tuple(replace(one, command=one.command.removesuffix(" --send")) for one in found)


def task_of(step: Step) -> Task:
    """Return what a step asks for, by its words."""
    words = set(words_of(step.text))
    return next((task for task, named in _WORDS if words & named), Task.OTHER)


def step_of(runbook: Runbook, task: Task) -> Step | None:
    """Return the runbook's step for a task, None where it has none."""
    return next((step for step in runbook.post_incident if task_of(step) is task), None)


def applies(step: Step, incident: Incident, runbook: Runbook) -> bool:
    """Say whether a step is meant for this incident: one that names severities is for those alone."""
    named = set(words_of(step.text)) & {one.name.casefold() for one in runbook.severities}
    return not named or incident.severity.casefold() in named


def record(runbook: Runbook, number: int, outcome: str, text: str) -> tuple[str, dict[str, object]]:
    """Return the words and the data of the note that records a post-incident step as done or skipped.

    Raises:
        InputError: the runbook has no such step, or it is skipped and nobody says why.
    """
    said = step_told(runbook.post_incident, number, outcome, text, what="post-incident step")
    return said, {_KEY: number, "outcome": outcome}


def _due(step: Step, incident: Incident, timeline: Sequence[Event], runbook: Runbook) -> Due:
    task = task_of(step)
    command = _COMMANDS[task].format(id=incident.id)
    told = [one for one in timeline if one.kind is EventKind.NOTE and one.data.get(_KEY) == step.number]
    if told:
        last = max(told, key=lambda one: one.id)
        return Due(step, task, str(last.data.get("outcome") or "done"), last.text, command, last.at)
    if not applies(step, incident, runbook):
        return Due(step, task, "not needed", f"not for severity {incident.severity}", command)
    return Due(step, task, "due", "", command)
