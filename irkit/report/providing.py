"""Sections for provider failures: each provider over time, which calls fail and with what, how full its limit is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from irkit.charts import (
    Bar,
    BarLane,
    IncidentStrip,
    Lane,
    Mark,
    MarkLane,
    Milestone,
    Part,
    StackedBar,
    StackedBars,
)
from irkit.charts.svg import step_s
from irkit.diagnose import provider_calls, rate_limits
from irkit.diagnose.provider_calls import Answers, Call, Failure
from irkit.diagnose.rate_limits import Usage
from irkit.diagnose.signs import Sign, bearing
from irkit.records import text_of
from irkit.report.excerpt import quoted
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap, Shown
from irkit.report.slowness import all_probes, provider_names
from irkit.text.phrase import between, clock, count, listing
from irkit.times import format_duration

_INTERVALS = 60
_MIN_STEP_S = 5
_MAX_FAILURES = 12
_MAX_MARKS = 120
_LEAD = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class ProviderState:
    """One provider: what the health answer says of it (`healthy` None: nothing that tells), and its calls.

    `calls` and `failed` are of its own log, None where it keeps none here; `errors` are those of others that name it.
    """

    name: str
    healthy: bool | None
    status: str
    calls: int | None
    failed: int | None
    errors: int
    first_failure: datetime | None
    last_failure: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class Providers(Shown):
    """The providers, the sick ones first, and their calls over time; `asked` is how their health was last asked for.

    `refused` tells of requests that failed without a call to any: the service itself refused them.
    """

    heading: ClassVar[str] = "Providers over time"
    anchor: ClassVar[str] = "providers"
    rows: tuple[ProviderState, ...]
    strip: IncidentStrip | None
    asked: str
    evidence: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """Errors that say the same of one provider; `example` is the latest of them."""

    failure: Failure
    example: Claim


@dataclass(frozen=True, slots=True, repr=False)
class ProviderFailures(Shown):
    """Which calls to providers fail, and with what; `total` errors tell of them, in `kinds` wordings."""

    heading: ClassVar[str] = "Failing calls"
    anchor: ClassVar[str] = "failing-calls"
    rows: tuple[FailureRow, ...]
    answers: tuple[Answers, ...]
    total: int
    kinds: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class RateLimits(Shown):
    """The rate-limit keys: who is limited, how far, and when it resets, as of `collected_at`."""

    heading: ClassVar[str] = "Rate limits"
    anchor: ClassVar[str] = "rate-limits"
    rows: tuple[tuple[Usage, str], ...]
    bars: StackedBars | None
    collected_at: datetime
    evidence: tuple[str, ...]


def providers(of: Material) -> Providers | Gap:
    """Return what the health answer, the providers' own logs and the errors tell of each provider."""
    names = provider_names(of)
    calls = provider_calls.own_calls(of.view.table("requests"), names)
    errors = provider_calls.told_failures(of.view.table("errors"), names)
    names = tuple(dict.fromkeys([*names, *sorted({one.provider for one in errors} - {""})]))
    if not names:
        reason, hint = of.view.why_missing("providers")
        looked = of.view.table("providers") is not None or of.view.table("errors") is not None
        return Gap(Providers.heading, f"{'nothing names a provider' if looked else reason}.", hint)
    states = {text_of(row, "name"): row for row in of.view.records("providers")}
    rows = [_state(name, states.get(name), calls, errors) for name in names]
    rows.sort(key=lambda row: (row.healthy is not False, -(row.failed or 0) - row.errors))
    evidence = of.view.ids("providers", "logs", "health_history")
    # where a provider keeps its log elsewhere, nobody here knows that it was not called
    refused = _refused(of, calls) if all(row.calls is not None for row in rows) else ""
    return Providers(tuple(rows), _strip(of, names, calls, errors), _asked(of), evidence, refused)


def failing_calls(of: Material) -> ProviderFailures | Gap:
    """Return the errors that tell of providers, grouped by what they say, and the answers of AI routes by status."""
    errors = of.view.table("errors")
    if errors is None:
        return _gap(of, ProviderFailures.heading, "logs")
    found = provider_calls.failures(errors, provider_names(of))
    cited = of.view.ids("logs")
    rows = tuple(
        FailureRow(one, Claim(one.provider or "no provider named", cited, *quoted(one.line)))
        for one in found[:_MAX_FAILURES]
    )
    total = sum(one.count for one in found)
    return ProviderFailures(rows, provider_calls.answers(of.view.traffic()), total, len(found), cited)


