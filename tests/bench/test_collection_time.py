"""What a collection costs with 3, 20 and 100 containers, against its slowest source and the runbook's own commands."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.bench.memory import peak_bytes
from tests.bench.plot import growth
from tests.stack.engine import ensure_images, own_engine
from tests.stack.stack import compose_command
from tests.support.redis_servers import redis_server
from tests.support.sqlite_files import create

ROUNDS = 3
COUNTS = (3, 20, 100)
IRKIT = str(Path(sys.executable).parent / "irkit")
FOLDER = Path(__file__).parents[2] / ".bench"
HEALTH = """
import http.server
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"status": "healthy", "services": {"providers": {"alpha": "healthy"}}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
print(server.server_port, flush=True)
server.serve_forever()
"""
SPEAKS = (
    "import time\nfor n in range(300): print('GET /api/health 200 in', n, 'ms')\nwhile True: time.sleep(1); print('up')"
)


@dataclass(frozen=True)
class Place:
    """A service to collect from, and what the runbook would have a person type."""

    folder: Path
    environment: dict[str, str]
    commands: Sequence[Sequence[str]]

    def run(self, *command: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return time.perf_counter() - began

    def collect(self) -> tuple[float, float]:
        """How long a collection takes to its sealed bundle, and with the diagnosis after it to its end."""
        sealed = set(self.folder.glob("home/bundles/INC-42/*/manifest.json"))
        began, found_after_s = time.perf_counter(), 0.0
        command = [IRKIT, "collect", "42"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=quiet, stderr=quiet) as process:
            while not found_after_s and process.poll() is None:
                if set(self.folder.glob("home/bundles/INC-42/*/manifest.json")) - sealed:
                    found_after_s = time.perf_counter() - began
                time.sleep(0.005)
        assert process.returncode == 0
        return found_after_s, time.perf_counter() - began

    def processor_s(self, *command: str) -> float:
        """What a command takes of the processors, which a busy machine does not lengthen."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.run(*command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def scale(self, count: int) -> None:
        self.run(*compose_command(), "up", "--detach", "--scale", f"web={count}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An Engine of our own with a compose project, a Redis, a health endpoint and a database."""
    health = subprocess.Popen([sys.executable, "-c", HEALTH], stdout=subprocess.PIPE, text=True)
    with (
        health,
        tempfile.TemporaryDirectory(prefix="irkit-", dir="/var/tmp") as short,
        own_engine(Path(short)) as host,
        redis_server(tmp_path / "redis") as redis,
    ):
        monkeypatch.setenv("DOCKER_HOST", host)
        assert health.stdout
        url = f"http://127.0.0.1:{health.stdout.readline().strip()}/api/health"
        database = create(tmp_path / "jarvis.db")
        (tmp_path / "docker-compose.yml").write_text(
            json.dumps(
                {
                    "version": "2.4",
                    "services": {
                        "web": {
                            "image": ensure_images().python,
                            "command": ["python3", "-uc", SPEAKS],
                            "network_mode": "none",
                            "stop_grace_period": "0s",
                        }
                    },
                }
            )
        )
        (tmp_path / "irkit.toml").write_text(
            f'home = "home"\n[docker]\nhost = "{host}"\n[http]\nhealth_url = "{url}"\n'
            f'[redis]\nurl = "redis://127.0.0.1:{redis.port}/0"\n[sqlite]\npath = "{database}"\n'
        )
        docker = ("docker-compose",) if compose_command() == ("docker-compose",) else compose_command()
        commands = [
            [*docker, "ps"],
            [*docker, "logs", "--tail=100"],
            ["docker", "stats", "--no-stream"],
            ["curl", "--silent", url],
            ["redis-cli", "-p", str(redis.port), "GET", "ratelimit:provider:*"],
            ["sqlite3", str(database), "SELECT name FROM sqlite_master"],
            ["sqlite3", str(database), "PRAGMA integrity_check"],
        ]
        made = Place(tmp_path, {**os.environ, "DOCKER_HOST": host}, commands)
        made.run(IRKIT, "open", "bench", "--type", "api-unresponsive", "--id", "42")
        try:
            yield made
        finally:
            made.run(*compose_command(), "down", "--timeout", "0")
            health.kill()


def newest_runs(place: Place, before: int = 0) -> dict[str, tuple[str, float]]:
    """How each look of the newest collection ended and after how long, or of one `before` (-1: the one but newest)."""
    sealed = sorted((place.folder / "home" / "bundles" / "INC-42").glob("*/manifest.json"))
    manifest = json.loads(sealed[before - 1].read_text())
    return {run["collector"]: (run["outcome"], run["duration_s"]) for run in manifest["runs"]}


@pytest.mark.bench
def test_a_collection_against_its_slowest_source_and_the_runbooks_commands(place: Place) -> None:
    whole: list[float] = []
    slowest: list[float] = []
    by_hand: list[float] = []
    for count in COUNTS:
        place.scale(count)
        place.run(IRKIT, "collect", "42")
        runs = newest_runs(place)
        source = max(runs, key=lambda name: runs[name][1])
        seconds: dict[str, list[float]] = {"sealed": [], "whole": [], "one": [], "hand": []}
        for _ in range(ROUNDS):  # interleaved, so that a slow moment of the machine hits all alike
            for name, took in zip(("sealed", "whole"), place.collect(), strict=True):
                seconds[name].append(took)
            seconds["one"].append(place.run(IRKIT, "collect", "42", "--only", source))
            seconds["hand"].append(sum(place.run(*command) for command in place.commands))
        whole.append(median(seconds["whole"]))
        slowest.append(median(seconds["one"]))
        by_hand.append(median(seconds["hand"]))
        print(f"\n{count} containers, median of {ROUNDS}, interleaved")
        print(f"  irkit collect{'':<21}{whole[-1]:6.2f} s")
        print(f"  … only {source:<27}{slowest[-1]:6.2f} s  {whole[-1] / slowest[-1]:5.2f} × slower with all")
        print(f"  the runbook's commands{'':<12}{by_hand[-1]:6.2f} s  {by_hand[-1] / whole[-1]:5.2f} × as long by hand")
        sealed = median(seconds["sealed"])
        print(f"  irkit collect, until sealed{'':<7}{sealed:6.2f} s  {by_hand[-1] / sealed:5.2f} × as long by hand")
        together = max(took for _, took in newest_runs(place, -1).values())
        alone = newest_runs(place)[source][1]
        print(f"  the last of the sources ended after {together:.2f} s, {source} alone after {alone:.2f} s")
        own = place.processor_s(IRKIT, "collect", "42")
        hand = sum(place.processor_s(*command) for command in place.commands)
        print(f"  processor time: irkit collect {own:.2f} s, the runbook's commands {hand:.2f} s")
        print("  " + ", ".join(f"{name} {took:.2f}" for name, (_, took) in newest_runs_sorted(runs)))
        print(f"  peak memory of all its processes {peak_bytes([IRKIT, 'collect', '42'], place) / 1e6:.0f} MB (PSS)")
    series = {"irkit collect": whole, "its slowest source alone": slowest, "the runbook's commands": by_hand}
    print(f"  drawn: {growth(COUNTS, series, FOLDER / 'collection-growth.svg')}")
    assert all(one < 2 * source for one, source in zip(whole, slowest, strict=True)), "the sources wait for each other"


def newest_runs_sorted(runs: dict[str, tuple[str, float]]) -> list[tuple[str, tuple[str, float]]]:
    return sorted(runs.items(), key=lambda item: -item[1][1])
