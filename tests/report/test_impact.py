"""The impact's numbers and its strip tell the same: all that was counted is drawn, or is said to lie outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from irkit import conclusions, drill, runbook, workspace
from irkit.bundle import Bundle
from irkit.charts import BarLane, IncidentStrip, MarkLane
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import Incident, Status
from irkit.report.facts import View
from irkit.report.impact import impact, share_of
from irkit.report.material import Material
from irkit.report.sections import Impact
from tests.support.type_evidence import BEGAN, COLLECTED, START, Row, at, container, probe, request, sealed

ENDED = START + timedelta(minutes=25)
INCIDENT = Incident(
    42, "Down", "api-unresponsive", "Critical", Status.MITIGATED, BEGAN, started_at=BEGAN, mitigated_at=ENDED
)


def breakage(seconds: int, back: int = 10_000) -> dict[str, Any]:
    """So many seconds of which the service answers in the first 300, and again from `back` on; a probe each fifth."""
    up = [second for second in range(seconds) if second < 300 or second >= back]
    probes = [
        probe(second, 0.01) if second in set(up) else probe(second, 0.001, "refused", None)
        for second in range(0, seconds, 5)
    ]
    events: list[Row] = [{"at": at(300), "service": "jarvis-api", "action": "die", "exit_code": 1}]
    return {
        "logs": [request(second, "/api/chat", 200, 0.04) for second in up],
        "containers": [container("jarvis-api", "8000->8000/tcp")],
        "health": [probe(seconds + index, 0.001, "refused", None) for index in range(3)],
        "health_history": probes,
        "container_events": events,
    }


def told(bundle: Bundle, later: Callable[[datetime], Sequence[Bundle]] = lambda _: (), **changed: object) -> Impact:
    incident = Incident(**{name: getattr(INCIDENT, name) for name in Incident.__slots__} | changed)  # type: ignore[arg-type]
    now = ENDED + timedelta(hours=1)
    of = Material(incident, (), runbook.load(), bundle, Diagnosis((), ()), now, (), View(bundle), later=later)
    return impact(of)


def failed(strip: IncidentStrip | None, name: str = "Health probes") -> int:
    assert strip is not None
    [lane] = [one for one in strip.lanes if one.name == name]
    if isinstance(lane, BarLane):
        return int(sum(bar.failed for bar in lane.bars))
    assert isinstance(lane, MarkLane)
    return sum(mark.bad for mark in lane.marks)


def number(found: Impact, name: str) -> str:
    return next(one.value for one in found.measures if one.name == name)


def test_the_strip_draws_every_probe_that_is_counted_as_marks_or_in_intervals(tmp_path: Path) -> None:
    found = told(sealed(tmp_path / "few", breakage(600)), mitigated_at=COLLECTED)
    assert number(found, "Failed health probes") == "63 of 63"
    assert failed(found.strip) == 63
    assert "60 by the flight recorder and 3 when the evidence was collected" in str(found)
    many = told(sealed(tmp_path / "many", breakage(3000), collected=at(3000)), mitigated_at=at(2990))
    assert number(many, "Failed health probes") == "542 of 542"
    assert failed(many.strip) == 543, "and one that came after the mitigation"
    assert any(isinstance(lane, BarLane) and lane.name == "Health probes" for lane in many.strip.lanes)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("failed", "said"), [(0, "none of 1\u202f200"), (1200, "all of 1\u202f200"), (3, "0.2 % of 1\u202f200")]
)
def test_a_share_is_told_in_words_where_it_is_none_or_all(failed: int, said: str) -> None:
    assert share_of(failed, 1200) == said


def test_what_lies_outside_the_picture_is_named(tmp_path: Path) -> None:
    found = told(sealed(tmp_path, breakage(600)), mitigated_at=START + timedelta(minutes=55))
    assert found.strip is not None
    assert found.strip.undrawn == ("mitigated 03:55:00",)
    assert "outside the picture: mitigated 03:55:00" in found.strip.alt
    assert "Outside the picture: mitigated 03:55:00" in found._repr_mimebundle_()["text/html"]
    [gap] = found.gaps
    assert gap.endswith("was not collected; what the flight recorder kept of it comes with `irkit collect 42`.")
    # the evidence was collected long after it was over: its own probes are not of that time
    late = told(sealed(tmp_path / "late", breakage(3000, back=400), collected=at(3000)), mitigated_at=at(420))
    assert late.strip is not None
    assert "3 health probes of 28, 03:50:00 to 03:50:02" in late.strip.undrawn


def test_later_bundles_carry_numbers_and_strip_to_the_end_of_the_impact(tmp_path: Path) -> None:
    first = sealed(tmp_path, breakage(600))
    later = sealed(tmp_path, breakage(1600, back=1480), collected=at(1600))
    alone = told(first)
    assert number(alone, "No request answered") == "5 min 1 s"
    assert "was not collected" in " ".join(alone.gaps)
    found = told(first, lambda until: (later,) if until == ENDED else ())
    assert found.strip is not None
    assert found.strip.end >= ENDED
    assert found.strip.unseen_from is None
    assert "mitigated" in [one.label for one in found.strip.milestones]
    # 60 and 3 of the first, the others from the later one, none of them twice
    assert number(found, "Failed health probes") == "239 of 244"
    assert failed(found.strip) == 239 + 3, "those made with the later evidence are drawn, and count no more"
    assert number(found, "No request answered") == "19 min 41 s"
    assert not found.gaps or "was not collected" not in " ".join(found.gaps)
    assert f"it is from what was collected later: {later.id} (03:26:40 UTC)" in found.counted


def test_each_number_says_where_it_is_from(tmp_path: Path) -> None:
    found = told(sealed(tmp_path, breakage(600)), mitigated_at=COLLECTED)
    assert found.counted == (
        "Counted from 03:05:00 to 03:10:00 UTC: requests and errors from the logs of containers, probes as the flight "
        "recorder made them and irkit when it collected, the last at 03:10:02 UTC. Symptoms count all that was "
        "collected, from 03:00:00 UTC on."
    )


@pytest.mark.parametrize("name", [one.name for one in drill.available()])
def test_the_strip_of_every_drill_draws_what_its_numbers_count(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file(name, workspace.load_settings(), 42)
    found = conclusions.postmortem(filed, workspace.gather(filed, "never")).impact
    assert isinstance(found, Impact)
    counted, _, _ = number(found, "Failed health probes").partition(" of ")
    assert failed(found.strip) == int(counted)


def test_a_report_finds_the_later_bundles_of_its_incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path))
    filed, _ = drill.file("memory-leak", workspace.load_settings(), 42)
    assert filed.mitigated_at is not None
    mended = [probe(0, 0.01) | {"at": filed.mitigated_at + timedelta(seconds=5 * number)} for number in range(20)]
    later = sealed(tmp_path, {"health_history": mended}, collected=filed.mitigated_at + timedelta(minutes=3))
    found = conclusions.postmortem(filed, workspace.gather(filed, "never")).impact
    assert isinstance(found, Impact)
    assert found.strip is not None
    assert found.strip.unseen_from is None
    assert later.id in found.counted


def through(seconds: int, slow: range, failing: range) -> dict[str, Any]:
    """What a service is asked with what it asks the gateway of, both with a port; once slow, once failing."""
    rows = []
    for second in range(seconds):
        took, status = (3.5 if second in slow else 0.04), (429 if second in failing else 200)
        rows.append(request(second, "/api/chat", status, took))
        rows.append(request(second, "/openai/v1/chat", status, took) | {"service": "gateway"})
    return {
        "logs": rows,
        "containers": [container("jarvis-api", "8000->8000/tcp"), container("gateway", "9000->9000/tcp")],
    }


def test_a_request_that_passes_through_two_services_is_not_two_requests(tmp_path: Path) -> None:
    found = told(sealed(tmp_path, through(900, range(0), range(400, 500)), collected=at(900)))
    rows = {one.name: (one.value, one.note) for one in found.measures if one.name.startswith("Failed requests")}
    assert set(rows) == {"Failed requests to gateway", "Failed requests to jarvis-api"}
    assert {value for value, _ in rows.values()} == {"100"}
    for _, note in rows.values():
        assert "; 100 were refused with 429; what passed through several services is counted at each" in note
    alone = told(sealed(tmp_path / "alone", breakage(600)))
    assert "counted at each" not in str(alone)


def test_the_latency_is_that_of_the_time_it_was_slow(tmp_path: Path) -> None:
    found = told(sealed(tmp_path, through(1500, range(320, 360), range(0)), collected=at(1500)))
    [note] = [one.note for one in found.measures if one.name == "p95 latency"]
    assert number(found, "p95 latency") == "3.5 s"
    assert re.search(r"to (gateway|jarvis-api) from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d UTC; before: 40 ms$", note)
    quick = told(sealed(tmp_path / "quick", through(900, range(0), range(0)), collected=at(900)))
    assert number(quick, "p95 latency") == "40 ms"
    assert "not answered" not in str(quick)


def test_the_latency_says_that_what_was_not_answered_is_not_in_it(tmp_path: Path) -> None:
    found = told(sealed(tmp_path, breakage(600, back=500)))
    [note] = [one.note for one in found.measures if one.name == "p95 latency"]
    assert note.endswith("; requests that were not answered are in no log, and not in this")


def test_what_a_replaced_container_took_with_it_is_told_and_not_passed_over(tmp_path: Path) -> None:
    """A rollback removes the log of what failed: the numbers are those of the container that came after it."""

    def gaps(folder: str, *ends: tuple[int, str], back: int = 400) -> str:
        evidence = breakage(600, back)
        shared = {"service": "jarvis-api", "name": "jarvis_jarvis-api_1"}
        evidence["container_events"] = [shared | {"at": at(second), "action": action} for second, action in ends]
        return " ".join(told(sealed(tmp_path / folder, evidence), mitigated_at=COLLECTED).gaps)

    lost = "The log of jarvis-api from 03:05:00 to 03:06:30 UTC went with its container"
    assert lost in gaps("replaced", (390, "die"), (395, "destroy"))
    assert "went with its container" not in gaps("stopped", (390, "die"))
    assert "went with its container" not in gaps("at once", (301, "die"), (395, "destroy"))
    assert "went with its container" not in gaps("before", (200, "die"), (201, "destroy"))
    assert "went with its container" not in gaps("there", (599, "die"), (599, "destroy"))
