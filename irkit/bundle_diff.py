"""What changed from one bundle to another: containers, settings, tables, metrics and log patterns, as data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import re2

from irkit.estimate import quantile
from irkit.logs.formats import clean
from irkit.logs.tables import parse_requests
from irkit.model import CollectorRun
from irkit.records import Row, rows_of, text_of

if TYPE_CHECKING:
    import pandas as pd

    from irkit.bundle import Bundle

Value = str | int | float | bool | datetime | None

_CONTAINER = (
    *("state", "health", "exit_code", "oom_killed", "started_at", "restart_count"),
    *("image", "image_digest", "restart_policy", "memory_limit_bytes", "log_driver", "ports"),
)
_PATTERN_CHARS = 300
_PLACEHOLDER = "[redacted:"
# every alternative starts with another character class or is bounded: no line takes long
_VARYING = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\b(?:0x)?(?=[0-9a-fA-F]{0,64}[0-9])[0-9a-fA-F]{7,64}\b"
    r"|\[redacted:[a-z0-9-]{1,60}:[0-9a-f]{8}\]"
    r"|\"[^\"]{0,200}\"|'[^']{0,200}'"
    r"|[0-9]+(?:[.:,/-][0-9]+){0,8}"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: which part (`collection`, `containers`, `settings`, …), of what, and its value in each bundle.

    None stands for what is not there or not known.
    """

    area: str
    subject: str
    what: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class NewPattern:
    """A kind of log line that the second bundle has and the first has not; `<*>` stands for what varies in it."""

    service: str
    pattern: str
    count: int
    first_at: datetime | None
    example: str


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """All differences from `before` to `after` (ids of bundles), and what could not be compared and why."""

    before: str
    after: str
    changes: tuple[Change, ...]
    new_patterns: tuple[NewPattern, ...]
    unknown: tuple[str, ...]


def diff(before: Bundle, after: Bundle) -> BundleDiff:
    """Compare two opened bundles; patterns are sorted by how often they occur.

    Raises:
        BundleError: a table of theirs cannot be read.
    """
    unknown: list[str] = []
    changes = [*_collection(before, after)]
    containers = _both(before, after, "containers", unknown)
    if containers:
        changes += _containers(*containers)
        changes += _settings(before, after)
    changes += _tables(before, after)
    logs = _both(before, after, "logs", unknown)
    patterns: tuple[NewPattern, ...] = ()
    if logs:
        changes += _metrics(*logs)
        patterns = tuple(_new_patterns(*logs))
    return BundleDiff(before.id, after.id, tuple(changes), patterns, tuple(unknown))


def signature(line: str) -> str:
    """Return a log line's pattern: numbers, hashes, ids, quoted text and placeholders become `<*>`."""
    return _VARYING.sub("<*>", clean(line)[:_PATTERN_CHARS]).strip()


def _both(before: Bundle, after: Bundle, kind: str, unknown: list[str]) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return a table of both bundles, or None with a word on why they cannot be compared."""
    for side in (before, after):
        item, run = side.evidence_for(kind), side.run_for(kind)
        if item is None:
            why = f": {run.outcome.replace('_', ' ')}, {run.reason}" if run else ""
            unknown.append(f"{kind} cannot be compared, bundle {side.id} has none{why}")
        elif item.truncated:
            unknown.append(f"{kind} of bundle {side.id} are not all there: {item.truncated}")
    if before.has(kind) and after.has(kind):
        return before.load(kind), after.load(kind)
    return None


def _changed(area: str, subject: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[Change]:
    for what in dict.fromkeys((*before, *after)):
        old, new = before.get(what), after.get(what)
        if old != new:
            yield Change(area, subject, what, old, new)


def _collection(before: Bundle, after: Bundle) -> Iterator[Change]:
    """What was looked at and how each look ended: a change here can be the reason for all others."""
    yield from _changed(
        "collection",
        "irkit",
        {"version": before.manifest.irkit_version, "window": _minutes(before)},
        {"version": after.manifest.irkit_version, "window": _minutes(after)},
    )
    sides = [{run.collector: run for run in bundle.runs} for bundle in (before, after)]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        yield from _changed("collection", name, *(_look(side.get(name)) for side in sides))


def _minutes(bundle: Bundle) -> str:
    return f"{bundle.window.duration.total_seconds() / 60:.0f} min"


def _look(run: CollectorRun | None) -> dict[str, Value]:
    if run is None:
        return {}
    return {"source": run.subject, "command": run.command, "outcome": run.outcome.replace("_", " ")}


def _containers(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Change]:
    sides = [{text_of(row, "name"): row for row in rows_of(table)} for table in (before, after)]
    for name in sorted({*sides[0], *sides[1]}):
        old, new = (side.get(name) for side in sides)
        if old is None or new is None:
            there = new or old or {}
            states = [side.get("state") if side else None for side in (old, new)]
            yield Change("containers", name, f"service {text_of(there, 'service')}", *states)
            continue
        yield from _changed("containers", name, _container(old), _container(new))
        if text_of(old, "container_id") != text_of(new, "container_id"):
            yield Change("containers", name, "made anew", old.get("created_at"), new.get("created_at"))


def _container(row: Row) -> dict[str, Value]:
    return {what: row.get(what) for what in _CONTAINER}


def _settings(before: Bundle, after: Bundle) -> Iterator[Change]:
    """Which variables a container's environment has, by their names alone, and what is mounted into it."""
    for kind, what in (("container_environment", "variable"), ("container_mounts", "destination")):
        if not (before.has(kind) and after.has(kind)):
            continue
        sides = [_by_container(bundle.load(kind), what) for bundle in (before, after)]
        for name in sorted(sides[0].keys() & sides[1].keys()):
            yield from _changed("settings", name, sides[0][name], sides[1][name])


