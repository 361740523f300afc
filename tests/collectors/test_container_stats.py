"""What real containers use, beside what the kernel counts for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

from irkit.collectors import container_stats
from irkit.collectors.container_stats import collect, measured
from irkit.docker.cgroups import block_bytes
from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import SLEEP, Lab, Rows, gathered, python, recent, taken
from tests.stack.engine import wait_until

LIMIT_BYTES = 256 * 1024 * 1024
HELD_BYTES = 64 * 1024 * 1024
READ_BYTES = 48 * 1024 * 1024


@pytest.fixture(scope="module", params=["the kernel", "the Engine"])
def seen(module_lab: Lab, request: pytest.FixtureRequest) -> Iterator[Rows]:
    """What is measured by either way; both mean the same."""
    lab = module_lab
    lab.clean()
    holds = python(f"held = b'x' * {HELD_BYTES}; print('holds'); import signal; signal.pause()")
    caches = python(
        f"f = open('/tmp/file', 'wb'); f.write(bytes({READ_BYTES})); f.close(); "
        f"n = len(open('/tmp/file', 'rb').read()); print('cached', n); import signal; signal.pause()"
    )
    lab.run("busy", python("while True: pass"))
    lab.run("bridged", SLEEP, network_mode="bridge")
    lab.run("paused", SLEEP).pause()
    lab.create("created", SLEEP)
    lab.finish("exited", python("pass"))
    ready = [lab.run("holding", holds, mem_limit=LIMIT_BYTES), lab.run("caching", caches, mem_limit=LIMIT_BYTES)]
    wait_until(lambda: all(has_spoken(container) for container in ready), "memory is in use")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "the Engine":
            patch.setattr(container_stats, "local_socket", lambda _: None)
        tables, gaps = gathered(collect, lab.target, recent())
    assert gaps == []
    yield tables["container_stats"]
    lab.clean()


def has_spoken(container: Container) -> bool:
    return bool(container.logs())


def row(seen: Rows, service: str) -> dict[str, object]:
    (found,) = (row for row in seen if row["service"] == service)
    return found


def test_only_containers_that_hold_resources_are_measured(seen: Rows) -> None:
    assert [row["service"] for row in seen] == ["bridged", "busy", "caching", "holding", "paused"]


def test_processor_share_tells_busy_from_idle(seen: Rows) -> None:
    busy, idle, paused = (row(seen, service)["cpu_percent"] for service in ("busy", "holding", "paused"))
    assert 10 < busy <= 110  # type: ignore[operator]
    assert 0 <= idle < 5  # type: ignore[operator]
    assert paused == 0


def test_memory_in_use_and_its_share_of_the_limit(seen: Rows) -> None:
    holding = row(seen, "holding")
    assert HELD_BYTES < holding["memory_usage_bytes"] < 2 * HELD_BYTES  # type: ignore[operator]
    assert holding["memory_limit_bytes"] == LIMIT_BYTES
    share = 100 * holding["memory_usage_bytes"] / LIMIT_BYTES  # type: ignore[operator]
    assert holding["memory_percent"] == pytest.approx(share)


def test_page_cache_that_can_be_dropped_is_not_memory_in_use(seen: Rows) -> None:
    assert row(seen, "caching")["memory_usage_bytes"] < READ_BYTES  # type: ignore[operator]


def test_without_a_limit_the_limit_is_the_hosts_memory(seen: Rows, module_lab: Lab) -> None:
    assert row(seen, "busy")["memory_limit_bytes"] == module_lab.client.info()["MemTotal"]


def test_network_is_counted_where_there_is_one(seen: Rows) -> None:
    bridged, alone = row(seen, "bridged"), row(seen, "busy")
    assert bridged["net_rx_bytes"] >= 0  # type: ignore[operator]
    assert (alone["net_rx_bytes"], alone["net_tx_bytes"]) == (None, None)


def test_processes_and_the_time_of_measuring(seen: Rows) -> None:
    assert {row["pids"] for row in seen} == {1}
    window = recent()
    assert all(window.start < row["at"] < window.end for row in seen)


def test_containers_that_go_between_listing_and_measuring_are_gaps_and_the_others_stay(lab: Lab) -> None:
    gone, stopped = lab.run("gone", SLEEP), lab.run("stopped", SLEEP)
    lab.run("staying", SLEEP)
    pieces = collect(lab.target, recent())
    table = next(pieces)
    gone.remove(force=True)
    stopped.kill()
    stopped.wait()
    assert [row["service"] for row in table.rows] == ["staying"]  # type: ignore[union-attr]
    assert taken(pieces)[1] == [
        f"container {gone.name} of service gone vanished while it was looked at",
        f"container {stopped.name} stopped while it was measured",
    ]


def test_all_containers_are_measured_at_once(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_stats, "local_socket", lambda _: None)
    for number in range(5):
        lab.run(f"one{number}", SLEEP)
    with FaultyEngine(tmp_path / "s") as engine:
        # an Engine that answers none of them before it was asked for all
        engine.meet("/stats", 5)
        tables, gaps = gathered(collect, engine.target(lab), recent())
    assert gaps == []
    assert len(tables["container_stats"]) == 5


def test_nothing_running_is_an_empty_table(lab: Lab) -> None:
    lab.create("created", SLEEP)
    assert gathered(collect, lab.target, recent()) == ({"container_stats": []}, [])


def test_what_an_engine_on_cgroup_v2_tells() -> None:
    """The answer's shape on cgroup v2, which this machine may not have: other names, lower case, no per-core list."""
    sample = {
        "read": "2026-11-24T02:05:51.835286123Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 3_000}, "system_cpu_usage": 12_000, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 4_000},
        "memory_stats": {"usage": 900, "limit": 2_000, "stats": {"inactive_file": 400}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 5}, {"op": "write", "value": 6}]},
        "pids_stats": {"current": 7},
    }
    found = measured(sample)
    assert found["cpu_percent"] == 100 * 4 * 2_000 / 8_000
    assert (found["memory_usage_bytes"], found["memory_percent"]) == (500, 25)
    assert (found["net_rx_bytes"], found["net_tx_bytes"]) == (11, 22)
    assert (found["block_read_bytes"], found["block_write_bytes"]) == (5, 6)
    assert found["pids"] == 7


def test_what_was_not_told_is_none_and_not_zero() -> None:
    found = measured({"read": "2026-11-24T02:05:51Z", "cpu_stats": {"cpu_usage": {"total_usage": 1}}})
    assert {name for name, value in found.items() if value is not None} == {"at"}


def test_disk_counts_of_both_versions(tmp_path: Path) -> None:
    (tmp_path / "io.stat").write_text("8:0 rbytes=5 wbytes=6 rios=1\n8:16 rbytes=10 wbytes=20 rios=1\n")
    assert block_bytes({"": tmp_path}) == (15, 26)
    (tmp_path / "blkio.throttle.io_service_bytes_recursive").write_text(
        "8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:16 Read 10\nTotal 32\n"
    )
    assert block_bytes({"cpu": tmp_path, "blkio": tmp_path}) == (15, 6)
    assert block_bytes({"cpu": tmp_path}) == (None, None)
