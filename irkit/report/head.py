"""The first screen: header, summary and milestones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from irkit import metrics
from irkit.charts import DurationBar, MilestoneBars
from irkit.diagnose.exhausted import exhausted
from irkit.diagnose.what_changed import changes_before
from irkit.followup.notes import drill_of
from irkit.model import CollectorRun, EventKind, Finding, Outcome, Status, VerdictState
from irkit.reach import begins_after
from irkit.report import facts, heap
from irkit.report.material import LOOKED_AT, PARTS, Material
from irkit.report.parts import Claim, Gap
from irkit.report.sections import Header, Lack, Likely, MilestoneRow, Milestones, Response, Summary
from irkit.text.message import fit
from irkit.text.phrase import listing
from irkit.times import between, format_duration

_ENDED = (Status.RESOLVED, Status.CLOSED)
_OVER = (Status.MITIGATED, *_ENDED)
_MAX_CLAIMS = 2
_MAX_NAMED = 3
# what the first screen has room for of one thing that people found
_TOLD_CHARS = 240
# what begins within a second of each other began together
_TOGETHER = timedelta(seconds=1)
_LONG_BEFORE = timedelta(seconds=10)


def header(of: Material) -> Header:
    """Return what the first screen answers."""
    one = of.incident
    felt = of.felt
    over = one.status in _OVER
    answered = sum(bool(of.written(slug).answers) for slug in PARTS)
    return Header(
        label=one.label,
        title=one.title,
        severity=one.severity,
        status=one.status,
        filed_as=of.type_title(one.type),
        owner=one.owner,
        opened_at=one.opened_at,
        started_at=one.started_at or of.start_by_evidence,
        started_by_evidence=of.start_by_evidence is not None,
        ended_at=felt.end if over else None,
        lasted=between(felt.start, felt.end),
        response=response(of),
        likely=likely(of),
        coverage=of.runs,
        looked_at=(sum(run.outcome in LOOKED_AT for run in of.runs), len(_counted(of.runs))),
        not_configured=tuple(run.collector for run in of.bundle.runs if run not in of.runs),
        lacks=lacks(of.runs),
        bundle_id=of.bundle.id,
        seal=of.bundle.manifest.seal,
        window=of.bundle.window,
        looked_to=_looked_to(of),
        made_at=of.now,
        written=(answered, len(PARTS)),
        urgent=of.severity is not None and of.severity.rank == 0,
        told=tuple(_told(of)),
        drill=drill_of(of.timeline),
        false_alarm=of.false_alarm,
        no_runbook=of.runbook.unread.sentence if of.runbook.unread else "",
        earlier=of.earlier.label if of.earlier and begins_after(of.bundle.window, of.earlier) else "",
    )


def _told(of: Material) -> Iterator[tuple[str, str]]:
    """Yield what people wrote that a reader asks first: what users could not do, why it happened, what ended it.

    Of a false alarm that is why there was one.
    """
    for name, slug in (("Impact", "impact"), ("Trigger", "trigger")):
        if answers := [one.text for one in of.written(slug).answers]:
            yield name, _joined(answers)
    if of.false_alarm:
        yield "False alarm", next(one.text for one in reversed(of.timeline) if one.kind is EventKind.RESOLVED)
    if helped := [event for event in of.timeline if event.kind is EventKind.MITIGATED and event.text.strip()]:
        yield "What helped", helped[-1].text


def _joined(texts: Sequence[str]) -> str:
    """Return notes in one text that fits the first screen, each with its share of the room."""
    if sum(map(len, texts)) > _TOLD_CHARS:
        texts = [fit(text, _TOLD_CHARS // len(texts)) for text in texts]
    *earlier, last = (text.strip() for text in texts)
    return " ".join([*(_inner(text) for text in earlier), last])


def _was_never_there(run: CollectorRun) -> bool:
    """Say whether there was nothing to look at that would have been made by itself: no snapshot of a heap was taken."""
    return run.outcome is Outcome.ABSENT and run.provides == ("heap",)


def _counted(runs: Sequence[CollectorRun]) -> list[CollectorRun]:
    return [run for run in runs if not _was_never_there(run)]


def lacks(runs: Sequence[CollectorRun]) -> tuple[Lack, ...]:
    """Return what was not wholly collected, sources with the same reason together."""
    alike: dict[tuple[Outcome, str], list[CollectorRun]] = {}
    for run in runs:
        if run.outcome is not Outcome.COLLECTED:
            alike.setdefault((run.outcome, run.reason), []).append(run)
    made = []
    for (outcome, reason), group in alike.items():
        hints = {run.hint for run in group}
        made.append(
            Lack(tuple(run.collector for run in group), outcome, reason, hints.pop() if len(hints) == 1 else "")
        )
    return tuple(made)


def _looked_to(of: Material) -> datetime | None:
    """Return when the last look at the service was made: a window ends where the collection begins."""
    end = of.bundle.window.end
    looks = [run.started_at + timedelta(seconds=run.duration_s) for run in of.runs]
    looks += [row.at for row in facts.probes(of.view.first)]
    return max((at for at in looks if end < at <= end + facts.LATE_LOOK), default=None)


def response(of: Material) -> Response:
    """Say whether someone responded within the severity's response time, as `irkit.metrics` defines it."""
    severity = of.severity
    if severity is None:
        unknown = f"the runbook has no severity called {of.incident.severity}"
        why = "the team's runbook cannot be used" if of.runbook.unread else unknown
        return Response("unknown", why)
    clock = metrics.response(of.incident, severity, of.now)
    target = format_duration(clock.response_time)
    taken = format_duration(max(clock.elapsed, timedelta()))
    if clock.state is metrics.ResponseState.RUNNING:
        return Response("running", f"nobody acknowledged yet, {format_duration(clock.remaining)} of {target} left")
    done = f"acknowledged after {taken}" if of.incident.acknowledged_at else f"responded to after {taken}"
    if clock.responded_at is None:
        done = f"nobody acknowledged in {taken}"
    return Response(clock.state.value, f"{done}, {target} allowed")


