"""Somebody on call who works on an incident of a stack through irkit, in real time, and what is kept of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from irkit import entries, workspace
from irkit.bundle import Bundle
from irkit.model import Event, EventKind, Incident, Outcome
from irkit.settings import Settings

from .stack import Stack

RESPONDER = "dana"


@dataclass(frozen=True)
class Recording:
    """One incident as it was handled: what is written into the drill."""

    description: str
    incident: Incident
    timeline: tuple[Event, ...]
    evidence: Bundle


class Handler:
    """Somebody on call, who opens, acknowledges, collects, mends and tells."""

    def __init__(self, stack: Stack, pace: float) -> None:
        self.stack = stack
        self._pace = pace
        self._pause = threading.Event()
        self.settings = self._configure()
        self.store = workspace.store(self.settings, create=True)
        self.incident_id = 0

    def _configure(self) -> Settings:
        (self.stack.directory / "irkit.toml").write_text(
            f'[docker]\nproject = "{self.stack.project}"\n'
            f'[http]\nhealth_url = "{self.stack.url}/api/health"\n'
            f'[redis]\nurl = "{self.stack.redis_url}"\n'
            f'[sqlite]\npath = "{self.stack.database_path}"\n'
            "[collect]\nwindow_minutes = 3\n"
        )
        return workspace.load_settings(self.stack.directory)

    def wait(self, seconds: float) -> None:
        """Let the stack run on: the time that passes is what is recorded."""
        self._pause.wait(seconds * self._pace)

    def open(self, title: str, kind: str, started_at: datetime, impact: str) -> None:
        runbook = workspace.load_runbook(self.settings)
        self.incident_id = self.store.open_incident(
            title,
            incident_type=kind,
            severity=runbook.incident_type(kind).severity,
            actor="alertmanager",
            started_at=started_at,
            owner=RESPONDER,
            impact=impact,
        ).id

    def tell(self, kind: EventKind, text: str, data: dict[str, object] | None = None, actor: str = RESPONDER) -> None:
        self.store.append(self.incident_id, kind, actor=actor, text=text, data=data)

    def step(self, number: int, outcome: str, text: str) -> None:
        """Tell what became of a resolution step of the runbook, as `irkit step` does."""
        incident = self.store.incident(self.incident_id)
        runbook = workspace.load_runbook(self.settings)
        self.tell(EventKind.NOTE, *entries.step_record(incident, number, outcome, text, runbook))

    def write(self, section: str, text: str) -> None:
        """Write into a part of the report."""
        self.tell(EventKind.NOTE, text, {"section": section})

    def collect(self) -> Bundle:
        bundle = workspace.gather(
            self.store.incident(self.incident_id), "always", settings=self.settings, actor=RESPONDER
        )
        # the stack has no Prometheus, and a drill may well show a source that a team lacks
        failed = [run for run in bundle.runs if run.outcome not in {Outcome.COLLECTED, Outcome.PARTIAL, Outcome.ABSENT}]
        if failed:
            raise RuntimeError(f"a drill needs every source: {failed}")
        return bundle

    def done(self, description: str, evidence: Bundle) -> Recording:
        incident = self.store.incident(self.incident_id)
        return Recording(description, incident, self.store.timeline(incident.id), evidence)
