"""What was changed shortly before it began: containers replaced, created or restarted on request, limits of memory.

Most outages follow a change, so it is the first question of who is called; but what came before is no proof of a cause,
and nothing here says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.loaded import rows_in
from irkit.phrase import clock, listing, size, were
from irkit.records import Row, in_order, number_of, text_of, time_of
from irkit.service_checks import crashed
from irkit.times import format_duration

if TYPE_CHECKING:
    from irkit.loaded import EvidenceSource

# what was changed longer ago has been well since
_BEFORE = timedelta(hours=1)
# Compose stops the old container, which may be the first sign, before it makes the new one
_AS_IT_BEGAN = timedelta(seconds=30)
_TOGETHER = timedelta(minutes=2)
# a container's own word on when it was created, and that of its event
_SAME = timedelta(seconds=2)
_MOST = 3
_CREATED = "created"
_REPLACED = "replaced by a new container"


@dataclass(frozen=True, slots=True)
class Change:
    """When which services were changed, what was done ("replaced by a new container of jarvis:2"), in which kind.

    `before` is the image that a replaced container was of, where that is another than what runs now.
    """

    at: datetime
    services: tuple[str, ...]
    what: str
    kind: str
    before: str = ""

    @property
    def way_back(self) -> str:
        """How a replacement is taken back, without a full stop; nothing where it is not known, or has been."""
        if not self.before:
            return ""
        return (
            f"the way back is `image: {self.before}` for {listing(self.services)} in the compose file, then "
            f"`docker-compose up -d --no-deps {' '.join(self.services)}`"
        )

    def sentence(self, onset: datetime) -> str:
        """Tell it against the onset, without a full stop."""
        early = onset - self.at
        when = f"{format_duration(early)} before the first sign" if early >= timedelta(seconds=1) else "as it began"
        return f"{listing(self.services)} {were(len(self.services))} {self.what} at {clock(self.at)}, {when}"


def changes_before(evidence: EvidenceSource, onset: datetime) -> tuple[Change, ...]:
    """Return what was changed in the hour before `onset`, or as it began, the latest first and three at most.

    What Compose did at once to several services is one change. That all of them were created is none: before that there
    was nothing to be changed.
    """
    events = [row for row in rows_in(evidence, "container_events") if time_of(row, "at")]
    containers = rows_in(evidence, "containers")
    found = [*_made(containers, events), *_restarted(events), *_limited(evidence)]
    # what was before the window is another incident's, and its events are not here
    begin = max(onset - _BEFORE, evidence.window.start)
    near = [one for one in found if begin <= one.at <= onset + _AS_IT_BEGAN]
    grouped: dict[str, list[Change]] = defaultdict(list)
    for one in sorted(near, key=lambda one: one.at):
        alike = grouped[one.what]
        if alike and one.at - alike[-1].at <= _TOGETHER:
            services = tuple(dict.fromkeys([*alike[-1].services, *one.services]))
            alike[-1] = Change(one.at, services, one.what, one.kind, one.before)
        else:
            alike.append(one)
    every = [one for alike in grouped.values() for one in alike]
    replaced = {name for one in every if one.what.startswith(_REPLACED) for name in one.services}
    others = {_whose(row) for row in containers} - replaced
    every = [one for one in every if not (one.what.startswith(_CREATED) and others.issubset(one.services))]
    return tuple(sorted(every, key=lambda one: one.at, reverse=True)[:_MOST])


def _made(containers: list[Row], events: list[Row]) -> Iterator[Change]:
    """Yield when each container was created, those that are gone since, too; one of its service went: a replacement."""
    made = [(at, row) for row in containers if (at := time_of(row, "created_at"))]
    now = {_whose(row): text_of(row, "image") for row in containers}
    # what was rolled back since is known by its event alone
    for event in (row for row in events if row.get("action") == "create"):
        if not any(_whose(row) == _whose(event) and abs(event["at"] - at) <= _SAME for at, row in made):
            made.append((event["at"], event))
    for at, row in made:
        gone = [
            event
            for event in events
            if event.get("action") == "destroy" and _whose(event) == _whose(row) and abs(event["at"] - at) <= _TOGETHER
        ]
        image, before = text_of(row, "image"), text_of(gone[0], "image") if gone else ""
        what = f"{_REPLACED}{f' of {image}' if image else ''}" if gone else _CREATED
        if before:
            what += f" (before: {before})" if before != image else " (the one before was called so, too)"
        back = before if before not in {image, now.get(_whose(row))} else ""
        yield Change(at, (_whose(row),), what, "container_events" if "action" in row else "containers", back)


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


def _restarted(events: list[Row]) -> Iterator[Change]:
    """Yield the ends that somebody asked for and a start followed; a container that was removed since was replaced."""
    for end in (row for row in events if row.get("action") == "die" and not crashed(row, events)):
        own = [row for row in events if row.get("name") == end.get("name") and row["at"] > end["at"]]
        following = next((row["action"] for row in own if row.get("action") in {"start", "create", "destroy"}), "")
        if following == "start":
            yield Change(end["at"], (_whose(end),), "restarted on request", "container_events")


def _whose(row: Row) -> str:
    return text_of(row, "service") or text_of(row, "name")
