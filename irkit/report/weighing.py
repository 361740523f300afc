"""The triage as a section: every contender with what is for it, against it and missing, and the next check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.charts import Part, StackedBar, StackedBars
from irkit.diagnose.run import registered
from irkit.diagnose.verdicts import Hypothesis
from irkit.model import Finding, VerdictState
from irkit.report.material import Material
from irkit.report.parts import Shown
from irkit.triage import NONE_OF_THESE, Conclusion, next_check, triage


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One symptom in one contender: what it adds to the score or, where it was not found, would add."""

    title: str
    state: VerdictState
    weight: float
    sentence: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContenderRow:
    """One contender with its score (0 to 1), its symptoms by what they speak for, and why some count less."""

    title: str
    score: float
    supporting: tuple[WeightRow, ...]
    refuting: tuple[WeightRow, ...]
    missing: tuple[WeightRow, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check that could tell the top two apart: the gap after its worst and its best outcome, and its worth."""

    name: str
    symptoms: tuple[str, ...]
    command: str
    obstacle: str
    advice: str
    cost: int
    low: float
    high: float
    value: float
    could: str


@dataclass(frozen=True, slots=True, repr=False)
class Triage(Shown):
    """The incident types and "none of these" weighed side by side, and the cheapest check that is left.

    `first` and `second` are the top two, `gap` the distance of their scores; `standing` says how firm the order is.
    """

    heading: ClassVar[str] = "Triage"
    anchor: ClassVar[str] = "triage"
    none_title: ClassVar[str] = "None of these"
    conclusion: Conclusion
    sentence: str
    filed_otherwise: str
    relations: tuple[str, ...]
    bars: StackedBars
    contenders: tuple[ContenderRow, ...]
    first: str
    second: str
    gap: float
    standing: str
    unknown: int
    checks: tuple[CheckRow, ...]
    again: str


def weighed(of: Material) -> Triage:
    """Return the triage of the material's own diagnosis."""
    told = triage(of.diagnosis.findings, of.runbook)
    detectors = {item.slug: item for item in registered()}
    ahead = next_check.outlook(of.diagnosis.findings, of.bundle, of.runbook, detectors, of.costs, places=of.places)
    rows = tuple(_contender(item, of) for item in told.contenders)
    filed = of.incident.type
    otherwise = bool(told.named) and filed not in told.named
    return Triage(
        conclusion=told.conclusion,
        sentence=told.sentence,
        filed_otherwise=of.type_title(filed) if otherwise else "",
        relations=tuple(
            f"{_title(one.cause, of)} explains what was found of {_title(one.effect, of)}: {one.why}"
            for one in told.relations
        ),
        bars=StackedBars(tuple(_bar(row) for row in rows), 1.0),
        contenders=rows,
        first=_title(ahead.first, of),
        second=_title(ahead.second, of),
        gap=ahead.gap,
        standing=ahead.standing(_title(ahead.first, of)),
        unknown=ahead.unknown,
        checks=tuple(_check(item, of) for item in ahead.checks),
        again=f"irkit collect {of.incident.id}",
    )


def _contender(item: Hypothesis, of: Material) -> ContenderRow:
    def rows(findings: tuple[Finding, ...]) -> tuple[WeightRow, ...]:
        return tuple(
            WeightRow(one.title, one.verdict.state, item.weights[one.symptom], one.verdict.sentence, one.evidence)
            for one in findings
        )

    return ContenderRow(
        _title(item.incident_type, of),
        item.score,
        rows(item.supporting),
        rows(item.refuting),
        rows(item.missing),
        item.reasons,
    )


def _bar(row: ContenderRow) -> StackedBar:
    parts = [Part(f"{one.title}: {one.state}", one.weight, "calm") for one in row.supporting]
    parts += [Part(f"{one.title}: unknown", one.weight, "open") for one in row.missing]
    open_ = sum(one.weight for one in row.missing)
    said = f"{row.score:.2f}" + (f", up to {min(row.score + open_, 1.0):.2f}" if round(open_, 2) else "")
    return StackedBar(row.title, tuple(parts), said)


def _check(item: next_check.ValuedCheck, of: Material) -> CheckRow:
    one = item.check
    titles = {finding.symptom: finding.title for finding in of.diagnosis.findings}
    return CheckRow(
        one.name,
        tuple(titles[slug] for slug in one.symptoms),
        one.command,
        one.obstacle,
        one.advice,
        one.cost,
        item.low,
        item.high,
        item.value,
        item.could,
    )


def _title(slug: str, of: Material) -> str:
    return Triage.none_title if slug == NONE_OF_THESE else of.type_title(slug)
