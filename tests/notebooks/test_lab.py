"""Copies of the notebooks to work in: the incident filled in, a person's changes kept, people's words shown as text."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import papermill
import pytest

from irkit import notebooks
from irkit.cli import commands
from irkit.errors import InputError, NotFoundError
from irkit.model import Incident, Status
from irkit.notebooks import lab
from irkit.settings import Settings
from tests.support.command_line import Run, runner

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def incident(number: int, title: str) -> Incident:
    return Incident(number, title, "api-unresponsive", "Critical", Status.OPEN, AT)


def test_a_copy_has_the_incident_filled_in_and_nothing_else_changed(tmp_path: Path) -> None:
    source = notebooks.find("postmortem")
    before = source.read_bytes()
    made = lab.new("postmortem", 7, tmp_path / "deep" / "mine.ipynb")
    assert papermill.inspect_notebook(str(made))["incident_id"]["default"] == "7"
    ours, theirs = (nbformat.read(path, as_version=4) for path in (made, source))
    changed = [a.source != b.source for a, b in zip(ours.cells, theirs.cells, strict=True)]
    assert changed.count(True) == 1
    assert "# the incident, as `irkit list` shows it" in next(
        cell.source for cell, other in zip(ours.cells, changed, strict=True) if other
    )
    assert source.read_bytes() == before


def test_nothing_is_overwritten_and_wrong_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.ipynb").write_text("mine")
    with pytest.raises(InputError, match="is not overwritten"):
        lab.new("postmortem", 7, tmp_path / "mine.ipynb")
    assert (tmp_path / "mine.ipynb").read_text() == "mine"
    with pytest.raises(NotFoundError):
        lab.new("postmorten", 7, tmp_path / "other.ipynb")
    with pytest.raises(InputError, match="cannot be written"):
        lab.new("postmortem", 7, tmp_path / "mine.ipynb" / "below.ipynb")


def test_copies_are_renewed_but_a_persons_work_stays(tmp_path: Path) -> None:
    lab.prepare(tmp_path, ())
    copies = {path.name for path in tmp_path.glob("*.ipynb")}
    assert copies == {"index.ipynb", *(f"{name}.ipynb" for name in notebooks.names())}
    worked, stale = tmp_path / "postmortem.ipynb", tmp_path / "triage.ipynb"
    worked.write_text(worked.read_text().replace("Postmortem of an incident", "Mine"))
    old = "{}"  # as an earlier version of irkit would have left it
    stale.write_text(old)
    record = tmp_path / ".made-by-irkit.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {stale.name: lab._sum(old.encode())}))
    lab.prepare(tmp_path, ())
    assert "Mine" in worked.read_text()
    assert stale.read_bytes() == notebooks.find("triage").read_bytes()


def test_the_index_names_notebooks_and_incidents_as_text(tmp_path: Path) -> None:
    made = lab.prepare(tmp_path, [incident(42, "<img src=x onerror=alert(1)> | [x](javascript:1)\n# big")])
    [cell] = nbformat.read(made, as_version=4).cells
    said = cell.source
    assert "[postmortem](postmortem.ipynb) | What happened, how do we know, and what will we change?" in said
    row = next(line for line in said.splitlines() if line.startswith("| 42 "))
    assert r"\<img src=x onerror=alert\(1\)\> \| \[x\]\(javascript:1\)" in row
    assert "None yet: `irkit open TITLE`" in lab.index(())


def test_the_labs_kernels_find_the_callers_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", source=tmp_path / "irkit.toml")
    found = lab.environment(settings, {"PATH": "/bin"})
    assert found == {"PATH": "/bin", "IRKIT_HOME": f"{tmp_path}/home", "IRKIT_CONFIG": f"{tmp_path}/irkit.toml"}


def test_nothing_asks_the_network_and_a_persons_options_come_last(tmp_path: Path) -> None:
    argv = lab.command(tmp_path, ["--no-browser"])
    assert "--LabApp.news_url=None" in argv
    assert argv[-1] == "--no-browser"


def test_new_says_where_the_copy_is(irkit: Run, tmp_path: Path) -> None:
    assert irkit("open", "Down", "--type", "api-unresponsive", "--id", "42").code == 0
    said = irkit("new", "postmortem", "42")
    assert str(tmp_path / "postmortem-42.ipynb") in said.out
    assert "is not overwritten" in irkit("new", "postmortem", "42").err
    assert irkit("new", "postmortem", "43").code == 3
    assert commands.irkit.commands["lab"].help


def test_where_jupyterlab_is_missing_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lab.sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(lab.IrkitError, match="JupyterLab cannot be started"):
        lab.start(tmp_path, Settings(home=tmp_path))
    assert os.getcwd()  # noqa: PTH109 (this process is still the test's)
