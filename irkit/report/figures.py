"""The report's figures from a bundle: time cut into intervals, counted; no drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from irkit.charts import Band, Bar, BarLane, IncidentStrip, Lane, LineLane, Mark, MarkLane, Milestone, Point
from irkit.charts.svg import step_s
from irkit.model import Threshold, Window
from irkit.report.cells import plain_records, whole
from irkit.report.facts import LATE_LOOK, View, are_failed, counted_probes, probes
from irkit.report.working_sections import PhaseRow
from irkit.text.phrase import count
from irkit.times import format_duration

if TYPE_CHECKING:
    import pandas as pd

_INTERVALS = 75
_MIN_STEP_S = 5
_LEAD = timedelta(minutes=5)
_MAX_MARKS = 120
_MARGIN = 0.04
_HEALTH = "health_status: "
# the gravest first
_BAD_ACTIONS = ("oom", "die", f"{_HEALTH}unhealthy", "kill")


def incident_strip(
    view: View,
    named: Sequence[tuple[str, datetime | None]],
    felt: Band,
    onsets: Sequence[datetime],
    limit: Threshold | None,
) -> IncidentStrip | None:
    """Return the strip around what was felt and found, or None where the evidence holds nothing to draw.

    Of the `named` times, those that are known and fall inside become its milestones; the others are named as undrawn.
    """
    probed = sorted((*probes(view, "health_history"), *probes(view)), key=lambda row: row.at)
    shown = shown_window(_with_own_probes(view.window, probed), felt, onsets)
    lanes = [*_traffic(view, shown, limit), *_probes(probed, shown), *_checks(view, shown), *_events(view, shown)]
    if not lanes:
        return None
    drawn = [at for lane in lanes for at in _times(lane)]
    first = min([*drawn, felt.start, *(at for _, at in named if at and at >= shown.start)])
    # a stretch before anything was recorded says nothing, and takes the room of what does
    opening = max(shown.start, first - shown.duration * _MARGIN)
    inside = tuple(Milestone(at, label) for label, at in named if at and opening <= at <= shown.end)
    start, end = max(felt.start, opening), min(felt.end, shown.end)
    band = Band(start, end) if start < end else None
    # the looks themselves come a little after the window's end
    seen_to = max([view.window.end, *drawn])
    unseen = seen_to if seen_to < shown.end else None
    outside = [f"{label} {_stamp(at, felt.end)}" for label, at in named if at and not opening <= at <= shown.end]
    sampled, own = counted_probes(view, felt.start, felt.end)
    counted = (*sampled, *own)
    if missed := [row.at for row in counted if not opening <= row.at <= shown.end]:
        from_to = " to ".join(dict.fromkeys(_stamp(at, felt.end) for at in (min(missed), max(missed))))
        outside.append(f"{count(len(missed), 'health probe')} of {len(counted)}, {from_to}")
    return IncidentStrip(opening, shown.end, tuple(lanes), inside, band, unseen, tuple(outside))


def _stamp(at: datetime, near: datetime) -> str:
    return f"{at:%H:%M:%S}" if at.date() == near.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def _with_own_probes(window: Window, probed: Sequence[PhaseRow]) -> Window:
    """Return the window with the looks that were made at its end, which come a little after it."""
    after = [row.at for row in probed if window.end < row.at <= window.end + LATE_LOOK]
    return Window(window.start, max([window.end, *after]))


def shown_window(window: Window, felt: Band, onsets: Sequence[datetime]) -> Window:
    """Return the time that is drawn: the incident, half its length before and after it, as far as evidence goes.

    An hour of calm before a crash of two minutes would leave the two minutes too small to read. An end that came after
    the evidence is drawn all the same where that does not take more room than the evidence itself.
    """
    first = min(min(max(at, window.start), window.end) for at in (felt.start, *onsets))
    lead = max((min(felt.end, window.end) - first) / 2, _LEAD)
    start, end = max(first - lead, window.start), min(max(felt.end, first) + lead, window.end)
    if end < felt.end <= end + (end - first):
        end = felt.end + (felt.end - first) * _MARGIN
    return Window(start, end) if start < end else window


def _times(lane: Lane) -> list[datetime]:
    if isinstance(lane, BarLane):
        return [bar.at for bar in lane.bars]
    return [one.at for one in (lane.points if isinstance(lane, LineLane) else lane.marks)]


def _traffic(view: View, shown: Window, limit: Threshold | None) -> list[Lane]:
    step = max(step_s(shown.duration, _INTERVALS), _MIN_STEP_S)
    interval = timedelta(seconds=step)
    words = f"in {format_duration(interval)}"
    lanes: list[Lane] = []
    requests = _inside(shown, view.traffic())
    if requests is not None and len(requests):
        failed = requests[are_failed(requests)]
        bad = dict(_counted(failed, interval))
        bars = tuple(Bar(at, total, bad.get(at, 0)) for at, total in _counted(requests, interval))
        lanes.append(BarLane("Requests", words, step, bars, legend="failed in red"))
        slow = requests.dropna(subset=["duration_s"])
        if len(slow):
            p95 = slow.groupby(slow["at"].dt.floor(interval))["duration_s"].quantile(0.95)
            times = p95.index.to_pydatetime()  # type: ignore[attr-defined]
            points = tuple(Point(at + interval / 2, float(value)) for at, value in zip(times, p95, strict=True))
            lanes.append(LineLane("p95 latency", "s", step, points, limit.value if limit else None))
    errors = _inside(shown, view.table("errors"))
    if errors is not None and len(errors):
        bars = tuple(Bar(at, total, total) for at, total in _counted(errors, interval))
        lanes.append(BarLane("Errors in the log", words, step, bars, all_failed=True))
    return lanes


def _counted(frame: pd.DataFrame, interval: timedelta) -> list[tuple[datetime, int]]:
    """Return how many rows fall into each interval that has any, by the interval's start."""
    sizes = frame.groupby(frame["at"].dt.floor(interval)).size()
    times = sizes.index.to_pydatetime()  # type: ignore[attr-defined]
    return [(at, int(size)) for at, size in zip(times, sizes, strict=True)]


