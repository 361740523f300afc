"""The site and every drill's page in a real browser: searched by keyboard, no request elsewhere, closed to nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from irkit import drill, workspace
from irkit.site.build import publish
from irkit.site.place import Folder
from tests.support.browsing import THEMES, WIDTHS, Theme, Visit, axe, chromium

MOST_BYTES = 150 * 1024
DRILLS = {42 + number: item.name for number, item in enumerate(drill.available())}
HOSTILE = "<img src=x onerror=\"name='ran'\"></td><script>name='ran'</script>"


@pytest.fixture(scope="module", name="browser")
def started() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All drills and one incident with a hostile title, published."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "irkit.toml").write_text('home = "home"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = workspace.load_settings()
        for number, name in DRILLS.items():
            drill.file(name, found, number)
        store = workspace.store(found)
        store.open_incident(HOSTILE, incident_type="memory-leak", severity="Low", actor="x", incident_id=7)
        publish(Folder(folder / "site"), [7, *DRILLS], settings=found, drafts=True)
    return folder / "site"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_index_fits_and_asks_nobody(width: int, theme: Theme, site: Path, browser: Browser, tmp_path: Path) -> None:
    folder = Path(os.environ.get("IRKIT_SCREENSHOTS") or tmp_path)
    with Visit(browser, site / "index.html", width, theme) as visit:
        visit.page.screenshot(path=folder / f"site-{width}-{theme}.png", full_page=True)
        assert visit.elsewhere == []
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        assert visit.page.evaluate("name") == "", "a title is text"


@pytest.mark.parametrize("theme", THEMES)
def test_the_index_is_closed_to_nobody(theme: Theme, site: Path, browser: Browser) -> None:
    with Visit(browser, site / "index.html", 1280, theme, trusted=True) as visit:
        visit.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        assert axe(visit.page) == []


@pytest.mark.parametrize("number", DRILLS)
def test_every_drills_page_is_light_whole_and_closed_to_nobody(
    number: int, site: Path, browser: Browser, tmp_path: Path
) -> None:
    page = site / f"inc-{number}.html"
    assert page.stat().st_size <= MOST_BYTES
    folder = Path(os.environ.get("IRKIT_SCREENSHOTS") or tmp_path)
    for width, theme in ((1280, "light"), (375, "dark")):
        with Visit(browser, page, width, theme, trusted=True) as visit:  # type: ignore[arg-type]
            visit.page.screenshot(path=folder / f"{DRILLS[number]}-{width}-{theme}.png", full_page=True)
            assert visit.elsewhere == []
            assert visit.page.evaluate("document.documentElement.scrollWidth") == width
            if theme == "light":  # the dark one is judged on the index and on pages that have every section
                visit.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
                assert axe(visit.page) == []


def test_on_paper_no_entry_of_a_log_stands_twice(site: Path, browser: Browser) -> None:
    with Visit(browser, site / "inc-42.html", 1280, "light") as visit:
        whole = visit.page.locator("details.whole")
        assert whole.first.is_visible()
        visit.page.emulate_media(media="print")
        assert not any(one.is_visible() for one in whole.all()), "the shortened entry stands above each"


def test_words_and_filters_find_a_report_by_keyboard_alone(site: Path, browser: Browser) -> None:
    with Visit(browser, site / "index.html", 1280, "light") as visit:
        rows = visit.page.locator("#incidents tbody tr:visible")
        assert rows.count() == 1 + len(DRILLS)
        for _ in range(2):
            visit.page.keyboard.press("Tab")
        visit.page.keyboard.type("Dashboard SECONDS")
        assert rows.count() == 1
        assert "High Latency" in rows.first.inner_text()
        assert visit.page.locator("#found").inner_text() == f"1 of {1 + len(DRILLS)} reports"
        visit.page.keyboard.type(" nosuchword")
        assert rows.count() == 0
        assert visit.page.locator("#none").is_visible()
        visit.page.get_by_role("searchbox").fill("")
        visit.page.get_by_label("Type").select_option("memory-leak")
        assert rows.count() == 2
        visit.page.get_by_label("Severity").select_option("Low")
        assert rows.count() == 1
        visit.page.get_by_role("searchbox").press("Enter")
        assert visit.page.url == (site / "index.html").as_uri(), "nothing is sent"


def test_without_scripts_all_of_it_is_there(site: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("#incidents tbody tr:visible").count() == 1 + len(DRILLS)
    assert not page.locator("#find").is_visible()
    page.get_by_role("link", name="The database is malformed").click()
    assert "Database Corruption" in page.inner_text("h1, .kicker")
    context.close()
