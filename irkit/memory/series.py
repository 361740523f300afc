"""Figures over time in bounded memory: the last half hour finely, the whole life of the process coarsely.

What is kept lies in arrays made beforehand, so that the watcher adds no objects to those it counts.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping

_RECENT = 1800
_WHOLE = 1024


class Figures:
    """Samples of several figures at once, NaN for one not taken; the oldest are thinned out, never dropped."""

    def __init__(self, names: tuple[str, ...], recent: int = _RECENT, whole: int = _WHOLE) -> None:
        self.names = names
        self._recent = _Ring(len(names) + 1, recent)
        self._whole = _Ring(len(names) + 1, whole)
        self._stride = 1
        self._seen = 0

    def add(self, at_s: float, values: Mapping[str, float | None]) -> None:
        """Keep one sample at a time that is later than those before."""
        row = [at_s, *(math.nan if (value := values.get(name)) is None else float(value) for name in self.names)]
        self._recent.append(row)
        if self._seen % self._stride == 0:
            if self._whole.full:
                self._whole.thin()
                self._stride *= 2
            if self._seen % self._stride == 0:
                self._whole.append(row)
        self._seen += 1

    def recent(self, name: str) -> tuple[list[float], list[float]]:
        """Return the times and values of the last samples that have this figure."""
        return self._column(self._recent, name)

    def whole(self, name: str) -> tuple[list[float], list[float]]:
        """Return times and values from the first sample on, evenly thinned."""
        return self._column(self._whole, name)

    def _column(self, ring: _Ring, name: str) -> tuple[list[float], list[float]]:
        column = self.names.index(name) + 1
        pairs = [(row[0], row[column]) for row in ring.rows() if not math.isnan(row[column])]
        return [at for at, _ in pairs], [value for _, value in pairs]


class TypeCounts:
    """Counts of many types at the same times: the last `rows`, of at most `columns` types.

    A type has a column from the first count in which there are ten of it; those that come when all are given have none,
    and `left_out` says how many.
    """

    def __init__(self, rows: int = 240, columns: int = 1024) -> None:
        self._columns: dict[str, int] = {}
        self._width = columns
        self._ring = _Ring(columns + 1, rows)
        self.left_out = 0

    def add(self, at_s: float, counts: Mapping[str, int]) -> None:
        """Keep one count by type."""
        row = [0.0] * (self._width + 1)
        row[0] = at_s
        self.left_out = 0
        for name, number in counts.items():
            if name not in self._columns and number >= _LEAST:
                if len(self._columns) >= self._width:
                    self.left_out += 1
                    continue
                self._columns[name] = len(self._columns) + 1
            if name in self._columns:
                row[self._columns[name]] = number
        self._ring.append(row)

    def series(self) -> tuple[list[float], dict[str, list[float]]]:
        """Return the times, and the counts of each type at them."""
        rows = self._ring.rows()
        names = self._columns.items()
        return [row[0] for row in rows], {name: [row[column] for row in rows] for name, column in names}


_LEAST = 10


class _Ring:
    """Rows of numbers in one array, the newest over the oldest."""

    def __init__(self, width: int, size: int) -> None:
        self._width = width
        self._size = size
        self._cells = array("d", bytes(8 * width * size))
        self._added = 0

    @property
    def full(self) -> bool:
        return self._added >= self._size

    def append(self, row: list[float]) -> None:
        start = self._added % self._size * self._width
        for offset, value in enumerate(row):
            self._cells[start + offset] = value
        self._added += 1

    def rows(self) -> list[array[float]]:
        """Return the rows, oldest first."""
        first = max(self._added - self._size, 0)
        places = (number % self._size * self._width for number in range(first, self._added))
        return [self._cells[place : place + self._width] for place in places]

    def thin(self) -> None:
        """Keep every second row."""
        kept = self.rows()[::2]
        self._added = 0
        for row in kept:
            self.append(list(row))
