"""irkit: from the page to the published postmortem.

The names below load on first use, so that `import irkit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from irkit.bundle import Bundle, open_bundle
    from irkit.conclusions import diagnosis, postmortem
    from irkit.diagnose.verdicts import Diagnosis
    from irkit.errors import IrkitError
    from irkit.model import Incident, Window, parse_incident_id
    from irkit.notebooks import check_parameters
    from irkit.report import Report
    from irkit.reviewing import review
    from irkit.runbook import Runbook
    from irkit.settings import Settings
    from irkit.workspace import (
        gather,
        incident,
        incidents,
        load_runbook,
        load_settings,
        timeline,
    )

_HOME = {
    "Bundle": "bundle",
    "Incident": "model",
    "IrkitError": "errors",
    "Report": "report",
    "Runbook": "runbook",
    "Settings": "settings",
    "Window": "model",
    "Diagnosis": "diagnose.verdicts",
    "check_parameters": "notebooks",
    "diagnosis": "conclusions",
    "gather": "workspace",
    "incident": "workspace",
    "incidents": "workspace",
    "load_runbook": "workspace",
    "load_settings": "workspace",
    "open_bundle": "bundle",
    "parse_incident_id": "model",
    "postmortem": "conclusions",
    "review": "reviewing",
    "timeline": "workspace",
}

__all__ = [
    "Bundle",
    "Diagnosis",
    "Incident",
    "IrkitError",
    "Report",
    "Runbook",
    "Settings",
    "Window",
    "check_parameters",
    "diagnosis",
    "gather",
    "incident",
    "incidents",
    "load_runbook",
    "load_settings",
    "open_bundle",
    "parse_incident_id",
    "postmortem",
    "review",
    "timeline",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'irkit' has no attribute {name!r}")
    return getattr(import_module(f"irkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make `%load_ext irkit` work: `%incident 42` loads an incident, its evidence and its report."""
    from irkit.notebooks.magics import register

    register(shell)
