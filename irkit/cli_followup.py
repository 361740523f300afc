"""The commands for what follows an incident: its action items, its report's check, runbook, alert rule and meeting."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from irkit import console
from irkit.cli_options import at_option, by_option
from irkit.errors import InputError
from irkit.model import EventKind, Incident, parse_incident_id, utc_now
from irkit.phrase import count
from irkit.runbook import BUILT_IN
from irkit.settings import Settings
from irkit.visible import visible

if TYPE_CHECKING:
    from irkit.postmortem_lint import Lack
    from irkit.runbook_proposal import Proposal


def remind(incident: Incident, settings: Settings) -> None:
    """Show what was promised after incidents like this one and is overdue."""
    from irkit import action_items, workspace

    held = action_items.overdue_of_similar(workspace.store(settings), incident, utc_now())
    for number, late in held.items():
        for item in late:
            days = count(action_items.days_overdue(item, utc_now()), "day")
            console.say(f"Promised after INC-{number} and {days} overdue: {visible(item.text)} ({visible(item.owner)})")


@click.group("action-item")
def action_item() -> None:
    """Add, finish and list what was promised after incidents."""


@action_item.command("add")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("text")
@click.option("--owner", metavar="NAME", help="Who will see to it; required.")
@click.option("--due", metavar="DATE", help="By when: 2026-12-10, or 2 weeks; required.")
@click.option("--done-when", "criterion", default="", help="How all will know that it is done.")
@click.option("--kind", type=click.Choice(["prevent", "detect", "mitigate", "process"]), default="prevent")
@by_option
def add(
    incident_id: int, text: str, owner: str | None, due: str | None, criterion: str, kind: str, actor: str | None
) -> None:
    """Promise TEXT, verb first, with an owner and a due date."""
    from irkit import action_items, workspace

    if not owner or not due:
        lacks = " and ".join(name for name, value in (("an owner", owner), ("a due date", due)) if not value)
        hint = f'irkit action-item add {incident_id} "{text[:40]}" --owner NAME --due 2026-12-10'
        raise InputError(f"an action item needs {lacks}", hint=hint)
    by = action_items.due_date(due, utc_now())
    actor = actor or console.user()
    number = action_items.add(
        workspace.store(), incident_id, text, owner=owner, due=by, criterion=criterion, kind=kind, actor=actor
    )
    console.say(f"Action item {incident_id}.{number}, {owner}, due {by:%Y-%m-%d}.")
    console.say(f"When it is done: irkit action-item done {incident_id} {number}")


@action_item.command("done")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("number", type=click.IntRange(min=1))
@click.argument("text", required=False, default="")
@at_option
@by_option
def done(incident_id: int, number: int, text: str, at: datetime | None, actor: str | None) -> None:
    """Record that action item NUMBER of an incident is done, and how it shows."""
    from irkit import action_items, workspace

    item = action_items.finish(workspace.store(), incident_id, number, text, actor=actor or console.user(), at=at)
    console.say(f"Done: {item.text}")


@action_item.command("list")
@click.argument("incident_id", metavar="[ID]", type=parse_incident_id, required=False)
@click.option("--all", "everything", is_flag=True, help="Those done, too.")
def list_(incident_id: int | None, everything: bool) -> None:
    """List action items still to be done, of one incident or of all."""
    from irkit import action_items, terminal_followup, workspace

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
    from irkit import terminal_followup

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
@click.argument("text", required=False, default="")
@by_option
def follow_up(incident_id: int, done_step: int | None, skipped_step: int | None, text: str, actor: str | None) -> None:
    """Say which of the runbook's post-incident steps are done, and what does the others."""
    from irkit import followup, terminal_followup, workspace
    from irkit.followup import Task

    settings = workspace.load_settings()
    runbook, store = workspace.load_runbook(settings), workspace.store(settings)
    for number, outcome in ((done_step, "done"), (skipped_step, "skipped")):
        if number is not None:
            said, data = followup.record(runbook, number, outcome, text)
            store.append(incident_id, EventKind.NOTE, actor=actor or console.user(), text=said, data=data)
    incident = store.incident(incident_id)
    left, ideas = _lacks(incident_id), _proposals(incident_id)
    notes = {
        Task.REPORT: f"{count(len(left), 'thing')} to mend" if left else "nothing to mend that can be checked",
        Task.RUNBOOK: f"{count(len(ideas), 'change')} proposed" if ideas else "this incident suggests no change",
    }
    console.show(
        terminal_followup.follow_up_view(followup.follow_up(incident, store.timeline(incident_id), runbook), notes)
    )


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def propose(incident_id: int) -> None:
    """Print a patch to the runbook made from what was observed and done; git apply takes it."""
    from pathlib import Path

    from irkit import runbook_proposal, workspace

    runbook = workspace.load_runbook(workspace.load_settings())
    ideas = _proposals(incident_id)
    if not ideas:
        console.complain(f"INC-{incident_id} suggests no change to the runbook ({runbook.source})")
        return
    built_in = runbook.source == BUILT_IN
    path = "irkit/runbook.md" if built_in else runbook_proposal.place_of(Path(runbook.source))
    mark = "\ufeff" if not built_in and Path(runbook.source).read_bytes().startswith(b"\xef\xbb\xbf") else ""
    console.say("\n".join(f"{idea.kind}: {visible(idea.reason)}" for idea in ideas) + "\n")
    console.say(runbook_proposal.patch(mark + runbook.text, path, ideas).removesuffix("\n"))
    if built_in:
        hint = 'keep a copy as your own: `runbook = "ops/runbook.md"` in irkit.toml'
        console.complain("this is the runbook that comes with irkit, not yours to edit", hint)


def _lacks(incident_id: int) -> tuple[Lack, ...]:
    from irkit import postmortem_lint, workspace
    from irkit.bundle import bundles_of
    from irkit.report.material import unwritten

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    timeline = workspace.timeline(incident, settings=settings)
    has_evidence = bool(bundles_of(settings.home, incident_id))
    return postmortem_lint.lint(incident, timeline, unwritten(incident, timeline), has_evidence=has_evidence)


def _proposals(incident_id: int) -> tuple[Proposal, ...]:
    from irkit import runbook_proposal, workspace

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    evidence = workspace.gather(incident, "never", settings=settings)
    found = workspace.diagnosis(evidence, settings=settings).findings
    timeline = workspace.timeline(incident, settings=settings)
    return runbook_proposal.propose(workspace.load_runbook(settings), incident, timeline, found)


commands = (action_item, lint, follow_up)
