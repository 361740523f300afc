"""Sections for high latency: percentiles over time, routes, the phases of a probe, providers, the database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, ClassVar

from irkit.charts import Milestone, Part, QuantileChart, QuantilePoint, StackedBar, StackedBars
from irkit.diagnose import database_state, percentiles, provider_calls
from irkit.diagnose.latency import FEWEST, slowest_service
from irkit.diagnose.percentiles import Route, Spread
from irkit.diagnose.signs import HEALTH_PATH
from irkit.estimate import quantile
from irkit.logs.slow_queries import SlowQuery, slow_queries
from irkit.model import Threshold, VerdictState
from irkit.records import rows_where, text_of
from irkit.report import facts
from irkit.report.cells import plain_records
from irkit.report.excerpt import quoted
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap, Shown
from irkit.report.working_sections import PhaseRow
from irkit.text.phrase import clock, count, seconds

if TYPE_CHECKING:
    import pandas as pd

_SYMPTOMS = ("p95-latency", "slow-dashboard-loading", "timeout-errors")
_MAX_ROUTES = 15
_MAX_SLOW_LINES = 5
_PHASES = ("name lookup", "connect", "TLS", "waiting for the first byte", "transfer")
_SLOW_QUERY = re.compile(r"slow.{0,3}query|query (?:took|duration)|(?:statement|query)[ _]time", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SpreadRow:
    """The latency of one service in the whole window; `few` where a p95 of so few requests is their slowest one."""

    name: str
    spread: Spread
    over: bool
    few: bool


@dataclass(frozen=True, slots=True, repr=False)
class Latency(Shown):
    """Percentiles over time of the service that is slowest, against the runbook's limit, and of each as a whole."""

    heading: ClassVar[str] = "Latency over time"
    anchor: ClassVar[str] = "latency"
    subject: str
    limit: Threshold | None
    claims: tuple[Claim, ...]
    chart: QuantileChart
    step: timedelta
    rows: tuple[SpreadRow, ...]
    unmeasured: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Routes(Shown):
    """The slowest routes since `began`, of `total` with a known duration."""

    heading: ClassVar[str] = "Slowest routes"
    anchor: ClassVar[str] = "routes"
    rows: tuple[Route, ...]
    total: int
    began: datetime
    limit: Threshold | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ProbePhases(Shown):
    """Where the time of a health probe goes, before it began and since; `unanswered` of `asked` since then failed."""

    heading: ClassVar[str] = "Where a probe's time goes"
    anchor: ClassVar[str] = "probe-phases"
    bars: StackedBars
    began: datetime
    asked: int
    unanswered: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """What is known of one provider's latency, in seconds: by its own log, and as the health answer gives it."""

    name: str
    spread: Spread | None
    before_p95_s: float | None
    since_p95_s: float | None
    told_s: float | None


@dataclass(frozen=True, slots=True, repr=False)
class ProviderLatency(Shown):
    """How long the providers take, where anything tells."""

    heading: ClassVar[str] = "Providers' latency"
    anchor: ClassVar[str] = "provider-latency"
    rows: tuple[ProviderRow, ...]
    began: datetime
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Queries(Shown):
    """What queries run on, and those the log tells of: whole statements with plans, else the lines themselves."""

    heading: ClassVar[str] = "Queries and the planner's statistics"
    anchor: ClassVar[str] = "queries"
    path: str
    tables: tuple[database_state.TableState, ...]
    notes: tuple[str, ...]
    statements: tuple[SlowQuery, ...]
    slow: tuple[Claim, ...]
    slow_lines: int
    logs_read: bool
    evidence: tuple[str, ...]


def latency(of: Material) -> Latency | Gap:
    """Return the percentiles of the requests, or of the probes where no service logs its durations."""
    limit = _limit(of)
    requests = _timing(of.view)
    known = percentiles.timed(requests) if requests is not None else None
    if known is None or known.empty:
        known = _probes_as_requests(of)
        if known is None or known.empty:
            reason, hint = of.view.why_missing("logs")
            had = "no service logs its requests' durations, and no probe got an answer"
            return Gap(Latency.heading, f"{reason if requests is None else had}.", hint)
    judged = slowest_service(known, limit.value) if limit else None
    subject = judged.service if judged else str(known["service"].mode()[0])
    own = known[known["service"] == subject]
    step = percentiles.step_for(own)
    points = tuple(_point(moment, step) for moment in percentiles.over_time(own, step))
    rows = tuple(_spread_row(str(name), rows, limit) for name, rows in known.groupby("service", sort=True))
    chart = QuantileChart(
        own["at"].iloc[0].to_pydatetime(warn=False),
        max(own["at"].iloc[-1].to_pydatetime(warn=False), points[-1].at + step / 2),
        step.total_seconds(),
        points,
        limit.value if limit else None,
        _milestones(of, points[0].at, points[-1].at),
    )
    found = {item.symptom: item for item in of.diagnosis.findings}
    claims = [found[slug] for slug in _SYMPTOMS if slug in found]
    claims.sort(key=lambda item: item.verdict.state is not VerdictState.FOUND)
    told = tuple(
        Claim(f"{item.title}, {item.verdict.state}: {item.verdict.sentence}", item.evidence) for item in claims
    )
    unmeasured = len(requests) - len(percentiles.timed(requests)) if requests is not None else 0
    return Latency(subject, limit, told, chart, step, rows, unmeasured, of.view.ids("logs", "health", "health_history"))


