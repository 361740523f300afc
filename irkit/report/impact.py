"""The impact in numbers and the incident strip: what failed while it lasted, as far as anything collected tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from irkit.diagnose.latency import slowest_service
from irkit.model import Threshold, VerdictState
from irkit.report import facts
from irkit.report.figures import incident_strip
from irkit.report.material import Material
from irkit.report.sections import Impact, Measure
from irkit.text.phrase import count, grouped, listing, percent, seconds
from irkit.times import between, format_duration

if TYPE_CHECKING:
    import pandas as pd

_MAX_NAMED = 3
_UNANSWERED = frozenset({"timeout-errors", "oom-kills"})
_AT_ONCE = timedelta(seconds=1)
_SOON = timedelta(minutes=1)
# a service may have had nothing to write for so long
_LOST = timedelta(seconds=10)


def impact(of: Material) -> Impact:
    """Count what failed while it lasted, and draw the incident strip."""
    measures = [*_requests(of), *_errors(of), *_health(of), *_restarts(of)]
    gaps = []
    for kind, words in (("logs", "Requests and error lines"), ("container_events", "Container events")):
        if of.view.table(kind) is None:
            gaps.append(f"{words} are unknown: {of.view.why_missing(kind)[0]}.")
    shown = (*of.diagnosis.starting, *of.diagnosis.findings)
    onsets = [finding.verdict.onset for finding in shown if finding.verdict.onset]
    one, inferred = of.incident, of.start_by_evidence
    named = (
        ("start by the evidence", inferred),
        *(
            (name, getattr(one, f"{name}_at"))
            for name in ("started", "detected", "acknowledged", "mitigated", "resolved")
        ),
    )
    strip = incident_strip(of.seen, named, of.felt, onsets, latency_limit(of))
    since = ""
    if inferred:
        since = f"Counted from {inferred:%H:%M:%S} UTC, the start by the evidence{of.onset_from}: "
        since += "nobody recorded when it started."
    gaps += [*_lost(of), *_unseen(of)]
    return Impact(of.written("impact"), tuple(measures), strip, tuple(gaps), since, _sources(of) if measures else "")


def _lost(of: Material) -> Iterator[str]:
    """Say of which time while it lasted a container's log is gone with it: what was asked of it then is not counted."""
    frame = of.seen.table("logs")
    if frame is None:
        return
    ends = [row for row in of.view.records("container_events") if row.get("action") in {"die", "destroy"} and row["at"]]
    for gone in (row for row in ends if row["action"] == "destroy"):
        own = [row["at"] for row in ends if row.get("name") == gone.get("name") and row["at"] <= gone["at"]]
        service, ended = str(gone.get("service") or gone.get("name")), min(own[-2:])
        written = frame.loc[(frame["service"] == service) & (frame["at"] <= ended), "at"]
        since = max([of.felt.start, *written.tolist()])
        if ended <= of.felt.end and ended - since > _LOST:
            when = f"from {since:%H:%M:%S} to {ended:%H:%M:%S} UTC"
            yield f"The log of {service} {when} went with its container: what was asked of it then is not counted."


def _unseen(of: Material) -> Iterator[str]:
    """Say where the impact went on after all that was collected, and how to have what the recorder kept of it."""
    end, reached = of.felt.end, of.seen.window.end
    # seconds between the evidence and the mitigation are seen in the picture
    if reached + _SOON < end < of.now and of.bundle.manifest.evidence:
        said = (
            f"What came after {reached:%H:%M:%S} UTC, until the impact ended at {end:%H:%M:%S} UTC, was not collected"
        )
        kept = f"; what the flight recorder kept of it comes with `irkit collect {of.incident.id}`"
        yield said + (kept if of.view.table("health_history") is not None else "") + "."


def _sources(of: Material) -> str:
    """Say of which time the impact's numbers are and where each is from: others on the page count all the evidence."""
    felt, seen = of.felt, of.seen.window
    start, end = max(felt.start, seen.start), min(felt.end, seen.end)
    said = f"Counted from {start:%H:%M:%S} to {end:%H:%M:%S} UTC: requests and errors from the logs of containers"
    if any(of.view.table(kind) is not None for kind in ("health", "health_history")):
        said += ", probes as the flight recorder made them and irkit when it collected"
        own = [row.at for row in facts.counted_probes(of.seen, felt.start, felt.end)[1]]
        said += f", the last at {max(own):%H:%M:%S} UTC" if own and max(own) > end + _AT_ONCE else ""
    said += f". Symptoms count all that was collected, from {of.bundle.window.start:%H:%M:%S} UTC on."
    if of.sequel:
        told = listing(f"{one.id} ({one.manifest.created_at:%H:%M:%S} UTC)" for one in of.sequel)
        said += f" After {of.bundle.window.end:%H:%M:%S} UTC it is from what was collected later: {told}."
    return said


def latency_limit(of: Material) -> Threshold | None:
    """Return the runbook's own limit for latency, where it sets one."""
    limits = [symptom.threshold for kind in of.runbook.incident_types for symptom in kind.symptoms if symptom.threshold]
    return next((limit for limit in limits if "latency" in limit.metric and limit.unit == "s"), None)


def _requests(of: Material) -> list[Measure]:
    frame = of.seen.traffic()
    if frame is None or not len(frame):
        return []
    cited, felt = of.view.ids("requests"), of.felt
    during = frame[(frame["at"] >= felt.start) & (frame["at"] <= felt.end)]
    before = frame[frame["at"] < felt.start]
    silence = [*_silence(of, frame["at"], cited)]
    down = facts.stopped(of.seen, felt.start, felt.end)
    return [*_failed(during, down, cited), *_slowest(of, during, before, silence=bool(silence)), *silence]


