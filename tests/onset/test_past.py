"""Trouble that was over before what goes on now: it is told, and not blamed for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from irkit import runbook
from irkit.diagnose.run import diagnose
from irkit.model import Verdict, VerdictState
from irkit.onset.past import past
from irkit.triage import Triage, triage
from tests.symptoms.evidence import WINDOW, InMemory, detectors
from tests.triage.test_triage import findings

RUNBOOK = runbook.load()
MALFORMED = "sqlite3.DatabaseError: database disk image is malformed"
detectors()


def minute(number: float) -> datetime:
    return WINDOW.start + timedelta(minutes=number)


def evidence(*troubles: tuple[range, str]) -> InMemory:
    """An hour of a request a second: in the seconds of a trouble each is answered 500, with its error in the log."""
    said = {second: text for seconds, text in troubles for second in seconds}
    at = [WINDOW.start + timedelta(seconds=second) for second in range(3600)]
    common = {"service": "api", "method": "GET", "path": "/buy", "duration_s": 0.01}
    asked = [{"at": each, **common, "status_code": 500 if second in said else 200} for second, each in enumerate(at)]
    lines = [{"at": at[second], "service": "api", "message": text, "line": text} for second, text in said.items()]
    return InMemory({"requests": asked, "errors": lines})


def told(source: InMemory) -> Triage:
    return triage(diagnose(source, RUNBOOK).findings, RUNBOOK)


DAMAGE = (range(300, 900), MALFORMED)
CRASH = (range(3300, 3600), "KeyError: 'basket'")


def test_what_was_over_half_an_hour_before_is_not_what_goes_on_now() -> None:
    source = evidence(DAMAGE, CRASH)
    made = told(source)
    assert made.named == ("api-unresponsive",)
    damaged = made.contender("database-corruption")
    when = "counts a quarter: it was over at 02:44:59 UTC, before 5xx error spike began at 03:25:00 UTC"
    assert damaged.reasons == (f"SQLite errors {when}", f"Read failures {when}")
    assert [item.verdict.until for item in damaged.supporting] == [WINDOW.start + timedelta(seconds=899)] * 2
    assert not made.relations, "what was over did not bring this about"
    found = diagnose(source, RUNBOOK)
    assert {item.symptom for item in found.findings} - {item.symptom for item in found.present} == {
        "sqlite-errors",
        "read-failures",
    }
    assert found.first_sign == WINDOW.start + timedelta(seconds=3300)


@pytest.mark.parametrize(
    "source",
    [
        evidence(DAMAGE),
        evidence((range(3000, 3200), MALFORMED), CRASH),  # one spike of 500s: less than five minutes apart
        evidence(DAMAGE, (range(3300, 3600), MALFORMED)),
        evidence((range(300, 3500, 50), MALFORMED), (range(3570, 3600), "KeyError: 'basket'")),  # one in fifty, still
    ],
    ids=["alone", "just before", "again", "now and then"],
)
def test_what_may_have_to_do_with_it_counts_in_full(source: InMemory) -> None:
    made = told(source)
    assert "database-corruption" in made.named
    assert not any("was over" in reason for item in made.contenders for reason in item.reasons)


def test_the_same_type_still_going_on_keeps_its_earlier_signs() -> None:
    over = Verdict(VerdictState.FOUND, "Over.", onset=minute(0), until=minute(10))
    now, still = (Verdict(VerdictState.FOUND, "Now.", onset=at) for at in (minute(30), None))
    made = findings({"sqlite-errors": over, "5xx-error-spike": now})
    assert {slug: item.symptom for slug, item in past(made).items()} == {"sqlite-errors": "5xx-error-spike"}
    assert not past(findings({"sqlite-errors": over, "5xx-error-spike": now, "data-inconsistency": still}))
    assert not past(findings({"sqlite-errors": over, "oom-kills": still})), "since when it goes on is not known"
    assert not past(findings({"sqlite-errors": over}))
    soon, later = (Verdict(VerdictState.FOUND, "Now.", onset=minute(10 + more)) for more in (0.9, 1.1))
    assert not past(findings({"sqlite-errors": over, "gradual-memory-increase": soon}))
    assert past(findings({"sqlite-errors": over, "gradual-memory-increase": later}))
