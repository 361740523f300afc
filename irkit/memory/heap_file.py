"""The file of a heap snapshot: columns of numbers in checksummed blocks, complete or absent.

Seven bytes `IRKHEAP` and the version 1, then blocks. A block is 16 bytes of header, little-endian: column (u8),
encoding (u8: 0 as is, 1 zlib), two zero bytes, stored size (u32), size (u32), CRC-32 of what is stored (u32); then the
payload.
A column is its blocks in order, joined. All but `META` hold unsigned LEB128 numbers; addresses are divided by 8,
differences are zigzag-coded.

    META        JSON: process, Python, time, collector settings
    ADDRESS     each container (an object that may hold others), as the difference to the one before
    TYPE SIZE REFS DEGREE   of each container: type, bytes, reference count (0: immortal), references x 2 + labelled
    LEAF_TYPE LEAF_SIZE LEAF_REFS   the same of each leaf (an object that holds nothing, such as a string)
    EDGES       each container's references: (difference to the one before, first to the container) x 2 + "a leaf that
                is met here for the first time"; leaves are numbered in this order and need no addresses of their own
    LABELS      of each labelled container, a name for each reference (at most 65,536; 0: none)
    TYPES       of each type: address, kind, module name, qualified name
    NAMES       each name, counted from 1: its length in bytes, then each byte of its UTF-8 as a number of its own
    ROOTS       kind (1 a module's namespace, 2 a frame, 3 a thread's data), address, module or name, name, thread
    NAMED       of functions, classes, coroutines, frames: difference of container number, module name, qualified name
    END         eight u64: containers, leaves, references, roots, types, names, blocks before this one, CRC of headers

Names are those a program's source gives to attributes, variables, functions, classes and modules: interned identifiers
and qualified names. No value of any object is ever written.

None, True and False are left out, and so are references from an instance to its type. A reference to what the file
does not hold is possible and rare (a frame that ended meanwhile). META holds `format`, `walker`, `pid`, `program`,
`python`, `taken_at` (UTC, ISO 8601), `threads` (by the thread's identifier, as ROOTS has it: its stack, innermost last,
each frame as "module:qualified name:line"), `gc` (`counts`, `thresholds`, `frozen`, `stats` as gc.get_stats() has them,
`pauses` by generation since the agent started: collections, nanoseconds, the longest), `rss_bytes`, `pause_ns`,
`process_started_s` (after the machine's start).
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

from irkit.errors import SnapshotError
from irkit.memory import heap_raw

MAGIC = b"IRKHEAP\x01"
RAW_MAGIC = b"IRKHEAP\x02"
_HEADER = struct.Struct("<BBHIII")
_TOTALS = struct.Struct("<8Q")
_ZLIB = 1
_MAX_BLOCK_BYTES = 64 * 1024**2
_PART_BYTES = 1024**2
_AGAIN = "take another snapshot; a file is either whole or of no use"


class Column(IntEnum):
    """What a block belongs to."""

    META = 0
    ADDRESS = 1
    TYPE = 2
    SIZE = 3
    REFS = 4
    DEGREE = 5
    LEAF_TYPE = 6
    LEAF_SIZE = 7
    LEAF_REFS = 8
    EDGES = 9
    LABELS = 10
    TYPES = 11
    NAMES = 12
    ROOTS = 13
    NAMED = 14
    END = 255


_NUMBERS = frozenset(map(int, Column))


@dataclass(frozen=True, slots=True)
class Totals:
    """How many of each the file holds, by its own word."""

    containers: int
    leaves: int
    edges: int
    roots: int
    types: int
    names: int


@dataclass(frozen=True)
class HeapFile:
    """A snapshot as it lies on disk, verified: what it is of, its columns as bytes, its totals."""

    meta: Mapping[str, Any]
    columns: Mapping[Column, bytes]
    totals: Totals


def read(path: Path) -> HeapFile:
    """Read and verify a snapshot.

    Raises:
        SnapshotError: it is missing, cut short, altered, from a newer irkit, or no snapshot at all.
    """
    columns: dict[Column, list[bytes]] = {}
    try:
        with path.open("rb") as stream:
            totals = Totals(0, 0, 0, 0, 0, 0)
            for column, payload in _blocks(stream, str(path)):
                if column is Column.END:
                    totals = _totals_of(payload)
                else:
                    columns.setdefault(column, []).append(payload)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}", hint="check its name and rights") from error
    joined = {column: b"".join(parts) for column, parts in columns.items()}
    try:
        meta = json.loads(joined.get(Column.META, b""))
    except ValueError as error:
        raise SnapshotError(f"{path} is damaged: its description is no JSON", hint=_AGAIN) from error
    if not isinstance(meta, dict):
        raise SnapshotError(f"{path} is damaged: its description is no object", hint=_AGAIN)
    return HeapFile(meta, joined, totals)


def store(stream: BinaryIO, path: Path, *, extra: Mapping[str, Any] | None = None) -> tuple[int, Totals]:
    """Write what comes from a stream to `path`, verified and compressed; the file appears whole or not at all.

    Returns its size in bytes and what it holds. `extra` is added to the description.

    Raises:
        SnapshotError: the stream ended early or is damaged, or the file cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    totals = Totals(0, 0, 0, 0, 0, 0)
    try:
        with aside.open("xb") as out:
            os.chmod(out.fileno(), 0o600)  # noqa: PTH101 (the descriptor, not whatever has that name by now)
            out.write(MAGIC)
            headers_crc = count = 0
            for column, payload in _coming(stream):
                body = payload
                if column is Column.META:
                    body = json.dumps({**json.loads(payload), **(extra or {})}).encode()
                if column is Column.END:
                    totals = _totals_of(body)
                    packed, encoding = _TOTALS.pack(*astuple(totals), count, headers_crc), 0
                else:
                    packed, encoding = zlib.compress(body, 1), _ZLIB
                header = _HEADER.pack(column, encoding, 0, len(packed), len(body), zlib.crc32(packed))
                headers_crc, count = zlib.crc32(header, headers_crc), count + 1
                out.write(header)
                out.write(packed)
            out.flush()
            os.fsync(out.fileno())
            size_bytes = out.tell()
        aside.replace(path)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be written: {error.strerror}", hint="name another file: --to") from error
    finally:
        with suppress(OSError):
            aside.unlink()
    return size_bytes, totals


