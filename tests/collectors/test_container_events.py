"""Events that real containers caused, as far as the daemon remembers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from irkit.collectors.container_events import collect
from irkit.model import Window
from irkit.settings import DockerTarget
from tests.collectors.lab import LITTLE_BYTES, SLEEP, WAITS_FOR_GO, Lab, Rows, gathered, python

HIDDEN_CHILD = f"""{WAITS_FOR_GO}
if os.fork() == 0:
    held = bytearray(2**28)
os.wait()
"""


def since(start: datetime) -> Window:
    return Window(start, datetime.now(UTC) + timedelta(minutes=10))


def actions(rows: Rows, service: str) -> list[tuple[object, ...]]:
    return [(row["action"], row["exit_code"], row["signal"]) for row in rows if row["service"] == service]


def test_what_happened_in_order_with_codes_and_signals(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("exits", python("raise SystemExit(3)"))
    killed = lab.run("killed", SLEEP)
    killed.kill()
    killed.wait()
    tables, gaps = gathered(collect, lab.target, since(start))
    rows = tables["container_events"]
    assert actions(rows, "exits") == [("create", None, None), ("start", None, None), ("die", 3, None)]
    assert [event for event in actions(rows, "killed") if event[0] in {"kill", "die"}] == [
        ("kill", None, "SIGKILL"),
        ("die", 137, None),
    ]
    image = lab.client.images.get(lab.image).id
    assert {(row["image"], row["image_id"]) for row in rows} == {(lab.image, image)}
    times = [row["at"] for row in rows]
    assert times == sorted(times)
    assert gaps == []


def test_a_child_killed_for_memory_shows_though_the_container_lives(lab: Lab) -> None:
    start = datetime.now(UTC)
    survivor = lab.run("survivor", python(HIDDEN_CHILD), mem_limit=LITTLE_BYTES, memswap_limit=LITTLE_BYTES)
    lab.let_go(survivor)
    survivor.wait(timeout=30)
    lab.heard_of_kill(survivor)
    survivor.reload()
    assert survivor.attrs["State"]["ExitCode"] == 0
    tables, _ = gathered(collect, lab.target, since(start))
    assert ("oom", None, None) in actions(tables["container_events"], "survivor")


def test_events_of_containers_that_are_gone_and_of_other_projects(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("removed", python("pass")).remove()
    tables, _ = gathered(collect, lab.target, since(start))
    assert ("destroy", None, None) in actions(tables["container_events"], "removed")
    tables, _ = gathered(collect, DockerTarget(project="another"), since(start))
    assert tables == {"container_events": []}
    tables, _ = gathered(collect, DockerTarget(project=lab.project, services=("another",)), since(start))
    assert tables == {"container_events": []}


def test_looking_into_a_container_is_no_event(lab: Lab) -> None:
    container = lab.run("looked-at", SLEEP)
    start = datetime.now(UTC)
    assert container.exec_run(["sh", "-c", ":"]).exit_code == 0
    container.top()
    tables, _ = gathered(collect, lab.target, since(start))
    assert tables == {"container_events": []}


def test_the_window_is_half_open(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("exits", python("raise SystemExit(3)"))
    tables, _ = gathered(collect, lab.target, since(start))
    created, started, died = (row["at"] for row in tables["container_events"])
    tables, _ = gathered(collect, lab.target, Window(started, died))
    assert [row["action"] for row in tables["container_events"]] == ["start"]
    assert created < started


def test_when_the_daemons_memory_does_not_reach_back_the_gap_says_how_far_it_does(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("forgotten", python("pass"))
    renamed = lab.create("renamed", SLEEP)
    for number in range(256):
        renamed.rename(f"{lab.project}-{number}")
    tables, gaps = gathered(collect, lab.target, since(start))
    assert actions(tables["container_events"], "forgotten") == []
    (gap,) = gaps
    assert re.fullmatch(
        r"events from [-\d]+ [:\d]+ UTC on; the Docker Engine remembers its last 256 only, older ones are lost", gap
    )
    # the memory is as full now, yet reaches back to before this window
    lab.finish("remembered", python("pass"))
    tables, gaps = gathered(collect, lab.target, since(tables["container_events"][-1]["at"]))
    assert [event[0] for event in actions(tables["container_events"], "remembered")] == ["create", "start", "die"]
    assert gaps == []
