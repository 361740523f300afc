"""The alert for what an incident showed is passed by the real promtool, and so is its unit test."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit import runbook as runbooks
from irkit.followup.alert_rule import _MEASURES, Rule, rule
from irkit.model import Finding, Incident, Status, Verdict, VerdictState

INCIDENT = Incident(
    42, "Checkout is down", "api-unresponsive", "Critical", Status.RESOLVED, datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
)
BOOK = runbooks.load()
SLUGS = (*_MEASURES, "p95-latency", "slow-dashboard-loading")


def found(*slugs: str, state: VerdictState = VerdictState.FOUND) -> list[Finding]:
    return [Finding(slug, (), slug.replace("-", " "), Verdict(state, ""), ()) for slug in slugs]


def promtool(folder: Path, made: Rule) -> subprocess.CompletedProcess[str]:
    """Check the rules and run their unit test as a user would, with Debian's own promtool."""
    for name, text in made.files.items():
        (folder / name).write_text(text)
    check = ["promtool", "check", "rules", *(name for name in made.files if name.endswith("rules.yml"))]
    subprocess.run(check, cwd=folder, check=True, capture_output=True)
    test = ["promtool", "test", "rules", *(name for name in made.files if name.endswith("test.yml"))]
    return subprocess.run(test, check=False, cwd=folder, capture_output=True, text=True)


def test_every_symptom_with_a_metric_fires_and_stays_silent(tmp_path: Path) -> None:
    made = rule(INCIDENT, BOOK, found(*SLUGS))
    assert (len(made.alerts), made.without) == (len(SLUGS), ())
    run = promtool(tmp_path, made)
    assert (run.returncode, run.stdout.count("SUCCESS")) == (0, 1), run.stdout + run.stderr


@pytest.mark.parametrize("slug", ["health-check-failing", "p95-latency", "oom-kills", "gradual-memory-increase"])
@pytest.mark.parametrize("broken", ["never fires", "always fires"])
def test_a_rule_that_is_wrong_fails_its_test(tmp_path: Path, slug: str, broken: str) -> None:
    made = rule(INCIDENT, BOOK, found(slug))
    name = next(name for name in made.files if name.endswith("rules.yml"))
    lines = made.files[name].splitlines()
    row = next(index for index, line in enumerate(lines) if "expr:" in line)
    lines[row] = f"    expr: {'vector(0) > 1' if broken == 'never fires' else 'vector(1) > 0'}"
    while not lines[row + 1].lstrip().startswith("for:"):
        del lines[row + 1]
    run = promtool(tmp_path, Rule(dict(made.files) | {name: "\n".join(lines) + "\n"}, made.alerts, ()))
    assert run.returncode == 1
    assert "FAILED" in run.stdout + run.stderr


def test_an_alert_that_waits_for_longer_than_the_incident_lasted_is_named() -> None:
    shown = found("health-check-failing", "oom-kills", "5xx-error-spike")
    noticed = INCIDENT.noticed_at
    over = replace(INCIDENT, resolved_at=noticed + timedelta(seconds=90))
    assert rule(over, BOOK, shown).too_slow == (("Http5xxErrorSpike", "2m"),)
    earlier = noticed - timedelta(minutes=5)
    assert rule(over, BOOK, shown, first_sign=earlier).too_slow == ()
    assert rule(replace(over, started_at=noticed), BOOK, shown, first_sign=earlier).too_slow, "people's word holds"
    assert rule(INCIDENT, BOOK, shown).too_slow == (), "it goes on"
    assert rule(replace(INCIDENT, resolved_at=earlier), BOOK, shown).too_slow == (), "times that contradict"


def test_the_runbook_s_own_limit_is_the_alert_s() -> None:
    own = runbooks.parse(BOOK.text.replace("p95 latency > 2s", "p99 latency > 500ms"), "own.md")
    slug = own.incident_type("high-latency").symptoms[0].slug
    (text, _) = rule(INCIDENT, own, found(slug)).files.values()
    assert "histogram_quantile(0.99, " in text
    assert "> 0.5" in text


def test_where_nothing_was_looked_at_the_type_s_symptoms_count() -> None:
    made = rule(INCIDENT, BOOK, found("oom-kills", state=VerdictState.UNKNOWN))
    assert made.alerts == ("HealthCheckFailing", "Http5xxErrorSpike", "TimeoutErrors")


def test_a_symptom_without_a_metric_is_named_and_makes_no_file() -> None:
    made = rule(INCIDENT, BOOK, found("slow-garbage-collection"))
    assert (dict(made.files), made.without) == ({}, ("slow garbage collection",))


@pytest.mark.parametrize("title", ["{{ fail }} {{", 'a"b: [c]\n- d', "é" * 200, '{{ query "up" }}\x1b[31m'])
def test_a_title_is_text_and_no_template(tmp_path: Path, title: str) -> None:
    hostile = Incident(42, title, INCIDENT.type, "Critical", Status.OPEN, INCIDENT.opened_at)
    run = promtool(tmp_path, rule(hostile, BOOK, found("oom-kills")))
    assert run.returncode == 0, run.stdout + run.stderr
