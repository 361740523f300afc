"""The sending side of a heap's raw form, in the twin: columns of numbers in checksummed blocks."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Mapping, Sequence
from os import write
from struct import Struct
from typing import Any

MAGIC = b"IRKHEAP\x02"
_HEADER, _TOTALS = Struct("<BBHIII"), Struct("<8Q")
_BLOCK_BYTES = 8 << 20
_META, _NAMES, _END = 0, 12, 255


def send(fd: int, meta: Mapping[str, Any], names: Sequence[str], columns: Mapping[int, array[int]]) -> None:
    """Write a heap to a descriptor: its description, its names, its columns by their numbers as `heap_raw` reads them.

    Raises:
        OSError: whoever reads is gone.
    """
    bodies: dict[int, bytes | array[int]] = {_META: json.dumps(meta).encode(), _NAMES: json.dumps(names).encode()}
    _write(fd, MAGIC)
    headers_crc = blocks = 0
    for number, column in {**bodies, **columns}.items():
        data = memoryview(column).cast("B")
        for start in range(0, len(data), _BLOCK_BYTES):
            part = data[start : start + _BLOCK_BYTES]
            header = _HEADER.pack(number, 0, 0, len(part), len(part), zlib.crc32(part))
            headers_crc, blocks = zlib.crc32(header, headers_crc), blocks + 1
            _write(fd, header)
            _write(fd, part)
    # how many there are of each is known only once it is packed
    totals = _TOTALS.pack(0, 0, 0, 0, 0, 0, blocks, headers_crc)
    _write(fd, _HEADER.pack(_END, 0, 0, len(totals), len(totals), zlib.crc32(totals)))
    _write(fd, totals)


def _write(fd: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[write(fd, left) :]
