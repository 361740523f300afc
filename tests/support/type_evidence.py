"""Evidence as an incident of each type leaves it, sealed as a bundle: for tests of what looks closer at a type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from irkit.bundle import Bundle, seal_bundle
from irkit.bundle.manifest import Manifest
from irkit.model import CollectorRun, Evidence, Outcome, Window
from tests.symptoms.evidence import TABLES

Row = dict[str, Any]
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
BEGAN = START + timedelta(minutes=5)
COLLECTED = START + timedelta(minutes=10)
SOURCES: Mapping[str, tuple[str, ...]] = {
    "http-health": ("health", "providers"),
    "recorder-history": ("health_history", "container_history", "container_history_before", "database_history"),
    "compose-services": ("containers",),
    "container-events": ("container_events",),
    "container-stats": ("container_stats",),
    "redis-ratelimits": ("rate_limits",),
    "sqlite-statistics": ("database", "database_statistics"),
    "container-logs": ("logs",),
    "sqlite-integrity": ("database_integrity",),
}
_STATISTICS = {"table": pa.string(), "index": pa.string(), "stat": pa.string(), "estimated_rows": pa.int64()}
SCHEMAS = {**TABLES, "health_history": TABLES["health"], "database_statistics": _STATISTICS}
TABLE = {"type": "table", "name": "messages", "table": "messages", "sql": "CREATE TABLE messages (id)"}
INDEX = {"type": "index", "name": "messages_conversation", "table": "messages", "sql": "CREATE INDEX …"}
OTHER = {"type": "table", "name": "conversations", "table": "conversations", "sql": "CREATE TABLE conversations (id)"}


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def line(second: float, text: str, service: str = "jarvis-api", stream: str = "stdout") -> Row:
    return {"at": at(second), "service": service, "name": f"jarvis_{service}_1", "stream": stream, "line": text}


def request(second: float, path: str, status: int, took_s: float, service: str = "jarvis-api") -> Row:
    method = "GET" if "dashboard" in path or "health" in path else "POST"
    stamp = f"{at(second):%Y-%m-%dT%H:%M:%S}.000Z"
    text = f"{stamp} INFO {service} request method={method} path={path} status={status} duration_ms={took_s * 1000:.1f}"
    return line(second, text, service)


def container(service: str, ports: str = "") -> Row:
    made: Row = {"service": service, "name": f"jarvis_{service}_1", "container_id": "9f2c", "image": "jarvis:1"}
    made |= {"state": "running", "health": "none", "restart_count": 0, "oom_killed": False, "ports": ports}
    return made | {"started_at": START - timedelta(hours=1), "created_at": START - timedelta(hours=1)}


def probe(second: float, total_s: float, verdict: str = "healthy", status: int | None = 200) -> Row:
    made: Row = {"at": at(second), "url": "http://localhost:8000/api/health", "verdict": verdict}
    made |= {"status_code": status, "name_lookup_s": 0.0001, "connect_s": 0.0004, "size_bytes": 250}
    return made | {"first_byte_s": total_s - 0.0002 if status else None, "total_s": total_s}


def healthy() -> dict[str, Any]:
    """Ten minutes in which nothing is wrong: a chat each second, a dashboard each third."""
    logs = [request(second, "/api/chat", 200, 0.04 + second % 7 / 200) for second in range(600)]
    logs += [request(second + 0.4, "/api/dashboard?page=1", 200, 0.01) for second in range(0, 600, 3)]
    for name in ("provider-alpha", "provider-beta"):
        logs += [request(second + 0.1, "/v1/complete", 200, 0.02, name) for second in range(0, 600, 2)]
    return {
        "logs": sorted(logs, key=lambda row: row["at"]),
        "containers": [container("jarvis-api", "8000->8000/tcp"), *map(container, ("provider-alpha", "provider-beta"))],
        "health": [probe(600 + index, 0.01) for index in range(3)],
        "health_history": [probe(second, 0.01) for second in range(0, 600, 5)],
        "providers": [
            {"name": name, "healthy": True, "status": "up", "detail": '{"latency_ms": 3.1}'}
            for name in ("provider-alpha", "provider-beta")
        ],
        "rate_limits": [_key("provider-alpha", 12), _key("provider-beta", 7)],
        "database": {
            "path": "data/jarvis.db", "exists": True, "size_bytes": 339_968, "wal_size_bytes": 41_232,
            "page_size": 4096, "page_count": 86, "freelist_count": 0, "journal_mode": "wal", "encoding": "UTF-8",
            "schema": [TABLE, INDEX, OTHER], "error": None,
        },
        "database_statistics": [
            {"table": "messages", "index": "messages_conversation", "stat": "2000 10 10", "estimated_rows": 2000},
            {"table": "conversations", "index": None, "stat": "200", "estimated_rows": 200},
        ],
        "database_integrity": [
            {"check": check, "ok": True, "message": "ok", "table": None}
            for check in ("wal", "quick_check", "integrity_check", "foreign_key_check")
        ],
    }  # fmt: skip


def slow() -> dict[str, Any]:
    """From the fifth minute on the dashboard takes three seconds: its table has no index any more."""
    made = healthy()
    logs = [row for row in made["logs"] if "dashboard" not in row["line"]]
    logs += [request(second + 0.4, "/api/dashboard?page=1", 200, 0.01) for second in range(0, 300, 3)]
    logs += [request(second + 3.1, "/api/dashboard?page=1", 200, 2.7 + second % 4 / 5) for second in range(300, 596, 3)]
    statistics = [{"table": "messages", "index": None, "stat": "48000", "estimated_rows": 48_000}]
    return made | {
        "logs": sorted(logs, key=lambda row: row["at"]),
        "health": [probe(600 + index, 2.2) for index in range(3)],
        "health_history": [probe(second, 0.01 if second < 300 else 2.2) for second in range(0, 600, 5)],
        "database": made["database"] | {"schema": [TABLE, OTHER], "wal_size_bytes": 60_000_000},
        "database_statistics": statistics,
    }


def limited() -> dict[str, Any]:
    """From the fifth minute on provider-alpha refuses with 429, and its limit in Redis is used up."""
    made = healthy()
    logs = [row for row in made["logs"] if row["service"] == "provider-beta" or row["at"] < BEGAN]
    for second in range(300, 600):
        logs.append(request(second, "/api/chat", 429 if second % 3 else 200, 0.01))
        if second % 3:
            stamp = f"{at(second):%Y-%m-%dT%H:%M:%S}.000Z"
            told = f"rate limit exceeded provider=provider-alpha used={601 + second - 300} limit=600"
            logs += [
                line(second, f"{stamp} WARNING jarvis-api {told}"),
                line(second, f"{stamp} ERROR jarvis-api {told}"),
            ]
            logs.append(request(second + 0.1, "/v1/complete", 429, 0.001, "provider-alpha"))
    states = [("provider-alpha", False, "rate_limited"), ("provider-beta", True, "up")]
    return made | {
        "logs": sorted(logs, key=lambda row: row["at"]),
        "providers": [{"name": n, "healthy": h, "status": s, "detail": '{"latency_ms": 3.1}'} for n, h, s in states],
        "rate_limits": [_key("provider-alpha", 900), _key("provider-beta", 7)],
    }


def damaged() -> dict[str, Any]:
    """From the fifth minute on reads of one table fail, and SQLite's checks say which."""
    made = healthy()
    malformed = "sqlite3.DatabaseError: database disk image is malformed"
    logs = [row for row in made["logs"] if row["at"] < BEGAN or row["service"] != "jarvis-api"]
    for second in range(300, 600, 2):
        stamp = f"{at(second):%Y-%m-%dT%H:%M:%S}.000Z"
        logs.append(line(second, f"{stamp} ERROR jarvis-api request failed: {malformed}", stream="stderr"))
        logs.append(request(second, "/api/chat", 500, 0.02))
    broken = [
        {"check": "quick_check", "ok": False, "message": f"Tree 3 page {page}: btreeInitPage() returns error code 11",
         "table": "messages"}
        for page in range(4, 30)
    ]  # fmt: skip
    passed = [{"check": "foreign_key_check", "ok": True, "message": "ok", "table": None}]
    full = [row | {"check": "integrity_check"} for row in broken]
    wal = [{"check": "wal", "ok": False, "message": "jarvis.db-wal: the checksum of frame 7 is wrong", "table": None}]
    return made | {
        "logs": sorted(logs, key=lambda row: row["at"]),
        "database_integrity": [*wal, *broken, *full, *passed],
    }


