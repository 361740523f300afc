"""What a diagnosis says: the incident types weighed, all findings, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from irkit.model import Finding, VerdictState
from irkit.onset.interval import OnsetInterval
from irkit.onset.past import past

# the numbers of a verdict that others go by: a rise that nobody feels yet, and how many checks of the engine tell
UNFELT = "unfelt"
ENGINE_CHECKS = "engine_checks"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One incident type weighed: the findings for it, against it, and those that could not be looked at.

    `reasons` has a line for each that is neither for it in full nor against it: what was discounted, and why. `weights`
    holds, by symptom, what each that was found adds to the score, and what each other would add if it were found.
    """

    incident_type: str
    score: float
    supporting: tuple[Finding, ...]
    refuting: tuple[Finding, ...]
    missing: tuple[Finding, ...]
    reasons: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier bundle of the incident shows and a later one shows no more: since when, and by which findings.

    The findings cite nothing: their evidence is that bundle's, and goes by the same names as that of the later one.
    """

    bundle_id: str
    seal: str
    collected_at: datetime
    since: datetime
    findings: tuple[Finding, ...]

    @property
    def named(self) -> str:
        """The bundle in words."""
        return f"bundle {self.bundle_id}, collected {self.collected_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings in the runbook's order, and the incident types, likeliest first.

    After the runbook's symptoms follow those it does not list and irkit found all the same. `onset` is when it began,
    None where nothing was found, or its signals agree on none: no clear onset. `onset_unknown` says why it could not be
    looked for, if so. All that is of one bundle, but for the beginning where an `earlier` one of the incident shows an
    earlier one; `onset_bundle` is the id of that which the onset is of, where it is not its own, and `unread` says
    which of the earlier ones could not be asked, and why.
    """

    findings: tuple[Finding, ...]
    ranking: tuple[Hypothesis, ...]
    onset: OnsetInterval | None = None
    onset_unknown: str = ""
    earlier: Earlier | None = None
    onset_bundle: str = ""
    unread: tuple[str, ...] = ()

    @property
    def since(self) -> datetime | None:
        """By when it had begun: the end of the onset, without one the earliest sign of the likeliest type, or None."""
        if self.onset is not None or self.earlier is not None:
            return self.onset.latest if self.onset is not None else self.first_sign
        return min(signs(self.findings, self.ranking), default=None)

    @property
    def first_sign(self) -> datetime | None:
        """Since when the symptoms of the likeliest type show that tell it (`telling_start`), None where none does."""
        if self.earlier:
            return self.earlier.since
        return min((item.verdict.onset for item in self._telling if item.verdict.onset), default=None)

    @property
    def starting(self) -> tuple[Finding, ...]:
        """The findings that show the first sign, of the earlier bundle where that shows it."""
        if self.earlier:
            return self.earlier.findings
        since = self.first_sign
        return tuple(item for item in self._telling if since and item.verdict.onset == since)

    @property
    def began_unseen(self) -> bool:
        """Whether the first sign is only the first look at what was so all along: it began then or before."""
        return any(map(is_first_look, self.starting))

    @property
    def _telling(self) -> tuple[Finding, ...]:
        return telling_start(self.ranking)

    @property
    def present(self) -> tuple[Finding, ...]:
        """All findings but those of what was over before what goes on now began."""
        over = past(self.findings)
        return tuple(item for item in self.findings if item.symptom not in over)

    @property
    def felt(self) -> tuple[Finding, ...]:
        """Those present that somebody may feel; all of them where there are no others with an onset."""
        own = tuple(item for item in self.present if not is_unfelt(item))
        return own if any(item.verdict.onset for item in own) else self.present

    def of(self, incident_type: str) -> tuple[Finding, ...]:
        return tuple(item for item in self.findings if incident_type in item.incident_types)

    @property
    def likeliest(self) -> Hypothesis | None:
        """The incident type with most for it, or None where no symptom of any was found: none of these."""
        return self.ranking[0] if self.ranking and self.ranking[0].score > 0 else None


def is_first_look(finding: Finding) -> bool:
    """Say whether the onset of a finding is only the first look at it: it began then or before, and nobody saw when."""
    return finding.verdict.numbers.get("all_along") is True


def is_unfelt(finding: Finding) -> bool:
    """Say whether a finding is a rise that nobody feels yet, as a service has after a start and in its trouble."""
    return finding.verdict.numbers.get(UNFELT) is True


def telling_start(ranking: Sequence[Hypothesis]) -> tuple[Finding, ...]:
    """Return the findings that tell since when it is: those of the likeliest type.

    What nobody feels yet is no start of what they do feel: where that is all there is of it, those of the next type.
    """
    likeliest = ranking[0].supporting if ranking else ()
    felt = ([one for one in item.supporting if not is_unfelt(one)] for item in ranking)
    return next((tuple(own) for own in felt if any(one.verdict.onset for one in own)), likeliest)


def signs(findings: Sequence[Finding], ranking: Sequence[Hypothesis]) -> list[datetime]:
    """Return when the symptoms of the likeliest type first showed, those of any where no type has one."""
    likeliest = telling_start(ranking) if ranking and ranking[0].score > 0 else ()
    found = [item for item in findings if item.verdict.state is VerdictState.FOUND]
    own = [item.verdict.onset for item in likeliest if item.verdict.onset]
    return own or [item.verdict.onset for item in found if item.verdict.onset]
