"""What the kernel counted for real containers, and how both versions of its files read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from irkit.collect.contract import NotHere
from irkit.collectors.container_cgroups import collect, counted
from irkit.docker.cgroups import cgroups_of
from irkit.settings import DockerTarget
from tests.collectors.lab import SLEEP, Lab, Rows, gathered, python, recent
from tests.stack.engine import wait_until

MEMORY_BYTES = 16 * 1024 * 1024
LOSES_CHILD = """
import os, signal
if os.fork() == 0:
    held = bytearray(2**28)
os.wait()
print('lost a child', flush=True)
signal.pause()
"""
# a fork that fails is what the limit on processes is seen by
FORKS = """
import os, signal
try:
    while os.fork(): pass
    signal.pause()
except OSError:
    print('no more', flush=True)
    signal.pause()
"""
VERSION_2 = {
    "memory.events": "low 0\nhigh 3\nmax 41\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.peak": "1048576\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
    "cpu.stat": "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 20\nnr_throttled 7\nthrottled_usec 1500000\n",
    "pids.events": "max 5\n",
}
ID = "f327cfbba4889387f5ab597a66a95d2f06643c53e1bfd6a4c2bf074ce2468f08"


@pytest.fixture(scope="module")
def seen(module_lab: Lab) -> Rows:
    lab = module_lab
    speakers = [
        lab.run("bereaved", python(LOSES_CHILD), mem_limit=MEMORY_BYTES, memswap_limit=MEMORY_BYTES),
        lab.run("crowded", python(FORKS), pids_limit=4),
    ]
    throttled = lab.run("throttled", python("while True: pass"), nano_cpus=50_000_000)
    lab.run("at-peace", SLEEP)
    lab.finish("ended", python("pass"))
    wait_until(lambda: all(speaker.logs() for speaker in speakers), "the limits were hit")

    def waited() -> bool:
        return bool(throttled.stats(stream=False)["cpu_stats"]["throttling_data"]["throttled_periods"])

    wait_until(waited, "the busy one was throttled")
    tables, gaps = gathered(collect, lab.target, recent())
    assert gaps == []
    return tables["cgroup"]


def row(seen: Rows, service: str) -> dict[str, object]:
    (found,) = (row for row in seen if row["service"] == service)
    return found


def test_only_containers_that_live_have_a_count(seen: Rows) -> None:
    assert [row["service"] for row in seen] == ["at-peace", "bereaved", "crowded", "throttled"]


def test_a_child_killed_for_memory_is_counted_though_its_container_lives(seen: Rows, module_lab: Lab) -> None:
    bereaved = row(seen, "bereaved")
    (state,) = (each.attrs["State"] for each in module_lab.containers() if "bereaved" in each.name)
    assert (state["Status"], bereaved["oom_kill_count"]) == ("running", 1)
    assert MEMORY_BYTES * 0.9 < bereaved["memory_peak_bytes"] <= MEMORY_BYTES  # type: ignore[operator]


def test_time_waited_for_the_processor_is_counted(seen: Rows) -> None:
    throttled = row(seen, "throttled")
    assert throttled["cpu_throttled_s"] > 0  # type: ignore[operator]
    assert 0 < throttled["cpu_throttled_periods"] <= throttled["cpu_periods"]  # type: ignore[operator]


def test_processes_refused_at_the_limit_are_counted(seen: Rows) -> None:
    assert row(seen, "crowded")["pids_limit_hits"] > 0  # type: ignore[operator]


def test_who_met_no_limit_has_zeros(seen: Rows) -> None:
    names = ("oom_kill_count", "memory_limit_hits", "cpu_throttled_periods", "cpu_throttled_s", "pids_limit_hits")
    assert [row(seen, "at-peace")[name] for name in names] == [0, 0, 0, 0, 0]


def test_an_engine_on_another_machine_is_not_failure_but_absence() -> None:
    with pytest.raises(NotHere, match=r"the Docker Engine's machine: tcp://10\.0\.0\.1:2375"):
        list(collect(DockerTarget(host="tcp://10.0.0.1:2375", configured=True), recent()))


def test_the_limit_with_swap_is_a_limit_too(tmp_path: Path) -> None:
    (tmp_path / "memory.failcnt").write_text("3\n")
    (tmp_path / "memory.memsw.failcnt").write_text("4\n")
    assert counted({"memory": tmp_path})["memory_limit_hits"] == 7


@pytest.mark.parametrize("path", [f"/system.slice/docker-{ID}.scope", f"/docker/{ID}"])
def test_the_files_of_version_2(tmp_path: Path, path: str) -> None:
    """This machine may have version 1; these are the names and forms of version 2, with either cgroup driver."""
    folder = tmp_path / path.lstrip("/")
    folder.mkdir(parents=True)
    for name, text in VERSION_2.items():
        (folder / name).write_text(text)
    (tmp_path / "listing").write_text(f"0::{path}\n")
    found = counted(cgroups_of(ID, tmp_path / "listing", tmp_path))
    assert json.dumps(found) == json.dumps(
        {
            "oom_kill_count": 1,
            "memory_limit_hits": 41,
            "memory_peak_bytes": 1048576,
            "memory_stalled_s": 2.5,
            "cpu_periods": 20,
            "cpu_throttled_periods": 7,
            "cpu_throttled_s": 1.5,
            "pids_limit_hits": 5,
            "cgroup_version": 2,
        }
    )


def test_what_a_kernel_does_not_count_is_none_and_not_zero(tmp_path: Path) -> None:
    found = counted({"": tmp_path})
    assert {name for name, value in found.items() if value is not None} == {"cgroup_version"}


def test_a_strangers_process_of_the_same_number_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "user.slice").mkdir()
    (tmp_path / "listing").write_text("0::/user.slice\n")
    assert cgroups_of(ID, tmp_path / "listing", tmp_path) == {}
    assert cgroups_of(ID, tmp_path / "none", tmp_path) == {}
