"""The first lines of what a terminal shows of evidence: what does not run, what ran out, what changed before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from irkit.model import Event
from irkit.steps import acting_at
from irkit.terminal_parts import plain as _plain
from irkit.visible import visible

if TYPE_CHECKING:
    from irkit.exhausted import Exhausted
    from irkit.service_names import Idle
    from irkit.what_changed import Change


def idle_lines(idle: Sequence[Idle], timeline: Sequence[Event]) -> list[RenderableType]:
    """Return one line for each container that does not run, for the head of what is shown.

    Of one that ended while irkit itself changed the system it is said by which action: that is no new trouble.
    """
    lines: list[RenderableType] = []
    for one in idle:
        ours = acting_at(timeline, one.since) if one.since else None
        during = f", during {ours.data.get('action')} by {ours.actor} at {ours.at:%H:%M:%S} UTC" if ours else ""
        lines.append(_plain(visible(f"{one.sentence}{during}."), "bold yellow" if ours else "bold red"))
    return lines


def exhausted_lines(told: Sequence[Exhausted]) -> list[RenderableType]:
    """Return one line for each resource that ran out, with what to do, for the head of what is shown."""
    return [_plain(visible(f"{one.sentence}. {one.advice}"), "bold red") for one in told]


def changed_lines(changes: Sequence[Change], onset: datetime | None) -> RenderableType:
    """Return one line for each change before the onset, with the way back; what came before is no proof of a cause."""
    lines: list[RenderableType] = []
    for one in changes:
        lines.append(_plain(visible(f"Changed before: {one.sentence(onset or one.at)}."), "bold"))
        if one.way_back:
            lines.append(_plain(visible(f"  If that was it, {one.way_back}.")))
    return Group(*lines)
