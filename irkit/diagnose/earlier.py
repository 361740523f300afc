"""What earlier bundles of an incident show of its beginning: what is collected later may not know it any more.

A container that is replaced takes its logs with it, so after a rollback the same trouble seems to begin later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.bundle.manifest import read_manifest
from irkit.diagnose.unanswered import with_unanswered
from irkit.diagnose.verdicts import ENGINE_CHECKS, Diagnosis, Earlier, telling_start
from irkit.errors import BundleError
from irkit.model import VerdictState
from irkit.onset.past import past
from irkit.runbook.steps import began_anew

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from irkit.diagnose.verdicts import Hypothesis
    from irkit.model import Event, Finding


def with_beginning(  # noqa: PLR0913, PLR0917 (a bundle, where the others are, and how each is looked at)
    found: Diagnosis,
    evidence: Bundle,
    home: Path,
    timeline: Iterable[Event],
    diagnose: Callable[[Bundle], Diagnosis],
    weigh: Callable[[Sequence[Finding]], tuple[Hypothesis, ...]],
) -> Diagnosis:
    """Return what a bundle shows, beginning no later than any earlier bundle of the incident's same spell shows.

    Only the beginning is of those, and what the engine's few checks showed that it keeps no more (the findings are then
    weighed anew by `weigh`): all else a later look knows better. Where it was mended in between and taken up
    again, they show another spell. One that cannot be trusted is told in `unread`, and the others are asked all the
    same.
    """
    unread: list[str] = []
    made = found
    for bundle in earlier_bundles(home, evidence, timeline, lambda error: unread.append(str(error))):
        seen = diagnose(bundle)
        if shown := _of_the_same(seen, found):
            made = _sooner(made, bundle, seen, shown)
        kept = tuple(_kept(item, bundle, seen) for item in made.findings)
        if kept != made.findings:
            kept = with_unanswered(kept, None)
            made = replace(made, findings=kept, ranking=weigh(kept))
    if made.earlier and made.onset and made.onset.earliest > made.earlier.since:
        made = replace(made, onset=None, onset_bundle="")  # on that signals agree which came after it had begun
    return replace(made, unread=tuple(unread)) if unread else made


def earlier_bundles(
    home: Path, evidence: Bundle, timeline: Iterable[Event], on_broken: Callable[[BundleError], None]
) -> Iterator[Bundle]:
    """Yield the incident's bundles that were collected before one and since it was last taken up again, oldest first.

    Of a bundle and what was made of it the last is taken, and the one before where that cannot be trusted.
    """
    collected = evidence.manifest.created_at
    spell = began_anew(event for event in timeline if event.at <= collected)
    alike: dict[datetime, list[Path]] = {}
    for folder in bundles_of(home, evidence.manifest.incident_id):
        try:
            at = read_manifest(folder).created_at
        except BundleError as error:
            if folder.name < evidence.path.name:  # all that is left to tell when it was collected
                on_broken(error)
            continue
        if at < collected and (spell is None or at >= spell):
            alike.setdefault(at, []).insert(0, folder)
    for folders in alike.values():
        yield from _first_trusted(folders, on_broken)


def _first_trusted(folders: Iterable[Path], on_broken: Callable[[BundleError], None]) -> Iterator[Bundle]:
    for folder in folders:
        try:
            bundle = open_bundle(folder)
        except BundleError as error:
            on_broken(error)
            continue
        yield bundle
        return


def _of_the_same(seen: Diagnosis, found: Diagnosis) -> tuple[Finding, ...]:
    """Return what shows the likeliest type of an earlier bundle, but for what was over before what goes on now began.

    It need not be the type that is likeliest now: the one breakage shows differently once half of it is gone.
    """
    shown = [item for item in telling_start(seen.ranking) if item.verdict.onset]
    lasting = [item for item in found.findings if item.verdict.until is None]
    return tuple(item for item in shown if item.symptom not in past((item, *lasting)))


def _kept(finding: Finding, bundle: Bundle, seen: Diagnosis) -> Finding:
    """Return what an earlier bundle's checks of the engine found in place of a `clear`: it keeps the last five."""
    before = next((item for item in seen.findings if item.symptom == finding.symptom), finding)
    was, collected = before.verdict, bundle.manifest.created_at
    if finding.verdict.state is not VerdictState.CLEAR or was.state is not VerdictState.FOUND:
        return finding
    if not was.numbers.get(ENGINE_CHECKS):
        return finding
    said = f"that is by bundle {bundle.id}: since then the engine has dropped those checks, of which it keeps a few"
    sentence = f"{was.sentence.rstrip('.')}; {said}."
    # those of the other bundle go by the same names as those of this one
    return replace(finding, verdict=replace(was, sentence=sentence, until=collected), evidence=())


def _sooner(made: Diagnosis, bundle: Bundle, seen: Diagnosis, shown: tuple[Finding, ...]) -> Diagnosis:
    since = min(item.verdict.onset for item in shown if item.verdict.onset)
    if made.first_sign is None or since < made.first_sign:
        first = tuple(replace(item, evidence=()) for item in shown if item.verdict.onset == since)
        manifest = bundle.manifest
        made = replace(made, earlier=Earlier(bundle.id, manifest.seal, manifest.created_at, since, first))
    if seen.onset and (made.onset is None or seen.onset.latest < made.onset.earliest):
        made = replace(made, onset=seen.onset, onset_unknown="", onset_bundle=bundle.id)
    return made
