"""Calls to providers as logs tell of them: which fail, with what, how long they take, by provider."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.diagnose.signs import AI_PATH, HEALTH_PATH, Sign, bearing, has
from irkit.records import Row, integer_of, rows_of, text_of, time_of

if TYPE_CHECKING:
    import pandas as pd

_CLIENT_ERROR = 400
# how long after a provider's answer the service may log its own
_ANSWERED = timedelta(seconds=5)
# names that errors of client libraries bear, for services whose health answer names no provider
_KNOWN = re.compile(r"\b(openai|anthropic|ollama|gemini|mistral|cohere|bedrock)\b", re.IGNORECASE)
_NAMED = re.compile(r"\bprovider[=: ]{1,2}[\"']?([\w.-]{1,60})", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LATENCY = re.compile(r"(?:latency|duration|response_time|elapsed|took)(?:_?(ms|s|seconds|millis))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider, or one error that tells of one (`status_code` and `duration_s` may be None then)."""

    at: datetime
    provider: str
    failed: bool
    status_code: int | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Errors of one provider that say the same but for their numbers: how many, from when to when, the latest line."""

    provider: str
    pattern: str
    count: int
    first: datetime | None
    last: datetime | None
    line: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one route that needs a provider, with one status: how many, from when to when."""

    route: str
    status: int
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Uncalled:
    """Failed requests to `services` that got to no provider: how many, from when to when, `since` the last that did."""

    services: tuple[str, ...]
    count: int
    since: datetime
    first: datetime
    last: datetime


def provider_names(providers: Iterable[Row], limits: Iterable[Row], services: Iterable[str]) -> tuple[str, ...]:
    """Return the providers' names: of the health answer, of the rate-limit keys, and services that look like one."""
    named = [text_of(row, "name") for row in providers] + [text_of(row, "provider") for row in limits]
    looks = [name for name in services if has(Sign.PROVIDER, name.replace("-", " ").replace("_", " "))]
    return tuple(dict.fromkeys(name for name in (*named, *sorted(looks)) if name))


def own_calls(requests: pd.DataFrame | None, names: Sequence[str]) -> tuple[Call, ...]:
    """Return the requests that providers of the stack itself logged, health checks aside, in order of time."""
    if requests is None or not len(requests):
        return ()
    made = []
    for row in rows_of(requests[requests["service"].isin(names)]):
        at, status = time_of(row, "at"), integer_of(row, "status_code")
        if at is not None and not HEALTH_PATH.search(text_of(row, "path")):
            failed = status is not None and status >= _CLIENT_ERROR
            made.append(Call(at, text_of(row, "service"), failed, status, row.get("duration_s")))
    return tuple(sorted(made, key=lambda call: call.at))


def told_failures(errors: pd.DataFrame | None, names: Sequence[str]) -> tuple[Call, ...]:
    """Return a failed call for each error that tells of a provider, in order of time."""
    said = bearing(errors, Sign.PROVIDER, Sign.RATE_LIMIT)
    calls = [
        Call(at, provider_in(text_of(row, "line"), names), failed=True, status_code=None, duration_s=None)
        for row in rows_of(said)
        if (at := time_of(row, "at")) is not None
    ]
    return tuple(sorted(calls, key=lambda call: call.at))


def failures(errors: pd.DataFrame | None, names: Sequence[str]) -> tuple[Failure, ...]:
    """Return the errors that tell of providers, those that say the same together, the most frequent first."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows_of(bearing(errors, Sign.PROVIDER, Sign.RATE_LIMIT)):
        line = text_of(row, "line")
        pattern = _NUMBER.sub("#", text_of(row, "message") or line.partition("\n")[0])
        alike.setdefault((provider_in(line, names), pattern), []).append(row)
    made = []
    for (provider, pattern), rows in alike.items():
        times = [at for row in rows if (at := time_of(row, "at"))]
        line = text_of(rows[-1], "line")
        made.append(Failure(provider, pattern, len(rows), min(times, default=None), max(times, default=None), line))
    return tuple(sorted(made, key=lambda item: (-item.count, item.provider, item.pattern)))


def answers(requests: pd.DataFrame | None) -> tuple[Answers, ...]:
    """Return how often the routes that need a provider were answered with which status, from when to when."""
    times: dict[tuple[str, int], list[datetime]] = {}
    for row in rows_of(requests):
        path, status = text_of(row, "path").partition("?")[0], integer_of(row, "status_code")
        if status is not None and (at := time_of(row, "at")) and AI_PATH.search(path):
            times.setdefault((f"{text_of(row, 'method')} {path}", status), []).append(at)
    return tuple(
        Answers(route, status, len(every), min(every), max(every)) for (route, status), every in sorted(times.items())
    )


def refused_uncalled(requests: pd.DataFrame | None, calls: Sequence[Call]) -> Uncalled | None:
    """Return the requests that needed a provider and failed after all calls to providers that did; None for none.

    `calls` are those of every provider's own log: what fails when none of theirs does never got to one.
    """
    last = max((one.at for one in calls if one.failed), default=None)
    if last is None:
        return None
    failed = [
        (at, text_of(row, "service"))
        for row in rows_of(requests)
        if (at := time_of(row, "at"))
        and at > last + _ANSWERED
        and (integer_of(row, "status_code") or 0) >= _CLIENT_ERROR
        and AI_PATH.search(text_of(row, "path"))
    ]
    if not failed:
        return None
    times = [at for at, _ in failed]
    services = tuple(sorted({service for _, service in failed}))
    return Uncalled(services, len(failed), last, min(times), max(times))


def provider_in(line: str, names: Sequence[str]) -> str:
    """Return the provider that a log line names, the longest of the known names first; "" where it names none."""
    for name in sorted(names, key=len, reverse=True):
        if name in line:
            return name
    told = _NAMED.search(line) or _KNOWN.search(line)
    return told[1] if told else ""


def latency_told(detail: str) -> float | None:
    """Return the seconds that a health answer's entry gives as a provider's latency; a number alone is milliseconds."""
    try:
        fields = json.loads(detail)
    except ValueError:
        return None
    for name, value in fields.items() if isinstance(fields, dict) else ():
        told = _LATENCY.search(str(name))
        if told and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value) if told[1] in {"s", "seconds"} else value / 1000
    return None
