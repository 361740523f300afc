"""Facts read from a bundle for the report: plain Python values, None where the evidence has none, no rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from irkit.diagnose.loaded import loaded
from irkit.diagnose.service_checks import ended_on_request, was_slow_to_end
from irkit.diagnose.signs import HEALTH_PATH
from irkit.growth.kills import kills_of
from irkit.logs import tables as logs
from irkit.logs.formats import says_answered
from irkit.model import Window
from irkit.report.cells import plain_records, whole
from irkit.report.ends import Exit, Relapse
from irkit.report.excerpt import quoted
from irkit.report.parts import Claim
from irkit.report.working_sections import ContainerRow, PhaseRow

if TYPE_CHECKING:
    import pandas as pd

    from irkit.diagnose.loaded import EvidenceSource

Row = Mapping[str, Any]
_STOPPED = ("exited", "dead", "restarting", "removing")
_BEFORE_EXIT = timedelta(minutes=5)
LATE_LINE = timedelta(seconds=2)
_RUNS_ON_S = 60.0
# how long after its window's end a collection may still look
LATE_LOOK = timedelta(minutes=1)
TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500
_SEVERE = ("CRITICAL", "FATAL", "PANIC", "EMERGENCY", "ALERT")
_ASKED_TO_STOP = 143
# as `docker ps` writes it: 127.0.0.1:8000->8000/tcp, but 6379/tcp where only exposed
_PUBLISHED = "->"


class View:
    """A bundle as the report reads it: every table loaded or derived once, its rows as plain values."""

    def __init__(self, source: EvidenceSource) -> None:
        self.source = loaded(source)
        self._tables: dict[str, pd.DataFrame | None] = {}
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._kills: Mapping[str, tuple[datetime, ...]] | None = None

    @property
    def window(self) -> Window:
        return self.source.window

    @property
    def first(self) -> View:
        """The evidence that shows the breakage, without what was collected after it."""
        return self

    def table(self, kind: str) -> pd.DataFrame | None:
        """Return evidence, or what is derived from it, as a table; None where it was not collected."""
        if kind not in self._tables:
            self._tables[kind] = self.source.load(kind) if self.source.has(kind) else None
        return self._tables[kind]

    def traffic(self) -> pd.DataFrame | None:
        """Return the requests that came from outside.

        Left out are health checks, which machines send whether anybody is there or not, and requests to services that
        publish no port, which others of the stack sent; all services count where none with a port logs requests.
        """
        requests = self.table("requests")
        if requests is None or not len(requests):
            return requests
        outside = requests[requests["service"].isin(self.reached)]
        counted = outside if len(outside) else requests
        return counted[[HEALTH_PATH.search(str(path)) is None for path in counted["path"]]]

    def failed_checks(self) -> pd.DataFrame | None:
        """Return the health checks that a service reached from outside logged and answered with an error of its own."""
        requests = self.table("requests")
        if requests is None or not len(requests):
            return None
        failed = requests[(requests["status_code"].fillna(0) >= _SERVER_ERROR) & requests["service"].isin(self.reached)]
        return failed[[HEALTH_PATH.search(str(path)) is not None for path in failed["path"]]]

    @property
    def kills(self) -> Mapping[str, tuple[datetime, ...]]:
        """When the kernel ended containers, by their names; read once, as each look for an exit asks."""
        if self._kills is None:
            kinds = ("container_history", "containers", "container_events")
            self._kills = kills_of(*map(self.table, kinds))
        return self._kills

    @property
    def reached(self) -> frozenset[str]:
        """The services of which a container publishes a port on the host."""
        rows = self.records("containers")
        return frozenset(str(row.get("service")) for row in rows if _PUBLISHED in str(row.get("ports") or ""))

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the rows of a table as plain values; none where it was not collected."""
        if kind not in self._records:
            self._records[kind] = plain_records(self.table(kind))
        return self._records[kind]

    def ids(self, *kinds: str) -> tuple[str, ...]:
        """Return the ids of those kinds of evidence that are there."""
        found = [self.source.evidence_for(logs.ORIGIN.get(kind, kind)) for kind in kinds]
        return tuple(dict.fromkeys(item.id for item in found if item))

    def why_missing(self, kind: str) -> tuple[str, str]:
        """Return why a kind of evidence is not there and what to do about it."""
        run = self.source.run_for(logs.ORIGIN.get(kind, kind))
        if run is None:
            return f"no collector was asked for {kind.replace('_', ' ')}", "collect again with `irkit collect`"
        return f"{run.collector} {run.outcome.replace('_', ' ')}" + (f": {run.reason}" if run.reason else ""), run.hint


