"""Drills: recordings of real incidents that ship with irkit, to be filed as if they had just been handled."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from irkit.bundle import bundle_folder, bundles_of, copy_bundle, open_bundle
from irkit.errors import InputError, NotFoundError
from irkit.followup.notes import DRILL, drill_of
from irkit.model import EventKind, Incident, utc_now
from irkit.settings import Settings
from irkit.store import Store, open_store

DRILL_FILE = "drill.toml"
_BUNDLE_FOLDER = "bundle"


@dataclass(frozen=True, slots=True)
class Drill:
    """A recording: its name, what happened, and the folder that holds `drill.toml` and the sealed bundle."""

    name: str
    description: str
    folder: Path
    recorded: Mapping[str, Any]


def available() -> tuple[Drill, ...]:
    """Return the drills that ship with irkit, by name."""
    root = Path(str(files("irkit"))) / "drills"
    return tuple(_read(path.parent) for path in sorted(root.glob(f"*/{DRILL_FILE}")))


def find(name: str) -> Drill:
    """Return a drill by its name.

    Raises:
        NotFoundError: there is none; the hint names the nearest.
    """
    known = {item.name: item for item in available()}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise NotFoundError(f"there is no drill named {name!r}", hint=hint)
    return known[name]


def file(
    name: str, settings: Settings, incident_id: int | None = None, *, clock: Callable[[], datetime] = utc_now
) -> tuple[Incident, bool]:
    """File a drill as an incident with the times it really had, and say whether it is new.

    Filing the same drill under the same id again changes nothing.

    Raises:
        NotFoundError: there is no such drill.
        InputError: the id belongs to another incident.
        StoreError: the store cannot be written.
        BundleError: the recording was damaged, or cannot be copied.
    """
    drill = find(name)
    recording = open_bundle(drill.folder / _BUNDLE_FOLDER)
    store = open_store(settings, create=True, clock=clock)
    known = _filed(store, drill, incident_id)
    incident = known or _open(store, drill, incident_id)
    if not bundles_of(settings.home, incident.id):
        destination = bundle_folder(settings.home, incident.id) / recording.id
        copy_bundle(recording, destination, incident.id, recording.id)
    return incident, known is None


def _read(folder: Path) -> Drill:
    recorded = tomllib.loads((folder / DRILL_FILE).read_text(encoding="utf-8"))
    return Drill(folder.name, recorded["description"], folder, recorded)


def _filed(store: Store, drill: Drill, incident_id: int | None) -> Incident | None:
    """Return the incident under this id if it is this very drill, None if the id is free."""
    if incident_id is None:
        return None
    try:
        events = store.timeline(incident_id)
    except NotFoundError:
        return None
    if drill_of(events) == drill.name:
        return store.incident(incident_id)
    raise InputError(
        f"INC-{incident_id} exists already and is not the drill {drill.name}",
        hint="choose another --id, or leave it out to get the next free one",
    )


def _open(store: Store, drill: Drill, incident_id: int | None) -> Incident:
    head = drill.recorded["incident"]
    incident = store.open_incident(
        head["title"],
        incident_type=head["type"],
        severity=head["severity"],
        actor=head["actor"],
        incident_id=incident_id,
        opened_at=head["opened_at"],
        started_at=head.get("started_at"),
        detected_at=head["detected_at"],
        owner=head.get("owner"),
        impact=head.get("impact"),
    )
    for event in drill.recorded["event"]:
        store.append(
            incident.id,
            EventKind(event["kind"]),
            actor=event["actor"],
            at=event["at"],
            text=event.get("text", ""),
            evidence=tuple(event.get("evidence", ())),
            data=event.get("data", {}),
        )
    # last, so that a filing cut short is not taken for a whole one: it is found by this row
    text = f"Filed from the drill {drill.name}: a recording of a real incident, not a live one"
    store.append(incident.id, EventKind.NOTE, actor="irkit", text=text, data={DRILL: drill.name})
    return store.incident(incident.id)
