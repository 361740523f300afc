"""How long an incident's phases took, and whether its response time was kept: pure functions of milestones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean, median, quantiles
from typing import TYPE_CHECKING

from irkit.model import Incident, Severity, Status
from irkit.times import between

if TYPE_CHECKING:
    from collections.abc import Iterable

# name, from milestone, to milestone
_PHASES = (
    ("time to detect", "started", "detected"),
    ("time to acknowledge", "detected", "acknowledged"),
    ("time to mitigate", "acknowledged", "mitigated"),
    ("time to resolve", "detected", "resolved"),
)
_ENDED = frozenset({Status.RESOLVED, Status.CLOSED})
RESPONSE_DEFINITION = (
    "detected → acknowledged, within the response time its severity had when the incident got it; where nobody "
    "acknowledged before, mitigating or resolving the incident counts as the response"
)


@dataclass(frozen=True, slots=True)
class Phase:
    """One measured phase of an incident; `duration` is None where `missing` names a milestone not recorded.

    It is that of the times as they are shown, in whole seconds; zero where the end came first, as of what was noticed
    before anybody was affected.
    """

    name: str
    definition: str
    start: datetime | None
    end: datetime | None
    duration: timedelta | None
    missing: tuple[str, ...]


class ResponseState(StrEnum):
    """Whether somebody responded in time; `RUNNING` until the deadline has passed or somebody responds."""

    KEPT = "kept"
    MISSED = "missed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Response:
    """The response-time clock of an incident; `remaining` is what is or was left of it, negative when overdue."""

    state: ResponseState
    response_time: timedelta
    since: datetime
    deadline: datetime
    responded_at: datetime | None
    elapsed: timedelta
    remaining: timedelta
    definition: str = RESPONSE_DEFINITION

    @property
    def overdue(self) -> timedelta:
        return max(-self.remaining, timedelta())


@dataclass(frozen=True, slots=True)
class Summary:
    """One phase over several incidents: `n` ended ones measured, `unknown` ended ones not, `open` ones apart.

    `median`, `p90` and `mean` are None where `n` is 0. The p90 is linear between the two nearest values (Hyndman and
    Fan's type 7), so that it never exceeds the largest one seen.
    """

    name: str
    definition: str
    n: int
    median: timedelta | None
    p90: timedelta | None
    mean: timedelta | None
    unknown: int
    open: int


def phases(incident: Incident) -> tuple[Phase, ...]:
    """Return the time to detect, acknowledge, mitigate and resolve, each with its definition."""
    return tuple(_phase(incident, *one) for one in _PHASES)


def allowed(incident: Incident, severity: Severity) -> timedelta:
    """Return the response time that an incident is held to: the recorded one, else that of its severity now."""
    return severity.response_time if incident.response_time is None else incident.response_time


def response(incident: Incident, severity: Severity, now: datetime) -> Response:
    """Return the response-time clock as it stands at `now`; `severity` is the incident's by the runbook."""
    limit = allowed(incident, severity)
    since = incident.noticed_at
    answers = (incident.acknowledged_at, incident.mitigated_at, incident.resolved_at)
    responded_at = min(filter(None, answers), default=None)
    elapsed = between(since, responded_at or now)
    remaining = limit - elapsed
    if remaining < timedelta():
        state = ResponseState.MISSED
    else:
        state = ResponseState.KEPT if responded_at else ResponseState.RUNNING
    deadline = since + limit
    return Response(state, limit, since, deadline, responded_at, elapsed, remaining)


def summarise(incidents: Iterable[Incident]) -> tuple[Summary, ...]:
    """Return the four phases over several incidents; those not yet resolved are only counted."""
    every = list(incidents)
    ended = [phases(one) for one in every if one.status in _ENDED]
    return tuple(
        _summary([one[index] for one in ended], name, _definition(start, end), len(every) - len(ended))
        for index, (name, start, end) in enumerate(_PHASES)
    )


def _phase(incident: Incident, name: str, start: str, end: str) -> Phase:
    begun: datetime | None = getattr(incident, f"{start}_at")
    ended: datetime | None = getattr(incident, f"{end}_at")
    missing = tuple(milestone for milestone, at in ((start, begun), (end, ended)) if at is None)
    duration = max(between(begun, ended), timedelta()) if begun and ended else None
    return Phase(name, _definition(start, end), begun, ended, duration, missing)


def _definition(start: str, end: str) -> str:
    return f"{start} → {end}"


def _summary(found: list[Phase], name: str, definition: str, still_open: int) -> Summary:
    values = [one.duration.total_seconds() for one in found if one.duration is not None]
    unknown = len(found) - len(values)
    if not values:
        return Summary(name, definition, 0, None, None, None, unknown, still_open)
    p90 = quantiles(values, n=10, method="inclusive")[8] if len(values) > 1 else values[0]
    middle, ninetieth, average = (timedelta(seconds=value) for value in (median(values), p90, fmean(values)))
    return Summary(name, definition, len(values), middle, ninetieth, average, unknown, still_open)
