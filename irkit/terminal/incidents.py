"""Incidents, coverage and findings drawn for a terminal: data in, rich renderables out, nothing printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from irkit.followup.notes import in_force
from irkit.metrics import Response, ResponseState, phases, response
from irkit.model import CollectorRun, Event, EventKind, Incident, IncidentType, Outcome, VerdictState, is_configured
from irkit.runbook import Runbook, outcome_words, who_to_tell
from irkit.runbook.steps import START_ALL
from irkit.terminal.head import start_lines, to_start_lines
from irkit.terminal.parts import LINE_CHARS as _LINE_CHARS
from irkit.terminal.parts import plain as _plain
from irkit.terminal.parts import table as _table
from irkit.terminal.parts import typed as _typed
from irkit.text.phrase import listing
from irkit.text.visible import cut, visible
from irkit.times import format_duration, format_time

if TYPE_CHECKING:
    from irkit.act.engine import Proposed, StepLine
    from irkit.collect.engine import Look
    from irkit.diagnose.service_names import Idle
    from irkit.diagnose.verdicts import Diagnosis
    from irkit.doctor import Check
    from irkit.report.standing import Standing

_OUTCOME_STYLE = {
    Outcome.COLLECTED: "green",
    Outcome.PARTIAL: "yellow",
    Outcome.TIMED_OUT: "red",
    Outcome.FAILED: "red",
    Outcome.ABSENT: "dim",
    Outcome.SKIPPED: "dim",
}
_VERDICT_STYLE = {VerdictState.FOUND: "bold red", VerdictState.CLEAR: "green", VerdictState.UNKNOWN: "yellow"}
# shorter ones are not worth a word
_DELAY = timedelta(minutes=1)
_CHECK_STYLE = {"ok": "green", "limited": "yellow", "absent": "dim", "untried": "yellow", "broken": "bold red"}


def incident_card(incident: Incident, runbook: Runbook, now: datetime) -> RenderableType:
    """Return an incident's state, its response-time clock, its milestones and whom the runbook says to tell."""
    kind = runbook.known_type(incident.type)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("status", Text(incident.status))
    grid.add_row("type", _plain(f"{kind.title if kind else incident.type}, severity {incident.severity}"))
    for name, told in _promised(incident, kind, runbook, now):
        grid.add_row(name, told)
    for name in ("started", "detected", "acknowledged", "mitigated", "resolved", "closed"):
        moment: datetime | None = getattr(incident, f"{name}_at")
        if moment:
            grid.add_row(name, format_time(moment))
    for phase in phases(incident):
        if phase.duration is not None:
            grid.add_row(phase.name, f"{format_duration(phase.duration)}  ({phase.definition})")
    for name, value in (("owner", incident.owner), ("impact", incident.impact)):
        if value:
            grid.add_row(name, _plain(value))
    heading = Text.assemble((incident.label, "bold"), "  ", _plain(incident.title, "bold"))
    return Group(heading, Padding(grid, (0, 0, 0, 2)))


def _promised(one: Incident, kind: IncidentType | None, runbook: Runbook, now: datetime) -> Iterator[tuple[str, Text]]:
    """Yield how soon an answer is due, and whom the runbook wants told: of its own words alone, never of another's."""
    severity, unread = runbook.severity_of(one), "your own runbook cannot be used"
    if severity:
        yield "response", _clock(response(one, severity, now))
    else:
        why = unread if runbook.unread else f"the runbook ({runbook.source}) has no severity {one.severity} any more"
        yield "response", _plain(f"unknown: {why}", "yellow")
    if runbook.unread:
        yield "tell", _plain(f"unknown: {unread}", "yellow")
    elif severity:
        yield "escalation", _plain(severity.escalation)
        if told := who_to_tell(runbook, kind, severity) if kind else ():
            yield "tell", _plain("; ".join(f"{item.role} by {item.channel} ({item.when})" for item in told))


def _clock(clock: Response) -> Text:
    limit, due = format_duration(clock.response_time), format_time(clock.deadline)
    if clock.state is ResponseState.KEPT:
        return Text(f"kept: answered after {format_duration(clock.elapsed)}, {limit} allowed", "green")
    if clock.state is ResponseState.MISSED:
        what = "answered" if clock.responded_at else "still unanswered"
        return Text(f"missed: {what} {format_duration(clock.overdue)} after the {limit} were up ({due})", "bold red")
    return Text(f"running: {format_duration(clock.remaining)} of {limit} left, until {due}", "yellow")


