"""How far other clocks are from ours, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from irkit.collect.contract import Refused
from irkit.docker.containers import parse_time
from irkit.docker.engine import connected as docker_connected
from irkit.docker.engine import get as docker_get
from irkit.health.http_get import get
from irkit.model import utc_now
from irkit.redis_client import connected as redis_connected
from irkit.settings import DockerTarget, RedisTarget
from irkit.skew import Skew

_HEADERS_BYTES = 64 * 1024


def skew_between(asked_at: datetime, answered_at: datetime, told: datetime, resolution_s: float = 0.0) -> Skew:
    """Return the skew of a clock that told its time somewhere between our asking and its answer.

    The time is taken for that of the middle, which is wrong by half the round trip at most (F. Cristian,
    Probabilistic clock synchronization, 1989); one cut to a resolution is on average half of it later than told.
    """
    half_s = max(0.0, (answered_at - asked_at).total_seconds() / 2)
    middle = asked_at + timedelta(seconds=half_s)
    return Skew((told - middle).total_seconds() + resolution_s / 2, half_s + resolution_s / 2)


def http_skew(url: str, *, timeout_s: float, clock: Callable[[], datetime] = utc_now) -> Skew:
    """Return the skew of the clock behind an HTTP server, from its Date header, which tells whole seconds.

    Raises:
        Unreachable: it does not answer.
        Refused: it does not tell its time, or only a cache's of some earlier moment.
    """
    # as anybody asks for it: to a HEAD, a server of few words answers 501, which stands in its log as an error
    answer = get(url, timeout_s=timeout_s, limit_bytes=_HEADERS_BYTES, clock=clock)
    if answer.headers.get("age", "0") != "0":
        raise Refused("the answer is a cache's, whose Date is of an earlier moment")
    try:
        told = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        raise Refused("the answer tells no time (no valid Date header)") from None
    # RFC 9110 has it in GMT; without a zone it is taken for that too
    told = told.replace(tzinfo=UTC) if told.tzinfo is None else told
    return skew_between(answer.asked_at, answer.answered_at, told, resolution_s=1.0)


def redis_skew(target: RedisTarget, *, clock: Callable[[], datetime] = utc_now) -> Skew:
    """Return the skew of Redis's clock, from the command TIME (microseconds).

    Raises:
        Unreachable: it does not answer.
        Refused: it does not permit the question.
    """
    with redis_connected(target) as client:
        client.ping()  # so that connecting is not counted
        asked_at = clock()
        seconds, microseconds = client.time()
        answered_at = clock()
    told = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))
    return skew_between(asked_at, answered_at, told)


def docker_skew(
    target: DockerTarget, *, clock: Callable[[], datetime] = utc_now
) -> tuple[Skew | None, Mapping[str, Any]]:
    """Return the skew of the Docker Engine's clock (None where it tells none), and all of its answer to /info.

    Raises:
        Unreachable: no Engine answers.
        Refused: it may not be asked.
    """
    with docker_connected(target) as client:
        asked_at = clock()
        answer = docker_get(client, "/info")
        answered_at = clock()
        info: Mapping[str, Any] = answer.json()
    told = parse_time(info.get("SystemTime"))
    return skew_between(asked_at, answered_at, told) if told else None, info
