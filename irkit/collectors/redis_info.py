"""Redis' own account of itself: memory, clients, persistence, replication, keyspace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from irkit.collect.contract import Document, Gap, Piece, Refused, collector
from irkit.model import Window
from irkit.redis_client import connected
from irkit.settings import RedisTarget

_INT = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}", re.ASCII)

Value = int | float | str
Section = dict[str, Value | dict[str, Value]]


@collector("redis-info", target="redis", provides=("redis_info",), cost=1, command="redis-cli -u {target} INFO all")
def collect(target: RedisTarget, _window: Window) -> Iterator[Piece]:
    """Whether Redis answers, and what it says of its memory, clients, persistence and replication."""
    with connected(target) as client:
        # the library would flatten all sections into one
        client.set_response_callback("INFO", lambda reply, **_: reply)
        reply = client.execute_command("INFO", "all")  # type: ignore[no-untyped-call]
    info = parse_info(reply.decode("utf-8", "surrogateescape")) if isinstance(reply, bytes) else {}
    if not info:
        raise Refused(f"Redis at {target} answers INFO with nothing", hint="check that [redis] url names a Redis")
    yield Document("redis_info", info)
    replication = info.get("replication", {})
    if replication.get("master_link_status") == "down":
        since_s = replication.get("master_link_down_since_seconds", "unknown")
        yield Gap(f"Redis at {target} is a replica cut off from its primary ({since_s} s): what it holds may be old")
    if info.get("cluster", {}).get("cluster_enabled") == 1:
        yield Gap(f"Redis at {target} is one node of a cluster: the other nodes were not asked")


def parse_info(text: str) -> dict[str, Section]:
    """Return INFO's sections, names in lower case; numbers as numbers where no digit is lost by it.

    Values such as `keys=3,expires=0` become mappings of their own.
    """
    sections: dict[str, Section] = {}
    section: Section = {}
    for line in text.splitlines():
        if line.startswith("#"):
            section = sections.setdefault(line.strip("# ").lower(), {})
        elif ":" in line:
            name, _, value = line.partition(":")
            pairs = [pair.partition("=") for pair in value.split(",")]
            if all(separator for _, separator, _ in pairs):
                section[name] = {key: _number(item) for key, _, item in pairs}
            else:
                section[name] = _number(value)
    return sections


def _number(text: str) -> Value:
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
