"""The first screen: what showed first is told beside the end, every note that holds, and of the dead no future."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import conclusions, drill, workspace
from irkit.model import EventKind
from irkit.report import Report
from irkit.report.html import html
from irkit.report.parts import Gap
from irkit.report.sections import Header
from tests.support.example_bundle import COLLECTED, TABLES, example_bundle
from tests.support.example_report import TIMELINE, event, report_of


@pytest.fixture
def leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The recording of a leak that the kernel ended before anybody had looked into the heap."""
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file("memory-leak", workspace.load_settings(), 42)
    return conclusions.postmortem(filed, workspace.gather(filed, "never"))


def test_what_leads_shows_the_leak(leak: Report) -> None:
    assert not isinstance(leak.header, Gap)
    kill, growth = leak.header.likely.claims
    assert kill.text == "jarvis-api exited with code 137 (killed for its use of memory) at 19:32:03 UTC"
    assert not kill.quote, "whom the kernel kills says nothing of it: its last line is any line"
    assert growth.text.startswith("Gradual memory increase: Memory of jarvis_jarvis-api_1 rose by 4.")
    assert "from 18 MiB to 247 MiB" in growth.text


def test_of_the_dead_nothing_is_foretold(leak: Report) -> None:
    shown = "\n".join(str(section) for section in leak.sections)
    assert "is reached in" not in shown
    assert "if it goes on" not in shown
    assert "Before any restart" not in shown
    assert "Its process has ended. Once it runs again and grows: irkit memory snapshot --container" in shown
    assert "killed at its limit, 19:32:03 UTC" in shown
    assert "Exited with code 137, killed for its use of memory" in str(leak.timeline)
    assert "0 uncollectable, 0.3346s elapsed" not in str(leak.timeline)


def header_of(made: Report) -> Header:
    assert isinstance(made.header, Header)
    return made.header


def test_an_end_is_told_with_the_signs_that_came_long_before_it(tmp_path: Path) -> None:
    made = report_of(example_bundle(tmp_path))
    [first, *_] = header_of(made).likely.claims
    assert first.text == (
        "jarvis-api exited with code 1 at 03:12:09 UTC; “5xx error spike” showed from 03:08:42 UTC, 3 min 27 s before"
    )
    assert "logs" in " ".join(first.evidence)
    assert first.text in str(made.summary)


def test_the_first_screen_has_all_notes_of_a_part_each_with_its_share(tmp_path: Path) -> None:
    later = event(93, EventKind.NOTE, "Its unit was changed on Monday", section="trigger")
    told = dict(header_of(report_of(example_bundle(tmp_path / "two"), timeline=(*TIMELINE, later))).told)
    assert told["Trigger"] == "The nightly snapshot remounts data/ read-only. Its unit was changed on Monday"
    endless = replace(later, text="and on " * 200)
    told = dict(header_of(report_of(example_bundle(tmp_path / "long"), timeline=(*TIMELINE, endless))).told)
    assert told["Trigger"].startswith("The nightly snapshot remounts data/ read-only. and on and on")
    assert len(told["Trigger"]) <= 242


def test_looks_after_the_end_of_the_window_are_said_to_be_so(tmp_path: Path) -> None:
    made = report_of(example_bundle(tmp_path / "late"))
    assert header_of(made).looked_to == COLLECTED + timedelta(seconds=2)
    shown = re.sub("<[^>]+>", "", html(made.header))
    assert "03:21:30 UTC, when the collection began; its last look was at 03:21:32 UTC." in shown
    assert "irkit when it collected, the last at 03:21:32 UTC." in html(made.impact)
    probes = [row | {"at": COLLECTED} for row in TABLES["health"][2]]
    at_once = report_of(example_bundle(tmp_path / "once", instead={"health": probes}))
    assert header_of(at_once).looked_to is None
    assert "its last look" not in html(at_once.header)
    assert "the last at" not in html(at_once.impact)


def test_a_symptom_is_the_reason_of_the_summarys_sentence_without_a_second_colon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file("database-corruption", workspace.load_settings(), 42)
    made = conclusions.postmortem(filed, workspace.gather(filed, "never"))
    assert "The evidence points at Database Corruption by “Data inconsistency”: SQLite's quick_check (47" in str(
        made.summary
    )
