"""Promises after an incident: with an owner and a date, append-only, and remembered when it happens again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.followup import action_items
from irkit.followup.action_items import NO_DATE, days_overdue, due_date, items
from irkit.model import EventKind, Incident
from irkit.store import Store
from tests.support.escalation import NOW, Lab, lab


@pytest.fixture
def there(tmp_path: Path) -> Lab:
    return lab(tmp_path)


def promised(store: Store, incident: Incident, text: str = "Alert on a full disk", days: int = 7) -> int:
    due = NOW + timedelta(days=days)
    return action_items.add(
        store, incident.id, text, owner="ana", due=due, criterion="it pages", kind="detect", actor="jon"
    )


def test_items_are_numbered_as_added_and_done_once(there: Lab) -> None:
    store, incident = there.case.store, there.open()
    assert [promised(store, incident), promised(store, incident, "Move\nthe  logs")] == [1, 2]
    done = action_items.finish(store, incident.id, 2, "moved to /var", actor="ana")
    first, second = items(store.timeline(incident.id))
    assert (first.text, first.owner, first.kind, first.done_criterion, first.done_at) == (
        "Alert on a full disk",
        "ana",
        "detect",
        "it pages",
        None,
    )
    assert (second.text, second.done_at) == ("Move the logs", NOW)
    assert done == second
    with pytest.raises(InputError, match="was done at 2026-11-24 03:05:00 UTC"):
        action_items.finish(store, incident.id, 2, "", actor="ana")
    with pytest.raises(InputError, match="has no action item 3"):
        action_items.finish(store, incident.id, 3, "", actor="ana")
    assert store.timeline(incident.id)[-1].text == "Action item 2 done: Move the logs. moved to /var"


def test_one_noted_by_hand_counts_and_shows_what_it_lacks(there: Lab) -> None:
    store, incident = there.case.store, there.open()
    store.append(incident.id, EventKind.NOTE, actor="ana", text="Do something", data={"section": "action-item"})
    (item,) = items(store.timeline(incident.id))
    assert (item.owner, item.due, days_overdue(item, NOW + timedelta(days=999))) == ("", NO_DATE, 0)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("2026-11-24", datetime(2026, 11, 24, 23, 59, tzinfo=UTC)),
        ("2026-12-10", datetime(2026, 12, 10, 23, 59, tzinfo=UTC)),
        ("2 weeks", NOW + timedelta(weeks=2)),
        ("in 3 days", NOW + timedelta(days=3)),
    ],
)
def test_due_dates_as_people_write_them(text: str, due: datetime) -> None:
    assert due_date(text, NOW) == due


@pytest.mark.parametrize("text", ["2026-11-23", "soon", "", "2026-02-30", "-3 days"])
def test_what_is_no_date_to_come_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        due_date(text, NOW)
    assert "2026-12-10" in refused.value.hint


def test_overdue_ones_of_similar_incidents_are_remembered(there: Lab) -> None:
    store = there.case.store
    same, other, later = there.open(), there.open("high-latency", "High"), there.open()
    promised(store, same)
    promised(store, same, "Do it much later", days=90)
    promised(store, other)
    promised(store, later)
    now = NOW + timedelta(days=9)
    held = action_items.overdue_of_similar(store, later, now)
    assert {number: [item.text for item in late] for number, late in held.items()} == {1: ["Alert on a full disk"]}
    assert days_overdue(held[1][0], now) == 2
    action_items.finish(store, same.id, 1, "", actor="ana")
    assert action_items.overdue_of_similar(store, later, now) == {}


@pytest.mark.parametrize(("text", "owner"), [("", "ana"), ("Alert", " ")])
def test_a_promise_of_nothing_or_by_nobody_is_refused(there: Lab, text: str, owner: str) -> None:
    incident = there.open()
    with pytest.raises(InputError, match="an action item needs"):
        action_items.add(
            there.case.store, incident.id, text, owner=owner, due=NOW, criterion="", kind="prevent", actor="ana"
        )
    assert items(there.case.store.timeline(incident.id)) == ()
