"""The site of all reports: a page an incident, an index, a feed.

Nothing is made twice: what a page was made from is kept as a digest beside it. Each file is put in place whole, pages
first and the index last, and what is not published any more is taken away after that: whenever this is broken off, the
index leads to pages that are there.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from irkit import reviewing, workspace
from irkit.bundle.staging import own_folder
from irkit.model import Incident, utc_now
from irkit.notebooks import batch
from irkit.site.entry import Entry, Lacking, digest_of, entry_of, from_json, lacking, makings, to_json
from irkit.site.pages import FEED, INDEX, feed, index
from irkit.site.place import Place

if TYPE_CHECKING:
    from irkit.settings import Settings

STATE = "site.json"


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication did: pages made anew, kept as they were, taken away; drafts left out; what failed, and why.

    `drafts` tells what each of them lacks, `removed` whether the page was that of a draft already.
    """

    made: tuple[int, ...]
    kept: tuple[int, ...]
    removed: Mapping[int, bool]
    drafts: Mapping[int, Lacking]
    failed: Mapping[int, tuple[str, str]]


@dataclass(slots=True)
class _Plan:
    """What is to become of each incident of the site."""

    entries: dict[int, Entry] = field(default_factory=dict)
    to_make: dict[int, tuple[Incident, str]] = field(default_factory=dict)
    drafts: dict[int, Lacking] = field(default_factory=dict)


def publish(  # noqa: PLR0913 (what a publication is asked for)
    place: Place,
    ids: Sequence[int],
    *,
    settings: Settings,
    every: bool = False,
    drafts: bool = False,
    base_url: str = "",
) -> Published:
    """Bring a site up to date with the reports of incidents; what it holds besides stays, page and row, as it is.

    With `every` those that it holds already are looked at, too. Drafts are left out unless `drafts`: of one that was
    published before, the page is taken away with `every`, and stays as it is without; where nothing else is asked for,
    nothing is written, so that no site without a report begins. `base_url` is where the site will be, for the feed's
    links. The evidence is that which was collected; nothing is collected for a page. What was published from another
    store stays as it is. In a folder, one publication waits for the other.

    Raises:
        NotFoundError: there is no such incident.
        OSError: the place cannot be written.
    """
    asked = [workspace.incident(number, settings=settings) for number in ids]
    if asked and not every and not drafts:
        lacks = {one.id: lacking(one, workspace.timeline(one, settings=settings)) for one in asked}
        left = {number: what for number, what in lacks.items() if what}
        if left.keys() == lacks.keys():
            return Published((), tuple(from_json(place.read(STATE))), {}, left, {})
    with place.alone():
        return _publish(place, ids, settings, every=every, drafts=drafts, base_url=base_url)


def _publish(  # noqa: PLR0913 (what a publication is asked for)
    place: Place, ids: Sequence[int], settings: Settings, *, every: bool, drafts: bool, base_url: str
) -> Published:
    known = from_json(place.read(STATE))
    there = {one.id for one in workspace.incidents(settings=settings)}
    plan = _planned(place, sorted({*ids, *(known.keys() & there if every else ())}), known, settings, drafts=drafts)
    # an incident is never deleted from a store: what this one does not know came from another
    staying = known.keys() - (there if every else plan.to_make.keys())
    plan.entries |= {number: known[number] for number in staying}
    kept, failed = tuple(plan.entries), dict[int, tuple[str, str]]()
    with own_folder(Path(tempfile.gettempdir()), "site") as folder:
        for made in batch.reports(plan.to_make, folder.path, {"collect": "never"}):
            if made.page is None:
                failed[made.incident_id] = (made.sentence, made.hint)
                if made.incident_id in known:  # what was published stays until there is something better
                    plan.entries[made.incident_id] = known[made.incident_id]
                continue
            page = made.page.read_bytes()
            entry = entry_of(*plan.to_make[made.incident_id], page, settings)
            place.write(entry.file, page)
            plan.entries[entry.incident_id] = entry
    chosen = sorted(plan.entries.values(), key=lambda one: (one.detected_at, one.incident_id), reverse=True)
    ours = plan.entries.keys() & there
    trends = reviewing.review(ids=ours, settings=settings) if ours else None
    if chosen or known or not failed:  # none of a site begins with what could not be made
        _write_changed(place, FEED, feed(chosen, base_url))
        _write_changed(place, INDEX, index(chosen, trends, workspace.load_runbook(settings)))
        _write_changed(place, STATE, to_json(chosen))
    gone = {number: known[number].draft for number in known if number not in plan.entries}
    for number in gone:
        place.remove(known[number].file)
    made_anew = tuple(number for number in plan.entries if number in plan.to_make and number not in failed)
    return Published(made_anew, kept, gone, plan.drafts, failed)


def _planned(
    place: Place, ids: Iterable[int], known: Mapping[int, Entry], settings: Settings, *, drafts: bool
) -> _Plan:
    """Say which pages are to be made, and which are as they were made and made from what they would be made from."""
    plan, shared = _Plan(), makings(settings)
    for number in ids:
        incident = workspace.incident(number, settings=settings)
        told = workspace.timeline(incident, settings=settings)
        lacks = None if drafts else lacking(incident, told)
        if lacks:
            plan.drafts[number] = lacks
            continue
        digest, earlier = digest_of(incident, told, shared, settings, utc_now()), known.get(number)
        page = place.read(earlier.file) if earlier and earlier.made_of == digest else None
        if earlier and page is not None and hashlib.sha256(page).hexdigest() == earlier.sha256:
            plan.entries[number] = earlier
        else:
            plan.to_make[number] = (incident, digest)
    return plan


def _write_changed(place: Place, name: str, data: bytes) -> None:
    if place.read(name) != data:
        place.write(name, data)
