"""What the report reads out of a bundle, whichever way a container ended and however odd the tables are."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from irkit.report import facts
from irkit.report.facts import View
from tests.support.example_bundle import CRASH, START, TABLES, Row, containers, example_bundle, health, logs

NOTHING: list[Row] = []


def api(**changes: object) -> list[Row]:
    """The two containers, the API's row changed."""
    first, second = containers()
    return [first | changes, second]


def view(folder: Path, **instead: list[Row]) -> View:
    return View(example_bundle(folder, instead=instead))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "jarvis-api exited with code 1 at 03:12:09 UTC"),
        (
            {"exit_code": 137, "oom_killed": True},
            "jarvis-api exited with code 137 (killed for its use of memory) at 03:12:09 UTC",
        ),
        ({"exit_code": 137}, "jarvis-api exited with code 137 (ended by SIGKILL) at 03:12:09 UTC"),
        ({"exit_code": 139}, "jarvis-api exited with code 139 (ended by SIGSEGV) at 03:12:09 UTC"),
        ({"exit_code": 255}, "jarvis-api exited with code 255 at 03:12:09 UTC"),
        ({"exit_code": 127, "finished_at": None, "started_at": None}, "jarvis-api exited with code 127"),
        ({"state": "running", "health": "unhealthy", "exit_code": None}, "jarvis-api is running but unhealthy"),
        ({"state": "paused", "health": "none", "exit_code": None}, "jarvis-api is paused"),
    ],
)
def test_each_way_to_end_is_told_apart(changes: dict[str, object], sentence: str, tmp_path: Path) -> None:
    told = facts.telling(view(tmp_path, containers=api(**changes), container_events=NOTHING))
    assert told is not None
    assert told.text == sentence
    assert "compose-services/containers" in told.evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "running", "health": "healthy", "exit_code": None},
        {"exit_code": 0},
        {"finished_at": START - timedelta(days=3)},  # a job that failed days ago is no part of this
    ],
)
def test_where_nothing_ended_badly_nothing_is_told(changes: dict[str, object], tmp_path: Path) -> None:
    calm = {"health": "none"} | changes
    assert facts.telling(view(tmp_path, containers=api(**calm), container_events=NOTHING)) is None


def test_a_container_that_came_back_is_known_by_its_events(tmp_path: Path) -> None:
    running = api(state="running", health="healthy", exit_code=None, finished_at=None)
    (found,) = facts.exits(view(tmp_path, containers=running))
    assert (found.service, found.exit_code, found.at) == ("jarvis-api", 1, CRASH)
    assert found.evidence == "container-events/container_events"


def test_one_that_was_asked_to_stop_comes_after_one_that_crashed(tmp_path: Path) -> None:
    crashed, other = containers()
    stopped = other | {"state": "exited", "exit_code": 143, "finished_at": CRASH + timedelta(minutes=5)}
    found = facts.exits(view(tmp_path, containers=[crashed, stopped], container_events=NOTHING))
    assert [(one.service, one.exit_code) for one in found] == [("jarvis-api", 1), ("redis", 143)]


def test_the_gravest_of_the_last_lines_is_quoted_not_the_last(tmp_path: Path) -> None:
    after = {"at": CRASH, "service": "jarvis-api", "name": "x", "stream": "stdout", "line": "INFO:jarvis:closing"}
    told = facts.telling(view(tmp_path, logs=[*logs(), after]))
    assert told is not None
    assert told.quote.startswith("CRITICAL:jarvis.main")


def test_without_an_error_the_last_line_is_quoted_and_without_a_line_none(tmp_path: Path) -> None:
    line = {"at": CRASH, "service": "jarvis-api", "name": "x", "stream": "stdout", "line": "bye"}
    told = facts.telling(view(tmp_path / "one", logs=[line]))
    assert told is not None
    assert told.quote == "bye"
    silent = facts.telling(view(tmp_path / "none", logs=NOTHING))
    assert silent is not None
    assert silent.quote == ""


def test_what_the_next_run_says_is_not_quoted_as_the_end_of_this_one(tmp_path: Path) -> None:
    shared: Row = {"service": "jarvis-api", "name": "x", "stream": "stdout"}
    lines: list[Row] = [{**shared, "at": CRASH, "line": "bye"}]
    lines += [{**shared, "at": CRASH + timedelta(seconds=1), "line": "starting up"}]
    event = {"at": CRASH + timedelta(milliseconds=400), "service": "jarvis-api", "action": "start"}
    usual = TABLES["container_events"][2]
    told = facts.telling(view(tmp_path, logs=lines, container_events=[*usual, usual[0] | event]))
    assert told is not None
    assert told.quote == "bye"


