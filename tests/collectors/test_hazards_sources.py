"""What every source may do to us, done by real ones through the real engine: the run ends, and the rest is kept."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from docker.types import LogConfig

from irkit.bundle import Bundle, open_bundle
from irkit.bundle.archive import verify
from irkit.collect.engine import collect
from irkit.model import CollectorRun, Outcome, Window
from irkit.settings import (
    CollectSettings,
    DockerTarget,
    HttpTarget,
    PrometheusTarget,
    RedisTarget,
    Secret,
    Settings,
    SqliteTarget,
)
from irkit.text.visible import visible
from tests.collectors.lab import SLEEP, Lab, python
from tests.stack.engine import wait_until
from tests.support import http_servers as servers
from tests.support.deaf import Deaf, deaf
from tests.support.memory import descendants, started_since, watched
from tests.support.redis_servers import redis_server

MOST_BYTES = 200 * 1024 * 1024
HTTP_BYTES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: "
REDIS_BYTES = b"$1000000\r\n"
FLOOD = """
import time
n = 0
while True:
    n += 1
    print(n, 'y' * 1000, 'end')
    n < 8000 or time.sleep(0.001)
"""


def gathered(settings: Settings, *only: str) -> Bundle:
    now = datetime.now(UTC)
    window = Window(now - timedelta(minutes=10), now + timedelta(minutes=10))
    bundle = collect(settings, 42, window, bundle_id="one", now=now, only=only)
    verify(bundle)
    return open_bundle(bundle.path)


def runs_of(bundle: Bundle) -> dict[str, CollectorRun]:
    return {run.collector: run for run in bundle.runs}


def sockets() -> set[str]:
    """The sockets this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
        except OSError:  # the descriptor of the listing itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A database somebody holds for writing and will not let go."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("INSERT INTO t VALUES (1)")
        yield
        connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def deaf_sources(tmp_path: Path, http: bytes, redis: bytes) -> Iterator[tuple[Settings, list[Deaf]]]:
    """Docker, the API, Redis and Prometheus, none of which says more than a byte a second."""
    with ExitStack() as stack:
        engine = socket.socket(socket.AF_UNIX)
        engine.bind(str(tmp_path / "docker.sock"))
        ports, seen = [], [stack.enter_context(deaf(engine, http))]
        for said in (http, redis, http):
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
            seen.append(stack.enter_context(deaf(listener, said)))
        settings = Settings(
            tmp_path / "home",
            docker=DockerTarget(f"unix://{tmp_path}/docker.sock", configured=True),
            http=HttpTarget(f"http://127.0.0.1:{ports[0]}/health", configured=True),
            redis=RedisTarget(Secret(f"redis://127.0.0.1:{ports[1]}/0"), "ratelimit:*", configured=True),
            sqlite=SqliteTarget(str(tmp_path / "jarvis.db"), configured=True),
            prometheus=PrometheusTarget(Secret(f"http://127.0.0.1:{ports[2]}"), configured=True),
        )
        yield settings, seen


def hang_all(tmp_path: Path, http: bytes, redis: bytes, database: str, limits: CollectSettings) -> float:
    """Collect from sources that all hang, prove that nothing is left and the rest is kept; the seconds it took."""
    with ExitStack() as stack:
        if database == "locked":
            stack.enter_context(locked(tmp_path / "jarvis.db"))
        else:
            os.mkfifo(tmp_path / "jarvis.db")
        settings, seen = stack.enter_context(deaf_sources(tmp_path, http, redis))
        threads, open_sockets, processes = threading.active_count(), sockets(), descendants(os.getpid())
        began = time.monotonic()
        http_target = replace(settings.http, timeout_s=min(settings.http.timeout_s, limits.deadline_s / 3))
        with watched() as peak:
            bundle = gathered(replace(settings, collect=limits, http=http_target))
        took_s = time.monotonic() - began
        connections = sum(one.made for one in seen)
        wait_until(lambda: all(one.open == 0 for one in seen), "every connection is gone")
        # the sources' own threads end when their connection does
        wait_until(lambda: threading.active_count() <= threads, "no thread is left")
        assert sockets() == open_sockets
        assert started_since(processes) == set()
    print(f"{took_s:.1f} s, {peak.pss_bytes / 1e6:.0f} MB in {peak.processes} processes, {connections} connections")
    assert all(one.made for one in seen), "a source was not even asked"
    assert 0 < peak.pss_bytes <= MOST_BYTES
    runs = runs_of(bundle)
    for name in ("compose-services", "container-logs", "container-stats", "container-events", "container-processes"):
        assert runs[name].outcome is Outcome.TIMED_OUT, runs[name]
    for name in ("redis-info", "redis-ratelimits", "prometheus"):
        assert runs[name].outcome in {Outcome.TIMED_OUT, Outcome.FAILED}, runs[name]
    assert all(run.reason for run in bundle.runs if run.outcome is not Outcome.COLLECTED)
    assert set(bundle.load("health")["verdict"]) == {"timed_out"}
    assert len(bundle.load("host")) == 1
    assert len(bundle.load("disk_usage")) >= 1
    assert (tmp_path / "jarvis.db").exists()
    assert not (tmp_path / "jarvis.db-wal").exists()
    return took_s


