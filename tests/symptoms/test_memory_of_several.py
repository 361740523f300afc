"""Which container is named where the memory of several moves: a small, steady rise hides no larger one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from irkit.diagnose.run import run_detector
from irkit.model import Verdict, VerdictState
from tests.symptoms.evidence import InMemory, detectors

DETECTOR = detectors()["gradual-memory-increase"]
START = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
STEP = timedelta(seconds=5)
MIB = 1 << 20
COUNT = 60
KILLED_AT = 45
# of a worker whose rate triples with the load: too odd to bound its slope
BENT = np.concatenate([85 * np.arange(36) / 36, 85 + 66 * np.arange(1, 10) / 9])
LEVEL = 40 + 0.1 * (np.arange(COUNT) % 3)
SLOW = 7 + 2.6 * np.arange(COUNT) / COUNT
SHOP = [{"name": f"shop_{name}_1", "service": name, "container_id": name[0] * 64} for name in ("worker", "api", "kv")]


def samples(
    service: str, levels: Iterable[float], limit_mib: float | None = None, killed_at: int = 0
) -> list[dict[str, Any]]:
    rows = []
    for index, level in enumerate(levels):
        again = bool(killed_at) and index >= killed_at
        began = START + killed_at * STEP - timedelta(seconds=4) if again else START - timedelta(hours=1)
        row = {"at": START + index * STEP, "service": service, "name": f"shop_{service}_1", "started_at": began}
        row |= {"oom_killed": again, "memory_usage_bytes": int(level * MIB)}
        rows.append(row | {"memory_limit_bytes": limit_mib and int(limit_mib * MIB)})
    return rows


def worker(base: float = 9.0, limit_mib: float | None = 160.0, *, killed: bool = False) -> list[dict[str, Any]]:
    after = 16 + 2.0 * np.arange(COUNT - KILLED_AT) if killed else ()
    return samples("worker", np.concatenate([base + BENT, after]), limit_mib, KILLED_AT if killed else 0)


def snapshots(of: str, growth_bytes: int | None = 81 * MIB) -> dict[str, Any]:
    at = ("2026-11-24T02:31:00+00:00", "2026-11-24T02:32:00+00:00")
    process = {"pid": 7, "program": "worker.py", "container": of[0] * 64}
    suspect = {"sentence": "`app.HISTORY` (dict) keeps 970 `app.Rendered` alive, 81 MiB", "growth_bytes": growth_bytes}
    told = {"process": process, "snapshots": [{"taken_at": one} for one in at], "suspects": [suspect]}
    return {"processes": [told]}


def told(*sampled: list[dict[str, Any]], **other: object) -> Verdict:
    rows = sorted((row for each in sampled for row in each), key=lambda row: row["at"])
    return run_detector(DETECTOR, InMemory({"container_history": rows, "containers": SHOP, **other})).verdict


def test_a_rise_that_ended_in_a_kill_is_not_hidden_by_a_small_one_that_goes_on() -> None:
    found = told(worker(killed=True), samples("kv", SLOW), samples("api", LEVEL))
    assert found.state is VerdictState.FOUND
    assert found.sentence == (
        "Memory of shop_worker_1 rose from 9.0 MiB to 160 MiB in 3 min 40 s, until the kernel killed it at its limit "
        "of 160 MiB at 02:33:45 UTC; that of shop_kv_1 rises as well."
    )
    assert found.numbers["name"] == "shop_worker_1"
    assert found.numbers["steady"] == ["shop_api_1"]
    assert found.onset == START


def test_what_was_killed_is_not_said_to_keep_its_level() -> None:
    calm = np.concatenate([LEVEL[:KILLED_AT], LEVEL[:15]])
    found = told(samples("worker", calm, 160.0, KILLED_AT), samples("kv", SLOW), samples("api", LEVEL))
    assert (found.numbers["name"], found.numbers["steady"]) == ("shop_kv_1", ["shop_api_1"])


def test_what_is_near_its_limit_by_far_comes_first_however_odd_its_pace() -> None:
    found = told(worker(), samples("kv", SLOW))
    assert (found.state, found.numbers["name"]) == (VerdictState.FOUND, "shop_worker_1")
    assert found.sentence == (
        "Memory of shop_worker_1 rose from 9.0 MiB to 160 MiB, 100 % of its limit, in 3 min 40 s, too unevenly to "
        "bound its slope; that of shop_kv_1 rises as well."
    )
    alone = told(worker())
    assert (alone.state, alone.numbers["name"]) == (VerdictState.FOUND, "shop_worker_1")


def test_of_an_odd_rise_that_dwarfs_the_sure_one_both_are_told() -> None:
    found = told(worker(limit_mib=None), samples("kv", SLOW))
    assert (found.state, found.numbers["name"]) == (VerdictState.FOUND, "shop_worker_1")
    assert "that of shop_kv_1 rises as well" in found.sentence
    assert told(worker(limit_mib=None)).state is VerdictState.UNKNOWN


def test_an_odd_rise_that_a_restart_ended_is_told_with_its_end() -> None:
    restarted = [{**row, "oom_killed": False} for row in worker(killed=True)]
    found = told(restarted, samples("kv", SLOW))
    assert found.sentence.startswith("Memory of shop_worker_1 rose from 9.0 MiB to 160 MiB, 100 % of its limit, in")
    assert "too unevenly to bound its slope, until that run ended at 02:33:40 UTC; that of shop_kv_1" in found.sentence
    assert "Once it runs again and grows" in found.advice


def test_a_sure_rise_that_is_no_small_one_stays_first_beside_an_odd_one() -> None:
    found = told(worker(limit_mib=None), samples("kv", 7 + 80 * np.arange(COUNT) / COUNT))
    assert (found.state, found.numbers["name"]) == (VerdictState.FOUND, "shop_kv_1")
    assert "shop_worker_1" not in found.sentence


def test_snapshots_that_grow_are_kept_whatever_the_trend() -> None:
    steep = samples("kv", 7 + 80 * np.arange(COUNT) / COUNT)
    odd = told(worker(limit_mib=None), steep, heap=snapshots("worker"))
    assert (odd.state, odd.numbers["name"]) == (VerdictState.FOUND, "shop_worker_1")
    assert "By 2 snapshots of the heap of worker.py (7), 1 min apart, it grows: app.HISTORY" in odd.sentence
    alone = told(worker(limit_mib=None), heap=snapshots("worker"))
    assert (alone.state, alone.numbers["name"]) == (VerdictState.FOUND, "shop_worker_1")
    calm = told(samples("worker", LEVEL), steep, heap=snapshots("worker"))
    assert calm.numbers["name"] == "shop_kv_1"
    assert ". In shop_worker_1: By 2 snapshots of the heap of worker.py (7)" in calm.sentence
    still = told(samples("worker", LEVEL), heap=snapshots("worker"))
    assert still.state is VerdictState.UNKNOWN
    assert "keeps its level" in still.sentence
    assert "By 2 snapshots of the heap of worker.py (7)" in still.sentence
    assert told(samples("worker", LEVEL), heap=snapshots("worker", None)).state is VerdictState.CLEAR


def redis(most_mib: float | None) -> dict[str, Any]:
    account = [
        {
            "at": START + index * STEP,
            "used_memory_bytes": int((level - 3) * MIB),
            "keys": 5 + 20 * index,
            "max_memory_bytes": most_mib and int(most_mib * MIB),
        }
        for index, level in enumerate(SLOW)
    ]
    runs = {"at": START, "service": "kv", "name": "shop_kv_1", "pid": 9, "command": "redis-server"}
    return {"redis_history": account, "process_history": [runs]}


@pytest.mark.parametrize("most_mib", [200.0, None])
def test_a_redis_that_keeps_what_it_is_given_is_no_leak_that_was_found(most_mib: float | None) -> None:
    found = told(samples("kv", SLOW), samples("api", LEVEL), **redis(most_mib))
    assert found.state is VerdictState.UNKNOWN
    assert found.numbers["name"] == "shop_kv_1"
    assert "Redis accounts for it by what it was given, 4.0 MiB to 6.6 MiB in 5 to 1\u202f185 keys" in found.sentence
    assert found.sentence.endswith(": this may well be its use.")
    assert "expire" in found.advice


def test_a_redis_that_nears_its_limit_is_found() -> None:
    found = told(samples("kv", SLOW), **redis(8.0))
    assert (found.state, found.numbers["name"]) == (VerdictState.FOUND, "shop_kv_1")


def test_a_redis_in_use_hides_no_leak_of_another() -> None:
    found = told(samples("kv", SLOW), samples("api", 80 + 30 * np.arange(COUNT) / COUNT), **redis(200.0))
    assert (found.state, found.numbers["name"]) == (VerdictState.FOUND, "shop_api_1")
    assert "shop_kv_1" not in found.sentence
    assert told(worker(limit_mib=None), samples("kv", SLOW), **redis(200.0)).numbers["name"] == "shop_worker_1"


def test_what_wanders_upwards_is_not_said_to_keep_its_level_and_its_snapshots_decide() -> None:
    wandering = 120 + np.cumsum(np.random.default_rng(48).normal(0, 1.5, 2 * COUNT))
    alone = told(samples("worker", wandering), samples("api", LEVEL))
    assert (alone.state, alone.confidence) == (VerdictState.CLEAR, 0.6)
    assert re.search(r"of 2 containers watched for 9 min 55 s, shop_worker_1 rises by 183 MiB an hour", alone.sentence)
    assert alone.sentence.endswith(", but not steadily enough to be called a leak.")
    grows = told(samples("worker", wandering), samples("api", LEVEL), heap=snapshots("worker"))
    assert (grows.state, grows.confidence) == (VerdictState.FOUND, 0.8)
    assert grows.sentence.startswith("Memory of shop_worker_1 rises by 183 MiB an hour")
    assert ", unsteadily. By 2 snapshots of the heap of worker.py (7), 1 min apart, it grows: " in grows.sentence
    other = told(samples("worker", wandering), samples("api", LEVEL), heap=snapshots("api"))
    assert other.state is VerdictState.UNKNOWN


@pytest.mark.parametrize(
    ("rise_mib", "said"),
    [(0.9, "rises by 5.4 MiB an hour"), (-20.0, "moves most and falls (-"), (0.0, "moves most and keeps its level (")],
)
def test_only_what_may_be_level_is_said_to_keep_its_level(rise_mib: float, said: str) -> None:
    at = np.arange(2 * COUNT)
    found = told(samples("worker", 300 + rise_mib * at / len(at) + 0.01 * (at * 37 % 11)))
    assert found.state is VerdictState.CLEAR
    assert said in found.sentence


def cut_short(rows: list[dict[str, Any]], *, by: int) -> dict[str, list[dict[str, Any]]]:
    """File rows as they are where an earlier incident was over when the window began: `by` samples are before it."""
    for row in rows:
        row["at"] -= by * STEP
    return {
        "container_history_before": [row for row in rows if row["at"] < START],
        "container_history": [row for row in rows if row["at"] >= START],
    }


def told_of(evidence: dict[str, Any], **other: object) -> Verdict:
    return run_detector(DETECTOR, InMemory({"containers": SHOP, **evidence, **other})).verdict


def test_a_leak_is_not_hidden_by_an_incident_that_was_over_a_moment_ago() -> None:
    at = np.arange(4 * COUNT)
    evidence = cut_short(samples("worker", 60 + 0.7 * at + 0.1 * (at % 3)), by=4 * COUNT - 8)
    assert told_of({"container_history": evidence["container_history"]}).state is VerdictState.UNKNOWN
    found = told_of(evidence)
    assert (found.state, found.onset) == (VerdictState.FOUND, START - (4 * COUNT - 8) * STEP)
    assert "from the later half of 240 samples over 19 min 55 s) since before 02:10:40 UTC" in found.sentence
    asked = [{"at": START + n * STEP / 10, "service": "worker", "path": "/", "status_code": 200} for n in range(80)]
    assert told_of(evidence, requests=asked) == found, "requests of the window tell nothing of what was before"


def test_what_leaked_in_the_incident_before_and_was_restarted_is_no_sign_of_this_one() -> None:
    leaked = np.concatenate([60 + 0.7 * np.arange(3 * COUNT), 60 + 0.1 * (np.arange(COUNT) % 3)])
    rows = samples("worker", leaked, killed_at=3 * COUNT)
    for row in rows:
        row["oom_killed"] = False
    assert told_of({"container_history": rows}).state is VerdictState.FOUND
    assert told_of(cut_short(rows, by=3 * COUNT + 20)).state is VerdictState.CLEAR


def test_what_is_page_cache_or_redis_own_use_is_so_before_the_window_too() -> None:
    at = np.arange(4 * COUNT)
    rows = samples("worker", 60 + 0.7 * at + 0.1 * (at % 3))
    evidence = cut_short(rows, by=4 * COUNT - 8)
    held = [
        {"at": row["at"], "name": row["name"], "pid": 7, "rss_bytes": 40 * MIB + 4096 * (n % 7)}
        for n, row in enumerate(rows)
    ]
    split = {"process_history_before": held[: 4 * COUNT - 8], "process_history": held[4 * COUNT - 8 :]}
    assert "its processes do not" in told_of(evidence | split).sentence
