"""What all incidents together show: how long phases take, what was kept, what comes again, what is promised, late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import ClassVar

from irkit import metrics
from irkit.charts import Part, StackedBar, StackedBars
from irkit.followup.action_items import NO_DATE, days_overdue, is_overdue
from irkit.model import ActionItem, Incident, Status
from irkit.report.parts import Shown
from irkit.runbook import Runbook
from irkit.text.phrase import count

_OVER = frozenset({Status.RESOLVED, Status.CLOSED})
_MONTHS = 12
_FEWEST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Beside:
    """How many incidents were left out, as drills and as false alarms."""

    drills: int = 0
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the overview, as text with its unit, and how it was counted."""

    name: str
    value: str
    note: str = ""
    alarmed: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Overview(Shown):
    """How many incidents there were, how many are open, how often the response time was kept; a bar a month."""

    heading: ClassVar[str] = "Overview"
    anchor: ClassVar[str] = "overview"
    figures: tuple[Figure, ...]
    months: StackedBars | None
    no_runbook: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Phases(Shown):
    """The time to detect, acknowledge, mitigate and resolve, over the incidents that are over."""

    heading: ClassVar[str] = "Time to detect, acknowledge, mitigate, resolve"
    anchor: ClassVar[str] = "phases"
    rows: tuple[metrics.Summary, ...]


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A response time that a severity had, and how many were answered within it; `running` are not yet due."""

    severity: str
    response_time: timedelta
    kept: int
    missed: int
    running: int

    @property
    def share(self) -> float | None:
        """The share kept of those that are decided, None where none is."""
        decided = self.kept + self.missed
        return self.kept / decided if decided else None


@dataclass(frozen=True, slots=True, repr=False)
class ResponseTimes(Shown):
    """How often the runbook's response time was kept, by severity."""

    heading: ClassVar[str] = "Response time kept"
    anchor: ClassVar[str] = "response-times"
    rows: tuple[KeptRow, ...]
    definition: str

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """A type that came more than once: how often, its latest incidents, and the median time between two."""

    title: str
    times: int
    latest: tuple[Incident, ...]
    between: timedelta | None


@dataclass(frozen=True, slots=True, repr=False)
class Repeats(Shown):
    """The incident types that came again, most often first."""

    heading: ClassVar[str] = "What came again"
    anchor: ClassVar[str] = "repeats"
    rows: tuple[RepeatRow, ...]

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True)
class PromiseRow:
    """An action item not done yet: of which incident, its number there, and by how many days it is late (0: not)."""

    incident: Incident
    number: int
    item: ActionItem
    late_days: int

    @property
    def due(self) -> str:
        return "no date" if self.item.due == NO_DATE else f"{self.item.due:%Y-%m-%d}"


@dataclass(frozen=True, slots=True, repr=False)
class Promises(Shown):
    """The action items that are not done, overdue ones first; `done` counts the others."""

    heading: ClassVar[str] = "Action items"
    anchor: ClassVar[str] = "promises"
    rows: tuple[PromiseRow, ...]
    done: int

    @property
    def empty(self) -> bool:
        return not self.rows and not self.done


@dataclass(frozen=True, slots=True, repr=False)
class StillOpen(Shown):
    """The incidents that are not over, apart from all the above; `clocks` are their response times, by incident."""

    heading: ClassVar[str] = "Open incidents"
    anchor: ClassVar[str] = "still-open"
    rows: tuple[tuple[Incident, str], ...]
    made_at: datetime

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True, repr=False)
class Review(Shown):
    """Trends over incidents; each attribute is a section that shows itself."""

    overview: Overview
    phases: Phases
    response_times: ResponseTimes
    repeats: Repeats
    promises: Promises
    still_open: StillOpen

    @property
    def sections(self) -> tuple[Shown, ...]:
        """All sections in their order."""
        return (self.overview, self.phases, self.response_times, self.repeats, self.promises, self.still_open)


def review(  # noqa: PLR0913 (what is reviewed, by what, when, and what of it was practice)
    incidents: Sequence[Incident],
    runbook: Runbook,
    items: Mapping[int, Sequence[ActionItem]],
    now: datetime,
    *,
    beside: Beside = Beside(),
    are_drills: bool = False,
) -> Review:
    """Return what the incidents show together; `items` are their action items by incident, in their numbers' order.

    What was left out is counted by `beside`; or they `are_drills`, all of them.
    """
    kept = tuple(_kept(incidents, runbook, now))
    drills = f"; {count(beside.drills, 'drill')} left out" if beside.drills else ""
    drills = "; drills, all of them" if are_drills and incidents else drills
    promises = _promises(incidents, items, now)
    open_ = sorted((one for one in incidents if one.status not in _OVER), key=attrgetter("noticed_at"))
    return Review(
        Overview(
            (*_figures(incidents, kept, promises, drills), *_false(beside, incidents)),
            _months(incidents, runbook),
            runbook.unread.sentence if runbook.unread else "",
        ),
        Phases(metrics.summarise(incidents)),
        ResponseTimes(kept, metrics.RESPONSE_DEFINITION),
        Repeats(tuple(_repeats(incidents, runbook))),
        promises,
        StillOpen(tuple((one, _clock(one, runbook, now)) for one in open_), now),
    )


