from datetime import UTC, datetime

import pandas as pd
import pytest

from irkit.records import in_order, integer_of, number_of, rows_of, rows_where, text_of, time_of, values_of

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_what_is_missing_is_none_whatever_it_was_stored_as() -> None:
    table = pd.DataFrame(
        {
            "float": [float("nan"), 1.0],
            "nullable": pd.array([None, 2], dtype="Int64"),
            "time": pd.to_datetime([None, AT], utc=True),
            "object": [None, "x"],
            "text": pd.array([None, "y"], dtype="string"),
        }
    )
    first, second = rows_of(table)
    assert set(first.values()) == {None}
    assert second == {"float": 1.0, "nullable": 2, "time": AT, "object": "x", "text": "y"}
    assert type(second["time"]) is datetime


@pytest.mark.parametrize("table", [None, pd.DataFrame(), pd.DataFrame({"a": []})])
def test_no_rows(table: pd.DataFrame | None) -> None:
    assert rows_of(table) == []


def test_cells_are_read_as_what_they_are_or_not_at_all() -> None:
    row = {"text": "x", "number": 3.0, "flag": True, "huge": float("inf"), "at": AT}
    assert (text_of(row, "text"), text_of(row, "number"), text_of(row, "none")) == ("x", "3.0", "")
    assert [number_of(row, name) for name in ("number", "text", "flag", "huge", "none")] == [
        3.0,
        None,
        None,
        None,
        None,
    ]
    assert integer_of(row, "number") == 3
    assert (time_of(row, "at"), time_of(row, "text")) == (AT, None)


def test_order_is_by_time_and_rows_without_one_are_left_out() -> None:
    rows = [{"at": AT.replace(hour=5)}, {"at": None}, {"at": AT}]
    assert in_order(rows) == [rows[2], rows[0]]


def test_a_table_without_rows_keeps_its_columns_when_filtered() -> None:
    empty = pd.DataFrame({"a": pd.Series(dtype=object)})
    assert list(rows_where(empty, []).columns) == ["a"]
    assert rows_where(pd.DataFrame({"a": [1, 2, 3]}), [True, False, True])["a"].tolist() == [1, 3]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", None])
def test_times_are_aware_utc_in_whole_microseconds(zone: str | None) -> None:
    told = pd.Series(["1969-12-31T23:59:59.123456789", None, "2026-07-01T12:00:00"])
    given = pd.to_datetime(told, format="ISO8601").dt.tz_localize(zone)
    one, none, other = values_of(given)
    assert none is None
    assert (one.microsecond, one.tzinfo, other.tzinfo) == (123456, UTC, UTC)
    assert other == (given[2].to_pydatetime() if zone else given[2].to_pydatetime().replace(tzinfo=UTC))
