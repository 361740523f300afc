"""What a postmortem still lacks before it is shown to others: pure checks of an incident's timeline.

After Google's and Etsy's published advice on blameless postmortems: owners and dates for what is promised, impact in
numbers, causes in conditions and not in people, and every claim with what it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from irkit.errors import InputError, IrkitError
from irkit.followup.action_items import NO_DATE, SECTION, items
from irkit.followup.notes import in_force, is_false_alarm
from irkit.lifecycle import check_order
from irkit.model import Event, EventKind, Incident
from irkit.text.message import fit, one_line
from irkit.times import format_time

_SHOWN_CHARS = 60
_ACTING = frozenset({EventKind.ACTION, EventKind.ESCALATION})
_QUANTITY = re.compile(r"\d|\b(?:all|every|none|no|nobody|one|two|three|half|third|quarter)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\b(?:TODO|TBD|FIXME|XXX|tbc)\b|\?{3}|lorem ipsum|<[a-z ]{3,30}>", re.IGNORECASE)
# what names a person's failing where a condition of the system belongs
_BLAME = re.compile(
    r"\b(?:human error|user error|operator error|should(?:n't| not)? have|could have known|fail(?:ed|s|ure) to follow"
    r"|forgot|careless\w*|negligen\w*|incompeten\w*|sloppy|lazy|stupid\w*|idiot\w*|blame\w*|culprit|at fault"
    r"|(?:his|her|their|whose|my|your) (?:fault|mistake)|mistake (?:by|of)|obviously|simply had to)\b",
    re.IGNORECASE,
)
_BLAMED_VERBS = r"(?:broke|caused|crashed|deleted|messed|screwed|ruined|neglected|ignored|missed|failed)"
# what says why or how much, and so wants something it rests on
_CLAIM = re.compile(
    r"\b(?:because|caus(?:e|ed|es|ing)|due to|led to|result(?:ed|s) (?:in|from)|triggered)\b|\d\s*%", re.IGNORECASE
)
_CLAIMING = ("what-happened", "trigger", "contributing-factor", "detection")
_SOURCE = re.compile(r"https?://|\b[a-z][a-z0-9-]+/[a-z0-9_]+\b|\bbundle\b|\b[0-9a-f]{7,40}\b")
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\b")
# an hour hand that falls by more than this has passed midnight
_MIDNIGHT_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing a postmortem lacks: by which rule, where, what, and how to mend it."""

    rule: str
    where: str
    sentence: str
    hint: str


def lint(  # noqa: PLR0913 (what is known of an incident beside its timeline)
    incident: Incident,
    timeline: Sequence[Event],
    unwritten: Sequence[str],
    *,
    has_evidence: bool,
    damage: Sequence[IrkitError] = (),
    first_sign: datetime | None = None,
    began_unseen: bool = False,
) -> tuple[Lack, ...]:
    """Return what the postmortem of an incident lacks, in the report's order of reading; a false alarm lacks nothing.

    `unwritten` names the parts only people can write and nobody has; `has_evidence` says whether any was collected,
    `damage` which of it is gone or cannot be trusted, and `first_sign` since when it shows the symptoms, or
    from then or before where it `began_unseen`.
    """
    if is_false_alarm(timeline):
        return ()
    timeline = in_force(timeline)
    found = [
        *_impact(incident, timeline),
        *_order(incident, timeline, first_sign, began_unseen=began_unseen),
        *_words(incident, timeline),
        *_evidence(incident, has_evidence=has_evidence, damage=damage),
        *_claims(timeline),
        *_promises(incident, timeline),
    ]
    # what is asked for above need not be asked for twice
    left = [slug for slug in unwritten if slug not in {"impact", SECTION}]
    found += [
        Lack("unwritten", slug, "nobody has written it", f'irkit note {incident.id} --section {slug} "…"')
        for slug in left
    ]
    return tuple(found)


def _impact(incident: Incident, timeline: Sequence[Event]) -> Iterator[Lack]:
    told = " ".join(filter(None, [incident.impact, *(text for _, text in _written(timeline, "impact"))]))
    hint = f'irkit note {incident.id} --section impact "312 of 2,000 customers could not pay for 36 minutes"'
    if not told:
        yield Lack("impact", "impact", "nobody says who could not do what", hint)
    elif not _QUANTITY.search(told):
        yield Lack("impact", "impact", f"no number in “{_shown(told)}”: how many, and for how long?", hint)


