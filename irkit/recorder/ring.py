"""The flight recorder's ring: an append-only record on disk, bounded in bytes and age, that opens after any crash.

It is a folder of numbered segments. The newest is a text file of lines, each with its own checksum; a full one is
compressed and never touched again until it is the oldest and is unlinked. A SQLite file was weighed and not taken: its
deleted rows give no bytes back, a reader of its WAL needs to write, and damage anywhere can cost the whole of it, where
here it costs a line.

    00000007.20261124T030500000000Z-20261124T040459000000Z.gz    closed: first and last time within
    00000008.ring                                                open: `irkit-ring 1`, then `CRC32 TIME_US SOURCE BODY`
    lock                                                         held by the one recorder that may write
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BufferedIOBase
from pathlib import Path
from typing import Self

from irkit.errors import StoreError
from irkit.model import Window

MIN_SIZE_BYTES = 1024 * 1024
_MAGIC = b"irkit-ring 1\n"
_MAX_SEGMENT_BYTES = 1024 * 1024
_MAX_SEGMENT_AGE = timedelta(hours=1)
# what a reader holds open is not lost to it when the writer drops it; descriptors are bounded
_MOST_HELD = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STAMP = "%Y%m%dT%H%M%S%fZ"
_CLOSED = re.compile(r"(\d{8,})\.(\d{8}T\d{12}Z)-(\d{8}T\d{12}Z)\.gz", re.ASCII)
_OPEN = re.compile(r"(\d{8,})\.ring", re.ASCII)
_LINE = re.compile(rb"[0-9a-f]{8} (\d{1,18}) ([a-z-]+) ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One thing recorded: when (aware UTC, to the microsecond), by which source, and a body without line breaks."""

    at: datetime
    source: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment file; of the open one, times and size are only known by reading it."""

    number: int
    path: Path
    within: Window | None = None
    size_bytes: int = 0


class Ring:
    """The ring as its one writer holds it; see `read` for the other side."""

    def __init__(self, folder: Path, *, max_size_bytes: int, max_age: timedelta) -> None:
        """Open or make the ring in `folder` and repair what a crash left.

        At no time do its files hold more than `max_size_bytes` (at least MIN_SIZE_BYTES), nor does it keep a record
        that is older by `max_age` than the newest.

        Raises:
            StoreError: another recorder writes it, it is a newer irkit's, or the folder cannot be used.
        """
        self.folder = folder
        self._max_age = max_age
        self._segment_bytes = min(_MAX_SEGMENT_BYTES, max(MIN_SIZE_BYTES, max_size_bytes) // 8)
        # a segment is there twice while it is compressed
        self._closed_bytes = max(MIN_SIZE_BYTES, max_size_bytes) - 2 * self._segment_bytes
        self._segment_age = min(_MAX_SEGMENT_AGE, max_age / 8)
        self._within: Window | None = None  # the times in the open segment, both inclusive but for the last's +1 us
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(folder)
            try:
                self._recover()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise _unusable(folder, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Add a record; it is in the file, though not yet on the platter (`sync`), when this returns.

        Raises:
            StoreError: it cannot be written, or is larger than a segment; the ring is as before.
        """
        line = _line(record)
        if len(_MAGIC) + len(line) > self._segment_bytes:
            raise StoreError(f"a sample of {len(line)} bytes is larger than the recording takes")
        try:
            if self._within and self._is_full(self._within, record.at, len(line)):
                self._rotate(self._within)
            self._prune(record.at)
            self._write(line)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT} and self._closed:
                self._closed.pop(0).path.unlink(missing_ok=True)  # what is new is worth more than the oldest
            raise _unusable(self.folder, error) from None
        self._within = Window(self._within.start if self._within else record.at, record.at + _MICROSECOND)

    def sync(self) -> None:
        """Bring what was appended to the disk, so that it also outlives the machine.

        Raises:
            StoreError: the disk refuses.
        """
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise _unusable(self.folder, error) from None

    def close(self) -> None:
        """Let go of the ring; what was appended stays."""
        os.close(self._file)
        os.close(self._lock)

    def _is_full(self, within: Window, at: datetime, more_bytes: int) -> bool:
        if self._size + more_bytes > self._segment_bytes or at - within.start >= self._segment_age:
            return True
        return at + _MICROSECOND < within.end  # the clock was set back: times within a segment only grow

    def _write(self, line: bytes) -> None:
        data = line if self._size else _MAGIC + line
        try:
            written = os.write(self._file, data)
            if written < len(data):  # a full disk takes what still fits, and says so the next time
                os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def _recover(self) -> None:
        """Remove what a crash left half done and go on in the open segment after its last whole line."""
        for path in self.folder.glob("*.part"):
            path.unlink()
        segments = _segments(self.folder)
        self._closed = [each for each in segments if each.within]
        done = {each.number for each in self._closed}
        left = [each for each in segments if not each.within]
        for each in left:
            if each.number in done:  # the crash was between compressing and removing
                each.path.unlink()
        going_on = bool(left) and left[-1].number not in done
        self._number = max((each.number for each in segments), default=0) + (not going_on)
        self._open()
        data = (self.folder / f"{self._number:08d}.ring").read_bytes()
        _check_version(self.folder, data[: data.find(b"\n") + 1])
        offset = 0
        while (end := data.find(b"\n", offset) + 1) > 0:
            if record := _parse(data[offset:end]):
                self._within = Window(self._within.start if self._within else record.at, record.at + _MICROSECOND)
                self._size = end
            offset = end
        os.ftruncate(self._file, self._size)

    def _open(self) -> None:
        path = self.folder / f"{self._number:08d}.ring"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0

    def _rotate(self, within: Window) -> None:
        """Compress the open segment under its final name, then start the next."""
        path = self.folder / f"{self._number:08d}.ring"
        part = path.with_suffix(".part")
        last = within.end - _MICROSECOND
        try:
            with part.open("wb") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(gzip.compress(path.read_bytes(), 6, mtime=0))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        size_bytes = part.stat().st_size
        closed = part.rename(self.folder / f"{self._number:08d}.{within.start:{_STAMP}}-{last:{_STAMP}}.gz")
        self._closed.append(_Segment(self._number, closed, within, size_bytes))
        path.unlink()
        os.close(self._file)
        self._number += 1
        self._within = None
        self._open()

    def _prune(self, now: datetime) -> None:
        """Drop the oldest closed segments until the rest is within the bounds, and an open one that is outdated."""

        def outdated(within: Window | None) -> bool:
            return within is not None and now - within.start > self._max_age

        while self._closed and (
            sum(each.size_bytes for each in self._closed) > self._closed_bytes or outdated(self._closed[0].within)
        ):
            self._closed[0].path.unlink(missing_ok=True)
            del self._closed[0]
        if outdated(self._within):
            os.ftruncate(self._file, 0)
            self._size, self._within = 0, None


