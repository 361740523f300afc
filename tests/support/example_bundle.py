"""A sealed bundle as an API crash leaves it, for tests of what reads bundles: no source is asked."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from irkit.bundle import Bundle, seal_bundle
from irkit.bundle.manifest import Manifest
from irkit.model import CollectorRun, Evidence, Outcome, Window

START = datetime(2026, 11, 23, 2, 45, tzinfo=UTC)
FIRST_500 = datetime(2026, 11, 23, 3, 8, 41, tzinfo=UTC)
CRASH = datetime(2026, 11, 23, 3, 12, 9, tzinfo=UTC)
COLLECTED = datetime(2026, 11, 23, 3, 21, 30, tzinfo=UTC)
TELLING = "CRITICAL:jarvis.main:unhandled exception, exiting: sqlite3.OperationalError: unable to open database file"
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> [click](javascript:alert(3)) {{ 7*7 }} "
    "</style><svg onload=alert(4)> $\\alpha$ =cmd|' /C calc'!A0 \x1b[31mred\x1b[0m \x00nul \u202eevil\u202c"
)

Row = dict[str, object]


def _line(at: datetime, text: str, stream: str = "stdout", service: str = "jarvis-api") -> Row:
    return {"at": at, "service": service, "name": f"jarvis-{service}-1", "stream": stream, "line": text}


def logs() -> list[Row]:
    """Access lines every few seconds; 500s from FIRST_500; silence after the CRASH, but for a hostile line."""
    rows, at, number = [], START, 0
    while at < CRASH:
        failing = at >= FIRST_500
        number += 1
        status = 500 if failing and number % 3 else 200
        path = ("/api/chat", "/api/health", "/api/history?limit=50")[number % 3]
        seconds = 0.041 + (number * 7 % 13) / 400 + (0.9 + number % 5 / 3 if failing else 0)
        rows.append(_line(at, f'INFO:jarvis.access:"GET {path} HTTP/1.1" {status} {seconds:.3f}s'))
        if status == 500:
            rows.append(
                _line(at, "ERROR:jarvis.api:request failed: sqlite3.OperationalError: database is locked", "stderr")
            )
        at += timedelta(seconds=3 + number % 4)
    rows.append(_line(CRASH - timedelta(seconds=1), HOSTILE, "stderr"))
    rows.append(_line(CRASH - timedelta(milliseconds=180), TELLING, "stderr"))
    rows.append(_line(CRASH, "Ready to accept connections", service="redis"))
    return sorted(rows, key=lambda row: row["at"])  # type: ignore[arg-type,return-value]


def containers() -> list[Row]:
    shared: Row = {"health_failing_streak": 0, "oom_killed": False, "restart_count": 0, "restart_policy": "no"}
    shared |= {"created_at": START - timedelta(days=1), "error": "", "tty": False, "log_driver": "json-file"}
    shared |= {"memory_limit_bytes": 536_870_912, "ports": "127.0.0.1:8000->8000/tcp", "project": "jarvis"}
    api = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "container_id": "9f2c1d7a44be", "state": "exited"}
    api |= {"image": "jarvis-api:1.8.2", "image_digest": "sha256:4be1…", "health": "unhealthy", "exit_code": 1}
    api |= {"started_at": START - timedelta(hours=20), "finished_at": CRASH}
    redis = {"service": "redis", "name": "jarvis-redis-1", "container_id": "1c88e0b7d2aa", "state": "running"}
    redis |= {"image": "redis:7.2", "image_digest": "sha256:99d0…", "health": "healthy", "exit_code": None}
    redis |= {"started_at": START - timedelta(hours=20), "finished_at": None}
    return [shared | api, shared | redis]


def container_health() -> list[Row]:
    rows = []
    for step in range(20):
        at = CRASH - timedelta(seconds=30 * (20 - step))
        failing = at >= FIRST_500
        output = "HTTP 500" if failing else "HTTP 200"
        shared = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "exit_code": int(failing), "output": output}
        rows.append(shared | {"started_at": at, "ended_at": at + timedelta(milliseconds=90)})
    return rows


def container_events() -> list[Row]:
    shared = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "signal": None}
    unhealthy = FIRST_500 + timedelta(seconds=92)
    return [
        shared | {"at": unhealthy, "action": "health_status: unhealthy", "exit_code": None},
        shared | {"at": CRASH, "action": "die", "exit_code": 1},
    ]


def health() -> list[Row]:
    row = {
        "url": "http://localhost:8000/api/health",
        "verdict": "refused",
        "status_code": None,
        "reported_status": None,
    }
    row |= {"error": "connection refused", "name_lookup_s": 0.0002, "connect_s": None, "tls_s": None}
    row |= {"first_byte_s": None, "total_s": 0.0004, "size_bytes": 0, "content_type": None}
    return [row | {"at": COLLECTED + timedelta(seconds=step)} for step in range(3)]


TABLES: dict[str, tuple[str, str, list[Row]]] = {
    "containers": ("compose-services", "docker compose ps --all", containers()),
    "container_health": ("compose-services", "docker compose ps --all", container_health()),
    "container_events": ("container-events", "docker events --since 2026-11-23T02:45:00Z", container_events()),
    "logs": ("container-logs", "docker compose logs --timestamps --since 2026-11-23T02:45:00Z", logs()),
    "health": ("http-health", "curl -w @curl-format.txt http://localhost:8000/api/health", health()),
}
GAPS = (
    ("redis-info", Outcome.FAILED, "Redis at redis://localhost:6379/0 asks for a password (NOAUTH)",
     "set [redis] url with the password in irkit.toml", ("redis_info",), "redis-cli INFO"),
    ("sqlite-statistics", Outcome.ABSENT, "there is no file data/jarvis.db", "set [sqlite] path in irkit.toml",
     ("database", "database_statistics"), 'sqlite3 data/jarvis.db "SELECT * FROM sqlite_stat1"'),
    ("container-stats", Outcome.TIMED_OUT, "stopped at its deadline of 10 s", "raise [collect] deadline_s",
     ("container_stats",), "docker stats --no-stream"),
)  # fmt: skip


def example_bundle(
    folder: Path,
    *,
    incident_id: int = 42,
    leave_out: tuple[str, ...] = (),
    instead: Mapping[str, list[Row]] = MappingProxyType({}),
    documents: Mapping[str, object] = MappingProxyType({}),
) -> Bundle:
    """Seal the example under `folder`; the collectors of kinds in `leave_out` failed.

    `instead` gives other rows for some kinds, `documents` more kinds of evidence.
    """
    staging = folder / "staging"
    evidence: list[Evidence] = []
    runs: dict[str, CollectorRun] = {}
    for kind, (collector, command, usual) in TABLES.items():
        rows = instead.get(kind, usual)
        if kind in leave_out:
            runs[collector] = _run(collector, Outcome.FAILED, "cannot connect to the Docker daemon", command, (kind,))
            continue
        path = f"{collector}/{kind}.parquet"
        target = staging / path
        target.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=list(usual[0])).to_parquet(target)
        subject = (
            "http://localhost:8000/api/health" if kind == "health" else "project jarvis on the local Docker Engine"
        )
        body = target.read_bytes()
        evidence.append(
            Evidence(
                f"{collector}/{kind}", collector, kind, "table", path, hashlib.sha256(body).hexdigest(), len(body),
                len(rows), subject, command, COLLECTED, "cut at 64 MB" if kind == "logs" else "",
            )
        )  # fmt: skip
        kinds = (*runs[collector].provides, kind) if collector in runs else (kind,)
        outcome = Outcome.PARTIAL if kind == "logs" else Outcome.COLLECTED
        reason = "the oldest 3 minutes were rotated away" if kind == "logs" else ""
        runs[collector] = _run(collector, outcome, reason, command, kinds, subject, 2 if kind == "logs" else 0)
    for collector, outcome, reason, hint, kinds, command in GAPS:
        runs[collector] = _run(collector, outcome, reason, command, kinds, hint=hint)
    if "health" not in leave_out:
        evidence.append(_document(staging, "http-health", "health_body", {"text": "", "truncated": False}))
    for kind, value in documents.items():
        (staging / "more").mkdir(parents=True, exist_ok=True)
        evidence.append(_document(staging, "more", kind, value))
    manifest = Manifest(
        1, "0.1.0", "20261123T032130Z-7c1e", incident_id, Window(START, COLLECTED), COLLECTED, tuple(runs.values()),
        tuple(evidence),
    )  # fmt: skip
    staging.mkdir(parents=True, exist_ok=True)
    return seal_bundle(staging, manifest, folder / "bundles" / f"INC-{incident_id}" / manifest.bundle_id)


def _document(staging: Path, collector: str, kind: str, value: object) -> Evidence:
    path = f"{collector}/{kind}.json"
    body = json.dumps(value).encode()
    (staging / path).write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    return Evidence(
        f"{collector}/{kind}", collector, kind, "document", path, digest, len(body), None,
        "http://localhost:8000/api/health", "curl http://localhost:8000/api/health", COLLECTED,
    )  # fmt: skip


def _run(
    collector: str,
    outcome: Outcome,
    reason: str,
    command: str,
    kinds: tuple[str, ...],
    subject: str = "project jarvis on the local Docker Engine",
    redactions: int = 0,
    hint: str = "",
) -> CollectorRun:
    had = outcome in (Outcome.COLLECTED, Outcome.PARTIAL)
    evidence = tuple(f"{collector}/{kind}" for kind in kinds) if had else ()
    return CollectorRun(
        collector, outcome, reason, hint, subject, command, kinds, evidence, COLLECTED - timedelta(seconds=2), 0.42,
        48_211 if had else 0, redactions,
    )  # fmt: skip
