"""p95 latency: over the limit that the runbook's own words set, in a stretch of the window or the whole of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from irkit.diagnose.latency import FEWEST, Latency, doubt, slowest_service
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import users_requests
from irkit.estimate import quantile
from irkit.logs.tables import without_path
from irkit.model import Threshold, Verdict, VerdictState, Window
from irkit.records import Row, in_order, number_of, rows_of, text_of
from irkit.text.phrase import count, lasting, seconds, seconds_between

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

_HANG_S = 5.0
_EVEN = 0.5
_OF_PROBES = 0.7


@symptom("p95-latency", incident="high-latency")
def detect(
    threshold: Threshold | None,
    window: Window,
    requests: pd.DataFrame | None = None,
    health: pd.DataFrame | None = None,
    health_history: pd.DataFrame | None = None,
    logs: pd.DataFrame | None = None,
) -> Verdict:
    """Found when the requests' p95 is over the runbook's limit; health probes stand in where no duration is logged."""
    if threshold is None or threshold.unit != "s":
        sentence = "The runbook names no limit in seconds for it, so slow cannot be told from quick."
        return Verdict(VerdictState.UNKNOWN, sentence, "Write the limit into the symptom, such as: p95 latency > 2s.")
    limit_s, limit = threshold.value, f"the runbook's limit is {seconds(threshold.value)}"
    asked, aside = users_requests(requests) if requests is not None else (None, "")
    found = slowest_service(asked, limit_s) if asked is not None else None
    if found is None:
        probed = _from_probes(health_history, health, limit_s, limit, window.end)
        unnamed, rename = without_path(logs)
        return replace(probed, sentence=f"{probed.sentence} {unnamed}", advice=rename) if unnamed else probed
    numbers = _numbers(found, limit_s)
    counted = f"p95 of {count(found.total, 'request')} to {found.service or 'the service'}{aside}"
    p95 = seconds(found.p95_s)
    span = lasting(found.onset, found.last or found.onset, later=found.later, end=window.end) if found.onset else ""
    if found.over and found.onset:
        sentence = f"{counted} is {p95}{span} ({seconds_between(found.interval)}); {limit}"
        explained_by = ""
        if found.silence_s >= max(_HANG_S, 2 * limit_s):
            sentence += f". For {seconds(found.silence_s)} it answered nothing at all and then everything at once."
            advice = "It hung rather than being slow: see what it waited for."
            numbers["silence_s"] = found.silence_s
            explained_by = "api-unresponsive"
        else:
            sentence += "."
            advice = "See which routes are slow, and whether their time goes to the database or to a provider."
        confidence, until = found.confidence, found.until
        return Verdict(
            VerdictState.FOUND, sentence, advice, found.onset, confidence, numbers, explained_by, until=until
        )
    if found.total < FEWEST or found.confidence < _EVEN:
        sentence = (
            f"{counted} is {p95}{span}, {found.slow} over the limit: too few to tell "
            f"({seconds_between(found.interval)}; {limit})."
        )
        return Verdict(VerdictState.UNKNOWN, sentence, "Look at a longer window.", numbers=numbers)
    sentence = f"{counted} is {p95}{span} ({seconds_between(found.interval)}); {limit}{doubt(found)}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=found.confidence, numbers=numbers)


def _from_probes(
    health_history: pd.DataFrame | None, health: pd.DataFrame | None, limit_s: float, limit: str, end: datetime
) -> Verdict:
    """Judge by the probes of the health endpoint, which can show slowness and never rule it out for the rest."""
    advice = "Have the API log each request's duration."
    probes = [row for row in rows_of(health_history) if number_of(row, "total_s") is not None]
    if len(probes) >= FEWEST:
        recorded = slowest_service(_as_requests(probes), limit_s)
        if recorded is not None and recorded.over and recorded.onset:
            span = lasting(recorded.onset, recorded.last or recorded.onset, later=recorded.later, end=end)
            sentence = (
                f"p95 of {count(recorded.total, 'probe')} of {recorded.service or 'the health endpoint'} is "
                f"{seconds(recorded.p95_s)}{span} ({seconds_between(recorded.interval)}); {limit}. "
                "No request durations are logged to take one from."
            )
            confidence = min(_OF_PROBES, recorded.confidence)
            numbers = _numbers(recorded, limit_s)
            return Verdict(
                VerdictState.FOUND, sentence, advice, recorded.onset, confidence, numbers, until=recorded.until
            )
    answered = [
        row for row in rows_of(health) if number_of(row, "status_code") and number_of(row, "total_s") is not None
    ]
    times = [number_of(row, "total_s") or 0.0 for row in answered]
    numbers = {"probes": len(times) + len(probes), "limit_s": limit_s}
    if times and min(times) > limit_s:
        told = "The one probe" if len(times) == 1 else f"All {count(len(times), 'probe')}"
        sentence = f"{told} of {text_of(answered[-1], 'url') or 'the health endpoint'} took "
        sentence += f"{seconds(min(times))} or longer; {limit}. No request durations are logged to take a p95 from."
        onset = answered[0].get("at")
        return Verdict(VerdictState.FOUND, sentence, advice, onset, 0.6, numbers)
    sentence = "No line of the logs is read as a request with its duration; health probes alone cannot tell a p95."
    if len(probes) >= FEWEST:
        p95_s = quantile(sorted(number_of(row, "total_s") or 0.0 for row in probes), 0.95)
        sentence = (
            "No line of the logs is read as a request with its duration; the health endpoint answers in time "
            f"(p95 of {count(len(probes), 'probe')} {seconds(p95_s)}), which does not tell of other routes."
        )
    return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers=numbers)


def _as_requests(probes: list[Row]) -> pd.DataFrame:
    """Return probes as requests that were answered at the end of each."""
    import pandas as pd

    timed = in_order(probes)
    took = [number_of(row, "total_s") or 0.0 for row in timed]
    table = pd.DataFrame({"at": [row["at"] for row in timed], "service": [text_of(row, "url") for row in timed]})
    table["duration_s"] = took
    table["at"] = pd.to_datetime(table["at"], utc=True) + pd.to_timedelta(
        [min(each, 86_400.0) for each in took], unit="s"
    )
    return table


def _numbers(found: Latency, limit_s: float) -> dict[str, object]:
    return {
        "service": found.service,
        "p95_s": found.p95_s,
        "low_s": found.interval.low,
        "high_s": found.interval.high,
        "requests": found.total,
        "slow": found.slow,
        "limit_s": limit_s,
    }


def _requests(durations_s: list[float]) -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{second // 60:02d}:{second % 60:02d}Z",
            "service": "jarvis-api",
            "method": "GET",
            "path": "/api/chat",
            "status_code": 200,
            "duration_s": duration_s,
        }
        for second, duration_s in enumerate(durations_s)
    ]


def _probes(totals_s: list[float]) -> list[dict[str, object]]:
    return [
        {"at": f"2026-11-24T03:{index // 12:02d}:{index % 12 * 5:02d}Z", "verdict": "healthy", "total_s": total_s}
        for index, total_s in enumerate(totals_s)
    ]


FIRES = (
    Example("slow from a moment on", {"requests": _requests([0.1] * 200 + [3.4] * 40)}),
    Example("one in ten is slow all the time", {"requests": _requests([*[0.1] * 9, 2.5] * 40)}),
    Example(
        "all of it slower than it was, and one route in seven over the limit",
        {"requests": _requests([0.05] * 120 + [1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.4] * 5)},
    ),
    Example("nothing logs durations, and the recorder waited", {"health_history": _probes([0.05] * 60 + [2.6] * 30)}),
)
QUIET = (
    Example("quick", {"requests": _requests([0.1, 0.2, 0.3, 0.4] * 50)}),
    Example("one slow request now and then", {"requests": _requests([*[0.1] * 99, 9.0] * 3)}),
    Example(
        "a traffic peak that is served", {"requests": _requests([0.1] * 60 + [0.3, 0.5, 0.9, 1.2] * 60 + [0.1] * 60)}
    ),
    Example("slower than it was, and within the limit", {"requests": _requests([0.05] * 120 + [1.5, 1.9] * 30)}),
    Example("a cold cache for a few seconds", {"requests": _requests([2.4, 2.1] + [0.1] * 200)}),
)