def leaking() -> dict[str, Any]:
    """Memory that rises by the recorder, and two snapshots of the heap that name the owner."""
    made = healthy()
    shared = {"service": "jarvis-api", "name": "jarvis_jarvis-api_1", "memory_limit_bytes": 256 * 2**20}
    return made | {
        "container_history": [
            {"at": at(second), "memory_usage_bytes": int((60 + 0.2 * second) * 2**20), "cpu_percent": 5.0, **shared}
            for second in range(0, 600, 5)
        ],
        "heap": {"processes": [heap_findings()]},
    }


def heap_findings(owner: str = "app.sessions.CACHE", snapshots: int = 2) -> Row:
    """What snapshots of a process say, as `irkit.memory.heap_findings` tells it."""
    path = [
        {"name": "app.sessions", "type": "module", "retained_bytes": 42 << 20, "times": 1},
        {"name": owner, "type": "dict", "retained_bytes": 40 << 20, "times": 1},
    ]
    sentence = f"`{owner}` (dict) keeps 10 000 `app.Session` alive, 40 MiB, 80 % of the heap, +4.0 MiB a minute"
    suspect = {"sentence": sentence, "owner": owner, "type": "dict", "kept_type": "app.Session", "kept": 10_000}
    suspect |= {"retained_bytes": 40 << 20, "share": 0.8, "growth_bytes": 20 << 20, "growth_a_minute": 4 << 20}
    taken = [{"taken_at": at(300 * number).isoformat(), "file": f"{number}.irkheap", "sha256": "ab" * 32,
              "objects": 50_000, "size_bytes": 50 << 20, "rss_bytes": 70 << 20, "pause_ns": 2_000_000}
             for number in range(3 - snapshots, 3)]  # fmt: skip
    inner = {"name": owner, "objects": 1, "size_bytes": 40 << 20, "children": [
        {"name": "app.Session", "objects": 10_000, "size_bytes": 38 << 20, "children": []}]}  # fmt: skip
    module = {"name": "app.sessions", "objects": 1, "size_bytes": 42 << 20, "children": [inner]}
    grown = {"owner": owner, "type": "dict", "before_bytes": 20 << 20, "after_bytes": 40 << 20}
    return {
        "process": {"pid": 7, "program": "api.py", "python": "3.11.7", "walker": "native"},
        "snapshots": taken,
        "explained": 50 / 70,
        "suspects": [suspect | {"path": path}],
        "owners": [
            {"owner": "app.sessions", "type": "dict", "objects": 1, "retained_bytes": 42 << 20},
            {"owner": owner, "type": "dict", "objects": 1, "retained_bytes": 40 << 20},
        ],
        "types": [{"type": "app.Session", "objects": 10_000, "size_bytes": 1 << 20}],
        "tree": {"name": "the heap", "objects": 50_000, "size_bytes": 50 << 20, "children": [module]},
        "growth": [grown | {"growth_bytes": 20 << 20}] if snapshots > 1 else [],
        "type_growth": [{"type": "app.Session", "objects": 5000, "size_bytes": 1 << 19}] if snapshots > 1 else [],
        "collections": [
            {"generation": 0, "collections": 812, "collected": 20, "uncollectable": 0, "watched": 812,
             "total_ns": 9_000_000, "longest_ns": 400_000}
        ],
        "stacks": [],
    }  # fmt: skip


