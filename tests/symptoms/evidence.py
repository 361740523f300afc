"""Evidence held in memory: what a detector's examples hold, with the columns and types a bundle gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from irkit.collectors import container_cgroups, process
from irkit.diagnose.run import Symptom, registered
from irkit.model import CollectorRun, Evidence, Outcome, Window
from irkit.recorder.history import BEFORE, HISTORIES
from irkit.registry import load_plugins

WINDOW = Window(datetime(2026, 11, 24, 2, 30, tzinfo=UTC), datetime(2026, 11, 24, 3, 30, tzinfo=UTC))

TEXT, INT, FLOAT, BOOL, TIME = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", tz="UTC")
TYPES = {"string": TEXT, "int": INT, "float": FLOAT, "bool": BOOL, "time": TIME}
HISTORY = {kind: {name: TYPES[each] for name, each in columns.items()} for kind, columns in HISTORIES.values()}
TABLES: Mapping[str, Mapping[str, pa.DataType]] = {
    **HISTORY,
    **{before: HISTORY[kind] for kind, before in BEFORE.items()},
    "cgroup": {name: TYPES[each] for name, each in container_cgroups.CGROUP.items()},
    "container_processes": {name: TYPES[each] for name, each in process.PROCESSES.items()},
    "containers": {
        **dict.fromkeys(("service", "name", "container_id", "image", "image_digest", "state", "health"), TEXT),
        **dict.fromkeys(("health_failing_streak", "exit_code", "restart_count", "memory_limit_bytes"), INT),
        **dict.fromkeys(("restart_policy", "error", "log_driver", "ports", "project"), TEXT),
        **dict.fromkeys(("started_at", "finished_at", "created_at"), TIME),
        **dict.fromkeys(("oom_killed", "tty"), BOOL),
    },
    "container_health": {
        **dict.fromkeys(("service", "name", "output"), TEXT),
        **dict.fromkeys(("started_at", "ended_at"), TIME),
        "exit_code": INT,
    },
    "container_events": {
        "at": TIME,
        "exit_code": INT,
        **dict.fromkeys(("service", "name", "action", "signal", "image", "image_id"), TEXT),
    },
    "logs": {"at": TIME, **dict.fromkeys(("service", "name", "stream", "line"), TEXT)},
    "container_stats": {
        "at": TIME,
        **dict.fromkeys(("service", "name"), TEXT),
        **dict.fromkeys(("cpu_percent", "memory_percent"), FLOAT),
        **dict.fromkeys(("memory_usage_bytes", "memory_limit_bytes", "net_rx_bytes", "net_tx_bytes"), INT),
        **dict.fromkeys(("block_read_bytes", "block_write_bytes", "pids"), INT),
    },
    "health": {
        "at": TIME,
        **dict.fromkeys(("url", "verdict", "reported_status", "error", "content_type"), TEXT),
        **dict.fromkeys(("status_code", "size_bytes"), INT),
        **dict.fromkeys(("name_lookup_s", "connect_s", "tls_s", "first_byte_s", "total_s"), FLOAT),
        "configured": BOOL,
    },
    "providers": {**dict.fromkeys(("name", "status", "detail"), TEXT), "healthy": BOOL},
    "rate_limits": {
        **dict.fromkeys(("key", "provider", "type", "value"), TEXT),
        "ttl_s": FLOAT,
        "length": INT,
        "reset_at": TIME,
    },
    "database_integrity": {"ok": BOOL, **dict.fromkeys(("check", "message", "table"), TEXT)},
    "requests": {
        "at": TIME,
        **dict.fromkeys(("service", "method", "path", "line"), TEXT),
        "status_code": INT,
        "duration_s": FLOAT,
    },
    "errors": {"at": TIME, **dict.fromkeys(("service", "level", "logger", "message", "line"), TEXT)},
}
DOCUMENTS = ("database", "health_body", "heap", "redis_info")


class InMemory:
    """An evidence source of rows and documents; `outcome` is how every look at it ended."""

    def __init__(self, evidence: Mapping[str, Any], outcome: Outcome = Outcome.COLLECTED) -> None:
        self.evidence = dict(evidence)
        self.outcome = outcome

    @property
    def window(self) -> Window:
        return WINDOW

    def has(self, kind: str) -> bool:
        return kind in self.evidence

    def load(self, kind: str) -> Any:  # noqa: ANN401 (a table or a document, as the protocol has it)
        value = self.evidence[kind]
        if isinstance(value, pd.DataFrame) or kind in DOCUMENTS:
            return value
        return frame(kind, value)

    def evidence_for(self, kind: str) -> Evidence | None:
        if not self.has(kind):
            return None
        return Evidence(f"example/{kind}", "example", kind, "table", "", "", 0, None, "", "", WINDOW.end)

    def run_for(self, kind: str) -> CollectorRun | None:
        if not self.evidence:
            return None
        return CollectorRun(
            "example", self.outcome, "cut for the test", "look again", "", "", (kind,), (), WINDOW.end, 0.1, 0
        )


def frame(kind: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a bundle would load them; a column the example leaves out is empty."""
    table = pa.Table.from_pylist([_timed(kind, row) for row in rows], schema=pa.schema(list(TABLES[kind].items())))
    loaded = table.to_pandas()
    return loaded.dropna(subset="status_code").astype({"status_code": "int64"}) if kind == "requests" else loaded


def detectors() -> dict[str, Symptom]:
    """Return all detectors of irkit's own by slug."""
    load_plugins("irkit.symptoms", "irkit.symptoms")
    return {item.slug: item for item in registered() if item.module.startswith("irkit.")}


def _timed(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(row) - set(TABLES[kind])
    assert not unknown, f"{kind} has no column {unknown}"
    return {
        name: datetime.fromisoformat(value) if TABLES[kind][name] == TIME and isinstance(value, str) else value
        for name, value in row.items()
    }
