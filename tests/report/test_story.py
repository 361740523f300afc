"""The timeline of a report: what a check says when it passes for a moment, and who speaks for the evidence."""

from datetime import timedelta
from pathlib import Path

from irkit.report.parts import Gap
from tests.support.example_bundle import CRASH, Row, container_health, example_bundle
from tests.support.example_report import report_of


def told_of_checks(folder: Path, more: list[Row]) -> list[tuple[str, str]]:
    rows = report_of(example_bundle(folder, instead={"container_health": [*container_health(), *more]})).timeline
    assert not isinstance(rows, Gap)
    return [(f"{row.at:%H:%M:%S}", row.text) for row in rows.rows if row.text.startswith("Health check passes")]


def passed(at_s: float, took_s: float) -> Row:
    at = CRASH + timedelta(seconds=at_s)
    own = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "exit_code": 0, "output": ""}
    return own | {"started_at": at, "ended_at": at + timedelta(seconds=took_s)}


def test_a_check_passes_when_it_is_answered_and_only_once_where_the_service_ends_next(tmp_path: Path) -> None:
    once = told_of_checks(tmp_path / "once", [passed(-4, 2.6)])
    assert once == [("03:12:07", "Health check passes once, 1 s before it exits")]
    again = told_of_checks(tmp_path / "again", [passed(40, 2.6)])
    assert again == [("03:12:51", "Health check passes again")]


def test_a_traceback_that_breaks_off_is_not_quoted_by_its_frame(tmp_path: Path) -> None:
    frame = 'Traceback (most recent call last):\n  File "urllib/request.py", line 216, in urlopen'

    def shown(folder: str, output: str) -> tuple[str, str, str]:
        rows = [*container_health(), passed(-12, 1), passed(-8, 1) | {"exit_code": 1, "output": output}]
        told = report_of(example_bundle(tmp_path / folder, instead={"container_health": rows})).timeline
        assert not isinstance(told, Gap)
        row = [row for row in told.rows if row.text.startswith("Health check fails")][-1]
        return row.text, row.quote, row.full

    broken = shown("broken", frame)
    assert broken == ("Health check fails; what it said breaks off in a traceback", "", frame)
    whole = f"{frame}\nurllib.error.URLError: refused"
    assert shown("whole", whole) == ("Health check fails", "urllib.error.URLError: refused", whole)


def test_what_the_engine_tells_of_a_container_is_told_in_words(tmp_path: Path) -> None:
    own = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "at": CRASH, "exit_code": None}
    events: list[Row] = [
        own | {"action": "die"},
        own | {"action": "oom"},
        own | {"action": "kill", "signal": "15"},
        own | {"action": "rename"},
    ]
    told = report_of(example_bundle(tmp_path, instead={"container_events": events})).timeline
    assert not isinstance(told, Gap)
    words = {row.text for row in told.rows}
    assert any(text.startswith("Exited") for text in words)
    assert not any("None" in text for text in words)
    assert {"Out of memory: the kernel kills a process of it", "Was sent signal 15", "Container event: rename"} <= words
