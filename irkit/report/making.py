"""The one way to a report: every section computed by its own function, a failing one never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast

from irkit.act.engine import Proposed, as_written
from irkit.bundle import Bundle
from irkit.diagnose.loaded import Loaded
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import ActionItem, Event, Incident, IncidentType
from irkit.report import (
    analysis,
    changes,
    damage,
    head,
    heap,
    impact,
    learning,
    providing,
    resources,
    slowness,
    story,
    weighing,
    working,
)
from irkit.report.changes import LogPatterns
from irkit.report.damage import Damage, DatabaseErrors, Integrity
from irkit.report.facts import View
from irkit.report.heap import Collections, HeapGrowth, HeapMap, LeakSuspects, TopRetained
from irkit.report.learning import Alert, RunbookEdit
from irkit.report.material import Material
from irkit.report.parts import Gap, Shown
from irkit.report.providing import ProviderFailures, Providers, RateLimits
from irkit.report.resources import Resources
from irkit.report.sections import (
    ActionItems,
    Appendix,
    Header,
    Impact,
    Milestones,
    Narrative,
    OpenQuestions,
    Resolution,
    RuledOut,
    Similar,
    Summary,
    Symptoms,
    Timeline,
)
from irkit.report.slowness import Latency, ProbePhases, ProviderLatency, Queries, Routes
from irkit.report.weighing import Triage
from irkit.report.working_sections import Containers, HealthPhases, LogExcerpt, NextSteps
from irkit.runbook import Runbook

POSTMORTEM = (
    "header",
    "summary",
    "impact",
    "milestones",
    "timeline",
    "symptoms",
    "resources",
    "heap",
    "what_happened",
    "causes",
    "detection",
    "resolution",
    "lessons",
    "ruled_out",
    "open_questions",
    "action_items",
    "similar",
    "runbook_edit",
    "alert",
    "appendix",
)
_Section = TypeVar("_Section")


@dataclass(frozen=True, slots=True)
class _Later:
    """A section that nobody has asked for yet."""

    make: Callable[[Material], object]
    of: Material
    title: str

    def made(self) -> object:
        try:
            return self.make(self.of)
        except Exception as error:  # noqa: BLE001 (evidence is odd in ways nobody foresaw; the rest must be shown)
            what = f"{type(error).__name__}: {error}"
            reason = f"This section could not be made from the evidence ({what})."
            return Gap(self.title, reason, "report this as a defect of irkit")


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """An incident's report; each attribute is a section that shows itself, or the gap where it could not be made.

    A section is made when it is first asked for: a notebook shows half of them at most.
    """

    header: Header | Gap
    summary: Summary | Gap
    impact: Impact | Gap
    milestones: Milestones | Gap
    timeline: Timeline | Gap
    symptoms: Symptoms | Gap
    resources: Resources | Gap
    heap: LeakSuspects | Gap
    what_happened: Narrative | Gap
    causes: Narrative | Gap
    detection: Narrative | Gap
    resolution: Resolution | Gap
    lessons: Narrative | Gap
    ruled_out: RuledOut | Gap
    open_questions: OpenQuestions | Gap
    action_items: ActionItems | Gap
    similar: Similar | Gap
    runbook_edit: RunbookEdit | Gap
    alert: Alert | Gap
    appendix: Appendix | Gap
    containers: Containers | Gap
    log: LogExcerpt | Gap
    log_patterns: LogPatterns | Gap
    health: HealthPhases | Gap
    next_steps: NextSteps | Gap
    triage: Triage | Gap
    latency: Latency | Gap
    routes: Routes | Gap
    probe_phases: ProbePhases | Gap
    provider_latency: ProviderLatency | Gap
    queries: Queries | Gap
    providers: Providers | Gap
    failing_calls: ProviderFailures | Gap
    rate_limits: RateLimits | Gap
    integrity: Integrity | Gap
    damage: Damage | Gap
    database_errors: DatabaseErrors | Gap
    leak_suspects: LeakSuspects | Gap
    collections: Collections | Gap
    retained: TopRetained | Gap
    heap_map: HeapMap | Gap
    heap_growth: HeapGrowth | Gap

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 (whatever the attribute is)
        value = super(Report, self).__getattribute__(name)
        if isinstance(value, _Later):
            value = value.made()
            object.__setattr__(self, name, value)
        return value

    @property
    def sections(self) -> tuple[Shown, ...]:
        """The postmortem's sections in their order; those for the work itself are left out."""
        return tuple(getattr(self, name) for name in POSTMORTEM)


