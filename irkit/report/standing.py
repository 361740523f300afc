"""Where an incident stands: which of the runbook's steps were taken, and whether the service is still broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irkit.diagnose.signs import WELL_CODES
from irkit.model import Event, IncidentType, Step
from irkit.report import facts
from irkit.runbook import steps
from irkit.times import format_duration

HEALTH, CONTAINERS = "health", "containers"


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of each step of `kind`, the type the incident is filed as, and what the evidence says of the repair.

    `broken` is how the service was when the evidence was collected, None where nothing tells; `relapse` a sentence on
    a container that was started again and ended badly again, "" where none did. `stopped` is the record of irkit's own
    stop of all services, which still held then: what is down for that tells nothing of the repair. `seen` is what was
    looked at for it: its health, its containers.
    """

    kind: IncidentType | None
    tries: dict[int, tuple[steps.Try, ...]]
    broken: bool | None
    relapse: str
    stopped: Event | None = None
    seen: tuple[str, ...] = (HEALTH, CONTAINERS)

    def state(self, step: Step) -> str:
        """Return the last outcome recorded for a step, "" for none."""
        tried = self.tries.get(step.number, ())
        return tried[-1].outcome if tried else ""

    @property
    def pending(self) -> tuple[Step, ...]:
        """The steps that nobody has taken or left out yet, in the runbook's order."""
        known = self.kind.resolution if self.kind else ()
        return tuple(step for step in known if not self.state(step))

    @property
    def in_vain(self) -> Step | None:
        """The step recorded last as done that should mend, where the service is broken all the same."""
        if not self.broken or not self.kind:
            return None
        ended = [(tried[-1], step) for step in self.kind.resolution if (tried := self.tries.get(step.number))]
        done = [
            (last.at, step.number, step)
            for last, step in ended
            if last.outcome == steps.DONE and last.changes and not steps.only_looks(step)
        ]
        return max(done)[-1] if done else None


def standing(timeline: Sequence[Event], kind: IncidentType | None, view: facts.View) -> Standing:
    """Return where an incident stands by its timeline and by one bundle; `kind` is the type it is filed as."""
    tries = steps.tries(timeline, kind.resolution if kind else ())
    if held := steps.stopped_by_us(timeline, view.window.end):
        return Standing(kind, tries, None, "", held)
    broken = facts.broken(view)
    if (
        broken
        and (named := steps.switched_to(one for one in timeline if one.at <= view.window.end))
        and _only_others_ail(view, named)
    ):
        broken = False
    looked = {HEALTH: facts.probes(view), CONTAINERS: facts.containers(view)}
    return Standing(kind, tries, broken, _told(view), seen=tuple(name for name, rows in looked.items() if rows))


def _only_others_ail(view: facts.View, named: str) -> bool:
    """Say whether all that is unwell is a provider other than the one that was switched to, which is healthy.

    That the one left behind stays down is why one switches.
    """
    states = {str(row.get("name")): row.get("healthy") for row in view.records("providers")}
    last = facts.probes(view)[-1:]
    answers = all(probe.status_code in WELL_CODES for probe in last)
    sound = not any(facts.is_unwell(row) for row in facts.containers(view))
    return bool(last) and answers and sound and states.get(named) is True and False in states.values()


def _told(view: facts.View) -> str:
    if not (found := facts.relapse(view)):
        return ""
    later = format_duration(found.ended_at - found.started_at)
    return (
        f"{found.service} was started again at {found.started_at:%H:%M:%S} UTC and exited again, with code "
        f"{found.exit_code}, {later} later at {found.ended_at:%H:%M:%S} UTC."
    )
