"""The runbook drawn for a terminal: as irkit understood it, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from irkit.model import IncidentType
from irkit.runbook import Runbook
from irkit.terminal.parts import plain as _plain
from irkit.terminal.parts import table as _table
from irkit.text.visible import visible
from irkit.times import format_duration

if TYPE_CHECKING:
    from irkit.runbook.reader import Problem


def runbook_view(runbook: Runbook) -> RenderableType:
    """Return the runbook as irkit understood it, with the sections it keeps without understanding."""
    severities = _table("severity", "respond within", "escalation", title=f"{runbook.title} ({runbook.source})")
    for severity in runbook.severities:
        severities.add_row(severity.name, format_duration(severity.response_time), _plain(severity.escalation))
    parts: list[RenderableType] = [severities]
    for kind in runbook.incident_types:
        parts.append(
            Text.assemble((f"{kind.number}. {kind.title}", "bold"), f"  {kind.severity}  ", (kind.slug, "dim"))
        )
        parts.append(Padding(Group(*_type_lines(kind)), (0, 0, 1, 2)))
    contacts = _table("role", "contact", "when", title="Escalation contacts")
    for contact in runbook.contacts:
        contacts.add_row(_plain(contact.role), _plain(contact.channel), _plain(contact.when))
    parts.extend((contacts, Text("Post-incident", "bold")))
    parts.extend(_plain(f"  {step.number}. {step.text}") for step in runbook.post_incident)
    for section in runbook.sections:
        parts.append(
            Text.assemble(
                ("\n", ""), (visible(section.title), "bold"), (f"  kept as it is, line {section.line}", "dim")
            )
        )
        parts.append(Text(visible(section.markdown, lines=True)))
    return Group(*parts)


def _type_lines(kind: IncidentType) -> list[Text]:
    lines = [_plain(f"symptom  {item.text}") for item in kind.symptoms]
    lines += [_plain(f"look     {item.text}", "cyan") for item in kind.diagnosis]
    for step in kind.resolution:
        lines.append(_plain(f"{step.number}.       {step.text}"))
        lines += [_plain(f"         {note}", "dim") for note in step.notes]
    return lines


def problem_lines(source: str, problems: Iterable[Problem]) -> RenderableType:
    """Return what is wrong with a runbook, one line each, in the form editors jump to."""
    rows = (f"{source}:{one.line}: {'error' if one.fatal else 'note'}: {one.message}" for one in problems)
    return Group(*(_plain(row) for row in rows))
