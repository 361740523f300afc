"""Executed notebooks become one page: whole, titled, stamped where they are not complete."""

import base64
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from irkit.errors import InputError, NotFoundError
from irkit.publish import IrkitExporter, to_html
from irkit.publish.exporter import problems_of, title_of
from irkit.report import POSTMORTEM
from tests.support.example_report import TITLE, example_report

ROOT = Path(__file__).parents[2]
MAX_PAGE_BYTES = 150_000


def ran(source: str, html: str = "", count: int = 1, **metadata: object) -> nbformat.NotebookNode:
    outputs = [new_output("execute_result", data={"text/html": html}, execution_count=count)] if html else []
    return new_code_cell(source, execution_count=count, outputs=outputs, metadata=metadata)


def page_of(*cells: nbformat.NotebookNode) -> str:
    page, _ = IrkitExporter().from_notebook_node(new_notebook(cells=list(cells)))
    return str(page)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    report = example_report(tmp_path_factory.mktemp("bundle"))
    cells = [
        ran(f"report.{name}", getattr(report, name)._repr_mimebundle_()["text/html"], number)
        for number, name in enumerate(POSTMORTEM, 1)
    ]
    return page_of(new_markdown_cell("# How to", metadata={"tags": ["working"]}), *cells)


def test_the_page_is_light_and_complete(page: str) -> None:
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert f"<title>{TITLE}</title>" in page
    assert page.count("<h1") == 1
    assert "INCOMPLETE" not in page
    assert "How to" not in page
    assert page.rstrip().endswith("</html>")


