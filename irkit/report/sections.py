"""The sections of a report as frozen data, in the order in which the report shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from irkit.bundle.manifest import Origin
from irkit.model import ActionItem, CollectorRun, Evidence, Outcome, Severity, Status, Step, VerdictState, Window
from irkit.report.parts import Answer, Claim, Shown, Written

if TYPE_CHECKING:
    from irkit.charts import IncidentStrip, MilestoneBars
    from irkit.diagnose.verdicts import Earlier


@dataclass(frozen=True, slots=True)
class Likely:
    """The incident type the evidence points at (None: at none), why, and the other types with their scores."""

    title: str | None
    score: float
    claims: tuple[Claim, ...]
    note: str = ""
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Lack:
    """Sources that ended alike and short of what was asked for: how, why, and what they all advise."""

    sources: tuple[str, ...]
    outcome: Outcome
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Response:
    """The severity's response time against the clock: `kept`, `missed`, `running` or `unknown`, in one sentence."""

    state: str
    sentence: str


@dataclass(frozen=True, slots=True, repr=False)
class Header(Shown):
    """What broke, how bad, since when, the likely type, and which sources were and were not looked at.

    Sources in `not_configured` are none of the service's: they are in neither `coverage` nor `lacks`. `looked_at` is
    how many were, of how many: a heap of which nobody took a snapshot is none. `told` is what people found, a name and
    their words: the impact, the trigger, what helped. `drill` names the recording that this was filed from, "" for what
    happened. Looks went on to `looked_to`, after the end of the `window`; it begins where the incident `earlier` was
    over, where there is one. `no_runbook` says why the team's own runbook could not be used.
    """

    label: str
    title: str
    severity: str
    status: Status
    filed_as: str
    owner: str | None
    opened_at: datetime
    started_at: datetime | None
    started_by_evidence: bool
    ended_at: datetime | None
    lasted: timedelta
    response: Response
    likely: Likely
    coverage: tuple[CollectorRun, ...]
    looked_at: tuple[int, int]
    lacks: tuple[Lack, ...]
    bundle_id: str
    seal: str
    window: Window
    made_at: datetime
    written: tuple[int, int]
    urgent: bool = False
    not_configured: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    drill: str = ""
    false_alarm: bool = False
    looked_to: datetime | None = None
    earlier: str = ""
    no_runbook: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Summary(Shown):
    """The incident in at most three sentences."""

    heading: ClassVar[str] = "Summary"
    anchor: ClassVar[str] = "summary"
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the impact, as text with its unit, and how it was counted."""

    name: str
    value: str
    note: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Impact(Shown):
    """The impact in words and numbers, and the incident strip; `since` says what its start rests on, if no record.

    `counted` says of which time the numbers are, and where they are from.
    """

    heading: ClassVar[str] = "Impact"
    anchor: ClassVar[str] = "impact"
    told: Written
    measures: tuple[Measure, ...]
    strip: IncidentStrip | None
    gaps: tuple[str, ...] = ()
    since: str = ""
    counted: str = ""


@dataclass(frozen=True, slots=True)
class MilestoneRow:
    """One duration of the incident with its definition; `target` is the runbook's, where it sets one."""

    name: str
    definition: str
    reached_at: datetime | None
    duration: timedelta | None
    target: timedelta | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Milestones(Shown):
    """Time to detect, acknowledge, mitigate and resolve against the runbook's response time."""

    heading: ClassVar[str] = "Milestones"
    anchor: ClassVar[str] = "milestones"
    severity: Severity
    rows: tuple[MilestoneRow, ...]
    bars: MilestoneBars | None


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """What happened when; `phase` is before, during or after the impact, `who` a person or a source.

    Where the quote leaves lines out, `full` is the whole entry.
    """

    at: datetime
    phase: str
    who: str
    text: str
    evidence: tuple[str, ...] = ()
    quote: str = ""
    full: str = ""
    person: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Timeline(Shown):
    """The people's timeline and the evidence's, merged, starting before the incident; times are UTC.

    Where nobody recorded the start of the impact, it is `by_evidence`.
    """

    heading: ClassVar[str] = "Timeline"
    anchor: ClassVar[str] = "timeline"
    rows: tuple[TimelineRow, ...]
    left_out: int = 0
    by_evidence: bool = False

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True)
class SymptomRow:
    """One symptom of the runbook and what the evidence says of it."""

    title: str
    incident_types: tuple[str, ...]
    state: VerdictState
    sentence: str
    advice: str
    onset: datetime | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RankRow:
    """An incident type's place: its score (0 to 1) and how many symptoms were found, clear, and unknown.

    `reasons` says which of those found count for less than one, and why.
    """

    title: str
    score: float
    found: int
    clear: int
    unknown: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Symptoms(Shown):
    """The runbook's symptoms, found first, then unknown, then clear; and the incident types they point at."""

    heading: ClassVar[str] = "Symptoms"
    anchor: ClassVar[str] = "symptoms"
    rows: tuple[SymptomRow, ...]
    ranking: tuple[RankRow, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Narrative(Shown):
    """Parts that people write, under one heading."""

    title: str
    slug: str
    parts: tuple[Written, ...]
    claims: tuple[Claim, ...] = ()

    @property
    def empty(self) -> bool:
        return all(part.empty for part in self.parts)


@dataclass(frozen=True, slots=True)
class StepRow:
    """A resolution step of the runbook and what became of it in words (see `irkit.runbook.steps`), or `not recorded`.

    `by` names the record that says so, `note` is what it adds, `earlier` tells of the tries before that one.
    """

    step: Step
    state: str
    by: str = ""
    note: str = ""
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Resolution(Shown):
    """What was done, and how the runbook's steps fared."""

    heading: ClassVar[str] = "Resolution"
    anchor: ClassVar[str] = "resolution"
    type_title: str
    steps: tuple[StepRow, ...]
    actions: tuple[Answer, ...]

    @property
    def empty(self) -> bool:
        return not self.steps and not self.actions


@dataclass(frozen=True, slots=True, repr=False)
class RuledOut(Shown):
    """Incident types the evidence speaks against, each with what refutes it."""

    heading: ClassVar[str] = "Hypotheses ruled out"
    anchor: ClassVar[str] = "ruled-out"
    rows: tuple[tuple[str, tuple[Claim, ...]], ...]

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True, repr=False)
class OpenQuestions(Shown):
    """What is not known: asked by people, and left open by evidence that could not be had."""

    heading: ClassVar[str] = "Open questions"
    anchor: ClassVar[str] = "open-questions"
    questions: tuple[Claim, ...]

    @property
    def empty(self) -> bool:
        return not self.questions