TYPES = {"high-latency": slow, "provider-failures": limited, "database-corruption": damaged, "memory-leak": leaking}


def sealed(
    folder: Path, evidence: Mapping[str, Any], incident_id: int = 42, *, collected: datetime = COLLECTED
) -> Bundle:
    """Seal evidence by kind under `folder`, `collected` at a time; the sources of kinds that are not in it failed."""
    staging = folder / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    pieces, runs = [], []
    by_kind = {"heap": "heap-snapshots", "container_health": "container-health"}
    filed = {collector: (kind,) for kind, collector in by_kind.items() if kind in evidence}
    for collector, kinds in {**SOURCES, **filed}.items():
        given = [kind for kind in kinds if kind in evidence]
        pieces += [_piece(staging, collector, kind, evidence[kind]) for kind in given]
        outcome = Outcome.COLLECTED if given else Outcome.FAILED
        reason, hint = ("", "") if given else ("nothing answered", "see whether it runs")
        ids = tuple(f"{collector}/{kind}" for kind in given)
        runs.append(
            CollectorRun(collector, outcome, reason, hint, "here", f"see {collector}", kinds, ids, collected, 0.1, 9)
        )
    manifest = Manifest(
        1,
        "0.1.0",
        f"{collected:%Y%m%dT%H%M%SZ}-0001",
        incident_id,
        Window(START, collected),
        collected,
        tuple(runs),
        tuple(pieces),
    )
    return seal_bundle(staging, manifest, folder / "bundles" / f"INC-{incident_id}" / manifest.bundle_id)


def _key(provider: str, used: int) -> Row:
    made: Row = {"key": f"ratelimit:provider:{provider}", "provider": provider, "type": "string", "value": str(used)}
    return made | {"ttl_s": 42.0, "length": len(str(used)), "reset_at": COLLECTED + timedelta(seconds=42)}


def _piece(staging: Path, collector: str, kind: str, value: Any) -> Evidence:  # noqa: ANN401 (rows or a document)
    document = kind not in SCHEMAS
    path = staging / f"{kind}.{'json' if document else 'parquet'}"
    if document:
        path.write_text(json.dumps(value), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(value, schema=pa.schema(list(SCHEMAS[kind].items()))), path)
    body = path.read_bytes()
    form, rows = ("document", None) if document else ("table", len(value))
    digest = hashlib.sha256(body).hexdigest()
    return Evidence(
        f"{collector}/{kind}",
        collector,
        kind,
        form,
        path.name,
        digest,
        len(body),
        rows,
        "here",
        f"see {kind}",
        COLLECTED,
    )
