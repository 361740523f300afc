"""The process that opens an incident for the flight recorder and collects its evidence; see `irkit.recorder.outage`.

The job is a line of JSON on standard input; the last line on standard output says what was done.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from irkit import workspace
from irkit.entries import filing
from irkit.errors import IrkitError
from irkit.model import Incident, Status
from irkit.recorder.outage import ACTOR, Opening
from irkit.settings import Settings

_ONGOING = (Status.OPEN, Status.ACKNOWLEDGED, Status.MITIGATED)


def open_once(opening: Opening, settings: Settings) -> tuple[Incident, bool]:
    """Open the incident and return it with True; or the unresolved one of its type, which it must be, with False.

    Either is written to the mark before anything else can fail, so that the same outage opens no second one.

    Raises:
        IrkitError: the runbook, the store or the mark cannot be used.
    """
    runbook = workspace.load_runbook(settings)
    kind = filing(runbook, opening.incident_type, None)
    store = workspace.store(settings, create=True)
    ongoing = [each for each in store.incidents(_ONGOING) if each.type == kind.type]
    incident = ongoing[-1] if ongoing else None
    if incident is None:
        incident = store.open_incident(
            opening.title,
            incident_type=kind.type,
            severity=kind.severity,
            actor=ACTOR,
            started_at=opening.started_at,
            detected_at=opening.detected_at,
            response_time=kind.response_time,
        )
    mark = {"incident_id": incident.id, "started_at": opening.started_at.isoformat()}
    draft = opening.mark.with_suffix(".draft")
    draft.write_text(json.dumps(mark), encoding="ascii")
    draft.replace(opening.mark)
    return incident, not ongoing


def _tell(incident: Incident, settings: Settings) -> None:
    """Tell whom the runbook wants told; that nobody could be is on the timeline, and no reason to collect nothing."""
    from irkit.escalate import tell as escalate

    with suppress(IrkitError):
        escalate.begin(workspace.escalation(settings, ACTOR), incident.id)


def main() -> None:
    """Do the job on standard input; a failure is a sentence and a non-zero exit."""
    job: Mapping[str, str] = json.loads(sys.stdin.readline())
    started_at, detected_at = (datetime.fromisoformat(job[name]) for name in ("started_at", "detected_at"))
    opening = Opening(job["incident_type"], job["title"], started_at, detected_at, Path(job["mark"]))
    try:
        settings = workspace.load_settings()
        incident, new = open_once(opening, settings)
        told = f"{incident.label} is open already and holds this outage"
        if new:
            _tell(incident, settings)
            bundle = workspace.gather(incident, "always", settings=settings, actor=ACTOR)
            told = f"Opened {incident.label} and collected its evidence: {bundle.path}"
    except (IrkitError, OSError) as error:
        os.write(1, f"{error}\n".encode(errors="replace"))
        sys.exit(1)
    os.write(1, f"{told}\n".encode(errors="replace"))


if __name__ == "__main__":
    main()
