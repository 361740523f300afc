"""What ran out where the service runs: Redis' memory and clients, room on a disk, a process's descriptors.

None of it is a symptom of the runbook, but each explains one: what is full comes first, whatever type is likeliest.
Only what has no room left is told; what is merely full by design, as a cache that evicts, is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.diagnose.loaded import rows_in
from irkit.records import Row, integer_of, number_of, text_of
from irkit.text.phrase import count, grouped, percent, size

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource

# Redis refuses a write once it is above maxmemory, and what it counts wavers by its buffers
_FULL = 0.98
# it refused some, and was emptied a little since
_REFUSING = 0.9
_KEEPS_ALL = "noeviction"
# less than a page of a database and its journal: the next write fails
_NO_ROOM_BYTES = 1024 * 1024
_DESCRIPTORS = 0.97
_HOLDS: Mapping[str, str] = {"database": "the database", "docker": "Docker's data", "home": "irkit's evidence"}


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A resource without room: one sentence on it without its full stop, what to do, and the evidence's kind."""

    sentence: str
    advice: str
    kind: str


def exhausted(evidence: EvidenceSource) -> tuple[Exhausted, ...]:
    """Return what had no room left when it was looked at, what the service itself uses first."""
    return (*_redis(evidence), *_descriptors(evidence), *_disks(evidence))


def _redis(evidence: EvidenceSource) -> Iterator[Exhausted]:
    info = evidence.load("redis_info") if evidence.has("redis_info") else {}
    source = evidence.evidence_for("redis_info")
    ask = f"redis-cli -u {source.subject}" if source and source.subject else "redis-cli"
    memory, clients, stats, errors = (_section(info, name) for name in ("memory", "clients", "stats", "errorstats"))
    used, most = number_of(memory, "used_memory"), number_of(memory, "maxmemory")
    policy, refused = text_of(memory, "maxmemory_policy"), integer_of(_section(errors, "errorstat_OOM"), "count") or 0
    if used is not None and most and used >= most * (_REFUSING if refused else _FULL):
        limit = f"maxmemory, {policy}" if policy else "maxmemory"
        told = f"Redis is full: it holds {size(used)} of {size(most)} ({limit})"
        told += f", and has refused {count(refused, 'command')} for that since it started" if refused else ""
        if refused or policy == _KEEPS_ALL:
            advice = f"See what fills it: {ask} --bigkeys. FLUSHDB forgets the rate limits, too."
            yield Exhausted(told, advice, "redis_info")
    open_now, allowed = integer_of(clients, "connected_clients"), integer_of(clients, "maxclients")
    turned_away = integer_of(stats, "rejected_connections") or 0
    if open_now and allowed and open_now >= allowed and turned_away:
        told = f"Redis takes no more clients: {grouped(open_now)} of {grouped(allowed)} are connected (maxclients)"
        told += f", and it has turned away {grouped(turned_away)} since it started"
        yield Exhausted(told, f"See who holds them: {ask} CLIENT LIST.", "redis_info")


def _section(info: object, name: str) -> Row:
    found = info.get(name) if isinstance(info, dict) else None
    return found if isinstance(found, dict) else {}


def _descriptors(evidence: EvidenceSource) -> Iterator[Exhausted]:
    for row in rows_in(evidence, "container_processes"):
        used, allowed = integer_of(row, "open_files"), integer_of(row, "open_files_limit")
        if used and allowed and used >= allowed * _DESCRIPTORS:
            whose = f"{text_of(row, 'command') or 'a process'} in {text_of(row, 'service') or text_of(row, 'name')}"
            whose += f" (pid {integer_of(row, 'pid')})"
            told = f"{whose} has {grouped(used)} files open of the {grouped(allowed)} it may"
            advice = "See what they are before a restart closes them: ls -l /proc/PID/fd."
            yield Exhausted(told, advice, "container_processes")


def _disks(evidence: EvidenceSource) -> Iterator[Exhausted]:
    told: set[tuple[object, ...]] = set()
    rows = {text_of(row, "holds"): row for row in rows_in(evidence, "disk_usage")}
    for holds, place in _HOLDS.items():
        if (row := rows.get(holds)) is None:
            continue
        free, inodes = integer_of(row, "free_bytes"), integer_of(row, "inodes_free")
        total, used = integer_of(row, "total_bytes"), number_of(row, "used_percent")
        alike = (total, free, inodes)  # one disk may hold several of them
        if alike in told:
            continue
        if total and free is not None and free < _NO_ROOM_BYTES:
            said = f"is full: {size(free)} of {size(total)} are free"
        elif inodes == 0:
            said = f"takes no more files: no inode is free, though it is {percent((used or 0) / 100)} full"
        elif row.get("read_only") is True:
            said = "is mounted read-only: nothing can be written to it"
        else:
            continue
        told.add(alike)
        advice = "Make room, or have it mounted for writing, before anything is restarted: much fails without."
        yield Exhausted(f"The disk of {place} ({text_of(row, 'path')}) {said}", advice, "disk_usage")
