"""Queries that were slow before memory grew and the kernel killed: what waits for them piles up, which is no leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from irkit.logs.formats import clean
from irkit.logs.queries import parse_query
from irkit.model import Finding, Verdict, VerdictState
from irkit.records import rows_of, text_of
from irkit.text.phrase import clock, grouped, seconds

if TYPE_CHECKING:
    import pandas as pd

TYPE = "high-latency"
_KILLS, _GROWTH, _LATENCY = "oom-kills", "gradual-memory-increase", "p95-latency"
_BEFORE = timedelta(minutes=10)
# the engine tells of a kill to the second
_AT_ONCE = timedelta(seconds=1)
# what is killed within seconds of its first slow query had no time to fill by it
_CLEARLY = timedelta(seconds=10)
# a change of memory is known to a sample or two
_SAMPLES = timedelta(seconds=10)
_LONGEST_S = 86_400.0
_FEWEST = 3
_SURE = 0.6


@dataclass(frozen=True, slots=True)
class _Slow:
    """The logged queries of one service that were over the limit: when the first was asked, how many, the longest."""

    service: str
    since: datetime
    number: int
    longest_s: float


def told_by_queries(
    findings: Sequence[Finding], logs: pd.DataFrame, containers: pd.DataFrame | None
) -> tuple[Finding, ...]:
    """Return the findings with high latency as the cause of a kill, where slow queries clearly came before it.

    They did where at least three over the latency limit began before memory grew, which somebody watched. What waited
    for them when the kernel killed was answered never, and no p95 of the answered can be clear beside that.
    """
    by_slug = {item.symptom: item for item in findings}
    kills, growth, latency = (by_slug.get(slug) for slug in (_KILLS, _GROWTH, _LATENCY))
    if kills is None or growth is None or latency is None or not _is_found(kills):
        return tuple(findings)
    killed, limit_s = kills.verdict.onset, latency.verdict.numbers.get("limit_s")
    name = str(kills.verdict.numbers.get("name", ""))
    if killed is None or not name or not isinstance(limit_s, float) or TYPE not in latency.incident_types:
        return tuple(findings)
    slow = _slow(logs, _service_of(name, containers), killed, limit_s)
    if slow is None or killed - slow.since < _CLEARLY or not _grew_after(growth.verdict, name, slow.since):
        return tuple(findings)
    changed = {_KILLS: _as_effect(kills, slow)}
    if _is_found(growth):
        changed[_GROWTH] = _as_effect(growth, slow)
    if not _is_found(latency):
        changed[_LATENCY] = replace(latency, verdict=_slow_verdict(latency.verdict, slow, killed, limit_s))
    return tuple(changed.get(item.symptom, item) for item in findings)


def _is_found(finding: Finding) -> bool:
    return finding.verdict.state is VerdictState.FOUND


def _service_of(name: str, containers: pd.DataFrame | None) -> str:
    own = (text_of(row, "service") for row in rows_of(containers) if text_of(row, "name") == name)
    return next(filter(None, own), name)


def _slow(logs: pd.DataFrame, service: str, killed: datetime, limit_s: float) -> _Slow | None:
    """Return the queries over the limit that were logged in the minutes before the kill, None where they are few."""
    own = logs[(logs["service"] == service) & logs["at"].between(killed - _BEFORE, killed + _AT_ONCE)]
    asked = []
    for row in rows_of(own):
        read = parse_query(clean(row["line"]))
        if read is not None and limit_s < read.duration_s <= _LONGEST_S:
            asked.append((row["at"] - timedelta(seconds=read.duration_s), read.duration_s))
    if len(asked) < _FEWEST:
        return None
    return _Slow(service, min(at for at, _ in asked), len(asked), max(each for _, each in asked))


def _grew_after(growth: Verdict, name: str, since: datetime) -> bool:
    """Say whether memory was seen to be level when queries began to be slow; a leak grows before that."""
    if growth.state is VerdictState.CLEAR:
        return True  # it was filled at a stroke
    if growth.state is not VerdictState.FOUND or growth.onset is None or growth.numbers.get("name") != name:
        return False
    return growth.numbers.get("all_along") is not True and growth.onset >= since - _SAMPLES


def _as_effect(finding: Finding, slow: _Slow) -> Finding:
    verdict = finding.verdict
    said = f"{slow.service}'s queries were slow before that, since {clock(slow.since)}: what waits for them piles up"
    sentence = f"{verdict.sentence.rstrip('.')}; {said}."
    return replace(finding, verdict=replace(verdict, sentence=sentence, explained_by=TYPE))


def _slow_verdict(seen: Verdict, slow: _Slow, killed: datetime, limit_s: float) -> Verdict:
    sentence = (
        f"{grouped(slow.number)} queries of {slow.service} took longer than the limit of {seconds(limit_s)}, "
        f"up to {seconds(slow.longest_s)}, since {clock(slow.since)}, until the kernel killed it at {clock(killed)}: "
        f"what waited then was never answered. Of what was: {seen.sentence}"
    )
    advice = "See the plans of the slow queries (irkit act ID explain-queries): more memory makes none of them quick."
    numbers = {**seen.numbers, "service": slow.service, "slow_queries": slow.number}
    return Verdict(VerdictState.FOUND, sentence, advice, slow.since, _SURE, numbers, until=killed)
