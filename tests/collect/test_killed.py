"""kill -9 anywhere in `irkit collect`: the store and every sealed bundle stay whole, and nothing stays behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from irkit import workspace
from irkit.bundle import bundles_of, open_bundle
from irkit.settings import load
from tests.stack.engine import wait_until
from tests.support.http_servers import serving
from tests.support.sqlite_files import create

IRKIT = str(Path(sys.executable).parent / "irkit")
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\n{"status": "healthy"}'


def healthy(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(ANSWER)


def alive(mark: str) -> list[str]:
    """The processes that carry this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def killed_at_random(folder: Path, times: int) -> None:
    """Collect, and kill the parent, or by the way its host or a collector, at a random moment; look at what is left."""
    chance = random.Random(times)  # noqa: S311 (a repeatable choice of moments)
    mark = f"IRKIT_TEST_KILL={folder.name}-{os.getpid()}"
    environment = {**os.environ, **dict([mark.split("=")])}
    create(folder / "jarvis.db")

    def irkit(*arguments: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen([IRKIT, *arguments], cwd=folder, env=environment, stdout=quiet, stderr=quiet)

    with serving(healthy) as port:
        (folder / "irkit.toml").write_text(
            f'home = "home"\n[http]\nhealth_url = "http://127.0.0.1:{port}/"\n[sqlite]\npath = "jarvis.db"\n'
            f'[redis]\nurl = "redis://127.0.0.1:1/0"\n[docker]\nhost = "unix://{folder}/none.sock"\n'
        )
        assert irkit("open", "killed", "--type", "api-unresponsive", "--id", "42").wait() == 0
        began = time.monotonic()
        assert irkit("collect", "42").wait() >= 0
        whole_s = time.monotonic() - began
        settings = load(folder)
        for _ in range(times):
            before = len(bundles_of(settings.home, 42))
            process = irkit("collect", "42")
            try:
                process.wait(chance.uniform(0, whole_s * 1.1))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            code = process.wait()
            wait_until(lambda: not alive(mark), "every process of the collection is gone", 10.0)
            sealed = bundles_of(settings.home, 42)
            assert len(sealed) - before in ({1} if code >= 0 else {0, 1})
            for path in sealed[before:]:
                assert open_bundle(path).runs
            assert workspace.incident(42, settings=settings).id == 42
            assert workspace.timeline(workspace.incident(42, settings=settings), settings=settings)
        assert irkit("collect", "42").wait() >= 0
    left = {path.name for path in (settings.home / "bundles" / "INC-42").iterdir()}
    assert left == {path.name for path in bundles_of(settings.home, 42)}, "what the dead left was not cleared away"
    for path in bundles_of(settings.home, 42):
        assert open_bundle(path).runs


def test_five_kills_leave_whole_bundles_and_no_process(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 5)


@pytest.mark.soak
def test_two_hundred_kills_leave_whole_bundles_and_no_process(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 200)


def test_ctrl_c_keeps_what_had_come_and_says_so(tmp_path: Path) -> None:
    """What a service in trouble is asked may take long, and who waits at night loses patience."""
    asked = threading.Event()

    def silent(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        asked.set()
        over.wait()

    create(tmp_path / "jarvis.db")
    with serving(silent) as port:
        (tmp_path / "irkit.toml").write_text(
            f'home = "home"\n[http]\nhealth_url = "http://127.0.0.1:{port}/"\n[sqlite]\npath = "jarvis.db"\n'
            f'[redis]\nurl = "redis://127.0.0.1:1/0"\n[docker]\nhost = "unix://{tmp_path}/none.sock"\n'
        )
        run = [IRKIT, "open", "stopped", "--type", "api-unresponsive", "--id", "42"]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
        process = subprocess.Popen(
            [IRKIT, "collect", "42"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "irkit: stopped" in err
    assert "what had come by then is kept: `irkit triage 42`" in err
    assert "stopped by hand after" in " ".join(out.split())
    settings = load(tmp_path)
    [path] = bundles_of(settings.home, 42)
    runs = {run.collector: run.outcome for run in open_bundle(path).runs}
    assert runs["http-health"] in {"partial", "skipped"}
    told = workspace.timeline(workspace.incident(42, settings=settings), settings=settings)
    assert any(path.name in event.text for event in told)