def read(folder: Path, window: Window, damage: list[str], *, source: str = "") -> Iterator[Record]:
    """Yield the records of a window (of one source, where named) from the oldest segment to the newest.

    It reads beside a running recorder and never writes. What cannot be read is told to `damage` in sentences. Times
    grow, unless the clock was set back.

    Raises:
        StoreError: the ring cannot be read, or is a newer irkit's.
    """
    try:
        for record in _snapshot(folder, window, damage):
            if window.start <= record.at < window.end and source in ("", record.source):
                yield record
    except OSError as error:
        raise _unusable(folder, error) from None


def span(folder: Path) -> Window | None:
    """Return the time from the first to just after the last record, None where there is none.

    Raises:
        StoreError: the ring cannot be read, or is a newer irkit's.
    """
    found: list[Window] = []
    try:
        for each in _readable(folder):
            if each.within:
                found.append(each.within)
            else:
                times = [record.at for record in _records(folder, each, [])]
                found += [Window(times[0], times[-1] + _MICROSECOND)] if times else []
    except OSError as error:
        raise _unusable(folder, error) from None
    return Window(min(each.start for each in found), max(each.end for each in found)) if found else None


def _snapshot(folder: Path, window: Window, damage: list[str]) -> Iterator[Record]:
    """Yield the records of the segments that touch a window, without a hole where the writer drops some meanwhile."""
    wanted = [
        each
        for each in _readable(folder)
        if not each.within or (each.within.end > window.start and each.within.start < window.end)
    ]
    with ExitStack() as stack:
        # the writer drops the oldest first: opened from the newest, what is gone is all at the front
        held = [_opened(folder, each) for each in reversed(wanted[:_MOST_HELD])]
        for opened in held:
            if opened:
                stack.enter_context(opened[1])
        for opened in reversed(held):
            if opened:
                yield from _lines(folder, *opened, damage)
        for each in wanted[_MOST_HELD:]:
            yield from _records(folder, each, damage)