def _failed(during: pd.DataFrame, down: frozenset[str], cited: tuple[str, ...]) -> Iterator[Measure]:
    """Yield what failed by the service that was asked, as symptoms count it: one request may pass through several."""
    services = during.groupby("service", sort=True)
    asked = [(str(service), rows) for service, rows in services]
    asked.sort(key=lambda item: (-int(facts.are_failed(item[1]).sum()), item[0]))
    for service, rows in asked[:_MAX_NAMED]:
        failed, codes = int(facts.are_failed(rows).sum()), rows["status_code"]
        named = "Failed requests" if len(asked) == 1 else f"Failed requests to {service}"
        share = f"{share_of(failed, len(rows))} requests to {service}, health checks aside"
        if refused := int((codes == facts.TOO_MANY_REQUESTS).sum()):
            share += f"; {grouped(refused)} were refused with 429"
        if service in down:
            share += f"; those refused while {service} was down are in no log"
        if len(asked) > 1:
            share += "; what passed through several services is counted at each"
        yield Measure(named, grouped(failed), share, cited)


def _slowest(of: Material, during: pd.DataFrame, before: pd.DataFrame, *, silence: bool) -> Iterator[Measure]:
    """Yield the p95 of the slowest service while it was slow, judged as the symptom is; else of all that was asked."""
    limit, slow = latency_limit(of), during["duration_s"].dropna()
    if not len(slow):
        return
    found = slowest_service(during, limit.value) if limit else None
    p95_s, asked = float(slow.quantile(0.95)), before
    note = ""
    if found and found.over and found.onset and found.last:
        p95_s, asked = found.p95_s, before[before["service"] == found.service]
        note = f"{count(found.total, 'request')} to {found.service}"
        note += f" from {found.onset:%H:%M:%S} to {found.last:%H:%M:%S} UTC; "
    usual = asked["duration_s"].dropna()
    note += f"before: {seconds(float(usual.quantile(0.95)))}" if len(usual) else "nothing before to compare with"
    given_up = {item.symptom for item in of.diagnosis.findings if item.verdict.state is VerdictState.FOUND}
    if silence or given_up & _UNANSWERED or facts.stopped(of.seen, of.felt.start, of.felt.end):
        note += "; requests that were not answered are in no log, and not in this"
    yield Measure("p95 latency", seconds(p95_s), note, of.view.ids("requests"))


def _silence(of: Material, answered: pd.Series[Any], cited: tuple[str, ...]) -> Iterator[Measure]:
    """Yield for how long nobody was answered after the last request of the evidence that shows the breakage."""
    felt, seen_to = of.felt, of.seen.window.end
    own = answered[answered <= of.bundle.window.end]
    if not len(own):
        return
    last = own.max().to_pydatetime()
    again = answered[answered > last]
    back = again.min().to_pydatetime() if len(again) else None
    silent = between(last, min(seen_to, felt.end, *([back] if back else [])))
    if silent > timedelta(minutes=1) and last >= felt.start - timedelta(minutes=1):
        note = f"after {last:%H:%M:%S} UTC"
        if seen_to < felt.end and not back:
            note += f", until this evidence was collected at {seen_to:%H:%M:%S} UTC; what came later is not in it"
        yield Measure("No request answered", format_duration(silent), note, cited)


def _errors(of: Material) -> list[Measure]:
    frame = of.seen.table("errors")
    if frame is None:
        return []
    felt = of.felt
    during = int(((frame["at"] >= felt.start) & (frame["at"] <= felt.end)).sum())
    before = int((frame["at"] < felt.start).sum())
    return [Measure("Errors in the log", grouped(during), f"before: {grouped(before)}", of.view.ids("logs"))]


def _health(of: Material) -> list[Measure]:
    sampled, own = facts.counted_probes(of.seen, of.felt.start, of.felt.end)
    if not (probes := [*sampled, *own]):
        return []
    bad = [probe for probe in probes if probe.verdict != "healthy"]
    note = _counted([probe.verdict.replace("_", " ") for probe in probes])
    if not sampled:
        note += f", all made when the evidence was collected, at {own[0].at:%H:%M:%S} UTC"
    else:
        by_irkit = f" and {len(own)} when the evidence was collected" if own else ""
        note += f"; {len(sampled)} by the flight recorder{by_irkit}"
    cited = of.view.ids("health", "health_history")
    return [Measure("Failed health probes", f"{len(bad)} of {len(probes)}", note, cited)]


def _restarts(of: Material) -> list[Measure]:
    rows = [row for row in facts.containers(of.view) if row.restarts]
    if not rows:
        return []
    note = ", ".join(f"{row.service} {row.restarts}" for row in rows)
    return [Measure("Container restarts", f"{sum(row.restarts or 0 for row in rows)}", note, of.view.ids("containers"))]


def share_of(failed: int, asked: int) -> str:
    """Write which share of the requests failed: `none of 240`, `98 % of 64`, `all of 100`."""
    if failed in {0, asked}:
        return f"{'all' if failed else 'none'} of {grouped(asked)}"
    return f"{percent(failed / asked)} of {grouped(asked)}"


def _counted(words: Sequence[str]) -> str:
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return ", ".join(f"{count} {word}" for word, count in counts.items())
