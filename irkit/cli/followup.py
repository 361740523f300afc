"""The commands for what follows an incident: its action items, its report's check, runbook, alert rule and meeting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.cli.options import at_option, by_option, spoken, to_come, to_option
from irkit.errors import EscalationError, InputError, IrkitError
from irkit.escalate.contract import DeliveryError, without_secrets
from irkit.model import EventKind, Incident, parse_incident_id, utc_now
from irkit.settings import Settings
from irkit.terminal import console
from irkit.text.message import one_line
from irkit.text.phrase import count
from irkit.text.visible import visible
from irkit.whole_file import write_named

if TYPE_CHECKING:
    from irkit.followup.invitation import Meeting
    from irkit.followup.lint import Lack
    from irkit.followup.proposal import Proposal
    from irkit.runbook import Runbook


def remind(incident: Incident, settings: Settings) -> None:
    """Show incidents like this one that are open or mended lately, and what is overdue; drills bind nobody."""
    from irkit import conclusions, workspace
    from irkit.followup import action_items
    from irkit.followup.notes import drill_of, like_it

    store = workspace.store(settings)
    for told in like_it(incident, conclusions.alike(incident, (), store.incidents(), store)):
        console.say(f"{visible(one_line(told))}")
    held = action_items.overdue_of_similar(store, incident, utc_now())
    for number, late in held.items():
        if drill_of(store.timeline(number)):
            continue
        for item in late:
            days = count(action_items.days_overdue(item, utc_now()), "day")
            console.say(f"Promised after INC-{number} and {days} overdue: {visible(item.text)} ({visible(item.owner)})")


@click.group("action-item")
def action_item() -> None:
    """Add, finish and list what was promised after incidents."""


@action_item.command("add")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("text", type=spoken, metavar="TEXT")
@click.option("--owner", metavar="NAME", help="Who will see to it; required.")
@click.option("--due", metavar="DATE", help="By when: 2026-12-10, or 2 weeks; required.")
@click.option("--done-when", "criterion", default="", help="How all will know that it is done.")
@click.option("--kind", type=click.Choice(["prevent", "detect", "mitigate", "process"]), default="prevent")
@by_option
def add(
    incident_id: int, text: str, owner: str | None, due: str | None, criterion: str, kind: str, actor: str | None
) -> None:
    """Promise TEXT, verb first, with an owner and a due date."""
    from irkit import workspace
    from irkit.followup import action_items

    if not owner or not due:
        lacks = " and ".join(name for name, value in (("an owner", owner), ("a due date", due)) if not value)
        hint = f'irkit action-item add {incident_id} "{text[:40]}" --owner NAME --due "2 weeks"'
        raise InputError(f"an action item needs {lacks}", hint=hint)
    by = action_items.due_date(due, utc_now())
    actor = actor or console.user()
    number = action_items.add(
        workspace.store(), incident_id, text, owner=owner, due=by, criterion=criterion, kind=kind, actor=actor
    )
    console.say(f"Action item {incident_id}.{number}, {owner}, due {by:%Y-%m-%d}.")
    console.say(f"When it is done: irkit action-item done {incident_id} {number}")


@action_item.command("amend")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("number", type=click.IntRange(min=1))
@click.option("--owner", metavar="NAME", help="Who will see to it.")
@click.option("--due", metavar="DATE", help="By when: 2026-12-10, or 2 weeks.")
@click.option("--done-when", "criterion", help="How all will know that it is done.")
@by_option
def amend_item(
    incident_id: int, number: int, owner: str | None, due: str | None, criterion: str | None, actor: str | None
) -> None:
    """Set the owner, due date or criterion of action item NUMBER right."""
    from irkit import workspace
    from irkit.followup import action_items

    by = action_items.due_date(due, utc_now()) if due else None
    who = actor or console.user()
    item = action_items.amend(
        workspace.store(), incident_id, number, owner=owner, due=by, criterion=criterion, actor=who
    )
    console.say(f"Action item {incident_id}.{number}, {item.owner}, due {item.due:%Y-%m-%d}: {item.text}")


@action_item.command("done")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("number", type=click.IntRange(min=1))
@click.argument("text", required=False, default="", type=spoken, metavar="[TEXT]")
@at_option
@by_option
def done(incident_id: int, number: int, text: str, at: datetime | None, actor: str | None) -> None:
    """Record that action item NUMBER of an incident is done, and how it shows."""
    from irkit import workspace
    from irkit.followup import action_items

    item = action_items.finish(workspace.store(), incident_id, number, text, actor=actor or console.user(), at=at)
    console.say(f"Done: {item.text}")


@action_item.command("list")
@click.argument("incident_id", metavar="[ID]", type=parse_incident_id, required=False)
@click.option("--all", "everything", is_flag=True, help="Those done, too.")
def list_(incident_id: int | None, everything: bool) -> None:
    """List action items still to be done, of one incident or of all."""
    from irkit import workspace
    from irkit.followup import action_items
    from irkit.terminal import followup as terminal_followup

    settings = workspace.load_settings()
    store = workspace.store(settings)
    chosen = (store.incident(incident_id),) if incident_id else store.incidents()
    held = action_items.of_incidents(store, chosen)
    total = sum(map(len, held.values()))
    left = sum(item.done_at is None for items in held.values() for item in items)
    if left or (everything and total):
        console.show(terminal_followup.items_table(held, utc_now(), everything=everything))
    console.say(f"{left} to be done, {total - left} done.")


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.pass_context
def lint(context: click.Context, incident_id: int) -> None:
    """Say what an incident's postmortem lacks: owners, dates, numbers, evidence; blame and gaps in it."""
    from irkit.terminal import followup as terminal_followup

    found = _lacks(incident_id)
    if found:
        console.show(terminal_followup.lacks_view(found))
    console.say(
        f"{count(len(found), 'thing')} to mend." if found else "The postmortem lacks nothing that can be checked."
    )
    context.exit(1 if found else 0)


