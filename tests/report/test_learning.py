"""What an incident should change is in its report: the runbook's edit, the alert, and what was promised before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import runbook
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import ActionItem, EventKind
from irkit.report import Report, build
from irkit.report.html import html
from irkit.report.parts import Gap
from tests.support.example_bundle import example_bundle
from tests.support.example_report import EARLIER, NOW, RESOLVED, TIMELINE, event, example_report, report_of


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    said = "Step 2 (X): deviated. <b>remounted</b> data/"
    deviated = event(16, EventKind.NOTE, said, step=2, outcome="deviated")
    return report_of(example_bundle(tmp_path_factory.mktemp("learning")), timeline=(*TIMELINE, deviated))


def test_the_runbook_s_edit_has_its_reasons_and_its_patch(report: Report) -> None:
    edit = report.runbook_edit
    assert not isinstance(edit, Gap)
    assert edit.command == "irkit runbook propose 42"  # no pipe: the built-in one lies in nobody's repository
    assert any("this was done, and no step says it" in one.text for one in edit.reasons)
    assert "+4. " in edit.patch
    assert edit.patch.startswith("diff --git a/irkit/runbook.md b/irkit/runbook.md\n"), "as the command has it"
    assert "ratelimit" not in edit.patch, "another type's chapter is not this incident's"
    shown = html(edit)
    assert "<b>" not in shown
    assert "remounted" in shown


def test_the_alert_is_for_what_was_found(report: Report) -> None:
    alert = report.alert
    assert not isinstance(alert, Gap)
    assert "HealthCheckFailing" in alert.names
    assert "probe_success" in html(alert)
    assert alert.too_slow == ()
    assert "told nobody" not in html(alert)


def test_an_alert_that_would_have_come_too_late_says_so(tmp_path: Path) -> None:
    short = replace(RESOLVED, started_at=RESOLVED.noticed_at, mitigated_at=RESOLVED.noticed_at + timedelta(seconds=25))
    alert = example_report(tmp_path, incident=short).alert
    assert not isinstance(alert, Gap)
    assert ("HealthCheckFailing", "1m") in alert.too_slow
    assert "HealthCheckFailing (1m)" in html(alert)
    assert "would have told nobody of this incident" in html(alert)


def test_while_it_goes_on_nothing_is_concluded(tmp_path: Path) -> None:
    going_on = replace(RESOLVED, mitigated_at=None, resolved_at=None)
    made = example_report(tmp_path, incident=going_on)
    assert not isinstance(made.runbook_edit, Gap)
    assert not isinstance(made.alert, Gap)
    assert (made.runbook_edit.empty, made.alert.empty) == (True, True)
    assert html(made.runbook_edit) == ""


def test_a_similar_incident_s_promises_are_shown_the_overdue_ones_loudly(tmp_path: Path) -> None:
    late = ActionItem("Watch the disk", "ana", NOW - timedelta(days=30), "", "detect")
    kept = ActionItem("Write it down", "jon", NOW - timedelta(days=30), "", "process", done_at=NOW - timedelta(days=31))
    coming = ActionItem("Move the <logs>", "jon", NOW + timedelta(days=30), "", "prevent")
    bundle = example_bundle(tmp_path)

    def shown(*promised: ActionItem) -> str:
        book = runbook.load()
        made = build(
            incident=RESOLVED,
            timeline=TIMELINE,
            runbook=book,
            bundle=bundle,
            diagnosis=Diagnosis((), ()),
            now=NOW,
            others=(EARLIER,),
            past_items={EARLIER.id: promised},
            past_help={EARLIER.id: "put the <index> back"},
        )
        assert not isinstance(made.similar, Gap)
        return html(made.similar)

    assert "none recorded" in shown()
    assert "put the &lt;index&gt; back" in shown()
    for words in ("1 of 3 done", "Watch the disk: ana", "overdue since 2026-", "Move the &lt;logs&gt;: jon", "due 202"):
        assert words in shown(late, kept, coming)
    assert "all 1 done" in shown(kept)
