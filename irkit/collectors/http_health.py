"""The service's health endpoint: whether it answers, what it says, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from irkit.collect.contract import ColumnType, Document, Gap, Piece, Table, Unreachable, collector
from irkit.health.http_probe import Probe, probe, usable
from irkit.health.verdict import HEALTH, Body, health_row, judge, read_body
from irkit.model import Window
from irkit.settings import HttpTarget

_PROVIDERS: Mapping[str, ColumnType] = {"name": "string", "healthy": "bool", "status": "string", "detail": "string"}
# an address that nobody configured may not be this service's
_PROBES: Mapping[str, ColumnType] = {**HEALTH, "configured": "bool"}
_DEFAULT = "{} is the address in the runbook: no health_url is configured, so it may not be this service's"


@collector(
    "http-health",
    target="http",
    provides=("health", "health_body", "providers"),
    cost=1,
    command="curl -sS -w '\\n%{{time_total}} s, HTTP %{{http_code}}\\n' {target}",
)
def collect(target: HttpTarget, _window: Window) -> Iterator[Piece]:
    """Whether the API answers and how fast, and what it says of its providers; one that is down is evidence too."""
    if not usable(target.health_url):
        hint = "set [http] health_url to something like http://localhost:8000/api/health"
        raise Unreachable("the health_url is not an HTTP address", hint=hint)
    seen: list[tuple[Probe, Body]] = []

    def rows() -> Iterator[Mapping[str, object]]:
        for ended in probe(target.health_url, probes=target.probes, timeout_s=target.timeout_s):
            seen.append((ended, read_body(ended)))
            yield {**health_row(str(target), *seen[-1]), "configured": target.configured}

    yield Table("health", _PROBES, rows())
    answered = [(ended, body) for ended, body in seen if ended.status_code is not None]
    if answered:
        yield from _body_pieces(*answered[-1])
    if not target.configured and not any(judge(*item)[0] in ("healthy", "unhealthy") for item in seen):
        yield Gap(_DEFAULT.format(target))


def _body_pieces(ended: Probe, body: Body) -> Iterator[Piece]:
    content = {"json": body.value} if body.json else {"text": ended.body.decode("utf-8", "surrogateescape")}
    yield Document("health_body", {**content, "truncated": ended.truncated or ended.fault is not None})
    providers = body.health.providers
    if providers is not None:
        columns = tuple(_PROVIDERS)
        rows = [{column: getattr(item, column) for column in columns} for item in providers]
        yield Table("providers", _PROVIDERS, rows)
    for doubt in body.health.doubts:
        yield Gap(f"{doubt}; see health_body")
