"""One container's log read backwards: ever longer tails, each cut where the one before it began, in bounded memory.

Asked for a time, the daemon reads the whole file from its beginning; asked for a tail, it seeks from the end. So a
window is found by tails, and the newest lines, which matter most, are had first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, islice

import requests

from irkit.docker.log_stream import PIECE_BYTES, GarbledStreamError, LogLine, decode_lines
from irkit.model import Window

OpenTail = Callable[[int], AbstractContextManager[Iterable[bytes]]]

FIRST_TAIL = 500
_MOST_AT_ONCE = 20_000
# stdout and stderr are stamped by two writers: neighbours may be swapped, and a long line starts before it ends.
# What begins a tail is for the same reason left to the next, longer one, as may be the half of a long line.
_REORDER_LINES = 64
_MICROSECOND = timedelta(microseconds=1)
_GROWTH = range(2, 65)
# reading some lines twice is cheaper than asking once more from where to read; so is reading many of a log that grows
# by more between two questions than the answers are apart
_OVERSHOOT = 4
_MOST_QUESTIONS = 16
_USUAL_LINE_BYTES = 200.0
# what a line takes beside its text: its stamp and its container's names
_ENVELOPE_BYTES = 100


@dataclass(frozen=True, slots=True)
class StampedLine:
    """A line with the time to sort it by: its own, or that of the line before it."""

    at: datetime
    line: LogLine


@dataclass(slots=True)
class LogTail:
    """How far back a log was read: every line of the window from `reached` on was given out, and no other.

    `open_tail(n)` opens the stream of the newest n records with their stamps. `done` says that the window's start or
    the log's beginning was reached; `whole` that it was the beginning, where `first_at` is the first line's time.
    """

    open_tail: OpenTail
    window: Window
    tty: bool
    reached: datetime = field(init=False)
    done: bool = False
    whole: bool = False
    to_the_end: bool = False
    first_at: datetime | None = None
    records: int = 0
    size_bytes: int = 0
    cut_lines: int = 0
    broken: Exception | None = None
    remarks: dict[str, None] = field(default_factory=dict)
    _confirmed: bool = False
    _newer: int = 0
    _first: tuple[int, LogLine] | None = None
    _line_bytes: float = _USUAL_LINE_BYTES

    def __post_init__(self) -> None:
        self.reached = self.window.end

    def read_older(self, room_bytes: int) -> list[StampedLine]:
        """Return the next older lines, in order, of about `room_bytes` and at least one; `reached` moves back to them.

        A stream that breaks off gives what it gave, and leaves why in `broken`.

        Raises:
            GarbledStreamError: the bytes are no log stream.
            APIError, requests.RequestException: the tail cannot be opened.
        """
        step = _REORDER_LINES + int(min(room_bytes / min(self._line_bytes, PIECE_BYTES) + 1, _MOST_AT_ONCE))
        too_new, far_enough = self._newer, 0
        tail = too_new + (step if too_new else min(step, FIRST_TAIL))
        asked = 0
        while True:
            asked += 1
            with self.open_tail(tail) as chunks:
                lines = decode_lines(chunks, tty=self.tty)
                head = list(islice(lines, _REORDER_LINES))
                short = len(head) < _REORDER_LINES and _records(head) < tail
                if short and not self._confirmed:
                    # while the daemon turns a file over, a tail may come back short or empty: it is asked once more
                    self._confirmed = True
                    continue
                if not head:
                    self.done, self.reached = True, self.window.start
                    return []
                begins = self._begins(tail, head)
                near = tail - too_new <= _OVERSHOOT * step or asked > _MOST_QUESTIONS
                if begins < self.reached and near:
                    return self._taken(tail, begins, chain(head, lines), room_bytes)
            if begins >= self.reached:
                too_new = tail
                if far_enough <= tail:
                    far_enough = 0  # it was, before the log grew
                grown = self._guess(tail, begins)
                tail = min(grown, (too_new + far_enough) // 2) if far_enough else grown
            else:
                far_enough = tail
                tail = (too_new + far_enough) // 2
            tail = max(tail, too_new + step)

    def _begins(self, tail: int, head: list[LogLine]) -> datetime:
        """From when on this tail surely holds all lines."""
        short = len(head) < _REORDER_LINES and _records(head) < tail
        self.whole = short or (self._first is not None and self._first[0] < tail and self._first[1] == head[0])
        self._first = (tail, head[0])
        stamps = [line.at for line in head if line.at]
        self.first_at = stamps[0] if stamps else None
        if self.whole or not stamps:
            return self.window.start
        return max(*stamps, self.window.start)

    def _guess(self, tail: int, begins: datetime) -> int:
        """How long a tail may reach far enough, if lines come as often as in this one."""
        covered = datetime.now(UTC) - begins
        wanted = datetime.now(UTC) - self.reached
        factor = wanted / covered if covered > timedelta(0) else _GROWTH.start
        return int(tail * min(max(factor * 1.5, _GROWTH.start), _GROWTH.stop))

    def _taken(self, tail: int, begins: datetime, lines: Iterator[LogLine], room_bytes: int) -> list[StampedLine]:
        kept: list[tuple[datetime, int, LogLine]] = []
        kept_bytes, before = 0, 0
        newest, upper = begins, self.reached
        for number, one in enumerate(self._until(upper, begins, lines)):
            if one.at < begins:
                before += _records([one.line])
            elif one.at < upper:
                heapq.heappush(kept, (one.at, number, one.line))
                kept_bytes += _cost(one.line)
                newest = max(newest, one.at)
                while kept_bytes > room_bytes and kept[0][0] < newest:
                    at, _, line = heapq.heappop(kept)
                    kept_bytes -= _cost(line)
                    before += _records([line])
                    begins = at + _MICROSECOND
        taken = [StampedLine(at, line) for at, _, line in sorted(kept) if at >= begins]
        self.reached, self._newer = begins, max(self._newer, tail - before)
        self.done = self.done or begins <= self.window.start
        self.records += _records(one.line for one in taken)
        self.size_bytes += sum(len(one.line.text) + one.line.dropped_bytes for one in taken)
        self.cut_lines += sum(bool(one.line.dropped_bytes) for one in taken)
        if taken:
            self._line_bytes = sum(_cost(one.line) for one in taken) / len(taken)
        return taken

    def _until(self, upper: datetime, at: datetime, lines: Iterator[LogLine]) -> Iterator[StampedLine]:
        beyond = 0
        try:
            for line in lines:
                at = line.at or at
                if line.stream == "engine":
                    self.remarks[line.text.decode(errors="replace").strip()] = None
                    continue
                beyond = beyond + 1 if at >= upper else 0
                if beyond > _REORDER_LINES:
                    return
                yield StampedLine(at, line)
            self.to_the_end = self.to_the_end or upper == self.window.end
        except (requests.RequestException, GarbledStreamError) as error:
            self.broken = error


def _cost(line: LogLine) -> int:
    return len(line.text) + _ENVELOPE_BYTES


def _records(lines: Iterable[LogLine]) -> int:
    """As how many records the daemon keeps these lines."""
    return sum(1 + (len(line.text) + line.dropped_bytes) // PIECE_BYTES for line in lines)