def _probes(probed: Sequence[PhaseRow], shown: Window) -> list[Lane]:
    """Return the probes of the health endpoint from outside, by the flight recorder and by irkit as it collected."""
    marks = [
        Mark(row.at, f"{row.verdict.replace('_', ' ')}", bad=row.verdict != "healthy")
        for row in probed
        if shown.start <= row.at <= shown.end
    ]
    return _one_by_one("Health probes", marks, shown)


def _checks(view: View, shown: Window) -> list[Lane]:
    marks = [
        _check(row["started_at"], str(row.get("service") or "container"), bad=bool(row.get("exit_code")))
        for row in view.records("container_health")
        if row.get("started_at")
    ]
    marks += [Mark(at, f"{service} answered a check with {code}", bad=True) for at, service, code in _told(view)]
    marks = sorted((mark for mark in marks if shown.start <= mark.at <= shown.end), key=lambda mark: mark.at)
    return _one_by_one("Container health checks", marks, shown)


def _one_by_one(name: str, marks: Sequence[Mark], shown: Window) -> list[Lane]:
    """Return marks as a lane; more than can be told apart are counted in intervals, so that none is left out."""
    if not marks:
        return []
    if len(marks) <= _MAX_MARKS:
        return [MarkLane(name, tuple(marks), legend="failed filled")]
    step = max(step_s(shown.duration, _INTERVALS), _MIN_STEP_S)
    totals, bad = (Counter(_floored(mark.at, step) for mark in some) for some in (marks, [m for m in marks if m.bad]))
    bars = tuple(Bar(at, total, bad[at]) for at, total in sorted(totals.items()))
    words = f"in {format_duration(timedelta(seconds=step))}"
    return [BarLane(name, words, step, bars, legend="failed in red")]


def _floored(at: datetime, step: int) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // step * step, UTC)


def _check(at: datetime, service: str, *, bad: bool) -> Mark:
    return Mark(at, f"{service} check {'failed' if bad else 'passed'}", bad)


def _told(view: View) -> list[tuple[datetime, str, int]]:
    """Return the bad answers to health checks that services logged, one of each in a second.

    They reach further back than the checks that the Engine keeps, and are often of those very checks.
    """
    seen: dict[tuple[datetime, str, int], datetime] = {}
    for row in plain_records(view.failed_checks()):
        service, code = str(row["service"]), whole(row["status_code"]) or 0
        seen.setdefault((row["at"].replace(microsecond=0), service, code), row["at"])
    return [(at, service, code) for (_, service, code), at in seen.items()]


def _events(view: View, shown: Window) -> list[Lane]:
    marks, ended = [], set()
    for row in view.records("container_events"):
        at, action = row.get("at"), str(row.get("action") or "")
        if at is None or not shown.start <= at <= shown.end:
            continue
        code = whole(row.get("exit_code"))
        bad = action in _BAD_ACTIONS and not (action == "die" and code == 0)
        service = str(row.get("service") or "container")
        label = f"{service} exited, code {code}" if action == "die" else f"{service} {_word(action)}"
        rank = _BAD_ACTIONS.index(action) if bad else None
        if action == "start" and service in ended:
            label, rank = f"{service} started again", len(_BAD_ACTIONS)
        if action == "die":
            ended.add(service)
        marks.append(Mark(at, label, bad, rank))
    marks.sort(key=lambda mark: mark.at)
    if not marks:
        return []
    # the gravest stay where there are more than can be drawn
    kept = sorted(marks, key=lambda mark: (not mark.bad, mark.rank is None))[:_MAX_MARKS]
    legend = f"{_MAX_MARKS} of {len(marks)} drawn" if len(marks) > _MAX_MARKS else ""
    return [MarkLane("Container events", tuple(sorted(kept, key=lambda mark: mark.at)), legend=legend)]


def _word(action: str) -> str:
    return "out of memory" if action == "oom" else action.removeprefix(_HEALTH)


def _inside(shown: Window, frame: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if frame is None else frame[(frame["at"] >= shown.start) & (frame["at"] <= shown.end)]
