"""What one probe of a health endpoint means: healthy by its own word, or what was wrong instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from irkit.collect.contract import ColumnType
from irkit.health.body import Health, parse_json, read_health
from irkit.health.http_probe import Probe
from irkit.settings import Secret

HEALTH: Mapping[str, ColumnType] = {
    "at": "time",
    "url": "string",
    "verdict": "string",
    "status_code": "int",
    "reported_status": "string",
    "error": "string",
    "name_lookup_s": "float",
    "connect_s": "float",
    "tls_s": "float",
    "first_byte_s": "float",
    "total_s": "float",
    "size_bytes": "int",
    "content_type": "string",
}
_WHY: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it wants credentials",
    HTTPStatus.FORBIDDEN: "it wants other credentials",
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "it cannot be asked by GET",
    HTTPStatus.TOO_MANY_REQUESTS: "it is being asked too often",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A probe's body as far as it could be understood; `json` tells a body that is null from one that is not JSON."""

    value: object
    json: bool
    health: Health

    @property
    def status(self) -> str | None:
        """The body's own word, unless it is a text that merely happens to be there."""
        return self.health.status if self.json or self.health.healthy is not None else None


def read_body(ended: Probe) -> Body:
    """Read a probe's body as JSON, else as the few words that many endpoints answer instead."""
    try:
        value = parse_json(ended.body)
    except ValueError:
        # many endpoints say no more than OK
        text = ended.body.decode("utf-8", "surrogateescape").strip()
        return Body(text, json=False, health=Health() if "\n" in text or _is_html(ended) else read_health(text))
    return Body(value, json=True, health=read_health(value))


def health_row(url: str, ended: Probe, body: Body) -> Mapping[str, object]:
    """Return a probe as a row of `HEALTH`; `url` is shown as given."""
    verdict, error = judge(ended, body)
    return {
        "at": ended.at,
        "url": url,
        "verdict": verdict,
        "status_code": ended.status_code,
        "reported_status": body.status,
        "error": error or None,
        "name_lookup_s": ended.name_lookup_s,
        "connect_s": ended.connect_s,
        "tls_s": ended.tls_s,
        "first_byte_s": ended.first_byte_s,
        "total_s": ended.total_s,
        "size_bytes": len(ended.body) if ended.status_code is not None else None,
        "content_type": ended.content_type,
    }


def judge(ended: Probe, body: Body) -> tuple[str, str]:
    """Return the verdict and why: `unhealthy` is the service's own word, `error` an answer that says neither."""
    if ended.fault is not None or ended.status_code is None:
        return ended.fault or "error", ended.error
    code = ended.status_code
    said = f", reporting {body.status!r}" if body.status else ""
    if HTTPStatus.MULTIPLE_CHOICES <= code < HTTPStatus.BAD_REQUEST and ended.location:
        return "redirect", f"answered {code}, pointing to {_without_secrets(ended.location)}, which was not followed"
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "unhealthy", f"answered {code}{said}"
    if not HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return "error", f"answered {code}: {_WHY.get(code, 'not what a health check answers')}"
    return _judge_body(ended, body, f"answered {code}", said)


def _judge_body(ended: Probe, body: Body, answered: str, said: str) -> tuple[str, str]:
    if ended.truncated:
        return "error", f"{answered} with a body over {len(ended.body)} bytes"
    if _is_html(ended):
        return "error", f"{answered} with a web page: something else may have answered for the service"
    if ended.body and not body.json and "json" in (ended.content_type or ""):
        return "error", f"{answered} with malformed JSON"
    if body.health.healthy is False:
        return "unhealthy", f"{answered}{said or ', reporting that it is not healthy'}"
    if body.health.healthy is None and body.status:
        return "healthy", f"{answered}{said}, a word irkit does not know: judged by the code alone"
    return "healthy", ""


def _is_html(ended: Probe) -> bool:
    start = ended.body[:200].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html")) or "text/html" in (ended.content_type or "").lower()


def _without_secrets(location: str) -> str:
    try:
        return str(Secret(location))
    except ValueError:
        return "an address that is not valid"
