"""Wait until a provider's rate limit has really reset, by the key in Redis that holds it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import redis

from irkit.act_contract import ActError, Action, Ask, Plan, Result, in_our_words, only_look, register
from irkit.errors import InputError
from irkit.health_wait import seconds_option
from irkit.rate_limits import usage_of
from irkit.redis_client import connected
from irkit.settings import Settings
from irkit.times import format_duration

_PATIENCE_S = 3600.0
_STEP_S = 1.0
_SAY_EVERY_S = 10.0
_SEARCH_S = 5.0
_VALUE_BYTES = 200
_FIELDS = 20
# of the times that services write: seconds, and their thousandths, millionths, billionths
_UNITS = (1, 1e3, 1e6, 1e9)
# a score further off than by this factor is no time of today
_OFF = 2.0


@dataclass(frozen=True, slots=True)
class _State:
    """A key as it is now: its type ("none": gone), seconds until it expires, how much it counts, its oldest entry.

    `limit` is what the key itself tells.
    """

    kind: str
    ttl_s: float | None
    used: int | None
    oldest: datetime | None = None
    window_s: float | None = None
    limit: int | None = None

    @property
    def reset_in_s(self) -> float | None:
        """Seconds until a call is possible again, by the key alone; None where it never expires."""
        if self.kind == "none":
            return 0.0
        if self.oldest and self.window_s:
            return (self.oldest + timedelta(seconds=self.window_s) - datetime.now(UTC)).total_seconds()
        return self.ttl_s


def plan(ask: Ask) -> Plan:
    name = _provider(ask)
    key, state = _read(ask.settings, name)
    if state is None:
        return Plan(
            name,
            (),
            refusal=f"no key of {ask.settings.redis.ratelimit_pattern} is of {name}: Redis limits it no more",
            instead="`irkit collect` lists the keys there are",
        )
    limit = _limit(ask) or state.limit
    free = limit is not None and state.used is not None and state.used < limit
    left = state.reset_in_s
    told = f"{key}: {state.used if state.used is not None else 'unknown'} used" + (f" of {limit}" if limit else "")
    wait = (
        f"it is looked at each second until it has reset, in {format_duration(timedelta(seconds=left))}" if left else ""
    )
    return Plan(
        name,
        (wait or "it is looked at each second until it has reset",),
        (f"redis-cli -u {ask.settings.redis} PTTL {key}",),
        (told,),
        f"{key} never expires by itself" if left is None and not free else "",
        "whoever wrote it has to reset it" if left is None and not free else "",
        {"key": key, "reset_in_s": left, "used": state.used},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    key, limit = str(plan.data["key"]), _limit(ask)
    patience_s, begun = seconds_option(ask, "patience", _PATIENCE_S), ask.now()
    _, before = _read(ask.settings, plan.target)
    said_at: datetime | None = None
    while True:
        _, state = _read(ask.settings, plan.target)
        waited = (ask.now() - begun).total_seconds()
        if state is None or before is None:
            return Result(well=True, sentence=f"{key} has expired; waited {waited:.0f} s", data={"waited_s": waited})
        if _has_reset(before, state, limit):
            used = f", {state.used} used" if state.used is not None else ""
            if state.oldest and not (limit or state.limit):
                used += ": its oldest call has left it, which makes room unless refused calls count (-p limit tells)"
            return Result(
                well=True, sentence=f"{key} has reset{used}; waited {waited:.0f} s", data={"waited_s": waited}
            )
        if waited >= patience_s:
            raise ActError(f"{key} had not reset after {patience_s:g} s", hint="-p patience SECONDS waits longer")
        if said_at is None or (ask.now() - said_at).total_seconds() >= _SAY_EVERY_S:
            said_at, left = ask.now(), state.reset_in_s
            ask.say(f"{key} resets in {max(left or 0, 0):.0f} s" if left else f"{key} has not reset yet")
        before = state
        ask.sleep(_STEP_S)


def _has_reset(before: _State, now: _State, limit: int | None) -> bool:
    """Say whether a call is possible again: fewer are counted than the limit, or the window is another one.

    A key that counts in a fixed window starts anew with a longer time to live and a lower count; in a sliding window
    room comes when the oldest entry leaves it.
    """
    limit = limit or now.limit
    if limit is not None and now.used is not None:
        return now.used < limit
    if now.oldest is not None:
        return now.reset_in_s is not None and (now.reset_in_s <= 0 or now.oldest != before.oldest)
    anew = now.ttl_s is not None and before.ttl_s is not None and now.ttl_s > before.ttl_s
    return anew and now.used is not None and before.used is not None and now.used < before.used


def _read(settings: Settings, provider: str) -> tuple[str, _State | None]:
    """Return a provider's key and its state, None where there is none."""
    pattern = settings.redis.ratelimit_pattern
    if not pattern:
        raise ActError(
            "it is not known how the keys of the rate limits are named", hint="set [redis] ratelimit_pattern"
        )
    with in_our_words(), connected(settings.redis) as client:
        key = _find(client, pattern, provider)
        return key.decode("utf-8", "replace"), _state(client, key) if key else None


