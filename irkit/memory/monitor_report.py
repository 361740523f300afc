"""What the monitor saw, as data and as the text that `print(memory_monitor.get_report())` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from irkit.memory.alerts import Alert
from irkit.memory.footprint import ContainerMemory
from irkit.memory.judgement import Judgement
from irkit.memory.objects import TypeGrowth
from irkit.memory.pauses import Pauses
from irkit.memory.trend import LEAST_SAMPLES, Direction, Forecast, Trend, settling_s
from irkit.procfs import MemoryShares
from irkit.text.phrase import clock, count, percent, seconds, size
from irkit.text.visible import visible
from irkit.times import format_duration

_HOUR_S = 3600.0
_LONGEST_S = 10 * 365 * 86_400.0
_SHOWN = 8
_SURE = 0.001
_HANDFUL = 10


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What one process's monitor saw since `baseline_at`; `judgement` is None where nothing was tracked.

    `growths` are the types with more objects than at the baseline, whether or not that is a trend. `chains` are the
    names from a module down to an object of a growing type. `overhead_share` is of one core.
    """

    pid: int
    made_at: datetime
    baseline_at: datetime | None = None
    is_tracking: bool = False
    lasted_s: float = 0.0
    judgement: Judgement | None = None
    baseline_rss_bytes: int = 0
    rss_bytes: int = 0
    shares: MemoryShares | None = None
    container: ContainerMemory | None = None
    forecast: Forecast | None = None
    growths: tuple[TypeGrowth, ...] = ()
    objects: int = 0
    frozen: int = 0
    pauses: tuple[Pauses, ...] = ()
    alerts: tuple[Alert, ...] = ()
    overhead_share: float = 0.0
    notes: tuple[str, ...] = ()
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return report_text(self)


def report_text(report: MemoryReport) -> str:
    """Return a report as lines of text, the verdict first, what is not known among them."""
    if report.judgement is None:
        told = [f"Memory of process {report.pid}: not tracked. Call start_tracking(), wait, then ask again."]
        return "\n".join([*told, *map(_noted, report.notes)])
    return "\n".join(_lines(report, report.judgement))


def verdict_sentences(trend: Trend, what: str = "Memory") -> str:
    """Return a trend in words: what it does, how fast, how sure."""
    if trend.direction is Direction.TOO_FEW:
        return (
            f"too few samples: {count(trend.samples, 'sample')} over {span(trend.span_s)}, "
            f"and {LEAST_SAMPLES} or more in one run make a trend"
        )
    if trend.direction is Direction.STABLE:
        told = f"stable: {what} does not go on rising ({_watched(trend)})"
        return f"{told}; it rose and has settled, as after a start" if trend.settled else told
    if trend.direction is Direction.RISING:
        return (
            f"{trend.direction}: {what} rose by {size(trend.gained)} ({_watched(trend)}); that is too short to tell a "
            f"leak from a start: watch it for {span(settling_s(trend))}"
        )
    moves = "rises" if trend.direction is Direction.GROWING else "falls"
    return f"{trend.direction}: {what} {moves} by {rate(trend)}"


def rate(trend: Trend) -> str:
    """Return the slope of a size: `96 MiB an hour (95 % interval 90 MiB to 101 MiB, 600 samples over 10 min)`."""
    sign = -1 if trend.slope_per_s < 0 else 1
    ends = (trend.interval.low, trend.interval.high)[::sign]
    low, high = ("no bound" if end is None else size(sign * end * _HOUR_S) for end in ends)
    return f"{size(abs(trend.slope_per_s) * _HOUR_S)} an hour (95 % interval {low} to {high}, {_watched(trend)})"


def _watched(trend: Trend) -> str:
    return f"{count(trend.samples, 'sample')} over {span(trend.span_s)}"


def forecast_sentence(forecast: Forecast, limit_bytes: float) -> str:
    """Return when a limit is reached: `the limit of 512 MiB is reached in 1 h 2 min (58 min to 1 h 6 min) …`."""
    latest = span(forecast.latest_s) if forecast.latest_s is not None else "never"
    between = f"95 % interval {span(forecast.earliest_s)} to {latest}"
    return f"the limit of {size(limit_bytes)} is reached in {span(forecast.likely_s)} at this rate ({between})"


def limit_sentence(subject: str, container: ContainerMemory, forecast: Forecast | None) -> str:
    """Return what a container uses of its limit, and when that is reached: `Limit: the container uses 1 MiB, …`."""
    if container.limit_bytes is None:
        return f"Limit: none; {subject} uses {size(container.usage_bytes)}."
    share = percent(container.usage_bytes / container.limit_bytes)
    used = f"Limit: {subject} uses {size(container.usage_bytes)}, {share} of {size(container.limit_bytes)}"
    return f"{used}; {forecast_sentence(forecast, container.limit_bytes)}." if forecast else f"{used}."


