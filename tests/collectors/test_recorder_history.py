"""The recording of the window as evidence: what is there, what is not, and that the difference is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from irkit.bundle import open_bundle
from irkit.collect.engine import collect as run_collection
from irkit.collectors.recorder_history import MAX_SOURCE_BYTES, collect
from irkit.model import Outcome, Window
from irkit.recorder.history import Missed, Sample, encode
from irkit.recorder.ring import Record, Ring
from irkit.redact import Redactor
from irkit.settings import RecorderSettings, RecordingTarget, Settings
from tests.collectors.materialise import Materialised, materialise

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
STEP = timedelta(seconds=5)
HOUR = Window(AT, AT + timedelta(hours=1))
REDACTOR = Redactor(b"k" * 32)


class Recorded:
    """A ring that is written as the recorder would, at times of the test's choosing."""

    def __init__(self, folder: Path) -> None:
        self.target = RecordingTarget(str(folder))
        self._ring = Ring(folder, max_size_bytes=64 << 20, max_age=timedelta(days=30))

    def event(self, at: datetime, name: str) -> None:
        body = {"event": name, "interval_s": 5.0, "irkit": "0"}
        self._ring.append(Record(at, "recorder", json.dumps(body).encode()))

    def sample(self, at: datetime, source: str, *rows: Mapping[str, object]) -> None:
        found = Sample([{"at": at, **row} for row in rows])
        self._ring.append(Record(at, source, encode(source, found, REDACTOR)))

    def miss(self, at: datetime, source: str, reason: str, *, configured: bool = True) -> None:
        self._ring.append(Record(at, source, encode(source, Missed(reason, configured), REDACTOR)))

    def healthy(self, start: datetime, end: datetime) -> None:
        while start < end:
            self.sample(start, "health", {"verdict": "healthy", "total_s": 0.01})
            start += STEP

    def collected(self, window: Window = HOUR) -> Materialised:
        return materialise(lambda target, _: collect(target, window), self.target)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "recorder")


def test_an_unbroken_hour_comes_back_as_it_was_and_nothing_is_doubted(recorded: Recorded) -> None:
    recorded.event(AT - timedelta(minutes=5), "started")
    at = AT - timedelta(minutes=5)
    while at < HOUR.end + timedelta(minutes=5):
        recorded.sample(at, "health", {"verdict": "healthy", "status_code": 200})
        recorded.sample(at, "containers", {"service": "api", "cpu_percent": 1.5, "oom_killed": False, "started_at": AT})
        recorded.sample(at, "processes", {"service": "api", "pid": 7, "rss_bytes": 1024})
        recorded.sample(at, "redis", {"used_memory_bytes": 5, "ratelimit_keys": 0})
        at += STEP
    made = recorded.collected()
    assert made.raised is None
    assert made.gaps == []
    assert made.tables["history_gaps"] == []
    for kind in ("health_history", "container_history", "process_history", "redis_history"):
        rows = made.tables[kind]
        assert [row["at"] for row in rows] == [AT + n * STEP for n in range(720)]
    assert made.tables["container_history"][0]["started_at"] == AT
    assert made.tables["container_history"][0]["restart_count"] is None
    assert made.tables["redis_history"][5]["ratelimit_keys"] == 0


def test_checks_of_the_database_come_back_with_what_was_not_known(recorded: Recorded) -> None:
    for second, ok, message in ((0, True, None), (10, None, "it was written to"), (20, False, "row 7 is missing")):
        row = {"check": "integrity_check", "ok": ok, "message": message, "duration_s": 0.01, "size_bytes": 4096}
        recorded.sample(AT + timedelta(seconds=second), "database", row)
    made = recorded.collected(Window(AT, AT + timedelta(seconds=30)))
    rows = made.tables["database_history"]
    assert [(row["ok"], row["message"]) for row in rows] == [
        (True, None),
        (None, "it was written to"),
        (False, "row 7 is missing"),
    ]
    assert made.gaps == [], "what the database could not tell is no gap of the other histories"


