"""Who is told of an incident, in which order, by which channel and after how long: the runbook's words as data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from irkit.escalate.contract import Channel, Message
from irkit.metrics import allowed
from irkit.model import Contact, Event, EventKind, Incident
from irkit.runbook import Runbook, who_to_tell
from irkit.settings import Settings
from irkit.text.markdown import words_of
from irkit.times import format_duration, format_time

NO_SECTION = "its section in irkit.toml"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: whom to tell, in the runbook's words, and the channel these mean.

    It is climbed where nobody answered `after` the step before it. `channel` is empty where `lacks` says why.
    """

    number: int
    wording: str
    role: str
    after: timedelta
    channel: str = ""
    lacks: str = ""

    @property
    def reader(self) -> str:
        return self.role or self.wording


def ladder(
    incident: Incident, runbook: Runbook, settings: Settings, channels: Mapping[str, Channel]
) -> tuple[Rung, ...]:
    """Return whom the runbook wants told, first to last.

    First comes the severity's own escalation, addressed to the first contact of that channel; then the contacts meant
    for such an incident; then the others, but for those whose `when` names only other severities.

    Raises:
        InputError: the runbook knows the incident's severity or type no more.
    """
    severity, kind = runbook.severity(incident.severity), runbook.incident_type(incident.type)
    meant = who_to_tell(runbook, kind, severity)
    names = {one.name.casefold() for one in runbook.severities}
    spare = [one for one in runbook.contacts if one not in meant and not set(words_of(one.when)) & names]
    queue: list[Contact] = [*meant, *spare]
    wanted = meant_by(severity.escalation, settings, channels)
    first = next((one for one in queue if wanted & meant_by(one.channel, settings, channels)), None)
    limit = allowed(incident, severity)
    asked = [(severity.escalation, first.role if first else "")]
    asked += [(one.channel, one.role) for one in queue if one is not first]
    return tuple(
        _rung(number, wording, role, limit, settings, channels) for number, (wording, role) in enumerate(asked, 1)
    )


def lacks_of(channel: Channel, settings: Settings) -> str:
    """Say what the settings lack for this channel, or nothing where it can be used."""
    target = getattr(settings, channel.section)
    if not target.configured:
        return NO_SECTION
    lacks = channel.lacks(target)
    wrong = next((one for one in settings.problems if one.section == channel.section), None)
    return f"{lacks} ({wrong.sentence})" if lacks and wrong else lacks


def fall_back(rung: Rung, settings: Settings, channels: Mapping[str, Channel]) -> tuple[str, ...]:
    """Return the channels to try for a step: its own, then the others that are configured, in the settings' order."""
    others = [name for name in settings.escalation.fall_back if name in channels and name != rung.channel]
    usable = [name for name in others if not lacks_of(channels[name], settings)]
    return (rung.channel, *usable) if rung.channel else tuple(usable)


def dedup_key(timeline: Sequence[Event]) -> str:
    """Return the key all messages of an incident share: the same at every attempt, and no other store's.

    It is made of what was recorded when the incident was opened, since two teams' stores both have an INC-1.
    """
    opening = next(event for event in timeline if event.kind is EventKind.OPENED)
    seed = f"{opening.recorded_at.isoformat()} {opening.actor} {opening.data.get('title')}"
    return f"irkit-INC-{opening.incident_id}-{hashlib.sha256(seed.encode()).hexdigest()[:12]}"


def message(incident: Incident, runbook: Runbook, rung: Rung, *, key: str, source: str) -> Message:
    """Return what is told of an incident at one step, in words that stand alone at 3 a.m."""
    severity, kind = runbook.severity(incident.severity), runbook.incident_type(incident.type)
    noticed = incident.noticed_at
    due = noticed + allowed(incident, severity)
    limit = format_duration(allowed(incident, severity))
    lines = [
        f"{kind.title}, severity {severity.name}; noticed {format_time(noticed)}.",
        f"An answer is due within {limit}, by {format_time(due)}: irkit ack {incident.id}",
        *([f"Impact: {incident.impact}"] if incident.impact else []),
        *([f"Incident commander: {incident.owner}"] if incident.owner else []),
        *([f"Nobody answered those told before ({rung.number - 1})."] if rung.number > 1 else []),
        *([f"To {rung.role}, by the runbook ({rung.wording})."] if rung.role else []),
        *_steps(kind.resolution),
    ]
    headline = f"{incident.label} {severity.name}: {incident.title}"
    return Message(key, headline, "\n".join(lines), source, severity.name, severity.rank, rung.role)


def _steps(steps: Iterable[object]) -> list[str]:
    told = [f"{getattr(one, 'number', '')}. {getattr(one, 'text', '')}" for one in steps]
    return ["First steps by the runbook:", *told] if told else []


def meant_by(wording: str, settings: Settings, channels: Mapping[str, Channel]) -> frozenset[str]:
    """Return the channels that a runbook's words mean: by the settings' own table, else by the channels' words."""
    words = set(words_of(wording))
    for own, name in settings.escalation.words:
        if set(words_of(own)) <= words and words_of(own):
            return frozenset({name})
    return frozenset(name for name, one in channels.items() if words & one.words)


def _rung(  # noqa: PLR0913, PLR0917 (one call site)
    number: int, wording: str, role: str, limit: timedelta, settings: Settings, channels: Mapping[str, Channel]
) -> Rung:
    after = limit if number > 1 else timedelta()
    names = sorted(meant_by(wording, settings, channels))
    known = [name for name in names if name in channels]
    usable = next((name for name in known if not lacks_of(channels[name], settings)), None)
    if usable:
        return Rung(number, wording, role, after, usable)
    if not known:
        said = f"names the channel {names[0]!r}" if names else "has no word for a channel"
        lacks = f"“{wording}” {said} that irkit knows: say what it means under `words` in [escalation]"
    else:
        one = channels[known[0]]
        lacking = lacks_of(one, settings)
        lacks = f"[{one.section}] {'is not in irkit.toml' if lacking == NO_SECTION else f'lacks {lacking}'}"
    return Rung(number, wording, role, after, "", lacks)
