"""The vocabulary of an incident as frozen data: no I/O, no rendering, no policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from irkit.errors import InputError

MAX_INCIDENT_ID = 2**31 - 1
_EMPTY: Mapping[str, object] = MappingProxyType({})
_NO_COUNTS: Mapping[str, int] = MappingProxyType({})


class Status(StrEnum):
    """Where an incident stands; each is reached by the timeline event of the same meaning."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


class EventKind(StrEnum):
    """What a timeline row records; the first nine move the incident, the others only tell."""

    STARTED = "started"
    DETECTED = "detected"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    AMENDED = "amended"
    NOTE = "note"
    EVIDENCE = "evidence"
    ACTION = "action"
    ESCALATION = "escalation"


class Outcome(StrEnum):
    """How one collector's look at its source ended; only `COLLECTED` means everything asked for is there."""

    COLLECTED = "collected"
    PARTIAL = "partial"
    ABSENT = "absent"
    SKIPPED = "skipped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class VerdictState(StrEnum):
    """What the evidence says of a symptom; `UNKNOWN` whenever it could not be looked at."""

    FOUND = "found"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval of time (aware UTC) that evidence is wanted for.

    `usual_start` is set where an earlier incident cut it short: from then on what moves slowly is wanted all the same.
    """

    start: datetime
    end: datetime
    usual_start: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            msg = "a window needs times with a time zone"
            raise InputError(msg, hint="write 2026-11-24T03:05:00Z or 2026-11-24T04:05:00+01:00")
        if self.end <= self.start:
            msg = f"the window ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})"
            raise InputError(msg, hint="check --since and --until")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Severity:
    """One row of the runbook's severities; `rank` 0 is the most urgent."""

    name: str
    response_time: timedelta
    escalation: str
    rank: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit read from a symptom's text, in SI base units: `p95 latency > 2s` is ("p95 latency", ">", 2.0, "s")."""

    metric: str
    comparison: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class RunbookSymptom:
    """A symptom as the runbook words it; `line` counts from 1 in the runbook file."""

    slug: str
    text: str
    line: int
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A diagnosis command; `comment` is the `#` line above it, `language` the fence's (bash, python)."""

    text: str
    comment: str
    language: str
    line: int


@dataclass(frozen=True, slots=True)
class Step:
    """A numbered step; `command` is the inline code inside it, kept apart from its words, `notes` the list under it."""

    number: int
    text: str
    line: int
    command: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentType:
    """One kind of incident the runbook knows, e.g. slug `api-unresponsive`, severity `Critical`."""

    slug: str
    title: str
    number: int
    severity: str
    symptoms: tuple[RunbookSymptom, ...]
    diagnosis: tuple[Command, ...]
    resolution: tuple[Step, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to tell, by which channel, and when, in the runbook's words."""

    role: str
    channel: str
    when: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the runbook irkit gives no meaning to: kept, shown, never lost."""

    title: str
    level: int
    line: int
    markdown: str


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its timeline tells it; every time is aware UTC or None where it has not happened.

    `response_time` is what its severity allowed when it was given to it; None where that was not recorded.
    """

    id: int
    title: str
    type: str
    severity: str
    status: Status
    opened_at: datetime
    started_at: datetime | None = None
    detected_at: datetime | None = None
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    owner: str | None = None
    impact: str | None = None
    response_time: timedelta | None = None

    @property
    def label(self) -> str:
        return f"INC-{self.id}"

    @property
    def noticed_at(self) -> datetime:
        """When it was detected or, where nobody said, opened: what is newest first goes by this."""
        return self.detected_at or self.opened_at

    @property
    def eased_at(self) -> datetime | None:
        """When users were well again: mitigated or, where nobody said, over; None while they are not."""
        return self.mitigated_at or self.over_at

    @property
    def over_at(self) -> datetime | None:
        """When it was resolved or, where nobody said, closed; None while it goes on."""
        return self.resolved_at or self.closed_at


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the append-only timeline: what happened `at`, and when it was `recorded_at`."""

    id: int
    incident_id: int
    at: datetime
    recorded_at: datetime
    kind: EventKind
    actor: str
    text: str
    evidence: tuple[str, ...] = ()
    data: Mapping[str, object] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sealed file of a bundle and where it came from; `id` is `collector/kind`, cited by every claim.

    `redactions` counts the placeholders in it by the rule that put them there.
    """

    id: str
    collector: str
    kind: str
    form: str
    path: str
    sha256: str
    size_bytes: int
    rows: int | None
    subject: str
    command: str
    collected_at: datetime
    truncated: str = ""
    redactions: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS, hash=False)


@dataclass(frozen=True, slots=True)
class CollectorRun:
    """How one collector ended: the row of coverage that a report's first screen shows.

    `whole_from` is for one that is `partial` for its beginning alone: from then on nothing is missing.
    """

    collector: str
    outcome: Outcome
    reason: str
    hint: str
    subject: str
    command: str
    provides: tuple[str, ...]
    evidence: tuple[str, ...]
    started_at: datetime
    duration_s: float
    size_bytes: int
    redactions: int = 0
    whole_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says: state, one sentence, what to do, since when, how sure (0 to 1).

    `explained_by` is the incident type (or other cause) that the evidence itself blames for a symptom that was found.
    `withheld` is the `clear` in whose place an `unknown` stands for what the evidence lacks. `until` is when what was
    found was over, None where it goes on, or nothing that came later shows that it does not.
    """

    state: VerdictState
    sentence: str
    advice: str = ""
    onset: datetime | None = None
    confidence: float = 1.0
    numbers: Mapping[str, object] = field(default_factory=lambda: _EMPTY)
    explained_by: str = ""
    withheld: Verdict | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one symptom of one incident type, with the evidence it was read from."""

    symptom: str
    incident_types: tuple[str, ...]
    title: str
    verdict: Verdict
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionItem:
    """A promise after the incident: verb first, with an owner, a due date and what done means."""

    text: str
    owner: str
    due: datetime
    done_criterion: str
    kind: str
    done_at: datetime | None = None


def is_configured(run: CollectorRun) -> bool:
    """Say whether there was a source to look at: without a target, nobody claims that the service has one."""
    return run.outcome is not Outcome.ABSENT or bool(run.subject)


_SHOWN_CHARS = 40
_SHOWN_BITS = 64
_INCIDENT_ID = re.compile(r"(?:INC-)?0*([1-9][0-9]{0,9})", re.IGNORECASE | re.ASCII)


def parse_incident_id(value: object) -> int:
    """Read an incident id as people write it: `42`, `042`, `"42"` and `INC-42` are the same incident.

    Papermill turns `1e5` into a float and `042` into 42, so floats, booleans and all else are refused.

    Raises:
        InputError: the value is not an id between 1 and 2147483647.
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) <= _SHOWN_CHARS and (match := _INCIDENT_ID.fullmatch(value.strip())):
        number = int(match[1])
    if number is None or not 1 <= number <= MAX_INCIDENT_ID:
        # an int past the interpreter's digit limit cannot even be printed
        huge = isinstance(value, int) and value.bit_length() > _SHOWN_BITS
        text = f"a number of {value.bit_length()} bits" if huge and isinstance(value, int) else repr(value)
        shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
        msg = f"{shown} is not an incident id"
        raise InputError(msg, hint="use a whole number such as 42 or INC-42; `irkit list` shows the ids")
    return number


def utc_now() -> datetime:
    """Return the wall clock as aware UTC; passed around as the default clock."""
    return datetime.now(UTC)
