"""Rows of a table as plain values of Python, whatever the table keeps them as."""

from __future__ import annotations

from datetime import UTC
from math import isnan
from typing import TYPE_CHECKING, Any

from irkit.records import values_of

if TYPE_CHECKING:
    import pandas as pd


def plain_records(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Return the rows as plain values: None for what is missing, aware datetimes, int for whole numbers."""
    if frame is None:
        return []
    names = [str(name) for name in frame.columns]
    columns = [_plain_column(frame[name]) for name in frame.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def whole(value: object) -> int | None:
    """Return a number as an int: a column of integers with gaps may come as floats."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain_column(column: pd.Series) -> list[Any]:
    import pandas as pd

    return values_of(column) if pd.api.types.is_datetime64_any_dtype(column) else [_plain(value) for value in column]


def _plain(value: Any) -> Any:  # noqa: ANN401 (a cell of a table can be anything)
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime().astimezone(UTC) if value.tzinfo else value.to_pydatetime().replace(tzinfo=UTC)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if hasattr(value, "item") and not isinstance(value, str):
        return _plain(value.item())
    return value
