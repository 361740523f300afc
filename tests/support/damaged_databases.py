"""A few realistic databases, seeded ways to damage a copy, and what a plain SELECT still brings back of it."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from irkit.sqlite.salvage import image as images
from irkit.sqlite.salvage import schema
from irkit.sqlite.salvage.cells import INDEX_INTERIOR
from irkit.sqlite.salvage.leaf import read_leaf
from irkit.sqlite.salvage.rows import claim
from irkit.sqlite.salvage.shapes import shapes_of

_BLOCK = 512
Rows = dict[str, Counter[tuple[object, ...]]]
_WORDS = [
    "latency",
    "provider",
    "token",
    "stream",
    "retry",
    "vector",
    "shard",
    "quota",
    "replica",
    "cache",
    "socket",
    "invoice",
    "tenant",
    "model",
    "prompt",
]


def _text(rng: random.Random, low: int, high: int) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(low, high)))


def chat(path: Path, rng: random.Random) -> None:
    """Conversations and messages: an index, foreign keys, texts that overflow, deleted rows, free pages."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, created REAL NOT NULL);
            CREATE TABLE conversations (
                id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), title TEXT NOT NULL,
                pinned INTEGER
            );
            CREATE TABLE messages (
                id INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id INTEGER NOT NULL REFERENCES conversations (id),
                role TEXT NOT NULL CHECK (role IN ('user', 'assistant')), content TEXT NOT NULL, tokens INTEGER,
                cost REAL
            );
            CREATE INDEX messages_conversation ON messages (conversation_id, id);
            CREATE TABLE scratch (a TEXT);
            BEGIN;
        """)
        db.executemany(
            "INSERT INTO users VALUES (?, ?, ?, ?)",
            ((i, f"user{i}@example.org", _text(rng, 1, 2), 1.7e9 + rng.random() * 1e6) for i in range(1, 301)),
        )
        db.executemany(
            "INSERT INTO conversations VALUES (?, ?, ?, ?)",
            ((i, rng.randint(1, 300), _text(rng, 2, 8), rng.choice((0, 1, None))) for i in range(1, 1201)),
        )
        db.executemany(
            "INSERT INTO messages (conversation_id, role, content, tokens, cost) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    rng.randint(1, 1200),
                    rng.choice(("user", "assistant")),
                    _text(rng, 5, 60) if rng.random() > 0.01 else _text(rng, 700, 2000),
                    rng.choice((None, rng.randint(1, 4000))),
                    rng.random(),
                )
                for _ in range(9000)
            ),
        )
        db.executemany("INSERT INTO scratch VALUES (?)", ((_text(rng, 60, 120),) for _ in range(400)))
        db.execute("COMMIT")
        db.execute("DELETE FROM scratch WHERE rowid > 100")
        db.execute("DELETE FROM messages WHERE id % 11 = 0")
        db.execute("ANALYZE")


def shop(path: Path, rng: random.Random) -> None:
    """Tables without rowids, compound keys, blobs, a column added later, small pages."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            PRAGMA page_size = 1024;
            CREATE TABLE products (
                sku TEXT PRIMARY KEY, name TEXT NOT NULL, price NUMERIC NOT NULL, picture BLOB
            ) WITHOUT ROWID;
            CREATE TABLE orders (id INTEGER PRIMARY KEY, placed TEXT NOT NULL, total REAL NOT NULL, note TEXT);
            CREATE TABLE lines (
                order_id INTEGER NOT NULL, line INTEGER NOT NULL, sku TEXT NOT NULL, amount INTEGER NOT NULL,
                PRIMARY KEY (order_id, line)
            );
            CREATE INDEX lines_sku ON lines (sku);
            BEGIN;
        """)
        skus = [f"SKU-{i:05d}" for i in range(800)]
        db.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?)",
            ((s, _text(rng, 1, 4), rng.randint(1, 9999) / 100, rng.randbytes(rng.randint(0, 300))) for s in skus),
        )
        db.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            (
                (
                    i * 3,
                    f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T0{rng.randint(0, 9)}:00:00Z",
                    rng.random() * 99,
                    None,
                )
                for i in range(1, 3001)
            ),
        )
        db.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?)",
            ((i * 3, n, rng.choice(skus), rng.randint(1, 9)) for i in range(1, 3001) for n in range(rng.randint(1, 3))),
        )
        db.execute("COMMIT")
        db.execute("ALTER TABLE orders ADD COLUMN channel TEXT NOT NULL DEFAULT 'web'")
        db.executemany(
            "INSERT INTO orders VALUES (?, '2026-10-10T10:10:10Z', 5, ?, 'app')",
            ((i * 3, _text(rng, 3, 9)) for i in range(3001, 3501)),
        )


def events(path: Path, rng: random.Random) -> None:
    """An append-only log with JSON, in WAL mode, its rows numbered by SQLite alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            PRAGMA journal_mode = WAL;
            CREATE TABLE events (at TEXT NOT NULL, service TEXT NOT NULL, level TEXT, payload TEXT, duration_ms REAL);
            CREATE INDEX events_at ON events (at);
            CREATE TABLE counters (name TEXT NOT NULL UNIQUE, value INTEGER NOT NULL);
            BEGIN;
        """)
        db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            (
                (
                    f"2026-11-{1 + i // 500:02d}T{i % 24:02d}:{i % 60:02d}:00Z",
                    rng.choice(("api", "worker", "gateway")),
                    rng.choice(("INFO", "ERROR", None)),
                    '{"message": "' + _text(rng, 3, 25) + f'", "n": {i}' + "}",
                    rng.choice((rng.random() * 900, 0.0, 12.0)),
                )
                for i in range(10_000)
            ),
        )
        db.executemany(
            "INSERT INTO counters VALUES (?, ?)", ((f"counter.{i}", rng.randint(0, 10**9)) for i in range(500))
        )
        db.execute("COMMIT")


MAKERS: dict[str, Callable[[Path, random.Random], None]] = {one.__name__: one for one in (chat, shop, events)}


@dataclass(frozen=True)
class Made:
    """A whole database as bytes, its page size, its rows, and the stretches of bytes that each row lies in."""

    name: str
    raw: bytes
    page_bytes: int
    rows: Rows
    stretches: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def total(self) -> int:
        return sum(rows.total() for rows in self.rows.values())

    def untouched(self, damaged: bytes) -> int:
        """How many rows have all their own bytes still, whatever became of the ways to them."""
        if len(damaged) != len(self.raw):
            raise ValueError("a file that was cut is not compared")
        blocks = {
            at for at in range(0, len(damaged), _BLOCK) if damaged[at : at + _BLOCK] != self.raw[at : at + _BLOCK]
        }
        return sum(not any(self._changed(damaged, start, end, blocks) for start, end in row) for row in self.stretches)

    def _changed(self, damaged: bytes, start: int, end: int, blocks: set[int]) -> bool:
        near = any(at in blocks for at in range(start - start % _BLOCK, end, _BLOCK))
        return near and damaged[start:end] != self.raw[start:end]


def make(name: str, folder: Path) -> Made:
    path = folder / f"{name}.db"
    MAKERS[name](path, random.Random(name))  # noqa: S311 (seeded on purpose)
    raw = path.read_bytes()
    return Made(name, raw, int.from_bytes(raw[16:18], "big"), select(path), tuple(_stretches(path)))


def _stretches(path: Path) -> Iterator[tuple[tuple[int, int], ...]]:
    """Where each row lies in a whole file, by the reader that is tested to read whole files right."""
    with images.opened(path) as image:
        taken: set[int] = set()
        entries, _ = schema.read(image, taken, set())
        tables = [one for one in entries if one.kind == "table" and not one.name.startswith("sqlite_")]
        shapes = shapes_of([(one.name, one.sql) for one in tables])
        for table in claim(image, [(shapes[one.name], one.root) for one in tables], taken).values():
            shape = table.shape
            interiors = () if shape.with_rowid else [(page, INDEX_INTERIOR) for page in table.tree.interiors]
            for page, kind in [*((place.page, shape.leaf) for place in table.tree.leaves), *interiors]:
                base = (page - 1) * image.page_size
                for cell in read_leaf(image.page(page), page, image.usable, kind, shape).cells:
                    rest = image.chain(cell.overflow, cell.size - len(cell.local), set())[1]
                    pages = (((one - 1) * image.page_size, one * image.page_size) for one in rest)
                    yield ((base + cell.start, base + cell.end), *pages)


def flip_bits(raw: bytearray, page: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 24)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)


def flip_bits_of_headers(raw: bytearray, page: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 6)):
        raw[rng.randrange(1, len(raw) // page) * page + rng.randrange(48)] ^= 1 << rng.randrange(8)


def zero_pages(raw: bytearray, page: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(1, len(raw) // page) * page
        raw[at : at + page] = bytes(page)


def zero_an_interior_page(raw: bytearray, page: int, rng: random.Random) -> None:
    inner = [at for at in range(page, len(raw), page) if raw[at] in (2, 5)]
    at = rng.choice(inner)
    raw[at : at + page] = bytes(page)


def damage_page_beginnings(raw: bytearray, page: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(1, len(raw) // page) * page
        raw[at : at + 8] = rng.randbytes(8)


def damage_a_sector(raw: bytearray, page: int, rng: random.Random) -> None:
    at = rng.randrange(page // 512, len(raw) // 512) * 512
    raw[at : at + 512] = rng.randbytes(512)


def damage_the_file_header(raw: bytearray, page: int, rng: random.Random) -> None:
    raw[0:100] = rng.randbytes(100) if rng.random() < 0.5 else bytes(100)


def damage_the_schema_page(raw: bytearray, page: int, rng: random.Random) -> None:
    """The pointers of the first page are gone, not yet the statements they lead to."""
    raw[100:116] = rng.randbytes(16)


def damage_the_freelist(raw: bytearray, page: int, rng: random.Random) -> None:
    raw[32:36] = rng.randrange(1, 1 << 31).to_bytes(4, "big")


def swap_pages(raw: bytearray, page: int, rng: random.Random) -> None:
    """Two pages were written to each other's place."""
    first, second = (rng.randrange(1, len(raw) // page) * page for _ in range(2))
    raw[first : first + page], raw[second : second + page] = raw[second : second + page], raw[first : first + page]


Damage = Callable[[bytearray, int, random.Random], None]
DAMAGES: tuple[Damage, ...] = (
    flip_bits,
    flip_bits_of_headers,
    zero_pages,
    zero_an_interior_page,
    damage_page_beginnings,
    damage_a_sector,
    damage_the_file_header,
    damage_the_schema_page,
    damage_the_freelist,
    swap_pages,
)


def select(path: Path, tables: Iterable[str] = (), *, until_error: bool = False) -> Rows:
    """Every row of every table as SQLite reads it, by table; with `until_error`, those before it cannot go on."""
    found: Rows = {}
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        names = list(tables)
        if not names:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for name in names:
            if name.startswith("sqlite_"):
                continue
            seen = found.setdefault(name, Counter())
            with suppress(*((sqlite3.DatabaseError, UnicodeDecodeError) if until_error else ())):
                for row in db.execute(f"SELECT * FROM {name} NOT INDEXED"):  # noqa: S608 (names of our own)
                    seen[row] += 1
    return found


def shared(expected: Rows, found: Rows) -> tuple[int, int, int]:
    """How many of the expected rows were found as they were, of how many, and how many rows never were there."""
    back = sum((rows & found.get(name, Counter())).total() for name, rows in expected.items())
    strange = sum((rows - expected.get(name, Counter())).total() for name, rows in found.items())
    return back, sum(rows.total() for rows in expected.values()), strange
