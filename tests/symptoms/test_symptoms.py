"""Every detector: fires and stays silent on its own examples, and never takes ignorance or rubbish for an answer."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit import runbook
from irkit.diagnose import Example, Symptom, run_detector
from irkit.model import Outcome, Threshold, Verdict, VerdictState
from tests.symptoms.evidence import BOOL, DOCUMENTS, FLOAT, INT, TABLES, TIME, InMemory, detectors, frame

DETECTORS = detectors()
LIMIT = Threshold("p95 latency", ">", 2.0, "s")


def examples(name: str) -> list[Any]:
    found = []
    for item in DETECTORS.values():
        its_own: tuple[Example, ...] = getattr(importlib.import_module(item.module), name)
        assert its_own, f"{item.module} has no {name}"
        found += [pytest.param(item, example, id=f"{item.slug}: {example.name}") for example in its_own]
    return found


def verdict(item: Symptom, evidence: dict[str, Any], outcome: Outcome = Outcome.COLLECTED) -> Verdict:
    return run_detector(item, InMemory(evidence, outcome), LIMIT).verdict


def assert_well_said(told: Verdict) -> None:
    """A sentence that stands alone: no slip of a placeholder, no failed detector."""
    assert not told.sentence.startswith("The detector "), told.sentence
    assert re.fullmatch(r"(?:p95|[A-Z0-9“]).*\.", told.sentence, re.DOTALL), told.sentence
    assert not re.search(r"\bNone\b(?! of)|\bnan\b|\bNaT\b|<NA>|  ", told.sentence), told.sentence
    assert 0 <= told.confidence <= 1
    assert told.onset is None or told.onset.utcoffset() == timedelta()


def test_every_symptom_of_the_runbook_has_a_detector_of_its_incident_types() -> None:
    wanted: dict[str, set[str]] = {}
    for incident_type in runbook.load().incident_types:
        for worded in incident_type.symptoms:
            wanted.setdefault(worded.slug, set()).add(incident_type.slug)
    assert {slug: set(item.incident_types) for slug, item in DETECTORS.items()} == wanted


@pytest.mark.parametrize(("item", "example"), examples("FIRES"))
def test_fires(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence))
    assert told.state is VerdictState.FOUND, told.sentence
    assert_well_said(told)
    assert told.advice
    assert told.confidence >= 0.5


@pytest.mark.parametrize(("item", "example"), examples("QUIET"))
def test_stays_silent(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence))
    assert told.state is VerdictState.CLEAR, told.sentence
    assert_well_said(told)


@pytest.mark.parametrize(("item", "example"), examples("QUIET"))
def test_cut_evidence_is_never_clear(item: Symptom, example: Example) -> None:
    told = verdict(item, dict(example.evidence), Outcome.PARTIAL)
    assert told.state is VerdictState.UNKNOWN
    assert "cut for the test" in told.sentence


@pytest.mark.parametrize(("item", "example"), examples("FIRES"))
def test_what_is_found_in_cut_evidence_is_found(item: Symptom, example: Example) -> None:
    assert verdict(item, dict(example.evidence), Outcome.TIMED_OUT).state is VerdictState.FOUND


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
def test_without_evidence_nothing_is_known(item: Symptom) -> None:
    told = verdict(item, {})
    assert told.state is VerdictState.UNKNOWN
    assert told.sentence.startswith("Not looked at: no collector gathered")


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
@pytest.mark.parametrize("kind", TABLES)
def test_one_empty_table_alone_is_never_a_finding(item: Symptom, kind: str) -> None:
    told = verdict(item, {kind: []})
    assert told.state is not VerdictState.FOUND, told.sentence
    assert_well_said(told)


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
def test_rows_of_nothing_are_never_a_finding(item: Symptom) -> None:
    nothing = {kind: [dict.fromkeys(columns)] * 3 for kind, columns in TABLES.items()}
    told = verdict(item, {**nothing, **dict.fromkeys(DOCUMENTS)})
    assert told.state is not VerdictState.FOUND, told.sentence
    assert_well_said(told)


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "jarvis-api",
            "healthy",
            "unhealthy",
            "refused",
            "timed_out",
            "exited",
            "restarting",
            "die",
            "oom",
            "kill",
            "health_status: unhealthy",
            "integrity_check",
            "quick_check",
            "/api/chat",
            "/api/health",
            "/dashboard",
            "http://[::1:80/",
            "database disk image is malformed",
            "rate limit reached for provider alpha",
            "gc: done, 1 unreachable, 0 uncollectable, 99.5s elapsed",
            "timed out\x00\x1b[31m",
            "<script>alert(1)</script>",
        ]
    ),
    st.text(max_size=30),
)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (zone added)
CELLS = {
    INT: st.sampled_from([0, 1, -1, 137, 143, 200, 429, 500, 504, 2**62, -(2**62)]),
    FLOAT: st.floats(),
    BOOL: st.booleans(),
    TIME: TIMES,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("status"), inner, max_size=3),
    max_leaves=8,
)


def rows(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    columns = {name: st.none() | CELLS.get(type_, TEXTS) for name, type_ in TABLES[kind].items()}
    if kind == "requests":  # derived by our own parser, which promises these
        columns |= dict.fromkeys(("service", "method", "path", "line"), TEXTS)
    return st.lists(st.fixed_dictionaries(columns), max_size=5)


def evidence_of(item: Symptom) -> st.SearchStrategy[dict[str, Any]]:
    kinds = (*item.needs, *item.uses)
    return st.fixed_dictionaries(
        {kind: rows(kind) if kind in TABLES else JSON | st.fixed_dictionaries({"json": JSON}) for kind in item.needs},
        optional={kind: rows(kind) if kind in TABLES else JSON for kind in kinds if kind not in item.needs},
    )


@pytest.mark.parametrize("item", DETECTORS.values(), ids=DETECTORS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_hostile_evidence_never_fails_a_detector(item: Symptom, data: st.DataObject) -> None:
    told = verdict(item, data.draw(evidence_of(item)))
    assert not told.sentence.startswith("The detector "), told.sentence
    assert 0 <= told.confidence <= 1


def test_text_that_is_not_utf8_reaches_the_sentence_as_visible_signs() -> None:
    line = "Fatal \udcff\x00\x1b[2J\u202e"
    stopped = {"service": "api", "name": "api-1", "state": "exited", "exit_code": 1, "oom_killed": False}
    logs = frame("logs", [{"at": "2026-11-24T03:00:00Z", "service": "api"}])
    logs["line"] = pd.Series([line], dtype=object)
    told = verdict(DETECTORS["health-check-failing"], {"containers": [stopped], "logs": logs})
    assert "Fatal \\xff␀" in told.sentence
    assert told.sentence.isprintable()
    assert told.numbers["line"] == line


def test_a_threshold_of_another_unit_is_not_applied() -> None:
    item = DETECTORS["p95-latency"]
    evidence = InMemory({"requests": []})
    for threshold in (None, replace(LIMIT, unit="requests")):
        assert run_detector(item, evidence, threshold).verdict.state is VerdictState.UNKNOWN
