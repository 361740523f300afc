"""The report as data: `build` computes it, its sections show themselves.

The names below load on first use: a page's exporter needs the style of a report and nothing of what makes one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irkit.report.making import POSTMORTEM, Report, build

__all__ = ["POSTMORTEM", "Report", "build"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'irkit.report' has no attribute {name!r}")
    return getattr(import_module("irkit.report.making"), name)
