"""The cheapest next check: which look that is still missing would do most, for what it costs, to tell two types apart.

The value of a check is how far the gap between the top two could move over all its possible outcomes, divided by its
cost. It asks nobody and looks at nothing: what is missing, and why, is in the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from irkit.diagnose.run import Symptom
from irkit.diagnose.service_names import of_here
from irkit.logs import tables as logs
from irkit.model import Finding, Outcome, Verdict, VerdictState
from irkit.runbook import command_for
from irkit.text.phrase import count
from irkit.triage import Conclusion, contenders, triage

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource
    from irkit.diagnose.verdicts import Hypothesis
    from irkit.model import CollectorRun
    from irkit.runbook import Runbook

BY_HAND = "by hand"
BY_HAND_COST = 9  # as dear as the dearest collector: it takes a person
_USUAL_COST = 5
_SETTLED = 1e-9


@dataclass(frozen=True, slots=True)
class Check:
    """One look that would decide `symptoms` (their slugs): by which collector or by hand, and at what cost.

    `command` is what a person types for it, `obstacle` why it is missing so far, `advice` what to do about that. Costs
    are those of collectors: 1 is cheap, 9 is dear.
    """

    name: str
    symptoms: tuple[str, ...]
    cost: int
    command: str = ""
    obstacle: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ValuedCheck:
    """A check with the gap of the top two as it would be after its worst and its best outcome for the first.

    `value` is the distance of these two per cost. The order could turn where `low` is below 0, be a tie at 0.
    """

    check: Check
    low: float
    high: float

    @property
    def value(self) -> float:
        return (self.high - self.low) / self.check.cost

    @property
    def could_turn(self) -> bool:
        return self.low <= _SETTLED

    @property
    def range_told(self) -> str:
        """Say what the lead of the first would be after the check, from its best to its worst outcome."""
        best = f"the first would lead by {self.high:.2f} at best"
        if self.low < -_SETTLED:
            return f"{best}, and at worst be {-self.low:.2f} behind" if self.high > _SETTLED else "it would fall behind"
        if self.could_turn:
            return f"{best}, and at worst be level"
        return f"{best}, and by {self.low:.2f} at worst"

    @property
    def could(self) -> str:
        """Say what the check could do to the order of the two, "" for nothing."""
        if not self.could_turn:
            return ""
        return "could turn the order" if self.low < -_SETTLED else "could bring the two level"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The top two contenders, the gap between their scores, and the checks that could move it, best first.

    `settled` where no outcome of anything unknown could put another first or level with it; `unknown` counts the
    symptoms left so. `lowest` is the least by which the first could lead any other: 0 for a tie at most.
    """

    first: str
    second: str
    gap: float
    settled: bool
    unknown: int
    checks: tuple[ValuedCheck, ...]
    lowest: float

    def standing(self, first: str) -> str:
        """Say how firm the order is; `first` is what the one in front is called."""
        if self.settled:
            left = (
                f"whatever becomes of {count(self.unknown, 'unknown symptom')}"
                if self.unknown
                else "nothing is unknown"
            )
            return f"Settled: {left}, {first} stays first." if self.unknown else f"Settled: {left}."
        if self.unknown:
            outcome = "put another first" if self.lowest < -_SETTLED else "bring another level with it"
            return f"Not settled: {count(self.unknown, 'unknown symptom')} could {outcome}."
        return "Not settled, though nothing is unknown: the scores do not tell the first two apart."


def outlook(  # noqa: PLR0913 (what was found, in which evidence, and all that says how to look again)
    findings: Sequence[Finding],
    source: EvidenceSource,
    runbook: Runbook,
    detectors: Mapping[str, Symptom],
    costs: Mapping[str, int],
    *,
    places: Mapping[str, str] = MappingProxyType({}),
) -> Outlook:
    """Return what could still change about the top two, and by which look; `costs` are the collectors' own, by name.

    `places` are the addresses of the runbook's commands with what is configured in their stead.
    """
    ranked = contenders(findings, runbook)
    first = ranked[0]
    second = _rival(findings, runbook, ranked)
    names = (first.incident_type, second.incident_type)
    possible = possible_checks(findings, source, runbook, detectors, costs, places=places)
    checks = next_checks(findings, runbook, possible, *names)
    unknown = sum(item.verdict.state is VerdictState.UNKNOWN for item in findings if item.incident_types)
    gap = round(first.score - second.score, 3)
    lowest = least_lead(findings, runbook)
    return Outlook(*names, gap, lowest > _SETTLED, unknown, checks, lowest)