def _kept(incidents: Sequence[Incident], runbook: Runbook, now: datetime) -> Iterator[KeptRow]:
    # where the team's own cannot be read, the built-in one's times were promised to nobody
    held = [one for one in incidents if runbook.unread is None or one.response_time is not None]
    for severity in runbook.severities:
        clocks = [metrics.response(one, severity, now) for one in held if one.severity == severity.name]
        for allowed in sorted({clock.response_time for clock in clocks}):
            states = Counter(clock.state for clock in clocks if clock.response_time == allowed)
            yield KeptRow(severity.name, allowed, *(states[state] for state in metrics.ResponseState))


def _false(beside: Beside, incidents: Sequence[Incident]) -> Iterator[Figure]:
    if beside.false_alarms:
        total = beside.false_alarms + len(incidents)
        yield Figure("False alarms", f"{beside.false_alarms}", f"of {total} alarms; in no other number here")


def _figures(
    incidents: Sequence[Incident], kept: Sequence[KeptRow], promises: Promises, drills: str
) -> Iterator[Figure]:
    over = sum(one.status in _OVER for one in incidents)
    times = [one.noticed_at for one in incidents]
    first, last = min(times, default=None), max(times, default=None)
    span = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}" if first and last else ""
    yield Figure("Incidents", f"{len(incidents)}", f"{span}{drills}")
    yield Figure(
        "Open", f"{len(incidents) - over}", f"{over} {'is' if over == 1 else 'are'} over", alarmed=over < len(incidents)
    )
    well, missed = sum(row.kept for row in kept), sum(row.missed for row in kept)
    if well + missed:
        share = f"{100 * well / (well + missed):.0f} %"
        yield Figure("Response time kept", share, f"{well} of {well + missed}", alarmed=bool(missed))
    late = sum(bool(row.late_days) for row in promises.rows)
    if promises.rows or promises.done:
        yield Figure(
            "Action items overdue", f"{late}", f"{len(promises.rows)} to be done, {promises.done} done", bool(late)
        )


def _months(incidents: Sequence[Incident], runbook: Runbook) -> StackedBars | None:
    """Return a bar for each of the latest months that had incidents, a part a type."""
    by_month: dict[str, list[Incident]] = {}
    for one in sorted(incidents, key=attrgetter("noticed_at")):
        by_month.setdefault(f"{one.noticed_at:%Y-%m}", []).append(one)
    titles = {kind.slug: kind.title for kind in runbook.incident_types}
    bars = []
    for month, those in list(by_month.items())[-_MONTHS:]:
        counts = Counter(titles.get(one.type, one.type) for one in those)
        parts = tuple(Part(f"{title}: {n}", float(n), "calm") for title, n in counts.most_common())
        (most, times), *_ = counts.most_common()
        told = count(len(those), "incident") + (f", {times} of them {most}" if times > 1 else "")
        bars.append(StackedBar(month, parts, told))
    return StackedBars(tuple(bars), float(max(len(those) for those in by_month.values()))) if bars else None


def _repeats(incidents: Sequence[Incident], runbook: Runbook) -> Iterator[RepeatRow]:
    titles = {kind.slug: kind.title for kind in runbook.incident_types}
    for slug, times in Counter(one.type for one in incidents).most_common():
        if times < _FEWEST_REPEATS:
            continue
        those = sorted((one for one in incidents if one.type == slug), key=attrgetter("noticed_at"))
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(one.noticed_at for one in those)]
        yield RepeatRow(titles.get(slug, slug), times, tuple(those[:-4:-1]), timedelta(seconds=median(gaps)))


def _promises(incidents: Sequence[Incident], items: Mapping[int, Sequence[ActionItem]], now: datetime) -> Promises:
    rows = [
        PromiseRow(one, number, item, days_overdue(item, now) if is_overdue(item, now) else 0)
        for one in incidents
        for number, item in enumerate(items.get(one.id, ()), 1)
        if item.done_at is None
    ]
    total = sum(len(items.get(one.id, ())) for one in incidents)
    return Promises(tuple(sorted(rows, key=lambda row: (-row.late_days, row.item.due))), total - len(rows))


def _clock(one: Incident, runbook: Runbook, now: datetime) -> str:
    severity = runbook.severity_of(one)
    return str(metrics.response(one, severity, now).state) if severity else "unknown"
