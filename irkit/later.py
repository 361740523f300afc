"""The evidence collected after a bundle: what became of the service since, which that bundle cannot know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.errors import BundleError
from irkit.manifest import read_manifest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


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
