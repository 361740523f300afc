"""Symptoms from a bundle alone: the contract of a detector, the runner, and the ranking of incident types.

A detector's parameter names are evidence kinds, so its signature says what it needs. One that cannot get what it needs
is not run: its verdict is `unknown`, with the reason the collector gave. One that raises is `unknown` too, and the
others go on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from irkit.diagnose.loaded import EvidenceSource, Loaded, loaded
from irkit.diagnose.slow_first import told_by_queries
from irkit.diagnose.unanswered import with_unanswered
from irkit.diagnose.verdicts import Diagnosis, Hypothesis, signs
from irkit.diagnose.wholeness import unless_cut, unless_long_past
from irkit.model import (
    Finding,
    IncidentType,
    RunbookSymptom,
    Threshold,
    Verdict,
    VerdictState,
)
from irkit.onset.interval import KINDS, OnsetInterval, interval_of
from irkit.onset.past import past
from irkit.runbook import command_for
from irkit.text.phrase import clock, listing
from irkit.times import latest_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from irkit.registry import BrokenPlugin
    from irkit.runbook import Runbook

DetectFunction = Callable[..., Verdict]
_DISCOUNT = 0.25
_CONTEXT = ("window", "threshold", "cut", "missing")


@dataclass(frozen=True, slots=True)
class Example:
    """Evidence by kind (rows of a table, or a document) with which a detector fires or stays quiet."""

    name: str
    evidence: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Symptom:
    """A registered detector; `needs` must be there, `uses` are optional, both are evidence kinds."""

    slug: str
    incident_types: tuple[str, ...]
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    context: tuple[str, ...]
    function: DetectFunction
    module: str


_REGISTRY: dict[str, Symptom] = {}


def symptom(slug: str, *, incident: str | tuple[str, ...]) -> Callable[[DetectFunction], DetectFunction]:
    """Register a detector for a symptom of the runbook, of one incident type or several.

    Parameters without a default are evidence it cannot do without; those with a default of None it can. `window` (the
    window of the evidence) and `threshold` (the limit in the runbook's own words, or None) are handed in by name.
    Evidence that was cut never ends in `clear`; a detector that takes `cut` (how, by kind) sees to that itself, where
    some of what it reads only adds detail. One that takes `missing` (why, by kind) tells of what is not there itself.

    Raises:
        ValueError: the slug is already taken.
    """

    def register(function: DetectFunction) -> DetectFunction:
        if slug in _REGISTRY:
            msg = f"symptom {slug} is registered twice"
            raise ValueError(msg)
        parameters = inspect.signature(function).parameters.values()
        kinds = [item for item in parameters if item.name not in _CONTEXT]
        _REGISTRY[slug] = Symptom(
            slug,
            (incident,) if isinstance(incident, str) else incident,
            tuple(item.name for item in kinds if item.default is item.empty),
            tuple(item.name for item in kinds if item.default is not item.empty),
            tuple(item.name for item in parameters if item.name in _CONTEXT),
            function,
            function.__module__,
        )
        return function

    return register


def registered() -> tuple[Symptom, ...]:
    """Return all registered detectors in the order of their slugs."""
    return tuple(_REGISTRY[slug] for slug in sorted(_REGISTRY))


def diagnose(source: EvidenceSource, runbook: Runbook, broken: Sequence[BrokenPlugin] = ()) -> Diagnosis:
    """Run every detector on the evidence and rank the runbook's incident types; reads nothing but the evidence.

    A symptom of the runbook that has no detector yet is a finding too: `unknown`, since nobody looked. A detector whose
    symptom the runbook does not list runs all the same and is shown only if it found something: a team's runbook that
    never heard of OOM kills must not hide one. A plug-in that could not be loaded is `unknown` under its own name.
    """
    evidence = loaded(source)
    detectors = {item.slug: item for item in registered()}
    findings: dict[str, Finding] = {}
    for incident_type in runbook.incident_types:
        for worded in incident_type.symptoms:
            earlier = findings.get(worded.slug)
            if earlier is not None:
                types = tuple(dict.fromkeys((*earlier.incident_types, incident_type.slug)))
                findings[worded.slug] = replace(earlier, incident_types=types)
            else:
                findings[worded.slug] = _look(detectors.pop(worded.slug, None), evidence, incident_type, worded)
    known = {item.slug for item in runbook.incident_types}
    for item in detectors.values():
        extra = _run(item, evidence, None)
        if extra.verdict.state is VerdictState.FOUND:
            types = tuple(slug for slug in item.incident_types if slug in known)
            findings[item.slug] = replace(extra, incident_types=types)
    began = min((one.verdict.onset for one in findings.values() if one.verdict.onset), default=None)
    settled = (_settled(one, evidence, began) for one in findings.values())
    told = _beside_the_logs(tuple(settled), evidence)
    everything = tuple(_with_next_step(item, runbook) for item in told)
    everything += tuple(_left_out(plugin) for plugin in broken)
    ranking = rank(everything, runbook)
    return Diagnosis(everything, ranking, *_onset(evidence, everything, ranking))


def _beside_the_logs(findings: tuple[Finding, ...], evidence: Loaded) -> tuple[Finding, ...]:
    """Return the findings as what the logs hold of slow queries, and lack of requests, lets them be told."""
    containers, history = (
        evidence.load(kind) if evidence.has(kind) else None for kind in ("containers", "health_history")
    )
    if evidence.has("logs"):
        findings = told_by_queries(findings, evidence.load("logs"), containers)
    return with_unanswered(findings, history)


def _settled(finding: Finding, evidence: Loaded, began: datetime | None) -> Finding:
    """Give a withheld `clear` back where all the evidence that its detector reads is whole since before it `began`."""
    if finding.verdict.withheld is None:
        return finding
    item = _REGISTRY[finding.symptom]
    cut = [kind for kind in (*item.needs, *item.uses) if evidence.how_cut(kind)]
    whole_from = latest_known(map(evidence.whole_from, cut))
    return replace(finding, verdict=unless_long_past(finding.verdict, whole_from, began))


def _left_out(plugin: BrokenPlugin) -> Finding:
    sentence = f"Not looked at: the plug-in {plugin.name} cannot be loaded ({plugin.reason})."
    verdict = Verdict(VerdictState.UNKNOWN, sentence, "Repair or uninstall the package that provides it.")
    return Finding(plugin.name, (), plugin.name, verdict, ())


def _onset(
    evidence: Loaded, findings: Sequence[Finding], ranking: Sequence[Hypothesis]
) -> tuple[OnsetInterval | None, str]:
    if not any(evidence.has(kind) for kind in KINDS):
        return None, f"Not looked at: {evidence.why_missing('logs')}."
    if not any(item.verdict.state is VerdictState.FOUND for item in findings):
        return None, ""  # something changes every day, and of nothing there is no beginning
    try:
        return interval_of(evidence, signs(findings, ranking)), ""
    except Exception as error:  # noqa: BLE001 (as a broken detector: the report goes on without it)
        said = " ".join(str(error).split())[:200]
        return None, f"The onset could not be told from this evidence: {type(error).__name__}: {said}."


def run_detector(item: Symptom, source: EvidenceSource, threshold: Threshold | None = None) -> Finding:
    """Run one detector on the evidence it names; evidence that is missing or cut never ends in `clear`."""
    return _run(item, loaded(source), threshold)


def rank(findings: Sequence[Finding], runbook: Runbook) -> tuple[Hypothesis, ...]:
    """Weigh the incident types against each other, in the order of `by_likelihood`.

    The score (0 to 1) is what was found over what could be. In both a symptom of the type counts 1, or 1/n where n
    types share it, since it does not tell them apart. One that was found counts that times its verdict's confidence,
    and a quarter of it where its own evidence blames something else (a health check that fails because a provider is
    down) or it was over before what goes on now began (`irkit.onset.past`). A symptom that could not be looked at adds
    nothing to what was found: ignorance is neither for nor against, and is listed apart. One that the runbook does not
    list adds to what was found alone.
    """
    over = past(findings)
    return by_likelihood(_weigh(item, findings, over) for item in runbook.incident_types)


def by_likelihood(weighed: Iterable[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Return hypotheses likeliest first, the one order in which they are told anywhere.

    Of equal scores that of which more is unknown comes first, as it may yet turn out to be more; what is equal in that,
    too, keeps its order, which is the runbook's.
    """

    def place(item: Hypothesis) -> tuple[float, float]:
        return -item.score, -round(sum(item.weights[one.symptom] for one in item.missing), 6)

    return tuple(sorted(weighed, key=place))


def _weigh(incident_type: IncidentType, findings: Sequence[Finding], over: Mapping[str, Finding]) -> Hypothesis:
    slug = incident_type.slug
    own = [item for item in findings if slug in item.incident_types]
    by_state = {state: tuple(item for item in own if item.verdict.state is state) for state in VerdictState}
    listed = {item.slug for item in incident_type.symptoms}
    reachable = sum(1 / len(item.incident_types) for item in own if item.symptom in listed) or 1.0
    reached, reasons = 0.0, []
    weights = {item.symptom: 1 / len(item.incident_types) / reachable for item in own}
    for item in by_state[VerdictState.FOUND]:
        weight = item.verdict.confidence / len(item.incident_types)
        if len(item.incident_types) > 1:
            reasons.append(
                f"{item.title} counts 1/{len(item.incident_types)}, found or not: "
                f"{len(item.incident_types)} types share it"
            )
        blamed = item.verdict.explained_by
        discounts = [f"its evidence blames {blamed.replace('-', ' ')}"] if blamed not in {"", slug} else []
        if (later := over.get(item.symptom)) and item.verdict.until and later.verdict.onset:
            ended, began = clock(item.verdict.until), clock(later.verdict.onset)
            discounts.append(f"it was over at {ended}, before {later.title} began at {began}")
        if discounts:
            weight *= _DISCOUNT
            reasons.append(f"{item.title} counts a quarter: {listing(discounts)}")
        reached += weight
        weights[item.symptom] = weight / reachable
    return Hypothesis(
        slug,
        round(min(1.0, reached / reachable), 3),
        by_state[VerdictState.FOUND],
        by_state[VerdictState.CLEAR],
        by_state[VerdictState.UNKNOWN],
        tuple(reasons),
        weights,
    )


def _look(item: Symptom | None, evidence: Loaded, incident_type: IncidentType, worded: RunbookSymptom) -> Finding:
    """Look for one symptom of the runbook.

    A symptom without a limit of its own ("slow dashboard loading") is judged by that of its incident type, where the
    other symptoms name exactly one.
    """
    if item is None:
        verdict = Verdict(
            VerdictState.UNKNOWN, "irkit has no detector for this symptom.", _by_hand(incident_type, worded)
        )
        return Finding(worded.slug, (incident_type.slug,), worded.text, verdict, ())
    limits = [other.threshold for other in incident_type.symptoms if other.threshold is not None]
    inherited = limits[0] if len(limits) == 1 else None
    finding = _run(item, evidence, worded.threshold or inherited)
    return replace(finding, incident_types=(incident_type.slug,), title=worded.text)


def _by_hand(incident_type: IncidentType, worded: RunbookSymptom) -> str:
    """Say how to look for a symptom of which only the runbook knows."""
    typed = command_for(worded.text, incident_type) or next((item.text for item in incident_type.diagnosis), "")
    first = next(iter(typed.strip().splitlines()), "")
    return f"Look by hand: `{first}`." if first else "Look by hand; the runbook names no command for this type."


def _run(item: Symptom, evidence: Loaded, threshold: Threshold | None) -> Finding:
    kinds = (*item.needs, *item.uses)
    present = [kind for kind in kinds if evidence.has(kind)]
    missing = [kind for kind in item.needs if kind not in present]
    verdict: Verdict
    if missing or not present:
        wanted = missing or kinds
        reasons = dict.fromkeys(evidence.why_missing(kind) for kind in wanted)
        verdict = Verdict(VerdictState.UNKNOWN, f"Not looked at: {'; '.join(reasons)}.", evidence.hint(wanted))
        return Finding(item.slug, item.incident_types, _title(item), verdict, ())
    cut = {kind: how for kind in present if (how := evidence.how_cut(kind))}
    lacking = {kind: evidence.why_missing(kind) for kind in kinds if kind not in present}
    window = evidence.source.window
    context: dict[str, object] = {"window": window, "threshold": threshold, "cut": cut, "missing": lacking}
    try:
        arguments = {kind: evidence.load(kind) if kind in present else None for kind in kinds}
        verdict = item.function(**arguments, **{name: context[name] for name in item.context})
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a Verdict was expected, not {type(verdict).__name__}")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 (one broken detector must not take the report with it)
        said = " ".join(str(error).split())[:200]
        sentence = f"The detector {item.slug} ({item.module}) failed on this evidence: {type(error).__name__}: {said}"
        verdict = Verdict(VerdictState.UNKNOWN, f"{sentence.rstrip('.: ')}.", _read_by_hand(item, evidence))
    verdict = _within_reason(verdict)
    if "cut" not in item.context:
        verdict = unless_cut(verdict, cut.values())
    origins = (found.id for kind in present if (found := evidence.evidence_for(kind)))
    return Finding(item.slug, item.incident_types, _title(item), verdict, tuple(dict.fromkeys(origins)))


def _read_by_hand(item: Symptom, evidence: Loaded) -> str:
    """Say where what a detector failed on can be read by a person."""
    found = (evidence.evidence_for(kind) for kind in (*item.needs, *item.uses) if evidence.has(kind))
    names = listing(dict.fromkeys(one.id for one in found if one))
    return f"Read {names} by hand (`irkit bundle show`), and report this as a bug."


def _within_reason(verdict: Verdict) -> Verdict:
    """Keep a confidence between 0 and 1, onset and end times in UTC (a third party's may be anything).

    So no score can leave its range, and times can be held against each other.
    """
    sane = min(max(verdict.confidence, 0.0), 1.0) if verdict.confidence == verdict.confidence else 0.0
    onset, until = _utc(verdict.onset), _utc(verdict.until)
    if sane == verdict.confidence and onset is verdict.onset and until is verdict.until:
        return verdict
    return replace(verdict, confidence=sane, onset=onset, until=until)


def _utc(at: object) -> datetime | None:
    if not isinstance(at, datetime) or at != at:  # noqa: PLR0124 (NaT differs from itself)
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _with_next_step(finding: Finding, runbook: Runbook) -> Finding:
    """Point from what was found to the runbook's first resolution step for it, by number: its words stay there.

    Where the evidence blames something the runbook has no steps for, those for another thing may do harm.
    """
    if finding.verdict.state is not VerdictState.FOUND:
        return finding
    wanted = (finding.verdict.explained_by,) if finding.verdict.explained_by else finding.incident_types
    types = {item.slug: item for item in runbook.incident_types}
    meant = next((types[slug] for slug in wanted if slug in types and types[slug].resolution), None)
    if meant is None:
        return finding
    pointer = f"In the runbook: {meant.title}, resolution."
    return replace(finding, verdict=replace(finding.verdict, advice=f"{finding.verdict.advice} {pointer}".strip()))


def _title(item: Symptom) -> str:
    return item.slug.replace("-", " ").capitalize()
