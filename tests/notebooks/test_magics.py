"""`%load_ext irkit` in a real IPython shell."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from irkit import drill, workspace
from irkit.errors import InputError, NotFoundError
from irkit.model import Incident


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    drill.file("api-unresponsive", workspace.load_settings(), 42)
    made = InteractiveShell()
    made.run_line_magic("load_ext", "irkit")
    return made


def test_one_line_loads_an_incident_its_evidence_and_its_report(shell: InteractiveShell) -> None:
    shown = shell.run_line_magic("incident", "INC-42 never")
    assert "API Unresponsive" in shown._repr_mimebundle_()["text/html"]
    found = shell.user_ns["incident"]
    assert isinstance(found, Incident)
    assert found.id == 42
    assert len(shell.user_ns["evidence"].load("containers"))
    assert shell.user_ns["report"].symptoms.rows


def test_a_wrong_line_is_a_sentence_and_sets_nothing(shell: InteractiveShell) -> None:
    with pytest.raises(InputError, match="which incident"):
        shell.run_line_magic("incident", "")
    with pytest.raises(NotFoundError):
        shell.run_line_magic("incident", "43")
    assert "incident" not in shell.user_ns