def _records(folder: Path, segment: _Segment, damage: list[str]) -> Iterator[Record]:
    if opened := _opened(folder, segment):
        yield from _lines(folder, *opened, damage)


def _lines(folder: Path, segment: _Segment, stream: BufferedIOBase, damage: list[str]) -> Iterator[Record]:
    """Yield a segment's records; of one that is cut short, those before the damage."""
    with stream:
        try:
            for number, line in enumerate(stream):
                if number == 0:
                    _check_version(folder, line)
                if record := _parse(line):
                    yield record
                elif line != _MAGIC and line.endswith(b"\n"):  # half a line is one that is being written
                    damage.append(f"a damaged line of {segment.path.name} was left out")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            damage.append(f"{segment.path.name} is damaged and was read in part: {error}")


def _opened(folder: Path, segment: _Segment) -> tuple[_Segment, BufferedIOBase] | None:
    """Open a segment, or what it was compressed to since it was listed; None where it was dropped."""
    try:
        return segment, gzip.open(segment.path) if segment.within else segment.path.open("rb")
    except FileNotFoundError:
        again = [each for each in _readable(folder) if each.number == segment.number and each.path != segment.path]
        return _opened(folder, again[0]) if again else None


def _segments(folder: Path) -> list[_Segment]:
    found = []
    for path in folder.iterdir():
        if closed := _CLOSED.fullmatch(path.name):
            first, last = (datetime.strptime(text, _STAMP).replace(tzinfo=UTC) for text in closed.groups()[1:])
            try:
                found.append(_Segment(int(closed[1]), path, Window(first, last + _MICROSECOND), path.stat().st_size))
            except FileNotFoundError:
                continue  # dropped since it was listed
        elif opened := _OPEN.fullmatch(path.name):
            found.append(_Segment(int(opened[1]), path))
    return sorted(found, key=lambda each: (each.number, each.path.name))


def _readable(folder: Path) -> list[_Segment]:
    """Return each segment once: between its compression and its removal it stands there twice, the whole one first."""
    once: dict[int, _Segment] = {}
    for each in _segments(folder):
        once.setdefault(each.number, each)
    return list(once.values())


def _check_version(folder: Path, head: bytes) -> None:
    if head.startswith(b"irkit-ring ") and head.endswith(b"\n") and head != _MAGIC:
        raise StoreError(f"the recording in {folder} was made by a newer irkit", hint="upgrade irkit")


def _line(record: Record) -> bytes:
    rest = b"%d %s %s\n" % (_microseconds(record.at), record.source.encode("ascii"), record.body)
    return b"%08x %s" % (zlib.crc32(rest), rest)


def _parse(line: bytes) -> Record | None:
    """Read a line, None where it is not whole or not what was written."""
    head = _LINE.match(line)
    if head is None or not line.endswith(b"\n") or int(line[:8], 16) != zlib.crc32(line[9:]):
        return None
    return Record(_EPOCH + int(head[1]) * _MICROSECOND, head[2].decode("ascii"), line[head.end() : -1])


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        hint = f"end process {holder} first, or set another [recorder] path" if holder else ""
        raise StoreError(f"another recorder writes to {folder} already", hint=hint) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _unusable(folder: Path, error: OSError) -> StoreError:
    hint = "make the folder writable and free some space, or set another [recorder] path in irkit.toml"
    return StoreError(f"the recording in {folder} cannot be used: {error.strerror or error}", hint=hint)
