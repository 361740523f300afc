"""Logs that real containers wrote through real drivers, read back by time."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from docker.models.containers import Container

from irkit.collect.contract import Gap, Limits, Table
from irkit.collectors import container_logs
from irkit.collectors.container_logs import collect
from irkit.model import Window
from irkit.settings import DockerTarget
from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import SLEEP, Lab, Rows, each_at_once, gathered, python, recent, taken
from tests.stack.engine import wait_until

MANY = 5_000
LONG = "A" * 40_000
EXACT = "B" * 16_384
WRITE = "import os; w = lambda text, to=1: os.write(to, text if isinstance(text, bytes) else text.encode()); "
LONG_LINES = python(
    "import sys; out = sys.stdout; "
    "[out.write(text + chr(10)) for text in ('before', 'A' * 40_000, 'B' * 16_384, 'after')]"
)


@pytest.fixture(scope="module")
def seen(module_lab: Lab) -> Rows:
    lab = module_lab
    makers: list[Callable[[], Container]] = [
        lambda: lab.finish("web", python(f"[print('request', n) for n in range({MANY})]")),
        lambda: lab.finish("worker", python("[print('job', n) for n in range(300)]")),
        lambda: lab.finish("both", python(WRITE + "w('to out\\n'); w('to err\\n', 2)")),
        lambda: lab.finish("long", LONG_LINES),
        lambda: lab.finish("long-local", LONG_LINES, log_config={"type": "local"}),
        lambda: lab.finish("long-tty", LONG_LINES, tty=True),
        lambda: lab.finish("tty", python("print('to out'); import sys; print('to err', file=sys.stderr)"), tty=True),
        lambda: lab.finish("bytes", python(WRITE + "w(b'caf\\xe9 \\x00\\x1b[31m\\n')"), log_config={"type": "local"}),
        lambda: lab.finish("utf8", python(WRITE + "w('\\u00fcber \\U0001f600 \\u2028 one line\\n')")),
        lambda: lab.finish("silent", python("pass")),
        lambda: lab.create("never-started", SLEEP),
        lambda: restarted(lab),
        lambda: lab.run("running", python("print('up'); import signal; signal.pause()")),
    ]
    each_at_once(lambda make: make(), makers)
    tables, gaps = gathered(collect, lab.target, recent())
    assert gaps == []
    return tables["logs"]


def restarted(lab: Lab) -> Container:
    """A container whose process died twice in the middle of a line."""
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    container = lab.run("restarted", python(WRITE + "w('no newline'); raise SystemExit(1)"), restart_policy=policy)

    def given_up() -> bool:
        container.reload()
        return container.attrs["RestartCount"] == 1 and container.status == "exited"

    wait_until(given_up, "it was restarted once and died again")
    return container


def lines(rows: Rows, service: str) -> list[str]:
    return [row["line"] for row in rows if row["service"] == service]


def only(lab: Lab, service: str) -> DockerTarget:
    return replace(lab.target, services=(service,))


def test_all_services_are_merged_by_time_and_each_keeps_its_own_order(seen: Rows) -> None:
    times = [row["at"] for row in seen]
    assert times == sorted(times)
    assert lines(seen, "web") == [f"request {n}" for n in range(MANY)]
    assert lines(seen, "worker") == [f"job {n}" for n in range(300)]


def test_services_that_speak_in_turn_are_read_in_turn(lab: Lab) -> None:
    answer = "import signal\nsignal.signal(signal.SIGHUP, lambda *_: print('spoke'))\nprint('ready')\n"
    speakers = [lab.run(name, python(answer + "while True: signal.pause()")) for name in ("one", "two")]

    def wait_for(container: Container, count: int) -> None:
        wait_until(lambda: container.logs().count(b"\n") == count, f"{container.name} wrote {count} lines")

    for speaker in speakers:
        wait_for(speaker, 1)
    for turn in range(3):
        for speaker in speakers:
            speaker.kill("SIGHUP")
            wait_for(speaker, 2 + turn)
    tables, _ = gathered(collect, lab.target, recent())
    assert [row["service"] for row in tables["logs"] if row["line"] == "spoke"] == ["one", "two"] * 3


def test_times_are_the_engines_and_aware(seen: Rows, module_lab: Lab) -> None:
    state = next(each for each in module_lab.containers() if each.name.endswith("-worker-1")).attrs["State"]
    started, finished = (datetime.fromisoformat(state[name]) for name in ("StartedAt", "FinishedAt"))
    times = [row["at"] for row in seen if row["service"] == "worker"]
    slack = timedelta(seconds=0.5)
    assert started - slack <= times[0] <= times[-1] <= finished + slack
    assert {at.tzinfo for at in times} == {UTC}


def test_the_streams_are_told_apart(seen: Rows) -> None:
    found = {(row["stream"], row["line"]) for row in seen if row["service"] == "both"}
    assert found == {("stdout", "to out"), ("stderr", "to err")}


def test_a_terminal_has_one_stream_and_no_carriage_returns(seen: Rows) -> None:
    found = [(row["stream"], row["line"]) for row in seen if row["service"] == "tty"]
    assert found == [("stdout", "to out"), ("stdout", "to err")]


@pytest.mark.parametrize("service", ["long", "long-local", "long-tty"])
def test_lines_the_daemon_split_are_whole_again_without_its_stamps(seen: Rows, service: str) -> None:
    assert lines(seen, service) == ["before", LONG, EXACT, "after"]


def test_bytes_that_are_not_utf8_are_kept(seen: Rows) -> None:
    (line,) = lines(seen, "bytes")
    assert line.encode("utf-8", "surrogateescape") == b"caf\xe9 \x00\x1b[31m"


def test_text_beyond_ascii_is_one_line(seen: Rows) -> None:
    assert lines(seen, "utf8") == ["über \U0001f600 \u2028 one line"]


def test_the_last_words_of_a_run_are_not_joined_to_the_first_of_the_next(seen: Rows) -> None:
    assert lines(seen, "restarted") == ["no newline", "no newline"]


def test_a_container_that_said_nothing_is_no_gap(seen: Rows) -> None:
    assert lines(seen, "silent") == lines(seen, "never-started") == []
    assert lines(seen, "running") == ["up"]


def test_the_window_is_half_open_and_found_from_the_tail(seen: Rows, module_lab: Lab) -> None:
    rows = [row for row in seen if row["service"] == "web"]
    start, end = rows[MANY // 4]["at"], rows[MANY // 2]["at"]
    tables, gaps = gathered(collect, only(module_lab, "web"), Window(start, end))
    assert tables["logs"] == [row for row in rows if start <= row["at"] < end]
    assert gaps == []


def test_of_too_many_lines_the_newest_are_kept_and_the_gap_says_from_when(
    seen: Rows, module_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_logs, "_PART_BYTES", 50_000)
    monkeypatch.setattr(container_logs, "_LEAST_BYTES", 50_000)
    tables, gaps = taken(collect(only(module_lab, "web"), recent(), Limits(max_size_bytes=10_000)))
    kept = [row["line"] for row in tables["logs"]]
    assert 0 < len(kept) < MANY
    assert kept == [f"request {n}" for n in range(MANY - len(kept), MANY)]
    name = f"container {module_lab.project}-web-1"
    since = f"logs from {tables['logs'][0]['at']:%Y-%m-%d %H:%M:%S} UTC on"
    assert gaps == [f"{name}: {since}; older ones were not read, they are too many"]
    assert seen


def test_in_many_small_parts_the_logs_are_the_same(
    seen: Rows, module_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_logs, "_PART_BYTES", 50_000)
    monkeypatch.setattr(container_logs, "_LEAST_BYTES", 20_000)
    parts = [list(piece.rows) for piece in collect(module_lab.target, recent()) if isinstance(piece, Table)]
    assert len(parts) > 5
    tables, gaps = gathered(collect, module_lab.target, recent())
    assert gaps == []
    key = operator.itemgetter("at", "service", "stream", "line")
    assert sorted(tables["logs"], key=key) == sorted(seen, key=key)
    assert [row["at"] for row in tables["logs"]] == sorted(row["at"] for row in seen)


def test_a_beginning_that_was_rotated_away_is_a_gap(lab: Lab) -> None:
    chatter = python("[print('line', n) for n in range(2000)]")
    rotated = {"type": "json-file", "config": {"max-size": "10k", "max-file": "2"}}
    roomy = {"type": "json-file", "config": {"max-size": "10m", "max-file": "2"}}
    lab.finish("rotated", chatter, log_config=rotated)
    lab.finish("roomy", chatter, log_config=roomy)
    tables, gaps = gathered(collect, lab.target, recent())
    assert lines(tables["logs"], "roomy") == [f"line {n}" for n in range(2000)]
    kept = lines(tables["logs"], "rotated")
    assert kept == [f"line {n}" for n in range(2000 - len(kept), 2000)]
    assert 0 < len(kept) < 2000
    (gap,) = gaps
    assert gap.startswith(f"container {lab.project}-rotated-1: logs from ")
    assert gap.endswith("were rotated away (driver json-file, max-size 10k, max-file 2)")


def test_logs_a_driver_does_not_keep_are_a_gap_and_the_others_stay(lab: Lab) -> None:
    lab.finish("kept", python("print('here')"))
    lost = lab.finish("lost", python("print('gone')"), log_config={"type": "none"})
    uncached = {"type": "syslog", "config": {"syslog-address": "udp://127.0.0.1:9", "cache-disabled": "true"}}
    sent = lab.finish("sent", python("print('away')"), log_config=uncached)
    tables, gaps = gathered(collect, lab.target, recent())
    assert [row["line"] for row in tables["logs"]] == ["here"]
    assert gaps == [
        f"container {lost.name}: logs are not kept by driver none",
        f"container {sent.name}: logs are not kept by driver syslog",
    ]


def test_a_container_removed_after_the_listing_is_a_gap_and_the_others_stay(lab: Lab) -> None:
    lab.finish("staying", python("print('here')"))
    gone = lab.finish("gone", python("print('gone')"))
    pieces = collect(lab.target, recent())
    table = next(pieces)
    gone.remove()
    assert [row["line"] for row in table.rows] == ["here"]  # type: ignore[union-attr]
    vanished, removed = taken(pieces)[1]
    assert vanished == f"container {gone.name} of service gone vanished while it was looked at"
    assert removed.startswith(f"container {gone.name} of service gone was removed at ")


def test_a_container_recreated_in_the_window_took_its_logs_with_it(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("web", python("print('first')")).remove()
    between = datetime.now(UTC)
    lab.finish("web", python("print('second')"))
    tables, gaps = gathered(collect, lab.target, Window(start, start + timedelta(hours=1)))
    assert lines(tables["logs"], "web") == ["second"]
    (gap,) = gaps
    assert gap.startswith(f"container {lab.project}-web-1 of service web was removed at ")
    assert gap.endswith(" UTC, and its logs with it")
    (known,) = (
        piece for piece in collect(lab.target, Window(start, start + timedelta(hours=1))) if isinstance(piece, Gap)
    )
    assert known.before is not None
    assert start < known.before < between
    assert gathered(collect, lab.target, Window(between, between + timedelta(hours=1)))[1] == []


def test_whether_a_container_is_the_first_is_unknown_where_the_engine_has_forgotten(lab: Lab) -> None:
    start = datetime.now(UTC)
    lab.finish("web", python("print('here')"))
    lab.finish("worker", python("print('here')"))
    other = lab.create("other", SLEEP)
    for number in range(256):
        other.rename(f"{lab.project}-{number}")
    (gap,) = gathered(collect, only(lab, "web"), Window(start, start + timedelta(hours=1)))[1]
    one = rf"container {lab.project}-web-1 was made at [-\d]+ [:\d]+ UTC; if that replaced .* no longer knows"
    assert re.fullmatch(one, gap)
    (gap,) = gathered(collect, lab.target, Window(start, start + timedelta(hours=1)))[1]
    several = r"3 containers were made from [-\d]+ [:\d]+ UTC on; if they replaced older ones, .* no longer knows"
    assert re.fullmatch(several, gap)


def test_an_engine_that_forgets_while_it_is_asked_is_seen_to(lab: Lab, faulty_engine: FaultyEngine) -> None:
    start = datetime.now(UTC)
    lab.finish("web", python("print('here')"))
    other = lab.create("other", SLEEP)
    for number in range(256):
        other.rename(f"{lab.project}-{number}")
    # as on a busy machine: between the question for its time and the one for its events
    faulty_engine.before("/events", lambda: [other.rename(f"{lab.project}-again-{number}") for number in range(5)])
    target = replace(faulty_engine.target(lab), services=("web",))
    (gap,) = gathered(collect, target, Window(start, start + timedelta(hours=1)))[1]
    assert "the Docker Engine no longer knows" in gap


def test_a_log_that_breaks_off_is_a_gap_and_the_others_stay(lab: Lab, faulty_engine: FaultyEngine) -> None:
    lab.finish("whole", python("[print('line', n) for n in range(1000)]"))
    broken = lab.finish("broken", python("[print('line', n) for n in range(1000)]"))
    faulty_engine.cut(f"/containers/{broken.id}/logs", after_bytes=20_000)
    tables, gaps = gathered(collect, faulty_engine.target(lab), recent())
    assert lines(tables["logs"], "whole") == [f"line {n}" for n in range(1000)]
    had = [int(line.removeprefix("line ")) for line in lines(tables["logs"], "broken")]
    assert 0 < len(had) < 1000
    assert had == list(range(had[0], had[0] + len(had)))
    (gap,) = gaps
    assert gap.startswith(f"container {broken.name}: the connection to the Docker Engine broke")


def test_a_line_without_end_is_cut_and_the_cut_is_said(lab: Lab) -> None:
    lab.finish("endless", python("print('x' * 3_000_000); print('after')"))
    tables, gaps = gathered(collect, lab.target, recent())
    assert [(len(row["line"]), row["line"][:5]) for row in tables["logs"]] == [(1024 * 1024, "xxxxx"), (5, "after")]
    assert gaps == [f"container {lab.project}-endless-1: lines cut at 1048576 bytes: 1"]


def test_a_log_that_grows_while_it_is_read_ends(lab: Lab) -> None:
    busy = lab.run("busy", python("import itertools\nfor n in itertools.count(): print('line', n)"))
    wait_until(lambda: bool(busy.logs(tail=1)), "it says something")
    end = datetime.now(UTC) + timedelta(seconds=0.5)
    tables, _ = gathered(collect, lab.target, Window(end - timedelta(minutes=1), end))
    assert all(row["at"] < end for row in tables["logs"])
    assert tables["logs"]


def test_containers_that_all_keep_still_give_an_empty_table(lab: Lab) -> None:
    lab.run("quiet", SLEEP)
    assert gathered(collect, lab.target, recent()) == ({"logs": []}, [])