def limits(of: Material) -> RateLimits | Gap:
    """Return the rate-limit keys with what is used of each, where Redis or the log tells the limit."""
    if of.view.table("rate_limits") is None:
        return _gap(of, RateLimits.heading, "rate_limits")
    names = provider_names(of)
    said = bearing(of.view.table("errors"), Sign.RATE_LIMIT)
    logs = of.view.table("logs")
    lines = logs["line"][["limit" in str(line).lower() for line in logs["line"]]].tolist() if logs is not None else []
    told = rate_limits.limits_told([*map(str, lines), *map(str, said["line"].tolist())], names)
    usages = rate_limits.usage_of(of.view.records("rate_limits"), told)
    item = of.bundle.evidence_for("rate_limits")
    at = item.collected_at if item else of.bundle.manifest.created_at
    known = [one for one in usages if one.used is not None and one.limit]
    return RateLimits(
        tuple((one, _resets(one, at)) for one in usages), _saturation(known), at, of.view.ids("rate_limits")
    )


def _refused(of: Material, calls: Sequence[Call]) -> str:
    found = provider_calls.refused_uncalled(of.view.traffic(), calls)
    if found is None:
        return ""
    return (
        f"After the last failed call to a provider, at {clock(found.since)}, {count(found.count, 'request')} failed "
        f"all the same{between(found.first, found.last)}, and no provider logged one of them: "
        f"{listing(found.services)} refused them itself, or its calls got to none."
    )


def _state(name: str, said: dict[str, object] | None, calls: Sequence[Call], errors: Sequence[Call]) -> ProviderState:
    own = [one for one in calls if one.provider == name]
    told = [one for one in errors if one.provider == name]
    bad = sorted(one.at for one in (*own, *told) if one.failed)
    healthy = said.get("healthy") if said else None
    return ProviderState(
        name,
        healthy if isinstance(healthy, bool) else None,
        text_of(said, "status") if said else "",
        len(own) if own else None,
        sum(one.failed for one in own) if own else None,
        len(told),
        bad[0] if bad else None,
        bad[-1] if bad else None,
    )


def _asked(of: Material) -> str:
    if of.view.table("providers") is not None:
        return "as the health answer says"
    answers = [row for row in all_probes(of) if row.status_code is not None]
    if answers:
        return "not told: the last health answer that came named no provider"
    return "not asked: the health endpoint did not answer"


def _strip(of: Material, names: Iterable[str], calls: Sequence[Call], errors: Sequence[Call]) -> IncidentStrip | None:
    """Draw a lane for each provider, of its own log where it keeps one, else of the errors that name it."""
    times = [one.at for one in (*calls, *errors)]
    if not times:
        return None
    start, end = min(times), max([*times, min(times) + _LEAD])
    step = max(step_s(end - start, _INTERVALS), _MIN_STEP_S)
    lanes: list[Lane] = []
    for name in names:
        own = [one for one in calls if one.provider == name]
        shown = own or [one for one in errors if one.provider == name]
        if shown:
            lanes.append(_lane(name, shown, step, all_failed=not own))
    probes = [row for row in all_probes(of) if start <= row.at <= end][-_MAX_MARKS:]
    if probes:
        marks = tuple(Mark(row.at, f"health probe {row.verdict}", bad=row.verdict != "healthy") for row in probes)
        lanes.append(MarkLane("Health probes", marks, legend="failed filled"))
    named = (("onset", of.began), ("detected", of.incident.detected_at), ("mitigated", of.incident.mitigated_at))
    marked = tuple(Milestone(at, label) for label, at in named if at and start <= at <= end)
    return IncidentStrip(start, end, tuple(lanes), marked)


def _lane(name: str, calls: Sequence[Call], step: int, *, all_failed: bool) -> BarLane:
    counts: dict[int, list[int]] = {}
    for one in calls:
        count = counts.setdefault(int(one.at.timestamp()) // step * step, [0, 0])
        count[0] += 1
        count[1] += one.failed
    zone = calls[0].at.tzinfo
    bars = tuple(Bar(datetime.fromtimestamp(at, zone), total, bad) for at, (total, bad) in sorted(counts.items()))
    words = f"in {format_duration(timedelta(seconds=step))}"
    title = f"Errors that name {name}" if all_failed else f"Calls to {name}"
    return BarLane(title, words, step, bars, legend="" if all_failed else "failed in red", all_failed=all_failed)


def _resets(one: Usage, at: datetime) -> str:
    if one.reset_at is not None:
        return f"at {clock(one.reset_at)}, {format_duration(max(one.reset_at - at, timedelta()))} after the look"
    return "when it expires" if one.expires else "never by itself: the key has no expiry"


def _saturation(usages: Sequence[Usage]) -> StackedBars | None:
    if not usages:
        return None
    bars = []
    for one in usages:
        share = (one.used or 0) / (one.limit or 1)
        part = Part("used", share, "alarm" if one.full else "calm")
        reset = f", resets {one.reset_at:%H:%M:%S}" if one.reset_at else ", never resets" if not one.expires else ""
        bars.append(StackedBar(one.provider or one.key, (part,), f"{one.used} of {one.limit}{reset}", one.full))
    return StackedBars(tuple(bars), max(1.05, *(sum(part.value for part in bar.parts) for bar in bars)), 1.0)


def _gap(of: Material, title: str, kind: str) -> Gap:
    reason, hint = of.view.why_missing(kind)
    return Gap(title, f"{reason}.", hint)
