"""What ran out is said with its figures; what is full by design, or has room, is not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import redis

from irkit.collectors import redis_info
from irkit.diagnose.exhausted import exhausted
from irkit.text.phrase import grouped
from tests.collectors.materialise import materialise
from tests.report.test_head import header_of
from tests.support.example_bundle import example_bundle
from tests.support.example_report import report_of
from tests.support.redis_servers import redis_server
from tests.symptoms.evidence import InMemory

DISK = {"holds": "database", "path": "/srv/data", "total_bytes": 10 * 2**30, "used_bytes": 10 * 2**30}
ROOM = {**DISK, "free_bytes": 2**30, "used_percent": 90.0, "inodes_total": 1000, "inodes_free": 400, "read_only": False}
PROCESS = {"service": "jarvis-api", "name": "jarvis-api-1", "pid": 7, "command": "python", "open_files_limit": 1024}


def told(**evidence: object) -> list[str]:
    tables = {"disk_usage": pd.DataFrame(evidence["disk_usage"])} if "disk_usage" in evidence else {}
    return [one.sentence for one in exhausted(InMemory(evidence | tables))]


def filled(folder: Path, *options: str) -> dict[str, object]:
    """Write to a real Redis of 4 MiB until it has had all it takes, and return what it says of itself."""
    with redis_server(folder, "--maxmemory", "4mb", *options) as server:
        for number in range(80):
            try:
                server.client.set(f"answer:{number}", b"x" * 64 * 1024)
            except redis.exceptions.OutOfMemoryError:
                break
        made = materialise(redis_info.collect, server.target())
    return dict(made.documents["redis_info"])


def test_a_redis_that_refuses_writes_is_full(tmp_path: Path) -> None:
    (one,) = exhausted(InMemory({"redis_info": filled(tmp_path)}))
    assert one.sentence.startswith("Redis is full: it holds 4.0 MiB of 4.0 MiB (maxmemory, noeviction)")
    assert one.sentence.endswith(", and has refused 1 command for that since it started")
    assert one.kind == "redis_info"
    assert one.advice.startswith("See what fills it: redis-cli --bigkeys.")


def test_the_command_goes_to_the_redis_that_was_asked(tmp_path: Path) -> None:
    memory = {"used_memory": 64 * 2**20, "maxmemory": 64 * 2**20, "maxmemory_policy": "noeviction"}
    bundle = example_bundle(tmp_path, documents={"redis_info": {"memory": memory}})
    source = bundle.evidence_for("redis_info")
    assert source is not None
    assert f"redis-cli -u {source.subject} --bigkeys" in exhausted(bundle)[0].advice


def test_a_cache_that_evicts_is_not_full(tmp_path: Path) -> None:
    assert told(redis_info=filled(tmp_path, "--maxmemory-policy", "allkeys-lru")) == []


def test_a_redis_of_which_all_clients_are_taken_says_so(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxclients", "4") as server:
        one = server.client.connection_pool
        server.client.ping()
        others = [redis.Redis(port=server.port) for _ in range(4)]
        refused = 0
        for client in others:
            try:
                client.ping()
            except redis.exceptions.ConnectionError:
                refused += 1
        sections: dict[str, object] = {}
        info = server.client.info("everything")
        sections["clients"] = {name: info[name] for name in ("connected_clients", "maxclients")}
        sections["stats"] = {"rejected_connections": info["rejected_connections"]}
        for client in others:
            client.close()
        one.disconnect()
    assert refused == 1
    (said,) = told(redis_info=sections)
    assert said.startswith("Redis takes no more clients: 4 of 4 are connected (maxclients), and it has turned away ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"free_bytes": 4096}, "The disk of the database (/srv/data) is full: 4.0 KiB of 10 GiB are free"),
        (
            {"inodes_free": 0},
            "The disk of the database (/srv/data) takes no more files: no inode is free, though it is 90 % full",
        ),
        (
            {"read_only": True},
            "The disk of the database (/srv/data) is mounted read-only: nothing can be written to it",
        ),
    ],
)
def test_a_disk_that_takes_nothing_is_told_once(change: dict[str, object], said: str) -> None:
    rows = [{**ROOM, **change}, {**ROOM, **change, "holds": "home", "path": "/root/.irkit"}]
    assert told(disk_usage=rows) == [said]


def test_descriptors_run_out() -> None:
    (said,) = told(container_processes=[{**PROCESS, "open_files": 1020}, {**PROCESS, "open_files": 12}])
    assert said == f"python in jarvis-api (pid 7) has {grouped(1020)} files open of the {grouped(1024)} it may"


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"redis_info": {}},
        {"redis_info": {"memory": {"used_memory": 10**9, "maxmemory": 0, "maxmemory_policy": "noeviction"}}},
        {"redis_info": {"memory": {"used_memory": 10**9, "maxmemory": 2 * 10**9, "maxmemory_policy": "noeviction"}}},
        {"redis_info": {"memory": "not a section"}},
        {"disk_usage": [ROOM, {**ROOM, "holds": "elsewhere", "free_bytes": 0}]},
        {"disk_usage": [{"holds": "database", "path": "/proc", "total_bytes": 0, "free_bytes": 0}]},
        {"container_processes": [PROCESS]},
    ],
)
def test_what_has_room_or_was_not_looked_at_is_not_told(evidence: dict[str, object]) -> None:
    assert told(**evidence) == []


def test_the_first_screen_says_what_ran_out(tmp_path: Path) -> None:
    memory = {"used_memory": 64 * 2**20, "maxmemory": 64 * 2**20, "maxmemory_policy": "noeviction"}
    made = report_of(example_bundle(tmp_path, documents={"redis_info": {"memory": memory}}))
    texts = [claim.text for claim in header_of(made).likely.claims]
    assert "Redis is full: it holds 64 MiB of 64 MiB (maxmemory, noeviction)." in texts
    assert texts[0].startswith("jarvis-api exited"), "what stopped comes first"
    assert len(texts) == 3, "and it hides no symptom"
