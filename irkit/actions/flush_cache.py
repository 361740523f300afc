"""Empty the Redis cache, and nothing but the cache: keys are counted by prefix first, and what is no cache stays."""

from __future__ import annotations

import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from irkit.act.contract import ActError, Action, Ask, Plan, Result, in_our_words, register
from irkit.errors import InputError
from irkit.redis_client import connected
from irkit.settings.sections import RedisTarget
from irkit.text.phrase import count
from irkit.text.visible import visible

if TYPE_CHECKING:
    import redis

_PAGE = 2000
_BATCH = 500
_BUDGET_S = 20.0
_MOST_NAMED = 8
_NO_PREFIX = "(no prefix)"
_SPECIAL = re.compile(r"([*?\[\]\\])")


@dataclass(frozen=True, slots=True)
class _Keys:
    """The database's keys by the part of their name up to the first colon; `whole` where all were counted."""

    by_prefix: Counter[str]
    total: int
    whole: bool


def plan(ask: Ask) -> Plan:
    target, wanted = ask.settings.redis, _wanted(ask)
    with in_our_words(), connected(target) as client:
        keys = _counted(client)
        limit = "" if wanted else _a_rate_limit(client, target)
    where = target.place
    seen = tuple(
        f"{count(number, 'key')} {prefix}{'' if prefix == _NO_PREFIX else '…'}{_about(prefix, target)}"
        for prefix, number in keys.by_prefix.most_common(_MOST_NAMED)
    )
    if wanted:
        return _by_prefix(ask, wanted, seen)
    foreign = _foreign(keys, target)
    refusal = instead = ""
    if not keys.whole:
        counted = sum(keys.by_prefix.values())
        refusal = f"only {counted} of {count(keys.total, 'key')} could be counted in {_BUDGET_S:g} s"
    elif foreign:
        shown = ", ".join(f"{prefix} ({keys.by_prefix[prefix]})" for prefix in foreign[:_MOST_NAMED])
        refusal = f"it would delete keys that are not known to be cache: {shown}"
    elif limit:
        refusal = f"it would delete the state of the rate limits, such as {limit}: without it, all limits start anew"
    if refusal:
        known = next(iter(target.cache_prefixes), "cache:")
        instead = (
            f"delete by prefix: irkit act {ask.incident.id} flush-cache -p prefix {known}; or say what is cache with "
            '[redis] cache_prefixes = ["cache:"] in irkit.toml'
        )
    return Plan(
        where,
        (f"all {count(keys.total, 'key')} of {where} are deleted (FLUSHDB)", _after()),
        () if refusal else (f"redis-cli -u {target} FLUSHDB",),
        seen,
        refusal,
        instead,
        {"prefixes": [], "keys": keys.total},
    )


