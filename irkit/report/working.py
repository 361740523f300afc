"""Sections for the work itself, not for the published page: containers, the log at the onset, health, next steps."""

from __future__ import annotations

from datetime import datetime

from irkit.model import VerdictState
from irkit.report import facts
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap
from irkit.report.working_sections import Containers, HealthPhases, LogExcerpt, LogRow, NextSteps
from irkit.runbook import who_to_tell

_BEFORE_ROWS = 12
_AFTER_ROWS = 28
_MAX_PROBES = 20


def containers(of: Material) -> Containers | Gap:
    if of.view.table("containers") is None:
        return _gap(of, "Containers", "containers")
    return Containers(facts.containers(of.view), of.view.ids("containers"))


def log(of: Material) -> LogExcerpt | Gap:
    """Return the lines before and after the earliest onset, the line that tells marked."""
    frame = of.view.table("logs")
    if frame is None:
        return _gap(of, "Log at the onset", "logs")
    onset = _onset(of)
    ordered = frame.sort_values("at", kind="stable")
    split = int((ordered["at"] < onset).sum())
    rows = facts.plain_records(ordered.iloc[max(split - _BEFORE_ROWS, 0) : split + _AFTER_ROWS])
    tells = facts.telling(of.view)
    quoted = tells.quote if tells else None
    shown = []
    for row in rows:
        line = str(row.get("line") or "")
        service, stream = str(row.get("service") or ""), str(row.get("stream") or "")
        shown.append(LogRow(row["at"], service, stream, line, marked=line == quoted))
    return LogExcerpt(tuple(shown), onset, len(ordered), of.view.ids("logs"))


def health(of: Material) -> HealthPhases | Gap:
    if of.view.table("health") is None:
        return _gap(of, "Health endpoint", "health")
    return HealthPhases(facts.probes(of.view)[-_MAX_PROBES:], of.view.ids("health"))


def next_steps(of: Material) -> NextSteps | Gap:
    """Return the runbook's own words for the type the evidence points at, or else the type it was filed as."""
    ranking = of.diagnosis.ranking
    slug = ranking[0].incident_type if ranking and ranking[0].score > 0 else of.incident.type
    kind = next((item for item in of.runbook.incident_types if item.slug == slug), None)
    if kind is None:
        return Gap("Next steps", f"The runbook does not know the incident type {slug}.", "`irkit runbook` lists them")
    found = {item.symptom: item for item in of.diagnosis.of(slug) if item.verdict.state is VerdictState.FOUND}
    claims = tuple(Claim(f"{item.title}: {item.verdict.sentence}", item.evidence) for item in found.values())
    told = who_to_tell(of.runbook, kind, of.severity) if of.severity else ()
    tell = tuple(f"{contact.role} ({contact.channel}): {contact.when}" for contact in told)
    return NextSteps(kind.title, claims, kind.diagnosis, kind.resolution, tell)


def _onset(of: Material) -> datetime:
    onsets = [item.verdict.onset for item in of.diagnosis.findings if item.verdict.onset]
    exits = [item.at for item in facts.exits(of.view) if item.at]
    return min(onsets) if onsets else exits[-1] if exits else of.felt.start


def _gap(of: Material, title: str, kind: str) -> Gap:
    reason, hint = of.view.why_missing(kind)
    return Gap(title, f"Unknown: {reason}.", hint)
