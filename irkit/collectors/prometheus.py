"""What Prometheus recorded over the window: the configured queries, as samples."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from irkit.collect.contract import ColumnType, Gap, Piece, Refused, Table, Unreachable, collector
from irkit.health.http_get import Answer, get
from irkit.health.http_probe import usable
from irkit.model import Window
from irkit.settings import PrometheusTarget

_SAMPLES: Mapping[str, ColumnType] = {"at": "time", "query": "string", "series": "string", "value": "float"}
_POINTS = 240  # as many as a chart can show; Prometheus refuses more than 11,000
_LEAST_STEP_S = 15
_ANSWER_BYTES = 16 * 1024 * 1024
_SHOWN_CHARS = 200
_HINT = "set [prometheus] url to its address, e.g. http://localhost:9090"
Result = list[Mapping[str, Any]]


@collector(
    "prometheus",
    target="prometheus",
    provides=("prometheus_samples",),
    cost=3,
    command="promtool query range {target} up",
)
def collect(target: PrometheusTarget, window: Window) -> Iterator[Piece]:
    """What Prometheus recorded before and during the incident, for each of the configured queries.

    Yields `prometheus_samples`: one row for each sample of each series, the query under its configured name, the
    series in Prometheus's own notation, `value` None where it is not a number. At most 240 points a series.

    Raises:
        Unreachable: no Prometheus answers.
        Refused: what answers is none, or wants credentials.
    """
    if not usable(target.url.reveal()):
        raise Unreachable("the [prometheus] url is not an HTTP address", hint=_HINT)
    gaps: list[Gap] = []
    answers = _answers(target, window, gaps)
    # before any piece: one that cannot be asked at all has nothing to show
    first = next(answers, None)

    def rows() -> Iterator[Mapping[str, object]]:
        if first is not None:
            yield from _rows(*first)
        for name, result in answers:
            yield from _rows(name, result)

    yield Table("prometheus_samples", _SAMPLES, rows())
    yield from gaps


def _answers(target: PrometheusTarget, window: Window, gaps: list[Gap]) -> Iterator[tuple[str, Result]]:
    for name, expression in target.queries:
        answer = _ask(target, expression, window)
        if answer.truncated:
            gaps.append(Gap(f"query {name}: the answer has more than {_ANSWER_BYTES:,} bytes and was left out"))
            continue
        body = _body(target, answer)
        said = [*_texts(body.get("warnings")), *_texts(body.get("infos"))]
        if body.get("status") != "success":
            said.append(str(body.get("error") or f"it answers {answer.status_code}"))
        gaps.extend(Gap(f"query {name}: {text[:_SHOWN_CHARS]}") for text in said)
        result = (body.get("data") or {}).get("result") or []
        if body.get("status") == "success" and not result:
            gaps.append(Gap(f"query {name} found no series in the window"))
        if any("histograms" in series for series in result):
            gaps.append(Gap(f"query {name}: native histograms are not kept; use histogram_quantile() in the query"))
        yield name, result


def _ask(target: PrometheusTarget, expression: str, window: Window) -> Answer:
    step_s = max(_LEAST_STEP_S, math.ceil(window.duration.total_seconds() / _POINTS))
    parameters = {
        "query": expression,
        "start": f"{window.start.timestamp():.3f}",
        "end": f"{window.end.timestamp():.3f}",
        "step": step_s,
        "timeout": f"{target.timeout_s:g}s",
    }
    url = f"{target.url.reveal().rstrip('/')}/api/v1/query_range?{urlencode(parameters)}"
    try:
        return get(url, timeout_s=target.timeout_s, limit_bytes=_ANSWER_BYTES)
    except Unreachable as error:
        raise Unreachable(f"Prometheus at {target} cannot be asked: {error}", hint=_HINT) from None


def _body(target: PrometheusTarget, answer: Answer) -> Mapping[str, Any]:
    if answer.status_code in (401, 403):
        hint = 'set [prometheus] url = "env:NAME" with user and password in it'
        raise Refused(f"Prometheus at {target} wants other credentials ({answer.status_code})", hint=hint)
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
        raise Refused(f"what answers at {target} is not Prometheus ({answer.status_code})", hint=_HINT)
    return body


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _rows(name: str, result: Result) -> Iterator[Mapping[str, object]]:
    for series in result:
        label = _notation(series.get("metric") or {})
        for at_s, text in series.get("values") or ():
            value = float(text)
            yield {
                "at": datetime.fromtimestamp(at_s, UTC),
                "query": name,
                "series": label,
                "value": value if math.isfinite(value) else None,
            }


def _notation(metric: Mapping[str, str]) -> str:
    """Write a series as Prometheus does: `name{label="value", …}`."""
    labels = ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(metric.items()) if key != "__name__")
    return f"{metric.get('__name__', '')}{{{labels}}}"