def containers(view: View) -> tuple[ContainerRow, ...]:
    """Return the containers, those that stopped badly first."""
    rows = [
        ContainerRow(
            str(row.get("service") or row.get("name") or "a container"),
            str(row.get("state") or "unknown"),
            str(row.get("health") or "none"),
            whole(row.get("exit_code")),
            whole(row.get("restart_count")),
            bool(row.get("oom_killed")),
            row.get("started_at"),
            row.get("finished_at"),
            str(row.get("image") or ""),
            str(row.get("error") or ""),
        )
        for row in view.records("containers")
    ]
    return tuple(sorted(rows, key=lambda row: (not _bad(row), row.service)))


def exits(view: View) -> tuple[Exit, ...]:
    """Return the bad exits within the window, of each service and exit code the latest.

    The latest comes first; those that were asked to stop (SIGTERM, 143) come after all others.
    """
    latest = {(item.service, item.exit_code): item for item in every_exit(view)}
    recent = sorted(latest.values(), key=lambda item: item.at or view.window.start, reverse=True)
    return tuple(sorted(recent, key=lambda item: item.exit_code == _ASKED_TO_STOP))


def every_exit(view: View) -> tuple[Exit, ...]:
    """Return each bad exit within the window in order of time, from the events and the state of containers."""
    found: list[Exit] = []
    kills, events = view.kills, view.records("container_events")
    asked = {
        (row.get("service") or row.get("name"), row.get("finished_at"))
        for row in view.records("containers")
        if ended_on_request(row, events)
    }
    for row in events:
        code = whole(row.get("exit_code"))
        if row.get("action") == "die" and code not in (0, None) and not was_slow_to_end(row, events):
            service = str(row.get("service") or row.get("name"))
            [cited] = view.ids("container_events")
            # by the engine's event: a start since then has cleared the flag
            killed = any(abs(at - row["at"]) <= LATE_LINE for at in kills.get(str(row.get("name")), ()) if row["at"])
            found.append(Exit(service, row.get("at"), code, oom_killed=killed, evidence=cited))
    for item in containers(view):
        if _bad(item):
            [cited] = view.ids("containers")
            own = (item.service, item.finished_at) in asked
            ended = Exit(item.service, item.finished_at, item.exit_code, item.oom_killed, cited, asked=own)
            # the state tells of an exit that is among the events as well, and says more of it
            same = [one for one in found if _same_exit(one, ended)]
            found = [one for one in found if one not in same[-1:]]
            found.append(replace(ended, at=ended.at or (same[-1].at if same else None)))
        elif item.oom_killed and item.finished_at and not _among(item, found):
            [cited] = view.ids("containers")  # it runs again, so that the code of its end is gone
            found.append(Exit(item.service, item.finished_at, None, oom_killed=True, evidence=cited))
    # a container without a time of exit never came to run: that is news as well
    recent = [item for item in found if item.at is None or item.at >= view.window.start]
    return tuple(sorted(recent, key=lambda item: item.at or view.window.start))


def _among(row: ContainerRow, found: Sequence[Exit]) -> bool:
    return any(_same_exit(one, Exit(row.service, row.finished_at, one.exit_code, True, "")) for one in found)  # noqa: FBT003


def _same_exit(one: Exit, other: Exit) -> bool:
    alike = (one.service, one.exit_code) == (other.service, other.exit_code)
    return alike and (other.at is None or one.at is None or abs(one.at - other.at) <= LATE_LINE)