def test_what_was_missed_is_a_span_with_its_reason(recorded: Recorded) -> None:
    recorded.healthy(AT, AT + timedelta(minutes=20))
    for number in range(3):
        recorded.miss(AT + timedelta(minutes=20) + number * STEP, "health", "it hung")
    recorded.miss(AT + timedelta(minutes=20) + 3 * STEP, "health", "it was gone")
    recorded.healthy(AT + timedelta(minutes=20) + 4 * STEP, AT + timedelta(minutes=30))
    recorded.miss(AT + timedelta(minutes=30), "health", "it was gone")
    recorded.miss(AT + timedelta(minutes=30), "redis", "nothing listens", configured=False)
    recorded.healthy(AT + timedelta(minutes=30) + STEP, HOUR.end)
    made = recorded.collected()
    told = [(row["source"], row["missed"], row["reason"], row["configured"]) for row in made.tables["history_gaps"]]
    assert told == [
        ("health", 3, "it hung", True),
        ("health", 1, "it was gone", True),
        ("health", 1, "it was gone", True),
        ("redis", 1, "nothing listens", False),
    ]
    first = made.tables["history_gaps"][0]
    assert first["ended_at"] - first["started_at"] == 2 * STEP
    assert made.gaps == ["health was missed 5 times of 720, last at 03:30:00 UTC: it was gone"]
    assert "redis_history" not in made.tables


def test_times_without_a_recorder_are_gaps_wherever_they_lie(recorded: Recorded) -> None:
    recorded.event(AT + timedelta(minutes=10), "started")
    recorded.healthy(AT + timedelta(minutes=10), AT + timedelta(minutes=20))
    recorded.healthy(AT + timedelta(minutes=25), AT + timedelta(minutes=30))  # it slept
    recorded.event(AT + timedelta(minutes=30), "stopped")
    recorded.event(AT + timedelta(minutes=30, seconds=20), "started")
    recorded.healthy(AT + timedelta(minutes=30, seconds=20), AT + timedelta(minutes=40))
    made = recorded.collected()
    gaps = [(row["started_at"], row["ended_at"], row["reason"]) for row in made.tables["history_gaps"]]
    off, silent = "the recorder was not running", "nothing was recorded"
    assert gaps == [
        (AT, AT + timedelta(minutes=10), off),
        (AT + timedelta(minutes=20) - STEP, AT + timedelta(minutes=25), silent),
        (AT + timedelta(minutes=30), AT + timedelta(minutes=30, seconds=20), off),
        (AT + timedelta(minutes=40) - STEP, HOUR.end, off),
    ]
    assert made.gaps == ["the recorder kept nothing for 35 min 30 s of 1 h"]


def test_of_a_long_window_every_nth_sample_is_given_and_that_is_said(recorded: Recorded) -> None:
    day = Window(AT, AT + timedelta(days=1))
    containers = [{"service": f"service-{n}", "state": "running", "cpu_percent": 1.25, "pids": n} for n in range(20)]
    at, size_bytes, count = day.start, 0, 0
    body = encode("containers", Sample([{"at": at, **row} for row in containers]), REDACTOR)
    while size_bytes < 2.5 * MAX_SOURCE_BYTES and at < day.end:
        recorded.sample(at, "health", {"verdict": "healthy"})
        recorded.sample(at, "containers", *containers)
        at, size_bytes, count = at + STEP, size_bytes + len(body), count + 1
    made = recorded.collected(Window(day.start, at))
    assert made.gaps == ["of containers, one sample in 3 is given"]
    assert len(made.tables["health_history"]) == count
    times = sorted({row["at"] for row in made.tables["container_history"]})
    assert {later - earlier for earlier, later in pairwise(times)} == {3 * STEP}
    assert len(made.tables["container_history"]) == 20 * len(times)


def test_of_what_an_earlier_incident_cut_off_memory_is_given_apart(recorded: Recorded) -> None:
    at = AT - timedelta(minutes=30)
    while at < AT + timedelta(minutes=1):
        recorded.sample(at, "health", {"verdict": "healthy"})
        recorded.sample(at, "containers", {"service": "api", "memory_usage_bytes": 5})
        recorded.sample(at, "processes", {"service": "api", "rss_bytes": 5})
        recorded.sample(at, "redis", {"used_memory_bytes": 5})
        recorded.sample(at, "database", {"check": "integrity_check", "ok": True})
        at += STEP
    minute = Window(AT, AT + timedelta(minutes=1))
    whole = recorded.collected(minute)
    cut = recorded.collected(Window(minute.start, minute.end, AT - timedelta(minutes=20)))
    before = {f"{kind}_history_before" for kind in ("container", "process", "redis")}
    assert set(cut.tables) - set(whole.tables) == before
    assert {kind: cut.tables[kind] for kind in whole.tables} == whole.tables, "all else keeps to the window"
    for kind in before:
        assert [row["at"] for row in cut.tables[kind]] == [AT + n * STEP for n in range(-240, 0)]


