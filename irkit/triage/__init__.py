"""Triage: the runbook's incident types and "none of these" weighed side by side, and what to conclude from it.

Every number is a sum that can be followed by hand: a contender's score is that of its symptoms' weights, and each
weight comes with the reason where it is less than whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from irkit.diagnose.run import rank
from irkit.diagnose.verdicts import Hypothesis
from irkit.model import Finding, VerdictState
from irkit.onset.past import past
from irkit.text.phrase import clock, count, listing

if TYPE_CHECKING:
    from datetime import datetime

    from irkit.runbook import Runbook

NONE_OF_THESE = "none-of-these"
WELL_SUPPORTED = 0.5  # half of what could be found of a type
LEAD = 0.15  # less than half of one symptom of three: one finding more or less would turn the order
# two onsets are told apart only where they are further from each other than this
_TOGETHER = timedelta(seconds=30)


class Conclusion(StrEnum):
    """What a triage comes to; only `BLIND` means that there was nothing to conclude from."""

    ONE = "one"
    COMBINATION = "combination"
    UNDECIDED = "undecided"
    NONE = "none"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Relation:
    """What was found of one incident type is the work of another: which, and how that is known."""

    cause: str
    effect: str
    why: str


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How one type brings another about, where `symptom` of the cause was found."""

    cause: str
    symptom: str
    effect: str
    why: str


@dataclass(frozen=True, slots=True)
class Triage:
    """The contenders, likeliest first, how they hang together, and the conclusion with the sentence that says it.

    `contenders` are all incident types and "none of these", each with what is for it, against it and missing. `named`
    are the types the conclusion rests on: one, those of a combination, or those it cannot decide between.
    """

    contenders: tuple[Hypothesis, ...]
    relations: tuple[Relation, ...]
    conclusion: Conclusion
    named: tuple[str, ...]
    sentence: str

    def contender(self, slug: str) -> Hypothesis:
        return next(item for item in self.contenders if item.incident_type == slug)


# Read as: where this symptom of the first was found, it brings about the second. Services without such a link do not
# contradict a rule: it is only used where something of both was found.
MECHANISMS = (
    Mechanism("memory-leak", "oom-kills", "api-unresponsive", "a process killed for its memory answers nobody"),
    Mechanism("memory-leak", "slow-garbage-collection", "high-latency", "requests wait while garbage is collected"),
    Mechanism("database-corruption", "read-failures", "api-unresponsive", "requests fail that read the database"),
    Mechanism("database-corruption", "sqlite-errors", "api-unresponsive", "requests fail that use the database"),
    Mechanism("provider-failures", "ai-responses-failing", "api-unresponsive", "requests fail that need a provider"),
    Mechanism("provider-failures", "provider-health-check-failing", "high-latency", "requests wait for a provider"),
)


def triage(findings: Sequence[Finding], runbook: Runbook) -> Triage:
    """Weigh the findings of one diagnosis and conclude; pure, and the same for the same findings.

    Two types are a combination where each has at least `WELL_SUPPORTED` of what could be found of it. One leads where
    it is ahead by `LEAD`, or explains the one behind it. Where nothing was found, "none of these" is concluded only if
    at least half of the symptoms are known to be clear: ignorance speaks for nothing.
    """
    ranked = contenders(findings, runbook)
    related = tuple(relations(ranked))
    titles = {item.slug: item.title for item in runbook.incident_types} | {NONE_OF_THESE: "none of these"}
    conclusion, named = _conclude(ranked, related)
    return Triage(ranked, related, conclusion, named, _sentence(conclusion, named, ranked, related, titles))


def contenders(findings: Sequence[Finding], runbook: Runbook) -> tuple[Hypothesis, ...]:
    """Return the incident types in the order of `rank`, and among them "none of these", behind its equals."""
    types = rank(findings, runbook)
    none = none_of_these(findings, types)
    ahead = sum(item.score >= none.score for item in types)
    return (*types[:ahead], none, *types[ahead:])


def none_of_these(findings: Sequence[Finding], types: Sequence[Hypothesis]) -> Hypothesis:
    """Weigh that it is something the runbook has no type for.

    The score is the share of all symptoms that are clear, each counting with its verdict's confidence, times what the
    surest finding leaves open: nothing of it where a symptom was found beyond doubt. A symptom whose own evidence
    blames something that is no type speaks for it, too.
    """
    listed = [item for item in findings if item.incident_types]
    known = {item.incident_type for item in types}
    clear = [item for item in listed if item.verdict.state is VerdictState.CLEAR]
    found = [item for item in listed if item.verdict.state is VerdictState.FOUND]
    elsewhere = [item for item in found if item.verdict.explained_by and item.verdict.explained_by not in known]
    refuting = tuple(item for item in found if item not in elsewhere)
    surest = max(refuting, key=lambda item: item.verdict.confidence, default=None)
    left = 1.0 - surest.verdict.confidence if surest else 1.0
    share = 1.0 / len(listed) if listed else 0.0
    supporting = (*elsewhere, *clear)
    weights = {item.symptom: share * left for item in listed}
    weights |= {item.symptom: share * left * item.verdict.confidence for item in supporting}
    weights |= {item.symptom: 0.0 for item in refuting}
    reasons = [f"{item.title}: its evidence blames {item.verdict.explained_by}" for item in elsewhere]
    if surest:
        reasons.append(f"all of it counts {left:.2f}: {surest.title} was found with {surest.verdict.confidence:.2f}")
    score = sum(weights[item.symptom] for item in supporting)
    missing = tuple(item for item in listed if item.verdict.state is VerdictState.UNKNOWN)
    return Hypothesis(NONE_OF_THESE, round(score, 3), supporting, refuting, missing, tuple(reasons), weights)


