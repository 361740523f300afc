"""What can be explored, in real Chromium: it opens where told, what is hostile runs not, a page shows it still."""

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from irkit.errors import IrkitError
from irkit.exploring import explore, explore_strip
from irkit.publish import safe
from tests.support.example_bundle import HOSTILE, TELLING, example_bundle
from tests.support.example_report import example_report, report_of


def test_the_log_opens_where_told_and_runs_nothing_of_what_it_says(tmp_path: Path) -> None:
    evidence = example_bundle(tmp_path / "bundle")
    report = report_of(evidence)
    log, strip = explore(evidence, "logs", at="03:12:08"), explore_strip(report, evidence)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
        page.on("request", lambda request: said.append(request.url))
        page.set_content(f'<meta charset="utf-8">{log.live}{strip.live}')
        rows = page.locator("table.dataTable tbody tr")
        rows.first.wait_for()
        first = rows.first.inner_text()
        shown = page.locator("table.dataTable tbody").inner_text()
        point = page.locator("//section[contains(., 'unhandled exception, exiting')]/preceding-sibling::input[1]")
        page.locator(f"label[for='{point.get_attribute('id')}']").click()
        behind = page.locator("section:visible pre").inner_text()
        browser.close()
    assert "2026-11-23 03:11:" in first
    for text in (shown, behind):
        assert TELLING in text
        assert "<script>alert(1)</script> <img src=x onerror=alert(2)>" in text
        assert "\x1b" not in text
    assert [one for one in said if not one.startswith("blob:")] == []


def test_a_page_shows_a_static_table_instead(tmp_path: Path) -> None:
    evidence = example_bundle(tmp_path / "bundle")
    report = report_of(evidence)
    for explored in (
        explore(evidence, "logs", at="03:12:08"),
        explore(evidence),
        explore(report.symptoms),
        explore_strip(report, evidence),
    ):
        bundle = explored._repr_mimebundle_()
        page = str(safe.output({"output_type": "display_data", "data": bundle}))
        assert "<script" in bundle["text/html"] or explored.said.startswith("Requests")
        assert "<script" not in page
        assert "<input" not in page
        assert "<table>" in page or "<table " in page
        assert len(page) < 60_000
    assert HOSTILE not in page


def test_what_cannot_be_explored_is_a_sentence(tmp_path: Path) -> None:
    evidence = example_bundle(tmp_path / "bundle")
    report = example_report(tmp_path / "report", leave_out=("logs",))
    with pytest.raises(IrkitError, match="holds no nothing"):
        explore(evidence, "nothing")
    with pytest.raises(IrkitError, match="is not a time"):
        explore(evidence, "logs", at="yesterday-ish")
    with pytest.raises(IrkitError, match="holds no table"):
        explore(report.summary)
