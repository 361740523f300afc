"""What was never answered is in no log: latency is not clear beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from irkit.diagnose.unanswered import with_unanswered
from irkit.model import Finding, Verdict, VerdictState

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
FOUND, CLEAR, UNKNOWN = VerdictState.FOUND, VerdictState.CLEAR, VerdictState.UNKNOWN


def one(slug: str, state: VerdictState, sentence: str = "It is 0.3 s.", **numbers: object) -> Finding:
    return Finding(slug, ("high-latency",), slug, Verdict(state, sentence, "", START, 0.9, numbers), ())


def probes(*verdicts: str) -> pd.DataFrame:
    return pd.DataFrame([{"at": START + timedelta(seconds=5 * n), "verdict": said} for n, said in enumerate(verdicts)])


def latency(*others: Finding, history: pd.DataFrame | None = None, slug: str = "p95-latency") -> Verdict:
    return with_unanswered((one(slug, CLEAR), *others), history)[0].verdict


@pytest.mark.parametrize("slug", ["p95-latency", "slow-dashboard-loading"])
def test_beside_checks_that_waited_in_vain_latency_is_not_clear(slug: str) -> None:
    told = latency(history=probes("healthy", "timed_out", "timed_out"), slug=slug)
    assert told.state is UNKNOWN
    assert "while 2 probes timed out from 03:00:05 UTC to 03:00:10 UTC" in told.sentence
    assert told.sentence.endswith("It is 0.3 s.")
    engine = one("timeout-errors", FOUND, probes=0, engine_checks=3)
    assert latency(engine, slug=slug).state is UNKNOWN


def test_of_a_kill_alone_it_is_said() -> None:
    told = latency(one("oom-kills", FOUND, name="api-1"))
    assert told.state is CLEAR
    assert told.sentence.startswith("It is 0.3 s; what api-1 was at work on when the kernel killed it at 03:00:00 UTC")


@pytest.mark.parametrize(
    ("other", "history"),
    [
        (one("timeout-errors", CLEAR, probes=0, engine_checks=0), probes("healthy", "timed_out", "healthy")),
        (one("timeout-errors", FOUND, probes=0, engine_checks=0, errors=9), None),
        (one("oom-kills", CLEAR), probes("refused", "unhealthy", "healthy")),
    ],
)
def test_where_nothing_hung_nothing_changes(other: Finding, history: pd.DataFrame | None) -> None:
    own = (one("p95-latency", CLEAR), other)
    assert with_unanswered(own, history) == own


def test_what_was_found_stays_found_and_other_symptoms_are_left_alone() -> None:
    own = (one("p95-latency", FOUND), one("5xx-error-spike", CLEAR), one("slow-dashboard-loading", UNKNOWN))
    assert with_unanswered(own, probes("timed_out", "timed_out")) == own