def build(  # noqa: PLR0913 (a report is made from exactly these)
    *,
    incident: Incident,
    timeline: tuple[Event, ...],
    runbook: Runbook,
    bundle: Bundle,
    diagnosis: Diagnosis,
    now: datetime,
    others: tuple[Incident, ...] = (),
    costs: Mapping[str, int] = MappingProxyType({}),
    places: Mapping[str, str] = MappingProxyType({}),
    past_items: Mapping[int, tuple[ActionItem, ...]] = MappingProxyType({}),
    loaded: Loaded | None = None,
    later: Callable[[datetime], Sequence[Bundle]] = lambda _: (),
    earlier: Incident | None = None,
    past_help: Mapping[int, str] = MappingProxyType({}),
    steps: Callable[[IncidentType], Proposed] = as_written,
) -> Report:
    """Return the report of an incident as data, times in aware UTC; missing evidence yields gaps, not errors.

    `costs` is what each collector costs, by name; it orders the checks that a triage proposes; `places` are the
    addresses of the runbook's commands with those configured in their stead. `past_items` are the action items of
    `others`, by incident. `loaded` is the bundle as the diagnosis has read it, not to be read and parsed again. `later`
    opens the bundles that reach from there to a time; it is asked only where the impact outlasts the bundle. `earlier`
    is the incident that was over shortly before; `past_help` what helped in the `others`, by incident. `steps` returns
    the resolution steps of a type as they are taken here.
    """
    view = View(loaded or bundle)
    of = Material(
        *(incident, timeline, runbook, bundle, diagnosis, now, others, view, costs, places, past_items, later, earlier),
        past_help=past_help,
        steps=steps,
    )
    return Report(
        header=_made(head.header, of, "Header"),
        summary=_made(head.summary, of, "Summary"),
        impact=_made(impact.impact, of, "Impact"),
        milestones=_made(head.milestones, of, "Milestones"),
        timeline=_made(story.timeline, of, "Timeline"),
        symptoms=_made(analysis.symptoms, of, "Symptoms"),
        resources=_made(resources.resources, of, Resources.heading),
        heap=_made(heap.held, of, LeakSuspects.heading),
        what_happened=_made(story.what_happened, of, "What happened"),
        causes=_made(story.causes, of, "Trigger and contributing factors"),
        detection=_made(story.detection, of, "Detection"),
        resolution=_made(story.resolution, of, "Resolution"),
        lessons=_made(story.lessons, of, "Lessons"),
        ruled_out=_made(analysis.ruled_out, of, "Hypotheses ruled out"),
        open_questions=_made(analysis.open_questions, of, "Open questions"),
        action_items=_made(story.action_items, of, "Action items"),
        similar=_made(story.similar, of, "Similar incidents"),
        runbook_edit=_made(learning.runbook_edit, of, RunbookEdit.heading),
        alert=_made(learning.alert, of, Alert.heading),
        appendix=_made(analysis.appendix, of, "Evidence"),
        containers=_made(working.containers, of, "Containers"),
        log=_made(working.log, of, "Log"),
        log_patterns=_made(changes.log_patterns, of, "Log patterns"),
        health=_made(working.health, of, "Health endpoint"),
        next_steps=_made(working.next_steps, of, "Next steps"),
        triage=_made(weighing.weighed, of, "Triage"),
        latency=_made(slowness.latency, of, Latency.heading),
        routes=_made(slowness.routes, of, Routes.heading),
        probe_phases=_made(slowness.probe_phases, of, ProbePhases.heading),
        provider_latency=_made(slowness.provider_latency, of, ProviderLatency.heading),
        queries=_made(slowness.queries, of, Queries.heading),
        providers=_made(providing.providers, of, Providers.heading),
        failing_calls=_made(providing.failing_calls, of, ProviderFailures.heading),
        rate_limits=_made(providing.limits, of, RateLimits.heading),
        integrity=_made(damage.integrity, of, Integrity.heading),
        damage=_made(damage.damage, of, Damage.heading),
        database_errors=_made(damage.database_errors, of, DatabaseErrors.heading),
        leak_suspects=_made(heap.suspects, of, LeakSuspects.heading),
        collections=_made(heap.collections, of, Collections.heading),
        retained=_made(heap.retained, of, TopRetained.heading),
        heap_map=_made(heap.heap_map, of, HeapMap.heading),
        heap_growth=_made(heap.growth, of, HeapGrowth.heading),
    )


def _made(make: Callable[[Material], _Section], of: Material, title: str) -> _Section | Gap:
    """Return what becomes the section, or the gap in its place, once the report is asked for it."""
    return cast("_Section | Gap", _Later(make, of, title))
