"""Which pages belong to which table: from the roots down, and where a way is broken, from the pages up.

A broken way leaves a hole: the numbers of the rows that must lie behind it are known from the entries beside it. A page
that nobody leads to and that is not free lies behind one of the holes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from irkit.sqlite.salvage.cells import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    KINDS,
    TABLE_INTERIOR,
    TABLE_LEAF,
    parse,
    signed,
    varint,
)
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.leaf import EVERYWHERE, Range, inside
from irkit.sqlite.salvage.shapes import Shape

_LOOKED = 12
_HALF = 0.5
_LARGEST_PAGE = 65536
_INTERIOR_OF = {TABLE_LEAF: TABLE_INTERIOR, INDEX_LEAF: INDEX_INTERIOR}


@dataclass(frozen=True, slots=True)
class Place:
    """A page and the bounds of the numbers of the rows that belong there."""

    page: int
    within: Range = EVERYWHERE


@dataclass(slots=True)
class Tree:
    """The pages of one table or index; a hole names a page that should hold rows and does not (0: not known which)."""

    leaves: list[Place] = field(default_factory=list)
    interiors: list[int] = field(default_factory=list)
    holes: list[Place] = field(default_factory=list)

    @property
    def pages(self) -> list[int]:
        return [*self.interiors, *(one.page for one in self.leaves)]


def free_pages(image: Image) -> tuple[set[int], bool]:
    """Return the pages of the freelist, and whether it could be followed to its end; section 1.5 of the format."""
    free: set[int] = set()
    if not image.trusted:
        return free, False
    trunk = image.free_head
    while trunk:
        if not image.holds(trunk) or trunk in free or trunk == 1:
            return free, False
        page = image.page(trunk)
        count = int.from_bytes(page[4:8], "big")
        numbers = [
            int.from_bytes(page[8 + 4 * i : 12 + 4 * i], "big") for i in range(min(count, image.usable // 4 - 2))
        ]
        if len(numbers) != count or not all(1 < one <= image.count and one not in free for one in numbers):
            return free, False
        free.update([trunk, *numbers])
        trunk = int.from_bytes(page[:4], "big")
    return free, len(free) == image.free_count


def walk(image: Image, root: int, shape: Shape | None, leaf: int, taken: set[int]) -> Tree:
    """Return the tree under a root; `taken` are pages that others own, and is added to.

    `leaf` is the kind of its leaves; `shape` the table's, None for an index.
    """
    tree = Tree()
    _descend(image, Place(root), shape, leaf, taken, tree)
    return tree


def _descend(  # noqa: PLR0913, PLR0917 (the walk's state)
    image: Image, place: Place, shape: Shape | None, leaf: int, taken: set[int], tree: Tree
) -> None:
    waiting = [place]
    while waiting:
        one = waiting.pop()
        kind = None if one.page in taken or not image.holds(one.page) else kind_of(image, one, shape, leaf)
        if kind is None:
            tree.holes.append(one)
            continue
        taken.add(one.page)
        if kind == leaf:
            tree.leaves.append(one)
        else:
            tree.interiors.append(one.page)
            waiting.extend(reversed(children(image, one, kind)))


def kind_of(image: Image, place: Place, shape: Shape | None, leaf: int) -> int | None:
    """Return whether a page is a leaf or an interior page of a tree, None where it is neither: its bytes decide.

    Its first byte says which, but may be what was damaged.
    """
    data = image.page(place.page)
    base = 100 if place.page == 1 else 0
    told, interior = data[base], _INTERIOR_OF[leaf]
    # another kind of tree's page, by three bits at least, is no page of this one that was damaged
    if not any(data[base : base + 12]) or (told in KINDS and told not in (leaf, interior)):
        return None
    likeliest = [told] if told in (leaf, interior) else []
    for kind in [*likeliest, *(one for one in (leaf, interior) if one not in likeliest)]:
        if kind == leaf and _is_leaf(image, data, base, place, shape, leaf, sure=told == leaf):
            return leaf
        if kind == interior and _is_interior(image, data, base, kind):
            return interior
    # one that is whole and holds other rows is another table's; one that is not may still hold some of ours
    ours = told == leaf or (told ^ leaf).bit_count() == 1
    return leaf if ours and not _is_leaf(image, data, base, Place(place.page), None, leaf, sure=True) else None


def holds_rows(image: Image, page: int, shape: Shape) -> bool:
    """Say whether a page is a leaf of which most rows can be this table's."""
    base = 100 if page == 1 else 0
    return _is_leaf(image, image.page(page), base, Place(page), shape, shape.leaf, sure=True)


