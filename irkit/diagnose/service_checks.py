"""Every check of a service on record, whoever made it, and the container it was of; a restart by hand is no failure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from irkit.diagnose.signs import HEALTH_PATH, STOPPED, WELL_CODES
from irkit.records import Row, in_order, integer_of, number_of, rows_of, text_of, time_of
from irkit.text.phrase import between, count

if TYPE_CHECKING:
    import pandas as pd

ENDED_ON_PURPOSE = frozenset({0, 143})
# for how long most containers may take to end
_GRACE = timedelta(minutes=1)
_SIGKILLED = 137
# between the engine's own word on when a container ended, and that of its event
_SAME_END = timedelta(seconds=2)
# how far apart the clocks may be of who asks and who logs the answer
_CLOCKS = timedelta(seconds=0.5)
_LONGEST_S = 60.0
_SERVER_ERROR = 500
_GIVEN_UP = frozenset({408, 499})  # by who asked: request timeout, and a closed connection in the words of nginx
_SILENT = timedelta(minutes=1)
# what a restart by hand may take: to let go of its port, to come back, and to be well again
_STOPPING, _RESTART, _STARTING = timedelta(seconds=15), timedelta(seconds=60), timedelta(seconds=60)


def subject_of(containers: list[Row], probes: list[Row], *, probes_fail: bool) -> Row | None:
    """Return the container in question: the one that publishes the probed port, else the one that is worst off."""
    port = _port(text_of(probes[-1], "url")) if probes else None
    serving = [row for row in containers if port and f"{port}->" in text_of(row, "ports").replace(" ", "")]
    troubled = [row for row in containers if any(badness(row)[:2])]
    checked = [row for row in containers if text_of(row, "health") not in {"", "none"}]
    if serving and (probes_fail or not troubled):
        return max(serving, key=badness)
    if troubled:
        return max(troubled, key=badness)
    return checked[0] if len(checked) == 1 else None


def _port(url: str) -> int | None:
    try:
        parts = urlsplit(url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def badness(row: Row) -> tuple[bool, bool, bool, int]:
    """Order containers by trouble: crashed, called unhealthy, stopped at all, restarted most often."""
    stopped = text_of(row, "state") in STOPPED
    crashed = stopped and integer_of(row, "exit_code") not in ENDED_ON_PURPOSE
    unhealthy = text_of(row, "health") == "unhealthy" and not stopped
    return crashed, unhealthy, stopped, integer_of(row, "restart_count") or 0


def checks_of(
    subject: Row | None, probes: list[Row], container_health: list[Row], requests: pd.DataFrame | None
) -> Iterator[tuple[datetime, bool]]:
    """Yield every check of the service that is on record: when, and whether it passed.

    One of the Engine's that passed did so at its end, when it was answered. What the service logged of a check that is
    on record by whoever made it is that check once more, and no second one. While probes read in the body that it
    fails, the code 200 that others were content with is no check that passed.
    """
    service = text_of(subject, "service") if subject else ""
    told = in_order(probes)
    looks = [_probe(row) for row in told]
    looks += [
        _engines(row)
        for row in container_health
        if time_of(row, "started_at") and (not service or text_of(row, "service") == service)
    ]
    logged = _unmatched(_logged(requests[requests["service"] == service]), looks) if requests is not None else []
    by_code = [(look.end if look.passed else look.start, look.passed) for look in looks if look.by_engine]
    by_code += logged if service else []
    times, in_words = [row["at"] for row in told], [_fails_by_its_word(row) for row in told]
    yield from ((look.start, look.passed) for look in looks if not look.by_engine)
    for at, passed in by_code:
        last = bisect_right(times, at) - 1
        if not (passed and last >= 0 and in_words[last]):
            yield at, passed


def _fails_by_its_word(probe: Row) -> bool:
    """Say whether a probe was answered with a code that means well, and a body that does not."""
    return probe["verdict"] != "healthy" and integer_of(probe, "status_code") in WELL_CODES


@dataclass(frozen=True, slots=True)
class _Look:
    """One check by whoever made it, from when to when."""

    start: datetime
    end: datetime
    passed: bool
    by_engine: bool = False


def _probe(row: Row) -> _Look:
    # no probe waits longer, whatever a table says
    took = timedelta(seconds=min(max(number_of(row, "total_s") or 0.0, 0.0), _LONGEST_S))
    return _Look(row["at"], row["at"] + took, row["verdict"] == "healthy")


def _engines(row: Row) -> _Look:
    started = row["started_at"]
    return _Look(started, time_of(row, "ended_at") or started, integer_of(row, "exit_code") == 0, by_engine=True)


def _logged(requests: pd.DataFrame) -> Iterator[tuple[datetime, bool]]:
    for row in rows_of(requests):
        status = integer_of(row, "status_code") or 0
        # who gave up waiting did not see it pass, and has its own record of that
        if (at := time_of(row, "at")) and HEALTH_PATH.search(text_of(row, "path")) and status not in _GIVEN_UP:
            yield at, status < _SERVER_ERROR


def _unmatched(logged: Iterable[tuple[datetime, bool]], looks: Iterable[_Look]) -> list[tuple[datetime, bool]]:
    """Return the logged answers without the one of each look: the last of its outcome that was given while it ran."""
    left = sorted(logged)
    for look in looks:
        at = bisect_right(left, (look.end + _CLOCKS, True)) - 1
        while at >= 0 and left[at][0] >= look.start - _CLOCKS:
            if left[at][1] is look.passed:
                del left[at]
                break
            at -= 1
    return left


def unasked(checks: list[tuple[datetime, bool]], subject: Row | None, events: list[Row]) -> list[tuple[datetime, bool]]:
    """Leave out checks that failed from when somebody stopped the container until it passed again after its start."""
    if subject is None:
        return checks
    own = [row for row in in_order(events) if text_of(row, "service") == text_of(subject, "service")]
    stops = [row["at"] for row in own if row.get("action") == "die" and asked_for(row, own)]
    starts = [row["at"] for row in own if row.get("action") == "start"]
    passes = sorted(at for at, passed in checks if passed)
    spans = []
    for stopped in stops:
        started = min((at for at in starts if at >= stopped), default=None)
        if started is not None and started - stopped <= _RESTART:
            well = min((at for at in passes if at >= started), default=started)
            spans.append((stopped - _STOPPING, min(well, started + _STARTING)))
    return [(at, passed) for at, passed in checks if passed or not any(start <= at <= end for start, end in spans)]


def ends_of(subject: Row | None, events: list[Row]) -> list[datetime]:
    """Return when the container crashed, stopped for good, or was called unhealthy."""
    if subject is None:
        return []
    own = [row for row in in_order(events) if text_of(row, "service") == text_of(subject, "service")]
    ends = [row["at"] for row in own if text_of(row, "action") == "health_status: unhealthy"]
    ends += [row["at"] for row in own if row.get("action") == "die" and crashed(row, own)]
    if text_of(subject, "state") in STOPPED and (stopped := time_of(subject, "finished_at")):
        ends.append(stopped)
    return ends


def crashed(die: Row, events: list[Row]) -> bool:
    """Say whether a container died by itself: not with a clean code, and not within a minute of somebody's kill."""
    return not asked_for(die, events) and integer_of(die, "exit_code") not in {None, *ENDED_ON_PURPOSE}


