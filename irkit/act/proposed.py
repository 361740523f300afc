"""The runbook's steps as they are taken here: irkit's command where one does it, with the names of here in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from irkit.act.contract import Action, Ask
from irkit.act.engine import Proposed, lines, step_of
from irkit.diagnose.provider_names import Providers, providers_of
from irkit.diagnose.service_names import (
    PLACEHOLDER,
    Meant,
    hindrance,
    meant_here,
    of_here,
    placeholder_hint,
    places_of,
    unwell,
)
from irkit.model import Finding, IncidentType
from irkit.targets import restarted, targets

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource
    from irkit.runbook import Runbook
    from irkit.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """What stands here for what a runbook's commands name, by the evidence; nothing, where nobody looked.

    `meant` is the service in place of one that was not seen, `places` the addresses and paths, `findings` what was
    found: a step is for the service that is unwell in the way of its incident type.
    """

    evidence: EvidenceSource | None = None
    findings: tuple[Finding, ...] = ()
    meant: Meant | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    providers: Providers = field(default_factory=Providers)

    def subject(self, slug: str) -> str:
        """Return the service that is unwell in the way of an incident type, "" where none is, or several are."""
        return unwell(slug, self.findings, self.evidence) if self.evidence else ""

    def hints(self, commands: tuple[str, ...]) -> tuple[str, ...]:
        """Return what each placeholder that is left in the commands stands for."""
        return tuple(filter(None, (placeholder_hint(self.meant, commands), *self.providers.hints(commands))))


def place_of(
    runbook: Runbook, settings: Settings, evidence: EvidenceSource | None, findings: Iterable[Finding] = ()
) -> Place:
    """Return what the evidence tells of this place."""
    if evidence is None:
        return Place()
    meant, places = meant_here(runbook, settings, evidence), places_of(runbook, settings, evidence)
    return Place(evidence, tuple(findings), meant, places, providers_of(evidence))


def proposed(kind: IncidentType, ask: Ask, place: Place) -> Proposed:
    """Return the steps of an incident type, what became of each, and the command that does it here.

    The runbook's own command has the names of here, too; where ours would be refused it is said why.
    """
    subject, meant = place.subject(kind.slug), place.meant
    if meant and subject:  # what the runbook restarts is here what is unwell
        meant = replace(meant, down=subject)

    def here(command: str) -> str:
        return meant.in_command(command) if meant and command else command

    made = []
    for line in lines(kind, ask, subject):
        ours = here(place.providers.in_command(line.command))
        own = of_here(here(line.step.command or ""), place.places)
        step = replace(line.step, command=own or line.step.command)
        against = hindrance(ours or own, place.evidence) if place.evidence else ""
        made.append(replace(line, step=step, command=ours, against=against))
    return Proposed(tuple(made), place.hints(tuple(line.typed for line in made)))


def is_aside(action: Action, ask: Ask, look: Callable[[], Place]) -> bool:
    """Say whether an action is about another service than the one that irkit proposes for the runbook's step.

    `look` reads the evidence; it is called only where that decides.
    """
    kind, number = ask.runbook.known_type(ask.incident.type), step_of(action, ask)
    named = set(ask.arguments[:1]) if action.usage.startswith("SERVICE") else set()
    if not named or kind is None or number is None:
        return False
    own = next((restarted(step.command) for step in kind.resolution if step.number == number), "")
    if own not in {"", targets(ask.runbook).service}:
        return named != {own}  # the step's own command says which service is meant
    if named <= {ask.settings.service} or (place := look()).evidence is None:
        return False
    words = next((line.typed.split() for line in proposed(kind, ask, place).lines if line.step.number == number), ())
    return bool(words) and PLACEHOLDER not in words and named.isdisjoint(words)
