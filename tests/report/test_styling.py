"""A cell carries the rules it wears and no others; what is left out changes nothing that is seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from irkit.report import POSTMORTEM, Report
from irkit.report.html import html
from irkit.report.styling import style_for, stylesheet
from tests.support.browsing import chromium
from tests.support.example_report import example_report

# what the style sets of every element, and of what stands before it
LOOKS = """names => [...document.querySelectorAll('body *:not(style)')].flatMap(one => [null, '::before'].map(part => {
    const look = getComputedStyle(one, part);
    return [one.tagName, one.className, ...names.map(name => look.getPropertyValue(name))].join(';');
}))"""
SET = sorted(set(re.findall(r"[{;]\s*(-{0,2}[a-z][a-z-]*):", stylesheet())))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return example_report(tmp_path_factory.mktemp("styled"))


def test_a_rule_stands_for_what_is_there() -> None:
    style = style_for('<section class="irkit"><p class="lead">It broke</p></section>')
    assert ".irkit.irkit .lead{" in style
    assert "table" not in style
    assert "timeline" not in style
    assert ".irkit.irkit p{" in style, "of a list of selectors those that apply"
    assert style.count("{") == style.count("}")


def test_a_query_of_the_screen_stays_with_what_applies_in_it() -> None:
    style = style_for('<section class="irkit"><dl class="facts"><dt>a</dt></dl></section>')
    (narrow,) = re.findall(r"@media \(max-width: 640px\)\{(.*?)\}\}", style)
    assert narrow.startswith(".irkit.irkit .facts{")
    assert "timeline" not in narrow


def test_a_cell_holds_a_fraction_of_the_style(report: Report) -> None:
    made = html(report.summary)
    assert len(style_for(made)) < 0.5 * len(stylesheet())


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_section_looks_as_with_the_whole_style(report: Report, width: int, scheme: str, tmp_path: Path) -> None:
    whole = re.sub(r"\.irkit(?=[ {.])", ".irkit.irkit", stylesheet())
    with chromium() as browser, browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        for name in POSTMORTEM:
            made = html(getattr(report, name))
            looks = []
            for style in (whole, style_for(made)):
                (tmp_path / "cell.html").write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{made}")
                page.goto((tmp_path / "cell.html").as_uri())
                looks.append(page.evaluate(LOOKS, SET))
            assert looks[0] == looks[1], name
