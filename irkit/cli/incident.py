"""The commands that open, move and tell of incidents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from irkit.cli import escalate as cli_escalate
from irkit.cli import followup as cli_followup
from irkit.cli.incidents import show_card
from irkit.cli.options import at_option, by_option, moment, spoken, tell_of_yesterday, words
from irkit.errors import BundleError, InputError
from irkit.escalate.contract import Purpose
from irkit.model import EventKind, Incident, Status, VerdictState, parse_incident_id, utc_now
from irkit.terminal import console
from irkit.text.message import one_line
from irkit.text.phrase import listing
from irkit.text.visible import visible

if TYPE_CHECKING:
    from irkit.settings import Settings
    from irkit.store import Store


@click.command("open")
@click.argument("title", type=spoken, metavar="TITLE")
@click.option("--type", "incident_type", help="A type of the runbook. Default: its first, till the evidence says more.")
@click.option("--severity", help="A severity of the runbook. Default: the type's own.")
@click.option(
    "--id",
    "incident_id",
    metavar="ID",
    type=parse_incident_id,
    help="The id it shall have. Default: the next free one.",
)
@click.option("--at", "detected_at", metavar="TIME", type=moment, help="When it was noticed. Default: now.")
@click.option("--started", "started_at", metavar="TIME", type=moment, help="When users were first affected, if known.")
@click.option("--impact", type=spoken, metavar="TEXT", help="What users cannot do, in a sentence.")
@click.option("--owner", help="The incident commander.")
@click.option("--no-escalation", "quiet", is_flag=True, help="Tell nobody: it is an exercise, or long over.")
@by_option
def open_(
    title: str,
    incident_type: str | None,
    severity: str | None,
    incident_id: int | None,
    detected_at: datetime | None,
    started_at: datetime | None,
    impact: str | None,
    owner: str | None,
    quiet: bool,
    actor: str | None,
) -> None:
    """Open an incident, start its response-time clock, and tell whom the runbook wants told."""
    from irkit import entries, workspace

    settings = workspace.load_settings()
    # at first nobody knows more than that something is broken, and the clock must not wait for that
    filed = entries.filing(workspace.load_runbook(settings), incident_type, severity)
    opened = workspace.store(settings, create=True).open_incident(
        title,
        incident_type=filed.type,
        severity=filed.severity,
        actor=actor or console.user(),
        incident_id=incident_id,
        opened_at=detected_at,
        started_at=started_at,
        detected_at=detected_at,
        owner=owner,
        impact=impact,
        response_time=filed.response_time,
    )
    show_card(opened)
    cli_followup.remind(opened, settings)
    told = cli_escalate.tell(opened, settings, actor or console.user(), quiet=quiet)
    if incident_type is None:
        console.say(
            f"No --type was given: filed as {filed.title} for now. `irkit collect {opened.id}` tells what the evidence "
            f"says; `irkit amend {opened.id} type TYPE` changes it."
        )
    console.say(f"Next: irkit collect {opened.id}, then irkit ack {opened.id}")
    cli_escalate.insist(opened, told)


def _milestone(
    kind: EventKind,
    name: str,
    sentence: str,
    *,
    needs_text: bool,
    before: Callable[[Incident, Store], None] = lambda *_: None,
    after: Callable[[Incident, Store], None] = lambda *_: None,
) -> click.Command:
    """Make the command that records one milestone: they differ in their name, and in what they say around it."""
    text = (
        click.argument("text", callback=words)
        if needs_text
        else click.argument("text", required=False, default="", type=spoken, metavar="[TEXT]")
    )

    @click.command(name, help=sentence)
    @click.argument("incident_id", metavar="ID", type=parse_incident_id)
    @text
    @at_option
    @by_option
    def record(incident_id: int, text: str, at: datetime | None, actor: str | None) -> None:
        from irkit import workspace

        store = workspace.store(workspace.load_settings())
        before(store.incident(incident_id), store)
        store.append(incident_id, kind, at=at, actor=actor or console.user(), text=text.strip())
        incident = store.incident(incident_id)
        show_card(incident)
        after(incident, store)

    return record


def _warn_of_unwritten(incident: Incident, store: Store) -> None:
    """Say beforehand what closing leaves undone; it is the person's to decide."""
    from irkit.report.material import PARTS, unwritten

    if incident.status is not Status.RESOLVED:
        return  # it is not closed, and that is said
    if left := unwritten(incident, tuple(store.timeline(incident.id))):
        lacking = f"{len(left)} of {len(PARTS)} parts of its postmortem"
        console.complain(f"closing {incident.label} with {lacking} not written: until they are, it stays a draft")