def test_the_policy_allows_only_the_pages_own_style(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert page.count("<style>") == 1
    assert not re.search(r"<script|<link|style=|url\(|@import|srcset=\"http|src=\"http", page)


def test_the_contents_lead_to_the_sections(page: str) -> None:
    (nav,) = re.findall(r"<nav.*?</nav>", page, flags=re.DOTALL)
    anchors = re.findall(r'href="#([^"]+)"', nav)
    assert anchors[:3] == ["summary", "impact", "milestones"]
    assert all(f'id="{anchor}"' in page for anchor in anchors)
    assert "likely" not in anchors


def test_landmarks_and_language(page: str) -> None:
    assert '<html lang="en">' in page
    assert '<main id="main">' in page
    assert '<a class="skip" href="#main">' in page
    assert '<nav class="contents" aria-label="Contents">' in page


def test_code_raw_cells_and_metadata_do_not_reach_the_page() -> None:
    made = page_of(
        new_raw_cell("<script>alert(1)</script>", metadata={"raw_mimetype": "text/html"}),
        ran("password = 'hunter2'", "<p>fine</p>", custom='"><script>'),
    )
    assert "hunter2" not in made
    assert "<script" not in made
    assert "<p>fine</p>" in made


def test_text_that_a_person_added_is_kept() -> None:
    made = page_of(new_markdown_cell("## Our view\n\nIt was *us*. <b>x</b> {{ 7*7 }}"), ran("1"))
    assert "<h2>Our view</h2>" in made
    assert "<em>us</em>" in made
    assert "{{ 7*7 }}" in made
    assert "&lt;b&gt;" in made


def test_a_notebook_that_failed_is_stamped_and_shows_no_traceback() -> None:
    error = new_output("error", ename="ValueError", evalue="no", traceback=["File secret.py", "ValueError: no"])
    made = page_of(new_code_cell("x", execution_count=1, outputs=[error]), new_code_cell("y"))
    assert "<title>INCOMPLETE: Incident report</title>" in made
    assert "Code cell 1 failed: ValueError: no" in made
    assert "1 of 2 code cells were not run." in made
    assert "secret.py" not in made


@pytest.mark.parametrize(
    ("noted", "problems"),
    [
        ({"start_time": "1", "end_time": "2", "exception": None}, ()),
        ({"start_time": "1", "end_time": None}, ("The run was broken off before the notebook’s end.",)),
        ({"start_time": "1", "end_time": "2", "exception": True}, ("The run failed, and no cell says why.",)),
    ],
)
def test_what_papermill_noted_of_the_run_counts_too(noted: dict[str, object], problems: tuple[str, ...]) -> None:
    assert problems_of(new_notebook(cells=[ran("1")], metadata={"papermill": noted})) == problems


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
@pytest.mark.parametrize("engine", [(), ("--engine", "irkit")])
def test_a_page_of_a_killed_process_is_stamped(death: str, engine: tuple[str, ...], tmp_path: Path) -> None:
    """A kernel that is killed leaves its cell, and those after it, marked as completed."""
    nb = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    nb.cells = [new_code_cell("'before'"), new_code_cell(f"import os; {death}"), new_code_cell("'after'")]
    nbformat.write(nb, tmp_path / "dies.ipynb")
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *engine, "dies.ipynb", "out.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    assert run.returncode != 0
    page = to_html(tmp_path / "out.ipynb", tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>INCOMPLETE" in page
    # a kernel may be gone before it has told that it began
    assert "1 of 3 code cells were not run." in page or "2 of 3 code cells were not run." in page
    assert "before" in page


@pytest.mark.parametrize(
    ("cells", "problems"),
    [
        ([ran("1"), new_markdown_cell("x"), new_code_cell("  ")], ()),
        ([new_code_cell("1")], ("No code cell was run.",)),
        ([ran("1", papermill={"status": "completed"}), new_code_cell("2")], ("1 of 2 code cells were not run.",)),
        ([ran("1", papermill={"status": "running"})], ("Code cell 1 did not come to its end.",)),
        ([ran("1", execution={"iopub.execute_input": "2026"})], ("Code cell 1 did not come to its end.",)),
        ([ran("1", execution={"iopub.execute_input": "1", "shell.execute_reply": "2"})], ()),
        ([ran("1", papermill={"exception": True})], ("Code cell 1 did not come to its end.",)),
    ],
)
def test_what_keeps_a_notebook_from_being_complete(
    cells: list[nbformat.NotebookNode], problems: tuple[str, ...]
) -> None:
    assert problems_of(new_notebook(cells=cells)) == problems


def test_the_title_is_the_reports_or_the_notebooks() -> None:
    assert title_of(new_notebook(cells=[new_markdown_cell("# Triage\n\nx"), ran("1")])) == "Triage"
    assert title_of(new_notebook(cells=[new_markdown_cell("# Triage"), ran("1", "<h1>A &amp;\n B</h1>")])) == "A & B"
    assert title_of(new_notebook(cells=[])) == "Incident report"


def test_to_html_writes_a_whole_page_or_nothing(tmp_path: Path) -> None:
    source = tmp_path / "out.ipynb"
    nbformat.write(new_notebook(cells=[ran("1", "<p>fine</p>")]), source)
    target = tmp_path / "made" / "page.html"
    assert to_html(source, target) == target
    assert "<p>fine</p>" in target.read_text(encoding="utf-8")
    assert [path.name for path in target.parent.iterdir()] == ["page.html"]
    before = target.read_bytes()
    source.write_text("{ not a notebook", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as a notebook"):
        to_html(source, target)
    assert target.read_bytes() == before


def test_a_missing_notebook_and_a_place_that_cannot_be_written_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no notebook"):
        to_html(tmp_path / "none.ipynb", tmp_path / "page.html")
    source = tmp_path / "out.ipynb"
    nbformat.write(new_notebook(cells=[ran("1")]), source)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        to_html(source, tmp_path / "file" / "page.html")


def test_nbconvert_finds_the_exporter_from_any_folder(tmp_path: Path) -> None:
    nbformat.write(new_notebook(cells=[ran("1", "<p>fine</p>")]), tmp_path / "out.ipynb")
    # a folder of the template's name beside the notebook must not be taken for the template
    (tmp_path / "irkit").mkdir()
    command = [sys.executable, "-m", "nbconvert", "--to", "irkit", "out.ipynb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert "<p>fine</p>" in (tmp_path / "out.html").read_text(encoding="utf-8")