def incident_list(incidents: Sequence[Incident], runbook: Runbook, now: datetime) -> RenderableType:
    """Return one row an incident, with the response-time clock of those that nobody has answered."""
    table = _table("id", "status", "severity", "detected (UTC)", "response", "what")
    for item in incidents:
        severity = runbook.severity_of(item)
        clock = response(item, severity, now) if severity else None
        detected = f"{item.detected_at:%Y-%m-%d %H:%M}" if item.detected_at else ""
        state = Text(clock.state.value, "red" if clock.state is ResponseState.MISSED else "") if clock else Text("")
        what = Text.assemble(_plain(item.title), (f"  {item.type}", "dim"))
        table.add_row(str(item.id), item.status, item.severity, detected, state, what)
    return table


def timeline_table(events: Iterable[Event]) -> RenderableType:
    """Return the timeline, oldest first; rows entered later than they happened say when, those replaced that they were.

    A note for a part of the report names it.
    """
    table = _table("time (UTC)", "event", "who", "what")
    known = tuple(events)
    valid = {event.id for event in in_force(known)}
    at_once = _entered_at_once(known)
    # at the same moment, what is detected comes before what is opened
    for event in sorted(known, key=lambda one: (one.at, list(EventKind).index(one.kind), one.id)):
        entered = f" (entered {_recorded(event)})" if _is_late(event) and not at_once else ""
        section = f"[{event.data['section']}] " if "section" in event.data else ""
        replaced = "" if event.id in valid else " (replaced since)"
        what = _plain(section + event.text + entered + replaced, "dim" if replaced else "")
        table.add_row(format_time(event.at).removesuffix(" UTC"), event.kind, _plain(event.actor), what)
    return Group(table, Text(f"All that happened before was entered at {at_once}.", "dim")) if at_once else table


def _is_late(event: Event) -> bool:
    return event.recorded_at - event.at > _DELAY


def _recorded(event: Event) -> str:
    return format_time(event.recorded_at)


def _entered_at_once(events: Sequence[Event]) -> str:
    """Return when all that had happened was entered, as a recording or an export is, "" where not all of it was."""
    late = [event for event in events if _is_late(event)]
    times = {_recorded(event) for event in late}
    if len(times) != 1 or len(late) == 1:
        return ""
    before = [event for event in events if event.at < late[0].recorded_at - _DELAY]
    return times.pop() if len(before) == len(late) else ""


def coverage_table(runs: Iterable[CollectorRun]) -> RenderableType:
    """Return how each collector ended, with the reason and what to do about it."""
    table = _table("collector", "outcome", "took", "source, and what is missing", title="What was looked at")
    for run in runs:
        note = _plain(run.subject, "dim")
        if run.reason:
            note.append("\n" if run.subject else "").append_text(_plain(run.reason))
        if run.hint and run.outcome is not Outcome.COLLECTED:
            note.append(f" → {cut(visible(run.hint), _LINE_CHARS)}", "dim")
        said = run.outcome.replace("_", " ") if is_configured(run) else "not set up"
        outcome = Text(said, _OUTCOME_STYLE[run.outcome])
        spent = f"{run.duration_s:.1f} s" if run.duration_s else ""
        table.add_row(run.collector, outcome, spent, note)
    return table


def looks_under_way(looks: Sequence[tuple[str, float, CollectorRun | None]]) -> RenderableType:
    """Return one line for each look of a running collection, by name, seconds since its start, and how it ended."""
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=len("timed out"))
    grid.add_column(no_wrap=True, min_width=len("10.0 s"), justify="right")
    grid.add_column(no_wrap=True, overflow="ellipsis", style="dim", ratio=1)
    for name, elapsed_s, run in looks:
        if run is None:
            grid.add_row(name, Text("looking", "cyan"), f"{elapsed_s:.0f} s", "")
        else:
            outcome = Text(run.outcome.replace("_", " "), _OUTCOME_STYLE[run.outcome])
            grid.add_row(name, outcome, f"{run.duration_s:.1f} s", Text(visible(run.reason)))
    waiting = [name for name, _, run in looks if run is None]
    told = f"{len(looks) - len(waiting)} of {len(looks)} sources looked at"
    return Group(grid, Text(told if looks else "Preparing to look", "dim"))


def plan_table(looks: Iterable[Look]) -> RenderableType:
    """Return what a collection would read, why, and with which command a human would."""
    table = _table(
        "collector", "what, from where, and how a human would", title="What would be read; nothing is changed"
    )
    for look in looks:
        why = Text(look.collector.why) if look.skipped is None else Text(f"{look.skipped}: {look.reason}", "yellow")
        table.add_row(look.collector.name, Group(why, _plain(str(look.target), "dim"), _plain(look.command, "cyan")))
    return table


