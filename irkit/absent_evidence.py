"""What stands where evidence is not: which of an incident's bundles are gone, and a bundle that says nobody looked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from irkit.bundle import Bundle, bundle_folder, bundles_of
from irkit.bundle.manifest import FORMAT_VERSION, REDACTED_SUFFIX, Manifest
from irkit.errors import NotFoundError
from irkit.model import Event, Incident, Outcome, Window
from irkit.settings import Settings


def missing_bundles(incident: Incident, told: Iterable[Event], settings: Settings) -> tuple[NotFoundError, ...]:
    """Return an error for each bundle that the timeline tells of and that is neither here nor as a redacted copy."""
    where = bundle_folder(settings.home, incident.id)
    here = {folder.name.removesuffix(REDACTED_SUFFIX) for folder in bundles_of(settings.home, incident.id)}
    named = dict.fromkeys(str(event.data["bundle"]) for event in told if event.data.get("bundle"))
    gone = [name for name in named if name.removesuffix(REDACTED_SUFFIX) not in here]
    hint = "put it back, or take it from where it was sent to: irkit bundle import FILE"
    return tuple(
        NotFoundError(f"evidence is gone: the timeline tells of bundle {name}, and it is not in {where}", hint=hint)
        for name in gone
    )


def empty_bundle(incident: Incident, settings: Settings, window: Window, now: datetime, why: str) -> Bundle:
    """Return a bundle that was never sealed and holds only the rows saying that nobody looked."""
    from irkit.collect.engine import not_run, plan

    looks, _ = plan(settings)
    runs = tuple(not_run(look, now, Outcome.SKIPPED, why) for look in looks)
    manifest = Manifest(FORMAT_VERSION, version("irkit"), "none", incident.id, window, now, runs, ())
    return Bundle(Path(), manifest)