def _rival(findings: Sequence[Finding], runbook: Runbook, ranked: Sequence[Hypothesis]) -> Hypothesis:
    """Return the contender to tell the first from: the one that could come closest, or past it, else the second.

    Where a triage cannot decide, it is the one that it names beside the first.
    """
    told = triage(findings, runbook)
    if told.conclusion is Conclusion.UNDECIDED and told.named:
        return next(item for item in ranked if item.incident_type == told.named[1])
    unknown = [item.symptom for item in findings if item.verdict.state is VerdictState.UNKNOWN]
    first, second = ranked[0].incident_type, ranked[1]
    lowest = {
        item.incident_type: round(gap_range(unknown, findings, runbook, first, item.incident_type)[0], 6)
        for item in ranked[1:]
    }
    nearest = min(ranked[1:], key=lambda item: lowest[item.incident_type])
    past = lowest[nearest.incident_type] <= _SETTLED < lowest[second.incident_type]
    return nearest if past else second


def next_checks(
    findings: Sequence[Finding], runbook: Runbook, checks: Iterable[Check], first: str, second: str
) -> tuple[ValuedCheck, ...]:
    """Return the checks that could move the gap between two contenders, most for their cost first.

    Equals are ordered by cost, then by name; a check that decides nothing about these two is left out.
    """
    valued = (value_of(check, findings, runbook, first, second) for check in checks)
    telling = [item for item in valued if item.high - item.low > _SETTLED]
    return tuple(sorted(telling, key=lambda item: (-round(item.value, 6), item.check.cost, item.check.name)))


def value_of(check: Check, findings: Sequence[Finding], runbook: Runbook, first: str, second: str) -> ValuedCheck:
    """Return the check with the least and the greatest gap that its symptoms, found or clear, could lead to."""
    return ValuedCheck(check, *gap_range(check.symptoms, findings, runbook, first, second))


def gap_range(
    symptoms: Iterable[str], findings: Sequence[Finding], runbook: Runbook, first: str, second: str
) -> tuple[float, float]:
    """Return the least and the greatest of score(first) - score(second) over all outcomes of some symptoms.

    Each symptom moves the gap in one direction whatever becomes of the others, so its own direction is asked once, and
    the two extremes are made of those: 2 + 2n rankings in place of 2 to the n.
    """
    open_ = [item.symptom for item in findings if item.symptom in set(symptoms)]

    def gap(outcome: Mapping[str, VerdictState]) -> float:
        scores = {item.incident_type: item.score for item in contenders(_supposing(findings, outcome), runbook)}
        return scores[first] - scores[second]

    best: dict[str, VerdictState] = {}
    worst: dict[str, VerdictState] = {}
    for slug in open_:
        up = gap({slug: VerdictState.FOUND}) >= gap({slug: VerdictState.CLEAR})
        best[slug] = VerdictState.FOUND if up else VerdictState.CLEAR
        worst[slug] = VerdictState.CLEAR if up else VerdictState.FOUND
    return gap(worst), gap(best)


def least_lead(findings: Sequence[Finding], runbook: Runbook) -> float:
    """Return by how much the first contender leads the nearest other after the worst outcome of all that is unknown.

    Above 0 it stays first whatever becomes of that, at 0 it may get a rival, below 0 it may fall behind one.
    """
    unknown = [item.symptom for item in findings if item.verdict.state is VerdictState.UNKNOWN]
    first, *others = [item.incident_type for item in contenders(findings, runbook)]
    return round(min(gap_range(unknown, findings, runbook, first, other)[0] for other in others), 6)


def possible_checks(  # noqa: PLR0913 (as `outlook`)
    findings: Sequence[Finding],
    source: EvidenceSource,
    runbook: Runbook,
    detectors: Mapping[str, Symptom],
    costs: Mapping[str, int],
    *,
    places: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Check, ...]:
    """Return the looks that would decide the symptoms that are unknown, each once with all that it would decide.

    What a collector could not give in full is asked of that collector again; what it gave, and what was not enough, is
    for a person. `costs` are the collectors' own, by name; for `places` see `outlook`.
    """
    usable = partial(_usable, places=places, silent=_silent_addresses(source))
    made: dict[tuple[str, ...], Check] = {}
    for finding in findings:
        if finding.verdict.state is not VerdictState.UNKNOWN or not finding.incident_types:
            continue
        detector = detectors.get(finding.symptom)
        runs = _wanting(detector, source) if detector else ()
        check = _again(runs, finding, costs) if runs else _by_hand(finding, runbook, detector, source, usable)
        key = (check.name, check.command) if runs else (finding.symptom,)
        earlier = made.get(key)
        made[key] = replace(earlier, symptoms=(*earlier.symptoms, finding.symptom)) if earlier else check
    return tuple(made.values())


