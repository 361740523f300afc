"""What follows an incident, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from irkit.followup.action_items import NO_DATE, days_overdue
from irkit.followup.lint import Lack
from irkit.followup.steps import Due, Task
from irkit.model import ActionItem
from irkit.terminal.parts import plain, table
from irkit.text.phrase import count

_DUE_STYLE = {"due": "bold yellow", "done": "green", "skipped": "dim", "not needed": "dim"}


def items_table(held: Mapping[int, Sequence[ActionItem]], now: datetime, *, everything: bool) -> RenderableType:
    """Return the action items by incident and number, with how each stands; those done only with `everything`."""
    rows = table("item", "owner", "due", "is", "what, and when it is done")
    for incident_id in sorted(held):
        for number, item in enumerate(held[incident_id], 1):
            if item.done_at and not everything:
                continue
            due = "no date" if item.due == NO_DATE else f"{item.due:%Y-%m-%d}"
            what = plain(item.text)
            if item.done_criterion:
                what.append_text(plain(f"\nDone when {item.done_criterion}", "dim"))
            rows.add_row(f"{incident_id}.{number}", plain(item.owner or "nobody"), due, _state(item, now), what)
    return rows


def follow_up_view(
    incident_id: int, due: Sequence[Due], notes: Mapping[Task, str], settled: Collection[Task] = ()
) -> RenderableType:
    """Return the post-incident steps, how each stands, and what does it; `notes` adds what was found out of a task.

    Of tasks that are `settled` nothing is left to be done but to record it.
    """
    rows = table("step", "is", "what, and what does it", title="After the incident, by the runbook")
    for one in due:
        what = plain(one.step.text)
        why = one.why.removeprefix(f"Post-incident step {one.step.number} ({one.step.text}): ")
        for line in (notes.get(one.task, "") if one.state == "due" else "", why):
            if line:
                what.append_text(plain(f"\n{line}", "dim"))
        if one.state == "due":
            recorded = f"irkit follow-up {incident_id} --done {one.step.number}"
            ways = (f"→ {recorded}",) if one.task in settled else (f"→ {one.command}", f"  then {recorded}")
            for way in ways:
                what.append_text(plain(f"\n{way}", "cyan"))
        rows.add_row(str(one.step.number), Text(one.state, _DUE_STYLE.get(one.state, "")), what)
    return rows


def lacks_view(lacks: Sequence[Lack]) -> RenderableType:
    """Return what a postmortem lacks, by where it belongs."""
    rows = table("where", "what is wrong, and how to mend it")
    for lack in lacks:
        what = plain(lack.sentence)
        what.append_text(plain(f"\n→ {lack.hint}", "cyan"))
        rows.add_row(plain(lack.where), what)
    return rows


def _state(item: ActionItem, now: datetime) -> Text:
    if item.done_at:
        return Text("done", "green")
    late = days_overdue(item, now)
    return Text(f"{count(late, 'day')} late", "bold red") if late else Text("open", "yellow")
