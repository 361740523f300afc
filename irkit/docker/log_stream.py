"""The Engine's log stream decoded: bytes of `/containers/{id}/logs` in, stamped lines out, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

# The daemon cuts what a container writes into pieces of this size, each with a stamp of its own.
PIECE_BYTES = 16 * 1024
MAX_LINE_BYTES = 1024 * 1024
_MAX_FRAME_BYTES = 16 * 1024 * 1024
_HEADER_BYTES = 8
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr", 3: "engine"}
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as the container wrote it, without its newline; `at` is None where the daemon gave no time.

    `stream` is stdout, stderr, or `engine` for the daemon's own complaint within the stream. `dropped_bytes` were cut
    off the end of a line over `MAX_LINE_BYTES`.
    """

    at: datetime | None
    stream: str
    text: bytes
    dropped_bytes: int = 0


class GarbledStreamError(Exception):
    """The bytes are not a log stream of the Docker Engine."""


def decode_lines(chunks: Iterable[bytes], *, tty: bool) -> Iterator[LogLine]:
    """Decode a stream asked for with `timestamps=1`, however its chunks are cut; times are aware UTC.

    With a tty the stream is raw, stdout and stderr are one, and lines end with CR LF. Without, it is multiplexed:
    frames of one byte stream, three of zero, a big-endian length of four, then one piece of output
    (https://docs.docker.com/reference/api/engine/, "Stream format").

    Raises:
        GarbledStreamError: a frame could not be one.
    """
    return _raw_lines(chunks) if tty else _joined(_frames(chunks))


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        start = 0
        while len(buffer) - start >= _HEADER_BYTES:
            size = int.from_bytes(buffer[start + 4 : start + _HEADER_BYTES], "big")
            stream = _STREAMS.get(buffer[start])
            if stream is None or any(buffer[start + 1 : start + 4]) or size > _MAX_FRAME_BYTES:
                raise GarbledStreamError
            end = start + _HEADER_BYTES + size
            if len(buffer) < end:
                break
            yield stream, bytes(buffer[start + _HEADER_BYTES : end])
            start = end
        del buffer[:start]


def _joined(frames: Iterable[tuple[str, bytes]]) -> Iterator[LogLine]:
    """Join the pieces of a line.

    A piece without newline goes on only if it is full: the last words of a process that died have no newline either,
    and what follows them belongs to its successor.
    """
    pending: dict[str, _Line] = {}
    for stream, frame in frames:
        at, piece = _split_stamp(frame)
        ends = piece.endswith(b"\n") or len(piece) < PIECE_BYTES or stream == "engine"
        if ends and stream not in pending and len(piece) <= MAX_LINE_BYTES:
            yield LogLine(at, stream, piece.removesuffix(b"\n"))
            continue
        line = pending.setdefault(stream, _Line(at))
        line.add(piece.removesuffix(b"\n"))
        if ends:
            yield pending.pop(stream).ended(stream)
    for stream, line in pending.items():
        yield line.ended(stream)


def _raw_lines(chunks: Iterable[bytes]) -> Iterator[LogLine]:
    for raw in _split_at_newlines(chunks):
        at, rest = _split_stamp(raw.text)
        # further pieces of a long line follow without a mark but their stamp
        pieces = []
        while len(rest) > PIECE_BYTES and (inner := _STAMP.match(rest, PIECE_BYTES)):
            pieces.append(rest[:PIECE_BYTES])
            rest = rest[inner.end() :]
        pieces.append(rest.removesuffix(b"\r"))
        yield LogLine(at, "stdout", b"".join(pieces), raw.dropped_bytes)


def _split_at_newlines(chunks: Iterable[bytes]) -> Iterator[LogLine]:
    line, begun = _Line(None), False
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line.add(end)
            yield line.ended("stdout")
            line, begun = _Line(None), False
        if rest:
            line.add(rest)
            begun = True
    if begun:
        yield line.ended("stdout")


class _Line:
    """A line that grows piece by piece, up to `MAX_LINE_BYTES`."""

    def __init__(self, at: datetime | None) -> None:
        self._at = at
        self._pieces: list[bytes] = []
        self._size_bytes = self._dropped_bytes = 0

    def add(self, piece: bytes) -> None:
        kept = piece[: MAX_LINE_BYTES - self._size_bytes]
        self._pieces.append(kept)
        self._size_bytes += len(kept)
        self._dropped_bytes += len(piece) - len(kept)

    def ended(self, stream: str) -> LogLine:
        return LogLine(self._at, stream, b"".join(self._pieces), self._dropped_bytes)


def _split_stamp(piece: bytes) -> tuple[datetime | None, bytes]:
    stamp = _STAMP.match(piece)
    if not stamp:
        return None, piece
    try:
        at = datetime.fromisoformat(piece[: stamp.end() - 1].decode("ascii"))
    except ValueError:
        return None, piece
    return at.astimezone(UTC), piece[stamp.end() :]
