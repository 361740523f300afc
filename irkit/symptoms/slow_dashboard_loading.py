"""Slow dashboard loading: the dashboard's own routes, judged by the latency limit of their incident type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.diagnose.latency import FEWEST, doubt, slowest_service
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import DASHBOARD_PATH
from irkit.estimate import quantile
from irkit.logs.requests import route_of
from irkit.model import Threshold, Verdict, VerdictState, Window
from irkit.text.phrase import count, lasting, listing, seconds, seconds_between

if TYPE_CHECKING:
    import pandas as pd

_EVEN = 0.5


@symptom("slow-dashboard-loading", incident="high-latency")
def detect(requests: pd.DataFrame, threshold: Threshold | None, window: Window) -> Verdict:
    """Found when requests to paths with `dashboard` in them are over the limit, in a stretch or the whole window."""
    if threshold is None or threshold.unit != "s":
        sentence = "The runbook names no limit in seconds for this incident type, so slow cannot be told from quick."
        return Verdict(VerdictState.UNKNOWN, sentence, "Write a limit into one symptom, such as: p95 latency > 2s.")
    on_dashboard = requests["path"].map(lambda path: DASHBOARD_PATH.search(path) is not None).astype(bool)
    loads = requests[on_dashboard]
    if loads.empty:
        sentence = "Nobody loaded a dashboard in this window: the logs hold no request for such a path."
        return Verdict(VerdictState.UNKNOWN, sentence, "Load it by hand and time it.")
    found = slowest_service(loads, threshold.value)
    if found is None:
        sentence = f"{count(len(loads), 'dashboard load')} on record, none with a duration."
        return Verdict(VerdictState.UNKNOWN, sentence, "Have the API log each request's duration.")
    routes = _slowest_routes(loads)
    numbers: dict[str, object] = {
        "service": found.service,
        "p95_s": found.p95_s,
        "low_s": found.interval.low,
        "high_s": found.interval.high,
        "requests": found.total,
        "slow": found.slow,
        "limit_s": threshold.value,
        "routes": routes,
    }
    limit = f"the limit is {seconds(threshold.value)}"
    span = lasting(found.onset, found.last or found.onset, later=found.later, end=window.end) if found.onset else ""
    if found.over and found.onset:
        sentence = (
            f"The p95 of {count(found.total, 'dashboard load')} is {seconds(found.p95_s)}{span} "
            f"({seconds_between(found.interval)}; {limit}), slowest {listing(list(routes)[:3])}."
        )
        advice = "See whether other routes are slow too; if not, look at the queries behind these."
        return Verdict(VerdictState.FOUND, sentence, advice, found.onset, found.confidence, numbers, until=found.until)
    sentence = f"The p95 of {count(found.total, 'dashboard load')} is {seconds(found.p95_s)}{span}"
    if found.total < FEWEST or found.confidence < _EVEN:
        sentence += f", {found.slow} over the limit: too few to tell ({seconds_between(found.interval)}; {limit})."
        return Verdict(VerdictState.UNKNOWN, sentence, "Load it some twenty times and look again.", numbers=numbers)
    sentence += f" ({seconds_between(found.interval)}; {limit}{doubt(found)})."
    return Verdict(VerdictState.CLEAR, sentence, confidence=found.confidence, numbers=numbers)


def _slowest_routes(loads: pd.DataFrame) -> dict[str, float]:
    timed = loads[loads["duration_s"].notna()]
    routes = {
        str(path): quantile(sorted(rows["duration_s"]), 0.95)
        for path, rows in timed.groupby(timed["path"].map(route_of))
    }
    return dict(sorted(routes.items(), key=lambda item: -item[1])[:5])


def _loads(duration_s: float, *, path: str = "/api/dashboard", minute: int = 0) -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{minute:02d}:{second:02d}Z",
            "service": "jarvis-api",
            "method": "GET",
            "path": path,
            "status_code": 200,
            "duration_s": duration_s,
        }
        for second in range(60)
    ]


FIRES = (Example("the dashboard is slow", {"requests": _loads(3.1)}),)
QUIET = (
    Example("the dashboard is quick", {"requests": _loads(0.2)}),
    Example("slower than it was, and within the limit", {"requests": _loads(0.2) + _loads(1.4, minute=1)}),
    Example("another route is slow", {"requests": _loads(0.2) + _loads(9.0, path="/api/report")}),
)
