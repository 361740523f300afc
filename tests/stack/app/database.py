"""The API's SQLite database: schema, seed rows, backup, and a bounded pool of connections."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue

_SCHEMA = """
CREATE TABLE conversations (id INTEGER PRIMARY KEY, title TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    provider TEXT,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX messages_conversation ON messages (conversation_id, created_at);
CREATE TABLE provider_calls (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    status INTEGER NOT NULL,
    duration_ms REAL NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX provider_calls_provider ON provider_calls (provider, created_at);
"""
_CONVERSATIONS = 200
_MESSAGES_EACH = 10


class PoolExhaustedError(Exception):
    """No connection of the pool became free in time."""


class Database:
    """A WAL-mode SQLite file behind a pool of `pool_size` connections; seeded and backed up when new."""

    def __init__(self, path: Path, pool_size: int = 5, wait_s: float = 1.0) -> None:
        self.path = path
        self.backup_path = path.parent / "backups" / path.name
        self.pool_size = pool_size
        self._wait_s = wait_s
        self._free: LifoQueue[sqlite3.Connection] = LifoQueue()
        if not path.exists():
            self._create()
        self._open_pool()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a transaction: committed at the end, rolled back if the block raises."""
        connection = self.take()
        try:
            with connection:
                yield connection
        finally:
            self.give_back(connection)

    def take(self) -> sqlite3.Connection:
        """A free connection; raises PoolExhaustedError when none becomes free in time."""
        try:
            return self._free.get(timeout=self._wait_s)
        except Empty:
            message = (
                f"database connection pool exhausted: {self.pool_size} of {self.pool_size} connections in use, "
                f"none became free within {self._wait_s} s"
            )
            raise PoolExhaustedError(message) from None

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Return a connection that `take` handed out."""
        self._free.put(connection)

    @contextmanager
    def offline(self) -> Iterator[None]:
        """The file with no connection open and the WAL folded in, as between two runs of the service."""
        for connection in [self._free.get() for _ in range(self.pool_size)]:
            with suppress(sqlite3.Error), closing(connection):  # a damaged file has nothing left to fold in
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for leftover in self.path.parent.glob(f"{self.path.name}-*"):  # kept open by a reader outside
            leftover.unlink()
        try:
            yield
        finally:
            self._open_pool()

    def _open_pool(self) -> None:
        for _ in range(self.pool_size):
            self._free.put(sqlite3.connect(self.path, timeout=1.0, check_same_thread=False))

    def _create(self) -> None:
        self.backup_path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            for conversation in range(1, _CONVERSATIONS + 1):
                created_at = f"2026-01-{conversation % 28 + 1:02d}T08:00:00Z"
                connection.execute(
                    "INSERT INTO conversations VALUES (?, ?, ?)",
                    (conversation, f"Conversation {conversation}", created_at),
                )
                connection.executemany(
                    "INSERT INTO messages VALUES (NULL, ?, ?, ?, ?, ?)",
                    [_seed_message(conversation, turn, created_at) for turn in range(_MESSAGES_EACH)],
                )
            connection.execute("ANALYZE")
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self.backup_path)) as target:
            source.backup(target)


def _seed_message(conversation: int, turn: int, created_at: str) -> tuple[int, str, str | None, str, str]:
    if turn % 2 == 0:
        return conversation, "user", None, f"question {turn} of conversation {conversation}", created_at
    provider = "provider-alpha" if conversation % 2 else "provider-beta"
    return conversation, "assistant", provider, f"answer {turn} of conversation {conversation}", created_at
