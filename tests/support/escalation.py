"""An incident store, a clock that only moves when told, and settings that point at servers on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from irkit import runbook as runbooks
from irkit.escalate.delivery import Case
from irkit.model import EventKind, Incident
from irkit.runbook import Runbook
from irkit.settings import Secret, Settings
from irkit.settings.channel_sections import EmailTarget, EscalationSettings, PagerDutyTarget, SlackTarget, TicketsTarget
from irkit.store import open_store
from tests.support.channel_servers import Mailbox, Service

ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"
NOW = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


@dataclass
class Clock:
    """The time, which passes only while something waits, and by hand."""

    now: datetime = NOW
    waited_s: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.pass_by(timedelta(seconds=seconds))

    def pass_by(self, duration: timedelta) -> None:
        self.now += duration


@dataclass
class Lab:
    """A case with its clock, and what the timeline says of its incidents."""

    case: Case
    clock: Clock
    news: list[str] = field(default_factory=list)

    def open(self, kind: str = "api-unresponsive", severity: str = "Critical", **more: str) -> Incident:
        title = more.pop("title", "Checkout is down")
        return self.case.store.open_incident(
            title,
            incident_type=kind,
            severity=severity,
            actor="ana",
            impact=more.get("impact"),
            owner=more.get("owner"),
        )

    def told(self, incident: Incident) -> list[tuple[str, str, int]]:
        """The rows of the timeline about messages: channel, state and attempt."""
        events = self.case.store.timeline(incident.id)
        rows = [event.data for event in events if event.kind is EventKind.ESCALATION]
        return [(str(row["channel"]), str(row["state"]), int(str(row["attempt"]))) for row in rows]

    def words(self, incident: Incident) -> list[str]:
        events = self.case.store.timeline(incident.id)
        return [event.text for event in events if event.kind is EventKind.ESCALATION]

    def again(self) -> Lab:
        """The same store and clock in another process."""
        return replace(self, case=replace(self.case, store=open_store(self.case.settings, clock=self.clock)))


def lab(home: Path, runbook: Runbook | None = None, **targets: object) -> Lab:
    clock = Clock()
    settings = replace(Settings(home), escalation=EscalationSettings(timeout_s=0.5), **targets)  # type: ignore[arg-type]
    store = open_store(settings, create=True, clock=clock)
    news: list[str] = []
    case = Case(
        store, settings, runbook or runbooks.load(), clock, clock.wait, "ana", lambda _, text: news.append(text)
    )
    return Lab(case, clock, news)


def pagerduty_target(server: Service, certificate: Path) -> PagerDutyTarget:
    return PagerDutyTarget(Secret(ROUTING_KEY), server.url, str(certificate), configured=True)


def slack_target(server: Service) -> SlackTarget:
    return SlackTarget(Secret(f"{server.url}/services/T0/B0/made-up-secret"), configured=True)


def email_target(server: Mailbox, to: Sequence[str] = ("oncall@example.com",)) -> EmailTarget:
    return EmailTarget(Secret(f"smtp://127.0.0.1:{server.port}"), "irkit@example.com", tuple(to), configured=True)


def github_target(server: Service) -> TicketsTarget:
    return TicketsTarget("acme/shop", Secret("ghp_made_up_token_of_a_robot"), server.url, configured=True)
