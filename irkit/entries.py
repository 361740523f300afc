"""What a person types for the record of an incident, held to the runbook's names and to real times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from irkit import runbook as runbooks
from irkit.errors import InputError
from irkit.lifecycle import RESPONSE_TIME, title_of
from irkit.model import Incident
from irkit.runbook import Runbook
from irkit.text.markdown import slug_of
from irkit.times import parse_time


@dataclass(frozen=True, slots=True)
class Filing:
    """What an incident is filed as: the slug and the title of its type, its severity, and how soon it is answered."""

    type: str
    title: str
    severity: str
    response_time: timedelta | None


def filing(runbook: Runbook, incident_type: str | None, severity: str | None) -> Filing:
    """Return what an incident is filed as: the type that is named, or the runbook's first, as nobody knows at first.

    Where the team's own runbook cannot be read, names it may have are taken as they are given, and no response time
    is recorded: its own counts once it can be.

    Raises:
        InputError: the runbook has no such type or severity.
    """
    if runbook.unread is None:
        kind = runbook.incident_type(incident_type) if incident_type else runbook.incident_types[0]
        chosen = runbook.severity(severity or kind.severity)
        return Filing(kind.slug, kind.title, chosen.name, chosen.response_time)
    slug = slug_of(incident_type) if incident_type else runbook.incident_types[0].slug
    if not slug:
        raise InputError(f"{incident_type!r} is no name of a type", hint=runbook.unread.hint)
    known = runbook.known_type(slug)
    names = {one.name.casefold(): one.name for one in runbook.severities}
    wanted = (severity or (known or runbook.incident_types[0]).severity).strip()
    return Filing(slug, known.title if known else slug, names.get(wanted.casefold(), wanted), None)


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
        return {field: filing(runbook, value, None).type}
    if field == "title":
        return {field: title_of(value)}
    if field == "severity" and runbook.unread:
        raise InputError(
            f"which response time a severity has is not known: {runbook.unread.sentence}", hint=runbook.unread.hint
        )
    if field == "severity":
        severity = runbook.severity(value)
        return {field: severity.name, RESPONSE_TIME: severity.response_time.total_seconds()}
    return {field: value.strip()}