@click.command("follow-up")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--done", "done_step", type=int, metavar="STEP", help="Record that this step is done.")
@click.option("--skipped", "skipped_step", type=int, metavar="STEP", help="Record that it is left out; say why.")
@click.argument("text", required=False, default="", type=spoken, metavar="[TEXT]")
@by_option
def follow_up(incident_id: int, done_step: int | None, skipped_step: int | None, text: str, actor: str | None) -> None:
    """Say which of the runbook's post-incident steps are done, and what does the others."""
    from irkit import workspace
    from irkit.escalate import mail
    from irkit.followup import steps as followup
    from irkit.followup.notes import is_false_alarm
    from irkit.terminal import followup as terminal_followup

    settings = workspace.load_settings()
    runbook, store = workspace.load_runbook(settings), workspace.store(settings)
    for number, outcome in ((done_step, "done"), (skipped_step, "skipped")):
        if number is not None:
            if outcome == "done" and not text.strip():
                _nothing_left(incident_id, number, runbook)
            said, data = followup.record(workspace.own_runbook(settings), number, outcome, text)
            store.append(incident_id, EventKind.NOTE, actor=actor or console.user(), text=said, data=data)
    incident = store.incident(incident_id)
    if is_false_alarm(store.timeline(incident_id)):
        again = f'irkit action-item add {incident_id} "…" --owner NAME --due "2 weeks"'
        console.say(f"{incident.label} was a false alarm: nothing follows but what keeps it from coming again: {again}")
        return
    left, ideas = _lacks(incident_id), _proposals(incident_id)
    notes = {
        followup.Task.REPORT: f"{count(len(left), 'thing')} to mend" if left else "nothing to mend that can be checked",
        followup.Task.RUNBOOK: _proposed(incident, ideas),
    }
    settled = () if ideas else (followup.Task.RUNBOOK,)
    can_send = not mail.lacks(settings.email)
    due = followup.follow_up(incident, store.timeline(incident_id), runbook, can_send=can_send)
    console.show(terminal_followup.follow_up_view(incident_id, due, notes, settled))


def _nothing_left(incident_id: int, number: int, runbook: Runbook) -> None:
    """Refuse to record a step as done, without a word why, of which something is left that can be counted."""
    from irkit.followup import steps as followup

    again = f'where it is done all the same, say why: irkit follow-up {incident_id} --done {number} "why"'
    step = next((one for one in runbook.post_incident if one.number == number), None)
    task = followup.task_of(step) if step else None
    if task is followup.Task.REPORT and (left := _lacks(incident_id)):
        said = f"{count(len(left), 'thing')} of the report {'is' if len(left) == 1 else 'are'} left to mend"
        raise InputError(said, hint=f"`irkit lint {incident_id}` lists them; {again}")
    if task is followup.Task.RUNBOOK and (ideas := _proposals(incident_id)):
        said = (
            f"{count(len(ideas), 'change')} of the runbook {'is' if len(ideas) == 1 else 'are'} proposed and not made"
        )
        raise InputError(said, hint=f"`irkit runbook propose {incident_id}` shows them; {again}")


