"""A SQLite write-ahead log read without SQLite: what it commits, and where its checksums break.

No pragma sees damage in a WAL: SQLite stops at the first frame whose checksum is wrong and takes all that follows for
leftovers, so committed transactions are gone without an error.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint number, salts, checksum of the first 24 bytes
FRAME = struct.Struct(">6I")  # page number, database pages after a commit or 0, salts, running checksum
MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # the last bit names the byte order that checksums are computed in
MASK = 0xFFFFFFFF
SALTS = slice(16, 24)
_INDEX_BYTES = 48
_COUNT_BYTES = 4
_TRIES = 3

Checksum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wal:
    """What a WAL holds: frames SQLite can read, those of whole transactions, and what is wrong with it (or nothing).

    `unfinished_frames` follow the last commit, which is normal: a transaction that is being written, was rolled back,
    or whose writer died. `complete` is False where the time ran out before the last frame.
    """

    page_size_bytes: int = 0
    frames: int = 0
    committed_frames: int = 0
    transactions: int = 0
    damage: str = ""
    complete: bool = True

    @property
    def unfinished_frames(self) -> int:
        return self.frames - self.committed_frames


@dataclass(frozen=True, slots=True)
class _Frame:
    page_number: int
    size_pages: int
    page: bytes


@dataclass(slots=True)
class _Log:
    """An open WAL whose header was read."""

    stream: BinaryIO
    page_size_bytes: int
    order: str
    salts: bytes
    seed: Checksum

    def frames(self) -> Iterator[_Frame]:
        """Yield the frames up to the first that SQLite would not believe."""
        running = self.seed
        self.stream.seek(HEADER.size)
        while len(frame := self.stream.read(FRAME.size + self.page_size_bytes)) == FRAME.size + self.page_size_bytes:
            page_number, size_pages, _, _, *expected = FRAME.unpack_from(frame)
            page = frame[FRAME.size :]
            running = checksum(frame[:8] + page, running, self.order)
            if frame[8:16] != self.salts or list(running) != expected or not page_number:
                return
            yield _Frame(page_number, size_pages, page)

    def commits_from(self, number: int) -> tuple[int, bool]:
        """Count the commits in the frames from `number` (0 is the first) on, and say if any frame follows `number`.

        Only frames with this log's salts count: each reset of the log changes them and leaves old frames behind it.
        Frames of a transaction that was rolled back keep the salts too, but no commit is among them.
        """
        commits, followed, position = 0, False, number
        step = FRAME.size + self.page_size_bytes
        while True:
            self.stream.seek(HEADER.size + position * step)
            head = self.stream.read(FRAME.size)
            if len(head) < FRAME.size:
                return commits, followed
            if head[8:16] == self.salts:
                commits += bool(FRAME.unpack(head)[1])
                followed = followed or position > number
            position += 1


def checksum(data: bytes, seed: Checksum = (0, 0), order: str = "<u4") -> Checksum:
    """Return SQLite's WAL checksum of `data` (a multiple of 8 bytes), continued from `seed`.

    For each pair of 32-bit words: s0 += word[0] + s1; s1 += word[1] + s0, modulo 2³² (SQLite's "Database File Format",
    section 4.2). That is linear, so a whole page is one dot product with weights that depend on its length alone.
    """
    import numpy as np

    weights, power = _weights(len(data) // 8)
    words = np.frombuffer(data, dtype=order).astype(np.uint32)
    sums = (int(np.dot(weight, words)) for weight in weights)
    first, second = (
        (total + row[0] * seed[0] + row[1] * seed[1]) & MASK for total, row in zip(sums, power, strict=True)
    )
    return first, second


@lru_cache(maxsize=8)
def _weights(pairs: int) -> tuple[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]], tuple[Checksum, Checksum]]:
    """Return what each word adds to s0 and to s1, and the matrix that carries the seed over, for so many pairs.

    One step is (s0, s1) → M·(s0, s1) + (w0, w0 + w1) with M = ((1, 1), (1, 2)).
    """
    import numpy as np

    first, second = np.empty(2 * pairs, np.uint32), np.empty(2 * pairs, np.uint32)
    a, b, c, d = 1, 0, 0, 1
    for pair in reversed(range(pairs)):
        first[2 * pair : 2 * pair + 2] = (a + b) & MASK, b
        second[2 * pair : 2 * pair + 2] = (c + d) & MASK, d
        a, b, c, d = (a + b) & MASK, (a + 2 * b) & MASK, (c + d) & MASK, (c + 2 * d) & MASK
    return (first, second), ((a, b), (c, d))


def read_wal(database: Path, until: float = float("inf")) -> Wal | None:
    """Check every frame of the log beside `database`, or return None where there is none; `until` is monotonic time.

    A frame with a wrong checksum is damage only where a commit of the same log follows it, or where the wal-index of
    the running service counts more frames than can be read; else it is the torn end of what nobody was promised.
    A log being written may look damaged for a moment, so damage is only believed when seen twice alike.

    Raises:
        OSError: the log cannot be read.
    """
    seen = _read_once(database, until)
    for _ in range(_TRIES):
        if seen is None or not seen.damage:
            return seen
        earlier, seen = seen, _read_once(database, until)
        if seen == earlier:
            return seen
    return seen


def committed_pages(database: Path) -> tuple[dict[int, bytes], int]:
    """Return the newest committed content of each page in the log, and the database's size in pages (0: no commit).

    Raises:
        OSError: the log cannot be read.
    """
    pages: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    size_pages = 0
    try:
        with beside(database, "-wal").open("rb") as stream:
            log = _open_log(stream)
            for frame in log.frames() if isinstance(log, _Log) else ():
                pending[frame.page_number] = frame.page
                if frame.size_pages:
                    pages.update(pending)
                    pending.clear()
                    size_pages = frame.size_pages
    except FileNotFoundError:
        pass
    return pages, size_pages


def _read_once(database: Path, until: float) -> Wal | None:
    # before the log: frames the index counts now must be in a log that is read later
    index = read_index(database)
    try:
        stream = beside(database, "-wal").open("rb")
    except FileNotFoundError:
        return None
    with stream:
        log = _open_log(stream)
        if isinstance(log, str):
            lacking = f"it is empty, though the wal-index counts {index[0]} frames" if index else ""
            return Wal(damage=log or lacking)
        frames = committed = transactions = 0
        for frame in log.frames():
            frames += 1
            if frame.size_pages:
                committed, transactions = frames, transactions + 1
            if time.monotonic() > until:
                return Wal(log.page_size_bytes, frames, committed, transactions, complete=False)
        lost, followed = log.commits_from(frames)
        damage = ""
        if lost and followed:
            damage = f"frame {frames + 1} is damaged, so SQLite ignores {lost} committed transaction(s) from there on"
        elif index and index[1] == log.salts and index[0] > frames:
            damage = f"the wal-index counts {index[0]} frames, of which only {frames} can be read"
        return Wal(log.page_size_bytes, frames, committed, transactions, damage)


def _open_log(stream: BinaryIO) -> _Log | str:
    """Return the log, or what is wrong with its header: nothing where it is too short to have one."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return ""
    magic, _, page_size_bytes, _, _, _, *expected = HEADER.unpack(head)
    order = MAGIC.get(magic, "<u4")
    seed = checksum(head[:24], order=order)
    if magic not in MAGIC or list(seed) != expected:
        return "its header is damaged, so SQLite ignores all of it"
    return _Log(stream, page_size_bytes, order, head[SALTS], seed)


def read_index(database: Path) -> tuple[int, bytes] | None:
    """Return how many frames the wal-index counts and their salts, or None where the log is not needed for any.

    The index is the header of the `-shm` file, twice, then the count of frames already copied into the database:
    section 2.1 of SQLite's "WAL-mode File Format".
    """
    try:
        with beside(database, "-shm").open("rb") as stream:
            head = stream.read(2 * _INDEX_BYTES + _COUNT_BYTES)
    except OSError:
        return None
    first, second, copied = head[:_INDEX_BYTES], head[_INDEX_BYTES : 2 * _INDEX_BYTES], head[2 * _INDEX_BYTES :]
    if len(copied) < _COUNT_BYTES or first != second or not first[12]:
        return None  # no index, one being written, or one that was never made
    counted = int.from_bytes(first[16:20], sys.byteorder)
    return (counted, first[32:40]) if int.from_bytes(copied, sys.byteorder) < counted else None


def beside(database: Path, suffix: str) -> Path:
    """Return the path of what lies beside a database under its name."""
    return database.with_name(database.name + suffix)