def span(length_s: float) -> str:
    """Return a length of time by its two largest units."""
    return format_duration(timedelta(seconds=min(length_s, _LONGEST_S)))


def _lines(report: MemoryReport, judged: Judgement) -> Iterator[str]:
    trend = judged.memory
    over = "" if report.is_tracking else ", not tracked any more"
    yield f"Memory of process {report.pid}, tracked for {span(report.lasted_s)} until {clock(report.made_at)}{over}"
    yield f"Verdict: {verdict_sentences(trend, 'RSS')}."
    gained = report.rss_bytes - report.baseline_rss_bytes
    sign = "more" if gained >= 0 else "less"
    yield f"RSS {size(report.rss_bytes)}, {size(abs(gained))} {sign} than at the baseline{_shares(report.shares)}."
    yield _limit(report)
    if judged.origin is not None:
        yield f"Origin: {judged.origin}."
    yield from _types(report, judged)
    yield from _collections(report)
    yield from (f"Alert at {clock(alert.at)}: {alert.sentence}" for alert in report.alerts)
    if report.frozen:
        yield f"Not counted: {count(report.frozen, 'object')} that gc.freeze() set aside."
    yield from map(_noted, report.notes)
    yield f"The monitor itself took {percent(report.overhead_share)} of one core."
    if judged.types or trend.direction is Direction.GROWING:
        yield "Next: see in the code what keeps the types that grow; a restart destroys the evidence."


def _shares(shares: MemoryShares | None) -> str:
    if shares is None:
        return "; PSS and USS are not known: this kernel does not tell"
    return f"; PSS {size(shares.pss_bytes)}, USS {size(shares.uss_bytes)}"


def _limit(report: MemoryReport) -> str:
    container = report.container
    if container is None:
        return "Limit: not known, this system tells of no memory cgroup."
    return limit_sentence("the container", container, report.forecast)


def _types(report: MemoryReport, judged: Judgement) -> Iterator[str]:
    asked = count(judged.types_asked, "type")
    growing = {each.growth.name for each in judged.types}
    if judged.types:
        yield f"Types that grow, of {asked} watched ({count(report.objects, 'object')}):"
    for each in judged.types[:_SHOWN]:
        chance = "p < 0.001" if each.trend.chance < _SURE else f"p {each.trend.chance:.3f}"
        pace = f"{each.trend.slope_per_s * 60:+,.0f} a minute" if each.trend.slope_per_s * 60 >= 1 else ""
        yield f"  {_grown(each.growth)}  {pace or f'{each.trend.slope_per_s * _HOUR_S:+,.1f} an hour'}, {chance}"
        if chain := report.chains.get(each.growth.name):
            yield f"    held by {' → '.join(map(visible, chain))}"
        elif each.growth.name in report.chains:
            yield "    held by: no module leads to one; a running function, a thread or C code may hold it"
    # a handful more is what any look finds: the looking itself makes some
    grown = [each for each in report.growths if each.over_baseline >= _HANDFUL and each.name not in growing]
    others = grown[:_SHOWN]
    if others:
        yield "More than at the baseline, which is no trend (yet):"
        yield from (f"  {_grown(each)}" for each in others)
    if not judged.types and not others:
        yield f"No type has more objects than at the baseline ({count(report.objects, 'object')}, {asked} watched)."


def _grown(growth: TypeGrowth) -> str:
    peak = f", {growth.over_peak:+,} over the peak" if growth.over_peak else ", below its peak"
    return f"{visible(growth.name)}  {growth.count:,}  {growth.over_baseline:+,} over the baseline{peak}"


def _collections(report: MemoryReport) -> Iterator[str]:
    busy = [pauses for pauses in report.pauses if pauses.collections]
    if not busy:
        yield "Garbage collections: none since the start."
    for pauses in busy:
        share = percent(pauses.total_s / report.lasted_s) if report.lasted_s > 0 else "an unknown share"
        never = f", {count(pauses.uncollectable, 'object')} uncollectable" if pauses.uncollectable else ""
        yield (
            f"Garbage collections of generation {pauses.generation}: {pauses.collections:,}, p95 "
            f"{seconds(pauses.p95_s)}, longest {seconds(pauses.longest_s)}, {share} of the time{never}."
        )


def _noted(note: str) -> str:
    return f"Note: {visible(note)}."
