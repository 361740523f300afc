"""Wait until a provider's rate limit has really reset, by the key in Redis that holds it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from irkit.act.contract import ActError, Action, Ask, Plan, Result, in_our_words, only_look, register
from irkit.act.health_wait import health, seconds_option
from irkit.diagnose.rate_limits import usage_of
from irkit.errors import InputError
from irkit.redis_client import connected
from irkit.settings import Settings
from irkit.text.phrase import listing
from irkit.times import format_duration

if TYPE_CHECKING:
    import redis

_PATIENCE_S = 3600.0
_STEP_S = 1.0
_SAY_EVERY_S = 10.0
_SEARCH_S = 5.0
_VALUE_BYTES = 200
_MOST_NAMED = 8
# a limit on tokens is felt before it is used up: the next call wants more of them than are left
_NEAR = 0.95
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
    keys, others = _keys(ask.settings, name)
    states = _states(ask.settings, keys)
    if not states:
        known = f"there are: {listing(others[:_MOST_NAMED])}" if others else "there is none of any other either"
        refusal = f"no key of {ask.settings.redis.ratelimit_pattern} is of {name}: Redis limits it no more"
        return Plan(name, (), refusal=refusal, instead=known)
    asked = _limit(ask)
    free = {key: _is_free(state, asked) for key, state in states.items()}
    lefts = {key: state.reset_in_s for key, state in states.items() if not free[key]}
    stuck = [key for key, left in lefts.items() if left is None]
    left = max((one for one in lefts.values() if one is not None), default=None)
    when = f", in {format_duration(timedelta(seconds=left))}" if left else ""
    what = "it is" if len(states) == 1 else "each of them is"
    return Plan(
        name,
        (f"{what} looked at each second until it has reset{when}",),
        tuple(f"redis-cli -u {ask.settings.redis} PTTL {shlex.quote(key)}" for key in states),
        tuple(_told(key, state, asked) for key, state in states.items()),
        f"{listing(stuck)} never expires by itself" if stuck else "",
        "whoever wrote it has to reset it" if stuck else "",
        {"keys": list(states), "reset_in_s": left},
    )


def _told(key: str, state: _State, asked: int | None) -> str:
    limit = asked or state.limit
    used = "unknown" if state.used is None else state.used
    return f"{key}: {used} used" + (f" of {limit}" if limit else "")


def _is_free(state: _State, asked: int | None) -> bool:
    """Say whether there is room by a limit that is known; what is nearly used up has none for a call of some size."""
    limit = asked or state.limit
    return limit is not None and state.used is not None and state.used < limit * _NEAR


def apply(plan: Plan, ask: Ask) -> Result:
    limit, patience_s, begun = _limit(ask), seconds_option(ask, "patience", _PATIENCE_S), ask.now()
    keys, _ = _keys(ask.settings, plan.target)  # looked for once: in a large Redis that takes its time from others
    before = _states(ask.settings, keys)
    waiting, ended = dict.fromkeys(_names(plan)), list[str]()
    said_at: datetime | None = None
    while True:
        states = _states(ask.settings, keys)
        waited = (ask.now() - begun).total_seconds()
        for key in tuple(waiting):
            if how := _over(before.get(key), states.get(key), limit):
                ended.append(f"{key} {how}")
                del waiting[key]
        if not waiting:
            return Result(well=True, sentence=f"{listing(ended)}; waited {waited:.0f} s", data={"waited_s": waited})
        if waited >= patience_s:
            raise ActError(
                f"{listing(waiting)} had not reset after {patience_s:g} s", hint="-p patience SECONDS waits longer"
            )
        if said_at is None or (ask.now() - said_at).total_seconds() >= _SAY_EVERY_S:
            said_at = ask.now()
            for key in waiting:
                left = states[key].reset_in_s
                ask.say(f"{key} resets in {max(left, 0):.0f} s" if left else f"{key} has not reset yet")
        before = states
        ask.sleep(_STEP_S)


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    """Look whether the provider is well by the health endpoint: a limit that has reset is not all that it can lack."""
    seen = health(ask)
    if seen.providers.get(plan.target) is False:
        said = f"The health endpoint says that {plan.target} is not healthy all the same"
        return Result(well=False, sentence=f"{said}: what it refuses for is another reason, or a limit of its own")
    return only_look(plan, result, ask)


def _names(plan: Plan) -> list[str]:
    keys = plan.data["keys"]
    assert isinstance(keys, list)  # noqa: S101 (planned above)
    return [str(one) for one in keys]


def _over(before: _State | None, now: _State | None, limit: int | None) -> str:
    """Say how a key's limit is over, "" while it is not."""
    if now is None or before is None:
        return "has expired"
    if not _has_reset(before, now, limit):
        return ""
    used = f", {now.used} used" if now.used is not None else ""
    if now.oldest and not (limit or now.limit):
        used += ": its oldest call has left it, which makes room unless refused calls count (-p limit tells)"
    return f"has reset{used}"


def _has_reset(before: _State, now: _State, limit: int | None) -> bool:
    """Say whether a call is possible again: fewer are counted than the limit, or the window is another one.

    A key that counts in a fixed window starts anew with a longer time to live and a lower count; in a sliding window
    room comes when the oldest entry leaves it.
    """
    limit = limit or now.limit
    if limit is not None and now.used is not None:
        return _is_free(now, limit)
    if now.oldest is not None:
        return now.reset_in_s is not None and (now.reset_in_s <= 0 or now.oldest != before.oldest)
    anew = now.ttl_s is not None and before.ttl_s is not None and now.ttl_s > before.ttl_s
    return anew and now.used is not None and before.used is not None and now.used < before.used


def _keys(settings: Settings, provider: str) -> tuple[dict[str, bytes], list[str]]:
    """Return a provider's keys by their names as they are shown, and the names of the others."""
    pattern = settings.redis.ratelimit_pattern
    if not pattern:
        raise ActError(
            "it is not known how the keys of the rate limits are named", hint="set [redis] ratelimit_pattern"
        )
    with in_our_words(), connected(settings.redis) as client:
        own, others = _find(client, pattern, provider)
    return {one.decode("utf-8", "replace"): one for one in own}, [one.decode("utf-8", "replace") for one in others]


def _states(settings: Settings, keys: Mapping[str, bytes]) -> dict[str, _State]:
    """Return the state of each of these keys that is there."""
    with in_our_words(), connected(settings.redis) as client:
        states = {name: _state(client, key) for name, key in keys.items()}
    return {name: state for name, state in states.items() if state}


def _find(client: redis.Redis, pattern: str, provider: str) -> tuple[list[bytes], list[bytes]]:
    """Return the keys of a provider, one a limit of it (calls, tokens), and the others.

    Raises:
        ActError: not all keys could be looked at in time, so that nobody knows.
    """
    exact = {pattern.replace("*", provider, 1).encode()} if pattern.count("*") == 1 else set()
    cursor, wanted, seen = 0, provider.encode(), set[bytes]()
    until = time.monotonic() + _SEARCH_S
    while True:
        cursor, keys = client.scan(cursor, match=pattern, count=1000)
        seen.update(cast("list[bytes]", keys))
        if not cursor:
            own = {key for key in seen if key in exact or wanted in key.split(b":")}
            return sorted(own), sorted(seen - own)
        if time.monotonic() > until:
            raise ActError(
                f"Redis has so many keys that the search for those of {provider} was not finished in {_SEARCH_S:g} s",
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
        verify,
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
