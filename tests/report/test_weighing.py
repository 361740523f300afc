"""The triage as a section: conclusion first, every weight, and the check that would tell most."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.report.html import html, text
from irkit.report.weighing import Triage
from irkit.triage import Conclusion
from tests.report.closer import HOSTILE, closer_report
from tests.support.type_evidence import TYPES, healthy, limited


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_is_named_and_stands_firm(kind: str, tmp_path: Path) -> None:
    made = closer_report(tmp_path, kind, TYPES[kind]()).triage
    assert isinstance(made, Triage)
    assert made.conclusion is Conclusion.ONE
    assert made.first.lower().replace(" ", "-") == kind
    assert made.standing.startswith("Settled")
    assert made.filed_otherwise == ""
    assert made.contenders[0].score == pytest.approx(sum(row.weight for row in made.contenders[0].supporting), abs=0.01)
    shown = text(made)
    assert shown.index(made.sentence) < shown.index("Cheapest next check") < shown.index("What the evidence says")


def test_a_healthy_service_is_none_of_these(tmp_path: Path) -> None:
    made = closer_report(tmp_path, "memory-leak", healthy()).triage
    assert isinstance(made, Triage)
    assert made.conclusion is Conclusion.NONE
    assert made.first == "None of these"
    assert "None of these: " in text(made)


def test_without_evidence_the_page_says_which_look_to_mend_first(tmp_path: Path) -> None:
    made = closer_report(tmp_path, "high-latency", {}).triage
    assert isinstance(made, Triage)
    assert made.conclusion is Conclusion.BLIND
    assert made.standing.startswith("Not settled: 14 unknown symptoms")
    assert made.checks[0].value == max(row.value for row in made.checks)
    shown = text(made)
    assert "all 14 symptoms are unknown, and nothing follows from that" in shown
    assert "nothing answered → see whether it runs" in shown
    assert "irkit collect 42" in shown


def test_what_was_filed_otherwise_is_said_and_hostile_words_stay_text(tmp_path: Path) -> None:
    made = limited()
    states = [made["providers"][0] | {"status": HOSTILE}]
    section = closer_report(tmp_path, "memory-leak", made | {"providers": states}).triage
    page = html(section)
    assert "It was filed as Memory Leak; the evidence says otherwise." in page
    assert "<script>" not in page
    assert "\x1b" not in page
