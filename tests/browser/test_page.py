"""The page in a real browser: no request, no script, nothing cut off, readable at three widths and in both themes.

Screenshots are left in the folder that IRKIT_SCREENSHOTS names, or in the test's own.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser

from irkit.publish import to_html
from irkit.report import POSTMORTEM, Report
from tests.support.browsing import THEMES, WIDTHS, Theme, Visit, axe, chromium
from tests.support.example_bundle import HOSTILE
from tests.support.example_report import OPEN, TITLE, example_report

ATTACK = "<script>name='ran'</script><img src=x onerror=\"name='ran'\"><svg onload=\"name='ran'\"></svg>"
WORKING = ("header", "symptoms", "containers", "log", "health", "impact", "next_steps", "open_questions", "appendix")
DOCKERLESS = ("containers", "container_health", "container_events", "logs")


def notebook_of(report: Report, names: tuple[str, ...]) -> nbformat.NotebookNode:
    cells = []
    for number, name in enumerate(names, 1):
        shown = new_output("execute_result", getattr(report, name)._repr_mimebundle_(), execution_count=number)
        cells.append(new_code_cell(f"report.{name}", execution_count=number, outputs=[shown]))
    return new_notebook(cells=cells)


def hostile_notebook() -> nbformat.NotebookNode:
    """Script on every channel a notebook has, each of which would mark the window's name if it ran."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="name=\'ran\'">{ATTACK}</svg>'
    data = (
        {"text/html": ATTACK + HOSTILE + "<iframe srcdoc=\"<script>parent.name='ran'</script>\"></iframe>"},
        {"text/html": "<a href=\"javascript:name='ran'\">go</a>"},
        {"text/html": "<details open ontoggle=\"name='ran'\">x</details>"},
        {"text/html": '<link rel=stylesheet href="http://127.0.0.1:9/x.css"><img src="http://127.0.0.1:9/x.png">'},
        {"image/svg+xml": svg, "text/plain": ATTACK},
        {"application/javascript": "name='ran'"},
        {"text/vnd.mermaid": "graph TD"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": ATTACK}},
        {"text/markdown": ATTACK + "[x](javascript:name='ran') ![x](http://127.0.0.1:9/m.png) $\\alpha$"},
        {"text/latex": ATTACK},
        {"text/plain": ATTACK + HOSTILE},
    )
    metadata = {kind: {"width": "1 onload=name='ran'"} for item in data for kind in item}
    outputs = [new_output("display_data", data=item, metadata=metadata) for item in data]
    outputs += [new_output("stream", name="stdout", text=ATTACK), new_output("stream", name="stderr", text=ATTACK)]
    outputs += [new_output("error", ename=ATTACK, evalue=ATTACK, traceback=[ATTACK])]
    cell = new_code_cell(ATTACK, execution_count=1, outputs=outputs, metadata={"tags": [ATTACK]})
    return new_notebook(cells=[new_markdown_cell("# " + ATTACK), cell], metadata={"title": ATTACK})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    full = example_report(folder / "full")
    blind = example_report(folder / "blind", leave_out=DOCKERLESS, incident=OPEN)
    made = {
        "postmortem": notebook_of(full, POSTMORTEM),
        "gaps": notebook_of(blind, POSTMORTEM),
        "diagnosis": notebook_of(full, WORKING),
        "short": notebook_of(full, ("symptoms", "appendix")),
        "hostile": hostile_notebook(),
    }
    for name, notebook in made.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return {name: to_html(folder / f"{name}.ipynb", folder / f"{name}.html") for name in made}


@pytest.fixture(scope="module", name="browser")
def started() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["postmortem", "gaps", "diagnosis"])
def test_the_page_fits_and_asks_nobody(
    name: str, width: int, theme: Theme, pages: dict[str, Path], browser: Browser, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("IRKIT_SCREENSHOTS") or tmp_path)
    with Visit(browser, pages[name], width, theme) as visit:
        visit.page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
        assert visit.elsewhere == []
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        loaded = visit.page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 100)")
        assert all(loaded)
        background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") is (theme == "light")


def test_a_page_of_few_parts_takes_the_room_that_its_contents_do_not_need(
    pages: dict[str, Path], browser: Browser
) -> None:
    with Visit(browser, pages["short"], 1280, "light") as visit:
        assert visit.page.get_by_role("navigation").count() == 0
        box = visit.page.locator("main").bounding_box()
        assert box is not None
        assert box["width"] > 1000


def test_on_a_phone_no_table_is_scrolled_sideways_but_the_log_and_the_pictures_own(
    pages: dict[str, Path], browser: Browser
) -> None:
    for name in ("postmortem", "diagnosis"):
        with Visit(browser, pages[name], 375, "light") as visit:
            wide = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth)"
            assert (
                visit.page.evaluate(
                    f"{wide}.filter(one => !one.querySelector('.log') && !one.closest('figure')).length"
                )
                == 0
            )


