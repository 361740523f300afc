"""What follows an incident, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from irkit.action_items import NO_DATE, days_overdue
from irkit.model import ActionItem
from irkit.phrase import count
from irkit.terminal_parts import plain, table


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


def _state(item: ActionItem, now: datetime) -> Text:
    if item.done_at:
        return Text("done", "green")
    late = days_overdue(item, now)
    return Text(f"{count(late, 'day')} late", "bold red") if late else Text("open", "yellow")
