"""The drills that ship: real, whole, small, of every incident type, and told as what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit import conclusions, drill, reviewing, runbook, workspace
from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.bundle.archive import verify
from irkit.diagnose.verdicts import Diagnosis
from irkit.drill import Drill
from irkit.model import Outcome, Status, VerdictState
from irkit.report.html import html
from irkit.settings import Settings

DRILLS = {item.name: item for item in drill.available()}
# what a drill may not tell: homes, scratch folders and interpreters of whoever recorded it
OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|work|Users)/|/var/tmp|site-packages|\.venv|pyenv")


def bundle_of(item: Drill) -> Bundle:
    return open_bundle(item.folder / "bundle")


def size_bytes(item: Drill) -> int:
    return sum(path.stat().st_size for path in item.folder.rglob("*") if path.is_file())


def texts(item: Drill) -> Iterator[str]:
    yield (item.folder / drill.DRILL_FILE).read_text(encoding="utf-8")
    bundle = bundle_of(item)
    yield (bundle.path / "manifest.json").read_text(encoding="utf-8")
    for piece in bundle.manifest.evidence:
        yield str(bundle.load(piece.kind).to_csv() if piece.form == "table" else bundle.load(piece.kind))


@pytest.fixture(scope="module")
def diagnoses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Diagnosis]:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    return {name: conclusions.diagnosis(bundle_of(item), settings=settings) for name, item in DRILLS.items()}


def test_there_is_one_drill_for_each_type_of_the_runbook_and_all_are_small() -> None:
    assert set(DRILLS) == {each.slug for each in runbook.load().incident_types}
    assert all(item.recorded["incident"]["type"] == name for name, item in DRILLS.items())
    assert all(size_bytes(item) < 300_000 for item in DRILLS.values())
    assert sum(map(size_bytes, DRILLS.values())) < 1_500_000


@pytest.mark.parametrize("name", DRILLS)
def test_its_evidence_is_whole_and_tells_nothing_of_the_machine_it_was_recorded_on(name: str) -> None:
    bundle = bundle_of(DRILLS[name])
    verify(bundle)
    # an Engine remembers its last 256 events, which the health checks alone fill in two minutes
    short = {run.collector for run in bundle.runs if run.outcome not in {Outcome.COLLECTED, Outcome.ABSENT}}
    assert short <= {"container-events"}
    assert bundle.load("host")["hostname"].tolist() == ["jarvis-1"]
    for text in texts(DRILLS[name]):
        assert OF_A_MACHINE.findall(text) == []


@pytest.mark.parametrize("name", DRILLS)
def test_irkit_names_its_type_and_when_it_began(diagnoses: dict[str, Diagnosis], name: str) -> None:
    found = diagnoses[name]
    assert found.likeliest is not None
    assert found.likeliest.incident_type == name


def test_the_memory_leak_was_killed_by_the_kernel(diagnoses: dict[str, Diagnosis]) -> None:
    containers = bundle_of(DRILLS["memory-leak"]).load("containers").set_index("service")
    assert containers.loc["jarvis-api", "oom_killed"]
    assert containers.loc["jarvis-api", "exit_code"] == 137
    found = {item.symptom: item.verdict.state for item in diagnoses["memory-leak"].of("memory-leak")}
    assert found["oom-kills"] is VerdictState.FOUND


@pytest.mark.parametrize("name", DRILLS)
def test_it_is_filed_with_the_times_it_had(tmp_path: Path, name: str) -> None:
    (tmp_path / "irkit.toml").write_text("")
    settings = workspace.load_settings(tmp_path)
    incident, new = drill.file(name, settings, 43)
    assert new
    assert incident.status is Status.RESOLVED
    times = [incident.started_at, incident.detected_at, incident.acknowledged_at]
    times += [incident.mitigated_at, incident.resolved_at]
    assert None not in times
    assert "Nobody is affected" not in (incident.impact or ""), "what it came to be is what is recorded at the end"
    assert times == sorted(time for time in times if time is not None)
    assert len(bundles_of(settings.home, 43)) == 1
    assert drill.file(name, settings, 43) == (incident, False)


def test_drills_stay_out_of_trends_and_of_what_came_before(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    first, _ = drill.file("high-latency", settings, 42)
    alone = reviewing.review(settings=settings).overview.figures[0]
    assert (alone.value, alone.note.rpartition("; ")[2]) == ("1", "drills, all of them")
    real = workspace.store(settings).open_incident("Slow", incident_type="high-latency", severity="High", actor="ana")
    both = reviewing.review(settings=settings).overview.figures[0]
    assert (both.value, both.note.rpartition("; ")[2]) == ("1", "1 drill left out")
    shown = conclusions.postmortem(first, workspace.gather(first, "never", settings=settings), settings=settings)
    assert shown.header.drill == "high-latency"
    assert ">Drill<" in html(shown.header)
    evidence = workspace.gather(real, "never", settings=settings)
    other = conclusions.postmortem(real, evidence, settings=settings)
    assert ">Drill<" not in html(other.header)