def relations(ranked: Sequence[Hypothesis]) -> Iterator[Relation]:
    """Yield which type explains what was found of another: first by the evidence's own words, then by mechanism.

    A cause that began after its effect is none, nor one that was over before it; types that blame each other are left
    as they are.
    """
    found = {item.incident_type: item for item in ranked if item.supporting and item.incident_type != NONE_OF_THESE}
    over = past([finding for item in found.values() for finding in item.supporting])
    made: dict[tuple[str, str], str] = {}
    for effect, item in found.items():
        for finding in item.supporting:
            cause = finding.verdict.explained_by
            if cause in found and cause != effect:
                made.setdefault((cause, effect), f"the evidence of “{finding.title}” blames it")
    for rule in MECHANISMS:
        pair = (rule.cause, rule.effect)
        if pair in made or pair[::-1] in made or not {*pair} <= set(found):
            continue
        # a symptom that is itself the work of another type brings nothing about, nor does one that was over long before
        own = [one for one in found[rule.cause].supporting if one.verdict.explained_by in {"", rule.cause}]
        own = [one for one in own if one.symptom not in over]
        if any(finding.symptom == rule.symptom for finding in own):
            since, felt = onset_of(found[rule.cause]), onset_of(found[rule.effect])
            if since is None or felt is None or since <= felt + _TOGETHER:
                made[pair] = rule.why
    yield from (Relation(*pair, why) for pair, why in made.items() if pair[::-1] not in made)


def onset_of(item: Hypothesis) -> datetime | None:
    """Return since when the first of the symptoms for a contender shows, None where no verdict tells."""
    return min((finding.verdict.onset for finding in item.supporting if finding.verdict.onset), default=None)


def _conclude(ranked: Sequence[Hypothesis], related: Sequence[Relation]) -> tuple[Conclusion, tuple[str, ...]]:
    first = ranked[0]
    none = next(item for item in ranked if item.incident_type == NONE_OF_THESE)
    if not (none.supporting or none.refuting):
        return Conclusion.BLIND, ()
    if first is none or first.score <= 0:
        return (Conclusion.NONE if first.score >= WELL_SUPPORTED else Conclusion.UNDECIDED), ()
    types = [item for item in ranked if item is not none]
    strong = tuple(item.incident_type for item in types if item.score >= WELL_SUPPORTED)
    return (Conclusion.COMBINATION, strong) if len(strong) > 1 else _lead(types, related)


def _lead(types: Sequence[Hypothesis], related: Sequence[Relation]) -> tuple[Conclusion, tuple[str, ...]]:
    """Name the first of the types, or the one close behind that explains it, or both where nothing tells."""
    first = types[0].incident_type
    for item in types[1:]:
        if not item.supporting or types[0].score - item.score >= LEAD:
            continue
        told = next((one for one in related if {one.cause, one.effect} == {first, item.incident_type}), None)
        if told is None:
            return Conclusion.UNDECIDED, (first, item.incident_type)
        if told.cause != first:
            return Conclusion.ONE, (told.cause,)
    return Conclusion.ONE, (first,)


def _sentence(
    conclusion: Conclusion,
    named: tuple[str, ...],
    ranked: Sequence[Hypothesis],
    related: Sequence[Relation],
    titles: dict[str, str],
) -> str:
    by_slug = {item.incident_type: item for item in ranked}
    none = by_slug[NONE_OF_THESE]
    total = len(none.weights)
    unknown = f"{len(none.missing)} of {count(total, 'symptom')} could not be looked at"
    if conclusion is Conclusion.BLIND:
        return f"Nothing could be looked at: all {count(total, 'symptom')} are unknown, and nothing follows from that."
    if conclusion is Conclusion.NONE:
        blamed = listing(item.verdict.explained_by for item in none.supporting if item.verdict.explained_by)
        said = "None of these" + (f", but {blamed}" if blamed != "none" else "")
        return f"{said}: {count(total - len(none.missing), 'symptom')} looked at" + (
            f"; {unknown}." if none.missing else ", none left unknown."
        )
    if not named:
        return f"Nothing was found in the part that could be looked at; {unknown}: that is no proof of health."
    parts = [f"{titles[slug]} ({_told(by_slug[slug])})" for slug in named]
    if conclusion is Conclusion.UNDECIDED:
        return f"Undecided between {listing(parts)}: they are too close to tell."
    if conclusion is Conclusion.ONE:
        return f"{'' if by_slug[named[0]].score >= WELL_SUPPORTED else 'Weakly: '}{parts[0]}."
    inside = any({one.cause, one.effect} <= {*named} for one in related)
    return f"A combination of {listing(parts)}." + ("" if inside else f" {_who_began(named, by_slug, titles)}")


def _told(item: Hypothesis) -> str:
    looked = len(item.supporting) + len(item.refuting) + len(item.missing)
    return f"{item.score:.2f}, {len(item.supporting)} of {count(looked, 'symptom')} found"


def _who_began(named: Sequence[str], by_slug: dict[str, Hypothesis], titles: dict[str, str]) -> str:
    onsets = sorted((at, slug) for slug in named if (at := onset_of(by_slug[slug])))
    if len(onsets) < len(named) or onsets[1][0] - onsets[0][0] <= _TOGETHER:
        return "No rule and no onset tells which of them came first."
    told = listing(f"{titles[slug]} since {clock(at)}" for at, slug in onsets)
    return f"No rule tells which explains the other; the first began earlier: {told}."
