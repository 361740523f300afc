"""What the flight recorder costs beside 20 containers and a database: its share of a core, its memory, the Engine's."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.model import Window
from irkit.recorder.history import Sample, decode
from irkit.recorder.ring import read
from tests.collectors.lab import SLEEP, Lab, each_at_once
from tests.stack.engine import wait_until
from tests.support import sqlite_files as files
from tests.support.http_servers import answer, serving
from tests.support.redis_servers import redis_server

CONTAINERS = 20
WARM_UP_S = 12.0
MEASURED_S = 60.0
COMMIT_EACH_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


@contextmanager
def written(service: files.Service) -> Iterator[None]:
    """A service that commits some times a second to a database of 10 MB, for the block."""
    service.execute("PRAGMA wal_autocheckpoint = 1000")
    service.execute(
        "INSERT INTO messages (conversation_id, content) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 "
        "FROM n WHERE i < 100000) SELECT i % 100 + 1, printf('message %d %s', i, 'of a hundred characters') FROM n"
    )
    service.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.wait(COMMIT_EACH_S):
            files.commit(service, number := number + 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def engine_pid() -> int:
    """The process that listens where `docker` connects to."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect("/var/run/docker.sock")
        pid, _, _ = struct.unpack("iii", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


@pytest.mark.bench
def test_the_recorder_beside_twenty_containers(lab: Lab, tmp_path: Path) -> None:
    each_at_once(lambda number: lab.run(f"service-{number}", SLEEP, init=True), range(CONTAINERS))
    body = json.dumps({"status": "healthy", "services": {"providers": {"alpha": "up", "beta": "up"}}}).encode()
    database = tmp_path / "shop.db"
    with (
        redis_server(tmp_path) as redis,
        serving(answer(body)) as port,
        files.service(database) as service,
        written(service),
    ):
        (tmp_path / "irkit.toml").write_text(
            f'[docker]\nproject = "{lab.project}"\n[http]\nhealth_url = "http://127.0.0.1:{port}/health"\n'
            f'[redis]\nurl = "redis://127.0.0.1:{redis.port}/0"\nratelimit_pattern = "ratelimit:*"\n'
            f'[sqlite]\npath = "{database}"\n'
        )
        engine = engine_pid()
        before = cpu_s(engine), time.monotonic()
        time.sleep(10)
        idle = (cpu_s(engine) - before[0]) / (time.monotonic() - before[1])
        recorder = subprocess.Popen([str(Path(sys.executable).parent / "irkit"), "record"], cwd=tmp_path)
        try:
            ring = tmp_path / ".irkit" / "recorder"
            wait_until(lambda: any(ring.glob("*.ring")), "the recorder has written")
            time.sleep(WARM_UP_S)
            before = cpu_s(recorder.pid), cpu_s(engine), time.monotonic()
            time.sleep(MEASURED_S)
            wall_s = time.monotonic() - before[2]
            share = (cpu_s(recorder.pid) - before[0]) / wall_s
            engine_share = (cpu_s(engine) - before[1]) / wall_s
            rss, peak = memory_mb(recorder.pid, "VmRSS"), memory_mb(recorder.pid, "VmHWM")
        finally:
            recorder.send_signal(signal.SIGTERM)
            assert recorder.wait(30) == 0
        now = datetime.now(UTC)
        records = list(read(ring, Window(now - timedelta(hours=1), now + timedelta(hours=1)), []))
        size_bytes = sum(len(record.body) for record in records)
        looks = [decode("database", record.body) for record in records if record.source == "database"]
        rows = [row for look in looks if isinstance(look, Sample) for row in look.rows]
        took_ms = [1000 * float(str(row["duration_s"])) for row in rows]
        print(f"\nflight recorder, {CONTAINERS} containers, a sample each 5 s, over {wall_s:.0f} s")
        print(
            f"  database           {len(looks)} looks at {database.stat().st_size / 1e6:.1f} MB, "
            f"{sum(took_ms) / max(len(looks), 1):.1f} ms each"
        )
        print(f"  recorder           {100 * share:6.2f} % of a core")
        print(f"  memory             {rss:6.1f} MB, at most {peak:.1f} MB")
        print(f"  the Engine itself  {100 * engine_share:6.2f} % of a core, {100 * idle:.2f} % before")
        print(f"  written            {size_bytes / len(records) * 4 / 1000:6.2f} kB a round, uncompressed")
        missed = [record for record in records if record.body.startswith(b'{"missed"')]
        assert missed == []
        assert {row["ok"] for row in rows} == {True}
        assert share <= 0.01
        assert peak <= 100
