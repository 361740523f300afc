"""The ladder of an incident drawn for a terminal."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from irkit.escalate.log import State
from irkit.escalate.tell import Plan, answered
from irkit.terminal.parts import plain, table
from irkit.times import format_duration, format_time

_WORDS = {
    State.SENDING: "being told",
    State.AGAIN: "being told",
    State.SENT: "told",
    State.REFUSED: "refused",
    State.FAILED: "failed",
    State.UNSURE: "unsure",
    State.UNREACHED: "not reached",
    State.EXHAUSTED: "told",
    State.HELD: "held",
}


def plan_view(plan: Plan, now: datetime) -> RenderableType:
    """Return who is told in which order, how and when, how far that is, and the words of the next message."""
    rows = table("step", "when", "is", "whom, by the runbook, and how")
    for rung, state, way in zip(plan.rungs, plan.states, plan.ways, strict=True):
        when = f"{format_duration(rung.after)} unanswered" if rung.number > 1 else "at once"
        whom = plain(f"{rung.role or 'no role'}: {rung.wording}")
        if way and way != rung.channel:
            whom.append(f" (told by {way} in its stead)", "yellow")
        whom.append(f" → {rung.channel}" if rung.channel else f"\n{rung.lacks}", "green" if rung.channel else "yellow")
        rows.add_row(str(rung.number), when, _WORDS[state] if state else "", whom)
    parts: list[RenderableType] = [Text(f"Nothing is sent. {plan.incident.label}, {plan.severity.name}"), rows]
    if plan.message and plan.ahead and plan.due_at:
        due = "now" if plan.due_at <= now else f"at {format_time(plan.due_at)}"
        parts.append(Text(f"Step {plan.ahead.number} is due {due} and says:", "bold"))
        parts.append(Padding(Group(plain(plan.message.headline), plain(plan.message.body, "dim")), (0, 0, 0, 2)))
        parts.append(Text(f"Its dedup key is {plan.message.dedup_key}.", "dim"))
    else:
        said = "It is answered: nobody else is told." if answered(plan.incident) else "The runbook names nobody else."
        parts.append(Text(said))
    return Group(*parts)
