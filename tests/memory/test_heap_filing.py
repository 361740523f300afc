"""A snapshot filed with an incident is evidence: kept by process, redacted, sealed, and named in the postmortem."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit import conclusions, drill, heap_evidence, workspace
from irkit.bundle import bundles_of, open_bundle
from irkit.collect.engine import collect
from irkit.errors import SnapshotError
from irkit.memory import agent
from irkit.memory.heap_filing import keep
from irkit.memory.heap_kernel import extension
from irkit.model import EventKind, Outcome, Window
from irkit.settings import Settings
from tests.memory.test_snapshot import target

pytestmark = pytest.mark.skipif(
    agent.native() is None or extension() is None, reason="no compiler: plain Python would take seconds for each"
)
RUNNER = Path(__file__).parent / "leaks" / "snapshots.py"


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("snapshots")
    subprocess.run([sys.executable, RUNNER, "module_cache", folder], check=True, timeout=60)
    return sorted(folder.iterdir())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text('home = "home"\n')
    return workspace.load_settings(tmp_path)


def test_the_owner_is_named_by_the_postmortem_after_the_restart(settings: Settings, snapshots: list[Path]) -> None:
    incident, _ = drill.file("memory-leak", settings, 42)
    [before] = bundles_of(settings.home, 42)
    sealed = before.joinpath("manifest.json").read_bytes()
    behind = datetime.now(UTC) - timedelta(minutes=5)  # our clock, against that of the machine they were taken on
    kept, bundle = heap_evidence.file(snapshots[:2], incident, settings, actor="ana", now=behind)
    assert bundle is not None
    assert "module_cache.CACHE" in str(kept[0])
    assert before.joinpath("manifest.json").read_bytes() == sealed, "a sealed bundle is never changed"
    evidence = workspace.gather(incident, settings=settings)
    assert evidence.id == bundle.id, "though it was taken after the repair"
    assert evidence.manifest.created_at == open_bundle(before).manifest.created_at
    report = conclusions.postmortem(incident, evidence, settings=settings)
    assert "module_cache.CACHE (dict) keeps" in str(report.heap)
    assert "module_cache.CACHE" in str(report.header)
    assert "module_cache.CACHE" in str(report.heap_growth)
    last = workspace.timeline(incident, settings=settings)[-1]
    assert (last.kind, last.actor, last.data["bundle"]) == (EventKind.EVIDENCE, "ana", bundle.id)
    # a third goes on where the two ended
    _, again = heap_evidence.file(snapshots[2:3], incident, settings, actor="ana", now=datetime.now(UTC))
    assert again is not None
    [process] = again.load("heap")["processes"]
    assert len(process["snapshots"]) == 3
    assert len({one["sha256"] for one in process["snapshots"]}) == 3


def test_collecting_takes_what_was_filed_of_the_window_alone(settings: Settings, snapshots: list[Path]) -> None:
    now = datetime.now(UTC)
    nothing = collect(settings, 42, Window(now - timedelta(1), now), bundle_id="0", now=now, only=["heap-snapshots"])
    run = nothing.run_for("heap")
    assert run is not None
    assert (run.outcome, run.reason) == (Outcome.ABSENT, "no heap snapshot was filed")
    keep(snapshots[3:], settings.heap_snapshots)
    window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
    found = collect(settings, 42, window, bundle_id="1", now=now, only=["heap-snapshots"])
    [process] = found.load("heap")["processes"]
    assert process["suspects"][0]["owner"] == "module_cache.CACHE"
    early = Window(now - timedelta(hours=3), now - timedelta(hours=2))
    assert not collect(settings, 42, early, bundle_id="2", now=now, only=["heap-snapshots"]).has("heap")
    (found_in,) = settings.heap_snapshots.glob("*/findings.json")
    found_in.write_text("{")
    broken = collect(settings, 42, window, bundle_id="3", now=now, only=["heap-snapshots"]).run_for("heap")
    assert broken is not None
    assert broken.outcome is Outcome.PARTIAL
    assert "cannot be read" in broken.reason


def test_without_evidence_yet_it_waits_for_the_next_collection(settings: Settings, snapshots: list[Path]) -> None:
    store = workspace.store(settings, create=True)
    incident = store.open_incident("Grows", incident_type="memory-leak", severity="High", actor="ana")
    _, bundle = heap_evidence.file(snapshots[:1], incident, settings, actor="ana", now=datetime.now(UTC))
    assert bundle is None
    assert "for the next `irkit collect`" in workspace.timeline(incident, settings=settings)[-1].text
    assert [path.stat().st_mode & 0o777 for path in settings.heap_snapshots.glob("*/*.irkheap")] == [0o600]


def test_what_is_no_snapshot_is_refused_and_nothing_kept(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.irkheap").write_bytes(b"no heap")
    with pytest.raises(SnapshotError, match="is no heap snapshot"):
        keep([tmp_path / "x.irkheap"], settings.heap_snapshots)
    assert not settings.heap_snapshots.exists()


def test_the_command_files_a_live_process_and_says_who_is_suspected(settings: Settings, tmp_path: Path) -> None:
    drill.file("memory-leak", settings, 42)
    irkit = str(Path(sys.executable).parent / "irkit")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [irkit, "memory", "snapshot", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    with target(20_000, 2, "native") as (pid, ask):
        refused = run("--pid", str(pid), "--incident", "42", "--to", "a.irkheap")
        unknown = run("--pid", str(pid), "--incident", "43")
        filed = run("--pid", str(pid), "--incident", "42")
        assert ask() == b"ok"
    assert (refused.returncode, unknown.returncode, filed.returncode) == (2, 3, 0), filed.stderr
    assert "has its place already" in refused.stderr
    told = " ".join(filed.stdout.split())
    assert "`__main__.CACHE` (dict) keeps" in told
    assert "One snapshot tells what is large; a second, what grows." in told
    assert "In the evidence of INC-42: bundle" in told
    assert sorted(path.suffix for path in settings.heap_snapshots.glob("*/*")) == [".irkheap", ".json", ".txt"]