def test_of_a_line_of_fields_what_it_says_is_quoted(tmp_path: Path) -> None:
    said = {"level": "critical", "event": "request_finished", "exc_type": "OutOfMemoryError", "exc": "not allowed"}
    line = {"at": CRASH, "service": "jarvis-api", "name": "x", "stream": "stdout", "line": json.dumps(said)}
    told = facts.telling(view(tmp_path, logs=[line]))
    assert told is not None
    assert told.quote == "OutOfMemoryError: not allowed"
    assert told.full == json.dumps(said)


def test_a_request_served_just_before_the_end_is_not_quoted(tmp_path: Path) -> None:
    shared: Row = {"at": CRASH, "service": "jarvis-api", "name": "x", "stream": "stdout"}
    served = {**shared, "line": "2026-11-28 01:37:40,406 INFO [till] GET /history -> 200 in 117.5 ms"}
    told = facts.telling(view(tmp_path / "one", logs=[{**shared, "line": "bye"}, served]))
    assert told is not None
    assert told.quote == "bye"
    told = facts.telling(view(tmp_path / "two", logs=[served]))
    assert told is not None
    assert told.quote == ""


def upstream(count: int) -> list[Row]:
    """Requests that the API sends to a provider, which publishes no port."""
    text = 'INFO:provider.access:"POST /v1/complete HTTP/1.1" 200 0.010s'
    shared: Row = {"service": "provider-alpha", "name": "jarvis-provider-alpha-1", "stream": "stdout", "line": text}
    return [shared | {"at": START + timedelta(seconds=step)} for step in range(count)]


def test_only_requests_from_outside_are_traffic(tmp_path: Path) -> None:
    provider = containers()[1] | {"service": "provider-alpha", "name": "jarvis-provider-alpha-1", "ports": "8001/tcp"}
    seen = view(tmp_path, logs=[*upstream(40), *logs()], containers=[*containers(), provider])
    traffic = seen.traffic()
    assert traffic is not None
    assert set(traffic["service"]) == {"jarvis-api"}
    assert not any("/api/health" in path for path in traffic["path"])


@pytest.mark.parametrize("ports", [None, "8000/tcp", "127.0.0.1:6379->6379/tcp"])
def test_where_no_service_with_a_port_logs_requests_all_are_traffic(ports: str | None, tmp_path: Path) -> None:
    api, redis = containers()
    rows = [api | {"ports": None}, redis | {"ports": ports}]
    traffic = view(tmp_path, logs=[*upstream(40), *logs()], containers=rows).traffic()
    assert traffic is not None
    assert set(traffic["service"]) == {"jarvis-api", "provider-alpha"}


@pytest.mark.parametrize(("minutes", "services"), [((-1, 1), {"jarvis-api"}), ((1, 5), set()), ((-5, -1), set())])
def test_which_containers_stopped_is_asked_for_a_time(
    minutes: tuple[int, int], services: set[str], tmp_path: Path
) -> None:
    start, end = (CRASH + timedelta(minutes=minute) for minute in minutes)
    calm = api(exit_code=0)
    assert facts.stopped(view(tmp_path / "state", containers=calm, container_events=NOTHING), start, end) == services
    assert facts.stopped(view(tmp_path / "events", containers=NOTHING), start, end) == services


def test_missing_values_of_every_kind_become_none(tmp_path: Path) -> None:
    rows = view(tmp_path).records("containers")
    assert [row["exit_code"] for row in rows] == [1, None]
    assert [type(row["finished_at"]).__name__ for row in rows] == ["datetime", "NoneType"]
    assert rows[0]["oom_killed"] is False


def test_why_something_is_missing_is_the_collectors_own_reason(tmp_path: Path) -> None:
    seen = view(tmp_path)
    assert seen.why_missing("redis_info")[0].startswith("redis-info failed: Redis at")
    assert seen.why_missing("container_stats") == (
        "container-stats timed out: stopped at its deadline of 10 s",
        "raise [collect] deadline_s",
    )
    assert seen.why_missing("heap")[0] == "no collector was asked for heap"


