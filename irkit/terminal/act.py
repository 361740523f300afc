"""Actions drawn for a terminal: the plan before anything happens, and the runbook's steps with what does each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from irkit.terminal.parts import plain, table, typed
from irkit.text.visible import visible
from irkit.times import format_time

if TYPE_CHECKING:
    from irkit.act.contract import Action, Plan
    from irkit.act.engine import StepLine
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
    parts += [typed(f"{'by hand' if number == 0 else '':<8}{visible(one)}") for number, one in enumerate(plan.commands)]
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
    parts: list[RenderableType] = [Text(f"{incident.label}: {visible(title)}", "bold")]
    for line in lines:
        state = (line.words, _STYLE.get(line.state, ""))
        parts.append(Text.assemble(f"  {line.step.number}. {visible(line.step.text)}  ", state))
        parts += [Padding(plain(one, "dim"), (0, 0, 0, 5)) for one in (line.step.command, *line.step.notes) if one]
        if not line.command:
            parts.append(Padding(Text("by hand; then record it:", "dim"), (0, 0, 0, 5)))
        parts.append(typed(visible(line.command or f"irkit step {incident.id} {line.step.number} --done"), indent=5))
        if line.against:
            parts.append(Padding(plain(line.against, "yellow"), (0, 0, 0, 5)))
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
    grid = Table.grid()
    grid.add_column(style="dim", width=8)
    grid.add_column(overflow="fold")
    for number, one in enumerate(sentences):
        grid.add_row(name if number == 0 else "", plain(one, style))
    return [Padding(grid, (0, 0, 0, 2))]
