"""Salvage: every row that can be read out of a damaged file, in a new file, with what was lost said table by table."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from irkit.bundle.staging import own_folder, remove_own
from irkit.collect.contract import Refused
from irkit.sqlite import durable
from irkit.sqlite.backup import OWN
from irkit.sqlite.check import Checked, Progress, check
from irkit.sqlite.nameless import SQLITES, name_for
from irkit.sqlite.readonly import find
from irkit.sqlite.salvage import image as images
from irkit.sqlite.salvage import others, schema
from irkit.sqlite.salvage import rows as found_rows
from irkit.sqlite.salvage.cells import INDEX_LEAF, TABLE_LEAF
from irkit.sqlite.salvage.image import Image
from irkit.sqlite.salvage.leaf import inside, read_leaf
from irkit.sqlite.salvage.rebuild import Rebuilt
from irkit.sqlite.salvage.rows import Recovered, Unit
from irkit.sqlite.salvage.schema import Entry
from irkit.sqlite.salvage.shapes import Shape, plain_shape, shapes_of
from irkit.sqlite.salvage.tree import Place, Tree, free_pages, walk
from irkit.text.phrase import count, listing

_SEQUENCE = "sqlite_sequence"
_SHOWN_PAGES = 12


@dataclass(frozen=True, slots=True)
class TableSalvage:
    """What came back of a table: `rows` in all, of which `mended` had a bit turned back and `cut` lost their end.

    `adopted_pages` were found though nothing led to them, `lost_pages` could not be read (as a whole, or in part);
    `known_lost` counts the rows that an index still names and nothing else has, None where no index tells.
    """

    name: str
    rows: int
    mended: int = 0
    cut: int = 0
    from_others: int = 0
    aside: int = 0
    adopted_pages: tuple[int, ...] = ()
    lost_pages: tuple[int, ...] = ()
    known_lost: int | None = None
    unplaced_holes: int = 0

    @property
    def whole(self) -> bool:
        return not (self.cut or self.aside or self.lost_pages or self.known_lost or self.unplaced_holes)

    @property
    def sentence(self) -> str:
        """How much came back, in words."""
        parts = [f"{self.name}: {count(self.rows, 'row')}"]
        told = (
            (self.mended, "mended by turning one bit back"),
            (self.from_others, "rebuilt from its indexes or by SQLite"),
            (self.cut, "without their end, which lay on a lost page"),
            (self.aside, "put into lost_and_found, since the table refuses them"),
            (self.known_lost or 0, "lost, by what its indexes say"),
        )
        parts += [f"{number} {what}" for number, what in told if number]
        if self.lost_pages:
            shown = listing(map(str, self.lost_pages[:_SHOWN_PAGES]))
            parts.append(f"page{'s' if len(self.lost_pages) > 1 else ''} {shown} lost")
        if self.unplaced_holes:
            parts.append("and pages whose number is not known")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Salvage:
    """A new database out of a damaged one, what its own checks say, and what is to be known about it.

    `nameless` are the tables whose names are lost; `usable` is False where one of them is a service's own by all that
    is known, so that its application will miss it.
    """

    source: Path
    path: Path
    tables: tuple[TableSalvage, ...]
    checked: Checked
    notes: tuple[str, ...]
    nameless: tuple[str, ...] = ()
    usable: bool = True

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.tables)

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        damaged = [one.name for one in self.tables if not one.whole]
        lost = f"something is missing of {listing(damaged)}" if damaged else "nothing is known to be missing"
        said = f"{count(self.rows, 'row')} of {count(len(self.tables), 'table')} came back into {self.path}; {lost}"
        if self.usable:
            return said
        called = "it" if len(self.nameless) == 1 else "them"
        return f"{said}; no application finds {listing(self.nameless)}, since what the service calls {called} is lost"


@dataclass(slots=True)
class _Work:
    """What is known while a file is taken apart."""

    image: Image
    entries: list[Entry] = field(default_factory=list)
    schema_whole: bool = True
    schema_known: bool = True
    shapes: dict[str, Shape] = field(default_factory=dict)
    tables: dict[str, Recovered] = field(default_factory=dict)
    indexes: dict[str, list[others.Index]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    free: set[int] = field(default_factory=set)
    free_sound: bool = True
    left: list[Unit] = field(default_factory=list)
    plain: dict[str, Shape] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def salvage(
    source: str | Path,
    destination: Path,
    *,
    schema_from: Path | None = None,
    if_lost: Callable[[], Path | None] = lambda: None,
    progress: Progress = lambda *_: None,
) -> Salvage:
    """Bring the rows of a damaged database back into a new file at `destination`; the damaged one is only read.

    `schema_from` is an older backup, or a file of SQL, that names the tables where the file no longer does; `if_lost`
    is asked for one where entries of the schema are lost and none was given.

    Raises:
        Unreachable: there is no such file.
        Refused: it is empty, cannot be read, nothing of a database is in it, or the destination is taken or full.
    """
    file = find(str(source))
    if not file.size_bytes:
        raise Refused(f"{file.path} is empty (zero bytes): there is nothing to be salvaged", hint="restore a backup")
    remove_own(destination.parent, OWN)
    if destination.exists() or destination.is_symlink():
        raise Refused(f"{destination} is there already, and nothing is overwritten", hint="name another file")
    durable.require_space(destination.parent, 2 * (file.size_bytes + (file.wal_size_bytes or 0)))
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(destination.parent, OWN) as own, images.opened(file.path) as image:
            work = _survey(image, schema_from, if_lost, progress)
            tables = _written(work, file.path, own.path / "copy.db", progress)
            durable.place_new(own.path / "copy.db", destination)
    except FileExistsError:
        raise Refused(f"{destination} is there already, and nothing is overwritten", hint="name another file") from None
    except (OSError, sqlite3.OperationalError) as error:
        raise Refused(
            f"{file.path} could not be salvaged: {error}", hint="check the disks; nothing was changed"
        ) from None
    nameless = tuple(one.name for one in tables if one.name in work.plain)
    # beside a schema that is known in full, pages that belong to none were a table's that is there no more
    usable = not nameless or (work.schema_known and len(nameless) < len(tables))
    checked, notes = check(destination, progress), (*image.notes, *work.notes)
    return Salvage(file.path, destination, tables, checked, notes, nameless, usable)


def _survey(image: Image, schema_from: Path | None, if_lost: Callable[[], Path | None], progress: Progress) -> _Work:
    """Find out which pages belong to what."""
    work = _Work(image)
    work.free, work.free_sound = free_pages(image)
    if not work.free_sound:
        work.notes.append("the list of free pages is damaged: what is on free pages is told by where rows are missing")
    # a damaged list may name pages in use: what the trees lead to is in use
    listed = work.free if work.free_sound else set()
    work.entries, work.schema_whole = schema.read(image, work.taken, listed)
    work.schema_known = work.schema_whole
    if not work.schema_whole:
        work.notes.append(f"the schema is damaged: {len(work.entries)} of its entries could be read")
        if schema_from is None and (schema_from := if_lost()):
            work.notes.append(f"what is lost of it is taken from {schema_from}")
    if schema_from is not None:
        work.schema_known = True
        _complete(work, schema.from_elsewhere(schema_from))
    progress("pages", 0.1)
    tables = [one for one in work.entries if one.kind == "table" and not one.virtual]
    work.shapes = shapes_of([(one.name, one.sql) for one in tables])
    roots = [(work.shapes.get(one.name) or _unmade(one, image), one.root) for one in tables]
    work.tables = found_rows.claim(image, roots, work.taken)
    work.indexes = others.claim_indexes(image, work.entries, work.shapes, work.taken)
    work.free -= work.taken
    found_rows.learn(image, work.tables.values())
    progress("pages", 0.3)
    gaps = not work.schema_whole or any(one.tree.holes for one in work.tables.values())
    if gaps:
        free = work.free if work.free_sound else set()
        work.left = found_rows.adopt(image, work.tables, work.taken, free)
    if not work.entries and not work.left:
        raise Refused("nothing of a SQLite database is left in the file", hint="restore a backup")
    _name_the_rest(work)
    return work


def _complete(work: _Work, entries: Iterable[Entry]) -> None:
    """Add what the damaged schema lacks; a root that leads nowhere, or to rows that do not fit, is a hole."""
    known = {(one.kind, one.name) for one in work.entries}
    for entry in entries:
        if (entry.kind, entry.name) not in known:
            work.entries.append(entry)
            work.notes.append(f"{entry.kind} {entry.name} is known from the other schema alone")


def _unmade(entry: Entry, image: Image) -> Shape:
    """Return a shape for a table whose words cannot be read, such as SQLite's own, by the rows it has."""
    if entry.name.lower() == _SEQUENCE:
        return plain_shape(entry.name, [2], numbered=False)
    tree = walk(image, entry.root, None, TABLE_LEAF, set())
    lengths, empty = _looked(image, tree.leaves)
    return plain_shape(entry.name, lengths, numbered=empty)