def test_one_that_the_kernel_killed_and_was_started_again_is_told_as_killed(tmp_path: Path) -> None:
    shared: Row = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "image": "jarvis-api"}
    rows: list[Row] = [
        shared | {"at": CRASH - timedelta(milliseconds=60), "action": "oom", "exit_code": None},
        shared | {"at": CRASH, "action": "die", "exit_code": 137},
        shared | {"at": CRASH + timedelta(milliseconds=500), "action": "start", "exit_code": None},
    ]
    running = api(state="running", health="healthy", exit_code=None, finished_at=None)
    line = {"at": CRASH, "service": "jarvis-api", "name": "x", "stream": "stdout", "line": "rendered"}
    made = view(tmp_path / "killed", containers=running, container_events=rows, logs=[line])
    told = facts.telling(made)
    assert told is not None
    assert told.text.endswith("exited with code 137 (killed for its use of memory) at 03:12:09 UTC")
    assert told.quote == "", "whom the kernel kills has no time to say why"
    lived_on = [rows[0] | {"at": CRASH - timedelta(minutes=1)}, *rows[1:]]
    (other,) = facts.exits(view(tmp_path / "lived", containers=running, container_events=lived_on))
    assert not other.oom_killed, "a process within was, a minute before"


def test_one_that_was_asked_to_end_and_was_killed_as_it_took_too_long_has_not_exited(tmp_path: Path) -> None:
    """As `docker stop` and a replacement by Compose do it."""
    shared: Row = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "image": "jarvis-api"}

    def kill(before_s: float, by: str) -> Row:
        return shared | {"at": CRASH - timedelta(seconds=before_s), "action": "kill", "exit_code": None, "signal": by}

    died = shared | {"at": CRASH, "action": "die", "exit_code": 137, "signal": None}
    running = api(state="running", health="healthy", exit_code=None, finished_at=None)
    stopped = [kill(10.1, "SIGTERM"), kill(0.1, "SIGKILL"), died]
    assert facts.exits(view(tmp_path / "stopped", containers=running, container_events=stopped)) == ()
    (one,) = facts.exits(view(tmp_path / "killed", containers=running, container_events=[kill(0.1, "SIGKILL"), died]))
    assert one.exit_code == 137, "somebody killed it"
    down = api(state="exited", health="none", exit_code=137, finished_at=CRASH)
    made = view(tmp_path / "down", containers=down, container_events=stopped)
    (one,) = facts.exits(made)
    assert one.sentence == "jarvis-api was stopped on request (exit code 137) at 03:12:09 UTC"
    worker: Row = {
        "service": "worker",
        "name": "worker-1",
        "image": "w",
        "action": "die",
        "exit_code": 1,
        "signal": None,
    }
    often = [*stopped, *(worker | {"at": CRASH + timedelta(seconds=each)} for each in (1, 20, 40))]
    made = view(tmp_path / "other", containers=down, container_events=often)
    first = facts.first_exit(made, CRASH)
    assert first is not None
    assert first.service == "jarvis-api", "the worker goes on ending for reasons of its own"
    later = facts.first_exit(made, CRASH - timedelta(minutes=1))
    assert later is not None
    assert later.service == "worker", "stopped a minute after it began is what was done about it"


def test_the_flag_of_a_container_that_runs_again_is_of_a_run_that_is_over(tmp_path: Path) -> None:
    """Docker keeps `OOMKilled` of the last run where it was started again by the engine."""
    probes = [row | {"verdict": "healthy", "status_code": 200} for row in health()]
    killed = {"oom_killed": True, "exit_code": 0, "finished_at": CRASH}
    again = api(**killed, state="running", health="healthy")
    made = view(tmp_path / "again", containers=again, container_events=NOTHING, health=probes)
    assert facts.broken(made) is False
    (one,) = facts.exits(made)
    assert one.sentence == "jarvis-api stopped (killed for its use of memory) at 03:12:09 UTC", (
        "it is part of the story"
    )
    died: Row = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "action": "die", "at": CRASH, "exit_code": 137}
    (one,) = facts.exits(view(tmp_path / "event", containers=again, container_events=[died], health=probes))
    assert (one.exit_code, one.oom_killed) == (137, True), "the flag and the event are of one end"
    for name, state in (("down", {"state": "exited", "health": "none"}), ("ill", {"health": "unhealthy"})):
        rows = api(**({**killed, "state": "running"} | state))
        assert facts.broken(view(tmp_path / name, containers=rows, container_events=NOTHING, health=probes)) is True
