"""The rows of one page that may be damaged: those its pointers name, and those that lie where pointers once led.

In a whole page, cells, freed blocks and fragments fill the content area without a gap. So what lies in a gap was a
cell: it is read where it stands, and where its lengths do not agree, with each of its bits turned in turn.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from irkit.sqlite.salvage.cells import INDEX_INTERIOR, TABLE_LEAF, Cell, parse
from irkit.sqlite.salvage.shapes import Shape

_FRAGMENT = 3
_LIKELY = 0.05
_HEAD_BYTES = 18
_LEAST_CELL = 4
_LARGEST_PAGE = 65536
_MISSES = 3
Range = tuple[int | None, int | None]
EVERYWHERE: Range = (None, None)


@dataclass(slots=True)
class Leaf:
    """What one page gave; `mended` cells had a bit turned back, `lost_bytes` of content could not be read."""

    cells: list[Cell] = field(default_factory=list)
    mended: int = 0
    lost_bytes: int = 0

    @property
    def whole(self) -> bool:
        return not self.mended and not self.lost_bytes


@dataclass(frozen=True, slots=True)
class _Page:
    data: bytes
    base: int
    usable: int
    kind: int
    shape: Shape | None
    within: Range

    def cell(self, at: int, data: bytes | None = None) -> Cell | None:
        """Return the cell there if it can be one of the table's."""
        found = parse(self.data if data is None else data, at, self.usable, self.kind)
        return found if found is not None and (self.shape is None or self.shape.fits(found.types)) else None

    def likely(self, cell: Cell) -> float:
        usual = 1.0 if self.shape is None else self.shape.likeness(cell.types)
        return usual if cell.rowid is None or inside(cell.rowid, self.within) else usual * 0.01


def inside(rowid: int, within: Range) -> bool:
    """Say whether a row's number is above the first bound and not above the second."""
    low, high = within
    return (low is None or rowid > low) and (high is None or rowid <= high)


def read_leaf(  # noqa: PLR0913, PLR0917 (a page, and all that is known of it)
    data: bytes, number: int, usable: int, kind: int, shape: Shape | None, within: Range = EVERYWHERE
) -> Leaf:
    """Return what a page of this kind holds, whatever its own first byte says; `within` bounds its rows' numbers."""
    base = 100 if number == 1 else 0
    page = _Page(data, base, usable, kind, shape, within)
    array = base + (12 if kind == INDEX_INTERIOR else 8)
    count = _number(data, base + 3)
    believed = array + 2 * count <= usable
    leaf, whole, pointers = _by_pointers(page, array, count) if believed else (Leaf(), False, [])
    if not whole:
        leaf, _, pointers = _by_pointers(page, array, _count(page, array, count if believed else 0), carve=True)
    return _in_order(leaf, page, {at: index for index, at in reversed(list(enumerate(pointers)))})


def _by_pointers(page: _Page, array: int, count: int, *, carve: bool = False) -> tuple[Leaf, bool, list[int]]:
    """Return the cells that so many pointers lead to, whether they are all there is, and the pointers.

    With `carve`, cells between them too.
    """
    data, usable = page.data, page.usable
    pointers = [_number(data, array + 2 * i) for i in range(count)]
    content = _number(data, page.base + 5) or _LARGEST_PAGE
    placed: dict[int, Cell] = {}
    failed: list[int] = []
    for index, at in enumerate(pointers):
        found = page.cell(at) if array + 2 * count <= at <= usable - _LEAST_CELL else None
        if found is None:
            failed.append(index)
        else:
            placed[index] = found
    _drop_overlaps(placed, failed)
    freed, fragments = _freed(data, page.base, usable)
    low = array + 2 * count
    if low <= content <= min((cell.start for cell in placed.values()), default=usable):
        low = content
    gaps = _gaps(low, usable, [(cell.start, cell.end) for cell in placed.values()] + freed)
    if carve:
        return _carved(page, placed, failed, pointers, gaps), False, pointers
    whole = not failed and sum(end - start for start, end in gaps) <= fragments
    return Leaf([placed[index] for index in sorted(placed)]), whole, pointers


