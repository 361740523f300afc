"""A service leaks in its container: the snapshot from inside names the owner, and so does its postmortem."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import workspace
from irkit.collect_contract import Table
from irkit.collectors.process import collect
from irkit.memory import agent
from irkit.memory.heap_kernel import extension
from irkit.model import Window, utc_now
from irkit.settings import DockerTarget
from tests.stack.engine import Images, wait_until
from tests.stack.stack import Stack, running_stack

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(agent.native() is None or extension() is None, reason="the extensions are not built")
OVERRIDE = """
services:
  jarvis-api:
    environment: {PYTHONPATH: /opt/irkit, IRKIT_MEMORY_AGENT: "1"}
    volumes: ["./irkit-inside:/opt/irkit:ro"]
    mem_limit: 128m
"""


@pytest.fixture
def watched(images: Images, tmp_path: Path) -> Iterator[Stack]:
    """The stack with irkit installed beside its API, as far as an agent needs it."""
    inside = tmp_path / "irkit-inside"
    (inside / "irkit").mkdir(parents=True)
    shutil.copy(ROOT / "irkit" / "__init__.py", inside / "irkit")
    shutil.copytree(ROOT / "irkit" / "memory", inside / "irkit" / "memory")
    shutil.copy(ROOT / "irkit" / "memory" / "agent.pth", inside / "sitecustomize.py")
    (tmp_path / "docker-compose.override.yml").write_text(OVERRIDE, encoding="utf-8")
    with running_stack(tmp_path, images) as running:
        yield running


def tried(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "irkit"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def run(folder: Path, *words: str) -> str:
    done = tried(folder, *words)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_a_service_without_an_agent_is_attached_to_in_its_container(stack: Stack, tmp_path: Path) -> None:
    name = str(stack.container("jarvis-api").name)
    (tmp_path / "irkit.toml").write_text(f'[docker]\nproject = "{stack.project}"\n', encoding="utf-8")
    kind = ("--type", "memory-leak", "--severity", "High", "--no-escalation")
    run(tmp_path, "open", "Memory grows", *kind, "--id", "43")
    attach = ("memory", "attach", "--container", name, "--incident", "43", "--yes")
    done = tried(tmp_path, *attach)
    outside = re.search(r"failed to open (/\S+?)\.? \(dev", done.stderr)
    if outside and not Path(outside[1]).exists():
        # in a root of its own: the kernel names the container's files by a path that nobody in here can open
        assert done.returncode == 8
        assert "failed" in run(tmp_path, "show", "43")
        assert stack.health().status == 200
        return
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "One thread was stopped for" in said
    assert "In the evidence of INC-43" in said
    assert "Attaching to process" in run(tmp_path, "show", "43")
    [stacks] = tmp_path.glob(".irkit/**/*.stacks.txt")
    assert "jarvis_api.py" in stacks.read_text(encoding="utf-8")
    assert stack.health().status == 200
    pid = stack.container("jarvis-api").attrs["State"]["Pid"]
    assert not list(Path(f"/proc/{pid}/root/tmp").glob("irkit*"))


def told_of_collections(place: Stack) -> None:
    """Of the process with an agent is known how it collects garbage, of the others why it is not."""
    now = utc_now()
    pieces = collect(DockerTarget(project=place.project), Window(now - timedelta(minutes=5), now))
    rows = [row for piece in pieces if isinstance(piece, Table) for row in piece.rows]
    own = {str(row["service"]): row for row in rows if row.get("gc_over_s")}
    assert list(own) == ["jarvis-api"]
    assert own["jarvis-api"]["gc_collections"]
    assert "collections" in str(own["jarvis-api"]["garbage_collection"])
    others = {row["garbage_collection"] for row in rows if not row.get("gc_over_s")}
    assert others == {"not known: no memory agent in the process"}


def test_snapshots_name_the_owner_before_the_kernel_kills_it_and_the_postmortem_shows_both(
    watched: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def irkit(*words: str) -> str:
        return run(watched.directory, *words)

    name = str(watched.container("jarvis-api").name)
    irkit("open", "Memory grows", "--type", "memory-leak", "--severity", "High", "--id", "42", "--no-escalation")
    told_of_collections(watched)
    with watched.broken("objects-leak=30000"):  # slowly, so that a busy machine has time to look
        irkit("memory", "snapshot", "--container", name, "--incident", "42")
        again = ("memory", "snapshot", "--container", name, "--incident", "42")
        wait_until(lambda: "No leak suspect" not in irkit(*again), "its growth is large enough to be told", 60)
        assert watched.health().status == 200
        watched.break_with("objects-leak=300000")
        wait_until(lambda: watched.exit_code() is not None, "the kernel has killed it", 60)
        irkit("collect", "42")
    monkeypatch.chdir(watched.directory)
    incident = workspace.incident(42)
    report = workspace.postmortem(incident, workspace.gather(incident, "never"))
    told = str(report.heap)
    assert "objects_leak(): kept" in told, told
    assert "OOM kills" in {row.title for row in report.symptoms.rows if row.state == "found"}, report.symptoms
    [process] = workspace.gather(incident, "never").load("heap")["processes"]
    assert process["process"]["program"] == "jarvis_api.py"
    assert process["explained"] < 1, "no part can be larger than the whole"
    assert process["suspects"][0]["owner"].startswith("objects_leak(): kept")