def diagnosis_view(diagnosis: Diagnosis, runbook: Runbook, *, brief: bool = False) -> RenderableType:
    """Return the symptoms by verdict and the incident type they speak for; `brief` only names those not found."""
    table = _table("symptom", "verdict", "what the evidence says", title="Symptoms of the runbook")
    order = list(VerdictState)
    for finding in sorted(diagnosis.findings, key=lambda item: order.index(item.verdict.state)):
        state = finding.verdict.state
        if brief and state is not VerdictState.FOUND:
            continue
        sentence = _plain(finding.verdict.sentence)
        if state is VerdictState.FOUND and finding.verdict.advice:
            sentence.append(f"\n→ {cut(visible(finding.verdict.advice), _LINE_CHARS)}", "cyan")
        table.add_row(_plain(finding.title), Text(state.value, _VERDICT_STYLE[state]), sentence)
    parts: list[RenderableType] = [table] if table.row_count else []
    if brief:
        parts.extend(_named_only(diagnosis, state) for state in (VerdictState.UNKNOWN, VerdictState.CLEAR))
    likely = [item for item in diagnosis.ranking if item.supporting]
    if not likely:
        parts.append(Text("No symptom was found; that is no proof of health where a look was not possible."))
        return Group(*parts)
    parts.append(Text("\nLikeliest incident type", "bold"))
    for item in likely:
        title = known.title if (known := runbook.known_type(item.incident_type)) else item.incident_type
        counts = f"{len(item.supporting)} found, {len(item.refuting)} clear, {len(item.missing)} unknown"
        parts.append(Text(f"  {item.score:.2f}  {title}: {counts}"))
    return Group(*parts)


def _named_only(diagnosis: Diagnosis, state: VerdictState) -> Text:
    names = [item.title for item in diagnosis.findings if item.verdict.state is state]
    return Text.assemble((f"{state.value}: ", _VERDICT_STYLE[state]), _plain(", ".join(names) or "none"))


def next_steps(  # noqa: PLR0913, PLR0917 (what was found, and what is known of the incident)
    incident: Incident,
    diagnosis: Diagnosis,
    runbook: Runbook,
    stands: Standing,
    steps: Callable[[IncidentType], Proposed],
    idle: Sequence[Idle] = (),
) -> RenderableType:
    """Return what the runbook says to do for the likeliest type, and what of the incident's own record is due.

    `steps` returns a type's steps as they are taken here; `idle` are the containers that do not run.
    """
    found = [item for item in diagnosis.ranking if item.supporting]
    # what is down for irkit's own stop says nothing of the type, nor does what is left of it once it is mended
    mended = stands.broken is False and any(stands.tries.values())
    slug = found[0].incident_type if found and not (stands.stopped or mended) else incident.type
    kind = runbook.known_type(slug)
    lines: list[RenderableType] = []
    # once for each type: to propose a step may mean to check a backup
    shown = steps(kind) if kind and kind.resolution and incident.resolved_at is None else None
    if kind and shown:
        lines += _steps(incident, kind, stands, shown.lines)
    if incident.resolved_at is None and incident.mitigated_at is None:
        lines += _in_vain(incident, stands)
    if stands.broken is False and (incident.mitigated_at or any(stands.tries.values())):
        lines.append(_holds(diagnosis, stands))
    lines.extend([] if stands.stopped else start_lines(incident, diagnosis))
    lines.extend([all_stopped(incident, stands.stopped)] if stands.stopped else to_start_lines(incident, idle))
    own = shown if shown and kind == stands.kind else steps(stands.kind) if stands.kind else None
    due = _due(incident, stands, own.lines if own else ())
    words, told = str(due[-1]).split(), shown.hints if shown else ()
    told += tuple(one for one in (own.hints if own else ()) if one not in told and one.partition(" ")[0] in words)
    return Group(*lines, *due, *map(_plain, told))


def _holds(diagnosis: Diagnosis, stands: Standing) -> Text:
    """Say of a service that answers whether what was found is seen to be over: health alone is no proof of that."""
    found = [item for item in diagnosis.present if item.verdict.state is VerdictState.FOUND]
    answered = "the service answered" if "health" in stands.seen else "nobody asked the service"
    sound = "no container was unwell" if "containers" in stands.seen else "no container could be looked at"
    well = f"{answered}, and {sound}"
    if goes_on := [item.title for item in found if item.verdict.until is None]:
        said = f"{well[:1].upper()}{well[1:]}; but nothing shows that this is over: "
        return Text(f"{said}{visible(listing(goes_on))}.", "bold yellow")
    return Text(f"It holds in this evidence: when it was collected {well}.", "green")