def _timing(view: facts.View) -> pd.DataFrame | None:
    """Return the requests from outside; where what is reached from there tells no durations, those behind it."""
    outside, every = view.traffic(), view.table("requests")
    if outside is None or every is None or outside["duration_s"].notna().any():
        return outside
    return rows_where(every, (HEALTH_PATH.search(str(path)) is None for path in every["path"]))


def routes(of: Material) -> Routes | Gap:
    """Return the routes with a known duration, the slowest since it began first."""
    requests = _timing(of.view)
    if requests is None:
        return _gap(of, Routes.heading, "logs")
    known = percentiles.timed(requests)
    if known.empty:
        reason = "the logs hold requests, and no duration of any" if len(requests) else "the logs hold no request"
        return Gap(Routes.heading, f"{reason}.", "have the API log each request's duration")
    found = percentiles.by_route(known, of.began)
    return Routes(found[:_MAX_ROUTES], len(found), of.began, _limit(of), of.view.ids("logs"))


def probe_phases(of: Material) -> ProbePhases | Gap:
    """Return the phases of the median probe before it began and since, and of the slowest one."""
    rows = all_probes(of)
    if not rows:
        return _gap(of, ProbePhases.heading, "health")
    answered = [row for row in rows if row.first_byte_s is not None and row.total_s is not None]
    since = [row for row in rows if row.at >= of.began]
    limit = _limit(of)
    groups = (
        ("Before", [row for row in answered if row.at < of.began]),
        ("Since", [row for row in answered if row.at >= of.began]),
    )
    bars = [
        _phase_bar(f"{name} {clock(of.began)}, median of {count(len(group), 'probe')}", _median(group), limit)
        for name, group in groups
        if group
    ]
    if answered:
        slowest = max(answered, key=lambda row: row.total_s or 0.0)
        bars.append(_phase_bar(f"Slowest, at {clock(slowest.at)}", _phases(slowest), limit))
    longest = max((sum(part.value for part in bar.parts) for bar in bars), default=0.0)
    scale = max(longest, (limit.value if limit else 0.0) * 1.05) or 1.0
    unanswered = sum(row.first_byte_s is None for row in since)
    drawn = StackedBars(tuple(bars), scale, limit.value if limit else None)
    return ProbePhases(drawn, of.began, len(since), unanswered, of.view.ids("health", "health_history"))


def provider_latency(of: Material) -> ProviderLatency | Gap:
    """Return each provider's latency by its own log, where it is a service of ours, and by the health answer."""
    told = {text_of(row, "name"): text_of(row, "detail") for row in of.view.records("providers")}
    names = provider_names(of)
    calls = provider_calls.own_calls(of.view.table("requests"), names)
    rows = tuple(_provider_row(name, [one for one in calls if one.provider == name], told, of) for name in names)
    if not any(row.spread or row.told_s is not None for row in rows):
        reason, hint = of.view.why_missing("providers")
        had = "neither a log nor the health answer tells how long a provider takes"
        looked = of.view.table("providers") is not None or of.view.table("requests") is not None
        return Gap(ProviderLatency.heading, f"{had if looked else reason}.", hint or "ask them by hand")
    return ProviderLatency(rows, of.began, of.view.ids("logs", "providers"))


def queries(of: Material) -> Queries | Gap:
    """Return what the database's queries run on, and which of them the log calls slow."""
    database = of.document("database")
    if database is None:
        return _gap(of, Queries.heading, "database")
    statistics = of.view.table("database_statistics")
    tables = database_state.tables_of(database, of.view.records("database_statistics"))
    analysed = None if statistics is None else len(statistics) > 0
    notes = database_state.planner_notes(database, tables, analysed=analysed)
    logs = of.view.table("logs")
    statements = () if logs is None else slow_queries(logs, database, statistics)
    lines = None
    if logs is not None and not statements:  # which say it better than the lines that they were read from
        lines = logs[[_SLOW_QUERY.search(str(line)[:2000]) is not None for line in logs["line"]]]
    slow = plain_records(lines.tail(_MAX_SLOW_LINES)) if lines is not None else []
    claims = [
        Claim(f"{row['service']} at {clock(row['at'])}", of.view.ids("logs"), *quoted(str(row["line"]))) for row in slow
    ]
    return Queries(
        str(database.get("path") or ""),
        tables,
        tuple(notes),
        statements,
        tuple(claims),
        0 if lines is None else len(lines),
        logs is not None,
        of.view.ids("database", "database_statistics", *(["logs"] if claims or statements else [])),
    )


