"""Sections for the work itself, as frozen data: they look closer than a postmortem does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from irkit.act.engine import StepLine
from irkit.model import Command
from irkit.report.parts import Claim, Shown


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """One container as it was when the evidence was collected."""

    service: str
    state: str
    health: str
    exit_code: int | None
    restarts: int | None
    oom_killed: bool
    started_at: datetime | None
    finished_at: datetime | None
    image: str
    error: str


@dataclass(frozen=True, slots=True, repr=False)
class Containers(Shown):
    """State, exit code, restarts and health of every container."""

    heading: ClassVar[str] = "Containers"
    anchor: ClassVar[str] = "containers"
    rows: tuple[ContainerRow, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log line; `marked` where it is the one that tells."""

    at: datetime
    service: str
    stream: str
    line: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class LogPart:
    """Consecutive lines of the log, and why these."""

    title: str
    rows: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True, repr=False)
class LogExcerpt(Shown):
    """The log where it began and where it ended, all services merged by time; `total` lines were collected."""

    heading: ClassVar[str] = "Log"
    anchor: ClassVar[str] = "log"
    parts: tuple[LogPart, ...]
    total: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One health probe; phases are seconds from its start, as `curl -w` has them, None where never reached."""

    at: datetime
    url: str
    verdict: str
    status_code: int | None
    name_lookup_s: float | None
    connect_s: float | None
    tls_s: float | None
    first_byte_s: float | None
    total_s: float | None
    error: str


@dataclass(frozen=True, slots=True, repr=False)
class HealthPhases(Shown):
    """How far each probe of the health endpoint got."""

    heading: ClassVar[str] = "Health endpoint"
    anchor: ClassVar[str] = "health"
    rows: tuple[PhaseRow, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class NextSteps(Shown):
    """What the runbook says to look at and to do next, for the incident type in question."""

    heading: ClassVar[str] = "Next steps"
    anchor: ClassVar[str] = "next-steps"
    type_title: str
    symptoms: tuple[Claim, ...]
    commands: tuple[Command, ...]
    steps: tuple[StepLine, ...]
    incident_id: int
    tell: tuple[str, ...] = field(default=())
    hints: tuple[str, ...] = field(default=())

    @property
    def acts(self) -> bool:
        """Whether irkit itself does one of the steps."""
        return any(line.action for line in self.steps)
