"""What happened when, and what people wrote: the timeline, the parts to write, the resolution, the promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from irkit.diagnose.verdicts import is_first_look
from irkit.followup.action_items import items as action_items_of
from irkit.model import Event, EventKind, Finding, Incident, Status, Step
from irkit.onset.checks import check_histories
from irkit.report import facts
from irkit.report.cells import plain_records, whole
from irkit.report.excerpt import quoted, said_last
from irkit.report.material import Material, part_of, start_command
from irkit.report.parts import Answer, Claim
from irkit.report.sections import (
    ActionItems,
    Narrative,
    Resolution,
    Similar,
    SimilarRow,
    StepRow,
    Timeline,
    TimelineRow,
)
from irkit.runbook import outcome_words, steps
from irkit.skew import Skew
from irkit.text.phrase import clock
from irkit.times import between, format_duration

_MAX_ROWS = 80
_MAX_SIMILAR = 10
_SOON = timedelta(minutes=10)
_MOMENT = timedelta(minutes=1)
_EVENTS = MappingProxyType(
    {
        "oom": "Out of memory: the kernel kills a process of it",
        "start": "Started",
        "stop": "Stopped",
        "restart": "Restarted",
        "kill": "Was sent a signal",
        "pause": "Paused",
        "unpause": "Goes on after its pause",
        "create": "Created",
        "destroy": "Removed",
    }
)
_RESOLVING = (EventKind.ACTION, EventKind.MITIGATED, EventKind.RESOLVED)


def timeline(of: Material) -> Timeline:
    """Merge the people's timeline with what the evidence shows, from before the incident on."""
    rows = [*_told(of), *_onset(of), *_containers(of), *_checks(of), *_damage(of), *_traffic(of)]
    first = of.bundle.window.start
    if rows and of.bundle.manifest.evidence and first < min(row.at for row in rows):
        rows.append(
            TimelineRow(
                first, "", "irkit", " ".join(("Evidence starts here.", *_clocks(of))), of.view.ids("clock_skew")
            )
        )
    placed = sorted((_placed(row, of) for row in rows), key=lambda row: row.at)
    # people's own rows are never the ones left out
    spare = max(len(placed) - _MAX_ROWS, 0)
    dropped = {id(row) for row in [row for row in placed if not row.person][_MAX_ROWS // 2 :][:spare]}
    kept = tuple(row for row in placed if id(row) not in dropped)
    return Timeline(kept, len(dropped), by_evidence=of.start_by_evidence is not None)


def _clocks(of: Material) -> Iterator[str]:
    """Say how far each source's clock was from irkit's, which is what the times of different sources rest on."""
    told = [row for row in of.view.records("clock_skew") if row.get("skew_s") is not None]
    if told:
        skews = (f"{row['source']} {Skew(row['skew_s'], row['uncertainty_s'])}" for row in told)
        yield f"Clocks: {', '.join(skews)}."


def what_happened(of: Material) -> Narrative:
    """Return the story that people tell."""
    return Narrative("What happened", "what-happened", (of.written("what-happened"),))


def causes(of: Material) -> Narrative:
    """Return what people found to be the trigger and the conditions, and what surprised them."""
    slugs = ("trigger", "contributing-factor", "surprise")
    return Narrative("Trigger and contributing factors", "causes", tuple(of.written(slug) for slug in slugs))


def detection(of: Material) -> Narrative:
    """Say how long it took to notice, and what the evidence showed before anyone did."""
    one, claims = of.incident, []
    if one.started_at and one.detected_at:
        lag = between(one.started_at, one.detected_at)
        when = f"{format_duration(abs(lag))} {'before it was felt' if lag < timedelta() else 'after it started'}"
        claims.append(Claim(f"Detected {when}, at {one.detected_at:%H:%M:%S} UTC."))
    elif inferred := of.start_by_evidence:
        taken, word = format_duration(between(inferred, of.noticed_at)), "detected" if one.detected_at else "opened"
        sentence = f"{word.capitalize()} at {of.noticed_at:%H:%M:%S} UTC, {taken} after it started by the evidence."
        shown = of.diagnosis.starting
        cited = tuple(dict.fromkeys(one for item in shown for one in item.evidence))
        claims.append(Claim(f"{sentence} It showed as {_titles(shown)}{of.onset_from}.", cited))
        claims.append(
            Claim("Nobody recorded the start. Where this one is right, record it:", command=start_command(of))
        )
    else:
        lacks = [name for name, at in (("started", one.started_at), ("was detected", one.detected_at)) if at is None]
        sentence = f"How long detection took is unknown: the timeline lacks when it {' and when it '.join(lacks)}."
        claims.append(Claim(sentence))
    before = of.diagnosis.starting if of.diagnosis.earlier else ()
    onsets = [finding for finding in (*before, *of.diagnosis.present) if finding.verdict.onset]
    noticed = of.noticed_at
    for finding in sorted(onsets, key=lambda item: item.verdict.onset or noticed)[:1]:
        onset = finding.verdict.onset
        if onset and onset < noticed and not of.start_by_evidence:
            lead = format_duration(between(onset, noticed))
            where = of.onset_from if finding in before else ""
            when = f"from {onset:%H:%M:%S} UTC, {lead}"
            if is_first_look(finding):
                when = f"at or before {onset:%H:%M:%S} UTC, the first look at it, {lead} or more"
            sentence = f"“{finding.title}” was visible {when} before that{where}."
            claims.append(Claim(sentence, finding.evidence))
    if earlier := of.diagnosis.earlier:
        said = f"That it showed by {earlier.since:%H:%M:%S} UTC is from bundle {earlier.bundle_id}, sealed "
        said += f"{earlier.seal[:12]}; later evidence shows that no more:"
        claims.append(Claim(said, command=f"irkit triage {one.id} --bundle {earlier.bundle_id}"))
    return Narrative("Detection", "detection", (of.written("detection"),), tuple(claims))


def resolution(of: Material) -> Resolution:
    """Return the actions taken and how the runbook's steps fared, as far as the timeline records it."""
    kind = of.incident_type
    # that an action began is for the timeline; here is what became of it
    told = [one for one in of.timeline if _resolves(one) and one.text.strip() and not steps.is_begun(one)]
    actions = tuple(Answer(_words(event), event.actor, event.at) for event in sorted(told, key=lambda event: event.at))
    runbooks = steps.asked_of(of.incident, kind.resolution if kind else ())
    known = steps.tries(of.timeline, runbooks)
    rows = tuple(_step_row(step, known.get(step.number, ())) for step in runbooks)
    return Resolution(kind.title if kind else of.incident.type, rows, actions)


def _resolves(event: Event) -> bool:
    return event.kind in _RESOLVING or (event.kind is EventKind.NOTE and steps.is_attempt(event))


def _step_row(step: Step, tries: Sequence[steps.Try]) -> StepRow:
    if not tries:
        return StepRow(step, "not recorded")
    *earlier, last = tries
    before = tuple(
        f"{outcome_words(one.outcome)}, by {one.record}{f': {one.note}' if one.note else ''}" for one in earlier
    )
    return StepRow(step, outcome_words(last.outcome), last.record, last.note, before)


def lessons(of: Material) -> Narrative:
    """Return what people learned from it."""
    slugs = ("went-well", "went-badly", "got-lucky")
    return Narrative("Lessons", "lessons", tuple(of.written(slug) for slug in slugs))


def action_items(of: Material) -> ActionItems:
    """Return the promises the timeline holds; one without owner, date or criterion shows what it lacks."""
    items = sorted(action_items_of(of.timeline), key=lambda item: item.due)
    return ActionItems(tuple(items), of.written("action-item"), of.now)


def similar(of: Material) -> Similar:
    """Return earlier incidents of the same type, the latest first."""
    one = of.incident
    past = [item for item in of.others if item.type == one.type and item.opened_at < one.opened_at]
    past.sort(key=lambda item: item.opened_at, reverse=True)
    return Similar(tuple(_similar(item, of) for item in past[:_MAX_SIMILAR]))


def _similar(item: Incident, of: Material) -> SimilarRow:
    over = item.status in (Status.RESOLVED, Status.CLOSED)
    common = f"also {of.type_title(item.type)}" + ("" if over else ", still open")
    promised = of.past_items.get(item.id, ())
    open_items = tuple(one for one in promised if one.done_at is None)
    return SimilarRow(
        item.label,
        item.title,
        item.status,
        item.opened_at,
        common,
        len(promised),
        open_items,
        of.now,
        of.past_help.get(item.id, ""),
    )


def _told(of: Material) -> Iterator[TimelineRow]:
    known = {item.id for item in of.bundle.manifest.evidence}
    # at the same moment, what is detected comes before what is opened
    for event in sorted(of.timeline, key=lambda event: (event.at, list(EventKind).index(event.kind))):
        if part_of(event) is None:
            # an event may cite an older bundle, of which this one knows nothing
            cited = tuple(one for one in event.evidence if one in known)
            person = event.kind is not EventKind.EVIDENCE
            yield TimelineRow(event.at, "", event.actor or "unknown", _words(event), cited, person=person)


def _onset(of: Material) -> Iterator[TimelineRow]:
    if not (at := of.start_by_evidence or of.first_look):
        return
    shown = of.diagnosis.starting
    cited = tuple(dict.fromkeys(one for item in shown for one in item.evidence))
    said = f"Start of the impact by the evidence: {_titles(shown)}{of.onset_from}"
    if of.first_look:
        said = f"First look at {_titles(shown)}{of.onset_from}: it began then or before"
    yield TimelineRow(at, "", "irkit", said, cited)


def _titles(found: Sequence[Finding]) -> str:
    return " and ".join(f"“{item.title}”" for item in found)


def _words(event: Event) -> str:
    kind = event.kind.value.replace("_", " ")
    if event.kind in (EventKind.NOTE, EventKind.ACTION, EventKind.EVIDENCE, EventKind.ESCALATION):
        return event.text or kind.capitalize()
    text = event.text.strip()
    return kind.capitalize() if text.casefold().rstrip(".") in ("", kind) else f"{kind.capitalize()}: {text}"


def _containers(of: Material) -> Iterator[TimelineRow]:
    cited, named = of.view.ids("container_events"), set()
    killed = [(item.service, item.at) for item in facts.every_exit(of.view) if item.oom_killed and item.at]
    started: dict[str, datetime] = {}
    for row in of.view.records("container_events"):
        if row.get("at") is None:
            continue
        service, action = str(row.get("service") or row.get("name")), str(row.get("action") or "")
        text, evidence = _became(action, row), cited
        words: Claim | None = None
        if action == "die":
            code = whole(row.get("exit_code"))
            text = f"{_exited(code)}{_soon_after(row['at'], started.get(service))}"
            named.add((service, code))
            killed_here = any(service == who and abs(at - row["at"]) <= facts.LATE_LINE for who, at in killed)
            if killed_here:
                text += ", killed for its use of memory"
            if code and (words := facts.last_words(of.view, service, row["at"], oom_killed=killed_here)):
                evidence = (*cited, *words.evidence)
        elif action == "start":
            started[service] = row["at"]
        yield _quoting(TimelineRow(row["at"], "", service, text, evidence), words)
    for item in facts.exits(of.view):
        if item.at and (item.service, item.exit_code) not in named:
            words = facts.last_words(of.view, item.service, item.at, oom_killed=item.oom_killed)
            evidence = (item.evidence, *(words.evidence if words else ()))
            text = _exited(item.exit_code) + (", killed for its use of memory" if item.oom_killed else "")
            yield _quoting(TimelineRow(item.at, "", item.service, text, evidence), words)


def _exited(code: int | None) -> str:
    """Return an end in words; the Engine forgets the code of one that runs again, and keeps that it was killed."""
    return "Exited" if code is None else f"Exited with code {code}"


def _became(action: str, row: Mapping[str, object]) -> str:
    """Return an event of the Docker Engine's in words."""
    if action.startswith("health_status"):
        return f"Became {action.partition(':')[2].strip() or action}"
    if action == "kill" and (sent := row.get("signal")):
        return f"Was sent signal {sent}"
    return _EVENTS.get(action, f"Container event: {action}")


def _soon_after(at: datetime, started: datetime | None) -> str:
    return f", {format_duration(at - started)} after its start" if started and at - started < _SOON else ""


def _quoting(row: TimelineRow, words: Claim | None) -> TimelineRow:
    return replace(row, quote=words.quote, full=words.full) if words else row


def _checks(of: Material) -> Iterator[TimelineRow]:
    """Yield each change of a container's health check, not each check."""
    last: dict[str, bool] = {}
    rows = [row for row in of.view.records("container_health") if row.get("started_at")]
    for row in sorted(rows, key=lambda row: row["started_at"]):
        service, failed = str(row.get("service") or row.get("name")), bool(row.get("exit_code"))
        if failed != last.get(service, False):
            # it passed when it was answered, at its end
            at = row["started_at"] if failed else row.get("ended_at") or row["started_at"]
            text = "Health check fails" if failed else f"Health check passes {_for_how_long(service, at, of)}"
            if failed and service not in last:
                text += "; the Engine keeps no check before this one"
            whole = str(row.get("output") or "").strip()
            said = said_last(whole)
            full = whole if said != whole else ""
            text += "; what it said breaks off in a traceback" if failed and whole and not said else ""
            yield TimelineRow(at, "", service, text, of.view.ids("container_health"), said, full)
        last[service] = failed


def _damage(of: Material) -> Iterator[TimelineRow]:
    """Yield when the flight recorder first saw a check of the database fail, and when it passed again."""
    cited = of.view.ids("database_history")
    for check, seen in check_histories(of.view.table("database_history")).items():
        if run := seen.run:
            before = f"it passed at {clock(run.passed)}" if run.passed else "no look before is on record"
            yield TimelineRow(run.failed, "", "database", f"First {check} that fails; {before}", cited, run.message)
            if run.passes:
                yield TimelineRow(run.passes, "", "database", f"{check} passes again", cited)


def _for_how_long(service: str, at: datetime, of: Material) -> str:
    """Say of a check that passes whether the service is well again, or ends the next moment."""
    ends = (one.at for one in facts.every_exit(of.view) if one.service == service and one.at)
    end = next((end for end in ends if timedelta() <= end - at <= _MOMENT), None)
    return f"once, {format_duration(end - at)} before it exits" if end else "again"


def _traffic(of: Material) -> Iterator[TimelineRow]:
    cited = of.view.ids("logs")
    checks = of.view.failed_checks()
    if checks is not None and len(checks):
        first = plain_records(checks.head(1))[0]
        text = f"First health check answered with {first['status_code']}"
        yield TimelineRow(first["at"], "", str(first["service"]), text, cited, str(first["line"]))
    requests = of.view.traffic()
    if requests is not None and len(requests):
        failed = requests[facts.are_failed(requests)]
        if len(failed):
            first = plain_records(failed.head(1))[0]
            text = f"First answer with status {first['status_code']}: {first['method']} {first['path']}"
            yield TimelineRow(first["at"], "", str(first["service"]), text, cited, str(first["line"]))
        last = plain_records(requests.tail(1))[0]
        if of.bundle.window.end - last["at"] > timedelta(minutes=1):
            text = "Last request in the log; none is answered after it"
            yield TimelineRow(last["at"], "", str(last["service"]), text, cited)
    errors = of.view.table("errors")
    if errors is not None and len(errors):
        first = plain_records(errors.head(1))[0]
        yield TimelineRow(
            first["at"], "", str(first["service"]), "First error in the log", cited, *quoted(str(first["line"]))
        )


def _placed(row: TimelineRow, of: Material) -> TimelineRow:
    felt = of.felt
    # what ended it comes after it: mitigated and resolved in the same second are not on two sides of it
    phase = "before" if row.at < felt.start else "during" if row.at < felt.end else "after"
    return replace(row, phase=phase)
