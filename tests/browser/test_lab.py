"""A newcomer's session in JupyterLab: open the postmortem from the index, set the incident, run all, see, explore.

Screenshots are left in the folder that IRKIT_SCREENSHOTS names, or in the test's own.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from irkit import drill, workspace
from irkit.model import EventKind

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 40_000
PRICES = "Each minute costs us $500, each order $30"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where `irkit lab` answers, in a folder with the drill filed as incident 43."""
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    drill.file("api-unresponsive", workspace.load_settings(), 43)
    workspace.store().append(43, EventKind.NOTE, actor="jon", text=PRICES)
    options = ["--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={_free_port()}"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    # nothing of the person's own JupyterLab, nor of an earlier test's: its workspaces remember what was open
    own = {name: str(tmp_path / "jupyter") for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "spaces"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    argv = [sys.executable, "-c", "from irkit.cli import main; main()", "lab", *options]
    server = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **own}
    )
    try:
        yield _address(server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _address(server: subprocess.Popen[str]) -> str:
    said = []
    assert server.stdout
    for line in server.stdout:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S*token=\S+", line):
            return found[0]
    pytest.fail("".join(said))


def test_a_newcomer_opens_the_postmortem_sets_the_incident_and_sees_the_charts(address: str, tmp_path: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        folder = Path(os.environ.get("IRKIT_SCREENSHOTS") or tmp_path)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        try:
            _session(page, address)
            page.screenshot(path=folder / "jupyterlab-report.png")
            _explores_the_log(page)
            page.screenshot(path=folder / "jupyterlab-log.png")
            _explores_a_section(page)
            _follows_a_point_of_the_strip(page)
        finally:
            page.screenshot(path=folder / "jupyterlab.png")
            browser.close()
    outside = [url for url in asked if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", url)]
    assert outside == []


def _session(page: Page, address: str) -> None:
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(address)
    index = page.locator(".jp-RenderedMarkdown")
    index.get_by_role("heading", name="Incidents").wait_for()
    assert index.get_by_role("row", name=re.compile("^43 ")).count() == 1
    index.get_by_role("link", name="postmortem").click()
    parameters = page.locator(".jp-CodeCell .cm-content").filter(has_text="incident_id")
    parameters.first.click()
    page.keyboard.press("ControlOrMeta+Home")
    page.keyboard.press("End")
    for _ in range(len('  # the incident, as `irkit list` shows it: 42 or "INC-42"')):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    page.keyboard.type("3")
    page.locator("li[data-type='tabmenu'], .lm-MenuBar-item").filter(has_text="Run").first.click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    strip = page.locator(".jp-OutputArea img[alt*='Requests'], .jp-OutputArea img[alt*='equests']").first
    strip.wait_for(state="attached")
    strip.scroll_into_view_if_needed()
    assert strip.evaluate("image => image.naturalWidth") > 500
    assert page.get_by_text("INC-43").count()
    # JupyterLab sets what stands between two dollars as a formula, unless it is told that this is none
    assert page.locator(".jp-OutputArea").get_by_text(PRICES).count()
    assert not page.locator("mjx-container").count()
    assert not page.get_by_text("Jupyter news").count()


def _in_a_cell(page: Page, source: str) -> Locator:
    """Run source in a new cell below all others, and return its output."""
    page.get_by_role("button", name="Click to add a cell.").click()  # a click there adds a cell
    cell = page.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")
    return page.locator(".jp-CodeCell").filter(has_text=source).last.locator(".jp-OutputArea-output").last


def _explores_the_log(page: Page) -> None:
    shown = _in_a_cell(page, 'from irkit.exploring import explore, explore_strip; explore(evidence, "logs")')
    rows = shown.locator("table.dataTable tbody tr")
    rows.first.wait_for()
    assert re.match(
        r"logs: 4,066 rows, opened at 2026-11-26 19:29:", shown.locator("table.dataTable caption").inner_text()
    )
    assert rows.first.locator("td").first.inner_text().startswith("2026-11-26 19:29:")
    shown.get_by_label("Search:").fill("PoolExhaustedError: database")
    shown.locator(".dt-info").filter(has_text=re.compile("filtered from 4,066")).wait_for()
    assert "PoolExhaustedError: database" in rows.first.inner_text()
    shown.get_by_label("Search:").fill("")
    shown.get_by_placeholder("service").press_sequentially("beta")
    expect(rows.filter(has_not_text="provider-beta")).to_have_count(0)
    expect(rows.filter(has_text="provider-beta")).to_have_count(25)


def _explores_a_section(page: Page) -> None:
    shown = _in_a_cell(page, "explore(report.symptoms)")
    table = shown.locator("table.dataTable").filter(has_text="Memory Leak").last
    table.locator("tbody tr").first.wait_for()
    scores = table.locator("tbody tr td:nth-child(2)")
    expect(scores).to_have_text(["0.96", "0.16", "0.08", "0.00", "0.00"])
    table.locator("th .dt-column-order").nth(1).click()
    expect(scores).to_have_text(["0.00", "0.00", "0.08", "0.16", "0.96"])


def _follows_a_point_of_the_strip(page: Page) -> None:
    shown = _in_a_cell(page, "explore_strip(report, evidence)")
    point = shown.locator("label[title^='19:30:5']").first
    point.wait_for()
    assert not shown.locator("section:visible").count()
    point.click()
    shown.locator("section:visible").wait_for()
    assert "jarvis-api" in shown.locator("section:visible pre").inner_text()