def _looked(image: Image, leaves: Iterable[Place]) -> tuple[list[int], bool]:
    types = [
        cell.types
        for place in list(leaves)[:20]
        for cell in read_leaf(image.page(place.page), place.page, image.usable, TABLE_LEAF, None).cells
    ]
    return [len(one) for one in types], bool(types) and all(one[0] == 0 for one in types)


def _name_the_rest(work: _Work) -> None:
    """Make tables of pages that belong to none: only where something is missing that they can be of."""
    if not work.left or (work.schema_whole and not work.free_sound):
        return
    groups: dict[tuple[int, int], list[Unit]] = {}
    for unit in work.left:
        if unit.kind != INDEX_LEAF:
            groups.setdefault(found_rows.signature(unit), []).append(unit)
    for number, units in enumerate(groups.values(), 1):
        types = [one for unit in units for one in unit.types]
        numbered = all(one[0] == 0 for one in types)
        shape = plain_shape(name_for(number), [len(one) for one in types], numbered=numbered)
        leaves = [place for unit in units for place in unit.leaves]
        table = Recovered(shape, 0, Tree(leaves=leaves), [page for unit in units for page in unit.pages])
        work.tables[shape.table] = table
        work.plain[shape.table] = shape


def _written(work: _Work, source: Path, partial: Path, progress: Progress) -> tuple[TableSalvage, ...]:
    """Write all of it and return what came back of each table."""
    made = Rebuilt.empty(partial, work.image)
    words = {one.name: one for one in work.entries if one.kind == "table"}
    numbers: dict[str, int] = {}
    try:
        total = max(1, sum(len(one.tree.pages) for one in work.tables.values()))
        read = 0

        def told() -> None:
            nonlocal read
            read += 1
            progress("rows", min(1.0, read / total))

        for name, table in work.tables.items():
            if SQLITES.match(name):
                continue
            if name not in work.shapes or not made.make(words[name]):
                made.make_plain(table.shape)
            numbers[name] = made.add(table.shape, found_rows.rows(work.image, table, work.taken, told))
        found = [_rest(work, made, work.tables[name], number, source) for name, number in numbers.items()]
        _finish(work, made)
        work.notes += made.notes
    finally:
        made.close()
    return tuple(sorted(found, key=lambda one: one.name))


