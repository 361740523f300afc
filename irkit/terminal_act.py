"""Actions drawn for a terminal: the plan before anything happens, and the runbook's steps with what does each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from irkit.runbook import outcome_words
from irkit.terminal_parts import plain, table
from irkit.times import format_time
from irkit.visible import visible

if TYPE_CHECKING:
    from irkit.act import StepLine
    from irkit.act_contract import Action, Plan
    from irkit.model import Event, Incident

_UNFINISHED = "it runs still, or was killed half-way. Look at the state of things before you go on."
_STYLE = {"done": "green", "failed": "bold red", "pending": "yellow"}


def plan_view(action: Action, plan: Plan, lacking: Sequence[str]) -> RenderableType:
    """Return what would happen, what was found, what a human would type, and what is collected first."""
    heading = Text.assemble((f"{action.name} ", "bold"), (visible(plan.target), "bold"))
    if not action.changes:
        heading.append("  changes nothing", "dim")
    parts: list[RenderableType] = [heading]
    parts += _listed("now", plan.seen, "dim")
    parts += _listed("then" if action.changes else "it does", plan.changes)
    parts += _listed("by hand", plan.commands, "cyan")
    if lacking and not plan.refusal:
        said = f"first, as it would be lost: evidence of {', '.join(lacking)} is collected"
        parts.append(Padding(plain(said, "yellow"), (0, 0, 0, 2)))
    elif action.destroys and not plan.refusal:
        parts.append(Padding(plain("the evidence that it destroys is collected already", "dim"), (0, 0, 0, 2)))
    if plan.refusal:
        parts.append(Padding(plain(f"refused: {plan.refusal}", "bold red"), (0, 0, 0, 2)))
    return Group(*parts)


def steps_view(incident: Incident, title: str, lines: Iterable[StepLine], begun: Iterable[Event]) -> RenderableType:
    """Return the runbook's steps with their state and the command that does each, and actions without an end."""
    rows = table("step", "is", "what the runbook says, and what does it", title=f"{incident.label}: {visible(title)}")
    for line in lines:
        what = plain(line.step.text)
        if line.step.command:
            what.append_text(plain(f"\n{line.step.command}", "dim"))
        for note in line.step.notes:
            what.append_text(plain(f"\n{note}", "dim"))
        hint = line.command or f"by hand, then: irkit step {incident.id} {line.step.number} --done"
        what.append_text(plain(f"\n→ {hint}", "cyan"))
        rows.add_row(str(line.step.number), Text(outcome_words(line.state), _STYLE.get(line.state, "")), what)
    parts: list[RenderableType] = [rows]
    for event in begun:
        began = f"{event.data.get('action')} {event.data.get('target')} began at {format_time(event.at)}"
        parts.append(plain(f"{began}, and no end of it is on record: {_UNFINISHED}", "bold red"))
    return Group(*parts)


def actions_view(actions: Iterable[Action]) -> RenderableType:
    """Return all actions with their arguments and options."""
    rows = table("action", "what it does", title="All actions")
    for one in actions:
        what = plain(one.summary)
        for name, words in one.options.items():
            what.append_text(plain(f"\n-p {name} …  {words}", "dim"))
        rows.add_row(plain(f"{one.name} {one.usage}".strip()), what)
    return rows


def _listed(name: str, sentences: Sequence[str], style: str = "") -> list[RenderableType]:
    if not sentences:
        return []
    grid = [
        Text.assemble((f"{name if number == 0 else '':<8}", "dim"), plain(one, style))
        for number, one in enumerate(sentences)
    ]
    return [Padding(Group(*grid), (0, 0, 0, 2))]
