"""The writer of evidence: many rows at a time, but none that waits for the next, and none that is not redacted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.collect.contract import Table
from irkit.collect.writer import EvidenceWriter
from irkit.redact import Redactor

REDACTOR = Redactor(b"k" * 32)
SECRET = "s3cr3t-" + "pass"
COLUMNS = {"line": "string", "number": "int"}


def writer(folder: Path, max_size_bytes: int = 1 << 20) -> EvidenceWriter:
    return EvidenceWriter(folder, REDACTOR, max_size_bytes, lambda **_: None)


def staged(folder: Path) -> list[list[object]]:
    lines = (folder / "lines.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_row_is_on_disk_while_its_source_is_silent(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield {"line": f"password={SECRET}", "number": 1}
        until = time.monotonic() + 10
        while not (tmp_path / "lines.jsonl").read_bytes().endswith(b"\n"):
            assert time.monotonic() < until
            time.sleep(0.01)  # polls for what another thread writes

    writer(tmp_path).write(Table("lines", COLUMNS, rows()))
    [[line, number]] = staged(tmp_path)
    assert str(line).startswith("password=[redacted:")
    assert number == 1


def test_rows_keep_their_order_and_their_gaps_in_any_number(tmp_path: Path) -> None:
    rows = [{"line": None if index % 7 == 0 else f"line {index}", "number": index} for index in range(1234)]
    assert writer(tmp_path).write(Table("lines", COLUMNS, iter(rows))) == ""
    assert staged(tmp_path) == [[row["line"], row["number"]] for row in rows]


def test_a_value_that_comes_often_is_redacted_in_every_row(tmp_path: Path) -> None:
    rows = [{"line": f"password={SECRET}" if index % 2 else "fine", "number": index} for index in range(600)]
    writer(tmp_path).write(Table("lines", COLUMNS, iter(rows)))
    assert SECRET not in (tmp_path / "lines.jsonl").read_text()
    assert [line == "fine" for line, _ in staged(tmp_path)] == [index % 2 == 0 for index in range(600)]


def test_the_cap_cuts_after_a_whole_row_and_stops_the_source(tmp_path: Path) -> None:
    taken = []

    def rows() -> Iterator[dict[str, object]]:
        for number in range(100_000):
            taken.append(number)
            yield {"line": "x" * 100, "number": number}

    assert writer(tmp_path, 50_000).write(Table("lines", COLUMNS, rows())) == "lines cut at the size cap"
    assert [number for _, number in staged(tmp_path)] == list(range(len(staged(tmp_path))))
    assert 45_000 < (tmp_path / "lines.jsonl").stat().st_size < 51_000
    assert len(taken) < 2000


def test_a_redactor_that_breaks_leaves_nothing_raw_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("no room for the text")

    monkeypatch.setattr("irkit.redact.rules.spans", broken)
    with pytest.raises(MemoryError):
        writer(tmp_path).write(Table("lines", COLUMNS, iter([{"line": SECRET, "number": 1}])))
    assert (tmp_path / "lines.jsonl").read_bytes() == b""


def test_what_came_before_a_source_broke_is_written_and_its_error_is_told(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield {"line": "early", "number": 1}
        raise OSError("the source went away")

    with pytest.raises(OSError, match="went away"):
        writer(tmp_path).write(Table("lines", COLUMNS, rows()))
    assert staged(tmp_path) == [["early", 1]]