def _proposed(incident: Incident, ideas: Sequence[Proposal]) -> str:
    if not ideas:
        return "nothing is left to be proposed"
    elsewhere = sum(one.incident_type != incident.type for one in ideas)
    which = f"{elsewhere} of them to" if elsewhere < len(ideas) else "to"
    aside = f", {which} other chapters" if elsewhere else ""
    return f"{count(len(ideas), 'change')} proposed{aside}"


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def propose(incident_id: int) -> None:
    """Print a patch to the runbook made from what was observed and done; git apply takes it."""
    from irkit import workspace
    from irkit.followup import proposal as runbook_proposal
    from irkit.runbook import BUILT_IN

    runbook = workspace.own_runbook(workspace.load_settings())
    ideas = _proposals(incident_id)
    if not ideas:
        said = f"INC-{incident_id} suggests no change to the runbook ({runbook.source}), or it is made already"
        console.complain(said, f"irkit follow-up {incident_id} --done {_step('RUNBOOK')}")
        return
    built_in = runbook.source == BUILT_IN
    path = runbook_proposal.path_of(runbook)
    mark = "\ufeff" if not built_in and Path(runbook.source).read_bytes().startswith(b"\xef\xbb\xbf") else ""
    console.say("\n".join(f"{idea.kind}: {visible(idea.reason)}" for idea in ideas) + "\n")
    console.say(runbook_proposal.patch(mark + runbook.text, path, ideas).removesuffix("\n"))
    if built_in:
        hint = '`irkit runbook copy ops/runbook.md` and `runbook = "ops/runbook.md"` in irkit.toml make it your own'
        console.complain("this is the runbook that comes with irkit, not yours to edit", hint)


@click.command("alert-rule")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@to_option
def alert_rule(incident_id: int, folder: Path) -> None:
    """Write a Prometheus alert for what the incident showed, and its unit test for promtool."""
    from irkit import conclusions, workspace
    from irkit.followup import alert_rule as rules

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    seen = conclusions.whole_diagnosis(workspace.gather(incident, "never", settings=settings), settings=settings)
    shown = seen.likeliest.supporting if seen.likeliest else ()
    made = rules.rule(incident, workspace.load_runbook(settings), shown, seen.first_sign)
    for title in made.without:
        console.complain(
            f"no metric is known for “{title}”, so it has no alert", "export one, and write the rule by hand"
        )
    if not made.files:
        raise InputError(f"nothing {incident.label} showed has a metric", hint="write the rule by hand")
    for name, text in made.files.items():
        write_named(folder / name, text.encode())
        console.say(str((folder / name).absolute()))
    if not str(settings.prometheus):
        said = "no [prometheus] is configured, so nobody looked whether the service exports what these rules ask for"
        console.complain(said, "each rule says in its description what it needs")
    for name, lasting in made.too_slow:
        said = f"{name} fires after {lasting}, and {incident.label} was over before: it would have told nobody"
        console.complain(said, "a shorter `for:` fires sooner, and at shorter blips, too")
    tested = next(name for name in made.files if name.endswith(".test.yml"))
    console.say(f"Alerts: {', '.join(made.alerts)}. Try them: promtool test rules {folder / tested}")
    console.say(f"When Prometheus has them: irkit follow-up {incident_id} --done {_step('MONITORING')}")


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--at", "start", metavar="TIME", help="When: 2026-12-01T10:00Z. Default: by [follow_up] in irkit.toml.")
@click.option("--send", is_flag=True, help="Send it by e-mail; without, it is only written and shown.")
@click.option("--anyway", is_flag=True, help="Also where the runbook wants no meeting for such an incident.")
@to_option
@by_option
def meeting(incident_id: int, start: str | None, send: bool, anyway: bool, folder: Path, actor: str | None) -> None:
    """Invite to the postmortem meeting: an .ics file, sent by e-mail with --send.

    Sent again with another --at, it moves the meeting instead of adding one.
    """
    from irkit import workspace
    from irkit.escalate.policy import dedup_key
    from irkit.followup import invitation
    from irkit.followup import steps as followup

    settings, now = workspace.load_settings(), utc_now()
    runbook, store = workspace.load_runbook(settings), workspace.store(settings)
    incident, timeline = store.incident(incident_id), store.timeline(incident_id)
    step = followup.step_of(runbook, followup.Task.MEETING)
    if step and not anyway and not followup.applies(step, incident, runbook):
        msg = f"the runbook wants no meeting for severity {incident.severity}: {step.text}"
        raise InputError(msg, hint="--anyway invites all the same")
    before = invitation.invited(timeline)
    if send and before and start is None:
        raise InputError(f"invited already: {before.text}", hint="--at moves the meeting to another time")
    at = to_come(start, now) if start else invitation.when(incident, settings.follow_up, now)
    planned = invitation.plan(incident, timeline, at, settings.follow_up, settings.email, key=dedup_key(timeline))
    file = folder / f"postmortem-{incident_id}.ics"
    write_named(file, invitation.to_ics(planned, now))
    invited = ", ".join(planned.attendees) or "nobody named; [follow_up] invite names them"
    console.say(f"{file.absolute()}\n{planned.start:%A %Y-%m-%d %H:%M} UTC: {invited}")
    if not send:
        by_hand = f'irkit follow-up {incident_id} --done {step.number if step else "STEP"} "invited by hand"'
        console.say(f"Nobody is invited yet: --send does that by e-mail. If you send the file yourself:\n  {by_hand}")
        return
    said = _invite(planned, settings)
    told, data = invitation.record(planned, step.number if step else None)
    store.append(incident_id, EventKind.NOTE, actor=actor or console.user(), text=told, data=data)
    console.say(f"Sent {said}.")