@dataclass(frozen=True, slots=True, repr=False)
class ActionItems(Shown):
    """What was promised after the incident; `late` holds the items past their due date."""

    heading: ClassVar[str] = "Action items"
    anchor: ClassVar[str] = "action-items"
    items: tuple[ActionItem, ...]
    missing: Written
    made_at: datetime

    @property
    def empty(self) -> bool:
        return not self.items and self.missing.empty


@dataclass(frozen=True, slots=True)
class SimilarRow:
    """An earlier incident, what it has in common with this one, what helped, what it promised and is not done."""

    label: str
    title: str
    status: Status
    opened_at: datetime
    common: str
    promised: int = 0
    open_items: tuple[ActionItem, ...] = ()
    made_at: datetime | None = None
    helped: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Similar(Shown):
    """Earlier incidents of the same type, the latest first."""

    heading: ClassVar[str] = "Similar incidents"
    anchor: ClassVar[str] = "similar"
    rows: tuple[SimilarRow, ...]

    @property
    def empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True, repr=False)
class Appendix(Shown):
    """The evidence index that every claim links to, what could not be had, and how to make this report again.

    The bundle's time of collection is `placed` among the incident's milestones, in words.
    """

    heading: ClassVar[str] = "Evidence"
    anchor: ClassVar[str] = "evidence"
    evidence: tuple[Evidence, ...]
    runs: tuple[CollectorRun, ...]
    redactions: int
    reproduce: str
    runbook: str
    runbook_sha256: str
    bundle_id: str
    seal: str
    irkit_version: str
    collected_at: datetime
    placed: str = ""
    made_of: Origin | None = None
    is_redacted_again: bool = False
    earlier: Earlier | None = None

    @property
    def looks(self) -> tuple[tuple[Evidence, ...], ...]:
        """The evidence by the look that it is from, in the order in which it was collected."""
        by_look = groupby(self.evidence, key=attrgetter("command", "subject", "collected_at"))
        return tuple(tuple(found) for _, found in by_look)
