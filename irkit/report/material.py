"""All that a report is made from, and the small questions every section asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from irkit.act.engine import Proposed, as_written
from irkit.bundle import Bundle
from irkit.charts import Band
from irkit.diagnose.verdicts import Diagnosis
from irkit.errors import InputError
from irkit.followup.notes import in_force, is_false_alarm
from irkit.model import (
    ActionItem,
    CollectorRun,
    Event,
    EventKind,
    Incident,
    IncidentType,
    Outcome,
    Severity,
    is_configured,
)
from irkit.report.continued import Continued
from irkit.report.facts import View
from irkit.report.parts import Answer, Written
from irkit.runbook import Runbook

_Found = TypeVar("_Found")
LOOKED_AT = (Outcome.COLLECTED, Outcome.PARTIAL)

# A note of this kind is asked in the report's open questions; it is no part to complete.
QUESTION = "question"

# The parts that only people can write, in the report's order: slug → title, and the question each answers.
PARTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "impact": ("Impact in words", "Who could not do what, how many, and how do we know?"),
        "what-happened": ("What happened", "Tell it in order, from the first cause to the last effect."),
        "trigger": ("Trigger", "What started it, just then?"),
        "contributing-factor": (
            "Contributing factors",
            "Which conditions had to be there for it to become an incident?",
        ),
        "surprise": ("Why we were surprised", "What did we believe that was not so?"),
        "detection": ("Detection", "What told us, and what could have told us earlier?"),
        "went-well": ("What went well", "What should we keep doing?"),
        "went-badly": ("What went badly", "What cost time, or made it worse?"),
        "got-lucky": ("Where we got lucky", "What would have made it worse, and did not happen?"),
        "action-item": ("Action items", "What will be done, by whom, by when, and how will we know that it is done?"),
    }
)


@dataclass(frozen=True)
class Material:
    """An incident with its timeline, runbook, evidence and diagnosis; what depends on the clock is given by `now`.

    `costs` is what each collector costs, by name; `places` for an address of the runbook the one that is configured;
    `past_items` the action items of `others`, by incident, `past_help` what helped then; `later` opens the bundles that
    reach from here to a time; `earlier` is the incident that was over shortly before this one. `steps` returns a type's
    steps as they are taken here.
    """

    incident: Incident
    timeline: tuple[Event, ...]
    runbook: Runbook
    bundle: Bundle
    diagnosis: Diagnosis
    now: datetime
    others: tuple[Incident, ...]
    view: View
    costs: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    past_items: Mapping[int, tuple[ActionItem, ...]] = field(default_factory=dict)
    later: Callable[[datetime], Sequence[Bundle]] = lambda _: ()
    earlier: Incident | None = None
    past_help: Mapping[int, str] = field(default_factory=dict)
    steps: Callable[[IncidentType], Proposed] = as_written

    @cached_property
    def sequel(self) -> tuple[Bundle, ...]:
        """The bundles that were collected after this one and reach on to the end of the impact, oldest first."""
        end = self.felt.end
        return tuple(self.later(end)) if self.bundle.window.end < end < self.now else ()

    @cached_property
    def seen(self) -> View:
        """The evidence from before the impact to its end, as far as anything collected reaches."""
        return Continued(self.view, [View(one) for one in self.sequel]) if self.sequel else self.view

    @property
    def severity(self) -> Severity | None:
        return self.runbook.severity_of(self.incident)

    @property
    def incident_type(self) -> IncidentType | None:
        return _or_none(self.runbook.incident_type, self.incident.type)

    @property
    def runs(self) -> tuple[CollectorRun, ...]:
        """How the looks at the sources ended that the service has; one that is not configured is no gap."""
        return tuple(run for run in self.bundle.runs if is_configured(run))

    @property
    def felt(self) -> Band:
        """Since when and until when users felt it; until `now` where nothing has ended it yet."""
        one = self.incident
        start = one.started_at or self.start_by_evidence or self.noticed_at
        return Band(start, max(self._ended_at, start))

    @property
    def noticed_at(self) -> datetime:
        """When it was detected; when it was opened, where the timeline does not say."""
        return self.incident.noticed_at

    @property
    def start_by_evidence(self) -> datetime | None:
        """The onset's full second, where nobody recorded the start and the evidence shows it before anybody noticed.

        None where that is only the first look at what was so all along.
        """
        return None if self.diagnosis.began_unseen else self._sign

    @property
    def first_look(self) -> datetime | None:
        """The onset's full second where it began then or before, and nobody recorded when; None where it is a start."""
        return self._sign if self.diagnosis.began_unseen else None

    @property
    def _sign(self) -> datetime | None:
        onset = None if self.false_alarm else self.onset  # of what was nothing there is no beginning
        if self.incident.started_at or onset is None or onset >= min(self.noticed_at, self._ended_at):
            return None
        return onset.replace(microsecond=0)

    @property
    def _ended_at(self) -> datetime:
        return self.incident.eased_at or self.now

    @property
    def onset(self) -> datetime | None:
        """Since when this or earlier evidence shows the symptoms of its likeliest type; None where none shows any."""
        return self.diagnosis.first_sign

    @property
    def onset_from(self) -> str:
        """Which other bundle shows the onset, in words for a bracket; "" where it is this one."""
        return f", in {self.diagnosis.earlier.named}" if self.diagnosis.earlier else ""

    @cached_property
    def began(self) -> datetime:
        """When it began, to tell before from since: as signals agree on it, else the earliest symptom or record."""
        first = [self.onset] if self.onset and self.diagnosis.earlier else []
        onsets = [*first, *(item.verdict.onset for item in self.diagnosis.felt if item.verdict.onset)]
        interval = self.diagnosis.onset
        return interval.earliest if interval else min(onsets, default=self.felt.start)

    def document(self, kind: str) -> Mapping[str, Any] | None:
        """Return evidence that is a mapping, None where it was not collected."""
        value = self.bundle.load(kind) if self.bundle.has(kind) else None
        return value if isinstance(value, Mapping) else None

    def type_title(self, slug: str) -> str:
        found = _or_none(self.runbook.incident_type, slug)
        return found.title if found else slug

    @property
    def false_alarm(self) -> bool:
        """Whether it was dismissed: nothing was wrong."""
        return is_false_alarm(self.timeline)

    def written(self, slug: str) -> Written:
        """Return a part that people write, with what the timeline's notes hold for it."""
        title, question = PARTS[slug]
        notes = [event for event in in_force(self.timeline) if part_of(event) == slug]
        answers = [Answer(event.text, event.actor, event.at) for event in notes]
        if slug == "impact" and self.incident.impact and not answers:
            told = [event for event in self.timeline if "impact" in event.data]
            opened = [event for event in self.timeline if event.kind is EventKind.OPENED]
            # a correction of the impact is signed by who made it
            by = next(iter([*reversed(told), *opened]), None)
            signed = (by.actor, by.at) if by else (self.incident.owner or "", self.incident.opened_at)
            answers = [Answer(self.incident.impact, *signed)]
        return Written(slug, title, question, tuple(answers), wanted=not self.false_alarm)


