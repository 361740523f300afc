"""A log read backwards gives each line of the window once, wherever parts, windows and neighbours fall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from irkit.docker.log_tail import LogTail
from irkit.model import Window

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class Log:
    """What a daemon keeps of one container: records of a time and a text, in the order they were written."""

    def __init__(self, records: Sequence[tuple[float, str]]) -> None:
        self.records = [(START + timedelta(seconds=second), text) for second, text in records]
        self.asked: list[int] = []
        self.sent = 0

    def tail(self, window: Window) -> LogTail:
        @contextmanager
        def open_tail(count: int) -> Iterator[Iterator[bytes]]:
            self.asked.append(count)
            yield self._frames(self.records[-count:])

        return LogTail(open_tail, window, tty=False)

    def _frames(self, records: Sequence[tuple[datetime, str]]) -> Iterator[bytes]:
        for at, text in records:
            self.sent += 1
            body = f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n".encode()
            yield b"\x01\0\0\0" + len(body).to_bytes(4, "big") + body


def read(tail: LogTail, room_bytes: int) -> list[list[str]]:
    parts = []
    while not tail.done:
        reached = tail.reached
        parts.append([one.line.text.decode() for one in tail.read_older(room_bytes)])
        assert tail.reached < reached
    return parts


def seconds(start: float, end: float) -> Window:
    return Window(START + timedelta(seconds=start), START + timedelta(seconds=end))


@given(
    gaps=st.lists(st.sampled_from([0.000001, 0.001, 0.5, 30.0]), max_size=1500),
    swaps=st.lists(st.integers(0, 1500), max_size=30),
    window=st.tuples(st.floats(0, 1000), st.floats(0.001, 2000)),
    room_bytes=st.sampled_from([1, 5_000, 30_000, 10**9]),
)
def test_each_line_of_the_window_comes_once_and_in_order(
    gaps: list[float], swaps: list[int], window: tuple[float, float], room_bytes: int
) -> None:
    at, records = 0.0, []
    for number, gap in enumerate(gaps):
        at += gap
        records.append((at, f"line {number}"))
    for place in swaps:  # the other stream's writer was a little quicker
        if place + 1 < len(records) and records[place + 1][0] - records[place][0] < 0.01:
            records[place : place + 2] = records[place + 1], records[place]
    wanted = seconds(window[0], window[0] + window[1])
    log = Log(records)
    parts = read(log.tail(wanted), room_bytes)
    found = [line for part in reversed(parts) for line in part]
    assert found == [text for at, text in sorted(log.records) if wanted.start <= at < wanted.end]


def test_a_window_long_ago_is_found_without_reading_what_came_after_it() -> None:
    log = Log([(number / 100, f"line {number}") for number in range(200_000)])
    parts = read(log.tail(seconds(10, 11)), 10**6)
    assert [line for part in reversed(parts) for line in part] == [f"line {number}" for number in range(1000, 1100)]
    assert len(log.asked) < 20
    assert log.sent < 20_000


def test_a_window_at_the_end_is_had_at_once() -> None:
    log = Log([(number / 100, f"line {number}") for number in range(200_000)])
    parts = read(log.tail(seconds(1999, 2000)), 10**6)
    assert [line for part in reversed(parts) for line in part] == [
        f"line {number}" for number in range(199_900, 200_000)
    ]
    assert log.sent <= 500


def test_parts_are_no_larger_than_there_is_room_for_and_none_is_read_twice_over() -> None:
    log = Log([(number / 100, "x" * 400) for number in range(20_000)])
    parts = read(log.tail(seconds(0, 1000)), 50_000)
    assert max(len(part) for part in parts) <= 100
    assert log.sent < 3 * 20_000


def test_one_line_larger_than_the_room_is_had_all_the_same() -> None:
    assert read(Log([(1, "x" * 10_000), (2, "y" * 10_000)]).tail(seconds(0, 9)), 100) == [
        ["y" * 10_000],
        ["x" * 10_000],
    ]


def test_a_log_that_grows_faster_than_it_is_asked_is_caught_up_with() -> None:
    log = Log([(number / 1000, f"line {number}") for number in range(5_000)])
    growing = log.tail(seconds(3, 4))
    open_once = growing.open_tail

    @contextmanager
    def open_tail(records: int) -> Iterator[Iterable[bytes]]:
        longer = range(len(log.records), len(log.records) + 3_000)
        log.records += [(START + timedelta(seconds=number / 1000), f"line {number}") for number in longer]
        with open_once(records) as chunks:
            yield chunks

    growing.open_tail = open_tail
    found = [line for part in reversed(read(growing, 10_000)) for line in part]
    assert found == [f"line {number}" for number in range(3_000, 4_000)]


def test_an_empty_log_is_read_to_its_end() -> None:
    assert read(Log([]).tail(seconds(0, 9)), 100) == [[]]