def likely(of: Material) -> Likely:
    """Say which incident type the evidence points at and the sentences that tell, or that it points at none."""
    ranking = of.diagnosis.ranking
    ended, out = facts.halted(of.view, of.onset), facts.first_exit(of.view, of.onset)
    found = ranking[0].supporting if ranking else ()
    claims = [_with_first_sign(ended, out.at if out else None, found, of)] if ended else []
    claims += [Claim(f"{one.sentence}.", of.view.ids(one.kind)) for one in exhausted(of.view.source)]
    surest = sorted(found, key=lambda item: -item.verdict.confidence)
    most = max(_MAX_CLAIMS, len(claims) + 1)  # what ran out explains a symptom, and hides none
    if ranking and ranking[0].incident_type == heap.TYPE:
        # a leak is what grows: that first, then whose it is; that it was killed for it is told by its exit
        grows = [item for item in surest if item.symptom == heap.GROWTH]
        told = (heap.KILLS, heap.GROWTH) if out and out.oom_killed else (heap.GROWTH,)
        claims += [_claim(item) for item in grows]
        if owner := heap.first_suspect(of):
            claims.append(owner)
            most += bool(grows)
        surest = [item for item in surest if item.symptom not in told]
    claims += [_claim(item) for item in surest]
    # that a service ails says less of the type than its symptoms do
    claims += [claim] if (claim := facts.ailing(of.view)) else []
    shown = (*claims[:most], *_changed(of))
    others = tuple((of.type_title(item.incident_type), item.score) for item in ranking[1:] if item.score > 0)
    if not ranking or ranking[0].score <= 0:
        unknown = sum(item.verdict.state is VerdictState.UNKNOWN for item in of.diagnosis.findings)
        note = "No symptom of the runbook was found"
        note += (
            f", but {unknown} could not be looked at, or not be settled by what was seen."
            if unknown
            else " in the evidence."
        )
        return Likely(None, 0.0, shown, note, others)
    slug = ranking[0].incident_type
    filed = of.type_title(of.incident.type)
    note = "" if slug == of.incident.type else f"It was filed as {filed}; the evidence says otherwise."
    return Likely(of.type_title(slug), ranking[0].score, shown, note, others)


def _changed(of: Material) -> Iterator[Claim]:
    """Yield what was changed shortly before the first sign of the likeliest type."""
    over = of.incident.status in _OVER  # then it is told what was done, and no longer what could be
    if since := of.diagnosis.first_sign:
        for one in changes_before(of.view.source, since, of.incident.noticed_at):
            back = f" If that was it, {one.way_back}." if one.way_back and not over else ""
            seen = ("container_history",) if one.differs else ()
            yield Claim(f"Changed before: {one.sentence}.{back}", of.view.ids(one.kind, *seen))


def _with_first_sign(ended: Claim, at: datetime | None, found: Sequence[Finding], of: Material) -> Claim:
    """Tell beside how a container ended what showed long before: its end is then the last of it, and not the first.

    `at` is when it ended, None where that is not known.
    Of a leak that is its growth, which is told next.
    """
    since = of.onset
    leaks = of.diagnosis.ranking[0].incident_type == heap.TYPE if of.diagnosis.ranking else False
    if leaks or at is None or since is None or at - since < _LONG_BEFORE:
        return ended
    if not of.diagnosis.earlier:
        first = [one for one in found if one.verdict.onset and one.verdict.onset - since <= _TOGETHER]
    else:
        first = list(of.diagnosis.starting)
    shown = listing(f"“{one.title}”" for one in first)
    when = f"{'at or before' if of.diagnosis.began_unseen else 'from'} {since:%H:%M:%S} UTC"
    said = f"{ended.text}; {shown} showed {when}, {format_duration(at - since)} before{of.onset_from}"
    return replace(ended, text=said, evidence=tuple(dict.fromkeys([*ended.evidence, *_cited(first)])))


