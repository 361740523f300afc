"""What an incident should change: the runbook's text, and the alert that would have told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.followup import alert_rule
from irkit.followup import proposal as runbook_proposal
from irkit.report.material import Material
from irkit.report.parts import Claim, Shown
from irkit.runbook import BUILT_IN


@dataclass(frozen=True, slots=True, repr=False)
class RunbookEdit(Shown):
    """The changes to this type's chapter of the runbook, with their reasons, and the patch that makes them.

    `elsewhere` counts the changes to other chapters, which only the `command` shows.
    """

    heading: ClassVar[str] = "Proposed runbook edit"
    anchor: ClassVar[str] = "runbook-edit"
    reasons: tuple[Claim, ...]
    patch: str
    command: str
    elsewhere: int = 0

    @property
    def empty(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True, repr=False)
class Alert(Shown):
    """The alert for what was found, as a Prometheus rule.

    `without` are the symptoms that no metric is known for, `too_slow` the alerts with their `for` that the incident was
    over before.
    """

    heading: ClassVar[str] = "Proposed alert"
    anchor: ClassVar[str] = "proposed-alert"
    names: tuple[str, ...]
    rules: str
    without: tuple[str, ...]
    too_slow: tuple[tuple[str, str], ...]
    command: str

    @property
    def empty(self) -> bool:
        return not self.names


def runbook_edit(of: Material) -> RunbookEdit:
    """Return what the runbook should learn; nothing while the incident goes on."""
    ideas = runbook_proposal.propose(of.runbook, of.incident, of.timeline, of.diagnosis.findings) if _over(of) else ()
    own = [one for one in ideas if one.incident_type == of.incident.type]
    known = {item.id for item in of.bundle.manifest.evidence}
    reasons = [Claim(one.reason, tuple(cited for cited in one.evidence if cited in known)) for one in own]
    patch = runbook_proposal.patch(of.runbook.text, runbook_proposal.path_of(of.runbook), own)
    # what comes with irkit lies in nobody's repository
    command = f"irkit runbook propose {of.incident.id}" + ("" if of.runbook.source == BUILT_IN else " | git apply")
    return RunbookEdit(tuple(reasons), patch, command, len(ideas) - len(own))


def alert(of: Material) -> Alert:
    """Return the alert for what the evidence shows; nothing while the incident goes on, or where it shows nothing."""
    likely = of.diagnosis.likeliest
    shown = likely.supporting if likely and _over(of) else ()
    made = alert_rule.rule(of.incident, of.runbook, shown, of.onset) if shown else alert_rule.Rule({}, (), ())
    rules = next((text for name, text in made.files.items() if name.endswith(".rules.yml")), "")
    return Alert(made.alerts, rules, made.without, made.too_slow, f"irkit alert-rule {of.incident.id}")


def _over(of: Material) -> bool:
    return of.incident.eased_at is not None
