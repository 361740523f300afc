"""Reports of the evidence that each type of incident leaves, as the tests of the closer sections read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from irkit.model import Incident, Status
from irkit.report import Report
from tests.support.example_report import report_of
from tests.support.type_evidence import BEGAN, sealed

HOSTILE = "</pre><script>alert(1)</script>\x1b[31m\u202e"


def closer_report(folder: Path, kind: str, evidence: Mapping[str, Any]) -> Report:
    """Return the report of an open incident of this type, detected a minute after it began."""
    at = BEGAN + timedelta(minutes=1)
    incident = Incident(42, "Something is wrong", kind, "High", Status.OPEN, opened_at=at, detected_at=at)
    return report_of(sealed(folder, evidence), incident, (), at + timedelta(minutes=9))
