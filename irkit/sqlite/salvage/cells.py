"""Records and cells of a SQLite page decoded by themselves, believed only where every length in them agrees.

Sections 1.6 (b-tree pages) and 2.1 (record format) of SQLite's "Database File Format".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

TABLE_LEAF, TABLE_INTERIOR, INDEX_LEAF, INDEX_INTERIOR = 13, 5, 10, 2
LEAVES = frozenset({TABLE_LEAF, INDEX_LEAF})
KINDS = frozenset({TABLE_LEAF, TABLE_INTERIOR, INDEX_LEAF, INDEX_INTERIOR})
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_INTEGERS = frozenset({1, 2, 3, 4, 5, 6})
_REAL, _ZERO, _ONE, _FIRST_BLOB = 7, 8, 9, 12
_MAX_PAYLOAD = 1 << 30
_LONGEST = 9
_MORE = 0x80
_SIGN = 1 << 63
_DOUBLE = struct.Struct(">d")

Value = None | int | float | str | bytes


@dataclass(frozen=True, slots=True)
class RawText:
    """Text whose bytes are none in the database's encoding; kept as they are."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell from `start` to `end` in its page: one row of a table, or one entry of an index (`rowid` is None).

    `size` is the payload's length in bytes, of which `local` is what lies in this page; the rest begins at page
    `overflow`. `types` are the serial types of its columns; their values begin at `body` in the payload.
    """

    start: int
    end: int
    rowid: int | None
    size: int
    local: bytes
    overflow: int
    types: tuple[int, ...]
    body: int


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return SQLite's variable-length integer at `at`, as 64 bits without a sign, and where it ends.

    Raises:
        IndexError: the data ends before it does.
    """
    first = data[at]
    if first < _MORE:
        return first, at + 1
    value = 0
    for offset in range(at, at + _LONGEST - 1):
        byte = data[offset]
        value = value << 7 | byte & 0x7F
        if byte < _MORE:
            return value, offset + 1
    return value << 8 | data[at + _LONGEST - 1], at + _LONGEST


def signed(value: int) -> int:
    """Return 64 bits as a number with a sign."""
    return value - (1 << 64) if value & _SIGN else value


def local_bytes(size: int, usable: int, kind: int) -> int:
    """Return how much of a payload of `size` bytes lies in the page itself; section 1.6."""
    most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    kept = least + (size - least) % (usable - 4)
    return kept if kept <= most else least


def parse(page: bytes, at: int, usable: int, kind: int) -> Cell | None:
    """Return the cell at `at`, or None where its lengths do not agree with each other or it leaves the page."""
    start, rowid = at, None
    try:
        if kind == INDEX_INTERIOR:
            at += 4
        size, at = varint(page, at)
        if kind == TABLE_LEAF:
            unsigned, at = varint(page, at)
            rowid = signed(unsigned)
        if not 0 < size < _MAX_PAYLOAD:
            return None
        local = local_bytes(size, usable, kind)
        end = at + local
        if end + (4 if local < size else 0) > usable:
            return None
        overflow = 0
        if local < size:
            overflow = int.from_bytes(page[end : end + 4], "big")
            end += 4
        payload = page[at : at + local]
        types = header_types(payload)
    except IndexError:
        return None
    if types is None or body_bytes(types[0]) + types[1] != size:
        return None
    # a cell takes four bytes at least, so that a freed one can say what follows it
    return Cell(start, max(end, start + 4), rowid, size, payload, overflow, types[0], types[1])


def header_types(payload: bytes) -> tuple[tuple[int, ...], int] | None:
    """Return a record's serial types and where its values begin, None where its header is not one."""
    body, at = varint(payload, 0)
    if not 0 < body <= len(payload):
        return None
    types = []
    while at < body:
        kind, at = varint(payload, at)
        if kind in (10, 11):  # kept for SQLite's own use, never in a file
            return None
        types.append(kind)
    return (tuple(types), body) if at == body else None


def body_bytes(types: Sequence[int]) -> int:
    """Return how many bytes the values of these types take."""
    return sum(_SIZES[kind] if kind < _FIRST_BLOB - 2 else (kind - _FIRST_BLOB) // 2 for kind in types)


def values(payload: bytes, types: Sequence[int], body: int, encoding: str) -> tuple[Value | RawText, ...]:
    """Return a record's values; of a payload that was cut, the values that are whole."""
    found: list[Value | RawText] = []
    at = body
    for kind in types:
        length = _SIZES[kind] if kind < _FIRST_BLOB - 2 else (kind - _FIRST_BLOB) // 2
        raw = payload[at : at + length]
        if len(raw) < length:
            break
        at += length
        found.append(_value(kind, raw, encoding))
    return tuple(found)


def storage_class(kind: int) -> str:
    """Return what a serial type stores: `null`, `integer`, `real`, `text` or `blob`."""
    if kind == 0:
        return "null"
    if kind in _INTEGERS or kind in (_ZERO, _ONE):
        return "integer"
    if kind == _REAL:
        return "real"
    return "text" if kind % 2 else "blob"


def _value(kind: int, raw: bytes, encoding: str) -> Value | RawText:
    if kind >= _FIRST_BLOB:
        return _text(raw, encoding) if kind % 2 else raw
    if kind == _REAL:
        number = float(_DOUBLE.unpack(raw)[0])
        return number if number == number else None  # noqa: PLR0124 (SQLite has no NaN: it stores NULL)
    if kind in (_ZERO, _ONE):
        return kind - _ZERO
    return int.from_bytes(raw, "big", signed=True) if kind else None


def _text(raw: bytes, encoding: str) -> str | RawText:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return RawText(raw)