def _supposing(findings: Sequence[Finding], outcome: Mapping[str, VerdictState]) -> list[Finding]:
    return [
        replace(item, verdict=Verdict(outcome[item.symptom], "")) if item.symptom in outcome else item
        for item in findings
    ]


def _wanting(detector: Symptom, source: EvidenceSource) -> tuple[CollectorRun, ...]:
    """Return the looks that fell short of what a detector reads.

    All of those it needs or, where it has these, the first it uses: a detector names first what tells most.
    """
    needed = _short(detector.needs, source)
    return tuple(needed) if needed else tuple(_short(detector.uses, source)[:1])


def _short(kinds: Iterable[str], source: EvidenceSource) -> list[CollectorRun]:
    found: dict[str, CollectorRun] = {}
    for kind in kinds:
        run = source.run_for(kind) or source.run_for(logs.ORIGIN.get(kind, kind))
        there = source.has(kind) or source.has(logs.ORIGIN.get(kind, kind))
        # what no recorder has kept cannot be looked at any more, nor a snapshot that nobody took
        past = run is not None and run.outcome is Outcome.ABSENT and (kind.endswith("_history") or kind == "heap")
        if run is not None and run.outcome is not Outcome.COLLECTED and not there and not past:
            found[run.collector] = run
    return list(found.values())


def _again(runs: Sequence[CollectorRun], finding: Finding, costs: Mapping[str, int]) -> Check:
    reasons = dict.fromkeys(f"{run.collector} {run.outcome.replace('_', ' ')}: {run.reason}" for run in runs)
    return Check(
        " and ".join(run.collector for run in runs),
        (finding.symptom,),
        sum(costs.get(run.collector, _USUAL_COST) for run in runs),
        "; ".join(run.command for run in runs if run.command),
        "; ".join(reasons),
        "; ".join(dict.fromkeys(run.hint for run in runs if run.hint)),
    )


def _by_hand(
    finding: Finding,
    runbook: Runbook,
    detector: Symptom | None,
    source: EvidenceSource,
    usable: Callable[[Iterable[str]], Iterator[str]],
) -> Check:
    """Return the look that a person would take: by the runbook's command for it, else by that of the evidence's source.

    `usable` yields of commands those worth typing. Where none is left, the advice says what to look at.
    """
    types = [item for item in runbook.incident_types if item.slug in finding.incident_types]
    own = [command_for(finding.title, item) for item in types]
    kinds = (*detector.needs, *detector.uses) if detector else ()
    looks = (source.run_for(kind) or source.run_for(logs.ORIGIN.get(kind, kind)) for kind in kinds)
    others = [run.command for run in looks if run is not None and (run.subject or run.outcome is not Outcome.ABSENT)]
    first = [item.diagnosis[0].text for item in types if item.diagnosis]
    command = next(usable((*own, *others, *first)), "")
    verdict = finding.verdict
    advice = verdict.advice
    if not command and not advice:
        sought = ", ".join(kind.replace("_", " ") for kind in kinds) or finding.title.lower()
        advice = f"Neither the runbook nor a source names a command for it: look at {sought} of the service."
    return Check(BY_HAND, (finding.symptom,), BY_HAND_COST, command, verdict.sentence, advice)


def _usable(commands: Iterable[str], *, places: Mapping[str, str], silent: frozenset[str]) -> Iterator[str]:
    """Yield commands with what is configured in place of the runbook's addresses; one that answered nobody is left."""
    for command in filter(None, commands):
        if command.startswith(("from ", "import ")):
            continue  # Python for a console of the service, and no command to paste
        typed = of_here(command, places)
        if not any(address in typed for address in silent):
            yield typed


def _silent_addresses(source: EvidenceSource) -> frozenset[str]:
    """Return the addresses of which the last probe got no answer at all."""
    if not source.has("health"):
        return frozenset()
    last = source.load("health").sort_values("at").groupby("url").tail(1)
    return frozenset(str(url) for url in last[last["status_code"].isna()]["url"] if url)
