"""What becomes of Redis' keys when it ends: are they on disk, or in memory alone?

Source: the Redis documentation on persistence: where snapshots are configured it writes one as it is asked to end; with
an append-only file every write is in that; with neither nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from irkit.act.compose import Member
from irkit.collect.contract import Refused, Unreachable
from irkit.redis_client import connected
from irkit.settings.sections import REDIS_PORT, RedisTarget
from irkit.text.phrase import count

if TYPE_CHECKING:
    import redis

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_KNOWN = "redis-cli CONFIG GET save"
_OTHER = "[redis] url names another or none"
_PORT = re.compile(r"--port[\s=]+(\d{1,5})\b")
_SERVER = re.compile(r"(?:^|[/\s])(?:redis|valkey)-server(?:$|\s)")
_IMAGE = re.compile(r"(?:^|/)(?:redis|valkey|redis-stack|redis-stack-server)(?:$|[:@])")


def lost_with(found: Iterable[Member], target: RedisTarget) -> tuple[str, ...]:
    """Return what is to be said of the keys where a Redis is among the running containers; else nothing."""
    running = [one for one in found if one.running]
    if not any(_is_it(one, target) for one in running):
        others = [one.name for one in running if _runs_redis(one)]
        return tuple(f"{name} runs Redis: whether its keys are on disk is not known, as {_OTHER}" for name in others)
    try:
        with connected(target) as client:
            said = _said(client)
    except (Refused, Unreachable) as error:
        return (f"whether Redis' keys are on disk is not known: {error}",)
    return (said,) if said else ()


def _is_it(one: Member, target: RedisTarget) -> bool:
    """Say whether a container is the Redis of the settings: by its name, or by the port of this host that it has."""
    try:
        where = target.address
    except ValueError:
        return False
    if where is None:
        return False
    host, port = where
    return host in {one.service, one.name} or (
        host in _LOCAL and (str(port) in one.fixed_ports or port == _port_on_the_host(one))
    )


def _port_on_the_host(one: Member) -> int | None:
    """Return where a Redis listens that is in the host's own network, and publishes nothing; None for any other."""
    if (one.details.get("HostConfig") or {}).get("NetworkMode") != "host" or not _runs_redis(one):
        return None
    given = _PORT.search(" ".join(_command(one)))
    return int(given[1]) if given else REDIS_PORT


def _command(one: Member) -> tuple[str, ...]:
    words = one.details.get("Config") or {}
    return tuple(map(str, (*(words.get("Entrypoint") or ()), *(words.get("Cmd") or ()))))


def _runs_redis(one: Member) -> bool:
    """Say whether a container's command or image is that of a Redis server, or of one of its kin."""
    words, said = one.details.get("Config") or {}, _command(one)
    return bool(_IMAGE.search(str(words.get("Image") or ""))) or any(map(_SERVER.search, said))


def _said(client: redis.Redis) -> str:
    from redis.exceptions import ResponseError

    keys = client.dbsize()
    persistence = cast("Mapping[str, Any]", client.info("persistence"))
    try:
        told = cast("Mapping[Any, Any]", client.config_get("save"))
        saves = any(bool(value) for value in told.values())
    except ResponseError:
        saves = None
    if not keys:
        return ""
    held = f"Redis holds {count(keys, 'key')}"
    if int(persistence.get("aof_enabled", 0)):
        failing = persistence.get("aof_last_write_status") not in {"ok", None}
        return f"{held}; its append-only file could not be written last: they may be lost" if failing else ""
    if saves is None:
        return f"{held}; whether it writes them to disk is not known, since CONFIG is not permitted: {_KNOWN} tells"
    if not saves:
        return f"{held} in memory alone, with neither snapshots nor an append-only file: ALL OF THEM ARE LOST"
    if persistence.get("rdb_last_bgsave_status") not in {"ok", None}:
        return f"{held}, and could not write its last snapshot: what changed since the one before may be lost"
    return ""
