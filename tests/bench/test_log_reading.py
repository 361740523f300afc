"""Logs of a gigabyte: how fast they are read and kept, in how much memory, how soon a window at their end is had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest

from irkit.collect.contract import Table
from irkit.collectors.container_logs import collect
from irkit.model import Window
from irkit.settings import DockerTarget
from tests.bench.memory import peak_bytes
from tests.stack.engine import ensure_images, own_engine, wait_until

IRKIT = str(Path(sys.executable).parent / "irkit")
WRITES = """
import itertools, sys, time
wanted, size = int(sys.argv[1]), 0
for n in itertools.count():
    line = f'10.0.0.{n % 250}:{40000 + n % 20000} - "GET /api/conversations/{n} HTTP/1.1" 200 in {n % 900} ms\\n'
    size += sys.stdout.write(line)
    if size >= wanted: break
sys.stdout.flush()
time.sleep(2)
print("the end", flush=True)
"""


@dataclass(frozen=True)
class Place:
    folder: Path
    environment: dict[str, str]
    host: str


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="irkit-", dir="/var/tmp") as short, own_engine(Path(short)) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        yield Place(tmp_path, {**os.environ}, host)


def write_log(place: Place, name: str, size_bytes: int) -> str:
    image = ensure_images().python
    with closing(docker.from_env()) as client:
        container = client.containers.run(
            image,
            ["python3", "-c", WRITES, str(size_bytes)],
            name=name,
            detach=True,
            network_mode="none",
            labels={"com.docker.compose.project": name, "com.docker.compose.service": "web"},
        )

        def ended() -> bool:
            container.reload()
            return container.status == "exited"

        wait_until(ended, f"{size_bytes} bytes were logged", 300.0)
        return str(container.attrs["State"]["FinishedAt"])


def timed(place: Place, *command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=place.environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@pytest.mark.bench
def test_a_gigabyte_of_logs(place: Place) -> None:
    write_log(place, "large", 10**9)
    (place.folder / "irkit.toml").write_text(
        f'home = "home"\n[docker]\nhost = "{place.host}"\nproject = "large"\n[collect]\nwindow_minutes = 600\n'
    )
    subprocess.run(
        [IRKIT, "open", "x", "--type", "memory-leak", "--id", "42"],
        cwd=place.folder,
        env=place.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    peak = peak_bytes([IRKIT, "collect", "42", "--only", "container-logs"], place)
    (manifest,) = (place.folder / "home" / "bundles" / "INC-42").glob("*/manifest.json")
    body = json.loads(manifest.read_text())
    (run,) = (run for run in body["runs"] if run["collector"] == "container-logs")
    (logs,) = (item for item in body["evidence"] if item["kind"] == "logs")
    print(f"\na log of 1 GB: {logs['rows']:,} newest lines kept in {run['duration_s']:.1f} s, {run['outcome']}")
    print(f"  {logs['rows'] / run['duration_s']:,.0f} lines/s; {run['reason']}")
    print(f"  peak memory of all processes {peak / 1e6:.0f} MB (PSS)")

    began, read_bytes, lines = time.perf_counter(), 0, 0
    now = datetime.now(UTC)
    for piece in collect(DockerTarget(place.host, "large"), Window(now - timedelta(hours=10), now)):
        for row in piece.rows if isinstance(piece, Table) else ():
            read_bytes += len(str(row["line"]))
            lines += 1
    took = time.perf_counter() - began
    print(f"  read alone: {lines:,} lines, {read_bytes / took / 1e6:.1f} MB/s, {lines / took:,.0f} lines/s")
    docker_s = timed(place, "docker", "logs", "--tail", str(lines), "large")
    print(f"  docker logs --tail {lines}: {docker_s:.1f} s ({took / docker_s:.1f} × as long with irkit)")
    assert run["outcome"] in {"partial", "collected"}


@pytest.mark.bench
def test_a_window_at_the_end_of_a_long_log(place: Place) -> None:
    ended_at = datetime.fromisoformat(write_log(place, "long", 300 * 10**6)[:26] + "+00:00")
    start = ended_at - timedelta(seconds=1)
    by_time = timed(place, "docker", "logs", "--since", start.isoformat(), "long")
    began = time.perf_counter()
    pieces = collect(DockerTarget(place.host, "long"), Window(start, ended_at + timedelta(minutes=1)))
    rows = [row["line"] for piece in pieces if isinstance(piece, Table) for row in piece.rows]
    took = time.perf_counter() - began
    print(f"\na window of 1 s at the end of 300 MB: {took * 1000:.0f} ms; docker logs --since: {by_time * 1000:.0f} ms")
    assert rows == ["the end"]
    assert took < by_time
