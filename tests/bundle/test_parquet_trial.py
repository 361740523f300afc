"""Tables that would take the process with them are refused by one that may be lost."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irkit.bundle import parquet_trial
from irkit.bundle.parquet_trial import try_tables
from irkit.errors import BundleError

ABORTING = Path(__file__).parents[1] / "data" / "aborting.parquet"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"line": ["a", "b", None], "code": [1, 2, None]}), tmp_path / "whole", compression="zstd")
    return tmp_path / "whole"


def test_whole_tables_pass_and_none_is_no_fault(whole: Path) -> None:
    try_tables([])
    try_tables([whole] * 101)


def test_one_byte_that_makes_the_library_abort_is_refused(whole: Path, tmp_path: Path) -> None:
    """Found by flipping bytes: Arrow 26 ends the process on this file, another version may merely complain."""
    with pytest.raises(BundleError, match=r"aborting\.parquet (is damaged|cannot be read)") as caught:
        try_tables([whole, ABORTING])
    assert "ended the process" not in str(caught.value) or "by SIG" in str(caught.value)
    assert caught.value.hint
    shutil.copyfile(ABORTING, tmp_path / "copy")
    with pytest.raises(BundleError):
        try_tables([tmp_path / "copy"])


def test_what_is_noted_in_a_table_too_deep_to_be_read_is_refused_by_its_name(whole: Path, tmp_path: Path) -> None:
    deep = pa.table({"a": [1]}).replace_schema_metadata({b"pandas": b"[" * 3000 + b"]" * 3000})
    pq.write_table(deep, tmp_path / "deep.parquet")
    with pytest.raises(BundleError, match=r"the table deep\.parquet cannot be read as Parquet: .*recursion"):
        try_tables([whole, tmp_path / "deep.parquet"])


def test_a_process_that_ends_while_it_reads_is_told_with_its_table_and_its_last_words() -> None:
    """A library that ends the process is what a test cannot have for the asking: what it leaves is read here."""
    code = "import os; os.write(1, b'.\\n.\\n'); os.write(2, b'half\\nit \\x1b[31mbroke'); os.abort()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    told = parquet_trial.ended(done, [Path("a.parquet"), Path("b.parquet")])
    assert told.startswith("the table b.parquet is damaged, or made to do harm: reading it ended the process")
    assert "by SIGABRT: it " in told
    assert "\x1b" not in told


def test_damage_anywhere_is_one_sentence_or_harmless(whole: Path, tmp_path: Path) -> None:
    chance, refused = random.Random(42), 0  # noqa: S311 (places to damage, not a secret)
    for number in range(12):
        raw = bytearray(whole.read_bytes())
        for _ in range(3):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        damaged = tmp_path / f"damaged-{number}"
        damaged.write_bytes(raw[: chance.choice([len(raw), chance.randrange(1, len(raw))])])
        try:
            try_tables([damaged])
        except BundleError as error:
            refused += "\n" not in str(error)
    assert refused > 6
