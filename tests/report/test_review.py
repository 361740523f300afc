"""The review: what several incidents show together, what is open apart, what is late first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from irkit import runbook
from irkit.followup.action_items import NO_DATE
from irkit.model import ActionItem, Incident, Status
from irkit.report.html import html
from irkit.report.review import Beside, Review, review

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
BOOK = runbook.load()


def incident(
    number: int,
    days_ago: float,
    kind: str = "api-unresponsive",
    severity: str = "Critical",
    *,
    acknowledged_min: float | None = 5,
    resolved_min: float | None = 60,
) -> Incident:
    at = NOW - timedelta(days=days_ago)

    def after(minutes: float | None) -> datetime | None:
        return None if minutes is None else at + timedelta(minutes=minutes)

    return Incident(
        number,
        f"Broken {number}",
        kind,
        severity,
        Status.OPEN if resolved_min is None else Status.RESOLVED,
        at,
        detected_at=at,
        acknowledged_at=after(acknowledged_min),
        mitigated_at=after(resolved_min),
        resolved_at=after(resolved_min),
    )


def item(text: str, due_days: float | None, *, done: bool = False) -> ActionItem:
    due = NO_DATE if due_days is None else NOW + timedelta(days=due_days)
    return ActionItem(text, "ana", due, NOW - timedelta(days=9), "", NOW if done else None)


SEVERAL = (
    incident(1, 40, acknowledged_min=5, resolved_min=30),
    incident(2, 20, acknowledged_min=20, resolved_min=90),
    incident(3, 10, "high-latency", "High", acknowledged_min=50, resolved_min=60),
    incident(4, 0.01, acknowledged_min=None, resolved_min=None),
    incident(5, 1, "high-latency", "High", acknowledged_min=None, resolved_min=None),
)
ITEMS = {1: (item("done", -5, done=True), item("late", -2.5), item("later", 9)), 2: (item("some day", None),)}


def made() -> Review:
    return review(SEVERAL, BOOK, ITEMS, NOW)


def test_drills_are_told_apart_from_what_happened() -> None:
    def incidents_note(*of: Incident, **drills: object) -> str:
        [figure] = [one for one in review(of, BOOK, {}, NOW, **drills).overview.figures if one.name == "Incidents"]  # type: ignore[arg-type]
        return figure.note

    assert "drill" not in incidents_note(*SEVERAL)
    assert incidents_note(*SEVERAL, beside=Beside(drills=5)).endswith("; 5 drills left out")
    assert incidents_note(*SEVERAL, are_drills=True).endswith("; drills, all of them")


def test_false_alarms_are_a_number_of_their_own() -> None:
    beside = Beside(false_alarms=3)
    figures = {one.name: one for one in review(SEVERAL, BOOK, {}, NOW, beside=beside).overview.figures}
    told = figures["False alarms"]
    assert (told.value, told.note) == ("3", "of 8 alarms; in no other number here")
    assert figures["Incidents"].value == "5"
    assert "False alarms" not in {one.name for one in made().overview.figures}


def test_phases_are_those_of_incidents_that_are_over_with_n_beside() -> None:
    acknowledge = next(row for row in made().phases.rows if row.name == "time to acknowledge")
    assert (acknowledge.n, acknowledge.open, acknowledge.unknown) == (3, 2, 0)
    assert acknowledge.median == timedelta(minutes=20)
    assert acknowledge.p90 is not None
    assert timedelta(minutes=20) < acknowledge.p90 < timedelta(minutes=50)
    detect = next(row for row in made().phases.rows if row.name == "time to detect")
    assert (detect.n, detect.unknown) == (0, 3), "nobody recorded when they started"


def test_the_response_time_is_counted_by_severity_and_what_is_not_due_apart() -> None:
    rows = {row.severity: (row.kept, row.missed, row.running) for row in made().response_times.rows}
    assert rows == {"Critical": (1, 1, 1), "High": (1, 1, 0)}
    shares = {row.severity: row.share for row in made().response_times.rows}
    assert shares == {"Critical": 0.5, "High": 0.5}


def test_a_runbook_changed_since_judges_no_incident_that_was_opened_before() -> None:
    own = replace(SEVERAL[0], response_time=timedelta(minutes=3))
    rows = review([own, *SEVERAL[1:]], BOOK, {}, NOW).response_times.rows
    critical = [(row.response_time, row.kept, row.missed) for row in rows if row.severity == "Critical"]
    assert critical[0] == (timedelta(minutes=3), 0, 1)
    assert [allowed for allowed, *_ in critical] == [timedelta(minutes=3), timedelta(minutes=15)]


def test_what_came_again_names_how_often_and_how_far_apart() -> None:
    first, second = made().repeats.rows
    assert (first.title, first.times, [one.id for one in first.latest]) == ("API Unresponsive", 3, [4, 2, 1])
    assert first.between == timedelta(days=20) - timedelta(days=0.01) / 2
    assert (second.title, second.times) == ("High Latency", 2)
    assert review(SEVERAL[:1], BOOK, {}, NOW).repeats.empty


def test_late_promises_come_first_and_done_ones_are_counted() -> None:
    promises = made().promises
    assert [(row.incident.id, row.number, row.item.text, row.late_days) for row in promises.rows] == [
        (1, 2, "late", 3),
        (1, 3, "later", 0),
        (2, 1, "some day", 0),
    ]
    assert promises.done == 1
    assert [row.due for row in promises.rows][-1] == "no date"
    assert review(SEVERAL, BOOK, {}, NOW).promises.empty


def test_open_ones_stand_apart_with_their_clocks() -> None:
    assert [(one.id, clock) for one, clock in made().still_open.rows] == [(5, "missed"), (4, "running")]


def test_the_overview_says_how_much_there_is_and_what_alarms() -> None:
    figures = {one.name: (one.value, one.alarmed) for one in made().overview.figures}
    assert figures == {
        "Incidents": ("5", False),
        "Open": ("2", True),
        "Response time kept": ("50 %", True),
        "Action items overdue": ("1", True),
    }
    months = made().overview.months
    assert months is not None
    assert [(bar.name, bar.said) for bar in months.bars] == [
        ("2026-10", "1 incident"),
        ("2026-11", "4 incidents, 2 of them API Unresponsive"),
    ]


def test_without_incidents_it_is_an_empty_page_and_no_error() -> None:
    nothing = review((), BOOK, {}, NOW)
    assert nothing.overview.months is None
    assert "<h2" in html(nothing)


def test_what_people_wrote_is_shown_as_text() -> None:
    hostile = review((incident(1, 1), incident(2, 2)), BOOK, {1: (item("<script>alert(1)</script>", -1),)}, NOW)
    assert "<script>" not in html(hostile)
