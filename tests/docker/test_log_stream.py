"""The log stream's format, byte by byte; what the daemon really sends is in tests/collectors/test_container_logs.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.docker.log_stream import MAX_LINE_BYTES, PIECE_BYTES, GarbledStreamError, LogLine, decode_lines

STAMP = b"2026-11-24T03:05:00.123456789Z "
AT = datetime(2026, 11, 24, 3, 5, 0, 123456, tzinfo=UTC)
FULL = b"x" * PIECE_BYTES


def frame(stream: int, piece: bytes, stamp: bytes = STAMP) -> bytes:
    body = stamp + piece
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


MULTIPLEXED = (
    frame(1, b"one\n")
    + frame(1, FULL)
    + frame(2, b"between\n")
    + frame(1, b"end\n")
    + frame(1, b"")
    + frame(2, b"last")
)
LINES = [
    LogLine(AT, "stdout", b"one"),
    LogLine(AT, "stderr", b"between"),
    LogLine(AT, "stdout", FULL + b"end"),
    LogLine(AT, "stdout", b""),
    LogLine(AT, "stderr", b"last"),
]
RAW = STAMP + b"one\r\n" + STAMP + FULL + STAMP + FULL + STAMP + b"end\r\n" + STAMP + b"\r\n" + STAMP + b"last"
RAW_LINES = [LogLine(AT, "stdout", text) for text in (b"one", FULL + FULL + b"end", b"", b"last")]


@pytest.mark.parametrize(("stream", "lines", "tty"), [(MULTIPLEXED, LINES, False), (RAW, RAW_LINES, True)])
@given(data=st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(
    stream: bytes, lines: list[LogLine], *, tty: bool, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(decode_lines(chunks, tty=tty)) == lines


def test_a_stream_that_breaks_off_gives_what_was_whole() -> None:
    assert list(decode_lines([MULTIPLEXED[:-1]], tty=False)) == LINES[:-1]
    assert list(decode_lines([frame(1, FULL)], tty=False)) == [LogLine(AT, "stdout", FULL)]


@pytest.mark.parametrize("tty", [False, True])
def test_nothing_is_no_line(*, tty: bool) -> None:
    assert list(decode_lines([], tty=tty)) == []


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        (b"2026-11-24T03:05:00Z ", datetime(2026, 11, 24, 3, 5, tzinfo=UTC)),
        (b"2026-11-24T04:05:00.5+01:00 ", datetime(2026, 11, 24, 3, 5, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_stamps_as_other_engines_write_them(stamp: bytes, at: datetime) -> None:
    assert list(decode_lines([frame(1, b"text\n", stamp)], tty=False)) == [LogLine(at, "stdout", b"text")]


@pytest.mark.parametrize("text", [b"no stamp here", b"2026-13-45T99:99:99Z is no time"])
def test_a_line_without_a_stamp_is_kept_whole(text: bytes) -> None:
    assert list(decode_lines([frame(1, text + b"\n", b"")], tty=False)) == [LogLine(None, "stdout", text)]


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_without_end_takes_no_more_memory_than_its_limit(*, tty: bool) -> None:
    pieces = 100 * 1024 * 1024 // PIECE_BYTES
    one = STAMP + FULL if tty else frame(1, FULL)
    (line,) = decode_lines((one for _ in range(pieces)), tty=tty)
    assert len(line.text) <= MAX_LINE_BYTES
    assert line.text == b"x" * len(line.text)
    assert line.dropped_bytes > 98 * 1024 * 1024


def test_the_daemons_own_complaint_is_told_apart() -> None:
    lines = decode_lines([frame(1, b"one\n"), frame(3, b"error grabbing logs", b"")], tty=False)
    assert [(line.stream, line.text) for line in lines] == [("stdout", b"one"), ("engine", b"error grabbing logs")]


@pytest.mark.parametrize("garbage", [b"<html><body>", b"\x01\x00\x00\x00\xff\xff\xff\xff", b"\x09" + bytes(7)])
def test_what_is_no_log_stream_is_refused(garbage: bytes) -> None:
    with pytest.raises(GarbledStreamError):
        list(decode_lines([garbage], tty=False))
