"""The flight recorder against real sources, whole and hanging: what it keeps, what it says it missed, how it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from irkit.collect.contract import Refused
from irkit.collect.engine import collect
from irkit.diagnose.run import diagnose
from irkit.errors import InputError
from irkit.model import EventKind, Status, Window, utc_now
from irkit.recorder.history import Missed, Sample, decode
from irkit.recorder.ring import Record, Ring, read
from irkit.recorder.run import DATABASE_PACE, Pace, Recording, Source, check, sources
from irkit.redact import Redactor
from irkit.registry import load_plugins
from irkit.runbook import load as load_runbook
from irkit.settings import (
    DockerTarget,
    HttpTarget,
    RecorderSettings,
    RedisTarget,
    Secret,
    Settings,
    SqliteTarget,
    load,
)
from irkit.store import open_store
from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import SLEEP, Lab
from tests.stack.engine import Images, wait_until
from tests.stack.stack import Stack, compose_command
from tests.support import sqlite_files as files
from tests.support.http_servers import Behaviour, answer, drip, free_port, hang, serving
from tests.support.redis_servers import redis_server

IRKIT = Path(sys.executable).parent / "irkit"
HEALTHY = answer(b'{"status": "healthy"}')
# put together here, so that no scanner takes this file for a leak
SECRET = "ghp_" + "a1B2" * 9


def records(folder: Path, source: str = "") -> list[Record]:
    now = datetime.now(UTC)
    around = Window(now - timedelta(days=1), now + timedelta(days=1))
    return list(read(folder, around, [], source=source)) if folder.is_dir() else []


def kept(folder: Path, source: str) -> list[Sample | Missed]:
    return [decode(source, each.body) for each in records(folder, source)]


def samples(folder: Path, source: str) -> list[list[dict[str, Any]]]:
    """The rows of each sample of a source, those with none left out."""
    return [[dict(row) for row in each.rows] for each in kept(folder, source) if isinstance(each, Sample) and each.rows]


def misses(folder: Path, source: str) -> list[str]:
    return [each.reason for each in kept(folder, source) if isinstance(each, Missed)]


@contextmanager
def recording(found: tuple[Source, ...], folder: Path, interval_s: float = 0.1) -> Iterator[list[str]]:
    """A recording on a thread for the block; yields what it complained of."""
    said: list[str] = []
    with Ring(folder, max_size_bytes=8 << 20, max_age=timedelta(days=1)) as ring:
        running = Recording(found, ring, Redactor(b"k" * 32), interval_s, clock=utc_now, complain=said.append)
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            yield said
        finally:
            running.stop()
            thread.join()


@contextmanager
def irkit_record(folder: Path, *, ends_with: int | None = 0) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, ended by SIGTERM unless the block ended it."""
    process = subprocess.Popen(
        [IRKIT, "record"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        assert ends_with is None or process.returncode == ends_with, said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.communicate()


def configure(folder: Path, **sections: dict[str, object]) -> Path:
    """Write an irkit.toml, other people's sources out of reach; return where the ring will be."""
    told = {
        "docker": {"host": f"unix://{folder}/no-docker.sock"},
        "redis": {"url": f"redis://127.0.0.1:{free_port()}/0", "ratelimit_pattern": "ratelimit:*"},
        "recorder": {"interval_s": 0.2},
        **sections,
    }
    lines = []
    for name, table in told.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    (folder / "irkit.toml").write_text("\n".join(lines))
    return folder / ".irkit" / "recorder"


def count(folder: Path, source: str, more_than: int) -> Callable[[], bool]:
    return lambda: len(samples(folder, source)) > more_than


def test_it_keeps_all_sources_without_their_secrets_and_ends_when_told(lab: Lab, tmp_path: Path) -> None:
    lab.run("api", SLEEP, init=True, mem_limit=64 << 20)
    ended = lab.finish("job", ["sh", "-c", "exit 3"])
    assert ended.name
    body = json.dumps({"status": f"up, token={SECRET}"}).encode()
    with redis_server(tmp_path / "redis") as redis, serving(answer(body)) as port:
        redis.client.mset({"ratelimit:provider:alpha": 1, "ratelimit:provider:beta": 1, "other": 1})
        ring = configure(
            tmp_path,
            docker={"project": lab.project},
            http={"health_url": f"http://127.0.0.1:{port}/health"},
            redis={"url": f"redis://127.0.0.1:{redis.port}/0", "ratelimit_pattern": "ratelimit:*"},
        )
        with irkit_record(tmp_path):
            for source in ("containers", "processes", "redis", "health"):
                wait_until(count(ring, source, 2), f"three samples of {source}")
    api, job = sorted(samples(ring, "containers")[-1], key=lambda row: str(row["service"]))
    assert (api["service"], api["state"], api["restart_count"], api["oom_killed"]) == ("api", "running", 0, False)
    assert (api["memory_limit_bytes"], api["pids"], api["exit_code"]) == (64 << 20, 2, None)
    assert 0 < api["memory_usage_bytes"] < 64 << 20
    assert 0 <= api["cpu_percent"] < 100
    assert (job["state"], job["exit_code"], job["memory_usage_bytes"]) == ("exited", 3, None)
    names = {row["command"] for row in samples(ring, "processes")[-1]}
    assert names == {"docker-init", "python3"}
    python = next(row for row in samples(ring, "processes")[-1] if row["command"] == "python3")
    assert python["rss_bytes"] > 1 << 20
    assert (python["threads"], python["open_files"]) == (1, 3)
    [figures] = samples(ring, "redis")[-1]
    assert (figures["keys"], figures["ratelimit_keys"], figures["role"]) == (3, 2, "master")
    assert figures["used_memory_bytes"] > 0
    [probe] = samples(ring, "health")[-1]
    assert (probe["verdict"], probe["status_code"]) == ("healthy", 200)
    assert "[redacted:" in probe["reported_status"]
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in ring.iterdir())
    events = [json.loads(each.body)["event"] for each in records(ring, "recorder")]
    assert events == ["started", "stopped"]


def test_busy_containers_show_what_they_use(lab: Lab, tmp_path: Path) -> None:
    lab.run("busy", ["python3", "-c", "while True: pass"])
    ring = tmp_path / "ring"

    def shows() -> bool:
        return any((row["cpu_percent"] or 0) > 10 for rows in samples(ring, "containers") for row in rows)

    with recording(sources(Settings(tmp_path, docker=lab.target)), ring):
        wait_until(shows, "a busy loop shows")


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_health_endpoint_that_never_ends_its_answer_stops_nothing_else(tmp_path: Path, behave: Behaviour) -> None:
    with redis_server(tmp_path / "redis") as redis, serving(behave) as port:
        http = HttpTarget(f"http://127.0.0.1:{port}/", timeout_s=0.5, configured=True)
        settings = Settings(tmp_path, http=http, redis=redis.target(), docker=nowhere(tmp_path))
        with recording(sources(settings), tmp_path / "ring"):
            wait_until(count(tmp_path / "ring", "health", 1), "two probes")
            wait_until(count(tmp_path / "ring", "redis", len(samples(tmp_path / "ring", "redis")) + 3), "Redis goes on")
    assert {row["verdict"] for rows in samples(tmp_path / "ring", "health") for row in rows} == {"timed_out"}
    assert misses(tmp_path / "ring", "redis") == []


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_redis_that_never_ends_its_answer_is_missed_and_stops_nothing_else(tmp_path: Path, behave: Behaviour) -> None:
    def bulk(connection: Any, closing: threading.Event) -> None:  # noqa: ANN401
        connection.recv(100)
        if behave is hang:
            closing.wait()
        connection.sendall(b"$100000\r\n")
        while not closing.wait(0.02):
            connection.sendall(b"x")

    ring = tmp_path / "ring"
    with serving(bulk) as dead, serving(HEALTHY) as port:
        http = HttpTarget(f"http://127.0.0.1:{port}/", configured=True)
        redis = RedisTarget(Secret(f"redis://127.0.0.1:{dead}/0"), timeout_s=0.3, configured=True)
        with recording(sources(Settings(tmp_path, http=http, redis=redis, docker=nowhere(tmp_path))), ring):
            wait_until(lambda: len(misses(ring, "redis")) > 1, "Redis is missed twice")
            wait_until(count(ring, "health", len(samples(ring, "health")) + 3), "probes go on")
    sentence = f"Redis at redis://127.0.0.1:{dead}/0 gave no whole answer within 0.3 s"
    assert set(misses(ring, "redis")) == {sentence}


def test_an_engine_that_hangs_is_missed_while_processes_are_still_seen(
    lab: Lab, faulty: FaultyEngine, tmp_path: Path
) -> None:
    lab.run("api", SLEEP)
    ring = tmp_path / "ring"
    with serving(HEALTHY) as port:
        http = HttpTarget(f"http://127.0.0.1:{port}/", configured=True)
        with recording(sources(Settings(tmp_path, http=http, docker=faulty.target(lab))), ring) as said:
            wait_until(count(ring, "processes", 0), "the container is known")
            faulty.hang("/containers/json")
            wait_until(lambda: bool(misses(ring, "containers")), "the Engine is missed")
            for source in ("processes", "health"):
                wait_until(count(ring, source, len(samples(ring, source)) + 3), f"{source} go on")
    assert "gave no whole answer within" in misses(ring, "containers")[0]
    assert any("containers is missed" in line for line in said)
    assert {row["service"] for row in samples(ring, "processes")[-1]} == {"api"}


def test_one_container_that_hangs_the_engine_hides_no_other(lab: Lab, faulty: FaultyEngine, tmp_path: Path) -> None:
    stuck, _ = lab.run("stuck", SLEEP), lab.run("well", SLEEP)
    faulty.hang(f"/containers/{stuck.id}/json")
    ring = tmp_path / "ring"
    with recording(sources(Settings(tmp_path, docker=faulty.target(lab))), ring):
        wait_until(count(ring, "containers", 0), "a sample of the containers")
    sample = next(each for each in kept(ring, "containers") if isinstance(each, Sample))
    by_service = {row["service"]: row for row in sample.rows}
    assert by_service["well"]["restart_count"] == 0
    assert (by_service["stuck"]["state"], by_service["stuck"]["restart_count"]) == ("running", None)
    assert "gave no whole answer within" in sample.gaps[0]


def test_a_look_that_ends_in_nothing_at_all_is_missed_again_and_again(tmp_path: Path) -> None:
    release = threading.Event()

    def stuck() -> Sample:
        release.wait()
        return Sample(({"at": utc_now(), "verdict": "healthy"},))

    def broken() -> Sample:
        msg = f"no such key in https://user:{SECRET}@example.test/"
        raise KeyError(msg)

    def refused() -> Sample:
        msg = "it will not tell"
        raise Refused(msg)

    found = (
        Source("health", "a stuck one", stuck, 0.1, configured=True),
        Source("redis", "a broken one", broken, 0.1, configured=True),
        Source("containers", "a refusing one", refused, 0.1, configured=False),
    )
    ring = tmp_path / "ring"
    with recording(found, ring):
        wait_until(lambda: len(misses(ring, "health")) > 1, "the stuck one is missed twice", 20)
        wait_until(lambda: len(misses(ring, "redis")) > 5, "the broken one is asked on")
        release.set()
        wait_until(count(ring, "health", 0), "the stuck one is seen again")
    assert all("the look has not ended" in reason for reason in misses(ring, "health"))
    assert all(reason.startswith("KeyError") and SECRET not in reason for reason in misses(ring, "redis"))
    assert set(misses(ring, "containers")) == {"it will not tell"}


def test_what_was_only_assumed_and_is_not_there_is_told_apart(tmp_path: Path) -> None:
    redis = RedisTarget(Secret(f"redis://127.0.0.1:{free_port()}/0"))
    with recording(sources(Settings(tmp_path, docker=nowhere(tmp_path), redis=redis)), tmp_path / "ring"):
        wait_until(lambda: bool(misses(tmp_path / "ring", "redis")), "a miss")
    missed = kept(tmp_path / "ring", "redis")[0]
    assert isinstance(missed, Missed)
    assert not missed.configured


def test_a_second_recorder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    ring = configure(tmp_path)
    with irkit_record(tmp_path):
        wait_until(lambda: bool(records(ring)), "the first one records")
        second = subprocess.run([IRKIT, "record"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert second.returncode == 4
    assert "another recorder writes to" in second.stderr
    assert "Traceback" not in second.stderr


def killed_recorders(folder: Path, kills: int, seed: int) -> None:
    """Kill a recorder at a random number of records, again and again; nothing that was there is lost."""
    choose = random.Random(seed)  # noqa: S311 (places of a test)
    with serving(HEALTHY) as port:
        ring = configure(folder, http={"health_url": f"http://127.0.0.1:{port}/"}, recorder={"interval_s": 0.1})
        before: list[Record] = []
        for _ in range(kills):
            wanted = len(before) + choose.randint(1, 15)
            with irkit_record(folder, ends_with=-signal.SIGKILL) as process:
                wait_until(lambda wanted=wanted: len(records(ring)) >= wanted, "more records")  # type: ignore[misc]
                process.kill()
            damage: list[str] = []
            now = datetime.now(UTC)
            after = list(read(ring, Window(now - timedelta(days=1), now), damage))
            assert damage == []
            assert after[: len(before)] == before
            assert [each.at for each in after] == sorted(each.at for each in after)
            before = after


def test_a_killed_recorder_leaves_a_ring_that_opens(tmp_path: Path) -> None:
    killed_recorders(tmp_path, 4, seed=3)


@pytest.mark.soak
def test_a_recorder_killed_in_two_hundred_places_leaves_a_ring_that_opens(tmp_path: Path) -> None:
    killed_recorders(tmp_path, 200, seed=4)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (RecorderSettings(interval_s=0.001), "interval_s is 0.001"),
        (RecorderSettings(max_size_bytes=1000), "too few to keep anything"),
        (RecorderSettings(auto_open=True), "auto_open needs to know the health endpoint"),
        (RecorderSettings(auto_open=True, auto_open_type="nonesuch"), "nonesuch"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, told: RecorderSettings, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check(replace(Settings(tmp_path), recorder=told))
    check(Settings(tmp_path, http=HttpTarget("http://x/", configured=True), recorder=RecorderSettings(auto_open=True)))
    unread = RecorderSettings(auto_open=True, auto_open_type="checkout-stuck")
    http = HttpTarget("http://x/", configured=True)
    check(Settings(tmp_path, runbook=tmp_path / "gone.md", http=http, recorder=unread))


def test_an_outage_opens_one_incident_however_often_the_recorder_dies(tmp_path: Path) -> None:
    down = threading.Event()
    down.set()
    broken = answer(b'{"status": "down"}', status="503 Service Unavailable")

    def behave(connection: Any, closing: threading.Event) -> None:  # noqa: ANN401
        (broken if down.is_set() else HEALTHY)(connection, closing)

    def bundles(number: int) -> list[Path]:
        return list((tmp_path / ".irkit" / "bundles" / f"INC-{number}").glob("[!.]*/manifest.json"))

    with serving(behave) as port:
        ring = configure(
            tmp_path,
            http={"health_url": f"http://127.0.0.1:{port}/", "probes": 1},
            recorder={"interval_s": 0.2, "auto_open": True, "auto_open_after": 2},
        )
        store = open_store(Settings(tmp_path / ".irkit"), create=True)
        with irkit_record(tmp_path, ends_with=-signal.SIGKILL) as process:
            wait_until(lambda: len(bundles(1)) == 1, "the incident has its evidence", 60)
            process.kill()
        with irkit_record(tmp_path):
            wait_until(count(ring, "health", len(samples(ring, "health")) + 6), "it fails on")
            assert len(store.incidents()) == 1
            down.clear()
            wait_until(lambda: not (ring / "outage.json").exists(), "it is healthy again")
            down.set()
            wait_until((ring / "outage.json").exists, "the second outage is noticed", 60)
            assert len(store.incidents()) == 1  # nobody has resolved the first
            store.append(1, EventKind.RESOLVED, actor="ana")
            wait_until(count(ring, "health", len(samples(ring, "health")) + 4), "it fails on")
            assert len(store.incidents()) == 1
            down.clear()
            wait_until(lambda: not (ring / "outage.json").exists(), "it is healthy again")
            down.set()
            wait_until(lambda: len(bundles(2)) == 1, "the next outage has its incident", 60)
    second, first = store.incidents()
    assert (first.status, second.status, second.type) == (Status.RESOLVED, Status.OPEN, "api-unresponsive")
    assert first.started_at is not None
    assert first.detected_at is not None
    assert first.started_at < first.detected_at
    assert "answered 503" in first.title
    told = store.timeline(first.id)
    assert {event.actor for event in told if event.kind is not EventKind.RESOLVED} == {"irkit recorder"}
    assert [event.kind for event in told].count(EventKind.EVIDENCE) == 1


def test_a_breakdown_is_in_the_evidence_with_its_before(stack: Stack, tmp_path: Path) -> None:
    settings = replace(load(stack.directory), home=tmp_path)
    ring = Path(settings.recording.path)

    def verdicts() -> list[str]:
        return [str(row["verdict"]) for rows in samples(ring, "health") for row in rows]

    with recording(sources(settings), ring, 0.25):
        wait_until(lambda: verdicts().count("healthy") > 3, "it is healthy")
        with stack.broken("redis-down"):
            wait_until(lambda: len(misses(ring, "redis")) > 3, "Redis is missed")
            wait_until(lambda: verdicts()[-1] != "healthy", "the API says so")
            now = utc_now()
            window = Window(now - timedelta(minutes=1), now)
            bundle = collect(settings, 7, window, bundle_id="one", now=now, only=["recorder-history"])
    kinds = ("health_history", "container_history", "history_gaps")
    health, containers, gaps = (bundle.load(kind) for kind in kinds)
    assert health["verdict"].iloc[0] == "healthy"
    assert health["verdict"].iloc[-1] != "healthy"
    states = containers[containers["service"] == "redis"].sort_values("at")["state"]
    assert (states.iloc[0], states.iloc[-1]) == ("running", "exited")
    lost = gaps[gaps["source"] == "redis"]
    assert lost["missed"].sum() > 3
    assert lost["started_at"].iloc[0] > health["at"].iloc[0]


def checks(ring: Path, name: str) -> list[bool | None]:
    return [row["ok"] for rows in samples(ring, "database") for row in rows if row["check"] == name]


def quickly(settings: Settings) -> tuple[Source, ...]:
    """The sources, the database looked at as often as the others."""
    return tuple(replace(one, pace=None) for one in sources(settings))


def test_rows_that_are_deleted_in_silence_have_a_time(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path, docker=nowhere(tmp_path), sqlite=SqliteTarget(str(tmp_path / "x.db"), configured=True)
    )
    ring = Path(settings.recording.path)
    with files.service(tmp_path / "x.db") as service, recording(quickly(settings), ring):
        wait_until(lambda: checks(ring, "foreign_key_check").count(True) > 1, "it is whole")
        before = utc_now()
        service.execute("DELETE FROM conversations WHERE id = 7")
        after = utc_now()
        wait_until(lambda: checks(ring, "foreign_key_check").count(False) > 1, "orphans are seen")
        now = utc_now()
        window = Window(now - timedelta(minutes=1), now)
        bundle = collect(settings, 7, window, bundle_id="one", now=now, only=["recorder-history", "sqlite-integrity"])
    assert set(checks(ring, "integrity_check")) == set(checks(ring, "wal")) == {True}
    load_plugins("irkit.symptoms", "irkit.symptoms")
    (found,) = (one for one in diagnose(bundle, load_runbook()).findings if one.symptom == "data-inconsistency")
    assert found.verdict.onset is not None
    earliest = found.verdict.numbers["onset_earliest"]
    assert isinstance(earliest, datetime)
    assert earliest <= after
    assert before <= found.verdict.onset
    assert found.verdict.onset - earliest < timedelta(seconds=2)
    assert "foreign_key_check passed at" in found.verdict.sentence


def test_a_database_on_a_disk_that_hangs_stops_nothing_else(tmp_path: Path) -> None:
    """A pipe that nobody writes to: to open it takes for ever, as any look at a file of a dead server does."""
    os.mkfifo(tmp_path / "x.db")
    with serving(HEALTHY) as port:
        http = HttpTarget(f"http://127.0.0.1:{port}/", configured=True)
        settings = Settings(tmp_path, docker=nowhere(tmp_path), http=http)

        def hangs() -> Sample:
            (tmp_path / "x.db").read_bytes()
            return Sample(())

        stuck = Source("database", "x.db", hangs, 0.1, configured=True, pace=DATABASE_PACE)
        ring = tmp_path / "ring"
        with recording((*sources(settings), stuck), ring):
            wait_until(lambda: len(misses(ring, "database")) > 1, "it is missed", 20)
            wait_until(count(ring, "health", len(samples(ring, "health")) + 3), "probes go on")
            (tmp_path / "x.db").write_bytes(b"")
    assert all("the look has not ended" in reason for reason in misses(ring, "database"))


def test_a_dear_look_is_made_the_more_seldom_the_longer_it_takes(tmp_path: Path) -> None:
    assert DATABASE_PACE.wait_s(0.002) == 10
    assert DATABASE_PACE.wait_s(0.1) == 50
    assert DATABASE_PACE.wait_s(60) == 600
    looks: list[float] = []

    def look() -> Sample:
        looks.append(time.monotonic())
        time.sleep(0.05)
        return Sample((), ("it is too large",))

    slow = Source("database", "x.db", look, 1.0, configured=True, pace=Pace(0.2, 10, 5))
    with recording((slow,), tmp_path / "ring", 0.05) as said:
        wait_until(lambda: len(looks) > 2, "three looks")
    # told apart from the 0.05 s of the recording; a clock's tick less is no sooner
    assert min(later - earlier for earlier, later in pairwise(looks)) >= 0.45
    assert [line.partition(" UTC ")[2] for line in said] == ["database: it is too large"]


def nowhere(folder: Path) -> DockerTarget:
    return DockerTarget(host=f"unix://{folder}/no-docker.sock")


@pytest.fixture
def faulty(images: Images, tmp_path: Path) -> Iterator[FaultyEngine]:
    """The real Engine behind a socket that hangs where told."""
    assert images
    with FaultyEngine(tmp_path / "engine.sock") as engine:
        yield engine


def test_it_can_be_kept_running_as_a_unit_or_as_a_service(tmp_path: Path) -> None:
    configure(tmp_path)

    def said(*arguments: str) -> str:
        command = [IRKIT, "record", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    unit = said("--unit")
    assert f"ExecStart={IRKIT} record\n" in unit
    assert f"WorkingDirectory={tmp_path}\n" in unit
    compose = said("--compose")
    socket = f"{tmp_path}/no-docker.sock"  # the one that irkit.toml names
    for words in ("irkit record", f"- {tmp_path}:{tmp_path}", f"- {socket}:{socket}:ro", "pid: host"):
        assert words in compose
    (tmp_path / "docker-compose.yml").write_text(compose)
    checked = [*compose_command(), "config", "--quiet"]
    subprocess.run(checked, cwd=tmp_path, check=True, capture_output=True)  # as old as 1.29, too
    assert not (tmp_path / ".irkit").exists()
    assert os.environ.get("IRKIT_HOME") is None
    configure(tmp_path, docker={})
    usual = {"DOCKER_HOST": f"unix://{tmp_path}/other.sock"}
    command = [IRKIT, "record", "--compose"]
    compose = subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, text=True, env=os.environ | usual
    ).stdout
    assert f"- {tmp_path}/other.sock:/var/run/docker.sock:ro" in compose
