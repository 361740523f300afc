"""The rate-limit keys: who is limited, how far, and when it ends.

The runbook's `GET "ratelimit:provider:*"` finds nothing, since GET knows no patterns; SCAN does, in small steps that
keep nobody waiting.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from irkit.collect.contract import USUAL, ColumnType, Gap, Limits, Piece, Table, Unreachable, collector
from irkit.model import Window, utc_now
from irkit.redis_client import connected, explain
from irkit.settings import RedisTarget

# a tenth of a second of the start of all collectors, which the processes of two then take while others wait
if TYPE_CHECKING:
    import redis

_TIME_SHARE = 0.6
# a wide pattern leaves open what kind of thing is limited as well
_KIND_WORDS = frozenset({"provider", "providers"})
MAX_KEYS = 2000
SCAN_COUNT = 500
_CHUNK_KEYS = 100
_TEXT_BYTES = 200
_ITEM_CHARS = 80
_ITEMS = 20
# Items are fetched only where a few of them are small in all, or many of them on average: the size is asked first.
_SMALL_BYTES = 256 * 1024
_SMALL_ITEM_BYTES = 4096
_COLUMNS: Mapping[str, ColumnType] = {
    "key": "string",
    "provider": "string",
    "type": "string",
    "ttl_s": "float",
    "length": "int",
    "value": "string",
    "reset_at": "time",
}

Command = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one Redis type is measured, read in part (`{}` stands for the key) and summed up."""

    measure: str
    read: tuple[Command, ...]
    summarise: Callable[[list[Any], int], str]


@collector(
    "redis-ratelimits",
    target="redis",
    provides=("rate_limits",),
    cost=2,
    command="redis-cli -u {target} --scan --pattern '{target.ratelimit_pattern}'",
)
def collect(target: RedisTarget, _window: Window, limits: Limits = USUAL) -> Iterator[Piece]:
    """Which providers are rate-limited right now, how far, and when each limit resets."""
    if not target.ratelimit_pattern:
        hint = 'set [redis] ratelimit_pattern, for example to "ratelimit:provider:*"'
        raise Unreachable("it is not known how the keys of the rate limits are named", hint=hint)
    gaps: list[str] = []
    with connected(target) as client:
        first = _scan(client, target, 0)  # a Redis that cannot be scanned at all is a refusal, not an empty table
        if _is_cluster(client):
            gaps.append(f"Redis at {target} is one node of a cluster: keys on its other nodes were not looked for")
        yield Table("rate_limits", _COLUMNS, _rows(client, target, first, gaps, limits.share_s(_TIME_SHARE)))
    yield from map(Gap, dict.fromkeys(gaps))


def _rows(
    client: redis.Redis, target: RedisTarget, page: tuple[int, list[bytes]], gaps: list[str], budget_s: float
) -> Iterator[Mapping[str, object]]:
    """Yield one row a key; why the search ended early, if it did, goes to `gaps`."""
    from redis.exceptions import RedisError

    until = time.monotonic() + budget_s
    seen: set[bytes] = set()
    try:
        while True:
            cursor, found = page
            fresh = [key for key in dict.fromkeys(found) if key not in seen]
            for start in range(0, len(fresh), _CHUNK_KEYS):
                chunk = fresh[start : start + _CHUNK_KEYS][: MAX_KEYS - len(seen)]
                seen.update(chunk)
                yield from _describe(client, chunk, target, gaps)
                if len(seen) >= MAX_KEYS:
                    gaps.append(f"only the first {MAX_KEYS} keys like {target.ratelimit_pattern} were read")
                    return
                if time.monotonic() > until:
                    break
            if not cursor:
                return
            if time.monotonic() > until:
                gaps.append(f"the search for {target.ratelimit_pattern} was not finished within {budget_s:g} s")
                return
            page = _scan(client, target, cursor)
    except (RedisError, OSError) as error:
        gaps.append(f"the search for {target.ratelimit_pattern} broke off: {explain(error, target)}")


def _scan(client: redis.Redis, target: RedisTarget, cursor: int) -> tuple[int, list[bytes]]:
    pattern = target.ratelimit_pattern.encode("utf-8", "surrogateescape")
    following, keys = client.scan(cursor, match=pattern, count=SCAN_COUNT)
    return following, [key for key in keys if isinstance(key, bytes)]


def _is_cluster(client: redis.Redis) -> bool:
    from redis.exceptions import ResponseError

    try:
        return bool(client.info("cluster").get("cluster_enabled"))
    except ResponseError:
        return False  # not permitted; redis-info says so itself


