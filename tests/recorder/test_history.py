"""A sample as it is written and read back, also by an irkit with other columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from irkit.recorder.history import HISTORIES, Missed, Sample, decode, encode
from irkit.redact import Redactor

REDACTOR = Redactor(b"k" * 32)
AT = datetime(2026, 11, 24, 3, 5, 0, 123456, tzinfo=UTC)
SECRET = "ghp_" + "a1B2" * 9


def test_a_sample_comes_back_as_it_was() -> None:
    rows = ({"at": AT, "service": "api", "cpu_percent": 1.5, "oom_killed": False, "started_at": None}, {"at": AT})
    found = decode("containers", encode("containers", Sample(rows, ("one was not seen",)), REDACTOR))
    assert isinstance(found, Sample)
    assert found.gaps == ("one was not seen",)
    empty = dict.fromkeys(HISTORIES["containers"][1])
    assert list(found.rows) == [empty | row for row in rows]
    missed = Missed("it hung", configured=False)
    assert decode("redis", encode("redis", missed, REDACTOR)) == missed


def test_no_secret_is_written_wherever_it_stands() -> None:
    row = {"at": AT, "error": f"refused {SECRET}", "content_type": SECRET}
    for found in (Sample((row,), (f"gap {SECRET}",)), Missed(f"failed at https://ana:{SECRET}@host/")):
        body = encode("health", found, REDACTOR)
        assert SECRET.encode() not in body
        assert b"[redacted:" in body


def test_what_cannot_be_written_as_json_does_not_break_the_line() -> None:
    row = {"at": AT, "total_s": float("inf"), "error": "\udcff\n\x1b[31m\u2028"}
    body = encode("health", Sample((row,)), REDACTOR)
    assert b"\n" not in body
    found = decode("health", body)
    assert isinstance(found, Sample)
    assert (found.rows[0]["total_s"], found.rows[0]["error"]) == (None, row["error"])


@pytest.mark.parametrize(
    ("columns", "cells", "row"),
    [
        (["at", "service", "colour"], [5, "api", "red"], {"service": "api"}),
        (["service"], ["api"], {"service": "api"}),
    ],
)
def test_columns_of_another_irkit_are_read_by_name(
    columns: list[str], cells: list[object], row: dict[str, object]
) -> None:
    found = decode("containers", json.dumps({"columns": columns, "rows": [cells]}).encode())
    assert isinstance(found, Sample)
    assert {name: value for name, value in found.rows[0].items() if name != "at"} == row
