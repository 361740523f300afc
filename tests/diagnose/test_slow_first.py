"""Slow queries that clearly came before the memory and its kill are the cause of both; a leak stays a leak."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from irkit import runbook
from irkit.diagnose.run import diagnose, rank
from irkit.diagnose.slow_first import told_by_queries
from irkit.model import Finding, Verdict, VerdictState
from irkit.registry import load_plugins
from irkit.triage import relations, triage
from tests.support.example_bundle import Row
from tests.support.type_evidence import sealed

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
BOOK = runbook.load()
FOUND, CLEAR, UNKNOWN = VerdictState.FOUND, VerdictState.CLEAR, VerdictState.UNKNOWN
KILLED = 90.0
SQL = "SELECT * FROM messages"


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def queries(*times: tuple[float, float], service: str = "shop-api") -> pd.DataFrame:
    """Lines of a log: when each was written, and how many seconds its query took."""
    rows = [
        {"at": at(second), "service": service, "line": f"WARNING slow query ({took} s): {SQL}"}
        for second, took in times
    ]
    return pd.DataFrame(rows)


SLOW = queries((13, 3.0), (30, 17.0), (60, 50.0), (85, 65.0))


def findings(growth: VerdictState = FOUND, grew: float | None = 12.0, **numbers: object) -> tuple[Finding, ...]:
    def one(slug: str, kind: str, verdict: Verdict) -> Finding:
        return Finding(slug, (kind,), slug, verdict, ())

    onset = None if grew is None else at(grew)
    rise = Verdict(growth, "It rose.", "", onset, 0.9, {"name": "shop-api-1", **numbers})
    killed = Verdict(FOUND, "The kernel killed it.", "", at(KILLED), 0.98, {"name": "shop-api-1"})
    quick = Verdict(CLEAR, "p95 is 0.33 s.", "", None, 0.95, {"limit_s": 2.0})
    return (
        one("gradual-memory-increase", "memory-leak", rise),
        one("oom-kills", "memory-leak", killed),
        one("p95-latency", "high-latency", quick),
    )


CONTAINERS = pd.DataFrame([{"name": "shop-api-1", "service": "shop-api"}])


def told(own: Iterable[Finding], logs: pd.DataFrame = SLOW) -> dict[str, Verdict]:
    return {one.symptom: one.verdict for one in told_by_queries(tuple(own), logs, CONTAINERS)}


def test_slow_queries_that_came_first_are_the_cause_and_the_kill_is_their_effect() -> None:
    made = told(findings())
    latency = made["p95-latency"]
    assert latency.state is FOUND
    assert (latency.onset, latency.until) == (at(10), at(KILLED))
    assert "4 queries of shop-api took longer than the limit of 2.0 s, up to 65 s, since 03:00:10" in latency.sentence
    assert made["oom-kills"].explained_by == made["gradual-memory-increase"].explained_by == "high-latency"
    ranked = rank(told_by_queries(findings(), SLOW, CONTAINERS), BOOK)
    assert ranked[0].incident_type == "high-latency"
    assert ("high-latency", "memory-leak") in [(one.cause, one.effect) for one in relations(ranked)]
    assert triage(told_by_queries(findings(), SLOW, CONTAINERS), BOOK).named == ("high-latency",)


def test_memory_that_was_level_until_it_was_filled_at_a_stroke_is_no_leak_either() -> None:
    assert told(findings(CLEAR, None))["oom-kills"].explained_by == "high-latency"


@pytest.mark.parametrize(
    ("own", "logs"),
    [
        pytest.param(findings(grew=-60.0), SLOW, id="memory grew before"),
        pytest.param(findings(all_along=True), SLOW, id="memory grew all along"),
        pytest.param(findings(UNKNOWN, None), SLOW, id="nobody saw whether memory grew before"),
        pytest.param(findings(), queries((13, 0.3), (30, 0.4), (60, 1.9)), id="within the limit"),
        pytest.param(findings(), queries((13, 3.0), (60, 50.0)), id="two queries"),
        pytest.param(findings(), queries((84, 2.5), (86, 2.5), (88, 2.5)), id="seconds before the kill"),
        pytest.param(findings(), queries((113, 3.0), (130, 17.0), (160, 50.0)), id="after the kill"),
        pytest.param(
            findings(), queries((13, 3.0), (30, 17.0), (60, 50.0), service="worker"), id="those of another service"
        ),
        pytest.param(findings()[:1] + findings()[2:], SLOW, id="no kill"),
    ],
)
def test_a_leak_stays_a_leak(own: tuple[Finding, ...], logs: pd.DataFrame) -> None:
    assert told_by_queries(own, logs, CONTAINERS) == own


def test_a_bundle_of_it_points_at_the_database_and_not_at_a_leak(tmp_path: Path) -> None:
    api: Row = {"service": "shop-api", "name": "shop-api-1", "started_at": at(-3600)}
    levels = [70.0] * 66 + [70.0 + 3.75 * step for step in range(1, 25)]
    history = [
        api
        | {"at": at(KILLED - 270 + 3 * n), "memory_usage_bytes": int(level * 2**20) + n * 7919 % 65536}
        | {"memory_limit_bytes": 160 * 2**20, "state": "running"}
        for n, level in enumerate(levels)
    ]
    ended = api | {"state": "exited", "exit_code": 137, "oom_killed": True, "finished_at": at(KILLED)}
    requests = [
        f'INFO: 10.0.0.1:5000 - "GET /api/chat HTTP/1.1" 200 OK in {100 + n % 7} ms' for n in range(int(KILLED) + 170)
    ]
    logs: list[Row] = [
        {"at": at(n - 170), "service": "shop-api", "name": "shop-api-1", "stream": "stdout", "line": line}
        for n, line in enumerate(requests)
    ]
    logs += [row | {"name": "shop-api-1", "stream": "stdout"} for row in SLOW.to_dict("records")]
    evidence = {"container_history": history, "containers": [ended], "logs": logs}
    bundle = sealed(tmp_path, evidence)
    assert load_plugins("irkit.symptoms", "irkit.symptoms") == ()
    found = diagnose(bundle, BOOK)
    assert found.ranking[0].incident_type == "high-latency"
    assert found.first_sign == at(10)
    before = [row for row in logs if "slow query" not in str(row["line"])]
    leak = diagnose(sealed(tmp_path / "leak", {**evidence, "logs": before}), BOOK)
    assert leak.ranking[0].incident_type == "memory-leak"
