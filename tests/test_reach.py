"""Evidence is looked for from before an incident began, and not from the one before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit import conclusions, drill, workspace
from irkit.model import Incident, Status, Window
from irkit.reach import begins_after, cut_short, over_before, window_of
from tests.support.command_line import runner

BASE = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(minutes: float) -> datetime:
    return BASE + timedelta(minutes=minutes)


def incident(number: int, opened: float, resolved: float | None = None) -> Incident:
    over = at(resolved) if resolved is not None else None
    status = Status.RESOLVED if over else Status.OPEN
    return Incident(number, "t", "memory-leak", "High", status, at(opened), resolved_at=over)


def before(one: Incident, *others: Incident) -> Incident | None:
    return over_before(one, others, HOUR, owns_nothing=lambda other: other.id >= 100)


NOW = incident(9, 40)


def test_it_begins_so_long_before_and_ends_ten_minutes_after() -> None:
    assert window_of(NOW, HOUR, at(45)) == Window(at(-20), at(45))
    assert window_of(replace(NOW, started_at=at(30)), HOUR, at(45)) == Window(at(-30), at(45))
    assert window_of(incident(9, 40, 60), HOUR, at(500)) == Window(at(-20), at(70))
    assert window_of(incident(9, 40, 60), HOUR, at(65)) == Window(at(-20), at(65))


def test_it_reaches_back_to_where_the_last_one_was_over_and_says_so() -> None:
    first, second = incident(1, 0, 10), incident(2, 12, 31)
    found = before(NOW, second, first, NOW)
    assert found == second
    window = window_of(NOW, HOUR, at(45), found)
    assert window == Window(at(31), at(45))
    assert window.usual_start == at(-20)
    assert begins_after(window, found)
    assert "03:31:00" in cut_short(window, found)
    assert "INC-2 (memory-leak) was over" in cut_short(window, found)
    assert "what was before is that one's, but for memory that goes on rising." in cut_short(window, found)
    assert "irkit reopen 2" in cut_short(window, found)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(incident(2, 12), id="it goes on"),
        pytest.param(incident(2, 12, 41), id="it went on when this one began"),
        pytest.param(incident(2, -90, -21), id="beyond the reach"),
        pytest.param(incident(100, 12, 31), id="a drill, or a false alarm"),
        pytest.param(replace(NOW, resolved_at=at(31)), id="the same one, with a time put right"),
    ],
)
def test_what_is_no_incident_before_cuts_nothing_off(other: Incident) -> None:
    assert before(NOW, other) is None


def test_where_nothing_was_cut_off_nothing_is_said() -> None:
    earlier = incident(2, 12, 31)
    assert window_of(NOW, HOUR, at(45)).usual_start is None
    assert window_of(NOW, HOUR, at(45), incident(2, -90, -21)) == Window(at(-20), at(45))
    assert cut_short(window_of(NOW, HOUR, at(45)), None) == ""
    assert cut_short(Window(at(-20), at(45)), earlier) == "", "evidence of before it was resolved"


def test_a_closed_one_of_which_nobody_said_when_it_was_resolved_is_over() -> None:
    assert replace(incident(2, 12), closed_at=at(33)).over_at == at(33)


def test_the_next_incident_of_the_day_is_not_blamed_on_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "irkit.toml").write_text("")
    irkit = runner(monkeypatch, capsys)
    for words in (
        ("open", "the first", "--type", "memory-leak", "--id", "1"),
        ("resolve", "1", "restarted"),
        ("open", "the next", "--type", "high-latency", "--id", "2"),
    ):
        assert irkit(*words).code == 0
    over = workspace.incident(1).resolved_at
    said = irkit("collect", "2", "--only", "host")
    assert "INC-1 (memory-leak) was over" in said.out
    bundle = workspace.gather(workspace.incident(2), "never")
    assert bundle.window.start == over
    assert "INC-1 (memory-leak) was over" in irkit("triage", "2").out
    page = str(conclusions.postmortem(workspace.incident(2), bundle).header)
    assert "when INC-1 was over" in page
    assert "was over" not in irkit("collect", "1", "--only", "host").out


def test_a_drill_cuts_nothing_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text('home = "home"\n')  # without one it would be filed in the user's own folder
    practised, _ = drill.file("memory-leak", workspace.load_settings(), 5)
    assert practised.resolved_at
    opened = workspace.store().open_incident(
        "real", incident_type="high-latency", severity="High", actor="ana", opened_at=practised.resolved_at + HOUR / 2
    )
    assert workspace.over_before(opened) is None


def test_a_false_alarm_cuts_nothing_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text("")
    irkit = runner(monkeypatch, capsys)
    for words in (
        ("open", "a test alarm", "--type", "high-latency", "--id", "1"),
        ("dismiss", "1", "a test of the pager"),
        ("open", "it is slow", "--type", "high-latency", "--id", "2"),
    ):
        assert irkit(*words).code == 0
    assert "was over" not in irkit("collect", "2", "--only", "host").out
    bundle = workspace.gather(workspace.incident(2), "never")
    assert bundle.window.start < workspace.incident(1).opened_at, "what was before the alarm is this one's"
    assert irkit("reopen", "1", "it was real after all").code == 0
    assert irkit("resolve", "1", "the index is back").code == 0
    assert irkit("open", "again", "--type", "high-latency", "--id", "3").code == 0
    assert workspace.over_before(workspace.incident(3)) == workspace.incident(1)
