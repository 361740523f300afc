"""The first lines of what a terminal shows of evidence: what does not run, what ran out, what changed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from irkit.model import Event, Incident
from irkit.runbook.steps import acting_at
from irkit.terminal.parts import plain as _plain
from irkit.terminal.parts import typed as _typed
from irkit.text.phrase import listing
from irkit.text.visible import visible
from irkit.times import format_time

if TYPE_CHECKING:
    from irkit.diagnose.exhausted import Exhausted
    from irkit.diagnose.service_names import Idle
    from irkit.diagnose.verdicts import Diagnosis
    from irkit.diagnose.what_changed import Change

_NO_WORDS: Mapping[str, str] = MappingProxyType({})


def idle_lines(
    idle: Sequence[Idle], timeline: Sequence[Event], words: Mapping[str, str] = _NO_WORDS
) -> list[RenderableType]:
    """Return a line for each container that does not run, for the head of what is shown, and its last `words` under it.

    Of one that ended while irkit itself changed the system it is said by which action: that is no new trouble.
    """
    lines: list[RenderableType] = []
    for one in idle:
        ours = acting_at(timeline, one.since) if one.since else None
        during = f", during {ours.data.get('action')} by {ours.actor} at {ours.at:%H:%M:%S} UTC" if ours else ""
        lines.append(_plain(visible(f"{one.sentence}{during}."), "bold yellow" if ours else "bold red"))
        if said := words.get(one.name):
            lines.append(_plain(f"  {visible(said)}"))
    return lines


def exhausted_lines(told: Sequence[Exhausted]) -> list[RenderableType]:
    """Return one line for each resource that ran out, with what to do, for the head of what is shown."""
    return [_plain(visible(f"{one.sentence}. {one.advice}"), "bold red") for one in told]


def before_lines(incident_id: int, found: Diagnosis, changes: Sequence[Change]) -> RenderableType:
    """Return what earlier evidence shows of the beginning, and what could not be asked; then each change before it."""
    lines: list[RenderableType] = []
    if earlier := found.earlier:
        what = listing(dict.fromkeys(item.title for item in earlier.findings)) or "What is wrong"
        said = f"{what} showed by {earlier.since:%H:%M:%S} UTC, in {earlier.named}; later evidence shows that no more:"
        lines.append(_plain(visible(said), "bold"))
        lines.append(_typed(f"irkit triage {incident_id} --bundle {earlier.bundle_id}"))
    lines += [
        _plain(visible(f"Since when earlier evidence shows it is not known: {one}."), "yellow") for one in found.unread
    ]
    return Group(*lines, changed_lines(changes))


def changed_lines(changes: Sequence[Change]) -> RenderableType:
    """Return one line for each change before the onset, with the way back; what came before is no proof of a cause."""
    lines: list[RenderableType] = []
    for one in changes:
        lines.append(_plain(visible(f"Changed before: {one.sentence}."), "bold"))
        if one.way_back:
            lines.append(_plain(visible(f"  If that was it, {one.way_back}.")))
    return Group(*lines)


def start_lines(incident: Incident, found: Diagnosis) -> list[RenderableType]:
    """Return since when the evidence shows it, where nobody recorded a start, and what records that.

    What was so from the first look on began then or before, and nobody knows when.
    """
    onset = found.first_sign
    if onset is None or incident.started_at is not None or onset >= incident.noticed_at:
        return []
    where = f" ({found.earlier.named})" if found.earlier else ""
    if found.began_unseen:
        said = f"The evidence{where} shows it at or before {format_time(onset)}, the first look at it"
        return [_plain(visible(f"{said}; when it began is not seen."))]
    return [
        _plain(visible(f"The evidence{where} shows it since {format_time(onset)}; to record that:")),
        _typed(f"irkit amend {incident.id} started_at {onset:%Y-%m-%dT%H:%M:%SZ}"),
    ]


def to_start_lines(incident: Incident, idle: Sequence[Idle]) -> list[RenderableType]:
    """Return what makes each container that does not run go on, while nobody says that users are well."""
    lines: list[RenderableType] = []
    if incident.resolved_at is None and incident.mitigated_at is None:
        for name in dict.fromkeys(one.name for one in idle if not one.paused):
            lines.append(_plain(f"{name} is not running; to start it:"))
            lines.append(_typed(visible(f"irkit act {incident.id} restart {quote(name)}")))
        for one in idle:
            if one.paused:
                lines.append(_plain(f"{one.name} is paused; it goes on, with what it holds in memory, after:"))
                lines.append(_typed(visible(f"docker unpause {quote(one.paused)}")))
    return lines
