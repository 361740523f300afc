from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import irkit
from irkit import runbook
from irkit.bundle import open_bundle
from irkit.diagnose.run import diagnose
from irkit.registry import load_plugins
from irkit.report import Report, build
from irkit.report.changes import LogPatterns
from irkit.report.html import html, text
from tests.support.example_report import RESOLVED

DRILL = Path(irkit.__file__).parent / "drills" / "api-unresponsive" / "bundle"


@pytest.fixture(scope="module")
def report() -> Report:
    load_plugins("irkit.symptoms", "irkit.symptoms")
    bundle, said = open_bundle(DRILL), runbook.load()
    incident = replace(RESOLVED, started_at=None, detected_at=bundle.window.end - timedelta(minutes=1))
    return build(
        incident=incident,
        timeline=(),
        runbook=said,
        bundle=bundle,
        diagnosis=diagnose(bundle, said),
        now=datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_the_patterns_of_a_crash_are_told_errors_first_and_since_when(report: Report) -> None:
    section = report.log_patterns
    assert isinstance(section, LogPatterns)
    assert section.interval is not None
    assert section.onset == section.interval.earliest
    told = {row.pattern: row for row in section.rows}
    pool = next(row for pattern, row in told.items() if pattern.startswith("app.database.PoolExhaustedError"))
    assert pool.change in {"new", "exploding"}
    assert pool.since is not None
    assert abs(pool.since - section.onset) < timedelta(seconds=15)
    assert pool.after_per_minute > 3 * pool.before_per_minute
    assert section.rows[0].level == "critical"
    assert not any(row.example[:1].isspace() for row in section.rows)
    assert section.evidence == ("container-logs/logs",)


def test_the_section_shows_the_interval_the_change_and_the_pattern(report: Report) -> None:
    shown = text(report.log_patterns)  # type: ignore[arg-type]
    assert "It began between" in shown
    assert "failed requests to jarvis-api" in shown
    assert "connection pool exhausted: <*> of <*> connections in use" in shown
    assert "&lt;*&gt;" in html(report.log_patterns)  # type: ignore[arg-type]