def test_damage_is_told_and_the_rest_is_given(recorded: Recorded, tmp_path: Path) -> None:
    recorded.healthy(AT, HOUR.end)
    path = next((tmp_path / "recorder").glob("*.ring"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    made = recorded.collected()
    assert len(made.tables["health_history"]) == 719
    assert made.gaps == [f"a damaged line of {path.name} was left out"]


def test_where_no_recorder_ran_the_hint_says_how(tmp_path: Path) -> None:
    made = materialise(collect, RecordingTarget(str(tmp_path / "none")))
    assert str(made.raised) == "no flight recorder has run here"
    assert "irkit record" in made.raised.hint  # type: ignore[union-attr]
    Recorded(tmp_path / "empty")
    made = materialise(collect, RecordingTarget(str(tmp_path / "empty")))
    assert "kept nothing yet" in str(made.raised)


def test_a_recording_of_another_time_is_no_evidence_of_this_one(recorded: Recorded) -> None:
    recorded.healthy(AT, AT + timedelta(minutes=1))
    made = recorded.collected(Window(AT + timedelta(days=1), AT + timedelta(days=2)))
    assert "it has 2026-11-24 03:00:00 UTC to 2026-11-24 03:00:55 UTC" in str(made.raised)
    assert made.tables == {}


def test_the_window_is_sealed_into_a_bundle_and_without_a_recorder_it_is_absent(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    absent = run_collection(settings, 42, HOUR, bundle_id="one", now=AT, only=["recorder-history"])
    run = next(item for item in absent.runs if item.collector == "recorder-history")
    assert (run.outcome, run.reason) == (Outcome.ABSENT, "no flight recorder has run here")
    assert "irkit record" in run.hint
    recorded = Recorded(Path(settings.recording.path))
    recorded.healthy(AT, HOUR.end)
    recorded.miss(HOUR.end - STEP, "redis", "it hung")
    bundle = run_collection(settings, 42, HOUR, bundle_id="two", now=AT, only=["recorder-history"])
    again = open_bundle(bundle.path)
    run = next(item for item in again.runs if item.collector == "recorder-history")
    assert (run.outcome, run.reason) == (
        Outcome.PARTIAL,
        "redis was missed 1 times of 1, last at 03:59:55 UTC: it hung",
    )
    history = again.load("health_history")
    assert len(history) == 720
    assert history["at"].is_monotonic_increasing
    assert list(again.load("history_gaps")["reason"]) == ["it hung"]


def test_what_was_before_a_cut_window_is_sealed_with_it_and_the_window_stays_cut(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    recorded = Recorded(Path(settings.recording.path))
    for number in range(-12, 12):
        recorded.sample(AT + number * STEP, "containers", {"service": "api", "memory_usage_bytes": 5})
    cut = Window(AT, HOUR.end, AT - timedelta(minutes=1))
    bundle = run_collection(settings, 42, cut, bundle_id="one", now=AT, only=["recorder-history"])
    again = open_bundle(bundle.path)
    assert (again.window, again.window.usual_start) == (HOUR, None)
    assert list(again.load("container_history_before")["at"]) == [AT + n * STEP for n in range(-12, 0)]
    assert list(again.load("container_history")["at"]) == [AT + n * STEP for n in range(12)]


def test_a_place_of_its_own_is_where_the_recording_is_looked_for(tmp_path: Path) -> None:
    assert Settings(tmp_path).recording.path == str(tmp_path / "recorder")
    elsewhere = Settings(tmp_path, recorder=RecorderSettings(path="/data/ring", configured=True))
    assert (elsewhere.recording.path, elsewhere.recording.configured) == ("/data/ring", True)
