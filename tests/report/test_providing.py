"""The sections for provider failures: who fails since when, with what, and when a limit resets."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.charts import BarLane
from irkit.report import Report
from irkit.report.html import html, text
from irkit.report.parts import Gap
from irkit.report.providing import ProviderFailures, Providers, RateLimits
from tests.report.closer import HOSTILE, closer_report
from tests.support.type_evidence import COLLECTED, at, healthy, limited, line


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return closer_report(tmp_path_factory.mktemp("limited"), "provider-failures", limited())


def test_the_sick_provider_comes_first_with_its_calls_over_time(report: Report) -> None:
    made = report.providers
    assert isinstance(made, Providers)
    alpha, beta = made.rows
    assert (alpha.name, alpha.healthy, alpha.status, alpha.failed) == ("provider-alpha", False, "rate_limited", 200)
    assert (beta.healthy, beta.failed, beta.first_failure) == (True, 0, None)
    assert alpha.first_failure == at(301)
    assert made.strip is not None
    lanes = [lane for lane in made.strip.lanes if isinstance(lane, BarLane)]
    assert [lane.name for lane in lanes] == ["Calls to provider-alpha", "Calls to provider-beta"]
    assert sum(bar.failed for bar in lanes[0].bars) == 200
    assert sum(bar.failed for bar in lanes[1].bars) == 0


def test_providers_outside_the_stack_are_drawn_by_the_errors_that_name_them(tmp_path: Path) -> None:
    logs = [line(second, "ERROR openai.APIStatusError: provider openai answered 503") for second in range(9)]
    made = closer_report(tmp_path, "provider-failures", {"logs": logs}).providers
    assert isinstance(made, Providers)
    (row,) = made.rows
    assert (row.name, row.healthy, row.calls, row.errors) == ("openai", None, None, 9)
    assert made.strip is not None
    assert made.strip.lanes[0].name == "Errors that name openai"
    assert "? unknown" in text(made)


def test_failing_calls_are_grouped_by_what_they_say(report: Report) -> None:
    made = report.failing_calls
    assert isinstance(made, ProviderFailures)
    assert (made.total, made.kinds) == (200, 1)
    assert made.rows[0].failure.provider == "provider-alpha"
    refused = next(one for one in made.answers if one.status == 429)
    assert (refused.route, refused.count, refused.first, refused.last) == ("POST /api/chat", 200, at(301), at(599))
    assert "03:05:01" in html(made)


def test_what_fails_after_the_last_failed_call_is_told_where_the_providers_calls_are(
    report: Report, tmp_path: Path
) -> None:
    assert isinstance(report.providers, Providers)
    assert report.providers.refused == "", "a provider was called for each"
    evidence = limited()
    quiet = [row for row in evidence["logs"] if row["service"] != "provider-alpha" or row["at"] < at(330)]
    made = closer_report(tmp_path / "stopped", "provider-failures", evidence | {"logs": quiet}).providers
    assert isinstance(made, Providers)
    assert made.refused.startswith(
        "After the last failed call to a provider, at 03:05:29 UTC, 177 requests failed all the"
    )
    assert "jarvis-api refused them itself, or its calls got to none." in text(made)
    # of a provider whose log is not here nobody can say that it was not called
    abroad = [row for row in evidence["logs"] if row["service"] != "provider-beta"]
    elsewhere = closer_report(tmp_path / "abroad", "provider-failures", evidence | {"logs": abroad}).providers
    assert isinstance(elsewhere, Providers)
    assert elsewhere.refused == ""


def test_limits_say_who_is_limited_how_far_and_until_when(report: Report) -> None:
    made = report.rate_limits
    assert isinstance(made, RateLimits)
    alpha, resets = made.rows[0]
    assert (alpha.provider, alpha.used, alpha.limit, alpha.full) == ("provider-alpha", 900, 600, True)
    assert resets == "at 03:10:42 UTC, 42 s after the look"
    assert made.collected_at == COLLECTED
    assert made.bars is not None
    assert made.bars.alt == "provider-alpha: 900 of 600, resets 03:10:42."


def test_a_limit_that_nobody_tells_is_unknown_and_a_key_without_expiry_is_told(tmp_path: Path) -> None:
    rows = [row | {"ttl_s": None, "reset_at": None} for row in healthy()["rate_limits"]]
    made = closer_report(tmp_path, "provider-failures", {"rate_limits": rows}).rate_limits
    assert isinstance(made, RateLimits)
    assert made.bars is None
    assert "how full they are is not known" in text(made)
    assert "never by itself: the key has no expiry" in text(made)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    made = limited()
    states = [made["providers"][0] | {"name": HOSTILE, "status": HOSTILE}]
    keys = [made["rate_limits"][0] | {"key": HOSTILE, "provider": HOSTILE}]
    logs = [line(1, f"ERROR provider call failed provider={HOSTILE} limit=1")]
    report = closer_report(tmp_path, "provider-failures", {"providers": states, "rate_limits": keys, "logs": logs})
    for section in (report.providers, report.failing_calls, report.rate_limits):
        page = html(section)
        assert not isinstance(section, Gap)
        assert "<script>" not in page
        assert "\x1b" not in page
        assert "&lt;script&gt;" in page


def test_missing_evidence_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    report = closer_report(tmp_path, "provider-failures", {})
    for section in (report.providers, report.failing_calls, report.rate_limits):
        assert isinstance(section, Gap)
        assert "failed: nothing answered" in section.reason
