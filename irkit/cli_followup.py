"""The commands for what follows an incident: its action items, its report's check, runbook, alert rule and meeting."""

from __future__ import annotations

from datetime import datetime

import click

from irkit import console
from irkit.cli_options import at_option, by_option
from irkit.errors import InputError
from irkit.model import Incident, parse_incident_id, utc_now
from irkit.phrase import count
from irkit.settings import Settings
from irkit.visible import visible


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


commands = (action_item,)
