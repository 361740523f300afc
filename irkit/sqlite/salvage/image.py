"""A damaged database as numbered pages: the file, with what its log or its rollback journal says of them.

Nothing of it is taken on trust: the page size is checked against the file itself, and found out where it cannot be
right.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from irkit.sqlite import wal as sqlite_wal
from irkit.sqlite.readonly import HEADER_BYTES, MAGIC
from irkit.sqlite.salvage import cells

_SIZES = tuple(1 << power for power in range(9, 17))
_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_SAMPLE = 400
_NEARLY = 0.7
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_FRACTIONS = bytes((64, 32, 32))
_UNCOUNTED = 0xFFFFFFFF
_LEAST_USABLE = 480


@dataclass(slots=True)
class Image:
    """The pages of a file, the first being 1; `usable` bytes of each hold content, `notes` says what was odd."""

    data: bytes | mmap.mmap
    page_size: int
    usable: int
    count: int
    encoding: str
    overlay: dict[int, bytes]
    free_head: int
    free_count: int
    trusted: bool
    notes: list[str] = field(default_factory=list)

    def page(self, number: int) -> bytes:
        """Return a page's bytes, the newest there are; zeros beyond the file's end."""
        found = self.overlay.get(number)
        if found is None:
            found = bytes(self.data[(number - 1) * self.page_size : number * self.page_size])
        return found if len(found) == self.page_size else found.ljust(self.page_size, b"\0")

    def holds(self, number: int) -> bool:
        return 1 <= number <= self.count

    def chain(self, first: int, needed: int, taken: set[int]) -> tuple[bytes, list[int]]:
        """Return up to `needed` bytes of an overflow chain and its pages, as far as it leads."""
        parts: list[bytes] = []
        pages: list[int] = []
        number = first
        while needed > 0 and 1 < number <= self.count and number not in taken and number not in pages:
            page = self.page(number)
            following = int.from_bytes(page[:4], "big")
            part = page[4 : min(self.usable, 4 + needed)]
            # a page in the middle names the next one, the last one names none: else it is no page of this chain
            if (following == 0) != (len(part) == needed):
                break
            parts.append(part)
            pages.append(number)
            needed -= len(part)
            number = following
        return b"".join(parts), pages

    def mended_chain(self, first: int, needed: int, taken: set[int], likely: Iterable[int]) -> tuple[bytes, list[int]]:
        """Follow a chain that is broken: once all others are known, so that `taken` holds their pages.

        The last page may name a page though none follows. Where a link leads nowhere, the page that it led to is the
        one, of those a bit of it away, else of the `likely` ones, from which the chain comes to its end.
        """
        data, pages = self.chain(first, needed, taken)
        number = int.from_bytes(self.page(pages[-1])[:4], "big") if pages else first
        left = needed - len(data)
        taken = taken | set(pages)
        if 0 < left <= self.usable - 4 and 1 < number <= self.count and number not in taken:
            return data + self.page(number)[4 : 4 + left], [*pages, number]
        for candidates in ([number ^ 1 << bit for bit in range(32)], likely):
            ends = {}
            for candidate in candidates:
                more, following = self.chain(candidate, left, taken)
                if left and len(more) == left:
                    ends[following[-1]] = (more, following)
            if len(ends) == 1:
                more, following = next(iter(ends.values()))
                return data + more, pages + following
        return data, pages


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """Read a file's pages without SQLite; the file is mapped, not changed, and may be of any size.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        image = of(data)
        _with_journal(image, path)
        _with_log(image, path)
        yield image