def provider_names(of: Material) -> tuple[str, ...]:
    """Return the names of the providers that anything in the evidence tells of."""
    services = [text_of(row, "service") for row in of.view.records("containers")]
    return provider_calls.provider_names(of.view.records("providers"), of.view.records("rate_limits"), services)


def all_probes(of: Material) -> list[PhaseRow]:
    """Return the probes of the flight recorder and of the collection, in order of time."""
    return sorted((*facts.probes(of.view, "health_history"), *facts.probes(of.view)), key=lambda row: row.at)


def _limit(of: Material) -> Threshold | None:
    """Return the limit in seconds that the runbook's own words set for latency."""
    return next(
        (
            item.threshold
            for kind in of.runbook.incident_types
            for item in kind.symptoms
            if item.threshold is not None and item.threshold.unit == "s"
        ),
        None,
    )


def _probes_as_requests(of: Material) -> pd.DataFrame | None:
    """Return the probes as if they were requests: less than what users feel, and better than nothing."""
    import pandas as pd

    rows = [
        {"at": row.at, "service": "health probes from outside", "duration_s": row.total_s}
        for row in all_probes(of)
        if row.status_code is not None and row.total_s is not None
    ]
    return percentiles.timed(pd.DataFrame(rows)) if rows else None


def _point(moment: percentiles.Moment, step: timedelta) -> QuantilePoint:
    one = moment.spread
    interval = one.interval
    return QuantilePoint(
        moment.at + step / 2, one.total, one.p50_s, one.p95_s, one.p99_s, one.slowest_s, interval.low, interval.high
    )


def _spread_row(name: str, rows: pd.DataFrame, limit: Threshold | None) -> SpreadRow:
    spread = percentiles.spread_of(rows["duration_s"].tolist())
    over = limit is not None and spread.p95_s > limit.value
    return SpreadRow(name, spread, over, spread.total < FEWEST)


def _milestones(of: Material, start: datetime, end: datetime) -> tuple[Milestone, ...]:
    named = (("onset", of.began), ("detected", of.incident.detected_at), ("mitigated", of.incident.mitigated_at))
    return tuple(Milestone(at, label) for label, at in named if at and start <= at <= end)


def _phases(row: PhaseRow) -> tuple[float, ...]:
    """Return how long each phase took: what `curl -w` counts from the start, less what came before it."""
    ends = (row.name_lookup_s, row.connect_s, row.tls_s, row.first_byte_s, row.total_s)
    made, before = [], 0.0
    for end in ends:
        reached = before if end is None else max(end, before)
        made.append(reached - before)
        before = reached
    return tuple(made)


def _median(rows: Iterable[PhaseRow]) -> tuple[float, ...]:
    return tuple(median(values) for values in zip(*map(_phases, rows), strict=True))


def _phase_bar(name: str, phases: tuple[float, ...], limit: Threshold | None) -> StackedBar:
    total, longest = sum(phases), max(range(len(phases)), key=lambda index: phases[index])
    over = limit is not None and total > limit.value
    parts = tuple(
        Part(label, value, ("alarm" if over else "calm") if index == longest else "quiet")
        for index, (label, value) in enumerate(zip(_PHASES, phases, strict=True))
    )
    return StackedBar(name, parts, f"{seconds(total)}, {seconds(phases[longest])} of it {_PHASES[longest]}", over)


def _provider_row(name: str, calls: list[provider_calls.Call], told: dict[str, str], of: Material) -> ProviderRow:
    known = [(one.at, one.duration_s) for one in calls if one.duration_s is not None]
    sides = ([took for at, took in known if at < of.began], [took for at, took in known if at >= of.began])
    before, since = (quantile(sorted(side), 0.95) if side else None for side in sides)
    spread = percentiles.spread_of([took for _, took in known]) if known else None
    return ProviderRow(name, spread, before, since, provider_calls.latency_told(told.get(name, "")))


def _gap(of: Material, title: str, kind: str) -> Gap:
    reason, hint = of.view.why_missing(kind)
    return Gap(title, f"{reason}.", hint)