def relapse(view: View) -> Relapse | None:
    """Return the last bad exit of a container that was started again after an earlier one; None where there is none.

    It is what shows that a restart did not help. One whose own start is not on record is passed over: an earlier start
    was followed by another exit. One that has run on for a minute since, or was removed, has not relapsed.
    """
    rows = containers(view)
    well = {one.service for one in rows if one.state == "running" and _ran_s(one, view.window.end) >= _RUNS_ON_S}
    here = {one.service for one in rows}
    ended = [(item, item.at) for item in every_exit(view) if item.at and item.exit_code != _ASKED_TO_STOP]
    started: dict[str, list[datetime]] = {}
    # the state of a container was read after the events end
    starts = [(row, row.get("at")) for row in view.records("container_events") if row.get("action") == "start"]
    for row, start in (*starts, *((row, row.get("started_at")) for row in view.records("containers"))):
        if start:
            started.setdefault(str(row.get("service") or row.get("name")), []).append(start)
    for last, at in reversed(ended):
        if last.service in well or (here and last.service not in here):
            continue
        before = [earlier for one, earlier in ended if one.service == last.service and earlier < at]
        tried = [start for start in started.get(last.service, ()) if before and before[-1] < start < at]
        if tried:
            return Relapse(last.service, max(tried), at, last.exit_code)
    return None


def _ran_s(row: ContainerRow, until: datetime) -> float:
    return (until - row.started_at).total_seconds() if row.started_at else 0.0


def broken(view: View) -> bool | None:
    """Say whether the service was broken when the evidence was collected; None where nothing tells.

    It is where the last probe of its health was not answered well, or a container stopped badly or is unhealthy.
    """
    asked = probes(view)
    rows = containers(view)
    if not asked and not rows:
        return None
    return any(map(is_unwell, rows)) or any(probe.verdict != "healthy" for probe in asked[-1:])


def stopped(view: View, start: datetime, end: datetime) -> frozenset[str]:
    """Return the services of which a container stopped between `start` and `end`, whatever its exit code."""
    died = ((row, row.get("at")) for row in view.records("container_events") if row.get("action") == "die")
    ended = ((row, row.get("finished_at")) for row in view.records("containers") if row.get("state") in _STOPPED)
    both = (*died, *ended)
    return frozenset(str(row.get("service") or row.get("name")) for row, at in both if at and start <= at <= end)


def last_words(view: View, service: str, until: datetime | None, *, oom_killed: bool = False) -> Claim | None:
    """Return the entry of the log that says most of why `service` ended at `until`: the gravest of its last ones.

    Whom the kernel kills for its memory has no time to say why: of that only what it said in distress is worth a quote.
    """
    severe: list[dict[str, Any]] = []
    again = _next_start(view, service, until)
    errors = _last_of(view.table("errors"), service, until, again)
    if errors is not None and len(errors):
        severe = plain_records(errors[errors["level"].astype(str).str.upper().isin(_SEVERE)].tail(1))
    chosen = severe or plain_records(None if errors is None else errors.tail(1))
    if not chosen and not oom_killed:
        lines = _last_of(view.table("logs"), service, until, again)
        # what it answered well just before its end says nothing of why
        chosen = [] if lines is None else plain_records(lines[~lines["line"].map(says_answered).astype(bool)].tail(1))
    if not chosen:
        return None
    [entry] = chosen
    line = str(entry["line"])
    # of fields for machines what they say is quoted; all of them stand in full beside it
    said = str(entry.get("message") or "") if line.lstrip()[:1] == "{" else ""
    quote, full = quoted(said or line)
    full = full or (line if said else "")
    return Claim(f"{service} logged at {entry['at']:%H:%M:%S} UTC", view.ids("logs"), quote, full)


def _next_start(view: View, service: str, until: datetime | None) -> datetime | None:
    """Return when a service that ended was started again: what it says from then on is of another run."""
    starts = (row for row in view.records("container_events") if row.get("action") == "start" and row.get("at"))
    own = [row["at"] for row in starts if row.get("service") == service and until and row["at"] > until]
    return min(own, default=None)


def _last_of(
    frame: pd.DataFrame | None, service: str, until: datetime | None, again: datetime | None
) -> pd.DataFrame | None:
    if frame is None:
        return None
    own = frame[frame["service"] == service]
    if until is None:
        return own
    own = own[(own["at"] <= until + LATE_LINE) & (own["at"] >= until - _BEFORE_EXIT)]
    return own if again is None else own[own["at"] < again]