def of(data: bytes | mmap.mmap) -> Image:
    """Return the pages of a file's bytes."""
    head = bytes(data[:HEADER_BYTES]).ljust(HEADER_BYTES, b"\0")
    notes = []
    if not head.startswith(MAGIC):
        notes.append("the header's first 16 bytes are not SQLite's")
    told = int.from_bytes(head[16:18], "big")
    told = 65536 if told == 1 else told
    page_size = _page_size(data, told)
    if page_size != told:
        notes.append(f"the header's page size cannot be right; {page_size} bytes fit the pages that are there")
    reserved = head[20] if page_size - head[20] >= _LEAST_USABLE else 0
    usable = page_size - reserved
    if reserved and _fitting(data, page_size, page_size) > _fitting(data, page_size, usable):
        notes.append("the header's reserved bytes cannot be right; none are assumed")
        usable = page_size
    encoding = _ENCODINGS.get(int.from_bytes(head[56:60], "big"))
    if encoding is None:
        notes.append("the header names no known text encoding; UTF-8 is assumed")
    count = -(-len(data) // page_size)
    free_head, free_count = (int.from_bytes(head[at : at + 4], "big") for at in (32, 36))
    # SQLite's own words at the beginning, or what follows them is as little to be believed
    trusted = head.startswith(MAGIC) and page_size == told and head[21:24] == _FRACTIONS
    return Image(data, page_size, usable, count, encoding or "utf-8", {}, free_head, free_count, trusted, notes)


def _page_size(data: bytes | mmap.mmap, told: int) -> int:
    """Return the page size under which most pages begin as one does; the header's own where that fits as well."""
    possible = [size for size in _SIZES if size <= max(len(data), _SIZES[0])]
    scores = {size: _fitting(data, size, size) for size in possible}
    most = max(scores.values())
    if scores.get(told, 0.0) >= _NEARLY * most > 0:
        return told
    # where a page fits, so does each multiple of it that begins with one
    return next(size for size in possible if scores[size] >= _NEARLY * most)


def _fitting(data: bytes | mmap.mmap, page_size: int, usable: int) -> float:
    """Return the share of pages, of a sample, whose header and first cells are those of a b-tree page."""
    count = len(data) // page_size
    step = max(1, count // _SAMPLE)
    looked = fitting = 0
    for number in range(1, count, step):
        page = bytes(data[number * page_size : (number + 1) * page_size])
        looked += 1
        fitting += _begins_as_one(page, usable)
    return fitting / looked if looked else 0.0


def _begins_as_one(page: bytes, usable: int) -> bool:
    kind, number = page[0], int.from_bytes(page[3:5], "big")
    if kind not in cells.LEAVES or not number or 8 + 2 * number > usable:
        return False
    pointers = [int.from_bytes(page[8 + 2 * i : 10 + 2 * i], "big") for i in range(min(3, number))]
    found = [cells.parse(page, at, usable, kind) for at in pointers if at < usable]
    return bool(found) and all(found)


def _with_log(image: Image, path: Path) -> None:
    try:
        pages, size = sqlite_wal.committed_pages(path)
    except OSError as error:
        image.notes.append(f"the log beside it cannot be read: {error.strerror}")
        return
    if pages and len(next(iter(pages.values()))) != image.page_size:
        image.notes.append("the log beside it has pages of another size: it is left out")
        return
    image.overlay.update(pages)
    image.count = size or image.count
    if pages:
        image.notes.append(f"{len(pages)} pages were taken from the log beside it")
    if 1 in pages:
        head = pages[1]
        image.free_head, image.free_count = (int.from_bytes(head[at : at + 4], "big") for at in (32, 36))


def _with_journal(image: Image, path: Path) -> None:
    """Take what a rollback journal keeps of the pages before an unfinished transaction; section 3 of the format."""
    try:
        journal = path.with_name(path.name + "-journal").read_bytes()
    except OSError:
        return
    at = taken = 0
    # each part has a header of its own at the beginning of a sector
    while journal[at : at + 8] == _JOURNAL_MAGIC:
        count, nonce, pages, sector, page_size = (_word(journal, at + offset) for offset in range(8, 28, 4))
        if page_size != image.page_size or not sector:
            break
        image.count = pages if pages and not taken else image.count
        at += sector
        while count and at + page_size + 8 <= len(journal):
            number, page = _word(journal, at), journal[at + 4 : at + 4 + page_size]
            told = (nonce + sum(page[i] for i in range(page_size - 200, 0, -200))) & 0xFFFFFFFF
            if not number or told != _word(journal, at + 4 + page_size):
                break
            image.overlay.setdefault(number, page)
            taken += 1
            count -= count != _UNCOUNTED
            at += page_size + 8
        at = -(-at // sector) * sector
    if taken:
        image.notes.append(f"{taken} pages were taken from the rollback journal beside it")


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
