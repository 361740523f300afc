"""A Prometheus alert for what an incident showed, and the unit test that proves it fires and stays silent.

Expressions use the names that common exporters give: blackbox_exporter (`probe_success`), the client libraries'
`http_requests_total` and `http_request_duration_seconds`, cAdvisor (`container_…`). What a service does not export, it
has to export first, and the rule says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from irkit.model import Finding, Incident, RunbookSymptom, VerdictState
from irkit.runbook import Runbook
from irkit.text.message import fit, one_line

_TEXT_CHARS = 300
_MINUTES = 30
_MINUTE = timedelta(minutes=1)
# when the unit test looks: after the longest window and `for` of the rules below
_FIRING_AT = "25m"
# where the runbook gives no number of seconds
_DEFAULT_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Measure:
    """How a symptom shows in metrics: the expression, the minutes it must hold for, and series that fire and do not.

    A series is its name and labels; its values are in promtool's notation, one a minute. `needs` says who exports them.
    """

    expr: str
    lasting: str
    firing: tuple[tuple[str, str], ...]
    silent: tuple[tuple[str, str], ...]
    needs: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and its test as YAML, by file name, the symptoms no metric is known for, and the alerts that wait longer.

    `too_slow` names those that have to hold for longer (their `for`) than the incident lasted: they would have told
    nobody of it.
    """

    files: Mapping[str, str]
    alerts: tuple[str, ...]
    without: tuple[str, ...]
    too_slow: tuple[tuple[str, str], ...] = ()


def rule(incident: Incident, runbook: Runbook, findings: Iterable[Finding], first_sign: datetime | None = None) -> Rule:
    """Return the alert for each symptom that was found, for the type's own where nothing was looked at.

    `first_sign` is since when the evidence shows them, for an incident of which nobody recorded when it started.
    """
    kind = runbook.known_type(incident.type)
    shown = {one.symptom: one.title for one in findings if one.verdict.state is VerdictState.FOUND}
    listed = {one.slug: one for one in (kind.symptoms if kind else ())}
    chosen = shown or {slug: one.text for slug, one in listed.items()}
    known = {one.slug: one for each in runbook.incident_types for one in each.symptoms}
    lasted = _lasted(incident, first_sign)
    alerts, tests, without, too_slow = [], [], [], []
    for slug, title in chosen.items():
        measure = _measure(slug, known.get(slug))
        if measure is None:
            without.append(title)
            continue
        name = _camel(slug)
        alert = _alert(name, title, measure, incident, kind.title if kind else incident.type)
        alerts.append(alert)
        if lasted and _MINUTE * int(measure.lasting.removesuffix("m")) > lasted:
            too_slow.append((name, measure.lasting))
        tests += [_test(name, measure.firing, [_expected(alert, measure)]), _test(name, measure.silent, [])]
    if not alerts:
        return Rule({}, (), tuple(without))
    base = f"irkit-inc-{incident.id}"
    group = {"groups": [{"name": base, "rules": alerts}]}
    unit = {"rule_files": [f"{base}.rules.yml"], "evaluation_interval": "1m", "tests": tests}
    files = {f"{base}.rules.yml": _yaml(group), f"{base}.test.yml": _yaml(unit)}
    return Rule(MappingProxyType(files), tuple(str(one["alert"]) for one in alerts), tuple(without), tuple(too_slow))


def _lasted(incident: Incident, first_sign: datetime | None) -> timedelta | None:
    """Return how long an alert had something to fire at; None while it goes on, or where the times contradict."""
    over = incident.eased_at
    start = incident.started_at or min(filter(None, (first_sign, incident.noticed_at)))
    return over - start if over and over > start else None


def _alert(name: str, title: str, measure: Measure, incident: Incident, kind: str) -> dict[str, object]:
    described = f"As in {incident.label}, “{_literal(incident.title)}”. Runbook: {_literal(kind)}."
    needs = f" Needs {measure.needs}." if measure.needs else ""
    return {
        "alert": name,
        "expr": measure.expr,
        "for": measure.lasting,
        "labels": {"severity": incident.severity.lower(), "incident_type": incident.type},
        "annotations": {"summary": _literal(title), "description": f"{described}{needs}"},
    }


def _expected(alert: Mapping[str, object], measure: Measure) -> dict[str, object]:
    labels = alert["labels"]
    own = dict(measure.labels) | (labels if isinstance(labels, dict) else {})
    return {"exp_labels": own, "exp_annotations": alert["annotations"]}


