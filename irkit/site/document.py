"""The report in other forms: as JSON for programs, as Markdown for wikis."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from irkit.report.html import html
from irkit.report.parts import Shown

if TYPE_CHECKING:
    from irkit.report import Report

SCHEMA_VERSION = 1


def to_json(report: Report) -> str:
    """Return the report's model as JSON: `schema_version`, and each section by its name with its `kind`.

    Times are ISO 8601 in UTC, durations are seconds, in members named as in `irkit.report`. A section that could not be
    made has the kind `Gap`. A further version keeps what is there and adds members; another one gets another number.
    """
    sections = {field.name: getattr(report, field.name) for field in fields(report)}
    body = {"schema_version": SCHEMA_VERSION, "sections": {name: _plain(value) for name, value in sections.items()}}
    return json.dumps(body, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def to_markdown(report: Report) -> str:
    """Return the postmortem as GitHub Flavored Markdown, pictures as the sentences that say what they show."""
    from irkit.site.wiki import markdown_of

    return "\n\n".join(markdown_of(html(section)) for section in report.sections if not section.empty) + "\n"


def _plain(value: object) -> object:  # noqa: PLR0911 (one way out for each kind of value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **made} if isinstance(value, Shown) else made
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
