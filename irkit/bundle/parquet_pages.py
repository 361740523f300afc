"""How large the pages of a Parquet file become when they are decompressed, by their own headers.

The footer tells it too, but nobody holds the footer to it: Arrow allocates what each page's header asks for.

Format: Apache Parquet, parquet.thrift, PageHeader (1: type, 2: uncompressed_page_size, 3: compressed_page_size), in
Thrift's compact protocol (Apache Thrift, doc/specs/thrift-compact-protocol.md).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

_UNCOMPRESSED_SIZE, _COMPRESSED_SIZE = 2, 3
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 7, 8, 12
_INTEGERS = frozenset({4, 5, 6})
_LISTS = frozenset({9, 10})
_LONG_LIST = 0x0F
_LONGEST_VARINT = 10
_DEEPEST = 8
_MOST_ITEMS = 1000


class PageError(ValueError):
    """The bytes are no pages of Parquet."""


def page_sizes(path: Path, chunks: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the decompressed size in bytes of each page in the given chunks of a file (offset and length in bytes).

    Raises:
        PageError: there are no such pages.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start, length in chunks:
            reader, end = _Reader(data, start), start + length
            if start < 0 or length < 0 or end > len(data):
                raise PageError("a column lies outside the file")
            while reader.position < end:
                sizes = reader.struct()
                uncompressed, compressed = sizes.get(_UNCOMPRESSED_SIZE, -1), sizes.get(_COMPRESSED_SIZE, -1)
                if uncompressed < 0 or compressed < 0:
                    raise PageError("a page has no size")
                reader.position += compressed
                yield uncompressed


class _Reader:
    """A place in the file from which Thrift values are read."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self._data = data
        self.position = position

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Read a struct and return its own integers by field number; all else is passed over."""
        if depth > _DEEPEST:
            raise PageError("a page's header is nested too deeply")
        found: dict[int, int] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            delta, kind = head >> 4, head & 0x0F
            number = number + delta if delta else self._zigzag()
            if kind in _INTEGERS:
                found[number] = self._zigzag()
            else:
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int, *, item: bool = False) -> None:
        """Pass over a value; a truth value is in the head of its field, but takes a byte as an item of a list."""
        if kind in (_TRUE, _FALSE):
            self.position += int(item)
        elif kind in _INTEGERS:
            self._varint()
        elif kind in (_BYTE, _DOUBLE):
            self.position += 1 if kind == _BYTE else 8
        elif kind == _BINARY:
            length = self._varint()  # apart, since it moves the position it is added to
            self.position += length
        elif kind == _STRUCT:
            self.struct(depth + 1)
        elif kind in _LISTS and depth < _DEEPEST:
            head = self._byte()
            count = self._varint() if head >> 4 == _LONG_LIST else head >> 4
            if count > _MOST_ITEMS:
                raise PageError("a page's header is too long")
            for _ in range(count):
                self._skip(head & 0x0F, depth + 1, item=True)
        else:
            raise PageError(f"a page's header holds a value of kind {kind}")

    def _byte(self) -> int:
        if not 0 <= self.position < len(self._data):
            raise PageError("a page's header does not end")
        self.position += 1
        return self._data[self.position - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(_LONGEST_VARINT):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * shift)
            if byte < 0x80:  # noqa: PLR2004 (the highest bit says that more follows)
                return value
        raise PageError("a number in a page's header does not end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