def _is_leaf(  # noqa: PLR0913, PLR0917 (a page, and all that is known of it)
    image: Image, data: bytes, base: int, place: Place, shape: Shape | None, leaf: int, *, sure: bool
) -> bool:
    count = int.from_bytes(data[base + 3 : base + 5], "big")
    if not count:
        content = int.from_bytes(data[base + 5 : base + 7], "big") or _LARGEST_PAGE
        return sure and content == image.usable
    if base + 8 + 2 * count > image.usable:
        return False
    step = max(1, count // _LOOKED)
    looked = fitting = within = 0
    for index in range(0, count, step):
        at = int.from_bytes(data[base + 8 + 2 * index : base + 10 + 2 * index], "big")
        cell = parse(data, at, image.usable, leaf) if base + 8 + 2 * count <= at < image.usable else None
        looked += 1
        if cell is not None and (shape is None or shape.fits(cell.types)):
            fitting += 1
            within += cell.rowid is None or inside(cell.rowid, place.within)
    # rows of quite other numbers are those of another page: the way here is what was damaged
    return fitting >= _HALF * looked and within > 0


def _is_interior(image: Image, data: bytes, base: int, kind: int) -> bool:
    count = int.from_bytes(data[base + 3 : base + 5], "big")
    if base + 12 + 2 * count > image.usable:
        return False
    good = int(_child(image, data, base + 8) is not None)
    for index in range(count):
        at = int.from_bytes(data[base + 12 + 2 * index : base + 14 + 2 * index], "big")
        if at + 4 > image.usable or at < base + 12 + 2 * count or _child(image, data, at) is None:
            continue
        good += kind == TABLE_INTERIOR or parse(data, at, image.usable, kind) is not None
    return good > _HALF * (count + 1)


def children(image: Image, place: Place, kind: int) -> list[Place]:
    """Return the pages below an interior page, each with its rows' bounds; 0 for one whose number is lost."""
    data = image.page(place.page)
    base = 100 if place.page == 1 else 0
    count = int.from_bytes(data[base + 3 : base + 5], "big")
    found: list[tuple[int, int | None]] = []
    for index in range(count):
        at = int.from_bytes(data[base + 12 + 2 * index : base + 14 + 2 * index], "big")
        child = _child(image, data, at) if base + 12 <= at <= image.usable - 4 else None
        key = _key(data, at + 4, image.usable) if kind == TABLE_INTERIOR else None
        found.append((child or 0, key))
    found.append((_child(image, data, base + 8) or 0, None))
    if kind != TABLE_INTERIOR:
        return [Place(child) for child, _ in found]
    return _bounded(found, place.within)


def _bounded(found: list[tuple[int, int | None]], within: Range) -> list[Place]:
    keys = [key if key is not None and inside(key, within) else None for _, key in found]
    highest: int | None = within[0]
    lowest_after: list[int | None] = [within[1]] * len(keys)
    following = within[1]
    for index in reversed(range(len(keys))):
        key = keys[index]
        if key is not None and following is not None and key > following:
            keys[index] = key = None
        following = key if key is not None else following
        lowest_after[index] = following
    places = []
    for (child, _), high in zip(found, lowest_after, strict=True):
        if highest is not None and high is not None and high < highest:
            places.append(Place(child, within))
            continue
        places.append(Place(child, (highest, high)))
        highest = high if high is not None else highest
    return places


def _child(image: Image, data: bytes, at: int) -> int | None:
    number = int.from_bytes(data[at : at + 4], "big")
    return number if 1 < number <= image.count else None


def _key(data: bytes, at: int, usable: int) -> int | None:
    if at >= usable:
        return None
    try:
        return signed(varint(data, at)[0])
    except IndexError:
        return None


def orphans(image: Image, taken: set[int], free: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the pages that say they are b-tree pages and that nobody owns, with their kind."""
    for number in range(2, image.count + 1):
        if number not in taken and number not in free:
            kind = image.page(number)[0]
            if kind in KINDS:
                yield number, kind