def _describe(
    client: redis.Redis, keys: Sequence[bytes], target: RedisTarget, gaps: list[str]
) -> Iterator[Mapping[str, object]]:
    """Yield a row for each key that still exists: type and expiry first, then the size, then a little of the value."""
    types = _ask(client, [("TYPE", key) for key in keys])
    expiries = _ask(client, [("PTTL", key) for key in keys])
    now = utc_now()
    known = {key: kind for key, name in zip(keys, types, strict=True) if (kind := _kind(name))}
    lengths = dict(zip(known, _ask(client, [(kind.measure, key) for key, kind in known.items()]), strict=True))
    small = [key for key in known if known[key].measure == "STRLEN"] + _small(client, lengths, known)
    reads = [tuple(key if part == "{}" else part for part in command) for key in small for command in known[key].read]
    answers = iter(_ask(client, reads))
    values = {key: [next(answers) for _ in known[key].read] for key in small}
    for key, name, expiry in zip(keys, types, expiries, strict=True):
        failed = next((item for item in (name, expiry, lengths.get(key)) if isinstance(item, Exception)), None)
        if failed is not None:
            gaps.append(f"some keys could not be read: {explain(failed, target)}")
        if name == b"none" or expiry == -2:  # noqa: PLR2004 (Redis' word for: expired since it was found)
            continue
        ttl_s = expiry / 1000 if isinstance(expiry, int) and expiry >= 0 else None
        length = lengths.get(key)
        yield {
            "key": _text(key),
            "provider": provider_of(_text(key), target.ratelimit_pattern),
            "type": _text(name) if isinstance(name, bytes) else None,
            "ttl_s": ttl_s,
            "length": length if isinstance(length, int) else None,
            "value": _summary(known.get(key), values.get(key), length),
            "reset_at": None if ttl_s is None else now + timedelta(seconds=ttl_s),
        }


def provider_of(key: str, pattern: str) -> str:
    """Return the part of a key that the pattern leaves open: `openai` for `ratelimit:provider:openai`.

    Of a key that goes on, as `…:openai:tokens` does, it is the first word: what follows says which limit of it.
    """
    before = re.match(r"[^*?\[\\]*", pattern)
    after = re.search(r"[^*?\]\\]*$", pattern)
    if before is None or after is None or before[0] == pattern:
        return key.rpartition(":")[2]
    words = key.removeprefix(before[0]).removesuffix(after[0]).split(":")
    return words[1] if words[0] in _KIND_WORDS and len(words) > 1 else words[0]


def _small(client: redis.Redis, lengths: Mapping[bytes, Any], known: Mapping[bytes, _Kind]) -> list[bytes]:
    """Return the collections whose items are small enough to fetch a few, by what Redis says they take."""
    counted = {
        key: length
        for key, length in lengths.items()
        if isinstance(length, int) and length and known[key].measure != "STRLEN"
    }
    # SAMPLES 0 looks at all items, which is dear where there are many
    asked = [("MEMORY USAGE", key, "SAMPLES", 0 if length <= _ITEMS else _ITEMS) for key, length in counted.items()]
    sizes = zip(counted, _ask(client, asked), strict=True)
    return [
        key
        for key, size in sizes
        if isinstance(size, int)
        and (size <= _SMALL_BYTES if counted[key] <= _ITEMS else size / counted[key] <= _SMALL_ITEM_BYTES)
    ]


def _ask(client: redis.Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands together and return an answer, or an error, for each."""
    if not commands:
        return []
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return list(pipeline.execute(raise_on_error=False))


def _kind(name: object) -> _Kind | None:
    return _KINDS.get(_text(name)) if isinstance(name, bytes) else None


def _summary(kind: _Kind | None, answers: list[Any] | None, length: object) -> str | None:
    if kind is None or not isinstance(length, int):
        return None
    if answers is None:
        return "(not read: large, or its size is not told)" if length else ""
    if any(isinstance(answer, Exception) for answer in answers):
        return None
    return kind.summarise(answers, length)


def _string(answers: list[Any], length: int) -> str:
    return _text(answers[0]) + (f"… ({length} bytes)" if length > _TEXT_BYTES else "")


def _hash(answers: list[Any], _: int) -> str:
    fields = list(answers[0][1].items())[:_ITEMS]
    return json.dumps({_item(name): _item(value) for name, value in fields}, ensure_ascii=False)


def _list(answers: list[Any], _: int) -> str:
    return json.dumps([_item(value) for value in answers[0]], ensure_ascii=False)


def _set(answers: list[Any], _: int) -> str:
    return json.dumps([_item(value) for value in list(answers[0][1])[:_ITEMS]], ensure_ascii=False)


def _sorted_set(answers: list[Any], _: int) -> str:
    ends = {}
    for end, answer in zip(("lowest", "highest"), answers, strict=True):
        member, score = answer
        number = float(score)
        ends[end] = {"member": _item(member), "score": number if math.isfinite(number) else _text(score)}
    return json.dumps(ends, ensure_ascii=False)


def _stream(answers: list[Any], _: int) -> str:
    return json.dumps([_text(entry[0]) for entry in answers[0]], ensure_ascii=False)


def _item(raw: bytes) -> str:
    text = _text(raw)
    return text if len(text) <= _ITEM_CHARS else f"{text[:_ITEM_CHARS]}…"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_KINDS = {
    "string": _Kind("STRLEN", (("GETRANGE", "{}", 0, _TEXT_BYTES - 1),), _string),
    "hash": _Kind("HLEN", (("HSCAN", "{}", 0, "COUNT", _ITEMS),), _hash),
    "list": _Kind("LLEN", (("LRANGE", "{}", 0, _ITEMS - 1),), _list),
    "set": _Kind("SCARD", (("SSCAN", "{}", 0, "COUNT", _ITEMS),), _set),
    # scores are times in a sliding window: its two ends tell most
    "zset": _Kind("ZCARD", (("ZRANGE", "{}", 0, 0, "WITHSCORES"), ("ZRANGE", "{}", -1, -1, "WITHSCORES")), _sorted_set),
    "stream": _Kind("XLEN", (("XREVRANGE", "{}", "+", "-", "COUNT", 3),), _stream),
}
