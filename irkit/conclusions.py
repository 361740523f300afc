"""What the evidence of an incident says, for notebooks and commands: symptoms, triage, where it stands, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from irkit import workspace
from irkit.bundle import Bundle
from irkit.collect.costs import CollectorCosts
from irkit.followup.notes import drill_of, is_false_alarm, what_helped
from irkit.model import Event, Incident, utc_now
from irkit.settings import Settings

if TYPE_CHECKING:
    from irkit.act.contract import Ask
    from irkit.diagnose.loaded import EvidenceSource
    from irkit.diagnose.service_names import Idle
    from irkit.diagnose.verdicts import Diagnosis
    from irkit.report import Report
    from irkit.report.standing import Standing
    from irkit.store import Store
    from irkit.triage import Triage
    from irkit.triage.next_check import Outlook


def diagnosis(evidence: Bundle, *, settings: Settings | None = None) -> Diagnosis:
    """Return what the symptom detectors say of a bundle; nothing but the bundle is read.

    Raises:
        InputError: the runbook cannot be used.
    """
    return _diagnosis(evidence, settings)


def whole_diagnosis(evidence: Bundle, *, settings: Settings | None = None) -> Diagnosis:
    """Return what a bundle shows, beginning no later than earlier bundles of its incident show.

    Raises:
        InputError: the runbook cannot be used.
        StoreError: the store cannot be read.
    """
    settings = settings or workspace.load_settings()
    told = workspace.store(settings).timeline(evidence.manifest.incident_id)
    return _from_its_beginning(_diagnosis(evidence, settings), evidence, told, settings)


def _from_its_beginning(found: Diagnosis, evidence: Bundle, told: Iterable[Event], settings: Settings) -> Diagnosis:
    from irkit.diagnose.earlier import with_beginning
    from irkit.diagnose.run import rank

    book = workspace.load_runbook(settings)
    return with_beginning(
        *(found, evidence, settings.home, told), lambda one: _diagnosis(one, settings), lambda each: rank(each, book)
    )


def _diagnosis(evidence: EvidenceSource, settings: Settings | None) -> Diagnosis:
    from irkit.diagnose.run import diagnose
    from irkit.registry import load_plugins

    broken = load_plugins("irkit.symptoms", "irkit.symptoms")
    return diagnose(evidence, workspace.load_runbook(settings), broken)


def standing(incident: Incident, evidence: Bundle, *, settings: Settings | None = None) -> Standing:
    """Return which of the runbook's steps were taken, and whether the service was still broken in this evidence.

    Raises:
        InputError: the runbook cannot be used.
        StoreError: the store cannot be read.
    """
    from irkit.report.facts import View
    from irkit.report.standing import standing as stands

    kind = workspace.load_runbook(settings).known_type(incident.type)
    return stands(workspace.timeline(incident, settings=settings), kind, View(evidence))


def last_words(idle: Iterable[Idle], evidence: Bundle) -> dict[str, str]:
    """Return by the names of containers that ended badly what each logged last that may say why, where it did."""
    from irkit.diagnose.service_checks import ENDED_ON_PURPOSE
    from irkit.report import facts

    view, found = facts.View(evidence), dict[str, str]()
    for one in idle:
        badly = one.exit_code not in {None, *ENDED_ON_PURPOSE} and not one.asked
        if badly and (claim := facts.last_words(view, one.name, one.since, oom_killed=one.oom_killed)):
            found[one.name] = f"{claim.text}: {claim.quote}"
    return found


def triage(evidence: Bundle, *, settings: Settings | None = None) -> tuple[Diagnosis, Triage, Outlook]:
    """Return what a bundle shows, which incident types that speaks for, and which look would tell most.

    All but the beginning is of that bundle alone, see `whole_diagnosis`.

    Raises:
        InputError: the runbook cannot be used.
    """
    from irkit.diagnose.run import registered
    from irkit.diagnose.service_names import places_of
    from irkit.triage import next_check
    from irkit.triage import triage as weigh

    settings = settings or workspace.load_settings()
    runbook, found = workspace.load_runbook(settings), whole_diagnosis(evidence, settings=settings)
    detectors = {item.slug: item for item in registered()}
    places = places_of(runbook, settings, evidence)
    ahead = next_check.outlook(found.findings, evidence, runbook, detectors, CollectorCosts(), places=places)
    return found, weigh(found.findings, runbook), ahead


def alike(
    incident: Incident, told: Iterable[Event], everyone: Iterable[Incident], held: Store
) -> tuple[tuple[Incident, Sequence[Event]], ...]:
    """Return those of `everyone` that are of the incident's type, with their timelines; `told` is its own.

    Practice goes with practice alone: it says nothing of how often it happens, nor what happened of practice. In a
    false alarm nothing happened.
    """
    practised = bool(drill_of(told))
    same = [one for one in everyone if one.type == incident.type and one.id != incident.id]
    found = [(one, held.timeline(one.id)) for one in same]
    real = [(one, events) for one, events in found if not is_false_alarm(events)]
    return tuple((one, events) for one, events in real if bool(drill_of(events)) == practised)


def postmortem(incident: Incident, evidence: Bundle, *, settings: Settings | None = None) -> Report:
    """Return the report of an incident as data; each of its sections shows itself in a notebook.

    Raises:
        InputError: the runbook cannot be used.
        StoreError: the store cannot be read.
    """
    from irkit import report
    from irkit.act.contract import Ask
    from irkit.act.proposed import place_of, proposed
    from irkit.bundle.later import later_bundles
    from irkit.diagnose.loaded import loaded
    from irkit.followup.action_items import of_timelines

    settings, read = settings or workspace.load_settings(), loaded(evidence)
    held = workspace.store(settings)
    told, everyone = held.timeline(incident.id), held.incidents()
    others, book = alike(incident, told, everyone, held), workspace.load_runbook(settings)
    found = _from_its_beginning(_diagnosis(read, settings), evidence, told, settings)
    place = place_of(book, settings, read, found.present)
    ask = Ask(incident, settings, book, tuple(told))
    return report.build(
        incident=incident,
        timeline=told,
        runbook=book,
        bundle=evidence,
        diagnosis=found,
        loaded=read,
        later=lambda until: later_bundles(settings.home, evidence, until),
        now=utc_now(),
        others=tuple(one for one, _ in others),
        costs=CollectorCosts(),
        places=place.places,
        past_items=of_timelines({one.id: events for one, events in others}),
        past_help={one.id: what_helped(events) for one, events in others},
        earlier=workspace.over_before(incident, settings=settings, everyone=everyone),
        steps=lambda kind: proposed(kind, ask, place),
    )


def asked(
    incident_id: int,
    settings: Settings,
    arguments: tuple[str, ...] = (),
    options: Mapping[str, str] | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Ask:
    """Return what an action is asked for, with the incident as it stands, its timeline and the runbook in force.

    Raises:
        NotFoundError: there is no such incident, or no store yet.
        StoreError: the store cannot be read.
    """
    from irkit.act.contract import Ask
    from irkit.act.engine import acts_beside

    held = workspace.store(settings)
    incident, known = held.incident(incident_id), held.timeline(incident_id)
    beside = acts_beside(held, incident_id, utc_now())
    book = workspace.load_runbook(settings)
    return Ask(incident, settings, book, known, arguments, options or {}, say, beside=beside)
