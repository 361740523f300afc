"""AI responses failing: the routes that answer through a provider, and what the log says of calls to providers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeGuard

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import AI_PATH, HEALTH_PATH, Sign, bearing, during, near, over_at, telling_message
from irkit.estimate import share_interval
from irkit.model import Verdict, VerdictState, Window
from irkit.onset.episodes import ENDS_IT, Stretch, telling_stretch
from irkit.records import rows_where
from irkit.text.phrase import count, lasting, quoted, share_between

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_USUAL_SHARE = 0.02
_FAILING_SHARE = 0.5
_HARDLY_CHANCE = 0.01
_FEWEST_ERRORS = 3
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


@symptom("ai-responses-failing", incident="provider-failures")
def detect(window: Window, requests: pd.DataFrame | None = None, errors: pd.DataFrame | None = None) -> Verdict:
    """Found when a stretch of AI requests failed (5xx, 429), or the log tells of three failed provider calls."""
    said = bearing(errors, Sign.PROVIDER, Sign.RATE_LIMIT)
    asked, stretch = _of_one(_of_ai(requests))
    numbers: dict[str, object] = {"requests": len(asked) if asked is not None else 0, "errors": len(said)}
    if asked is not None and _is_sure(stretch):
        return _found(asked, stretch, errors, requests, numbers, window.end)
    if len(said) >= _FEWEST_ERRORS:
        onset = next(iter(said["at"].dropna().tolist()), None)
        numbers["line"] = line = telling_message(said)
        sentence = (
            f"The log tells of {count(len(said), 'failed call')} to providers{during(said)}, mostly {quoted(line)}."
        )
        until = over_at(said["at"].dropna().tolist(), asked)
        return Verdict(VerdictState.FOUND, sentence, _ADVICE, onset, 0.8, numbers, until=until)
    if asked is None or not len(asked):
        sentence = "No request for an AI answer is on record, so none could fail."
        return Verdict(VerdictState.UNKNOWN, sentence, "Ask for one by hand.", numbers=numbers)
    failed = int(_failed(asked).sum())
    sentence = (
        f"{failed} of {count(len(asked), 'AI request')} failed ({share_between(share_interval(failed, len(asked)))})."
    )
    if failed and len(asked) < 10:  # noqa: PLR2004 (one failure in so few proves neither)
        return Verdict(VerdictState.UNKNOWN, sentence, "Look at a longer window.", numbers=numbers)
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.9 if len(asked) >= 10 else 0.6, numbers=numbers)  # noqa: PLR2004


_ADVICE = "See which provider fails, and whether the others still answer."


def _found(
    asked: pd.DataFrame,
    stretch: Stretch,
    errors: pd.DataFrame | None,
    requests: pd.DataFrame | None,
    numbers: dict[str, object],
    end: datetime,
) -> Verdict:
    inside = asked.iloc[stretch.first : stretch.last + 1]
    onset, last = (at.to_pydatetime(warn=False) for at in inside["at"].iloc[[0, -1]].tolist())
    meanwhile = near(errors, None, onset, last) if errors is not None else None
    related = bearing(meanwhile, Sign.PROVIDER, Sign.RATE_LIMIT)
    later = len(asked) - 1 - stretch.last
    span = lasting(onset, last, later=later, end=end)
    sentence = (
        f"{stretch.bad} of {count(stretch.total, 'AI request')} failed{span} "
        f"({share_between(share_interval(stretch.bad, stretch.total))})"
    )
    numbers |= {"failed": stretch.bad, "requests": stretch.total}
    until = last if later >= ENDS_IT else None
    explained_by = ""
    if len(related):
        numbers["line"] = line = telling_message(related)
        sentence += f"; the log says {quoted(line)}"
    elif requests is not None and _others_fail(requests[requests["service"].isin(inside["service"])], onset, last):
        explained_by = "api-unresponsive"
        sentence += "; other routes fail as much, and no error names a provider"
    elif meanwhile is not None and len(meanwhile) >= _FEWEST_ERRORS:
        explained_by = "a failure of the service itself"
        numbers["line"] = line = telling_message(meanwhile)
        sentence += f"; no error names a provider, most say {quoted(line)}"
    advice = "Mend the service first: nothing here blames a provider." if explained_by else _ADVICE
    confidence = 1.0 - stretch.expected_by_chance
    return Verdict(VerdictState.FOUND, f"{sentence}.", advice, onset, confidence, numbers, explained_by, until=until)


def _of_ai(requests: pd.DataFrame | None) -> pd.DataFrame | None:
    if requests is None:
        return None
    on_ai = requests["path"].map(lambda path: AI_PATH.search(path) is not None).astype(bool)
    return requests[on_ai & requests["at"].notna()].sort_values("at", kind="stable")


def _of_one(asked: pd.DataFrame | None) -> tuple[pd.DataFrame | None, Stretch | None]:
    """Return the requests to the service that surest fails, else to the one asked most, and their worst stretch.

    Each service that a request passes through logs it: together they would be counted more than once.
    """
    if asked is None or not len(asked):
        return asked, None

    def place(found: tuple[pd.DataFrame, Stretch | None]) -> tuple[float, int]:
        rows, stretch = found
        return -stretch.expected_by_chance if _is_sure(stretch) else -1.0, len(rows)

    # a log without the names of services is one service's
    services = (rows for _, rows in asked.groupby("service", sort=True, dropna=False))
    judged = ((rows, telling_stretch(_failed(rows), rows["at"], _USUAL_SHARE, _FAILING_SHARE)) for rows in services)
    return max(judged, key=place)


def _is_sure(stretch: Stretch | None) -> TypeGuard[Stretch]:
    return stretch is not None and stretch.expected_by_chance < _HARDLY_CHANCE


def _failed(requests: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    codes = requests["status_code"]
    return ((codes >= _SERVER_ERROR) | (codes == _TOO_MANY_REQUESTS)).to_numpy(dtype=bool)


def _others_fail(requests: pd.DataFrame, onset: datetime, last: datetime) -> bool:
    """Say whether half of what was asked meanwhile of routes without AI failed too."""
    meanwhile = requests[(requests["at"] >= onset) & (requests["at"] <= last)]
    rest = rows_where(meanwhile, (not AI_PATH.search(path) for path in meanwhile["path"]))
    users = rows_where(rest, (not HEALTH_PATH.search(path) for path in rest["path"]))
    others = users if len(users) else rest
    return bool(len(others)) and bool((others["status_code"] >= _SERVER_ERROR).mean() >= 0.5)  # noqa: PLR2004


def _requests(status_codes: list[int], *, path: str = "/api/chat") -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{second // 60:02d}:{second % 60:02d}Z",
            "service": "jarvis-api",
            "method": "POST",
            "path": path,
            "status_code": status_code,
        }
        for second, status_code in enumerate(status_codes)
    ]


FIRES = (
    Example("chats fail from a moment on", {"requests": _requests([200] * 60 + [502, 502, 200, 502] * 5)}),
    Example(
        "the log alone tells",
        {
            "errors": [
                {
                    "at": f"2026-11-24T03:05:{second:02d}Z",
                    "service": "worker",
                    "message": "openai.APIConnectionError: Connection error.",
                    "line": "openai.APIConnectionError: Connection error.",
                }
                for second in range(4)
            ]
        },
    ),
)
QUIET = (
    Example("chats are answered", {"requests": _requests([200] * 60)}),
    Example("another route fails", {"requests": _requests([200] * 60) + _requests([500] * 60, path="/api/report")}),
)