def all_stopped(incident: Incident, stop: Event) -> RenderableType:
    """Say that irkit itself stopped all services, and what starts them again."""
    when = f"All services are stopped since {stop.at:%H:%M:%S} UTC, by stop-all of {stop.actor}"
    return Group(
        _plain(visible(f"{when}: that they do not run is no failure. To start them again:"), "bold yellow"),
        _typed(f"irkit act {incident.id} {START_ALL}"),
    )


def _steps(incident: Incident, kind: IncidentType, stands: Standing, steps: Sequence[StepLine]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"\nWhat the runbook says to do: {kind.title}", "bold")]
    own = stands.kind is not None and stands.kind.slug == kind.slug
    for line in steps:
        step = line.step
        state = outcome_words(stands.state(step)) if own else ""
        lines.append(
            Text.assemble(f"  {step.number}. {visible(step.text)}", (f"  {state}" if state else "", "bold yellow"))
        )
        if line.typed:
            lines.append(_typed(visible(line.typed), indent=5))
        if line.against:
            lines.append(Padding(_plain(line.against, "yellow"), (0, 0, 0, 5)))
        lines += [Padding(_plain(note, "dim"), (0, 0, 0, 5)) for note in step.notes]
    one = incident.id
    if not own:
        lines.append(Text(f"It is filed as {incident.type}. Where that is wrong:", "dim"))
        lines.append(_typed(f"irkit amend {one} type {kind.slug}"))
        return lines
    if any(line.command.startswith("irkit act ") for line in steps):
        lines.append(Text("Each `irkit act` shows its plan, and does it with --apply.", "dim"))
    lines.append(Text('What you do by hand, record; --failed "why" in place of --done where it did not help:', "dim"))
    lines.append(_typed(f"irkit step {one} NUMBER --done"))
    lines.append(Text("What you do that is none of these steps; `irkit mitigate` then says what helped:", "dim"))
    lines.append(_typed(f'irkit note {one} --repair "what you did"'))
    return lines


def _in_vain(incident: Incident, stands: Standing) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(stands.relapse, "bold red")] if stands.relapse else []
    if step := stands.in_vain:
        lines.append(Text(f"Step {step.number} is recorded as done, and the service is still broken. To record that:"))
        lines.append(_typed(f'irkit step {incident.id} {step.number} --failed "what shows it"'))
    return lines


def _due(incident: Incident, stands: Standing, steps: Sequence[StepLine]) -> list[Text]:
    """Return what to do next in a sentence and, on a line of its own that can be pasted, the command for it."""
    one, said, typed = incident.id, "", f"irkit postmortem {incident.id}"
    if incident.acknowledged_at is None and incident.resolved_at is None:
        typed = f"irkit ack {one}"
    elif incident.mitigated_at is None and incident.resolved_at is None:
        if stands.stopped and not stands.pending:
            said, typed = "start what was stopped:", f"irkit act {one} {START_ALL}"
        elif not stands.broken and not stands.stopped:
            said, typed = "once users are well:", f'irkit mitigate {one} "what made it well again"'
        elif not stands.pending:
            said, typed = "no step is left, and the service is broken; get help:", f"irkit escalate {one} --again"
        else:
            lines = {line.step.number: line for line in steps}
            runs = (step for step in stands.pending if step.number in lines and not _waits(lines[step.number]))
            step = next(runs, stands.pending[0])
            said = f"step {step.number} of the runbook, {visible(step.text)}"
            line = lines.get(step.number)
            said += ":" if line and line.typed else "; then:"
            typed = line.typed if line and line.typed else f"irkit step {one} {step.number} --done"
            if line and line.against:
                said += f" {visible(line.against)} Where it is to be left out:"
                typed = f'irkit step {one} {step.number} --skipped "why"'
    elif incident.resolved_at is None:
        typed = f'irkit resolve {one} "what removed the cause"'
    return [_plain(f"Next: {said}".rstrip()), _typed(visible(typed))]


def _waits(line: StepLine) -> bool:
    """Say whether a step looks into a container that does not run: those after it come first."""
    return line.command.startswith("irkit memory ") and bool(line.against)


def doctor_view(checks: Iterable[Check]) -> RenderableType:
    """Return what was looked at, group by group, and what to do about what is not well."""
    groups: dict[str, Table] = {}
    for check in checks:
        table = groups.setdefault(
            check.group, _table("what", "is", "how, and what to do", title=check.group.capitalize())
        )
        note = _plain(check.sentence)
        if check.hint:
            note.append(f"\n→ {cut(visible(check.hint), _LINE_CHARS)}", "cyan")
        table.add_row(_plain(check.name), Text(check.state, _CHECK_STYLE[check.state]), note)
    return Group(*groups.values())