def _invite(planned: Meeting, settings: Settings) -> str:
    """Send an invitation and return to whom; the mail server's refusal is a sentence."""
    from irkit.escalate import mail
    from irkit.followup import invitation

    target = settings.email
    if not planned.attendees:
        hint = 'give [follow_up] invite = ["team@example.com"] in irkit.toml, or send the file yourself'
        raise InputError("there is nobody to invite", hint=hint)
    if lacks := mail.lacks(target):
        raise InputError(f"[email] lacks {lacks}", hint="complete it in irkit.toml, or send the file yourself")
    try:
        letter = invitation.to_mail(planned, target, utc_now())
        return mail.submit(target, letter, settings.escalation.timeout_s).said
    except DeliveryError as error:
        said = without_secrets(str(error), target)
        raise EscalationError(f"the mail server {said}", hint="the file above can be sent by hand") from None


def _step(task: str) -> int | str:
    """Return the number of the runbook's step for a task, by its name; a word for it where there is none."""
    from irkit import workspace
    from irkit.followup import steps as followup

    step = followup.step_of(workspace.load_runbook(workspace.load_settings()), followup.Task[task])
    return step.number if step else "STEP"


def _lacks(incident_id: int) -> tuple[Lack, ...]:
    from irkit import absent_evidence, conclusions, workspace
    from irkit.followup import lint as postmortem_lint
    from irkit.report.material import unwritten

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    timeline = workspace.timeline(incident, settings=settings)
    damage: list[IrkitError] = []
    held = workspace.bundles(incident, settings=settings, on_broken=damage.append)
    damage += absent_evidence.missing_bundles(incident, timeline, settings)
    first_sign, unseen = None, False
    if held and not damage and incident.started_at is None:
        evidence = workspace.gather(incident, "never", settings=settings)
        found = conclusions.whole_diagnosis(evidence, settings=settings)
        first_sign, unseen = found.first_sign, found.began_unseen
    parts = unwritten(incident, timeline)
    return postmortem_lint.lint(
        incident,
        timeline,
        parts,
        has_evidence=bool(held),
        damage=damage,
        first_sign=first_sign,
        began_unseen=unseen,
    )


def _proposals(incident_id: int) -> tuple[Proposal, ...]:
    from irkit import conclusions, workspace
    from irkit.followup import proposal as runbook_proposal

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    evidence = workspace.gather(incident, "never", settings=settings)
    found = conclusions.diagnosis(evidence, settings=settings).findings
    timeline = workspace.timeline(incident, settings=settings)
    return runbook_proposal.propose(workspace.load_runbook(settings), incident, timeline, found)


commands = (action_item, lint, follow_up, alert_rule, meeting)
