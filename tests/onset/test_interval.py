import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import irkit
from irkit.bundle import open_bundle
from irkit.logs import tables as log_tables
from irkit.model import Window
from irkit.onset.changepoint import Shape
from irkit.onset.interval import Began, agree, began_of, interval_of, onset_interval
from irkit.onset.signals import Events, Fact, Trials, signals

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ONSET_S = 420
DRILL = Path(irkit.__file__).parent / "drills" / "api-unresponsive" / "bundle"


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame({key: pd.Series([row[key] for row in rows], dtype=object) for key in rows[0]})
    frame["at"] = pd.to_datetime(frame["at"], utc=True).astype("datetime64[us, UTC]")
    return frame


def service_log(*, broken: bool, seed: int = 1) -> dict[str, pd.DataFrame | None]:
    """Ten minutes of a service that, if broken, fails every other request from the seventh minute on."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for second in np.sort(random.uniform(0, 600, 3000)):
        fails = broken and second >= ONSET_S and random.random() < 0.5
        took = random.lognormal(-3, 0.3) * (6 if fails else 1)
        line = f'10.0.0.7:1 - "GET /items HTTP/1.1" {500 if fails else 200} rt={took:.6f}'
        rows.append({"at": at(second), "service": "api", "name": "api-1", "stream": "stdout", "line": line})
        if fails:
            rows.append({**rows[-1], "line": f"ERROR: pool exhausted after {random.integers(1, 99)} ms"})
    logs = table(rows)
    requests, errors = log_tables.parse_requests(logs), log_tables.parse_errors(logs)
    return {"logs": logs, "requests": requests, "errors": errors}


def samples(*, leaking: bool) -> pd.DataFrame:
    random = np.random.default_rng(2)
    levels = 1e8 + 2e5 * random.standard_normal(200) + (5e5 * np.maximum(np.arange(200) - 120, 0) if leaking else 0)
    return table([
        {"at": at(3 * index), "name": "api-1", "memory_usage_bytes": int(level), "cpu_percent": 3 + random.random()}
        for index, level in enumerate(levels)
    ])  # fmt: skip


def test_requests_errors_and_patterns_agree_on_when_it_began() -> None:
    found = onset_interval(service_log(broken=True))
    assert found is not None
    assert at(ONSET_S - 10) <= found.earliest <= at(ONSET_S + 3)
    assert at(ONSET_S - 3) <= found.latest <= at(ONSET_S + 10)
    named = {item.signal for item in found.agreeing}
    assert {"failed requests to api", "errors logged"} <= named
    assert any(name.startswith("log pattern “ERROR: pool exhausted after") for name in named)


def test_of_a_drill_the_interval_holds_the_moment_of_the_first_failure() -> None:
    bundle = open_bundle(DRILL)
    errors = log_tables.parse_errors(bundle.load("logs"))
    found = interval_of(bundle)
    assert found is not None
    # a request was asked for before its failure was logged
    assert found.earliest <= errors["at"].iloc[0] <= found.latest + timedelta(seconds=2)
    assert found.latest - found.earliest < timedelta(seconds=15)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_service_has_no_clear_onset(seed: int) -> None:
    assert onset_interval(service_log(broken=False, seed=seed)) is None


def test_one_signal_alone_is_no_onset_and_is_named_beside_one() -> None:
    leak = {"container_stats": samples(leaking=True)}
    assert [began.signal for signal in signals(leak) if (began := began_of(signal))] == ["memory of api-1"]
    assert onset_interval(leak) is None
    both = onset_interval({**service_log(broken=True), "container_stats": samples(leaking=True)})
    assert both is not None
    assert [item.signal for item in both.others] == ["memory of api-1"]


def test_memory_that_falls_is_no_trouble() -> None:
    stats = samples(leaking=True)
    stats["memory_usage_bytes"] = stats["memory_usage_bytes"].tolist()[::-1]
    assert [began_of(signal) for signal in signals({"container_stats": stats})] == [None, None]


def test_what_an_allocator_takes_at_once_is_no_change_of_memory_and_what_redis_counts_itself_is() -> None:
    def memory(taken_bytes: int) -> list[str]:
        levels = [23_000_000 + taken_bytes * (index >= 70) for index in range(120)]
        stats = [{"at": at(index), "name": "api-1", "memory_usage_bytes": level, "cpu_percent": 3.0}
                 for index, level in enumerate(levels)]  # fmt: skip
        redis = [{"at": at(index), "used_memory_bytes": level, "answer_s": 0.001, "blocked_clients": 0}
                 for index, level in enumerate(levels)]  # fmt: skip
        seen = signals({"container_stats": table(stats), "redis_history": table(redis)})
        return [began.signal for each in seen if (began := began_of(each))]

    assert memory(128 * 1024) == ["memory of Redis"]
    assert memory(8 << 20) == ["memory of api-1", "memory of Redis"]


def test_a_history_is_asked_before_a_single_look() -> None:
    named = [signal.name for signal in signals({"container_stats": samples(leaking=False).head(1),
                                                "container_history": samples(leaking=True)})]  # fmt: skip
    assert named == ["memory of api-1", "CPU of api-1"]


def test_a_check_of_the_database_that_fails_to_the_end_is_a_fact_and_one_that_passes_again_is_none() -> None:
    def seen(looks: str) -> list[Fact]:
        rows = [{"at": at(10 * place), "check": "integrity_check", "ok": {"+": True, "-": False}.get(ok),
                 "duration_s": 0.25} for place, ok in enumerate(looks)]  # fmt: skip
        return [fact for fact in signals({"database_history": table(rows)}) if isinstance(fact, Fact)]

    (fact,) = seen("+?--")
    assert (fact.name, fact.sure) == ("integrity_check of the database", True)
    assert (fact.earliest_s, fact.latest_s) == (at(0).timestamp(), at(20.5).timestamp())
    assert seen("+--+") == seen("--") == seen("+?") == []
    assert seen("+" + 100 * "?" + "-") == [], "the recorder was blind for too long"
    (began,) = (began_of(fact) for fact in seen("+-"))
    assert began is not None
    assert agree([began]) is None, "by itself no signal makes an incident"
    found = agree([began], [at(10.5)])
    assert found is not None
    assert (found.earliest, found.latest) == (at(0), at(10.5))


def test_probes_that_fail_since_a_moment_are_a_signal() -> None:
    random = np.random.default_rng(3)
    health = table([
        {"at": at(2 * index), "url": "http://api/health", "verdict": "healthy" if index < 150 else "timed_out",
         "total_s": float(random.lognormal(-4, 0.2)) if index < 150 else 5.0}
        for index in range(200)
    ])  # fmt: skip
    found = onset_interval({"health": health})
    assert found is not None
    assert found.earliest == at(298)
    assert found.latest == at(300)
    assert len(found.agreeing) == 2


def test_too_short_a_log_has_no_signals() -> None:
    tables = service_log(broken=True)
    few = {kind: frame.head(20) for kind, frame in tables.items() if frame is not None}
    assert [began_of(signal) for signal in signals(few)] == [None]
    assert onset_interval({}) is None


def change(name: str, earliest_s: float, latest_s: float) -> Began:
    return Began(name, Shape.STEP, at(earliest_s), at(latest_s), None, 20.0)


def test_most_signals_decide_and_the_earliest_of_equals() -> None:
    early, late = [change("a", 0, 10), change("b", 5, 12)], [change("c", 300, 310), change("d", 301, 305)]
    found = agree([*late, *early])
    assert found is not None
    assert (found.earliest, found.latest) == (at(4), at(11))
    found = agree([*early, *late, change("e", 302, 303)])
    assert found is not None
    assert (found.earliest, found.latest) == (at(302), at(303))
    assert [item.signal for item in found.others] == ["a", "b"]


def test_signals_that_follow_one_another_closely_agree_on_both() -> None:
    found = agree([change("a", 10, 11), change("b", 13, 14)])
    assert found is not None
    assert found.earliest <= at(11)
    assert found.latest >= at(13)


def test_signals_that_hardly_share_a_moment_are_no_sharper_together_than_the_sharpest() -> None:
    found = agree([change("latency", -2.4, 2.6), change("answer time", 2.6, 4.6), change("chats", 1, 7)])
    assert found is not None
    assert (found.earliest, found.latest) == (at(1.6), at(3.6))
    found = agree([change("latency", -2, 6), change("answer time", 1, 3)])
    assert found is not None
    assert (found.earliest, found.latest) == (at(1), at(3))


def test_signals_that_are_far_apart_agree_on_nothing() -> None:
    assert agree([change("a", 0, 1), change("b", 60, 61)]) is None
    assert agree([]) is None


def test_of_signals_that_follow_one_another_the_onset_is_where_most_share_a_moment() -> None:
    stalls = [change("slow requests", -16, -7), change("answer time", -9, -6)]
    failures = [change(name, -2, 2) for name in ("failed requests", "errors", "a pattern")]
    found = agree([*stalls, *failures])
    assert found is not None
    assert found.earliest + (found.latest - found.earliest) / 2 == at(0)
    assert {item.signal for item in failures} <= {item.signal for item in found.agreeing}
    shared = agree(failures)
    assert shared is not None
    assert (shared.earliest, shared.latest) == (at(-2), at(2))


def test_a_symptom_that_first_shows_then_is_the_second_signal() -> None:
    alone = [change("memory of Redis", 100, 101)]
    assert agree(alone) is None
    assert agree(alone, signs=[at(130)]) is None
    found = agree(alone, signs=[at(103)])
    assert found is not None
    assert (found.earliest, found.latest, found.agreeing) == (at(100), at(101), tuple(alone))
    idle = [replace(alone[0], trouble=False), Began("a new line", Shape.STEP, at(99), at(100), None, 0.0)]
    assert agree(idle, signs=[at(103)]) is None


def test_what_is_only_likely_counts_beside_a_symptom_and_never_beside_what_is_clear() -> None:
    likely = [replace(change(name, 100, 104), strength=3.5, clear=False) for name in ("latency", "errors")]
    assert agree(likely) is None
    assert agree(likely, signs=[at(200)]) is None
    found = agree(likely, signs=[at(105)])
    assert found is not None
    assert (found.earliest, found.latest, found.agreeing) == (at(100), at(104), tuple(likely))
    clear = [change("a", 300, 310), change("b", 301, 305)]
    found = agree([*likely, *clear], signs=[at(105)])
    assert found is not None
    assert (found.agreeing, found.others) == (tuple(clear), ())


def test_a_few_failures_after_none_are_likely_and_steady_ones_are_nothing() -> None:
    few = began_of(Events("failed requests", np.linspace(52, 86, 7), 0.0, 88.0))
    assert few is not None
    assert not few.clear
    assert few.latest == datetime.fromtimestamp(52, UTC)
    assert began_of(Events("failed requests", np.linspace(3, 85, 7), 0.0, 88.0)) is None
    many = began_of(Events("failed requests", np.linspace(46, 87, 20), 0.0, 88.0))
    assert many is not None
    assert many.clear


def test_what_is_no_trouble_by_itself_agrees_on_nothing_alone() -> None:
    busy = [replace(change(name, 0, 10), trouble=False) for name in ("requests", "CPU")]
    assert agree(busy) is None
    found = agree([*busy, change("latency", 3, 8)])
    assert found is not None
    assert len(found.agreeing) == 3


def test_a_new_bad_line_bears_out_what_is_certain_and_no_other_new_line() -> None:
    new = [Began(name, Shape.STEP, at(9), at(10), None, 0.0) for name in ("a new line", "another")]
    assert agree(new) is None
    kill = Began("OOM kill in api-1", Shape.STEP, at(8), at(12), None, math.inf)
    found = agree([kill, new[0]])
    assert found is not None
    assert (found.earliest, found.latest) == (at(9), at(10))


def test_what_agrees_with_a_symptom_goes_before_what_more_signals_say() -> None:
    early = [change("a", 0, 10), change("b", 5, 12), change("c", 6, 9)]
    late = [change("d", 300, 310), change("e", 301, 305)]
    found = agree([*early, *late], signs=[at(304)])
    assert found is not None
    assert (found.earliest, found.latest) == (at(301), at(305))


def test_a_service_that_fell_silent_did_so_before_the_end_of_the_evidence() -> None:
    rows: list[dict[str, object]] = []
    for second in np.sort(np.random.default_rng(4).uniform(0, 300, 900)):
        line = f'10.0.0.7:1 - "GET /items HTTP/1.1" 200 rt={0.05:.6f}'
        rows.append({"at": at(second), "service": "api", "name": "api-1", "stream": "stdout", "line": line})
    logs = table(rows)
    tables = {"logs": logs, "requests": log_tables.parse_requests(logs)}
    changes = [began_of(signal) for signal in signals(tables, Window(START, at(480)))]
    assert [(began.signal, began.trouble) for began in changes if began] == [("requests to api", True)]
    assert [began_of(signal) for signal in signals(tables)] == [None] * 2


def history(**columns: list[object]) -> pd.DataFrame:
    count = max(map(len, columns.values()))
    plain: dict[str, list[object]] = {"oom_kill_count": [0] * count, "oom_killed": [False] * count}
    plain |= {"restart_count": [0] * count, "exit_code": [None] * count} | columns
    return table([
        {"at": at(5 * index), "name": "api-1", "memory_usage_bytes": None, "cpu_percent": None}
        | {name: values[index] for name, values in plain.items()}
        for index in range(count)
    ])  # fmt: skip


def test_kills_and_ends_that_nobody_wanted_are_facts_and_others_are_none() -> None:
    def facts(**columns: list[object]) -> list[tuple[str, float, float]]:
        found = [each for each in signals({"container_history": history(**columns)}) if isinstance(each, Fact)]
        return [(each.name, each.earliest_s - START.timestamp(), each.latest_s - START.timestamp()) for each in found]

    assert facts(oom_kill_count=[0, 0, 1, 2]) == [("OOM kill in api-1", 5.0, 10.0)]
    assert facts(oom_killed=[False, False, True, True]) == [("OOM kill in api-1", 5.0, 10.0)]
    assert facts(restart_count=[0, 0, 0, 1]) == [("end of api-1", 10.0, 15.0)]
    assert facts(exit_code=[None, 137, 137]) == [("end of api-1", 0.0, 5.0)]
    assert facts(exit_code=[None, 143, None]) == []
    assert facts(oom_kill_count=[3, 3, 3]) == []


def test_half_of_the_requests_slow_are_trials_that_tell_since_when() -> None:
    random = np.random.default_rng(5)
    rows: list[dict[str, object]] = [
        {"at": at(2 * index), "service": "api", "method": "GET", "path": "/x", "status_code": 200,
         "duration_s": 3.0 if index > 60 and random.random() < 0.4 else 0.05}
        for index in range(120)
    ]  # fmt: skip
    requests = table(rows).astype({"duration_s": "float64", "status_code": "int64"})
    logs = table([{"at": row["at"], "service": "api", "name": "api-1", "line": "x"} for row in rows])
    named = {each.name: each for each in signals({"logs": logs, "requests": requests})}
    slow = named["slow requests to api"]
    assert isinstance(slow, Trials)
    began = began_of(slow)
    assert began is not None
    assert at(110) <= began.earliest <= at(122) <= began.latest <= at(130)


def test_a_route_that_never_fails_does_not_tell_when_others_began_to_and_rare_ones_are_taken_together() -> None:
    rows: list[dict[str, object]] = []
    for index in range(60):
        shared = {"service": "api", "method": "GET", "duration_s": 0.05}
        failed = 500 if index >= 40 else 200
        rows.append({**shared, "at": at(index), "path": "/health", "status_code": 200})
        rows.append({**shared, "at": at(index), "path": f"/chats/{index}", "status_code": failed})
        rows.append({**shared, "at": at(index), "path": "/chats", "status_code": failed if index % 2 else 200})
    requests = table(rows).astype({"duration_s": "float64", "status_code": "int64"})
    logs = table([{"at": row["at"], "service": "api", "name": "api-1", "line": "x"} for row in rows])
    (failed,) = [
        each for each in signals({"logs": logs, "requests": requests}) if each.name == "failed requests to api"
    ]
    assert isinstance(failed, Trials)
    assert (len(failed.bad), int(failed.bad.sum())) == (120, 30)
    began = began_of(failed)
    assert began is not None
    assert at(38.9) <= began.earliest <= at(40) <= began.latest <= at(40)


def killed_at(sample: int, *, climbs_from: int) -> dict[str, pd.DataFrame | None]:
    """Two minutes of a container whose memory climbs to the first of many kills, and climbs again after each."""
    random = np.random.default_rng(4)
    rows: list[dict[str, object]] = []
    for index in range(120):
        age = max(index - climbs_from, 0) if index < sample else (index - sample) % (sample - climbs_from)
        rows.append({
            "at": at(index),
            "name": "api-1",
            "memory_usage_bytes": int(15e6 + 2e5 * random.standard_normal() + 20e6 * age),
            "cpu_percent": 3 + random.random(),
            "oom_kill_count": 0 if index < sample else 1 + (index - sample) // (sample - climbs_from),
            "oom_killed": index >= sample,
            "restart_count": 0 if index < sample else 1,
            "exit_code": None,
        })  # fmt: skip
    return {"container_history": table(rows)}


def test_a_climb_that_ended_in_a_kill_began_the_trouble_and_not_the_kill() -> None:
    found = onset_interval(killed_at(62, climbs_from=50), signs=[at(62)])
    assert found is not None
    assert at(48) <= found.earliest <= at(51) <= found.latest + timedelta(seconds=1)
    assert found.latest <= at(53)
    assert {"OOM kill in api-1", "end of api-1"} <= {item.signal for item in found.others}


def test_a_kill_without_a_climb_is_its_own_beginning() -> None:
    tables = killed_at(62, climbs_from=50)
    history = tables["container_history"]
    assert history is not None
    history["memory_usage_bytes"] = [int(15e6 + 1e5 * (index % 7)) for index in range(len(history))]
    found = onset_interval({"container_history": history}, signs=[at(62)])
    assert found is not None
    assert at(60) <= found.earliest <= found.latest <= at(63)