def _rest(work: _Work, made: Rebuilt, table: Recovered, number: int, source: Path) -> TableSalvage:
    """Write what is still missing of a table, from broken chains, indexes and SQLite; say what came back."""
    shape = table.shape
    number += made.add(shape, found_rows.broken_rows(work.image, table, work.taken, work.free))
    more, known_lost = 0, None
    ranges = found_rows.lost_ranges(table)
    if ranges and shape.with_rowid and shape.table in work.shapes:
        there = made.rowids(shape)
        more = made.add(shape, others.read_by_sqlite(source, shape, ranges, there))
        indexes = work.indexes.get(shape.table, [])

        def wanted(rowid: int) -> bool:
            return rowid not in there and any(inside(rowid, one) for one in ranges)

        known = others.told_by_indexes(work.image, indexes, wanted, work.taken)
        whole = list(others.whole_rows(known, shape))
        more += made.add(shape, whole)
        known_lost = len(known) - len(whole) if indexes else None
    lost, unplaced = found_rows.lost_pages(table, work.taken)
    return TableSalvage(
        shape.table,
        number + more,
        table.mended,
        table.cut,
        more,
        made.aside.get(shape.table, 0),
        tuple(dict.fromkeys(table.found_pages)),
        tuple(lost),
        known_lost,
        unplaced,
    )


def _finish(work: _Work, made: Rebuilt) -> None:
    """Make what stands on the rows: indexes, the next numbers, triggers, views, virtual tables, statistics."""
    sequence = work.tables.get(_SEQUENCE)
    if sequence is not None:
        rows = [one.values for one in found_rows.rows(work.image, sequence, work.taken)]
        named = {one[0]: one[1] for one in rows if len(one) > 1}
        made.set_sequences((name, at) for name, at in named.items() if isinstance(name, str) and isinstance(at, int))
    for kind in ("index", "view", "trigger"):
        for entry in work.entries:
            if entry.kind == kind and entry.sql:
                made.make(entry)
    made.connection.execute("COMMIT")
    if any(one.name.lower() == "sqlite_stat1" for one in work.entries):
        made.connection.execute("ANALYZE")
    for entry in work.entries:
        if entry.virtual:
            made.make(entry)