def _warn_of_no_help(incident: Incident, store: Store) -> None:
    """Say that nothing on record helped, where that is so; it is the person who knows better."""
    from irkit.followup.notes import in_force
    from irkit.runbook.steps import last_in_vain

    if vain := last_in_vain(in_force(store.timeline(incident.id))):
        hint = (
            f'record what did: irkit note {incident.id} --repair "…"; `irkit collect {incident.id}` shows if it holds'
        )
        console.complain(f"the last attempt on record did not help: {visible(one_line(vain.text))}", hint)


def _say_how_complete(incident: Incident, store: Store) -> None:
    """Say how much of the postmortem is still to be written: closed, an incident is easily forgotten."""
    from irkit.report.material import PARTS, unwritten

    left = unwritten(incident, tuple(store.timeline(incident.id)))
    console.say(f"{len(PARTS) - len(left)} of {len(PARTS)} parts of the postmortem that people write are complete.")
    if left:
        console.say(f"Still to be written: {', '.join(left)}.")
        console.say(f'Next: irkit note {incident.id} --section {left[0]} "…"')
    console.say(f"irkit postmortem {incident.id} writes the page with all that is recorded by then.")


def _answered(incident: Incident, _: Store) -> None:
    from irkit import workspace
    from irkit.bundle import bundles_of

    cli_escalate.follow(incident, Purpose.ACKNOWLEDGE)
    held = bundles_of(workspace.load_settings().home, incident.id)
    console.say(f"Next: irkit {'act' if held else 'collect'} {incident.id}")


def _mended(incident: Incident, _: Store) -> None:
    console.say(f'Next, once the cause is gone, too: irkit resolve {incident.id} "what removed it"')


def _over(incident: Incident, _: Store) -> None:
    cli_escalate.follow(incident, Purpose.RESOLVE)
    console.say(f"Next: irkit postmortem {incident.id}, then irkit follow-up {incident.id}")


ack = _milestone(
    EventKind.ACKNOWLEDGED,
    "ack",
    "Say that somebody is on it; stops the response-time clock.",
    needs_text=False,
    after=_answered,
)
mitigate = _milestone(
    EventKind.MITIGATED,
    "mitigate",
    "Say that users are no longer affected, and by what means.",
    needs_text=True,
    before=_warn_of_no_help,
    after=_mended,
)
resolve = _milestone(
    EventKind.RESOLVED,
    "resolve",
    "Say that the cause is gone, and what was done.",
    needs_text=True,
    before=_warn_of_no_help,
    after=_over,
)
close = _milestone(
    EventKind.CLOSED,
    "close",
    "Close a resolved incident; its postmortem is done.",
    needs_text=False,
    before=_warn_of_unwritten,
    after=_say_how_complete,
)


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("text", metavar="WHY", callback=words)
@at_option
@by_option
def dismiss(incident_id: int, text: str, at: datetime | None, actor: str | None) -> None:
    """Say that it was a false alarm, and why there was one; resolves and closes the incident.

    It then wants no postmortem, and counts in no trend but that of false alarms. `irkit reopen` takes it back.
    """
    from irkit import workspace
    from irkit.followup.notes import FALSE_ALARM

    settings, by, when = workspace.load_settings(), actor or console.user(), at or utc_now()
    store = workspace.store(settings)
    _warn_of_what_was_found(store.incident(incident_id), settings)
    store.append(incident_id, EventKind.RESOLVED, at=when, actor=by, text=text, data={FALSE_ALARM: True})
    store.append(incident_id, EventKind.CLOSED, at=when, actor=by, text="a false alarm")
    incident = store.incident(incident_id)
    show_card(incident)
    cli_escalate.follow(incident, Purpose.RESOLVE)
    again = f'irkit action-item add {incident_id} "…" --owner NAME --due "2 weeks"'
    console.say(f"What would keep it from coming again: {again}")


def _warn_of_what_was_found(incident: Incident, settings: Settings) -> None:
    """Say what the newest evidence shows to be wrong; it is the person who knows better."""
    from irkit import conclusions
    from irkit.bundle import newest_of

    def unknown(error: BundleError) -> None:
        console.complain(f"{error}; what it shows is not known", error.hint)

    newest = newest_of(settings.home, incident.id, on_broken=unknown)
    if newest is None:
        return
    shown = conclusions.diagnosis(newest, settings=settings).present
    if found := [f"“{one.title}”" for one in shown if one.verdict.state is VerdictState.FOUND]:
        hint = f'where it was none after all: `irkit reopen {incident.id} "why"`'
        console.complain(f"the evidence of {incident.label} shows {listing(found)}; dismissed all the same", hint)