def _order(
    incident: Incident, timeline: Sequence[Event], first_sign: datetime | None, *, began_unseen: bool
) -> Iterator[Lack]:
    amend = f"irkit amend {incident.id}"
    try:
        check_order(incident)
    except InputError as error:
        yield Lack("order", "milestones", str(error), f"{amend} sets a time right")
    if incident.started_at is None:
        if first_sign and first_sign >= incident.noticed_at:
            first_sign = None
        word = "at or before" if began_unseen else "since"
        seen = f"; the evidence shows it {word} {format_time(first_sign)}" if first_sign else ""
        when = f"{first_sign:%Y-%m-%dT%H:%M:%SZ}" if first_sign and not began_unseen else "TIME"
        said = f"nobody recorded when users were first affected{seen}"
        yield Lack("order", "milestones", said, f"{amend} started_at {when}")
    over = incident.closed_at or incident.resolved_at
    for event in timeline:
        acting = event.kind is EventKind.ACTION or "step" in event.data
        if acting and incident.started_at and event.at < incident.started_at:
            said = f"{_shown(event.text)} at {format_time(event.at)}, before it started"
            yield Lack("order", "timeline", said, f"{amend} started_at TIME, or record the step again with --at")
        elif acting and over and event.at > over:
            said = f"{_shown(event.text)} at {format_time(event.at)}, after it was over"
            yield Lack("order", "timeline", said, "record it again with --at where it was entered late")
    for _, text in _written(timeline, "what-happened"):
        for earlier, later in pairwise(_CLOCK.finditer(text)):
            if 0 < _seconds(earlier) - _seconds(later) < _MIDNIGHT_S:
                said = f"{later[0]} is told after {earlier[0]}"
                yield Lack("order", "what-happened", said, "tell it in order, from the first cause to the last effect")


def _words(incident: Incident, timeline: Sequence[Event]) -> Iterator[Lack]:
    people = {event.actor for event in timeline if event.kind not in _ACTING} | {incident.owner or ""}
    names = "|".join(re.escape(name) for name in sorted(people) if len(name) > 1)
    accused = re.compile(rf"\b(?:{names}|he|she)\s+{_BLAMED_VERBS}\b", re.IGNORECASE) if names else None
    texts = [("title", incident.title), ("impact", incident.impact or ""), *_written(timeline)]
    for where, text in texts:
        for match in _BLAME.finditer(text):
            yield _blame(where, match[0])
        for match in accused.finditer(text) if accused else ():
            yield _blame(where, match[0])
        for match in _PLACEHOLDER.finditer(text):
            hint = f'irkit note {incident.id} --section {where} --instead "…" takes its place'
            yield Lack("placeholder", where, f"“{_shown(match[0])}” is left in the text", hint)


def _blame(where: str, said: str) -> Lack:
    hint = "say which condition let it happen, what the system allowed or hid; irkit note … --instead replaces it"
    return Lack("blame", where, f"“{_shown(said)}” speaks of a person's failing", hint)


def _evidence(incident: Incident, *, has_evidence: bool, damage: Sequence[IrkitError]) -> Iterator[Lack]:
    if not has_evidence and not damage:
        yield Lack("evidence", "report", "no evidence was collected", f"irkit collect {incident.id}")
    for error in damage:
        yield Lack("evidence", "report", str(error), error.hint)


def _claims(timeline: Sequence[Event]) -> Iterator[Lack]:
    for event in timeline:
        where = _section(event)
        if where in _CLAIMING and _CLAIM.search(event.text) and not event.evidence and not _SOURCE.search(event.text):
            hint = "name what it rests on: an evidence id of the report's index, a link, or --evidence with the note"
            yield Lack("evidence", where, f"“{_shown(event.text)}” rests on nothing that can be looked at", hint)


_OPTIONS = {
    "an owner": "--owner NAME",
    "a due date": "--due DATE",
    "a word on how it shows that it is done": '--done-when "…"',
}


def _promises(incident: Incident, timeline: Sequence[Event]) -> Iterator[Lack]:
    found, add = items(timeline), f'irkit action-item add {incident.id} "…" --owner NAME --due DATE'
    if not found:
        yield Lack("action-item", SECTION, "nothing is promised", add)
    for number, item in enumerate(found, 1):
        lacks = [
            name
            for name, missing in (
                ("an owner", not item.owner),
                ("a due date", item.due == NO_DATE),
                ("a word on how it shows that it is done", not item.done_criterion),
            )
            if missing
        ]
        if lacks and item.done_at is None:
            said = f"{number}. “{_shown(item.text)}” has no {' and no '.join(one.partition(' ')[2] for one in lacks)}"
            yield Lack(
                "action-item", SECTION, said, f"irkit action-item amend {incident.id} {number} {_OPTIONS[lacks[-1]]}"
            )


def _written(timeline: Sequence[Event], slug: str = "") -> Iterator[tuple[str, str]]:
    for event in timeline:
        where = _section(event)
        if where and slug in {"", where}:
            yield where, event.text


def _section(event: Event) -> str:
    return str(event.data.get("section") or "") if event.kind is EventKind.NOTE else ""


def _seconds(match: re.Match[str]) -> int:
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


def _shown(text: str) -> str:
    return fit(one_line(text), _SHOWN_CHARS)
