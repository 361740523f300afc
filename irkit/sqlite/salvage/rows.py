"""The rows of each table: its pages read, its holes filled with pages that fit, its records put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from irkit.sqlite.salvage.cells import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    TABLE_INTERIOR,
    TABLE_LEAF,
    Cell,
    RawText,
    Value,
    values,
)
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.leaf import Leaf, Range, inside, read_leaf
from irkit.sqlite.salvage.shapes import Shape
from irkit.sqlite.salvage.tree import Place, Tree, children, kind_of, orphans, walk

_FITTING = 0.6


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was found: `values` in the table's stored order; `whole` is False where its end is lost."""

    page: int
    rowid: int | None
    values: tuple[Value | RawText, ...]
    whole: bool = True


@dataclass(slots=True)
class Recovered:
    """What a table's pages gave, counted while its rows are read."""

    shape: Shape
    root: int
    tree: Tree
    found_pages: list[int] = field(default_factory=list)
    filled: set[Place] = field(default_factory=set)
    lost: list[Place] = field(default_factory=list)
    broken: list[tuple[Place, Cell]] = field(default_factory=list)
    mended: int = 0
    cut: int = 0
    lost_bytes: int = 0


@dataclass(slots=True)
class Unit:
    """Pages that belong together and to nobody: a page without an owner, with all that lies below it."""

    leaves: list[Place]
    pages: list[int]
    kind: int
    types: list[tuple[int, ...]]
    low: int | None
    high: int | None


def claim(image: Image, shapes: Iterable[tuple[Shape, int]], taken: set[int]) -> dict[str, Recovered]:
    """Walk each table's tree from its root (0 or less: not known) and return what belongs to it."""
    found = {}
    for shape, root in shapes:
        tree = walk(image, root, shape, shape.leaf, taken) if root > 0 else Tree(holes=[Place(0)])
        found[shape.table] = Recovered(shape, root, tree)
    return found


