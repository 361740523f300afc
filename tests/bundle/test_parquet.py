"""Tables as a stranger may have written them: read in full, or refused before they cost anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irkit.bundle.parquet import ALWAYS_READ_BYTES, check_table, read_table
from irkit.bundle.parquet_pages import page_sizes
from irkit.errors import BundleError

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def test_a_table_comes_back_with_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "at": pa.array([AT, None], pa.timestamp("us", tz="UTC")),
            "line": pa.array(["über", None]),
            "raw": pa.array([b"caf\xe9", None], pa.large_binary()),
            "code": pa.array([137, None], pa.int64()),
            "share": pa.array([0.5, None]),
            "ok": pa.array([True, None]),
            "never": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "t", compression="zstd")
    frame = read_table(tmp_path / "t")
    assert frame["at"][0] == AT
    assert frame["line"][0] == "über"
    assert frame["raw"][0].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert frame["code"][0] == 137
    assert frame.isna().iloc[1].all()


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_without_rows_is_a_table(tmp_path: Path, rows: int, options: dict[str, Any]) -> None:
    columns = {"line": pa.array(["a"] * rows, pa.string()), "raw": pa.array([b"a"] * rows, pa.large_binary())}
    columns |= {"code": pa.array([1] * rows, pa.int64()), "never": pa.nulls(rows)}
    pq.write_table(pa.table(columns), tmp_path / "t", compression="zstd", **options)
    frame = read_table(tmp_path / "t")
    assert (len(frame), list(frame)) == (rows, list(columns))


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy", "gzip"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_pages_are_found_and_measured_as_the_footer_of_an_honest_file_has_them(
    tmp_path: Path, compression: str, version: str
) -> None:
    rows = 200_000
    columns = {
        "number": pa.array(range(rows)),
        "line": pa.array([f"line {number % 977} of a log" for number in range(rows)]),
        "ok": pa.array([number % 3 == 0 for number in range(rows)]),
        "share": pa.array([number / 7 if number % 5 else None for number in range(rows)]),
    }
    path = tmp_path / "t"
    pq.write_table(pa.table(columns), path, compression=compression, data_page_version=version, row_group_size=60_000)
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            start = min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset)
            sizes = list(page_sizes(path, [(start, chunk.total_compressed_size)]))
            # the footer counts the pages' headers too
            assert 0 <= chunk.total_uncompressed_size - sum(sizes) < 200 * len(sizes)
    check_table(path)


def varint(value: int, length: int = 0) -> bytes:
    """A zigzag number of Thrift's, padded to a length it may have but does not need."""
    value, out = value << 1, bytearray()
    while value > 0x7F or len(out) < length - 1:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_footer_that_lies_about_sizes_is_not_believed(tmp_path: Path) -> None:
    honest, lying = tmp_path / "honest", tmp_path / "lying"
    table = pa.table({"line": pa.array(["x" * (ALWAYS_READ_BYTES + 1000)])})
    pq.write_table(table, honest, compression="zstd", use_dictionary=False, write_statistics=False, store_schema=False)
    said = pq.read_metadata(honest).row_group(0).column(0).total_uncompressed_size
    raw, true = honest.read_bytes(), varint(said)
    assert len(raw) < 100_000
    lying.write_bytes(raw.replace(true, varint(1000, len(true))))
    assert pq.read_metadata(lying).row_group(0).column(0).total_uncompressed_size == 1000
    before = pa.total_allocated_bytes()
    for path in (honest, lying):
        with pytest.raises(BundleError, match="unpacks from"):
            check_table(path)
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_numbers_repeated_without_end_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([0]).take(pa.array([0] * 40_000_000))}), tmp_path / "t", compression="zstd")
    assert (tmp_path / "t").stat().st_size < 1_000_000
    with pytest.raises(BundleError, match="unpacks from"):
        read_table(tmp_path / "t")


def test_an_encoding_that_shares_prefixes_is_refused(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array(["same prefix 1", "same prefix 2"])})
    pq.write_table(table, tmp_path / "t", use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"})
    with pytest.raises(BundleError, match="encoded as DELTA_BYTE_ARRAY"):
        read_table(tmp_path / "t")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([b"a"]), pa.array([b"b"])], names=["a", "a"]), tmp_path / "t")
    with pytest.raises(BundleError, match="two columns of one name"):
        read_table(tmp_path / "t")


def test_a_name_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": [1]}), tmp_path / "t", store_schema=False)
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes().replace(b"name", b"na\x80e"))
    with pytest.raises(BundleError, match="cannot be read as Parquet"):
        read_table(tmp_path / "t")