def _totals_of(payload: bytes) -> Totals:
    return Totals(*_TOTALS.unpack(payload)[:6])


def _coming(stream: BinaryIO) -> Iterator[tuple[Column, bytes]]:
    """Yield the blocks that a walker sends, those of the walk in plain Python in the file's own form."""
    magic = stream.read(len(MAGIC))
    if magic != RAW_MAGIC:
        yield from _blocks(stream, "the snapshot", magic)
        return
    raw: dict[int, list[bytes]] = {}
    for number, payload in _blocks_of(stream, "the snapshot", heap_raw.COLUMNS):
        if number != Column.END:
            raw.setdefault(number, []).append(payload)
    try:
        for number, data in heap_raw.cooked({number: b"".join(parts) for number, parts in raw.items()}):
            if number < 0:
                yield Column.END, data + bytes(_TOTALS.size - len(data))
            for start in range(0, len(data) if number >= 0 else 0, _PART_BYTES):
                yield Column(number), data[start : start + _PART_BYTES]
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise SnapshotError(f"the snapshot is damaged: {error}", hint=_AGAIN) from error


def _blocks(stream: BinaryIO, what: str, magic: bytes | None = None) -> Iterator[tuple[Column, bytes]]:
    """Yield each block of a file, decoded; ends only after a fitting END, with nothing behind it."""
    _check_magic(stream.read(len(MAGIC)) if magic is None else magic, what)
    for number, payload in _blocks_of(stream, what, _NUMBERS):
        yield Column(number), payload


def _blocks_of(stream: BinaryIO, what: str, known: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    headers_crc = count = 0
    while True:
        header = stream.read(_HEADER.size)
        if len(header) != _HEADER.size:
            raise SnapshotError(f"{what} is cut short after {count} blocks", hint=_AGAIN)
        number, encoding, _, stored, size, crc = _HEADER.unpack(header)
        if max(stored, size) > _MAX_BLOCK_BYTES or number not in known | {int(Column.END)} or encoding > _ZLIB:
            raise SnapshotError(f"{what} is damaged: block {count} has no sound header", hint=_AGAIN)
        body = stream.read(stored)
        if len(body) != stored:
            raise SnapshotError(f"{what} is cut short in block {count}", hint=_AGAIN)
        if zlib.crc32(body) != crc:
            raise SnapshotError(f"{what} is damaged: block {count} does not fit its checksum", hint=_AGAIN)
        if number == Column.END:
            if size != _TOTALS.size or _TOTALS.unpack(body)[6:] != (count, headers_crc) or stream.read(1):
                raise SnapshotError(f"{what} is damaged: it holds other blocks than were written", hint=_AGAIN)
            yield number, body
            return
        headers_crc, count = zlib.crc32(header, headers_crc), count + 1
        yield number, _inflated(body, size, what, count) if encoding else body


def _check_magic(magic: bytes, what: str) -> None:
    if magic == MAGIC:
        return
    if magic[:7] == MAGIC[:7] and magic[7:]:
        raise SnapshotError(f"{what} is of version {magic[7]}, this irkit reads 1", hint="use a newer irkit")
    if MAGIC.startswith(magic):
        raise SnapshotError(f"{what} is cut short before its first block", hint=_AGAIN)
    raise SnapshotError(f"{what} is no heap snapshot of irkit", hint="make one: irkit memory snapshot --pid PID")


def _inflated(body: bytes, size: int, what: str, count: int) -> bytes:
    unpack = zlib.decompressobj()
    try:
        found = unpack.decompress(body, size + 1)
    except zlib.error as error:
        raise SnapshotError(f"{what} is damaged: block {count} cannot be unpacked", hint=_AGAIN) from error
    if len(found) != size or not unpack.eof:
        raise SnapshotError(f"{what} is damaged: block {count} has another size than it says", hint=_AGAIN)
    return found
