"""What was changed shortly before it began: containers replaced, created, stopped or removed, limits of memory.

Most outages follow a change, so it is the first question of who is called; but what came before is no proof of a cause,
and nothing here says so.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.diagnose.loaded import rows_in
from irkit.diagnose.service_checks import asked_for, crashed
from irkit.recorder.container_settings import IMAGE, but_the_image, told
from irkit.records import Row, in_order, number_of, text_of, time_of
from irkit.text.phrase import clock, listing, size, were
from irkit.times import format_duration

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource

# what was changed longer ago has been well since
_BEFORE = timedelta(hours=1)
# Compose stops the old container, which may be the first sign, before it makes the new one
_AS_IT_BEGAN = timedelta(seconds=30)
_TOGETHER = timedelta(minutes=2)
# what is stopped or restarted in one go takes no longer from one container to the next
_AT_ONCE = timedelta(seconds=20)
# a container's own word on when it was created, and that of its event
_SAME = timedelta(seconds=2)
_MOST = 3
_CREATED = "created"
_REPLACED = "replaced by a new container"
_STOPPED, _RESTARTED, _REMOVED = "stopped on request", "restarted on request", "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """When which services were changed, what was done ("replaced by a new container of jarvis:2"), in which kind.

    `before` is the image that a replaced container was of, where that is another than what runs now; `same` says that
    the images are one. `differs` names in which settings besides the image it differs, where the recorder saw both.
    `early` is how long before the first sign it was, `after` what followed, in words that go on the sentence.
    """

    at: datetime
    services: tuple[str, ...]
    what: str
    kind: str
    before: str = ""
    same: bool = False
    differs: tuple[str, ...] = ()
    early: timedelta = timedelta()
    after: str = ""

    @property
    def way_back(self) -> str:
        """How a replacement is taken back, without a full stop; nothing where it is not known, or has been."""
        again = f"`docker-compose up -d --no-deps {shlex.join(self.services)}`"
        if self.before:
            line = f"`image: {self.before}` for {listing(self.services)}"
            more = " and all else that differs as it was before" if self.differs else ""
            return f"the way back is {line}{more} in the compose file, then {again}"
        if self.same and self.differs:
            return f"the way back is to undo that in the compose file and the files it names, then {again}"
        if self.same:
            return (
                "what differs is its environment, its command or its mounts: compare the compose file with the last one"
            )
        return f"{again} makes it anew" if self.what == _REMOVED else ""

    @property
    def sentence(self) -> str:
        """Tell it against the first sign, without a full stop."""
        soon = self.early < timedelta(seconds=1)
        when = "as it began" if soon else f"{format_duration(self.early)} before the first sign"
        who = f"{listing(self.services)} {were(len(self.services))}"
        said = f"{who} {self.what} at {clock(self.at)}, {when}{self.after}"
        return f"{said}; what differs from before: {listing(self.differs)}" if self.differs else said


def changes_before(
    evidence: EvidenceSource, onset: datetime | None, noticed_at: datetime | None = None
) -> tuple[Change, ...]:
    """Return what was changed in the hour before `onset`, or as it began, the latest first and three at most.

    What was changed after it was noticed is what was done about it, also where the evidence shows it from then on only.
    What Compose did at once to several services is one change. That all of them were created is none: before that there
    was nothing to be changed. Without an onset there is nothing before it.
    """
    if onset is None:
        return ()
    events = [row for row in rows_in(evidence, "container_events") if time_of(row, "at")]
    containers = rows_in(evidence, "containers")
    made = _made(containers, events, in_order(rows_in(evidence, "container_history")))
    found = [*made, *_stopped(events), *_removed(containers, events), *_limited(evidence)]
    # what was before the window is another incident's, and its events are not here
    begin = max(onset - _BEFORE, evidence.window.start)
    end = min(onset + _AS_IT_BEGAN, noticed_at or onset + _AS_IT_BEGAN)
    near = [one for one in found if begin <= one.at <= end]
    grouped: dict[tuple[str, str, tuple[str, ...]], list[Change]] = defaultdict(list)
    for one in sorted(near, key=lambda one: one.at):
        alike = grouped[one.what, one.after, one.differs]
        apart = _TOGETHER if one.what.startswith((_REPLACED, _CREATED)) else _AT_ONCE
        if alike and one.at - alike[-1].at <= apart:
            services = tuple(dict.fromkeys([*alike[-1].services, *one.services]))
            alike[-1] = replace(one, services=services)
        else:
            alike.append(one)
    every = [one for alike in grouped.values() for one in alike]
    replaced = {name for one in every if one.what.startswith(_REPLACED) for name in one.services}
    others = {_whose(row) for row in containers} - replaced
    every = [one for one in every if not (one.what.startswith(_CREATED) and others.issubset(one.services))]
    latest = sorted(every, key=lambda one: one.at, reverse=True)[:_MOST]
    return tuple(replace(one, early=onset - one.at) for one in latest)


def _made(containers: list[Row], events: list[Row], history: list[Row]) -> Iterator[Change]:
    """Yield when each container was created, those that are gone since, too; one of its service went: a replacement."""
    made = [(at, row) for row in containers if (at := time_of(row, "created_at"))]
    now = {_whose(row): text_of(row, "image") for row in containers}
    creations = [row for row in events if row.get("action") == "create"]
    # what was rolled back since is known by its event alone
    made += [(event["at"], event) for event in creations if not any(_is_of(event, at, row) for at, row in made)]
    gone = _gone_for(made, events)
    for place, (at, row) in enumerate(made):
        old, image = gone.get(place), text_of(row, "image")
        before = text_of(old, "image") if old else ""
        differs = _differs(history, _whose(row), at, [other for other, one in made if _whose(one) == _whose(row)])
        own_id = next((text_of(event, "image_id") for event in creations if _is_of(event, at, row)), "")
        same = bool(old and own_id and own_id == text_of(old, "image_id")) or bool(differs and IMAGE not in differs)
        what = f"{_REPLACED}{f' of {image}' if image else ''}" if old or differs else _CREATED
        if before == image != "":
            other = "another image of that name" if IMAGE in differs else "the one before was called so, too"
            what += f" ({'of the same image' if same else other})"
        elif before:
            what += f" (before: {before}, which is the same image)" if same else f" (before: {before})"
        back = before if before not in {image, now.get(_whose(row))} and not same else ""
        kind = "container_events" if "action" in row else "containers"
        known = same and (before != image or bool(differs))
        yield Change(at, (_whose(row),), what, kind, back, known, but_the_image(differs) if before else differs)


def _differs(history: list[Row], service: str, at: datetime, made: list[datetime]) -> tuple[str, ...]:
    """Return in what the flight recorder saw a container that was made at a time differ from the one before it."""
    until = min((other for other in made if other > at + _SAME), default=None)
    own = [row for row in history if _whose(row) == service and text_of(row, "differs_in")]
    # the one before may run on while the new one is made; what could not be started has no such time
    new = (row for row in own if row["at"] >= at and (time_of(row, "started_at") or at) >= at)
    found = next(new, None)
    return told(text_of(found, "differs_in")) if found and (until is None or found["at"] < until) else ()


def _is_of(creation: Row, at: datetime, container: Row) -> bool:
    """Say whether an event tells of the creation of a container that was made at a time."""
    return _whose(creation) == _whose(container) and abs(creation["at"] - at) <= _SAME


def _gone_for(made: list[tuple[datetime, Row]], events: list[Row]) -> dict[int, Row]:
    """Return by the place of each container that was made the end of the one that it replaced.

    Each end belongs to what was made nearest to it: a container that lived for a minute has replaced nothing.
    """
    found: dict[int, Row] = {}
    for event in (row for row in events if row.get("action") == "destroy"):
        own = [(abs(event["at"] - at), place) for place, (at, row) in enumerate(made) if _whose(row) == _whose(event)]
        if own and min(own)[0] <= _TOGETHER:
            found.setdefault(min(own)[1], event)
    return found


def _limited(evidence: EvidenceSource) -> Iterator[Change]:
    """Yield where the flight recorder saw a limit of memory change: of Redis' own, and of a container."""
    for kind, column, limit in (
        ("redis_history", "max_memory_bytes", "maxmemory"),
        ("container_history", "memory_limit_bytes", "memory limit"),
    ):
        before: dict[tuple[str, object], Row] = {}
        for row in in_order(rows_in(evidence, kind)):
            # of a container that does not run yet none is known; Redis says so where it has none
            if row.get(column) is None and kind == "container_history":
                continue
            name = _whose(row) or "Redis"
            # another run of it is a replacement, which is told as such
            key = (name, row.get("started_at"))
            known = before.get(key)
            if known is not None and known.get(column) != row.get(column):
                was, now = (size(value) if (value := number_of(one, column)) else "none" for one in (known, row))
                yield Change(row["at"], (name,), f"given a {limit} of {now} (before: {was})", kind)
            before[key] = row