def test_the_first_screen_answers(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["postmortem"], 1280, "light") as visit:
        for words in (
            TITLE,
            "Critical",
            "22 min 28 s",
            "The evidence points at: API Unresponsive",
            "jarvis-api exited with code 1 at 03:12:09 UTC",
            "4 of 7 sources looked at, 1 only in part",
            "there is no file data/jarvis.db",
        ):
            box = visit.page.get_by_text(words).first.bounding_box()
            assert box is not None, words
            assert box["y"] + box["height"] <= 900, words


@pytest.mark.parametrize("theme", THEMES)
def test_text_stands_out_from_its_background(theme: Theme, pages: dict[str, Path], browser: Browser) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 for every piece of text."""
    with Visit(browser, pages["postmortem"], 1280, theme) as visit:
        worst = visit.page.evaluate(CONTRAST)
        assert worst["ratio"] >= 4.5, worst


# relative luminance and contrast as WCAG 2.2 defines them; translucent backgrounds are laid over those behind them
CONTRAST = """() => {
  const parse = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, under) => {
    const share = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(index => top[index] * share + under[index] * (1 - share));
  };
  const behind = element => element
    ? over(parse(getComputedStyle(element).backgroundColor), behind(element.parentElement)) : [255, 255, 255];
  const light = rgb => rgb
    .map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  let worst = {ratio: 21};
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst.ratio) worst = {ratio, text: element.textContent.slice(0, 60), tag: element.tagName};
  }
  return worst;
}"""


def test_hostile_outputs_run_nothing_and_load_nothing(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["hostile"], 1280, "light") as visit:
        visit.page.evaluate("for (const link of document.links) link.click()")
        visit.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = !details.open")
        assert visit.page.evaluate("name") == ""
        assert visit.elsewhere == []
        assert [text for text in visit.complaints if "Content Security Policy" in text] == [], (
            "the allow-list comes first; the policy is the second wall and should have nothing to do"
        )
        assert visit.page.get_by_text("alert(1)").count() > 0


def test_the_attack_would_have_been_noticed(browser: Browser, tmp_path: Path) -> None:
    naive = tmp_path / "naive.html"
    naive.write_text(f"<!DOCTYPE html><p>{ATTACK}</p>", encoding="utf-8")
    with Visit(browser, naive, 1280, "light") as visit:
        assert visit.page.evaluate("name") == "ran"


def test_every_link_leads_somewhere_on_the_page(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["postmortem"], 1280, "light") as visit:
        dead = visit.page.evaluate(
            "[...document.links].map(a => a.getAttribute('href')).filter(h => !document.getElementById(h.slice(1)))"
        )
        assert dead == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["postmortem"], 1280, "light") as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the report"
        seen = set()
        for _ in range(80):
            visit.page.keyboard.press("Tab")
            tag, outline = visit.page.evaluate(
                "(a => [a.tagName + '.' + a.className, getComputedStyle(a).outlineStyle])(document.activeElement)"
            )
            if tag.startswith("BODY"):
                break
            seen.add(tag.partition(" ")[0])
            assert outline != "none", tag
        assert {"A.", "A.cite", "SUMMARY.", "DIV.scroll"} <= seen


def test_a_folded_part_opens_from_the_keyboard(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["postmortem"], 1280, "light") as visit:
        fold = visit.page.locator("summary", has_text="unknown: what was collected does not settle it")
        table = visit.page.get_by_role("table", name="Symptoms unknown")
        assert not table.is_visible()
        fold.focus()
        visit.page.keyboard.press("Enter")
        assert table.is_visible()


def test_it_prints_light_whatever_the_theme(pages: dict[str, Path], browser: Browser, tmp_path: Path) -> None:
    with Visit(browser, pages["postmortem"], 1280, "dark") as visit:
        body = visit.page.pdf(path=tmp_path / "page.pdf", format="A4")
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", body)) <= 12
        visit.page.emulate_media(media="print", color_scheme="dark")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.evaluate("getComputedStyle(document.querySelector('.irkit')).color") == "rgb(28, 33, 38)"
        assert not visit.page.get_by_role("navigation").is_visible()


def test_on_paper_what_is_folded_stands_open_and_all_text_is_small(pages: dict[str, Path], browser: Browser) -> None:
    with Visit(browser, pages["postmortem"], 1280, "light") as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.get_by_role("table", name="Symptoms clear").is_visible()
        sizes = (
            "[...document.querySelectorAll('main p, main td')].map(one => parseFloat(getComputedStyle(one).fontSize))"
        )
        assert max(visit.page.evaluate(sizes)) < 14, "tables and text are set in the size of paper alike"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["postmortem", "gaps", "diagnosis"])
def test_nothing_of_it_is_closed_to_anybody(name: str, theme: Theme, pages: dict[str, Path], browser: Browser) -> None:
    """WCAG 2.2 AA by axe, with everything folded opened."""
    with Visit(browser, pages[name], 1280, theme, trusted=True) as visit:
        visit.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        assert axe(visit.page) == []
