"""A report of the example bundle: an API that crashed, as the people on call wrote it down."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from irkit import runbook
from irkit.act.contract import Ask
from irkit.act.proposed import place_of, proposed
from irkit.bundle import Bundle
from irkit.diagnose.run import diagnose
from irkit.model import Event, EventKind, Incident, Status
from irkit.registry import load_plugins
from irkit.report import Report, build
from irkit.settings import Settings
from tests.support.example_bundle import CRASH, FIRST_500, START, example_bundle

TITLE = "The API answers nobody: dashboards stay empty"
NOW = CRASH + timedelta(minutes=95)
RESOLVED = Incident(
    42,
    TITLE,
    "api-unresponsive",
    "Critical",
    Status.RESOLVED,
    opened_at=CRASH + timedelta(minutes=3),
    started_at=FIRST_500,
    detected_at=CRASH + timedelta(minutes=2),
    acknowledged_at=CRASH + timedelta(minutes=6),
    mitigated_at=CRASH + timedelta(minutes=19),
    resolved_at=CRASH + timedelta(minutes=41),
    owner="maria",
)
OPEN = Incident(42, TITLE, "api-unresponsive", "Critical", Status.OPEN, opened_at=CRASH + timedelta(minutes=3))
EARLIER = Incident(
    17, "API down after deploy", "api-unresponsive", "Critical", Status.CLOSED, opened_at=START - timedelta(days=40)
)


def event(minute: float, kind: EventKind, text: str, actor: str = "maria", **data: object) -> Event:
    """Return a row of the timeline, so many minutes after the crash."""
    at = CRASH + timedelta(minutes=minute)
    return Event(int(minute * 60) + 10_000, 42, at, at, kind, actor, text, data=data)


TIMELINE = (
    event(2, EventKind.DETECTED, "a probe from outside failed", "pager"),
    event(3, EventKind.OPENED, TITLE),
    event(6, EventKind.ACKNOWLEDGED, ""),
    event(12, EventKind.NOTE, "data/ was remounted read-only by the snapshot job", "jon"),
    event(17, EventKind.ACTION, "Restarted jarvis-api after remounting data/", "jon", step=1),
    event(19, EventKind.MITIGATED, "the health endpoint answers 200", "jon"),
    event(41, EventKind.RESOLVED, "no 5xx for 20 minutes"),
    event(90, EventKind.NOTE, "The nightly snapshot remounts data/ read-only.", "jon", section="trigger"),
    event(91, EventKind.NOTE, "Was anything written in between?", "jon", section="question"),
    event(
        92,
        EventKind.NOTE,
        "Alert when data/ is mounted read-only",
        section="action-item",
        owner="jon",
        due=datetime(2026, 12, 1, tzinfo=UTC).isoformat(),
        done_criterion="a read-only mount pages within 2 minutes",
    ),
)


def report_of(
    bundle: Bundle,
    incident: Incident = RESOLVED,
    timeline: tuple[Event, ...] = TIMELINE,
    now: datetime = NOW,
    places: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Return the report of a bundle, diagnosed by the detectors that ship with irkit."""
    load_plugins("irkit.symptoms", "irkit.symptoms")
    book, found = runbook.load(), diagnose(bundle, runbook.load())
    settings = Settings(home=bundle.path)
    place = replace(place_of(book, settings, bundle, found.present), places=places)
    ask = Ask(incident, settings, book, timeline)
    return build(
        incident=incident,
        timeline=timeline,
        runbook=book,
        bundle=bundle,
        diagnosis=found,
        now=now,
        others=(EARLIER,),
        places=places,
        steps=lambda kind: proposed(kind, ask, place),
    )


def example_report(folder: Path, *, leave_out: tuple[str, ...] = (), incident: Incident = RESOLVED) -> Report:
    """Return the report of the example bundle, sealed under `folder` without the kinds in `leave_out`."""
    timeline = TIMELINE if incident.acknowledged_at else TIMELINE[:2]
    return report_of(example_bundle(folder, leave_out=leave_out), incident, timeline)