def asked_for(die: Row, events: Iterable[Row]) -> list[Row]:
    """Return by what a container was asked to end that did within a minute: signals to this run of it, of any kind."""
    own = [row for row in events if row.get("name") == die.get("name") and row.get("at")]
    # what was started again since then ended by itself
    started = max((row["at"] for row in own if row.get("action") == "start" and row["at"] < die["at"]), default=None)
    asked = [row for row in own if row.get("action") in {"kill", "stop"} and (started is None or row["at"] >= started)]
    return [row for row in asked if timedelta() <= die["at"] - row["at"] < _GRACE]


def ended_on_request(container: Row, events: Iterable[Row]) -> bool:
    """Say whether a container that does not run was last ended as somebody asked the engine for it.

    The kernel's kills for want of memory and a process's own end leave no event of a request.
    """
    ended = time_of(container, "finished_at")
    if text_of(container, "state") not in STOPPED or ended is None or container.get("oom_killed") is True:
        return False
    known = list(events)
    own = (row for row in known if row.get("action") == "die" and row.get("name") == container.get("name"))
    return any(abs(row["at"] - ended) <= _SAME_END and asked_for(row, known) for row in own if row.get("at"))


def with_requests(containers: Iterable[Row], events: Iterable[Row]) -> list[Row]:
    """Return the rows of containers, those that ended on request marked `ended_on_request`."""
    known = list(events)
    return [{**row, "ended_on_request": ended_on_request(row, known)} for row in containers]


def was_slow_to_end(die: Row, events: Iterable[Row]) -> bool:
    """Say whether a container was asked to end, and killed as it had not in time: a stop, and no exit of its own.

    That it is down is told by its state, where it still is.
    """
    if integer_of(die, "exit_code") != _SIGKILLED or not die.get("at"):
        return False
    return any(text_of(row, "signal") not in {"", "SIGKILL"} for row in asked_for(die, events))


def but_for(checks: list[tuple[datetime, bool]], began: datetime) -> str:
    """Tell of what passed amid the failing, which ends it as little as it began it."""
    passed = sorted(at for at, passed in checks if passed and at > began)
    if not passed:
        return ""
    who = "one that" if len(passed) == 1 else f"{len(passed)} that"
    return f", but for {who} passed{between(passed[0], passed[-1])}"


def since_then(checks: list[tuple[datetime, bool]], until: datetime, *, passing: str) -> str:
    """Tell how the checks went since those of an episode passed again, in words that go on a sentence."""
    later = [(at, passed) for at, passed in checks if at >= until]
    failed = sum(not passed for _, passed in later)
    if failed:
        return f"; {failed} of the {count(len(later), 'check')} since then failed"
    if not later:
        return ", and no check since then is on record"
    return f" and {passing}pass since{_unseen(sorted(at for at, _ in later))}"


def _unseen(times: list[datetime]) -> str:
    """Say where checks that pass leave a long time of which nothing is known: a container that was down has none."""
    steps = sorted((after - before, before, after) for before, after in pairwise(times))
    if not steps or steps[-1][0] < max(_SILENT, 10 * steps[len(steps) // 2][0] if len(steps) > 1 else _SILENT):
        return ""
    _, before, after = steps[-1]
    return f", with none on record{between(before, after)}"