reopen = _milestone(
    EventKind.REOPENED, "reopen", "Take a resolved or closed incident up again, and say why.", needs_text=True
)


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("text", callback=words)
@click.option("--section", help="The part of the report it belongs to, e.g. trigger, went-well, impact.")
@click.option("--instead", is_flag=True, help="In place of what was written for this part before.")
@click.option("--repair", is_flag=True, help="What was done to mend it, and is no step of the runbook.")
@click.option("--evidence", multiple=True, metavar="ID", help="What it rests on, by its id in the report's index.")
@at_option
@by_option
def note(
    incident_id: int,
    text: str,
    section: str | None,
    instead: bool,
    repair: bool,
    evidence: tuple[str, ...],
    at: datetime | None,
    actor: str | None,
) -> None:
    """Add a note to the timeline, or the words for a part of the report."""
    from irkit import workspace
    from irkit.followup.notes import INSTEAD
    from irkit.report.material import check_part
    from irkit.runbook.steps import REPAIR

    if section and repair:
        raise InputError(
            f"a repair is told on the timeline and under Resolution, not in the part {section}",
            hint="leave --repair or --section out",
        )
    if instead and not section:
        raise InputError(
            "which part is this written for?", hint="name it with --section; a plain note replaces nothing"
        )
    data: dict[str, object] = {"section": check_part(section)} if section else {}
    data |= {INSTEAD: True} if instead else {}
    data |= {REPAIR: True} if repair else {}
    event = workspace.store().append(
        incident_id, EventKind.NOTE, at=at, actor=actor or console.user(), text=text, evidence=evidence, data=data
    )
    console.say(f"Noted on INC-{incident_id} at {event.at:%Y-%m-%d %H:%M:%S} UTC.")


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("number", type=click.IntRange(min=1))
@click.option(
    "--done", "outcome", flag_value="done", default=True, help="It was done as the runbook says (the default)."
)
@click.option("--failed", "outcome", flag_value="failed", help="It was done and did not help; say what shows it.")
@click.option("--blocked", "outcome", flag_value="blocked", help="It was tried and could not be done; say why.")
@click.option("--skipped", "outcome", flag_value="skipped", help="It was left out; say why.")
@click.option("--deviated", "outcome", flag_value="deviated", help="Something else was done; say what and why.")
@click.argument("text", required=False, default="", type=spoken, metavar="[TEXT]")
@at_option
@by_option
def step(incident_id: int, number: int, outcome: str, text: str, at: datetime | None, actor: str | None) -> None:
    """Record what became of resolution step NUMBER of the runbook, done by hand, in TEXT's words.

    A step that is tried again is recorded again: the report tells of every try.
    """
    from irkit import entries, workspace

    settings = workspace.load_settings()
    said, data = entries.step_record(
        workspace.incident(incident_id, settings=settings), number, outcome, text, workspace.own_runbook(settings)
    )
    event = workspace.store(settings).append(
        incident_id, EventKind.NOTE, at=at, actor=actor or console.user(), text=said, data=data
    )
    console.say(f"Noted on INC-{incident_id} at {event.at:%Y-%m-%d %H:%M:%S} UTC: {said}")


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("field")
@click.argument("value", type=spoken, metavar="VALUE")
@by_option
def amend(incident_id: int, field: str, value: str, actor: str | None) -> None:
    """Correct what was recorded: title, type, severity, owner, impact, or a milestone such as acknowledged_at."""
    from irkit import entries, workspace

    settings = workspace.load_settings()
    runbook = workspace.load_runbook(settings)
    if field.endswith("_at"):
        tell_of_yesterday(value)
    said = entries.amendment(field, value, runbook, utc_now())
    store = workspace.store(settings)
    store.append(incident_id, EventKind.AMENDED, actor=actor or console.user(), text=f"{field}: {value}", data=said)
    incident = store.incident(incident_id)
    show_card(incident)
    kind = runbook.known_type(incident.type) if field == "type" and not runbook.unread else None
    usual = kind.severity if kind else incident.severity
    if usual != incident.severity:
        console.say(f"The severity stays {incident.severity}; the runbook has {usual} for this type.")
        console.say(f"Where that is right: irkit amend {incident_id} severity {usual}")


commands = (open_, ack, mitigate, resolve, dismiss, close, reopen, note, step, amend)
