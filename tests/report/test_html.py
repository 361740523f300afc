"""Sections as HTML and plain text: hostile text stays text, every claim leads to a row of the evidence index."""

import re
from collections import Counter
from dataclasses import fields, replace
from datetime import timedelta
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from irkit.model import EventKind
from irkit.report import Report
from irkit.report.html import evidence_anchor, html, mimebundle, text
from irkit.report.parts import Gap
from irkit.report.plain import plain_text
from irkit.report.sections import Similar
from tests.support.example_bundle import CRASH, HOSTILE, TELLING, Row, example_bundle
from tests.support.example_report import RESOLVED, TIMELINE, event, example_report, report_of


class Reader(HTMLParser):
    """Tags, attributes and ids of a page, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"img", "source", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return example_report(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return (
        html(report)
        + html(report.containers)
        + html(report.log)
        + html(report.log_patterns)
        + html(report.health)
        + html(report.next_steps)
    )


def test_every_section_is_well_formed(report: Report) -> None:
    for field in fields(report):
        reader = Reader(html(getattr(report, field.name)))
        assert reader.open == [], field.name


def test_every_claim_leads_to_a_row_of_the_evidence_index(page: str) -> None:
    reader = Reader(page)
    ids = reader.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    links = {value.removeprefix("#") for value in reader.values("href")}
    assert any(link.startswith("e-") for link in links)
    assert links <= set(ids)


def test_the_evidence_index_tells_each_look_once_and_all_that_it_brought(report: Report) -> None:
    shown, _, coverage = html(report.appendix).partition("<details>")
    assert not isinstance(report.appendix, Gap)
    several = [look for look in report.appendix.looks if len(look) > 1]
    assert several
    for look in several:
        assert shown.count(f"<code>{escape(look[0].command)}</code>") == 1
    for one in report.appendix.evidence:
        assert shown.count(f'<tr id="{evidence_anchor(one.id)}">') == 1
        assert escape(one.command) not in coverage, "a command is told once"
    assert [run.command for run in report.appendix.runs if escape(run.command) in coverage], "what failed is there"


def test_a_picture_whose_table_stands_beside_it_folds_no_second(report: Report) -> None:
    assert "<figure>" in html(report.milestones)
    assert "<details>" not in html(report.milestones)
    assert "<summary>Incident strip as a table</summary>" in html(report.impact)


def test_hostile_evidence_is_text(page: str) -> None:
    reader = Reader(page)
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert not {"script", "svg", "style", "iframe", "object", "form"} & set(reader.tags)
    assert [name for name, _ in reader.attributes if name.startswith("on") or name == "style"] == []
    assert all(value.startswith("#") for value in reader.values("href"))
    assert all(value.startswith("data:image/svg+xml;base64,") for value in reader.values("src"))
    assert "␛[31mred" in page
    assert "␀nul" in page
    assert r"\u202eevil" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)


@pytest.mark.parametrize("where", ["title", "owner", "impact", "type", "severity"])
def test_hostile_words_of_people_are_text_too(where: str, tmp_path: Path) -> None:
    incident = replace(RESOLVED, **{where: HOSTILE})
    notes = tuple(event(50, EventKind.NOTE, HOSTILE, HOSTILE, section=part) for part in ("trigger", "question", ""))
    made = html(report_of(example_bundle(tmp_path), incident, (*TIMELINE, *notes)))
    reader = Reader(made)
    assert not {"script", "svg", "style"} & set(reader.tags)
    assert reader.tags["img"] <= 2  # the two figures
    assert [name for name, _ in reader.attributes if name.startswith("on")] == []


def test_a_very_long_line_is_cut_where_one_can_see_it(tmp_path: Path) -> None:
    long = replace(RESOLVED, title="x" * 200, impact="y" * 100_000)
    made = html(report_of(example_bundle(tmp_path), long))
    assert "(80,000 more characters)" in made
    assert len(made) < 150_000


def test_an_empty_section_shows_nothing_at_all() -> None:
    empty = Similar(())
    assert html(empty) == ""
    assert mimebundle(empty) == {"text/html": "", "text/plain": ""}
    assert repr(empty) == "<Similar: empty>"


def test_headings_go_down_one_step_at_a_time(page: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_table_has_a_caption_and_heads_with_a_scope(page: str) -> None:
    for table in re.findall(r"<table.*?</table>", page, flags=re.DOTALL):
        assert "<caption" in table
        assert re.findall(r"<th(?![^>]*scope=)[ >]", table) == []
    assert page.count("<img") == len(re.findall(r"<img[^>]*alt=\"[^\"]+\"", page))


def test_outcomes_are_words_not_only_colours(report: Report) -> None:
    shown = html(report.header)
    for word in ("collected", "partial", "failed", "absent", "timed out"):
        assert re.search(rf"</span> {word}</span>", shown), word


def test_plain_text_tells_the_same(report: Report) -> None:
    said = text(report.header)
    assert "jarvis-api exited with code 1 at 03:12:09 UTC" in said
    assert "CRITICAL:jarvis.main:unhandled exception" in said
    assert "✕ failed redis-info: " in said
    assert "<" not in said
    assert str(report.header) == said


def test_a_notebook_gets_html_with_its_style_and_plain_text(report: Report) -> None:
    bundle = report.summary._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/html"].startswith("<style>.irkit.irkit{")
    assert bundle["text/plain"].startswith("Summary\n-------")


def test_plain_text_keeps_the_lines_of_a_quote_and_the_cells_of_a_row() -> None:
    given = "<h2>A</h2><pre>one\n  two</pre><table><tr><th>x</th><td>1</td></tr><tr><td>y &amp; z</td></tr></table>"
    assert plain_text(given) == "A\n-\n\none\n  two\n\nx | 1\n\ny & z"


def test_a_traceback_shows_its_frames_and_unfolds_to_the_whole(tmp_path: Path) -> None:
    frames = "\n".join(f'  File "/srv/jarvis/part{n}.py", line {n}, in f{n}\n    f{n + 1}()' for n in range(9))
    entry = f"{TELLING}\nTraceback (most recent call last):\n{frames}\nValueError: <b>no</b>"
    at = CRASH - timedelta(milliseconds=180)
    rows: list[Row] = [
        {"at": at, "service": "jarvis-api", "name": "jarvis-api-1", "stream": "stderr", "line": line}
        for line in entry.split("\n")
    ]
    made = report_of(example_bundle(tmp_path, instead={"logs": rows}))
    header, said = html(made.header), text(made.header)
    quote, _, whole = header.partition('<details class="whole">')
    assert "part8.py" in quote
    assert "part5.py" not in quote
    assert "The whole entry, 21 lines" in whole
    assert "part0.py" in whole
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in whole
    assert "part8.py" in said
    assert "part0.py" not in said
    assert "The whole entry, 21 lines" in html(made.timeline)


@pytest.mark.parametrize(
    ("given", "anchor"),
    [("container-logs/logs", "e-container-logs-logs"), ('x/"><script>', "e-x-script"), ("Ä/É", "e-")],
)
def test_anchors_are_plain(given: str, anchor: str) -> None:
    assert evidence_anchor(given).rstrip("-") == anchor.rstrip("-")
