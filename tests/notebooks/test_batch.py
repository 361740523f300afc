"""Many reports at once: each is made, one that fails is told and stops no other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from irkit import drill, workspace
from irkit.bundle import bundles_of
from irkit.notebooks.batch import reports
from irkit.notebooks.shells import ended_by

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where three drills are filed."""
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for number, name in ((41, "memory-leak"), (42, "api-unresponsive"), (43, "high-latency")):
        drill.file(name, workspace.load_settings(), number)
    return tmp_path


def irkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "irkit"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_reports_are_made_and_are_the_same_as_one_by_one(workplace: Path) -> None:
    said = irkit("batch", "--all", "--to", "many")
    assert (said.returncode, said.stderr) == (0, "")
    assert sorted(said.stdout.split()) == [str(workplace / "many" / f"postmortem-{n}.html") for n in (41, 42, 43)]
    assert irkit("postmortem", "42").returncode == 0
    alone, many = (
        (folder / "postmortem-42.html").read_text(encoding="utf-8").splitlines() for folder in (workplace, Path("many"))
    )
    assert [one for one, other in zip(alone, many, strict=True) if one != other and "Report made" not in one] == []


def test_one_that_fails_is_told_and_stops_no_other(workplace: Path) -> None:
    for bundle in bundles_of(workplace / "home", 42):
        (bundle / "manifest.json").write_text("{}", encoding="utf-8")
    said = irkit("batch", "--ids", "41,99,42", "--to", "many")
    assert said.returncode == 7
    assert said.stdout.split() == [str(workplace / "many" / "postmortem-41.html")]
    assert "irkit: INC-99: INC-99 is not in the store" in said.stderr
    assert "irkit: 2 of 3 reports could not be made" in said.stderr
    assert "Traceback" not in said.stderr
    page = (workplace / "many" / "postmortem-42.html").read_text(encoding="utf-8")
    assert "<title>INCOMPLETE" in page


def test_it_wants_to_know_which(workplace: Path) -> None:
    for arguments in ((), ("--all", "--ids", "42")):
        said = irkit("batch", *arguments, "--to", "many")
        assert said.returncode == 2
        assert "which incidents?" in said.stderr
    assert irkit("batch", "--ids", "42,x", "--to", "many").returncode == 2
    assert not (workplace / "many").exists()


def test_how_a_process_ended_is_said() -> None:
    assert ended_by(3) == "left with exit code 3"
    assert ended_by(-9) == "was killed by SIGKILL, as it is when memory runs out"
    assert ended_by(-6) == "was killed by SIGABRT"
    assert ended_by(-63) == "was killed by signal 63"


def test_what_makes_reports_keeps_its_own_environment(workplace: Path) -> None:
    """A shell colours what its cells write; the command that started it may write to a file."""
    before = dict(os.environ), list(sys.path)
    assert [one.page is not None for one in reports([42], workplace / "reports", {"collect": "never"})] == [True]
    assert (dict(os.environ), list(sys.path)) == before
