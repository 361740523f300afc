"""Log lines into tables: requests and errors, from evidence of kind `logs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def parse_requests(logs: pd.DataFrame) -> pd.DataFrame:
    """TO BE WRITTEN."""
    raise RuntimeError


def parse_errors(logs: pd.DataFrame) -> pd.DataFrame:
    """TO BE WRITTEN."""
    raise RuntimeError


ORIGIN: Mapping[str, str] = MappingProxyType({"requests": "logs", "errors": "logs"})
DERIVED: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = MappingProxyType(
    {"requests": parse_requests, "errors": parse_errors}
)
