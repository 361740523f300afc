"""Parquet tables that a stranger may have written, read as data frames: nothing in them runs and nothing explodes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from irkit.bundle.parquet_pages import page_sizes
from irkit.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

# Repetition compresses a thousandfold and comes out whole: a table may be large, or packed tightly, but not both.
ALWAYS_READ_BYTES = 256 * 1024 * 1024
MOST_READ_BYTES = 4 * 1024 * 1024 * 1024
MOST_RATIO = 200
_MOST_COLUMNS = 1000
_FOOTER_BYTES = 16 * 1024 * 1024
_ENCODINGS = frozenset({"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"})
_HINT = "do not open it elsewhere either; ask its sender how it was made"


def read_table(path: Path) -> pd.DataFrame:
    """Return a Parquet file as a DataFrame: times aware UTC, numbers nullable, text that was not UTF-8 losslessly.

    Such text comes back with lone surrogates. What pandas or Arrow extensions noted in the file is not followed.

    Raises:
        BundleError: it is no Parquet, holds types no collector writes, or would take more memory than it is worth.
    """
    import pyarrow as pa

    check_table(path)
    with _readable(path), _opened(path) as file:
        table = file.read(use_threads=False)
        frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): _nullable_integer()}.get, ignore_metadata=True)
        for column in table.schema:
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                cells = [
                    None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in frame[column.name]
                ]
                frame[column.name] = _objects(cells, frame.index)
    return frame


def check_table(path: Path) -> None:
    """Refuse a Parquet file that should not be read, without holding more of it in memory than its dictionaries.

    Raises:
        BundleError: as `read_table`.
    """
    with _readable(path):
        limit = min(MOST_READ_BYTES, max(ALWAYS_READ_BYTES, MOST_RATIO * path.stat().st_size))
        with _opened(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
        _check_columns(path, schema, metadata)
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        chunks = [group.column(index) for group in groups for index in range(metadata.num_columns)]
        if strange := {name for chunk in chunks for name in chunk.encodings} - _ENCODINGS:
            raise _refused(path, f"is encoded as {', '.join(sorted(strange))}, which no collector writes")
        if any(chunk.file_path for chunk in chunks):
            raise _refused(path, "points to another file")
        least = sum(group.num_rows for group in groups) * 8 * len(schema)
        if least > limit or _unpacked(path, chunks, limit) > limit:
            raise _too_large(path, limit)
        for size_bytes in _running_size(path, [name for name in schema.names if _is_text(schema.field(name).type)]):
            if least + size_bytes > limit:
                raise _too_large(path, limit)


def _check_columns(path: Path, schema: Any, metadata: Any) -> None:  # noqa: ANN401 (Arrow has no types)
    if len(schema) > _MOST_COLUMNS or metadata.num_columns != len(schema):
        raise _refused(path, "has columns inside of columns, or too many of them")
    if len(set(schema.names)) < len(schema):
        raise _refused(path, "has two columns of one name")
    for column in schema:
        if not _plain(column):
            raise _refused(path, f"has a column of type {column.type}, which no collector writes")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever Arrow raises on a damaged file into a BundleError: its kinds are many and not documented."""
    import pyarrow as pa

    try:
        yield
    except (
        pa.ArrowException,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        MemoryError,
        RecursionError,
        OSError,
    ) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        sentence = f"the table {path.name} cannot be read as Parquet: {reason}"
        raise BundleError(sentence, hint="use an untouched copy") from None


def _unpacked(path: Path, chunks: list[Any], limit: int) -> int:
    """Return what all pages take when decompressed, or a part of it that is over the limit already."""
    total = 0
    for size_bytes in page_sizes(path, [(_start(chunk), chunk.total_compressed_size) for chunk in chunks]):
        total += size_bytes
        if total > limit:
            break
    return total


def _start(chunk: Any) -> int:  # noqa: ANN401
    """Return where a column's first page begins; one without values has a dictionary's page alone."""
    return min((offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset), default=0)


def _running_size(path: Path, columns: list[str]) -> Iterator[int]:
    """Yield what the text read so far takes when each cell holds its own copy; no header tells that."""
    import pyarrow.compute as pc

    total = 0
    with _opened(path, read_dictionary=columns) as file:
        for group in range(file.num_row_groups if columns else 0):
            for column in file.read_row_group(group, columns=columns, use_threads=False).columns:
                for chunk in column.chunks:
                    lengths = pc.binary_length(chunk.dictionary)
                    counts = pc.value_counts(chunk.indices.drop_null())
                    repeated = pc.multiply(pc.take(lengths, counts.field("values")), counts.field("counts"))
                    total += pc.sum(repeated).as_py() or 0
                    yield total


def _opened(path: Path, read_dictionary: list[str] | None = None) -> Any:  # noqa: ANN401
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        path,
        read_dictionary=read_dictionary,
        thrift_string_size_limit=_FOOTER_BYTES,
        thrift_container_size_limit=_FOOTER_BYTES // 16,
    )


def _plain(column: Any) -> bool:  # noqa: ANN401
    """Say whether a column is of the few types evidence has; an extension's data could call for code of its own."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (column.metadata or {}):
        return False
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_null)
    return _is_text(column.type) or any(test(column.type) for test in tests)


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    import pyarrow as pa

    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _objects(cells: list[str | None], index: Any) -> Any:  # noqa: ANN401
    """Return a column of Python strings: pandas' own string type cannot hold lone surrogates."""
    import pandas as pd

    return pd.Series(cells, index=index, dtype=object)


def _nullable_integer() -> Any:  # noqa: ANN401
    """Return the dtype that keeps an exit code an integer beside rows that have none."""
    import pandas as pd

    return pd.Int64Dtype()


def _refused(path: Path, what: str) -> BundleError:
    return BundleError(f"the table {path.name} is refused: it {what}", hint=_HINT)


def _too_large(path: Path, limit_bytes: int) -> BundleError:
    file_bytes = path.stat().st_size
    return _refused(path, f"unpacks from {file_bytes:,} bytes to more than the {limit_bytes:,} that may be read of it")
