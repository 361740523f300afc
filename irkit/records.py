"""Evidence as detectors read it: rows with None for what is missing, whatever a table's types were stored as."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def rows_of(table: pd.DataFrame | None) -> list[Row]:
    """Return a table's rows; NaN, NaT and NA are None, times are aware UTC."""
    if table is None or table.empty:
        return []
    columns = {str(name): values_of(table[name]) for name in table.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def values_of(column: pd.Series) -> list[Any]:
    """Return a column's values as `rows_of` does."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(column):
        # what most are is what it is; a call for each would take several times as long
        return [value if type(value) is str else _plain(value) for value in column.tolist()]
    # all at once: pandas makes an object of its own of each time, which takes several times as long
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times: list[datetime | None] = column.to_numpy(dtype="datetime64[us]").astype(object).tolist()
    return [None if at is None else at.replace(tzinfo=UTC) for at in times]


def rows_where(table: pd.DataFrame, mask: Iterable[bool]) -> pd.DataFrame:
    """Return the rows whose mask is true, also of a table without rows (where pandas takes `[]` for columns)."""
    import numpy as np

    return table[np.fromiter(mask, dtype=bool, count=len(table))].reset_index(drop=True)


def text_of(row: Row, name: str) -> str:
    """Return a cell as text, "" where it is missing."""
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def number_of(row: Row, name: str) -> float | None:
    """Return a cell as a finite number, None where it is missing or something else."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def integer_of(row: Row, name: str) -> int | None:
    """Return a cell as a whole number, None where it is missing or something else."""
    number = number_of(row, name)
    return None if number is None else int(number)


def time_of(row: Row, name: str) -> datetime | None:
    """Return a cell as an aware UTC time, None where it is missing or something else."""
    value = row.get(name)
    return value if isinstance(value, datetime) else None


def in_order(rows: Iterable[Row], name: str = "at") -> list[Row]:
    """Return the rows that have a time in column `name`, earliest first."""
    timed = [(at, row) for row in rows if (at := time_of(row, name)) is not None]
    return [row for _, row in sorted(timed, key=lambda item: item[0])]


def _plain(value: object) -> object:
    if value is None or value is _missing() or value != value:  # noqa: PLR0124 (NaN and NaT differ from themselves)
        return None
    if isinstance(value, datetime):
        plain = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
        return plain.replace(tzinfo=UTC) if plain.tzinfo is None else plain.astimezone(UTC)
    return value


def _missing() -> object:
    import pandas as pd

    return pd.NA
