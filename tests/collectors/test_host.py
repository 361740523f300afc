"""The machine, measured beside what Python and real sources say of it."""

from __future__ import annotations

import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest

from irkit import procfs
from irkit.collect.contract import Limits
from irkit.collectors.host import collect
from irkit.settings import DockerTarget, HostTarget, HttpTarget, RedisTarget, Secret, SqliteTarget
from tests.collectors.materialise import materialise
from tests.stack.engine import Images
from tests.support import http_servers as servers
from tests.support.redis_servers import redis_server


def nowhere(tmp_path: Path) -> DockerTarget:
    return DockerTarget(host=f"unix://{tmp_path}/no-docker.sock")


def late(connection: socket.socket, closing: object) -> None:
    """A server whose clock is a day behind."""
    date = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    servers.answer(b"", f"Date: {date}")(connection, closing)  # type: ignore[arg-type]


def test_load_memory_and_pressure(tmp_path: Path) -> None:
    made = materialise(collect, HostTarget(str(tmp_path), docker=nowhere(tmp_path)))
    assert (made.raised, made.gaps) == (None, [])
    (row,) = made.tables["host"]
    assert row["hostname"] == socket.gethostname()
    assert row["processors"] == os.cpu_count()
    assert row["memory_total_bytes"] == procfs.memory()["MemTotal"]
    assert row["memory_available_bytes"] > 0
    assert row["load_1m"] >= 0
    assert row["started_at"] < row["at"]
    assert {(each["resource"], each["share"]) for each in made.tables["host_pressure"]} >= {("cpu", "some")}


def test_disks_that_matter(tmp_path: Path, images: Images) -> None:
    database = tmp_path / "data" / "jarvis.db"
    database.parent.mkdir()
    target = HostTarget(str(tmp_path), sqlite=SqliteTarget(str(database), configured=True))
    made = materialise(collect, target)
    rows = {row["holds"]: row for row in made.tables["disk_usage"]}
    assert {"home", "database", "docker"} == set(rows)
    assert rows["database"]["path"] == str(database.parent)
    usage = shutil.disk_usage(tmp_path)
    assert rows["home"]["total_bytes"] == usage.total
    assert rows["home"]["used_bytes"] == pytest.approx(usage.used, rel=0.05)
    assert 0 < rows["home"]["used_percent"] <= 100
    assert rows["home"]["read_only"] is False


def test_a_place_that_cannot_be_measured_is_a_gap_only_where_it_was_configured(tmp_path: Path) -> None:
    missing = str(tmp_path / "no" / "jarvis.db")
    for configured, gaps in ((True, 1), (False, 0)):
        sqlite = SqliteTarget(missing, configured)
        made = materialise(collect, HostTarget(str(tmp_path), docker=nowhere(tmp_path), sqlite=sqlite))
        assert len(made.gaps) == gaps
        assert [row["holds"] for row in made.tables["disk_usage"]] == ["home"]


def test_every_clock_is_compared(tmp_path: Path, images: Images) -> None:
    with servers.serving(late) as port, redis_server(tmp_path / "redis") as server:
        http = HttpTarget(f"http://127.0.0.1:{port}/health", configured=True)
        docker = DockerTarget(configured=True)
        made = materialise(collect, HostTarget(str(tmp_path), docker, http, server.target()))
    (gap,) = made.gaps
    assert gap.startswith("the clock of the health endpoint is 86,")
    assert "behind irkit's" in gap
    rows = {row["source"]: row for row in made.tables["clock_skew"]}
    assert set(rows) == {"docker", "http", "redis"}
    for source, expected_s in (("docker", 0.0), ("http", -86400.0), ("redis", 0.0)):
        assert abs(rows[source]["skew_s"] - expected_s) <= rows[source]["uncertainty_s"] + 1e-6


def test_clocks_that_are_silent_do_not_keep_the_others_from_being_heard(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.sock"
    with servers.serving(late) as port, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(deaf))
        listener.listen(8)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            redis = RedisTarget(Secret(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"), configured=True)
            http = HttpTarget(f"http://127.0.0.1:{port}/health", configured=True)
            docker = DockerTarget(f"unix://{deaf}", configured=True)
            hasty = partial(collect, limits=Limits(deadline_s=3.0))
            made = materialise(hasty, HostTarget(str(tmp_path), docker, http, redis))
    told = {row["source"]: row.get("reason") for row in made.tables["clock_skew"]}
    assert told.pop("http") is None
    assert set(told) == {"docker", "redis"}
    assert all(" could not be compared: " in str(reason) for reason in told.values())
    assert [gap.split(" is ")[0] for gap in made.gaps] == ["the clock of the health endpoint"]
    assert [row["holds"] for row in made.tables["disk_usage"]] == ["home"]


def test_a_health_endpoint_that_is_down_is_a_reason_in_the_table_and_no_gap(tmp_path: Path) -> None:
    """`http-health` tells that it is down; said twice it would look like two sources that could not be looked at."""
    url = f"http://127.0.0.1:{servers.free_port()}/health"
    made = materialise(collect, HostTarget(str(tmp_path), nowhere(tmp_path), HttpTarget(url, configured=True)))
    assert made.gaps == []
    (row,) = made.tables["clock_skew"]
    assert row["reason"] == (
        f"the clock of the health endpoint could not be compared: {url} did not answer "
        "(connection refused: nothing listens there)"
    )
    assert row.get("skew_s") is None


def test_a_source_that_answers_and_tells_no_time_is_a_gap(tmp_path: Path) -> None:
    with servers.serving(servers.answer(b"{}")) as port:
        http = HttpTarget(f"http://127.0.0.1:{port}/health", configured=True)
        made = materialise(collect, HostTarget(str(tmp_path), nowhere(tmp_path), http))
    told = "the clock of the health endpoint could not be compared: the answer tells no time (no valid Date header)"
    assert (made.gaps, made.tables["clock_skew"]) == ([told], [])


def test_defaults_that_do_not_answer_are_nobodys_clocks(tmp_path: Path) -> None:
    port = servers.free_port()
    redis, http = RedisTarget(Secret(f"redis://127.0.0.1:{port}/0")), HttpTarget(f"http://127.0.0.1:{port}/health")
    made = materialise(collect, HostTarget(str(tmp_path), nowhere(tmp_path), http, redis))
    assert (made.gaps, made.tables["clock_skew"]) == ([], [])
