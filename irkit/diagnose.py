"""Symptoms from a bundle alone: the contract of a detector, the runner, and the ranking of incident types.

A detector's parameter names are evidence kinds, so its signature says what it needs. One that cannot get what it needs
is not run: its verdict is `unknown`, with the reason the collector gave.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from irkit import logs
from irkit.model import CollectorRun, Evidence, Finding, Outcome, Threshold, Verdict, VerdictState, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from irkit.runbook import Runbook

DetectFunction = Callable[..., Verdict]
_CONTEXT = ("window", "threshold")


class EvidenceSource(Protocol):
    """What the runner needs of a bundle; `irkit.bundle.Bundle` is the one in use."""

    @property
    def window(self) -> Window: ...
    def has(self, kind: str) -> bool: ...
    def load(self, kind: str) -> Any: ...  # noqa: ANN401 (a table is a DataFrame, a document is JSON-like)
    def evidence_for(self, kind: str) -> Evidence | None: ...
    def run_for(self, kind: str) -> CollectorRun | None: ...


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


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One incident type weighed: the findings for it, against it, and those that could not be looked at."""

    incident_type: str
    score: float
    supporting: tuple[Finding, ...]
    refuting: tuple[Finding, ...]
    missing: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings in the runbook's order, and the incident types, likeliest first."""

    findings: tuple[Finding, ...]
    ranking: tuple[Hypothesis, ...]

    def of(self, incident_type: str) -> tuple[Finding, ...]:
        return tuple(item for item in self.findings if incident_type in item.incident_types)


_REGISTRY: dict[str, Symptom] = {}


def symptom(slug: str, *, incident: str | tuple[str, ...]) -> Callable[[DetectFunction], DetectFunction]:
    """Register a detector for a symptom of the runbook, of one incident type or several.

    Parameters without a default are evidence it cannot do without; those with a default of None it can. `window` (the
    window of the evidence) and `threshold` (the limit in the runbook's own words, or None) are handed in by name.

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


def diagnose(source: EvidenceSource, runbook: Runbook) -> Diagnosis:
    """Run every detector on the evidence and rank the runbook's incident types; reads nothing but the evidence.

    A symptom of the runbook that has no detector yet is a finding too: `unknown`, since nobody looked.
    """
    detectors = {item.slug: item for item in registered()}
    findings: dict[str, Finding] = {}
    for incident_type in runbook.incident_types:
        for worded in incident_type.symptoms:
            earlier = findings.get(worded.slug)
            if earlier is not None:
                types = (*earlier.incident_types, incident_type.slug)
                findings[worded.slug] = replace(earlier, incident_types=types)
            elif worded.slug in detectors:
                finding = run_detector(detectors[worded.slug], source, worded.threshold)
                findings[worded.slug] = replace(finding, incident_types=(incident_type.slug,), title=worded.text)
            else:
                verdict = Verdict(VerdictState.UNKNOWN, "irkit has no detector for this symptom.", "Look by hand.")
                findings[worded.slug] = Finding(worded.slug, (incident_type.slug,), worded.text, verdict, ())
    everything = tuple(findings.values())
    return Diagnosis(everything, rank(everything, runbook))


def run_detector(item: Symptom, source: EvidenceSource, threshold: Threshold | None = None) -> Finding:
    """Run one detector on the evidence it names; evidence that is missing or cut never ends in `clear`."""
    present = {kind: _load(source, kind) for kind in (*item.needs, *item.uses) if _has(source, kind)}
    missing = [kind for kind in item.needs if kind not in present]
    if missing or not present:
        reasons = dict.fromkeys(_why_missing(source, kind) for kind in missing or item.uses)
        verdict = Verdict(VerdictState.UNKNOWN, f"Not looked at: {'; '.join(reasons)}.", _hint(source, missing or item.uses))
        return Finding(item.slug, item.incident_types, item.slug, verdict, ())
    context: dict[str, object] = {"window": source.window, "threshold": threshold}
    arguments = {kind: present.get(kind) for kind in (*item.needs, *item.uses)}
    verdict = item.function(**arguments, **{name: context[name] for name in item.context})
    origins = [found for kind in present if (found := source.evidence_for(logs.ORIGIN.get(kind, kind)))]
    cut = [run for kind in present if (run := source.run_for(logs.ORIGIN.get(kind, kind))) and _is_cut(run)]
    if verdict.state is VerdictState.CLEAR and cut:
        reasons = dict.fromkeys(f"{run.collector} {run.outcome.replace('_', ' ')}: {run.reason}" for run in cut)
        sentence = f"Nothing found in the part that was collected ({'; '.join(reasons)}). {verdict.sentence}"
        verdict = replace(verdict, state=VerdictState.UNKNOWN, sentence=sentence)
    return Finding(item.slug, item.incident_types, item.slug, verdict, tuple(dict.fromkeys(e.id for e in origins)))


def rank(findings: Sequence[Finding], runbook: Runbook) -> tuple[Hypothesis, ...]:
    """Weigh the incident types against each other, likeliest first; ties keep the runbook's order.

    The score (0 to 1) is the share of a type's symptoms that were found, each weighted by the confidence of its verdict
    and, since a symptom shared by n types does not tell them apart, by 1/n. A symptom that could not be looked at adds
    nothing: ignorance is neither for nor against, and is listed apart.
    """

    def weigh(slug: str) -> Hypothesis:
        own = [item for item in findings if slug in item.incident_types]
        by_state = {state: tuple(item for item in own if item.verdict.state is state) for state in VerdictState}
        weight = {item.symptom: 1 / len(item.incident_types) for item in own}
        found = sum(weight[item.symptom] * item.verdict.confidence for item in by_state[VerdictState.FOUND])
        total = sum(weight.values())
        return Hypothesis(
            slug,
            round(found / total, 3) if total else 0.0,
            by_state[VerdictState.FOUND],
            by_state[VerdictState.CLEAR],
            by_state[VerdictState.UNKNOWN],
        )

    return tuple(sorted((weigh(item.slug) for item in runbook.incident_types), key=lambda item: -item.score))


def _has(source: EvidenceSource, kind: str) -> bool:
    return source.has(logs.ORIGIN.get(kind, kind))


def _load(source: EvidenceSource, kind: str) -> Any:  # noqa: ANN401
    origin = logs.ORIGIN.get(kind)
    return logs.DERIVED[kind](source.load(origin)) if origin else source.load(kind)


def _why_missing(source: EvidenceSource, kind: str) -> str:
    run = source.run_for(logs.ORIGIN.get(kind, kind))
    if run is None:
        return f"no collector gathered {kind.replace('_', ' ')}"
    return f"{run.collector} {run.outcome.replace('_', ' ')}" + (f": {run.reason}" if run.reason else "")


def _hint(source: EvidenceSource, kinds: Sequence[str]) -> str:
    hints = [run.hint for kind in kinds if (run := source.run_for(logs.ORIGIN.get(kind, kind))) and run.hint]
    return hints[0] if hints else ""


def _is_cut(run: CollectorRun) -> bool:
    return run.outcome is not Outcome.COLLECTED
