"""Which bundle of an incident a report rests on, and those collected after it: what that one cannot know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.bundle.manifest import read_manifest
from irkit.errors import BundleError
from irkit.runbook.steps import began_anew, is_attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from irkit.model import Event, Incident


def bundle_in_use(incident: Incident, folders: Sequence[Path], timeline: Iterable[Event] = ()) -> Path:
    """Return the bundle a report rests on: the last one collected before anybody tried to mend the service.

    What is collected after an attempt shows that attempt, and an Engine that forgets may show nothing of the breakage
    any more. An attempt is an action that changes something, a recorded step of the runbook, or the mitigation; of one
    that was mitigated and taken up again those since count. Where all were collected after it the first is taken,
    where nobody has tried yet the newest.

    Raises:
        BundleError: a manifest cannot be read that may be the one; those of older bundles are not asked.
    """
    ended = incident.eased_at
    events = tuple(timeline)
    again = began_anew(events)
    attempts = [event.at for event in events if is_attempt(event) and (again is None or event.at >= again)]
    tried = min([*attempts, *([ended] if ended else [])], default=None)
    before = (one for one in reversed(folders) if tried is None or read_manifest(one).created_at <= tried)
    return next(before, folders[0])


def later_bundles(home: Path, first: Bundle, until: datetime) -> tuple[Bundle, ...]:
    """Return the incident's bundles collected after `first`, oldest first, up to the one that reaches `until`.

    None where `first` reaches it itself. Of a bundle and its redacted copy the original is taken; one that cannot be
    trusted is left out.
    """
    made: list[Bundle] = []
    if first.window.end >= until:
        return ()
    for folder in bundles_of(home, first.manifest.incident_id):
        try:
            if read_manifest(folder).created_at <= first.manifest.created_at:
                continue
            bundle = open_bundle(folder)
        except BundleError:
            continue
        if made and made[-1].manifest.created_at == bundle.manifest.created_at:
            made.pop()  # the copy, which comes before its original
        elif made and made[-1].window.end >= until:
            break
        made.append(bundle)
    return tuple(made)
