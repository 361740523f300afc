"""The report in other forms: JSON for programs, Markdown for wikis, PDF by a real Chromium."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from markdown_it.token import Token

from irkit import conclusions, drill, workspace
from irkit.report import POSTMORTEM, Report
from irkit.report.html import html
from irkit.site import pdf
from irkit.site.document import SCHEMA_VERSION, to_json, to_markdown
from tests.support.command_line import runner
from tests.support.example_report import OPEN, TITLE, example_report
from tests.support.halted import until_ended


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return example_report(tmp_path_factory.mktemp("report"))


def test_the_model_is_json_by_section_with_units_in_plain_numbers(report: Report) -> None:
    body = json.loads(to_json(report))
    assert body["schema_version"] == SCHEMA_VERSION == 1
    assert set(POSTMORTEM) <= set(body["sections"])
    header = body["sections"]["header"]
    assert (header["kind"], header["title"], header["severity"]) == ("Header", TITLE, "Critical")
    assert header["lasted"] == 22 * 60 + 28
    assert header["opened_at"].endswith("+00:00")
    found = [row["title"] for row in body["sections"]["symptoms"]["rows"] if row["state"] == "found"]
    assert "Health check failing" in found


def test_a_section_that_could_not_be_made_says_so(tmp_path: Path) -> None:
    blind = example_report(tmp_path, leave_out=("containers", "logs", "container_stats"), incident=OPEN)
    body = json.loads(to_json(blind))
    assert body["sections"]["resources"]["kind"] == "Gap"
    assert body["sections"]["resources"]["reason"]


def test_markdown_has_every_section_and_every_picture_in_words(report: Report) -> None:
    text = to_markdown(report)
    assert text.startswith("INC-42 · ")
    for heading in (f"# {TITLE}", "## Summary", "## Timeline", "## Symptoms", "## Evidence"):
        assert f"\n{heading}\n" in text
    assert "data:image" not in text
    # a definition that is emphasised for its look is no remark in brackets; what is told beside a number is one
    assert re.search(r"\*\*Response time:\*\* (Kept|Missed): ", text)
    assert re.search(r"\*\*Failed requests:\*\* \*\*\d+\*\* \(", text)


@pytest.mark.parametrize("name", [one.name for one in drill.available()])
def test_markdown_of_every_drill_has_the_structure_of_its_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file(name, workspace.load_settings(), 42)
    report = conclusions.postmortem(filed, workspace.gather(filed, "never"))
    page = BeautifulSoup("".join(html(section) for section in report.sections), "html.parser")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(to_markdown(report))
    assert [one.type for one in tokens if one.type.startswith("html")] == [], "no raw HTML"
    inline = [child for one in tokens for child in one.children or ()]
    assert not any(child.type.startswith("html") for child in inline)
    headings = [(one.name, words_in(one.get_text())) for one in page.find_all(re.compile("^h[1-6]$"))]
    assert [
        (one.tag, words_in("".join(part.content for part in following.children or ())))
        for one, following in itertools.pairwise(tokens)
        if one.type == "heading_open"
    ] == headings
    assert tables_of(tokens) == [
        [sum(int(cell.get("colspan", 1)) for cell in row.find_all(["td", "th"])) for row in table.find_all("tr")]
        for table in page.find_all("table")
    ]
    assert "```" not in "".join(child.content for child in inline), "a fence stands on lines of its own"
    assert [one.content.strip("\n") for one in tokens if one.type == "fence"] == quotes_of(page)
    links = [one for one in inline if one.type == "link_open"]
    assert len(links) == len(page.find_all("a", class_="cite")) + len(page.find_all("a", href=re.compile("^http")))
    assert all(one.attrs["href"] == "#evidence" or str(one.attrs["href"]).startswith("http") for one in links)


def words_in(text: str) -> str:
    return " ".join(text.split())


def tables_of(tokens: list[Token]) -> list[list[int]]:
    """How many cells each row of each table has."""
    tables: list[list[int]] = []
    for one in tokens:
        if one.type == "table_open":
            tables.append([])
        elif one.type == "tr_open":
            tables[-1].append(0)
        elif one.type in {"td_open", "th_open"}:
            tables[-1][-1] += 1
    return tables


def quotes_of(page: BeautifulSoup) -> list[str]:
    """What stands in blocks: all that is quoted, save in a table what its whole entry holds, or what is one line."""
    blocks = []
    for quote in page.find_all("pre"):
        text = quote.get_text().strip("\n")
        within = quote.find_parent("td") is not None
        shortened = quote.find_next_sibling("details", class_="whole") is not None
        if text.strip() and not (within and (shortened or "\n" not in text)):
            blocks.append(text)
    return blocks


def test_what_evidence_says_cannot_become_markup(report: Report) -> None:
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(to_markdown(report))
    assert "<script" not in shown
    assert "javascript:" not in shown.replace("javascript\\:", "").lower() or "href" not in shown


def test_chromium_prints_a_page_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "a b#1.html"
    page.write_text("<!DOCTYPE html><title>x</title><p>One line for the printer.")
    made = pdf.to_pdf(page, tmp_path / "out" / "page.pdf")
    assert made.read_bytes().startswith(b"%PDF-")
    assert [path.name for path in made.parent.iterdir()] == ["page.pdf"]


def test_what_a_killed_print_left_goes_with_the_next_once_its_browser_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that stands still where it is told to, of another's name than the one that prints afterwards."""
    page, temporary, slow = tmp_path / "page.html", tmp_path / "tmp", tmp_path / "slow"
    page.write_text("<!DOCTYPE html><title>x</title><p>One line for the printer.")
    temporary.mkdir()
    slow.mkdir()
    for pipe in ("begun", "go-on"):
        os.mkfifo(tmp_path / pipe)
    (slow / "chromium").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/begun\nread line < {tmp_path}/go-on\n")
    (slow / "chromium").chmod(0o700)
    code = "import sys; from pathlib import Path; from irkit.site.pdf import to_pdf; to_pdf(*map(Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(page), str(tmp_path / "out" / "one.pdf")]
    own = {**os.environ, "PATH": f"{slow}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def left() -> list[str]:
        return [one.name for one in temporary.iterdir() if one.name.startswith(".irkit-pdf-")]

    with subprocess.Popen(command, env=own) as killed:
        browser = int((tmp_path / "begun").read_text())
        killed.kill()
    assert list((tmp_path / "out").iterdir()) == [], "nothing beside the PDF"
    pdf.to_pdf(page, tmp_path / "out" / "two.pdf")
    assert len(left()) == 1, "the browser is still at work there"
    (tmp_path / "go-on").write_text("now\n")
    until_ended(browser)
    pdf.to_pdf(page, tmp_path / "out" / "three.pdf")
    assert left() == []
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["three.pdf", "two.pdf"]


def test_without_chromium_or_a_place_it_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("x")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(pdf.InputError, match="cannot be written"):
        pdf.to_pdf(page, tmp_path / "file" / "page.pdf")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("chromium") is None
    with pytest.raises(pdf.PdfError, match="Chromium, which is not installed"):
        pdf.to_pdf(page, tmp_path / "page.pdf")
    assert not (tmp_path / "page.pdf").exists()


def test_all_forms_at_once_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    irkit = runner(monkeypatch, capsys)
    assert irkit("drill", "memory-leak", "--id", "42").code == 0
    said = irkit("publish", "42", "--pdf", "--markdown", "--json", "r.json")
    assert said.code == 0, said.err
    names = ["r.json", "postmortem-42.md", "postmortem-42.pdf"]  # where no file is named, the incident names it
    assert [Path(line).name for line in said.out.splitlines()] == names
    printed = (tmp_path / "postmortem-42.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert set(re.findall(rb"/MediaBox \[0 0 (\d+)", printed)) == {b"594"}, "A4"
    assert json.loads((tmp_path / "r.json").read_text())["sections"]["header"]["label"] == "INC-42"
