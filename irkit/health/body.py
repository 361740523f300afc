"""What a health endpoint's body says of its service and of the service's providers, in the shapes people write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_PROVIDERS = 500
_MAX_DETAIL_CHARS = 4000
_MAX_DEPTH = 64
_GOOD = re.compile(
    "ok|okay|up|healthy|pass|passed|passing|success|ready|alive|live|running|serving|green|operational|available|"
    "active|online|connected|reachable|good|normal|true|yes"
)
_BAD = re.compile(
    "down|unhealthy|fail|failed|failing|failure|error|critical|red|dead|offline|unavailable|unreachable|disconnected|"
    "degraded|warn|warning|yellow|out_of_service|not_serving|not_ready|timeout|timed_out|rate_limited|throttled|"
    "refused|false|no|not|broken|stopped|starting"
)
_FLAGS = ("healthy", "is_healthy", "ok", "up", "available", "alive", "success")
_WORDS = ("status", "state", "health")
_NAMES = ("name", "provider", "id")


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: `healthy` is None where its entry does not tell, `detail` is JSON text of what else it says."""

    name: str
    healthy: bool | None
    status: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """What a body says: `healthy` None where it does not tell, `providers` None where it names none.

    `doubts` are sentences about what is there and was not understood.
    """

    healthy: bool | None = None
    status: str | None = None
    providers: tuple[Provider, ...] | None = None
    doubts: tuple[str, ...] = ()


def parse_json(body: bytes) -> object:
    """Decode a body as JSON; what is not UTF-8 in it becomes lone surrogates.

    Raises:
        ValueError: it is not JSON, or nested deeper than anyone means.
    """
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    level, depth = [value], 0
    while level := [child for item in level for child in _children(item)]:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
    return value


def read_health(value: object) -> Health:
    """Read a decoded body: its own status, and the providers under `.services.providers` or `.providers`."""
    healthy, status = _judge(value)
    found = _find_providers(value)
    if found is None:
        return Health(healthy, status)
    entries = list(_entries(found))
    if not entries and found:
        return Health(healthy, status, None, ("the providers are in a shape irkit does not know",))
    providers = tuple(_provider(name, entry) for name, entry in entries[:MAX_PROVIDERS])
    doubts = []
    if unclear := [item.name for item in providers if item.healthy is None]:
        more = " and others" if len(unclear) > 5 else ""  # noqa: PLR2004 (enough to recognise them by)
        doubts.append(f"the body does not tell whether these providers are healthy: {', '.join(unclear[:5])}{more}")
    if len(entries) > MAX_PROVIDERS:
        doubts.append(f"only the first {MAX_PROVIDERS} of {len(entries)} providers were read")
    return Health(healthy, status, providers, tuple(doubts))


def means_healthy(word: object) -> bool | None:
    """Return what a status word means, by the word itself or the first of several; None for one we do not know."""
    if isinstance(word, bool):
        return word
    if not isinstance(word, str):
        return None
    whole = re.sub(r"[\s-]+", "_", word.strip().lower())
    for known in (whole, *re.findall(r"[a-z]+", whole)[:1]):
        if _GOOD.fullmatch(known) or _BAD.fullmatch(known):
            return _GOOD.fullmatch(known) is not None
    return None


def _judge(value: object) -> tuple[bool | None, str | None]:
    """Return what a value says of itself and in which word; of several claims the worst counts."""
    if not isinstance(value, Mapping):
        return means_healthy(value), _word(value)
    lowered = {str(key).lower(): item for key, item in value.items()}
    stated = next((lowered[key] for key in _WORDS if isinstance(lowered.get(key), str | bool)), None)
    claims = {means_healthy(lowered.get(key)) for key in (*_FLAGS, *_WORDS)} - {None}
    if not claims and lowered.get("error"):
        claims = {False}
    return (False not in claims) if claims else None, _word(stated)


def _find_providers(value: object) -> object | None:
    if not isinstance(value, Mapping):
        return None
    services = value.get("services")
    nested = services.get("providers") if isinstance(services, Mapping) else None
    return value.get("providers") if nested is None else nested


def _entries(found: object) -> Iterator[tuple[str, object]]:
    if isinstance(found, Mapping):
        objects = any(isinstance(entry, Mapping) for entry in found.values())
        for name, entry in found.items():
            # beside objects, a bare `status` is the word of the whole group and not a provider of that name
            if not (objects and name in (*_FLAGS, *_WORDS) and not isinstance(entry, Mapping)):
                yield str(name), entry
    elif isinstance(found, list):
        for entry in found:
            if isinstance(entry, str):
                yield entry, None
            elif isinstance(entry, Mapping):
                named = [entry[key] for key in _NAMES if isinstance(entry.get(key), str | int)]
                yield str(named[0]) if named else "(unnamed)", entry


def _provider(name: str, entry: object) -> Provider:
    healthy, status = _judge(entry)
    rest: object = None
    if isinstance(entry, Mapping):
        rest = {key: item for key, item in entry.items() if item not in (name, status) or key not in (*_NAMES, *_WORDS)}
    elif not isinstance(entry, str | bool):
        rest = entry
    detail = json.dumps(rest) if rest else None
    if detail and len(detail) > _MAX_DETAIL_CHARS:
        detail = f"{detail[:_MAX_DETAIL_CHARS]}…"
    return Provider(name, healthy, status, detail)


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else None


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