def learn(image: Image, tables: Iterable[Recovered]) -> None:
    """Let each table's shape see rows of its whole pages, so that damaged ones are judged by them."""
    for table in tables:
        places = table.tree.leaves
        for place in places[:: max(1, len(places) // 50)]:
            leaf = _read(image, place, table.shape)
            if leaf.whole:
                for cell in leaf.cells:
                    table.shape.learn(cell.types)


def adopt(image: Image, tables: dict[str, Recovered], taken: set[int], free: set[int]) -> list[Unit]:
    """Give pages that nobody leads to to the tables whose holes they fit; return those that fit none.

    A page behind a hole that can still be read where it stands is taken first: only its beginning was damaged.
    """
    for table in tables.values():
        for hole in list(table.tree.holes):
            if hole.page > 1 and hole.page not in taken and hole.page not in free and image.holds(hole.page):
                leaf = _read(image, hole, table.shape)
                likeness = sum(table.shape.likeness(cell.types) for cell in leaf.cells)
                if leaf.cells and likeness > _FITTING * len(leaf.cells):
                    taken.add(hole.page)
                    table.tree.holes.remove(hole)
                    table.tree.leaves.append(hole)
    left = []
    for unit in sorted(units(image, taken, free), key=lambda one: -len(one.pages)):
        chosen = _best(unit, tables.values())
        if chosen is None:
            left.append(unit)
            continue
        table, hole = chosen
        table.filled.add(hole)
        table.tree.leaves.extend(unit.leaves)
        owned = {place.page for place in unit.leaves}
        table.tree.interiors.extend(page for page in unit.pages if page not in owned)
        table.found_pages.extend(unit.pages)
        taken.update(unit.pages)
    return left


def units(image: Image, taken: set[int], free: set[int]) -> list[Unit]:
    """Return the pages without an owner in groups: each with what it leads to."""
    kinds = dict(orphans(image, taken, free))
    interiors = [page for page, kind in kinds.items() if kind in (TABLE_INTERIOR, INDEX_INTERIOR)]
    below = {one.page for page in interiors for one in children(image, Place(page), kinds[page])}
    mine = set(taken)
    found = []
    for page in [*(page for page in kinds if page not in below), *kinds]:
        leaf = TABLE_LEAF if kinds[page] in (TABLE_LEAF, TABLE_INTERIOR) else INDEX_LEAF
        if page in mine or kind_of(image, Place(page), None, leaf) is None:
            continue
        tree = walk(image, page, None, leaf, mine)
        if unit := _unit(image, tree, leaf):
            found.append(unit)
    return found


def _unit(image: Image, tree: Tree, kind: int) -> Unit | None:
    types: list[tuple[int, ...]] = []
    low = high = None
    for place in tree.leaves:
        cells = read_leaf(image.page(place.page), place.page, image.usable, kind, None).cells
        types += [cell.types for cell in cells[:20] if cell.types]
        rowids = [cell.rowid for cell in cells if cell.rowid is not None]
        if rowids:
            low = min(rowids) if low is None else min(low, *rowids)
            high = max(rowids) if high is None else max(high, *rowids)
    return Unit(tree.leaves, tree.pages, kind, types, low, high) if types else None


def _best(unit: Unit, tables: Iterable[Recovered]) -> tuple[Recovered, Place] | None:
    """Return the table, with its hole, that the unit's rows fit best: by their numbers, then by what they hold."""
    best: tuple[Recovered, Place] | None = None
    most = 0.0
    for table in tables:
        if table.shape.leaf != unit.kind or not table.tree.holes:
            continue
        like = sum(map(table.shape.likeness, unit.types)) / len(unit.types)
        if like < _FITTING:
            continue
        for hole in table.tree.holes:
            if not all(end is None or inside(end, hole.within) for end in (unit.low, unit.high)):
                continue
            bounded = sum(0.2 for bound in hole.within if bound is not None)
            if like + bounded > most:
                best, most = (table, hole), like + bounded
    return best


def rows(image: Image, table: Recovered, taken: set[int], told: Callable[[], None] = lambda: None) -> Iterator[Row]:
    """Yield a table's rows, those of whole pages first; what is wrong is counted in `table`.

    Rows whose overflow chain is broken wait in `table.broken` until all chains that are whole are known.
    """
    later = []
    for place, kind in _places(table):
        leaf = read_leaf(image.page(place.page), place.page, image.usable, kind, table.shape, place.within)
        told()
        if leaf.whole:
            yield from _assembled(image, place, leaf, table, taken)
        else:
            later.append((place, kind))
    for place, kind in later:
        # again, by what whole pages have taught of the table's rows
        leaf = read_leaf(image.page(place.page), place.page, image.usable, kind, table.shape, place.within)
        table.mended += leaf.mended
        table.lost_bytes += leaf.lost_bytes
        if leaf.lost_bytes:
            table.lost.append(place)
        yield from _assembled(image, place, leaf, table, taken)


def broken_rows(image: Image, table: Recovered, taken: set[int], free: set[int]) -> Iterator[Row]:
    """Yield the rows that waited, with as much of them as can be found."""
    if not table.broken:
        return
    loose = [
        page for page in range(2, image.count + 1) if page not in taken and page not in free and not image.page(page)[0]
    ]
    for place, cell in table.broken:
        more, pages = image.mended_chain(cell.overflow, cell.size - len(cell.local), taken, loose)
        taken.update(pages)
        payload = cell.local + more
        whole = len(payload) == cell.size
        table.cut += not whole
        yield Row(place.page, cell.rowid, values(payload, cell.types, cell.body, image.encoding), whole)


def _places(table: Recovered) -> Iterator[tuple[Place, int]]:
    yield from ((place, table.shape.leaf) for place in table.tree.leaves)
    if not table.shape.with_rowid:
        # in an index, entries lie in the pages above as well
        yield from ((Place(page), INDEX_INTERIOR) for page in table.tree.interiors)


def _read(image: Image, place: Place, shape: Shape) -> Leaf:
    return read_leaf(image.page(place.page), place.page, image.usable, shape.leaf, shape, place.within)


def _assembled(image: Image, place: Place, leaf: Leaf, table: Recovered, taken: set[int]) -> Iterator[Row]:
    for cell in leaf.cells:
        payload = cell.local
        if cell.size > len(payload):
            more, pages = image.chain(cell.overflow, cell.size - len(payload), taken)
            payload += more
            if len(payload) < cell.size:
                table.broken.append((place, cell))
                continue
            taken.update(pages)
        yield Row(place.page, cell.rowid, values(payload, cell.types, cell.body, image.encoding))


def lost_pages(table: Recovered, taken: set[int]) -> tuple[list[int], int]:
    """Return the pages that should have held rows and do not, and how many more there are whose number is not known."""
    holes = [one for one in table.tree.holes if one not in table.filled]
    known = {one.page for one in holes if one.page and one.page not in taken} | {one.page for one in table.lost}
    return sorted(known), sum(not one.page or one.page in taken for one in holes)


def lost_ranges(table: Recovered) -> list[Range]:
    """Return the bounds of the numbers of rows that may be missing."""
    return [one.within for one in (*table.tree.holes, *table.lost)]


def signature(unit: Unit) -> tuple[int, int]:
    """Return what tells pages of one unknown table from another's: their kind and how many columns their rows have."""
    return unit.kind, Counter(map(len, unit.types)).most_common(1)[0][0]


def cell_rows(image: Image, unit: Unit, taken: set[int]) -> Iterator[Row]:
    """Yield the rows of pages whose table is not known."""
    for place in unit.leaves:
        cells: list[Cell] = read_leaf(image.page(place.page), place.page, image.usable, unit.kind, None).cells
        for cell in cells:
            payload = cell.local
            if cell.size > len(payload):
                more, pages = image.chain(cell.overflow, cell.size - len(payload), taken)
                taken.update(pages)
                payload += more
            row = values(payload, cell.types, cell.body, image.encoding)
            yield Row(place.page, cell.rowid, row, len(payload) == cell.size)
