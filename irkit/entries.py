"""What a person types for the record of an incident, held to the runbook's names and to real times."""

from __future__ import annotations

from datetime import datetime

from irkit import runbook as runbooks
from irkit.lifecycle import RESPONSE_TIME, title_of
from irkit.model import Incident
from irkit.runbook import Runbook
from irkit.times import parse_time


def step_record(
    incident: Incident, number: int, outcome: str, text: str, runbook: Runbook
) -> tuple[str, dict[str, object]]:
    """Return the words and the data of the note that records what became of a resolution step.

    Raises:
        InputError: the runbook has no such step for this type, or a step was not done and no reason is given.
    """
    steps = runbook.incident_type(incident.type).resolution
    said = runbooks.step_told(steps, number, outcome, text, what="step", where=f" for {incident.type}")
    return said, {"step": number, "outcome": outcome}


def amendment(field: str, value: str, runbook: Runbook, now: datetime) -> dict[str, object]:
    """Return the data of an `AMENDED` event for what a person typed, held to the runbook's names and to real times.

    Raises:
        InputError: the value is no time, no type, no severity or no title where the field wants one.
    """
    if field.endswith("_at"):
        return {field: parse_time(value, now).isoformat()}
    if field == "type":
        return {field: runbook.incident_type(value).slug}
    if field == "title":
        return {field: title_of(value)}
    if field == "severity":
        severity = runbook.severity(value)
        return {field: severity.name, RESPONSE_TIME: severity.response_time.total_seconds()}
    return {field: value.strip()}