def _find(client: redis.Redis, pattern: str, provider: str) -> bytes:
    """Return the key of a provider, b"" where there is none.

    Raises:
        ActError: not all keys could be looked at in time, so that nobody knows.
    """
    exact = pattern.replace("*", provider, 1).encode() if pattern.count("*") == 1 else b""
    if exact and client.exists(exact):
        return exact
    cursor, wanted = 0, provider.encode()
    until = time.monotonic() + _SEARCH_S
    while True:
        cursor, keys = client.scan(cursor, match=pattern, count=1000)
        found = next((key for key in sorted(cast("list[bytes]", keys)) if wanted in key.split(b":")), None)
        if found or not cursor:
            return found or b""
        if time.monotonic() > until:
            raise ActError(
                f"Redis has so many keys that the search for one of {provider} was not finished in {_SEARCH_S:g} s",
                hint="whether it is limited is unknown; set [redis] ratelimit_pattern to a narrower one",
            )


def _state(client: redis.Redis, key: bytes) -> _State | None:
    kind, expiry = cast("bytes", client.type(key)).decode(), client.pttl(key)
    ttl_s = expiry / 1000 if expiry >= 0 else None
    if kind == "none":
        return None
    if kind == "zset":
        return _window(client, key, ttl_s)
    row: dict[str, object] = {"type": kind, "ttl_s": ttl_s}
    if kind == "string":
        row["value"] = cast("bytes", client.getrange(key, 0, _VALUE_BYTES)).decode("utf-8", "replace")
    if kind == "hash":
        fields = cast("dict[bytes, bytes]", client.hscan(key, 0, count=_FIELDS)[1])
        row["value"] = json.dumps({_text(name): _text(value) for name, value in fields.items()})
    [usage] = usage_of([row], {})
    return _State(kind, ttl_s, usage.used, limit=usage.limit)


def _window(client: redis.Redis, key: bytes, ttl_s: float | None) -> _State:
    """Return the state of a sliding window, whose scores are the times of its calls in whichever unit."""
    ends = [client.zrange(key, place, place, withscores=True) for place in (0, -1)]
    now_s = datetime.now(UTC).timestamp()
    scores = [float(end[0][1]) for end in ends if end]
    unit = next(
        (unit for unit in _UNITS if scores and all(1 / _OFF < score / unit / now_s < _OFF for score in scores)), None
    )
    if unit is None or ttl_s is None:
        return _State("zset", ttl_s, client.zcard(key))
    oldest, newest = (score / unit for score in scores)
    # each call sets the expiry to the length of the window, so what is left of it tells how long that is
    window_s = ttl_s + max(now_s - newest, 0)
    used = client.zcount(key, (now_s - window_s) * unit, "+inf")
    return _State("zset", ttl_s, used, datetime.fromtimestamp(oldest, UTC), round(window_s))


def _text(raw: bytes) -> str:
    return raw[:_VALUE_BYTES].decode("utf-8", "replace")


def _limit(ask: Ask) -> int | None:
    text = ask.options.get("limit")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InputError(f"-p limit {text!r} is not a number of calls", hint="for example -p limit 600")
    return int(text)


def _provider(ask: Ask) -> str:
    if len(ask.arguments) != 1:
        raise InputError("the limit of which provider?", hint=f"irkit act {ask.incident.id} wait-ratelimit PROVIDER")
    return ask.arguments[0]


register(
    Action(
        "wait-ratelimit",
        "Wait until a provider's rate limit has really reset, by its key in Redis.",
        plan,
        apply,
        only_look,
        needs=("redis",),
        usage="PROVIDER",
        answers=r"\brate limit reset\b",
        changes=False,
        options={
            "limit": "calls the limit allows, where only that tells",
            "patience": "seconds to wait at most (3600)",
        },
    )
)
