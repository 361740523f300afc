"""A service leaks in its container until the kernel kills it: the monitor says when, the snapshot from inside why."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import conclusions, workspace
from irkit.collect.contract import Table
from irkit.collectors.process import collect
from irkit.docker.containers import parse_time
from irkit.memory import agent
from irkit.memory.heap_kernel import extension
from irkit.model import Window, utc_now
from irkit.settings import DockerTarget
from tests.stack.engine import Images, wait_until
from tests.stack.stack import Stack, running_stack

ROOT = Path(__file__).parents[2]
# by the clock of the service itself: from a third of its limit to all of it in less than 25 s
LEAK = "objects-leak=42000"
WATCHED_S = 8
SUSPECT = "objects_leak(): kept"
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
    name = "jarvis-api"  # by its service, as `irkit act` takes it, too
    (tmp_path / "irkit.toml").write_text(f'[docker]\nproject = "{stack.project}"\n', encoding="utf-8")
    kind = ("--type", "memory-leak", "--severity", "High", "--no-escalation")
    run(tmp_path, "open", "Memory grows", *kind, "--id", "43")
    refused = tried(tmp_path, "memory", "snapshot", "--container", "jarvis-apl")
    assert refused.returncode == 8
    assert "neither a container nor a service is named jarvis-apl" in refused.stderr
    assert "did you mean jarvis-api?" in refused.stderr
    without = tried(tmp_path, "memory", "snapshot", "--container", name)
    assert "no process of container jarvis-api has a memory agent" in without.stderr
    assert f"irkit memory attach --container {name}" in " ".join(without.stderr.split())
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
    told = run(tmp_path, "show", "43")
    assert "Attaching to process" in told
    assert "of container jarvis-api by pyinjector, for a snapshot" in told
    assert re.search(r"Attached to process \d+ .*: One thread was stopped for", told)
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


def test_the_kill_comes_when_the_monitor_said_at_half_way_and_the_postmortem_shows_it_all(
    watched: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def irkit(*words: str) -> str:
        return run(watched.directory, *words)

    name = "jarvis-api"
    irkit("open", "Memory grows", "--type", "memory-leak", "--severity", "High", "--id", "42", "--no-escalation")
    told_of_collections(watched)
    here = ("--container", name, "--incident", "42")
    again = ("memory", "snapshot", *here)
    irkit(*again)
    with watched.broken(LEAK), ThreadPoolExecutor(1) as beside:
        watch = ("memory", "monitor", *here, "--for", f"{WATCHED_S}", "--every", "100ms")
        seen = beside.submit(irkit, *watch)
        # early, as a clone that walks at the limit is what the kernel would kill first
        wait_until(
            lambda: SUSPECT in " ".join(tried(watched.directory, *again).stdout.split()), "its growth can be told", 60
        )
        assert "is reached in" in seen.result()
        assert watched.health().status == 200
        wait_until(lambda: watched.exit_code() is not None, "the kernel has killed it", 60)
        killed_at = parse_time(watched.container("jarvis-api").attrs["State"]["FinishedAt"])
        irkit("collect", "42")
    monkeypatch.chdir(watched.directory)
    incident = workspace.incident(42)
    [said] = [event for event in workspace.timeline(incident) if "limit_reached_in_s" in event.data]
    assert killed_at
    left_s, said_s = (killed_at - said.at).total_seconds(), float(str(said.data["limit_reached_in_s"]))
    print(f"killed in {said_s:.1f} s, it said; it was {left_s:.1f} s")
    assert left_s > WATCHED_S / 2, "it was not yet half-way"
    assert abs(said_s - left_s) <= 0.2 * left_s
    shown = conclusions.postmortem(incident, workspace.gather(incident, "never"))
    assert any(said.text in row.text for row in shown.timeline.rows), shown.timeline
    told = str(shown.heap)
    assert SUSPECT in told, told
    assert "OOM kills" in {row.title for row in shown.symptoms.rows if row.state == "found"}, shown.symptoms
    [process] = workspace.gather(incident, "never").load("heap")["processes"]
    assert process["process"]["program"] == "jarvis_api.py"
    assert process["process"]["container"] == watched.container("jarvis-api").id
    assert process["explained"] < 1, "no part can be larger than the whole"
    assert process["suspects"][0]["owner"].startswith(SUSPECT)