def _count(page: _Page, array: int, told: int) -> int:
    """Return how many pointers there are, by those that lead to cells: where the header's number may be damaged."""
    last, misses = 0, 0
    lowest = page.usable
    for index in range((page.usable - array) // 2):
        at = _number(page.data, array + 2 * index)
        if array + 2 * index + 2 > lowest or misses > _MISSES:
            break
        if array + 2 * index < at <= page.usable - _LEAST_CELL and page.cell(at) is not None:
            last, misses, lowest = index + 1, 0, min(lowest, at)
        else:
            misses += 1
    # one whose cell is damaged counts as well, if the header has it and pointers that lead to cells do not contradict
    return told if last <= told <= last + _MISSES else last


def _carved(
    page: _Page, placed: dict[int, Cell], failed: list[int], pointers: list[int], gaps: list[tuple[int, int]]
) -> Leaf:
    """Read what lies in the gaps, first where a pointer says that a cell begins."""
    leaf = Leaf([placed[index] for index in sorted(placed)])
    begins = {pointers[index] for index in failed}
    for start, end in gaps:
        at = start
        while end - at >= _LEAST_CELL:
            found, mended = _best(page, at, end, begins)
            if found is None:
                following = next((one for one in sorted(begins) if at < one < end), None)
                following = _scan(page, at + 1, end) if following is None else following
                if following is None:
                    break
                leaf.lost_bytes += following - at
                at = following
                continue
            leaf.cells.append(found)
            leaf.mended += mended
            at = found.end
        if end - at > _FRAGMENT:
            leaf.lost_bytes += end - at
    return leaf


def _best(page: _Page, at: int, end: int, begins: set[int]) -> tuple[Cell | None, bool]:
    """Return the likeliest cell at `at` that ends in the gap, as it stands or with a bit turned, and if it was."""

    def worth(cell: Cell) -> float:
        """A cell that ends where another begins, or the gap ends, is hardly a coincidence."""
        meets = cell.end == end or cell.end in begins or (page.cell(cell.end) is not None and cell.end < end)
        near = end - cell.end <= _FRAGMENT
        return page.likely(cell) * (1.0 if meets else 0.6 if near else 0.08)

    plain = page.cell(at)
    if plain is not None and plain.end <= end and worth(plain) >= _LIKELY:
        return plain, False
    best, most = None, _LIKELY
    head = bytearray(page.data)
    for place in range(at, min(at + _HEAD_BYTES + (len(page.shape.columns) if page.shape else 8), end)):
        for bit in range(8):
            head[place] ^= 1 << bit
            turned = page.cell(at, bytes(head[: page.usable]))
            head[place] ^= 1 << bit
            if turned is not None and turned.end <= end and (value := worth(turned)) > most:
                best, most = turned, value
    return best, best is not None


def _scan(page: _Page, at: int, end: int) -> int | None:
    """Return where the next cell begins that is followed by another, or by the end of the gap."""
    for place in range(at, end - _LEAST_CELL + 1):
        found = page.cell(place)
        if found is None or found.end > end or page.likely(found) < _LIKELY:
            continue
        if end - found.end <= _FRAGMENT or page.cell(found.end) is not None:
            return place
    return None


def _drop_overlaps(placed: dict[int, Cell], failed: list[int]) -> None:
    """Take back cells that lie across each other: of two pointers to one place only one can be right."""
    before: int | None = None
    for index in sorted(placed, key=lambda item: (placed[item].start, placed[item].end)):
        if before is not None and placed[index].start < placed[before].end:
            worse = index if placed[index].end - placed[index].start <= 2 * _LEAST_CELL else before
            failed.append(worse)
            del placed[worse]
            before = index if worse == before else before
        else:
            before = index


def _freed(data: bytes, base: int, usable: int) -> tuple[list[tuple[int, int]], int]:
    """Return the freed blocks of a page and how many bytes of fragments its header counts."""
    blocks = []
    at, last = _number(data, base + 1), 0
    while last < at <= usable - _LEAST_CELL:
        following, length = _number(data, at), _number(data, at + 2)
        if not _LEAST_CELL <= length <= usable - at:
            break
        blocks.append((at, at + length))
        last, at = at, following
    return blocks, data[base + 7]


def _gaps(low: int, high: int, filled: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found = []
    at = low
    for start, end in sorted(filled):
        if start > at:
            found.append((at, start))
        at = max(at, end)
    if at < high:
        found.append((at, high))
    return found


def _in_order(leaf: Leaf, page: _Page, order: dict[int, int]) -> Leaf:
    """Put rows that are out of order back by the one bit that was turned in their numbers, where there is one.

    `order` is where in the page's array of pointers each cell's start stands; rows come in the order of it.
    """
    if page.kind != TABLE_LEAF or not leaf.cells:
        return leaf
    pointed = sorted((cell for cell in leaf.cells if cell.start in order), key=lambda cell: order[cell.start])
    rowids = [cell.rowid or 0 for cell in pointed]
    # a single row beyond the bounds is the row's fault; several are the fault of the bounds
    within = page.within if sum(not inside(each, page.within) for each in rowids) <= 1 else EVERYWHERE
    sound = _longest_rising([each if inside(each, within) else None for each in rowids])
    made = {rowids[index]: pointed[index] for index in sorted(sound)}
    for index in (index for index in range(len(pointed)) if index not in sound):
        low = max((rowids[one] for one in sound if one < index), default=within[0])
        high = min((rowids[one] - 1 for one in sound if one > index), default=within[1])
        turned = [
            each for bit in range(63) if inside(each := rowids[index] ^ 1 << bit, (low, high)) and each not in made
        ]
        if len(turned) == 1 and (low is not None or high is not None):
            made[turned[0]] = replace(pointed[index], rowid=turned[0])
            leaf.mended += 1
        else:
            made.setdefault(rowids[index], pointed[index])
    for cell in leaf.cells:
        if cell.start not in order:
            made.setdefault(cell.rowid or 0, cell)
    leaf.cells = [made[rowid] for rowid in sorted(made)]
    return leaf


def _longest_rising(numbers: list[int | None]) -> set[int]:
    """Return the places of the longest rising row of numbers."""
    ends: list[int] = []
    places: list[int] = []
    before: list[int | None] = [None] * len(numbers)
    for index, number in enumerate(numbers):
        if number is None:
            continue
        at = bisect_left(ends, number)
        before[index] = places[at - 1] if at else None
        if at == len(ends):
            ends.append(number)
            places.append(index)
        else:
            ends[at], places[at] = number, index
    found: set[int] = set()
    place = places[-1] if places else None
    while place is not None:
        found.add(place)
        place = before[place]
    return found


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
