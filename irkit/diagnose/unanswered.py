"""Requests that were never answered are in no log: beside the signs of them, latency is not clear, or it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from irkit.diagnose.verdicts import ENGINE_CHECKS
from irkit.model import Finding, Verdict, VerdictState
from irkit.records import in_order, rows_of
from irkit.text.phrase import between, clock, count

if TYPE_CHECKING:
    import pandas as pd

_OF_ANSWERED = frozenset({"p95-latency", "slow-dashboard-loading"})
# one check that waited in vain is a hiccup
_FEWEST = 2


def with_unanswered(findings: Sequence[Finding], health_history: pd.DataFrame | None) -> tuple[Finding, ...]:
    """Return the findings, latency unknown in place of clear where health checks waited in vain for an answer.

    Where the kernel killed alone, of the requests that were under way by then it is said.
    """
    by_slug = {item.symptom: item.verdict for item in findings if item.verdict.state is VerdictState.FOUND}
    hung, killed = _hung(by_slug.get("timeout-errors"), health_history), by_slug.get("oom-kills")
    return tuple(
        replace(item, verdict=_of_answered(item.verdict, hung, killed))
        if item.symptom in _OF_ANSWERED and item.verdict.state is VerdictState.CLEAR
        else item
        for item in findings
    )


def _hung(timeouts: Verdict | None, health_history: pd.DataFrame | None) -> str:
    """Say how many checks waited in vain, "" where hardly any did."""
    recorded = [row["at"] for row in in_order(rows_of(health_history)) if row.get("verdict") == "timed_out"]
    if len(recorded) >= _FEWEST:
        return f"{count(len(recorded), 'probe')} timed out{between(recorded[0], recorded[-1])}"
    numbers = timeouts.numbers if timeouts else {}
    seen = [number for name in ("probes", ENGINE_CHECKS) if isinstance(number := numbers.get(name), int)]
    return f"{count(sum(seen), 'health check')} timed out" if sum(seen) >= _FEWEST else ""


def _of_answered(verdict: Verdict, hung: str, killed: Verdict | None) -> Verdict:
    if hung:
        sentence = f"Of requests that were answered alone, while {hung}: what hung beside them is in no log. "
        advice = "Load what is slow by hand and time it; ask the proxy before it, or its users, what waited."
        return replace(verdict, state=VerdictState.UNKNOWN, sentence=sentence + verdict.sentence, advice=advice)
    if killed and killed.onset:
        whom = killed.numbers.get("name") or "a process"
        told = f"; what {whom} was at work on when the kernel killed it at {clock(killed.onset)} is in no log."
        return replace(verdict, sentence=verdict.sentence.rstrip(".") + told)
    return verdict
