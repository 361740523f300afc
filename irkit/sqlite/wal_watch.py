"""A write-ahead log looked at again and again: each frame's checksum once, and whether what was right is as it was.

The whole walk (`irkit.sqlite.wal`) wants numpy, which is much for a flight recorder to hold in memory. Frames that are
committed never change until the log begins anew with other salts, so that only new ones have to be added up, in plain
Python, and a CRC tells whether the others are still the same.
"""

from __future__ import annotations

import sys
import time
import zlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from irkit.sqlite.wal import FRAME, HEADER, MAGIC, MASK, SALTS, Checksum, beside, read_index

# four times what SQLite lets a log grow to by default
MAX_FRAMES = 4000


@dataclass(slots=True)
class _Seen:
    """The frames of one log, told by its head, whose checksums were right, as a CRC each, and the last of them."""

    head: bytes
    running: Checksum
    frames: list[int] = field(default_factory=list)


class WalWatch:
    """Watches the log beside a database; to be asked before SQLite opens the file in the same process."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._seen: _Seen | None = None

    def look(self, budget_s: float) -> str | None:
        """Return what is wrong with the frames that the running service counts on: "" where nothing is.

        None where there are none, where somebody began the log anew meanwhile, or where not all could be looked at.
        """
        until = time.monotonic() + budget_s
        index = read_index(self.database)
        if index is None or index[0] > MAX_FRAMES:
            return None
        counted, salts = index
        try:
            with beside(self.database, "-wal").open("rb") as stream:
                head = stream.read(HEADER.size)
                if head[SALTS] != salts:
                    return None
                damage = self._walk(stream, head, counted, until)
                stream.seek(0)
                # a new log's head is written before its first frame
                return damage if stream.read(HEADER.size) == head else None
        except OSError:
            return None

    def _walk(self, stream: BinaryIO, head: bytes, counted: int, until: float) -> str | None:
        magic, _, page_size_bytes, *_ = HEADER.unpack(head)
        order = MAGIC.get(magic, "<u4")
        if self._seen is None or self._seen.head != head or len(self._seen.frames) > counted:
            seed = plain_checksum(head[:24], (0, 0), order)
            if magic not in MAGIC or seed != HEADER.unpack(head)[6:8]:
                return "its header is damaged"
            self._seen = _Seen(head, seed)
        seen = self._seen
        for place in range(counted):
            if time.monotonic() > until:
                return None
            frame = stream.read(FRAME.size + page_size_bytes)
            if len(frame) < FRAME.size + page_size_bytes:
                return f"it ends before frame {place + 1} of {counted}"
            if place < len(seen.frames):
                if zlib.crc32(frame) != seen.frames[place]:
                    return f"frame {place + 1} of {counted} is not what was written there"
                continue
            running = plain_checksum(frame[FRAME.size :], plain_checksum(frame[:8], seen.running, order), order)
            if frame[8:16] != head[SALTS] or running != FRAME.unpack_from(frame)[4:6]:
                return f"frame {place + 1} of {counted} is damaged: its checksum is wrong"
            seen.running = running
            seen.frames.append(zlib.crc32(frame))
        return ""


def plain_checksum(data: bytes, seed: Checksum, order: str) -> Checksum:
    """Return what `sqlite_wal.checksum` does, without numpy."""
    words = array("I", data)
    if order.startswith("<") != (sys.byteorder == "little"):
        words.byteswap()
    first, second = seed
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & MASK
        second = (second + two + first) & MASK
    return first, second