def start_command(of: Material) -> str:
    """Return the command that records the start the evidence shows; with its date, to be right on any day."""
    return f"irkit amend {of.incident.id} started_at {of.start_by_evidence:%Y-%m-%dT%H:%M:%SZ}"


def check_part(slug: str) -> str:
    """Return the slug of a part that people write, as it was given.

    Raises:
        InputError: the report has no such part; the hint names the nearest.
    """
    known = (*PARTS, QUESTION)
    if slug not in known:
        near = get_close_matches(slug, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise InputError(f"{slug!r} is not a part of the report", hint=hint)
    return slug


def unwritten(incident: Incident, timeline: tuple[Event, ...]) -> tuple[str, ...]:
    """Return the parts that only people can write and nobody has written yet, in the report's order.

    A false alarm wants none.
    """
    if is_false_alarm(timeline):
        return ()
    told = {part_of(event) for event in timeline} | ({"impact"} if incident.impact else set())
    return tuple(slug for slug in PARTS if slug not in told)


def part_of(event: Event) -> str | None:
    """Return the written part a note belongs to, or None for a plain row of the timeline."""
    slug = event.data.get("section") if event.kind is EventKind.NOTE else None
    return slug if isinstance(slug, str) and (slug in PARTS or slug == QUESTION) else None


def _or_none(find: Callable[[str], _Found], name: str) -> _Found | None:
    """Look a name up in the runbook; a runbook that was changed since the incident may not know it any more."""
    try:
        return find(name)
    except InputError:
        return None
