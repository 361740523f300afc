"""Heap snapshots as evidence of an incident: filed under irkit's home, and added to the bundle its report rests on."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from irkit import workspace
from irkit.bundle import Bundle, bundle_folder, bundles_of, later, open_bundle, with_evidence_of
from irkit.bundle.staging import own_folder
from irkit.collect.engine import collect
from irkit.errors import IrkitError
from irkit.memory.attach import Attached, Plan, attach
from irkit.memory.heap_filing import Kept, keep
from irkit.model import EventKind, Incident, Window
from irkit.redact import KEY_NAME, installation_key
from irkit.settings import Settings

COLLECTOR = "heap-snapshots"


def file(  # noqa: PLR0913 (what, whose, where, by whom and when)
    files: Sequence[Path], incident: Incident, settings: Settings, *, actor: str, now: datetime, move: bool = False
) -> tuple[tuple[Kept, ...], Bundle | None]:
    """File snapshots with an incident: what they say, and the bundle that has it now; None where none was collected.

    A sealed bundle is never changed: the one that the report rests on is copied with the heap beside it, and the copy
    counts as collected when the original was, so that a snapshot taken after a restart names the owner all the same.
    The next `irkit collect` takes what was filed, too.

    Raises:
        SnapshotError: a file is no sound snapshot, or cannot be kept.
        CollectError, BundleError, StoreError: the evidence cannot be redacted, sealed or noted.
    """
    kept = keep(files, settings.heap_snapshots, move=move)
    folders = bundles_of(settings.home, incident.id)
    found = None
    if folders:
        timeline = workspace.timeline(incident, settings=settings)
        source = open_bundle(later.bundle_in_use(incident, folders, timeline))
        found = _added(source, kept, incident, settings, now)
    workspace.store(settings).append(
        incident.id,
        EventKind.EVIDENCE,
        at=None,
        actor=actor,
        text=_told(kept, found),
        data={"bundle": found.id, "seal": found.manifest.seal} if found else {},
    )
    return kept, found


def attached(  # noqa: PLR0913 (as `file`)
    plan: Plan, path: Path, incident: Incident, settings: Settings, *, actor: str, deadline_s: float
) -> Attached:
    """Attach and take a snapshot; that it is done is on the timeline before it is, and after it what it took.

    Raises:
        StoreError: it cannot be noted; then nothing is done.
        NotFoundError, SnapshotError: as `irkit.memory.attach.attach`.
    """
    store, data = workspace.store(settings), {"attach": plan.target.pid}

    def note(text: str) -> None:
        store.append(incident.id, EventKind.NOTE, actor=actor, text=text, data=data)

    note(f"Attaching to {plan.title} by {plan.way}, for a snapshot of its heap")
    try:
        done = attach(plan, path, deadline_s=deadline_s)
    except IrkitError as error:
        note(f"Attaching to {plan.title} failed: {error}")
        raise
    note(f"Attached to {plan.title}: {done.told}")
    return done


def _added(source: Bundle, kept: Sequence[Kept], incident: Incident, settings: Settings, now: datetime) -> Bundle:
    """Let the collector read what was filed, redacted as all evidence is, and put it beside the rest."""
    # what was asked to be filed is taken whole, also where the clock of the machine it was taken on is ahead of ours
    window = Window(
        min([source.window.start, *(one.first_at for one in kept)]), max([now, *(one.last_at for one in kept)])
    )
    with own_folder(Path(tempfile.gettempdir()), "heap") as folder:
        aside = replace(settings, home=folder.path, heap_folder=str(settings.heap_snapshots))
        # the same key, so that a placeholder means the same secret as in the rest of the bundle
        (folder.path / KEY_NAME).write_bytes(installation_key(settings.home))
        heap = collect(aside, incident.id, window, bundle_id="heap", now=now, only=(COLLECTOR,))
        destination = bundle_folder(settings.home, incident.id) / workspace.new_bundle_id(now)
        return with_evidence_of(source, heap, COLLECTOR, destination, now)


def _told(kept: Sequence[Kept], bundle: Bundle | None) -> str:
    first = next((one["sentence"] for each in kept for one in each.findings["suspects"]), "no leak suspect")
    where = f"into bundle {bundle.id}" if bundle else "for the next `irkit collect`"
    return f"Heap snapshot filed {where}: {first.replace('`', '')}"