def are_failed(requests: pd.DataFrame) -> pd.Series[bool]:
    """Say of each request whether it failed for who made it: an error of the server, or one request too many."""
    codes = requests["status_code"].fillna(0)
    return (codes >= _SERVER_ERROR) | (codes == TOO_MANY_REQUESTS)


def telling(view: View, since: datetime | None = None) -> Claim | None:
    """Return the one sentence an on-call engineer would want first, or None where nothing stopped or ails."""
    return halted(view, since) or ailing(view)


def halted(view: View, since: datetime | None = None) -> Claim | None:
    """Return which container exited, with its last words, or was paused; None where none did.

    Of a container that exited again and again the first exit is told: those after it followed attempts to mend it.
    An exit before `since`, when the symptoms began, was mended before they did: it belongs to the timeline only.
    """
    if item := first_exit(view, since):
        words = last_words(view, item.service, item.at, oom_killed=item.oom_killed)
        if words:
            return Claim(item.sentence, (item.evidence, *words.evidence), words.quote, words.full)
        return Claim(item.sentence, (item.evidence,))
    paused = next((row.service for row in containers(view) if row.state == "paused"), None)
    return Claim(f"{paused} is paused", view.ids("containers")) if paused else None


def first_exit(view: View, since: datetime | None = None) -> Exit | None:
    """Return the exit that `halted` tells of, counted with those after it; None where no container exited.

    It is the first since then of the service that comes first in `exits`. One that somebody had stopped as it began
    comes before all others: they may go on for reasons of their own.
    """
    late = [item for item in every_exit(view) if not (since and item.at and item.at < since - LATE_LINE)]
    asked = [one for one in exits(view) if one.asked and since and one.at and one.at <= since + LATE_LINE]
    for item in (*asked, *exits(view)):
        alike = [one for one in late if (one.service, one.exit_code) == (item.service, item.exit_code)]
        if alike:
            killed = any(one.oom_killed for one in alike)
            return replace(alike[0], oom_killed=killed, again=len(alike) - 1, last_at=alike[-1].at)
    return None


def ailing(view: View) -> Claim | None:
    """Return which container goes on while its health check fails; None where none does."""
    row = next((row for row in containers(view) if row.health == "unhealthy" and row.state != "paused"), None)
    return Claim(f"{row.service} is {row.state} but unhealthy", view.ids("containers")) if row else None


def probes(view: View, kind: str = "health") -> tuple[PhaseRow, ...]:
    """Return the probes of the health endpoint with their phases; `health_history` are those of the recorder."""
    return tuple(
        PhaseRow(
            row["at"],
            str(row.get("url") or ""),
            str(row.get("verdict") or "unknown"),
            whole(row.get("status_code")),
            row.get("name_lookup_s"),
            row.get("connect_s"),
            row.get("tls_s"),
            row.get("first_byte_s"),
            row.get("total_s"),
            str(row.get("error") or ""),
        )
        for row in view.records(kind)
        if row.get("at")
    )


def counted_probes(view: View, start: datetime, end: datetime) -> tuple[tuple[PhaseRow, ...], tuple[PhaseRow, ...]]:
    """Return the probes that an impact is counted by: the recorder's while it lasted, and those made with the evidence.

    Those made with what was collected later count where it was not over yet: after that they tell of the repair.
    """
    sampled = tuple(row for row in probes(view, "health_history") if start <= row.at <= end)
    own, every = probes(view.first), probes(view)
    return sampled, (*own, *(row for row in every[len(own) :] if row.at <= end))


def is_unwell(row: ContainerRow) -> bool:
    """Say whether a container is down badly, paused, or fails its health check."""
    return _bad(row) or row.health == "unhealthy" or row.state == "paused"


def _bad(row: ContainerRow) -> bool:
    """Say whether a container is down, and badly: the flag of one that runs again is of a run that is over."""
    return row.state in _STOPPED and (row.oom_killed or row.exit_code not in (0, None))