SAYS = pytest.mark.parametrize(
    ("http", "redis"), [(b"", b""), (HTTP_BYTES, REDIS_BYTES)], ids=["silent", "one-byte-a-second"]
)
DATABASES = pytest.mark.parametrize("database", ["pipe", "locked"])


@SAYS
@DATABASES
def test_all_sources_at_once_hang_and_nothing_is_left(tmp_path: Path, http: bytes, redis: bytes, database: str) -> None:
    hang_all(tmp_path, http, redis, database, CollectSettings(deadline_s=3, run_deadline_s=5))


@pytest.mark.soak
@SAYS
@DATABASES
def test_with_the_default_deadlines_it_ends_in_fifteen_seconds(
    tmp_path: Path, http: bytes, redis: bytes, database: str
) -> None:
    """Ten seconds a source, fifteen in all, in 200 MB: what an engineer at night was promised."""
    assert hang_all(tmp_path, http, redis, database, CollectSettings()) <= CollectSettings().run_deadline_s


HOSTILE = b"caf\xe9 \x00nul \x1b[31mred\x1b[0m \x1b]0;title\x07 \xe2\x80\xaeevil \xf0\x9f\x98\x80 \xff\xfe\r end"


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", docker=DockerTarget(project=lab.project, configured=True))


def test_hostile_bytes_are_kept_in_evidence_and_tamed_when_shown(lab: Lab, settings: Settings) -> None:
    code = f"import sys; sys.stdout.buffer.write({HOSTILE!r} + bytes([10]))"
    lab.finish("hostile", python(code), log_config=LogConfig(type="local"))
    bundle = gathered(settings, "container-logs", "compose-services", "host")
    assert {run.outcome for run in bundle.runs} == {Outcome.COLLECTED, Outcome.SKIPPED}
    assert list(bundle.load("containers")["service"]) == ["hostile"]
    (line,) = bundle.load("logs")["line"]
    assert line.encode("utf-8", "surrogateescape") == HOSTILE
    shown = visible(line)
    assert shown.isprintable()
    assert not {"\x1b", "\x00", "\u202e", "\r", "\x07"} & set(shown)
    assert "café" not in shown
    assert "\\xe9" in shown


def test_a_line_of_100_mb_is_cut_and_its_neighbours_stay(lab: Lab, settings: Settings) -> None:
    code = "import sys; print('before'); sys.stdout.write('x' * 100_000_000 + '\\n'); print('after')"
    lab.finish("endless", python(code), log_config=LogConfig(type="local", config={"max-size": "200m"}))
    lab.finish("quiet", python("print('here')"))
    with watched() as peak:
        bundle = gathered(settings, "container-logs", "compose-services", "host")
    print(f"{peak.pss_bytes / 1e6:.0f} MB")
    assert peak.pss_bytes <= MOST_BYTES
    run = runs_of(bundle)["container-logs"]
    assert run.outcome is Outcome.PARTIAL
    assert set(bundle.load("containers")["service"]) == {"endless", "quiet"}
    assert len(bundle.load("host")) == 1
    assert "cut" in run.reason, run.reason
    lines = bundle.load("logs")
    assert {"before", "after", "here"} <= set(lines["line"])
    assert lines["line"].str.len().max() < 2_000_000


