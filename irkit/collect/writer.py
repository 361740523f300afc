"""Pieces of evidence to staged files: redacted, capped, and readable up to the last row however the writer ends.

Tables are staged as JSON lines, which a killed writer leaves valid up to its last whole line (and which cost the writer
no import of Arrow), and become Parquet when the bundle is sealed.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, Self

from irkit.collect.contract import ColumnType, Document, Table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from irkit.redact import Redactor

_GROUP_ROWS = 20_000
# as JSON in ASCII writes halves of a pair, which text beyond the basic plane has as well
_SURROGATE = b"\\ud"
_BUFFERED_ROWS = 500
_LINGER_S = 0.05
_OFTEN = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = range(-(2**63), 2**63)


class EvidenceWriter:
    """Writes one collector's pieces into its folder; holds the count of bytes against the cap."""

    def __init__(self, folder: Path, redactor: Redactor, max_size_bytes: int, report: Callable[..., None]) -> None:
        self._folder = folder
        self._redactor = redactor
        self._left_bytes = max_size_bytes
        self._report = report
        self._parts: dict[str, int] = {}
        self._full: dict[str, str] = {}

    def write(self, piece: Table | Document) -> str:
        """Write a piece and return how it was cut, or nothing; `report` is told before and after."""
        if piece.kind in self._full:
            return self._full[piece.kind]
        part = self._parts.get(piece.kind, 0)
        self._parts[piece.kind] = part + 1
        table = isinstance(piece, Table)
        path = self._folder / f"{piece.kind}{f'.{part}' if part else ''}{'.jsonl' if table else '.json'}"
        news: dict[str, object] = {"kind": piece.kind, "file": path.name, "subject": piece.subject}
        news["columns"] = dict(piece.columns) if isinstance(piece, Table) else None
        self._report(**news, truncated="writing was cut short")
        truncated = self._write_table(piece, path) if isinstance(piece, Table) else self._write_document(piece, path)
        if truncated:
            self._full[piece.kind] = truncated
        self._report(**news, truncated=truncated)
        return truncated

    def _write_document(self, piece: Document, path: Path) -> str:
        value, _ = self._redactor.value(_jsonable(piece.value))
        body = json.dumps(value, indent=1, ensure_ascii=True).encode("ascii")
        if len(body) > self._left_bytes:
            body = json.dumps({"cut": f"{len(body)} bytes were over the size cap"}).encode("ascii")
            path.write_bytes(body)
            return f"document of {piece.kind} over the size cap"
        self._left_bytes -= len(body)
        path.write_bytes(body)
        return ""

    def _write_table(self, piece: Table, path: Path) -> str:
        with (
            path.open("wb", buffering=0) as stream,  # whatever was yielded must survive a kill
            _RowBuffer(lambda rows: self._write_rows(rows, piece.columns, stream)) as buffer,
        ):
            for row in piece.rows:
                if not buffer.add([row.get(name) for name in piece.columns]):
                    break
        return "" if buffer.open else f"{piece.kind} cut at the size cap"

    def _write_rows(self, rows: list[list[object]], columns: Mapping[str, ColumnType], stream: IO[bytes]) -> bool:
        """Write rows, redacted column by column as the lines of a text, and say whether there is room for more."""
        cells = [
            self._column(list(column), kind)
            for column, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        lines: list[bytes] = []
        for row in zip(*cells, strict=True):
            line = json.dumps(row).encode("ascii") + b"\n"
            if len(line) - 1 > self._left_bytes:
                stream.write(b"".join(lines))
                return False
            self._left_bytes -= len(line) - 1
            lines.append(line)
        stream.write(b"".join(lines))
        return True

    def _column(self, cells: list[object], kind: ColumnType) -> list[object]:
        if kind != "string":
            return [None if cell is None else _cell(cell, kind) for cell in cells]
        places = [index for index, cell in enumerate(cells) if cell is not None]
        raw = [str(cells[index]) for index in places]
        unique = list(dict.fromkeys(raw))
        if len(unique) * _OFTEN <= len(raw):  # a service's name, a level: not lines that follow each other
            texts, _ = self._redactor.texts(unique)
            known = dict(zip(unique, texts, strict=True))
            raw = [known[text] for text in raw]
        else:
            raw, _ = self._redactor.texts(raw)
        for index, text in zip(places, raw, strict=True):
            cells[index] = text
        return cells


class _RowBuffer:
    """Rows gathered so that many are redacted in one scan, and written soon also while their source is silent.

    A collector may be killed at any moment with what it yielded in here, so a thread empties it every `_LINGER_S`.
    """

    def __init__(self, write: Callable[[list[list[object]]], bool]) -> None:
        self._write = write
        self._rows: list[list[object]] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._failed: BaseException | None = None
        self._clerk = threading.Thread(target=self._linger, daemon=True)
        self.open = True

    def __enter__(self) -> Self:
        self._clerk.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._clerk.join()
        with self._lock:
            self._flush()
        if self._failed:
            raise self._failed

    def add(self, row: list[object]) -> bool:
        """Take a row and say whether more are wanted."""
        with self._lock:
            self._rows.append(row)
            if len(self._rows) >= _BUFFERED_ROWS:
                self._flush()
            return self.open

    def _linger(self) -> None:
        while not self._done.wait(_LINGER_S):
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        if self._rows and self.open:
            rows, self._rows = self._rows, []
            try:
                self.open = self._write(rows)
            except Exception as error:  # noqa: BLE001 (raised again where the rows come from)
                self.open, self._failed = False, error


def _cell(value: object, kind: ColumnType) -> object:
    if kind == "time" and isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if kind == "int" and isinstance(value, int) and value not in _INT64:
        return None  # an unsigned "no limit" of the kernel's; Arrow has no place for it
    if kind == "float" and isinstance(value, int | float) and not math.isfinite(value):
        return None
    return value


def to_parquet(staged: Sequence[Path], columns: Mapping[str, ColumnType], destination: Path) -> int:
    """Turn staged parts, whole or cut anywhere, into Parquet in the order of the paths; return the number of rows.

    Text becomes a string column where all of it is UTF-8, else stays bytes, which `Bundle.load` decodes losslessly.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[ColumnType, pa.DataType] = {
        "string": pa.large_binary(),  # Arrow strings cannot hold what is not UTF-8
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    foreign = _columns_of_bytes(staged, len(columns))
    schema = pa.schema(
        [
            (name, pa.string() if kind == "string" and index not in foreign else types[kind])
            for index, (name, kind) in enumerate(columns.items())
        ]
    )
    rows, written = chain.from_iterable(_staged_rows(path) for path in staged), 0
    with pq.ParquetWriter(destination, schema, compression="zstd") as writer:  # never more of it in memory than a group
        while group := list(islice(rows, _GROUP_ROWS)):
            arrays = [
                pa.array(
                    [to_bytes(cell) if isinstance(cell, str) else cell for cell in column]
                    if pa.types.is_large_binary(field.type)
                    else column,
                    type=field.type,
                )
                for column, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            written += len(group)
    return written


def _columns_of_bytes(staged: Sequence[Path], columns: int) -> frozenset[int]:
    """Return the places of the columns in which some text is not UTF-8; only lines with a surrogate need a look."""
    found: set[int] = set()
    for path in staged:
        with path.open("rb") as stream:
            for line in stream:
                if _SURROGATE in line and line.endswith(b"\n") and len(found) < columns:
                    found |= {index for index, cell in enumerate(json.loads(line)) if not _is_unicode(cell)}
    return frozenset(found)


def _is_unicode(cell: object) -> bool:
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return False
    return True


def _staged_rows(staged: Path) -> Iterator[list[Any]]:
    """Yield the whole lines; a writer that was killed leaves half of one at the end."""
    with staged.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)


def to_bytes(text: str) -> bytes:
    """Return the bytes a text came from: UTF-8, with lone surrogates for bytes that were not."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _jsonable(value: object) -> object:
    """Return plain JSON values: times as ISO 8601 UTC, bytes as text with lone surrogates, keys as strings."""
    if isinstance(value, Mapping):
        return {str(_jsonable(key)): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