def _by_container(rows: pd.DataFrame, what: str) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {}
    for row in rows_of(rows):
        source = f" from {text_of(row, 'source')}" if what == "destination" else ""
        value = f"{'read only' if row.get('read_only') else 'there'}{source}"
        found.setdefault(text_of(row, "name"), {})[f"{what} {text_of(row, what)}"] = value
    return found


def _tables(before: Bundle, after: Bundle) -> Iterator[Change]:
    sides = [
        {item.kind: item.rows for item in side.manifest.evidence if item.form == "table"} for side in (before, after)
    ]
    for kind in dict.fromkeys((*sides[0], *sides[1])):
        yield from _changed("tables", kind, *({"rows": side.get(kind)} for side in sides))


def _metrics(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Change]:
    sides = [_measured(parse_requests(logs)) for logs in (before, after)]
    for service in sorted({*sides[0], *sides[1]}):
        yield from _changed("metrics", service, *(side.get(service, {}) for side in sides))


def _measured(requests: pd.DataFrame) -> dict[str, dict[str, Value]]:
    """Return each service's requests, share answered 5xx, and quantiles of duration in seconds where logged."""
    made: dict[str, dict[str, Value]] = {}
    for service, rows in requests.groupby("service", sort=True):
        measured: dict[str, Value] = {"requests, health checks too": len(rows)}
        measured["error_ratio"] = round(float((rows["status_code"] >= 500).mean()), 4)  # noqa: PLR2004 (HTTP's own)
        durations = sorted(rows["duration_s"].dropna().tolist())
        for name, share in (("p50_s", 0.5), ("p95_s", 0.95)):
            measured[name] = round(quantile(durations, share), 4) if durations else None
        made[str(service)] = measured
    return made


def _new_patterns(before: pd.DataFrame, after: pd.DataFrame) -> list[NewPattern]:
    known: dict[str, dict[str, bool]] = {}
    for row in rows_of(_lines(before)):
        patterns, line = known.setdefault(text_of(row, "service"), {}), text_of(row, "line")
        pattern = signature(line)
        patterns[pattern] = patterns.get(pattern, False) or _PLACEHOLDER in line
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Row] = {}
    for row in rows_of(_lines(after)):
        service, pattern = key = text_of(row, "service"), signature(text_of(row, "line"))
        if pattern and pattern not in known.get(service, {}):
            counts[key] += 1
            first.setdefault(key, row)
    made = [
        NewPattern(service, pattern, count, first[service, pattern].get("at"), text_of(first[service, pattern], "line"))
        for (service, pattern), count in counts.most_common()
    ]
    hidden = {
        service: [_any_words(pattern) for pattern, hides in patterns.items() if hides]
        for service, patterns in known.items()
    }
    return [
        one
        for one in made
        if not _known_but_for_redaction(one, known.get(one.service, {}), hidden.get(one.service, []))
    ]


def _known_but_for_redaction(new: NewPattern, known: Iterable[str], hidden: Iterable[Any]) -> bool:
    """Say whether a pattern is one of those known in other clothes; `hidden` match those whose lines hold placeholders.

    What one bundle has in words another may have as a placeholder, if it was redacted by other rules or once more.
    """
    if _PLACEHOLDER in new.example:
        worded = _any_words(new.pattern)
        return any(worded.fullmatch(pattern) for pattern in known)
    return any(pattern.fullmatch(new.pattern) for pattern in hidden)


def _any_words(pattern: str) -> Any:  # noqa: ANN401 (re2 names no type for it)
    """Return what matches a pattern with a word in each of its open places: in linear time, as lines are not ours."""
    return re2.compile(r"\S+".join(map(re2.escape, pattern.split("<*>"))))


def _lines(logs: pd.DataFrame) -> pd.DataFrame:
    return logs[["at", "service", "line"]]