def test_output_without_end_is_cut_at_the_cap_and_a_whole_line(lab: Lab, settings: Settings) -> None:
    # a megabyte a second once it has said enough, which no rotation must take from under the reader meanwhile
    flood = lab.run("flood", python(FLOOD))
    lab.finish("quiet", python("print('here')"))
    small = Settings(settings.home, docker=settings.docker, collect=CollectSettings(max_size_bytes=4_000_000))
    wait_until(lambda: len(flood.logs(tail=5000)) > 4_500_000, "more was said than the cap lets in")
    bundle = gathered(small, "container-logs", "compose-services")
    runs = runs_of(bundle)
    assert runs["container-logs"].outcome is Outcome.PARTIAL
    assert runs["compose-services"].outcome is Outcome.COLLECTED
    evidence = bundle.evidence_for("logs")
    assert evidence is not None
    assert "cap" in evidence.truncated
    lines = bundle.load("logs")
    assert lines["line"].str.len().sum() <= 4_000_000
    assert lines["line"][lines["service"] == "flood"].str.endswith(" end").all()


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our own clock shows a time fourteen hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_times_are_utc_whatever_zones_we_and_the_service_are_in(lab: Lab, settings: Settings) -> None:
    """The service writes stamps without a zone, in a time that changes with the season; they are text, not times."""
    began = datetime.now(UTC)
    stamp = "2026-11-01 01:30:00 INFO the hour that comes twice"
    lab.finish("abroad", python(f"print({stamp!r})"), environment={"TZ": "America/New_York"})
    lab.run("abroad-too", SLEEP, environment={"TZ": "America/New_York"})
    bundle = gathered(settings, "container-logs", "compose-services", "container-events", "host")
    ended = datetime.now(UTC)
    logs, containers, events, host = (bundle.load(kind) for kind in ("logs", "containers", "container_events", "host"))
    assert list(logs["line"]) == [stamp]
    times = [*logs["at"], *containers["started_at"], *containers["created_at"], *events["at"], *host["at"]]
    assert len(times) > 5
    assert all(began <= at <= ended for at in times)
    assert all(str(at.tzinfo) == "UTC" for at in times)
    (skew,) = bundle.load("clock_skew").to_dict("records")
    assert abs(skew["skew_s"]) <= skew["uncertainty_s"] + 1e-6


def late(connection: socket.socket, closing: object) -> None:
    """A health endpoint whose clock is an hour behind."""
    date = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    servers.answer(b'{"status": "healthy"}', f"Date: {date}")(connection, closing)  # type: ignore[arg-type]


def test_a_clock_that_is_wrong_is_named_and_nothing_else_is_lost(settings: Settings, tmp_path: Path) -> None:
    with servers.serving(late) as port, redis_server(tmp_path / "redis") as server:
        http = HttpTarget(f"http://127.0.0.1:{port}/health", configured=True)
        skewed = replace(settings, http=http, redis=server.target())
        bundle = gathered(skewed, "host", "http-health", "redis-info")
    skews = {row["source"]: row for row in bundle.load("clock_skew").to_dict("records")}
    assert set(skews) == {"docker", "http", "redis"}
    for source, expected_s in (("docker", 0.0), ("http", -3600.0), ("redis", 0.0)):
        assert abs(skews[source]["skew_s"] - expected_s) <= skews[source]["uncertainty_s"] + 1e-6
    runs = runs_of(bundle)
    assert runs["host"].outcome is Outcome.PARTIAL
    assert "the clock of the health endpoint is 3,6" in runs["host"].reason or "3,599" in runs["host"].reason
    assert "behind irkit's" in runs["host"].reason
    assert "Redis" not in runs["host"].reason
    assert (runs["http-health"].outcome, runs["redis-info"].outcome) == (Outcome.COLLECTED, Outcome.COLLECTED)
    assert set(bundle.load("health")["verdict"]) == {"healthy"}
    assert len(bundle.load("host")) == 1