def _cited(findings: Sequence[Finding]) -> Iterator[str]:
    return (one for finding in findings for one in finding.evidence)


def _claim(finding: Finding) -> Claim:
    return Claim(f"{finding.title}: {finding.verdict.sentence}", finding.evidence)


def summary(of: Material) -> Summary:
    """The incident in three sentences: when and how long, what the evidence points at, and what is not known."""
    one, felt, guess = of.incident, of.felt, likely(of)
    title, lasted = one.title.rstrip("."), format_duration(between(felt.start, felt.end))
    start, end = f"{felt.start:%Y-%m-%d %H:%M:%S} UTC", f"{felt.end:%H:%M:%S} UTC"
    if felt.start.date() != felt.end.date():
        end = f"{felt.end:%Y-%m-%d} {end}"
    if of.start_by_evidence:
        start += " (by the evidence)"
    if of.false_alarm:
        claims = [Claim(f"“{title}” was a false alarm, dismissed at {felt.end:%Y-%m-%d %H:%M:%S} UTC.")]
    elif one.status in _OVER:
        claims = [Claim(f"“{title}” lasted from {start} to {end}, {lasted}.")]
    else:
        claims = [Claim(f"“{title}” has lasted since {start}, {lasted} so far.")]
    if guess.title and guess.claims:
        first = guess.claims[0]
        claims.append(Claim(f"The evidence points at {guess.title}{_by(first, of)}", first.evidence))
    elif guess.claims:
        claims.append(
            Claim(f"No type of the runbook stands out; {_inner(guess.claims[0].text)}", guess.claims[0].evidence)
        )
    else:
        claims.append(Claim(guess.note))
    counted = _counted(of.runs)
    missing = [run for run in counted if run.outcome not in LOOKED_AT]
    if missing and len(missing) == len(counted):
        claims.append(Claim("None of the sources could be looked at."))
    elif missing:
        names = ", ".join(run.collector for run in missing)
        claims.append(Claim(f"{len(missing)} of {len(counted)} sources could not be looked at ({names})."))
    elif counted:
        partly = sum(run.outcome is Outcome.PARTIAL for run in of.runs)
        told = f", {partly} only in part" if partly else ""
        claims.append(Claim(f"All {len(counted)} sources were looked at{told}."))
    else:
        claims.append(Claim("No evidence was collected."))
    return Summary(tuple(claims))


def _by(claim: Claim, of: Material) -> str:
    """Return a claim as the reason of a sentence; one that is a symptom's has its title before a colon already."""
    title, colon, said = claim.text.partition(": ")
    if colon and title in {one.title for one in of.diagnosis.findings}:
        return f" by “{title}”: {_inner(said)}"
    return f": {_inner(claim.text)}"


def milestones(of: Material) -> Milestones | Gap:
    """Time to detect, acknowledge, mitigate and resolve, as `irkit.metrics` defines them."""
    severity = of.severity
    if severity is None:
        return Gap(
            "Milestones", f"The runbook has no severity called {of.incident.severity}.", "`irkit runbook` lists them"
        )
    clock = metrics.response(of.incident, severity, of.now)
    rows, bars = [], []
    for phase in metrics.phases(of.incident):
        answered = phase.name == "time to acknowledge"
        target = clock.response_time if answered else None
        name = phase.name.capitalize()
        state = clock.state.value if answered else _missing(phase, of.incident.status)
        if phase.missing == ("started",) and phase.end and of.start_by_evidence:
            state += f"; {format_duration(between(of.start_by_evidence, phase.end))} by the evidence"
        rows.append(MilestoneRow(name, phase.definition, phase.end, phase.duration, target, state))
        if phase.duration is not None and phase.duration >= timedelta():
            bars.append(DurationBar(name, phase.duration, target))
        elif answered and clock.responded_at is None:
            bars.append(DurationBar(name, max(clock.elapsed, timedelta()), target, running=True))
    return Milestones(
        replace(severity, response_time=clock.response_time), tuple(rows), MilestoneBars(tuple(bars)) if bars else None
    )


def _missing(phase: metrics.Phase, status: Status) -> str:
    if phase.duration is not None:
        return ""
    if phase.start and status not in _ENDED:
        return "not reached yet"
    return f"{' and '.join(phase.missing)} not recorded"


def _inner(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."