def _by_prefix(ask: Ask, wanted: tuple[str, ...], seen: tuple[str, ...]) -> Plan:
    target = ask.settings.redis
    limits = target.ratelimit_pattern.partition("*")[0]
    with in_our_words(), connected(target) as client:
        # by the names that such keys would have, too, where none is there at this moment
        guarded = [
            each
            for each in wanted
            if (limits and (limits.startswith(each) or each.startswith(limits))) or _a_rate_limit(client, target, each)
        ]
        found = sum(1 for each in wanted for _ in _matching(client, each))
    unknown = [each for each in wanted if not each.startswith(target.cache_prefixes)]
    named = " or ".join(map(visible, wanted))
    note = tuple(f"{each} is not among [redis] cache_prefixes: you say that it is cache" for each in unknown)
    refusal = f"{guarded[0]} holds the state of the rate limits: without it, all limits start anew" if guarded else ""
    typed = f"redis-cli -u {target}"
    unlink = f"xargs -d '\\n' -n {_BATCH} {typed} UNLINK"
    return Plan(
        target.place,
        (
            f"{count(found, 'key')} that begin with {named} are deleted, {_BATCH} at a time (UNLINK); others stay",
            _after(),
        ),
        () if guarded else tuple(f"{typed} --scan --pattern {shlex.quote(_glob(each))} | {unlink}" for each in wanted),
        (*seen, *note),
        refusal or ("" if found else "no key begins so"),
        "wait for them: irkit act ID wait-ratelimit PROVIDER" if guarded else "see the prefixes above",
        {"prefixes": list(wanted), "keys": found},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    prefixes, target = plan.data["prefixes"], ask.settings.redis
    assert isinstance(prefixes, list)  # noqa: S101 (planned above)
    if not prefixes:
        again = _whole_is_cache(target)
        if again:
            return Result(well=False, sentence=f"nothing was deleted: since the plan was made there is {again}")
        with in_our_words(), connected(target) as client:
            client.flushdb()
        return Result(well=True, sentence=f"all {plan.data['keys']} keys were deleted")
    deleted = 0
    try:
        with in_our_words(), connected(target) as client:
            for each in prefixes:
                batch: list[bytes] = []
                for key in _matching(client, str(each)):
                    batch.append(key)
                    if len(batch) == _BATCH:
                        deleted += client.unlink(*batch)
                        batch = []
                deleted += client.unlink(*batch) if batch else 0
    except ActError as error:
        raise ActError(f"{error}; {count(deleted, 'key')} were deleted by then", hint=error.hint) from None
    return Result(well=True, sentence=f"{count(deleted, 'key')} were deleted", data={"deleted": deleted})


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    prefixes = plan.data["prefixes"]
    assert isinstance(prefixes, list)  # noqa: S101 (planned above)
    with in_our_words(), connected(ask.settings.redis) as client:
        left = sum(1 for each in prefixes for _ in _matching(client, str(each))) if prefixes else client.dbsize()
        kept = client.dbsize()
    planned = plan.data["keys"]
    assert isinstance(planned, int)  # noqa: S101 (planned above)
    told = f"{count(left, 'key')} of that kind there now, {count(kept, 'key')} in all"
    # a cache fills itself again while we look
    return Result(left < planned or planned == 0, told, {"left": left, "kept": kept})


def _wanted(ask: Ask) -> tuple[str, ...]:
    text = ask.options.get("prefix")
    if text is None:
        return ()
    wanted = tuple(part.strip() for part in text.split(",") if part.strip())
    if not wanted or any(len(each) < 2 or "*" in each for each in wanted):  # noqa: PLR2004 (one letter is a slip)
        raise InputError(f"-p prefix {text!r} is no beginning of a key", hint="for example -p prefix cache:,session:")
    return wanted


def _counted(client: redis.Redis) -> _Keys:
    """Count keys by prefix, for as long as the budget lasts; each key once, though SCAN may show it twice."""
    until, cursor, found = time.monotonic() + _BUDGET_S, 0, Counter[str]()
    seen: set[bytes] = set()
    while True:
        cursor, keys = client.scan(cursor, count=_PAGE)
        fresh = [key for key in cast("list[bytes]", keys) if key not in seen]
        seen.update(fresh)
        found.update(_prefix(key) for key in fresh)
        if not cursor or time.monotonic() > until:
            return _Keys(found, max(client.dbsize(), len(seen)), not cursor)


def _glob(prefix: str) -> str:
    """Return Redis's pattern for the keys that begin with a prefix."""
    return _SPECIAL.sub(r"\\\1", prefix) + "*"


def _matching(client: redis.Redis, prefix: str) -> Iterator[bytes]:
    yield from cast("Iterator[bytes]", client.scan_iter(match=_glob(prefix), count=_PAGE))


def _a_rate_limit(client: redis.Redis, target: RedisTarget, prefix: str = "") -> str:
    """Return a key that holds the state of a rate limit and begins with a prefix, "" where none does."""
    if not target.ratelimit_pattern:
        return ""
    keys = cast("Iterator[bytes]", client.scan_iter(match=target.ratelimit_pattern, count=_PAGE))
    return next((visible(key.decode("utf-8", "replace")) for key in keys if key.startswith(prefix.encode())), "")


def _whole_is_cache(target: RedisTarget) -> str:
    """Return what has come that is no cache, "" where all is."""
    with in_our_words(), connected(target) as client:
        keys = _counted(client)
        limit = _a_rate_limit(client, target)
    foreign = _foreign(keys, target)
    return foreign[0] if foreign else limit if keys.whole else "more than can be counted"


def _prefix(key: bytes) -> str:
    head, colon, _ = key.partition(b":")
    return visible(head.decode("utf-8", "replace")) + ":" if colon else _NO_PREFIX


def _foreign(keys: _Keys, target: RedisTarget) -> list[str]:
    """Return the prefixes that are not known to be cache."""
    return [prefix for prefix in keys.by_prefix if not _is_cache(prefix, target)]


def _is_cache(prefix: str, target: RedisTarget) -> bool:
    """Say whether all keys of a prefix are cache, by one that is configured: as long as it or shorter."""
    return prefix != _NO_PREFIX and prefix.startswith(tuple(filter(None, target.cache_prefixes)))


def _about(prefix: str, target: RedisTarget) -> str:
    if target.ratelimit_pattern and target.ratelimit_pattern.startswith(prefix):
        return ", the state of rate limits among them"
    return ", cache" if _is_cache(prefix, target) else ""


def _after() -> str:
    return "what is asked for next is computed anew, which is slower until the cache has filled"


register(
    Action(
        "flush-cache",
        "Empty the Redis cache; keys are counted by prefix first, and what is no cache is never deleted.",
        plan,
        apply,
        verify,
        needs=("redis",),
        answers=r"\bclear\b.*\bcache\b|\bFLUSHDB\b",
        destroys=("redis-info", "redis-ratelimits"),
        destructive=True,
        options={"prefix": "only keys that begin so: cache: or cache:,session:"},
    )
)