def _stopped(events: list[Row]) -> Iterator[Change]:
    """Yield the ends that somebody asked for, with what followed; a container that was removed since is told as such.

    A restart is one request, of which the engine says so; what is stopped and started later is not restarted.
    """
    for end in (row for row in events if row.get("action") == "die" and not crashed(row, events)):
        own = [row for row in events if row.get("name") == end.get("name") and row["at"] > end["at"]]
        follows = next((row for row in own if row.get("action") in {"start", "create", "destroy"}), None)
        started = follows["at"] if follows and follows["action"] == "start" else None
        if started and (started - end["at"] <= _SAME or _is_restart(own, started)):
            yield Change(end["at"], (_whose(end),), _RESTARTED, "container_events")
        elif started and asked_for(end, events):
            after = f", and started again {format_duration(started - end['at'])} later"
            yield Change(end["at"], (_whose(end),), _STOPPED, "container_events", after=after)
        elif follows is None and asked_for(end, events):
            yield Change(end["at"], (_whose(end),), _STOPPED, "container_events", after=", and not started since")


def _is_restart(own: list[Row], started: datetime) -> bool:
    return any(row.get("action") == "restart" and abs(row["at"] - started) <= _SAME for row in own)


def _removed(containers: list[Row], events: list[Row]) -> Iterator[Change]:
    """Yield where somebody removed the last container of a service, of which there is none now."""
    here = {_whose(row) for row in containers}
    for row in (one for one in events if containers and one.get("action") == "destroy" and _whose(one) not in here):
        ends = [one for one in events if one.get("action") == "die" and one.get("name") == row.get("name")]
        if any(asked_for(end, events) for end in ends[-1:]):  # what ends by itself and is removed then is a job
            yield Change(row["at"], (_whose(row),), _REMOVED, "container_events")


def _whose(row: Row) -> str:
    return text_of(row, "service") or text_of(row, "name")