def _test(name: str, series: Sequence[tuple[str, str]], expected: Sequence[object]) -> dict[str, object]:
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series],
        "alert_rule_test": [{"eval_time": _FIRING_AT, "alertname": name, "exp_alerts": list(expected)}],
    }


def _measure(slug: str, symptom: RunbookSymptom | None) -> Measure | None:
    limit = symptom.threshold if symptom else None
    if limit and limit.unit == "s" and limit.comparison in {">", ">="} and "latency" in limit.metric.casefold():
        named = re.search(r"\bp(\d\d)\b", limit.metric, re.IGNORECASE)
        return _slow(limit.value, named[1] if named else "95")
    return _slow(_DEFAULT_LIMIT_S, "95") if slug == "slow-dashboard-loading" else _MEASURES.get(slug)


def _slow(limit_s: float, percentile: str) -> Measure:
    name = "http_request_duration_seconds_bucket"
    never, steady = f"0x{_MINUTES}", f"0+60x{_MINUTES}"

    def buckets(below: str) -> tuple[tuple[str, str], ...]:
        counts = ((f"{limit_s:g}", below), (f"{limit_s * 4:g}", steady), ("+Inf", steady))
        return tuple((f'{name}{{le="{limit}"}}', values) for limit, values in counts)

    return Measure(
        f"histogram_quantile(0.{percentile}, sum by (le) (rate({name}[5m]))) > {limit_s:g}",
        "5m",
        buckets(never),
        buckets(steady),
        "the histogram http_request_duration_seconds",
    )


def _share(codes: str, failing: str, threshold: str) -> Measure:
    total = "http_requests_total"
    return Measure(
        f'sum(rate({total}{{code=~"{codes}"}}[5m])) / sum(rate({total}[5m])) > {threshold}',
        "2m",
        ((f'{total}{{code="200"}}', f"0+60x{_MINUTES}"), (f'{total}{{code="{failing}"}}', f"0+30x{_MINUTES}")),
        ((f'{total}{{code="200"}}', f"0+60x{_MINUTES}"), (f'{total}{{code="{failing}"}}', f"0x{_MINUTES}")),
        "the counter http_requests_total with the label code",
    )


def _probe(job: str) -> Measure:
    series = f'probe_success{{job="{job}"}}'
    return Measure(
        f"min by (job) ({series}) == 0",
        "1m",
        ((series, f"1x5 0x{_MINUTES}"),),
        ((series, f"1x{_MINUTES}"),),
        f"blackbox_exporter, probing as job {job}",
        (("job", job),),
    )


def _counter(name: str, needs: str) -> Measure:
    return Measure(
        f"increase({name}[10m]) > 0", "0m", ((name, f"0x15 1x{_MINUTES}"),), ((name, f"3x{_MINUTES}"),), needs
    )


_LIMIT = 'container_spec_memory_limit_bytes{name="api"}'
_USED = 'container_memory_working_set_bytes{name="api"}'
_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "health-check-failing": _probe("health"),
        "provider-health-check-failing": _probe("provider"),
        "5xx-error-spike": _share("5..", "500", "0.05"),
        "timeout-errors": _share("408|504", "504", "0.02"),
        "ai-responses-failing": _share("502|503", "502", "0.05"),
        "rate-limit-errors": _share("429", "429", "0.05"),
        "gradual-memory-increase": Measure(
            "predict_linear(container_memory_working_set_bytes[15m], 4 * 3600)"
            " > on (name) (container_spec_memory_limit_bytes > 0)",
            "5m",
            ((_USED, f"100+10x{_MINUTES}"), (_LIMIT, f"1000x{_MINUTES}")),
            ((_USED, f"400x{_MINUTES}"), (_LIMIT, f"1000x{_MINUTES}")),
            "cAdvisor",
            (("name", "api"),),
        ),
        "oom-kills": _counter("container_oom_events_total", "cAdvisor"),
        "sqlite-errors": _counter("sqlite_errors_total", "a counter sqlite_errors_total that the service exports"),
        "read-failures": _counter("read_failures_total", "a counter read_failures_total that the service exports"),
    }
)


def _literal(text: str) -> str:
    """Return a text in which Prometheus finds no template to execute: `{{ … }}` would be one."""
    return fit(one_line(text), _TEXT_CHARS).replace("{{", "{ {").replace("}}", "} }")


def _camel(slug: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", slug))
    return name if name[:1].isalpha() else f"Http{name}"


def _yaml(value: object) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return text
