"""Memory and processor time: what rises is drawn with its trend and limit, what is calm or unknown is told."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import runbook
from irkit.charts import Turn
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import Incident, Status
from irkit.report.facts import View
from irkit.report.material import Material
from irkit.report.parts import Gap
from irkit.report.resources import Resources, resources
from tests.support.type_evidence import BEGAN, START, Row, probe, sealed

MIB = 1024 * 1024
INCIDENT = Incident(42, "Down", "memory-leak", "Medium", Status.OPEN, BEGAN)


def history(service: str, values: list[float], *, restart_at: int = 0, limit: int | None = 256) -> list[Row]:
    """A sample each five seconds, in MiB; the container was started anew before the sample `restart_at`."""
    return [
        {
            "at": START + timedelta(seconds=5 * number),
            "service": service,
            "name": f"jarvis-{service}-1",
            "started_at": START + timedelta(seconds=5 * restart_at - 1 if number >= restart_at else -60),
            "cpu_percent": 5.0 + number % 3,
            "memory_usage_bytes": int(value * MIB),
            "memory_limit_bytes": limit * MIB if limit else None,
        }
        for number, value in enumerate(values)
    ]


def shown(
    folder: Path, *histories: list[Row], events: list[Row] | None = None, containers: list[Row] | None = None
) -> Resources | Gap:
    rows = [row for each in histories for row in each]
    evidence = {"container_events": events or []} | ({"container_history": rows} if rows else {})
    evidence |= {"containers": containers} if containers else {}
    bundle = sealed(folder, evidence)
    return resources(Material(INCIDENT, (), runbook.load(), bundle, Diagnosis((), ()), BEGAN, (), View(bundle)))


LEAK = [20.0 + 1.5 * number + number % 2 / 10 for number in range(100)]
CALM = [30.0 + number % 3 / 10 for number in range(100)]


def test_what_rises_comes_first_with_its_trend_and_its_limit(tmp_path: Path) -> None:
    found = shown(tmp_path, history("redis", CALM), history("jarvis-api", LEAK))
    assert isinstance(found, Resources)
    first, second = found.rows
    assert (first.name, first.course, first.rises) == ("jarvis-api", "rises", True)
    assert first.growth.startswith("1.1 GiB an hour (")
    assert first.full.startswith("in 4 min")
    assert (second.course, second.growth, second.full) == ("keeps its level", "", "")
    assert found.chart is not None
    assert [lane.name for lane in found.chart.lanes] == ["jarvis-api, memory", "jarvis-api, CPU"]
    memory = found.chart.lanes[0]
    assert memory.trend is not None
    assert abs(memory.trend[1].value - LEAK[-1]) < 3
    assert memory.limit == 256
    assert "rises, 1.1 GiB an hour" in str(found)


def test_what_rose_before_a_window_that_was_cut_short_is_drawn_from_its_beginning(tmp_path: Path) -> None:
    rows = history("jarvis-api", LEAK)
    for row in rows:
        row["at"] -= timedelta(seconds=5 * 92)
        row["started_at"] = START - timedelta(hours=1)
    evidence = {"container_history_before": rows[:92], "container_history": rows[92:]}
    bundle = sealed(tmp_path, evidence)
    found = resources(Material(INCIDENT, (), runbook.load(), bundle, Diagnosis((), ()), BEGAN, (), View(bundle)))
    assert isinstance(found, Resources)
    assert (found.rows[0].course, found.rows[0].rises) == ("rises", True)
    assert found.chart is not None
    memory, cpu = found.chart.lanes
    assert (memory.points[0].at, len(memory.points)) == (rows[0]["at"], 100)
    assert (cpu.points[0].at, len(cpu.points)) == (START, 8), "of all else only the window is shown"
    assert "recorder-history/container_history_before" in found.evidence


def test_calm_containers_are_drawn_once_without_a_trend(tmp_path: Path) -> None:
    found = shown(tmp_path, history("jarvis-api", CALM), history("redis", CALM, limit=None))
    assert isinstance(found, Resources)
    assert found.chart is not None
    assert [lane.name for lane in found.chart.lanes] == ["jarvis-api, memory", "jarvis-api, CPU"]
    assert all(lane.trend is None for lane in found.chart.lanes)


def test_a_restart_is_marked_once_and_cuts_the_line(tmp_path: Path) -> None:
    values = [*LEAK[:60], *CALM[:60]]
    died: Row = {"at": START + timedelta(seconds=297), "service": "jarvis-api", "action": "die", "exit_code": 137}
    found = shown(tmp_path, history("jarvis-api", values, restart_at=60), events=[died])
    assert isinstance(found, Resources)
    assert found.chart is not None
    assert found.chart.lanes[0].turns == (Turn(died["at"], "restart"),)
    assert found.chart.svg().count('class="curve"') == 4, "two pieces a lane"
    assert "137" not in found.chart.svg()


def test_a_rise_at_an_uneven_pace_that_the_kernel_ended_comes_before_a_steady_one(tmp_path: Path) -> None:
    bent = [20 + 3.6 * number for number in range(37)] + [153.2 + 11.4 * number for number in range(1, 10)]
    leak = history("jarvis-api", [*bent, *CALM[:30]], restart_at=46)
    of = {"service": "jarvis-api", "name": leak[0]["name"]}
    events: list[Row] = [
        {"at": leak[45]["at"] + timedelta(seconds=1 + number / 10), **of, "action": action, "exit_code": 137}
        for number, action in enumerate(("oom", "die"))
    ]
    found = shown(tmp_path, history("redis", LEAK[:76], limit=None), leak, events=events)
    assert isinstance(found, Resources)
    first, second = found.rows
    assert (first.name, first.course, first.rises) == ("jarvis-api", "rose until it was killed", True)
    assert first.full == f"killed at its limit, {events[0]['at']:%H:%M:%S} UTC"
    assert (second.name, second.course) == ("redis", "rises")


def test_what_never_ran_again_was_not_restarted(tmp_path: Path) -> None:
    died: Row = {"at": START + timedelta(seconds=500), "service": "jarvis-api", "action": "die", "exit_code": 1}
    found = shown(tmp_path, history("jarvis-api", LEAK), events=[died])
    assert isinstance(found, Resources)
    assert found.chart is not None
    columns, rows = found.chart.rows()
    assert (columns[-1], rows[0][-1]) == ("Exits and starts", f"exit {died['at']:%H:%M:%S}")
    assert "restart" not in str(found)
    seen = shown(tmp_path / "unseen", history("jarvis-api", LEAK, restart_at=60))
    assert isinstance(seen, Resources)
    assert seen.chart is not None
    assert [turn.word for turn in seen.chart.lanes[0].turns] == ["start"]


def test_too_few_samples_of_one_look_draw_nothing_and_say_what_would(tmp_path: Path) -> None:
    bundle = sealed(tmp_path, {"container_stats": history("jarvis-api", CALM[:5])})
    found = resources(Material(INCIDENT, (), runbook.load(), bundle, Diagnosis((), ()), BEGAN, (), View(bundle)))
    assert isinstance(found, Resources)
    assert found.chart is None
    assert found.rows[0].course == "too few samples to tell"
    assert "5 samples over 20 s show no course: 20 over 1 min 30 s are needed." in str(found)
    assert "irkit record" in str(found)


def test_a_recorder_that_ran_is_not_told_to_have_been_missing(tmp_path: Path) -> None:
    found = shown(tmp_path / "short", history("jarvis-api", CALM[:5]))
    assert "The flight recorder has 5 samples over 20 s of a run of jarvis-api and no more of any" in str(found)
    assert "irkit record" not in str(found)
    # it probed the endpoint and could not see the containers
    evidence = {"container_stats": history("redis", CALM[:5]), "health_history": [probe(1, 0.1)]}
    bundle = sealed(tmp_path / "blind", evidence)
    blind = resources(Material(INCIDENT, (), runbook.load(), bundle, Diagnosis((), ()), BEGAN, (), View(bundle)))
    assert "A flight recorder ran, but of the containers it kept nothing: " in str(blind)
    assert "irkit record" not in str(blind)


@pytest.mark.parametrize(("oom_killed", "told"), [(True, "killed at its limit"), (False, "ended before")])
def test_of_a_process_that_ended_nothing_is_foretold(*, oom_killed: bool, told: str, tmp_path: Path) -> None:
    gone = START + timedelta(seconds=502)
    ended: Row = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "state": "exited", "exit_code": 137}
    ended |= {"oom_killed": oom_killed, "finished_at": gone, "started_at": START - timedelta(seconds=60)}
    found = shown(tmp_path, history("jarvis-api", LEAK), containers=[ended])
    assert isinstance(found, Resources)
    assert found.rows[0].rises
    assert found.rows[0].full == f"{told}, {gone:%H:%M:%S} UTC"
    assert found.rows[0].course == ("rose until it was killed" if oom_killed else "rose until it ended")
    assert found.chart is not None
    assert found.chart.lanes[0].said.startswith("rose until it ")


def test_without_samples_the_gap_is_named(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert isinstance(found, Gap)
    assert "container-stats failed: nothing answered" in found.reason


def test_the_container_that_had_ended_is_told_of_though_it_gave_no_sample(tmp_path: Path) -> None:
    ended = {"service": "jarvis-api", "name": "jarvis-api-1", "state": "exited", "memory_limit_bytes": 256 * MIB}
    running = {"service": "redis", "name": "jarvis-redis-1", "state": "running"}
    found = shown(tmp_path, history("redis", CALM), containers=[ended, running])
    assert isinstance(found, Resources)
    assert [(row.name, row.course) for row in found.rows] == [
        ("jarvis-api", "no sample, as it was exited"),
        ("redis", "keeps its level"),
    ]
    assert found.rows[0].limit_bytes == 256 * MIB


def test_on_a_phone_what_is_said_of_a_lane_stands_below_its_name(tmp_path: Path) -> None:
    found = shown(tmp_path, history("jarvis-api", [10.0 + index for index in range(120)]))
    assert found.chart

    def heights(svg: str) -> dict[str, float]:
        return {words: float(y) for y, words in re.findall(r'<text x="[^"]+" y="([^"]+)"[^>]*>([^<]+)</text>', svg)}

    for width, apart in ((960, 0), (360, 16)):
        at = heights(found.chart.svg(width))
        said = next(at[words] for words in at if words.startswith("rises, "))
        assert said - at["jarvis-api, memory"] == apart


def test_what_is_too_long_for_a_phone_goes_on_in_the_next_line(tmp_path: Path) -> None:
    found = shown(tmp_path, history("jarvis-api", [10.0 + index for index in range(60)], limit=256)).chart
    assert found
    lane = replace(found.lanes[0], said="rose until it was killed, 4.5 GiB an hour; limit 256 MiB dashed")
    drawn = replace(found, lanes=(lane,)).svg(360)
    assert ">rose until it was killed, 4.5 GiB an hour<" in drawn
    assert ">limit 256 MiB dashed<" in drawn


def test_a_limit_far_above_is_neither_drawn_nor_said_to_be(tmp_path: Path) -> None:
    near, far = (
        shown(tmp_path / name, history("jarvis-api", [10.0 + index for index in range(60)], limit=limit)).chart
        for name, limit in (("near", 256), ("far", 2560))
    )
    assert near
    assert far
    assert "limit 256 MiB dashed" in near.lanes[0].said
    assert 'class="limit"' in near.svg()
    assert "limit" not in far.lanes[0].said
    assert far.lanes[0].said.endswith("; at most 69 MiB"), "a scale is there where no limit gives one"
    assert 'class="limit"' not in far.svg()
