"""irkit's notebooks are found and run: their source stays as it is, wrong parameters are refused, failures kept."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from irkit import drill, notebooks, workspace
from irkit.errors import InputError, NotFoundError
from irkit.notebooks import NotebookError
from irkit.publish import to_html
from irkit.publish.exporter import problems_of
from tests.support.example_bundle import CRASH, FIRST_500, TELLING, example_bundle
from tests.support.example_report import TITLE
from tests.support.type_evidence import BEGAN, TYPES, sealed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an incident 42 in its store and sealed evidence for it; the working directory."""
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = workspace.load_settings()
    workspace.store(settings, create=True).open_incident(
        TITLE,
        incident_type="api-unresponsive",
        severity="Critical",
        actor="maria",
        incident_id=42,
        opened_at=CRASH + timedelta(minutes=3),
        started_at=FIRST_500,
        detected_at=CRASH + timedelta(minutes=2),
    )
    example_bundle(settings.home)
    return tmp_path


def notebook(path: Path, *cells: str) -> Path:
    made = new_notebook(
        cells=[new_code_cell("incident_id = 42  # the incident", metadata={"tags": ["parameters"]})],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    made.cells += [new_code_cell(source) for source in cells]
    nbformat.write(made, path)
    return path


@pytest.mark.parametrize("name", ["postmortem", "api-unresponsive"])
def test_our_notebooks_run_from_top_to_bottom(name: str, workplace: Path) -> None:
    source = notebooks.find(name)
    before = source.read_bytes()
    out = notebooks.run(name, workplace / "runs" / "out.ipynb", {"incident_id": 42, "collect": "never"})
    page = to_html(out, workplace / "page.html").read_text(encoding="utf-8")
    assert problems_of(nbformat.read(out, as_version=4)) == ()
    assert "The evidence points at: API Unresponsive" in page
    assert "exited with code 1" in page
    assert TELLING in page
    assert "<script" not in page
    assert source.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["out.ipynb"]


CONCLUSIONS = {
    "high-latency": ("GET /api/dashboard", "messages has 48000 rows and no index but its key"),
    "provider-failures": ("rate_limited", "900 of 600, resets 03:10:42"),
    "memory-leak": ("app.sessions.CACHE", "app.Session objects", "+20 MiB, from 20 MiB to 40 MiB"),
    "database-corruption": ("no damage found", "Stop all services", "Tree 3 page 4"),
}


@pytest.fixture(params=TYPES)
def typical(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a type; incident 42 is of this type, with evidence as such an incident leaves it."""
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings, kind = workspace.load_settings(), str(request.param)
    workspace.store(settings, create=True).open_incident(
        TITLE, incident_type=kind, severity="High", actor="maria", incident_id=42, detected_at=BEGAN, opened_at=BEGAN
    )
    sealed(settings.home, TYPES[kind]())
    return kind


def test_the_notebook_of_a_type_tells_what_its_evidence_holds(typical: str) -> None:
    page = "".join(cells_of([notebooks.find(typical)]).values())
    for words in CONCLUSIONS[typical]:
        assert words in page
    assert "could not be made" not in page


@pytest.mark.parametrize("typical", ["provider-failures"], indirect=True)
def test_the_triage_runs_from_top_to_bottom(typical: str, tmp_path: Path) -> None:
    out = notebooks.run("triage", tmp_path / "out.ipynb", {"incident_id": "INC-42", "collect": "never"})
    page = to_html(out, tmp_path / "page.html").read_text(encoding="utf-8")
    assert problems_of(nbformat.read(out, as_version=4)) == ()
    assert "Provider Failures (0." in page
    assert "3 of 3 symptoms found" in page


def ready(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in `folder`, where the drill is filed as incident 42."""
    folder.mkdir(exist_ok=True)
    (folder / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(folder)
    drill.file(name, workspace.load_settings(), 42)


@pytest.mark.parametrize("recording", [item.name for item in drill.available()])
def test_every_cell_of_every_notebook_shows_itself_on_every_drill(
    recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(recording, tmp_path, monkeypatch)
    shown = cells_of(sorted((ROOT / "notebooks").glob("*.ipynb")))
    assert [source for source, page in shown.items() if "could not be made from the evidence" in page] == []
    assert not [source for source, page in shown.items() if "<script" in page]


def cells_of(paths: Iterable[Path]) -> dict[str, str]:
    """Run the cells of notebooks without a kernel, those that several share once, and return what each shows."""
    names: dict[str, object] = {"incident_id": 42, "collect": "never", "bundle": "", "days": 0, "incident_type": ""}
    shown: dict[str, str] = {}
    for path in paths:
        for cell in nbformat.read(path, as_version=4).cells:
            given = "parameters" in cell.metadata.get("tags", ())
            if cell.cell_type == "code" and cell.source not in shown and not given:
                shown[cell.source] = last_of(cell.source, names)
    return shown


def last_of(source: str, names: dict[str, object]) -> str:
    """Run a cell and return the HTML of its last expression, "" where it has none."""
    *body, last = ast.parse(source).body
    tail = isinstance(last, ast.Expr)
    exec(compile(ast.Module([*body, *([] if tail else [last])], []), "<cell>", "exec"), names)  # noqa: S102 (our own)
    value = eval(ast.unparse(last), names) if tail else None  # noqa: S307 (as above)
    return value._repr_mimebundle_()["text/html"] if hasattr(value, "_repr_mimebundle_") else ""


@pytest.mark.soak
@pytest.mark.parametrize("recording", [item.name for item in drill.available()])
def test_every_notebook_runs_on_every_drill(recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(recording, tmp_path, monkeypatch)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        given = {"days": 0} if path.stem == "review" else {"incident_id": 42, "collect": "never"}
        out = notebooks.run(path, tmp_path / path.name, given)
        assert problems_of(nbformat.read(out, as_version=4)) == ()
        assert given.get("days") == 0 or "INC-42" in to_html(out, out.with_suffix(".html")).read_text(encoding="utf-8")


def test_vanilla_papermill_runs_the_postmortem_in_the_notebooks_folder(workplace: Path) -> None:
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(workplace)]
    command += ["postmortem.ipynb", str(workplace / "out.ipynb"), "-r", "incident_id", "INC-42"]
    subprocess.run(command, cwd=ROOT / "notebooks", check=True, capture_output=True)
    executed = nbformat.read(workplace / "out.ipynb", as_version=4)
    assert problems_of(executed) == ()


def test_an_unknown_incident_is_one_sentence_and_the_page_is_stamped(workplace: Path) -> None:
    out = workplace / "out.ipynb"
    with pytest.raises(NotebookError, match="INC-99") as caught:
        notebooks.run("postmortem", out, {"incident_id": 99})
    assert "Traceback" not in str(caught.value)
    assert caught.value.hint == "the nearest ids are 42; `irkit list` shows all"
    page = to_html(out, workplace / "page.html").read_text(encoding="utf-8")
    assert "<title>INCOMPLETE" in page
    assert "INC-99" in page
    assert "Traceback" not in page


def test_a_killed_kernel_is_said_and_its_page_is_stamped(tmp_path: Path) -> None:
    source = notebook(tmp_path / "dies.ipynb", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    out = tmp_path / "out.ipynb"
    with pytest.raises(NotebookError, match="lost its kernel"):
        notebooks.run(source, out, {"incident_id": 42})
    page = to_html(out, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>INCOMPLETE" in page


def test_a_misspelt_parameter_is_refused_with_the_nearest(tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    with pytest.raises(InputError, match="postmortem has no parameter 'incident'") as caught:
        notebooks.run("postmortem", out, {"incident": 42})
    assert caught.value.hint == "did you mean incident_id?"
    with pytest.raises(InputError) as caught:
        notebooks.run("postmortem", out, {"x = __import__('os')": 1})
    assert caught.value.hint == "it has incident_id, collect, bundle"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", [(), ("--engine", "irkit")])
@pytest.mark.parametrize("name", ["postmortem", "review"])
def test_papermill_itself_is_refused_a_misspelt_parameter_by_the_notebook(
    name: str, engine: tuple[str, ...], workplace: Path
) -> None:
    out, misspelt = workplace / "out.ipynb", {"postmortem": "colect", "review": "day"}[name]
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(workplace), *engine]
    command += [f"{name}.ipynb", str(out), "-p", misspelt, "7"]
    run = subprocess.run(command, cwd=ROOT / "notebooks", check=False, capture_output=True, text=True)
    assert run.returncode
    assert f"InputError: the notebook has no parameter '{misspelt}'" in run.stderr
    assert "hint: did you mean" in run.stderr
    page = to_html(out, workplace / "page.html").read_text(encoding="utf-8")
    assert "<title>INCOMPLETE" in page


def test_a_notebook_is_never_its_own_output(tmp_path: Path) -> None:
    source = notebook(tmp_path / "mine.ipynb", "1")
    before = source.read_bytes()
    with pytest.raises(InputError, match="is the notebook itself"):
        notebooks.run(source, source, {})
    assert source.read_bytes() == before


def test_a_copy_that_somebody_works_in_is_not_overwritten_and_a_run_of_before_is(tmp_path: Path) -> None:
    source, own = notebook(tmp_path / "mine.ipynb", "1"), notebook(tmp_path / "own.ipynb", "mine")
    before = own.read_bytes()
    cut, notes = tmp_path / "cut.ipynb", tmp_path / "notes.ipynb"
    cut.write_bytes(before[:-20])
    notes.write_bytes(b"no notebook at all: caf\xe9")
    said = {own: "somebody may be working in it", cut: "is no whole notebook", notes: "is no whole notebook"}
    for other, sentence in said.items():
        there = other.read_bytes()
        with pytest.raises(InputError, match=sentence) as caught:
            notebooks.run(source, other, {})
        assert "move it away" in str(caught.value.hint)
        assert other.read_bytes() == there
    run = notebooks.run(source, tmp_path / "run.ipynb", {})
    assert notebooks.run(source, run, {}) == run


@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_leaves_the_run_of_before_or_nothing(tmp_path: Path, before: bool) -> None:  # noqa: FBT001 (pytest's)
    """A limit on the size of files stops the writes of a real process as a full disk does."""
    source, output = notebook(tmp_path / "a.ipynb", "'x' * 100_000"), tmp_path / "b" / "run.ipynb"
    if before:
        notebooks.run(source, output, {})
        (tmp_path / "b" / ".run.ipynb.before").write_bytes(output.read_bytes())
        output.write_text('{"half of what a run that was killed')
    kept = output.with_name(".run.ipynb.before").read_bytes() if before else None
    code = (
        "import resource, signal, sys; from pathlib import Path; from irkit import notebooks\n"
        "import papermill, irkit.notebooks.shells\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: notebooks.run(Path(sys.argv[1]), Path(sys.argv[2]), {})\n"
        "except Exception as error: sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, str(source), str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(f"InputError: the run cannot be written to {output}: ")
    assert {one.name: one.read_bytes() for one in output.parent.iterdir()} == ({"run.ipynb": kept} if before else {})
    assert notebooks.run(source, output, {}) == output


def test_notebooks_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert (
        notebooks.find("api-unresponsive")
        == notebooks.find("api_unresponsive.ipynb")
        == notebooks.find(ROOT / "notebooks" / "api_unresponsive.ipynb")
    )
    assert {"postmortem", "api_unresponsive"} <= set(notebooks.names())
    mine = notebook(tmp_path / "mine.ipynb", "1")
    assert notebooks.find(mine) == mine
    with pytest.raises(NotFoundError, match="there is no notebook postmotem") as caught:
        notebooks.find("postmotem")
    assert caught.value.hint == "did you mean postmortem?"


def test_parameters_are_read_with_what_they_mean() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        of_all = path.stem == "review"
        assert notebooks.parameters_of(path)[:2] == (
            ("days", "incident_type") if of_all else ("incident_id", "collect")
        )


def test_the_kernel_is_the_plain_one_and_ids_are_stable() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        assert stored["metadata"]["kernelspec"]["name"] == "python3"
        ids = [cell["id"] for cell in stored["cells"]]
        assert len(set(ids)) == len(ids)
        assert not [one for one in ids if len(one) == 8 and set(one) <= set("0123456789abcdef")], "ids are words"
