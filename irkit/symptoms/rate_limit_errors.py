"""Rate limit errors: who is limited, since when, and when the limit resets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import Sign, bearing, over_at, spoken, telling_message, users_requests
from irkit.model import Verdict, VerdictState, Window
from irkit.onset.episodes import telling_stretch
from irkit.records import Row, number_of, rows_of, text_of, time_of
from irkit.text.phrase import between, clock, count, grouped, listing, quoted, were

if TYPE_CHECKING:
    import pandas as pd

_TOO_MANY_REQUESTS = 429
_USUAL_SHARE = 0.01
_LIMITED_SHARE = 0.3
_HARDLY_CHANCE = 0.01
_FEWEST_ERRORS = 3


@symptom("rate-limit-errors", incident="provider-failures")
def detect(
    window: Window,
    requests: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    rate_limits: pd.DataFrame | None = None,
) -> Verdict:
    """Found when a stretch of requests was answered 429, or three or more errors tell of a rate limit."""
    said = bearing(errors, Sign.RATE_LIMIT)
    limits = rows_of(rate_limits)
    asked, aside = users_requests(requests) if requests is not None else (None, "")
    refusals, onset, confidence = _refused(asked)
    refused = len(refusals)
    numbers: dict[str, object] = {"refused": refused, "errors": len(said), "keys": len(limits)}
    if confidence or len(said) >= _FEWEST_ERRORS:
        told_at = said["at"].dropna().tolist()
        onset = min([*([onset] if onset else []), *told_at[:1]], default=None)
        span = between(min([*refusals, *told_at], default=None), max([*refusals, *told_at], default=None))
        told = (_told(asked), f"{count(len(said), 'error')} in the log" if len(said) else "")
        sentence = f"Rate limits were hit{span}: {', and '.join(filter(None, told))}"
        if len(said):
            numbers["line"] = line = telling_message(said)
            sentence += f", mostly {quoted(line)}"
        meant = _named(limits, said)
        numbers["providers"] = [text_of(row, "provider") for row in meant]
        # of several that nobody names, the one that refused is not known: another's reset would mislead
        alone = limits if len({text_of(row, "provider") for row in limits}) == 1 else []
        told_of = meant or alone
        sentence += (
            "; whose limit it was nothing tells"
            if limits and not told_of
            else _resets(told_of, window.end, rate_limits is not None)
        )
        advice = "Send less or elsewhere until the limit resets; retries without back-off keep it full."
        confidence, until = max(confidence, 0.85), over_at([*refusals, *told_at], requests)
        return Verdict(VerdictState.FOUND, f"{sentence}.", advice, onset, confidence, numbers, until=until)
    if requests is None and errors is None:
        keys = count(len(limits), "rate-limit key") if limits else "no rate-limit key"
        sentence = f"Redis holds {keys}, but without logs nothing tells whether anybody was refused."
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers' logs.", numbers=numbers)
    total = len(asked) if asked is not None else 0
    asked_in_all = f"{count(total, 'request')} to all services{aside}"
    share = f"{refused} of {asked_in_all} {were(refused)} refused with 429" if total else "No request is in the logs"
    errors_told = f"{count(len(said), 'error')} in the log" if len(said) else "no error in the log"
    sentence = f"{share}, and {errors_told} {'tell' if len(said) > 1 else 'tells'} of a rate limit."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.9, numbers=numbers)


def _refused(requests: pd.DataFrame | None) -> tuple[list[datetime], datetime | None, float]:
    """Return when requests were refused, since when often, and how surely that is no chance (0.0: it may be).

    Each service is judged by itself: what others answer meanwhile must not dilute what one refuses.
    """
    if requests is None:
        return [], None, 0.0
    ordered = requests[requests["at"].notna()].sort_values("at", kind="stable")
    refused = ordered["status_code"] == _TOO_MANY_REQUESTS
    judged: list[tuple[float, datetime]] = []
    for _, rows in ordered.groupby("service", sort=True):
        stretch = telling_stretch(refused[rows.index].to_numpy(), rows["at"], _USUAL_SHARE, _LIMITED_SHARE)
        if stretch is not None and stretch.expected_by_chance < _HARDLY_CHANCE:
            judged.append((stretch.expected_by_chance, rows["at"].iloc[stretch.first].to_pydatetime(warn=False)))
    if not judged:
        return ordered["at"][refused].tolist(), None, 0.0
    return ordered["at"][refused].tolist(), min(onset for _, onset in judged), 1.0 - min(judged)[0]


def _told(requests: pd.DataFrame | None) -> str:
    """Say how many requests were refused, by service where several refused: one may have passed through them all."""
    if requests is None:
        return ""
    by_service = requests[requests["status_code"] == _TOO_MANY_REQUESTS]["service"].value_counts()
    if len(by_service) < 2:  # noqa: PLR2004 (one has nothing to be told from)
        return f"{count(int(by_service.sum()), 'request')} refused with 429" if len(by_service) else ""
    (most, number), *others = by_service.items()
    each = [f"{count(int(number), 'request')} to {most}", *(f"{grouped(int(few))} to {name}" for name, few in others)]
    return f"{listing(each)} refused with 429"


def _named(limits: list[Row], said: pd.DataFrame) -> list[Row]:
    """Return the limits of the providers that the errors name."""
    lines = spoken(said)[-1000:]
    return [row for row in limits if (name := text_of(row, "provider")) and any(name in line for line in lines)]


def _resets(limits: list[Row], now: datetime, looked: bool) -> str:  # noqa: FBT001 (one caller)
    if not limits:
        return "; Redis holds no rate-limit key" if looked else "; when they reset was not looked at in Redis"
    told = []
    for row in limits[:4]:
        name, reset_at = text_of(row, "provider") or text_of(row, "key"), time_of(row, "reset_at")
        if reset_at is not None:
            told.append(f"{name} {'reset' if reset_at <= now else 'resets'} at {clock(reset_at)}")
        elif number_of(row, "ttl_s") is None:
            told.append(f"{name} has no expiry in Redis and will not reset by itself")
    return f"; {listing(told)}" if told else ""


def _requests(status_codes: list[int], path: str = "/api/chat") -> list[dict[str, object]]:
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
    Example(
        "refused since a moment, and Redis knows until when",
        {
            "requests": _requests([200] * 60 + [429] * 10),
            "rate_limits": [
                {
                    "key": "ratelimit:provider:alpha",
                    "provider": "alpha",
                    "type": "string",
                    "ttl_s": 42.0,
                    "value": "612",
                    "reset_at": "2026-11-24T03:02:00Z",
                }
            ],
        },
    ),
    Example(
        "a third of the chats among many health checks",
        {"requests": _requests([200, 200, 429] * 8) + _requests([200] * 600, "/api/health")},
    ),
    Example(
        "the log alone tells",
        {
            "errors": [
                {
                    "at": f"2026-11-24T03:05:{second:02d}Z",
                    "service": "jarvis-api",
                    "message": "openai.RateLimitError: Rate limit reached",
                    "line": "openai.RateLimitError: Rate limit reached",
                }
                for second in range(4)
            ]
        },
    ),
)
QUIET = (
    Example("nobody is refused", {"requests": _requests([200] * 60), "errors": [], "rate_limits": []}),
    Example(
        "keys in Redis are normal",
        {
            "requests": _requests([200] * 60),
            "rate_limits": [{"key": "ratelimit:provider:alpha", "provider": "alpha", "ttl_s": 42.0, "value": "12"}],
        },
    ),
)
