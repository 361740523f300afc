"""One incident on the site: what its row shows and is found by, and digests that say whether its page is up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from irkit import conclusions, notebooks, workspace
from irkit.bundle import bundles_of, later
from irkit.bundle.manifest import read_manifest
from irkit.errors import IrkitError
from irkit.followup.action_items import is_overdue, of_timelines
from irkit.followup.notes import drill_of, is_false_alarm, what_helped
from irkit.model import Event, Incident, Status, VerdictState
from irkit.publish.exporter import stylesheet
from irkit.report.material import unwritten
from irkit.report.parts import Gap
from irkit.text.phrase import count
from irkit.text.visible import cut

if TYPE_CHECKING:
    from pathlib import Path

    from irkit.report import Report
    from irkit.settings import Settings

_FORMAT = 3
_TEXT_CHARS = 4_000
_SUMMARY_CHARS = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One incident on the site: what its row shows and is found by, and the digests of its page and its sources.

    `lasted_s` is in seconds, times are ISO 8601 in UTC; `text` is what the search looks in besides, in lower case.
    """

    incident_id: int
    file: str
    title: str
    type: str
    severity: str
    status: str
    owner: str
    detected_at: str
    updated_at: str
    lasted_s: float | None
    draft: bool
    drill: bool
    false_alarm: bool
    summary: str
    text: str
    made_of: str
    sha256: str

    @property
    def label(self) -> str:
        return f"INC-{self.incident_id}"


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a report lacks to be finished, in words, and the commands that say more or end it."""

    sentence: str
    hint: str


def lacking(incident: Incident, timeline: tuple[Event, ...]) -> Lacking | None:
    """Say what makes a report a draft: that the incident is not closed, parts that people write; None where neither."""
    said, ways = [], []
    if left := unwritten(incident, timeline):
        said.append(f"{count(len(left), 'part')} to be written")
        ways.append(f"`irkit lint {incident.id}` says which parts are to be written")
    if incident.status is not Status.CLOSED:
        said.append("not closed")
        first = "" if incident.over_at else f', after `irkit resolve {incident.id} "what removed the cause"`'
        ways.append(f"`irkit close {incident.id}` closes it{first}")
    return Lacking(", ".join(said), "; ".join(ways)) if said else None


def entry_of(incident: Incident, made_of: str, page: bytes, settings: Settings) -> Entry:
    """Return the row of an incident whose page was made; the evidence is read again for its summary."""
    told = workspace.timeline(incident, settings=settings)
    report = conclusions.postmortem(incident, workspace.gather(incident, "never", settings=settings), settings=settings)
    summary = _summary(report)
    lasted, detected = _lasted(report), incident.noticed_at
    return Entry(
        incident.id,
        file_of(incident.id),
        incident.title,
        incident.type,
        incident.severity,
        str(incident.status),
        incident.owner or "",
        _iso(detected),
        _iso(max((event.recorded_at for event in told), default=detected)),
        lasted.total_seconds() if lasted is not None else None,
        lacking(incident, told) is not None,
        bool(drill_of(told)),
        is_false_alarm(told),
        cut(summary, _SUMMARY_CHARS),
        cut(" ".join((summary, *_words(told, report))).casefold(), _TEXT_CHARS),
        made_of,
        hashlib.sha256(page).hexdigest(),
    )


def file_of(incident_id: int) -> str:
    """Return the name of an incident's page."""
    return f"inc-{incident_id}.html"


@dataclass(frozen=True, slots=True)
class Makings:
    """What all pages of a publication are made from alike: of what digests, by which runbook, beside whom."""

    made_by: tuple[str, ...]
    everyone: tuple[Incident, ...]


def makings(settings: Settings) -> Makings:
    """Read once what the pages have in common."""
    notebook = hashlib.sha256(notebooks.find("postmortem").read_bytes()).hexdigest()
    runbook = workspace.load_runbook(settings)
    made_by = (version("irkit"), notebook, stylesheet(), runbook.sha256, runbook.source if runbook.unread else "")
    return Makings(made_by, workspace.incidents(settings=settings))


def digest_of(incident: Incident, told: tuple[Event, ...], shared: Makings, settings: Settings, now: datetime) -> str:
    """Return a digest of all that an incident's page is made from; of the time, only what is overdue at `now`."""
    folders = bundles_of(settings.home, incident.id)
    # the one it rests on first, then all: the others tell what came later
    used = [later.bundle_in_use(incident, folders, told)] if folders else []
    seals = [_seal(folder) for folder in (*used, *folders)]
    alike = conclusions.alike(incident, told, shared.everyone, workspace.store(settings))
    earlier = workspace.over_before(incident, settings=settings)
    parts = (
        *shared.made_by,
        seals,
        asdict(incident),
        [(event.id, event.at, event.kind, event.actor, event.text, dict(event.data)) for event in told],
        [(one.id, one.title, one.status, what_helped(events)) for one, events in alike],
        (earlier.id, earlier.over_at) if earlier else None,
        [
            (asdict(item), is_overdue(item, now))
            for items in of_timelines({incident.id: told, **{one.id: events for one, events in alike}}).values()
            for item in items
        ],
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def to_json(entries: Sequence[Entry]) -> bytes:
    """Return what is kept beside the pages of a site."""
    body = {"format": _FORMAT, "incidents": [asdict(one) for one in entries]}
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode("ascii")


def from_json(raw: bytes | None) -> dict[int, Entry]:
    """Return the entries by incident; of what cannot be read, or has another format, nothing is known."""
    try:
        body = json.loads(raw) if raw else {}
        if body.get("format") != _FORMAT:
            return {}
        names = [field.name for field in fields(Entry)]
        read = [Entry(**{name: row[name] for name in names}) for row in body["incidents"]]
        # a file is removed by its name, so no other name is believed
        return {one.incident_id: one for one in read if one.file == file_of(one.incident_id)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _seal(folder: Path) -> str:
    """Return the seal of a bundle; of one that cannot be read, which leaves the page without it, why."""
    try:
        return read_manifest(folder).seal
    except IrkitError as error:
        return str(error)


def _lasted(report: Report) -> timedelta | None:
    """Return how long users felt it, as its page tells; None while it goes on, of a false alarm or of a gap."""
    header = report.header
    return None if isinstance(header, Gap) or header.ended_at is None or header.false_alarm else header.lasted


def _summary(report: Report) -> str:
    """Return what people wrote that a reader asks first or, where they wrote nothing yet, what the evidence says."""
    if told := getattr(report.header, "told", ()):
        return " ".join(words if words.rstrip().endswith((".", "!", "?")) else f"{words}." for _, words in told)
    return " ".join(claim.text for claim in getattr(report.summary, "claims", ())[1:])


def _words(told: Sequence[Event], report: Report) -> list[str]:
    """Return what the search looks in beside the summary: what people wrote, and the symptoms found."""
    rows = getattr(report.symptoms, "rows", ())
    found = [f"{row.title} {row.sentence}" for row in rows if row.state is VerdictState.FOUND]
    return [*(event.text for event in told if event.data.get("section")), *found]


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
