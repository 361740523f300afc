"""Which probes mean an outage; the whole way from the first failed one to the evidence is in test_recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.recorder.outage import OutageWatch, is_down
from irkit.runbook import load as load_runbook
from irkit.settings import HttpTarget, Settings
from irkit.targets import with_runbook_defaults


@pytest.mark.parametrize(
    ("verdict", "status_code", "down"),
    [
        ("healthy", 200, False),
        ("unhealthy", 503, True),
        ("unhealthy", 200, True),
        ("refused", None, True),
        ("timed_out", None, True),
        ("dns", None, True),
        ("tls", None, True),
        ("reset", None, True),
        ("error", None, True),
        ("error", 404, None),
        ("error", 200, None),
        ("redirect", 302, None),
        ("a word of a later irkit", None, None),
    ],
)
def test_a_probe_is_an_outage_or_its_end_or_says_neither(
    verdict: str, status_code: int | None, *, down: bool | None
) -> None:
    assert is_down({"verdict": verdict, "status_code": status_code}) is down


@pytest.mark.parametrize(
    ("service", "called"),
    [("shop", "shop"), ("jarvis-api", "http://127.0.0.1:9/health"), ("", "http://127.0.0.1:9/health")],
)
def test_a_service_that_only_the_runbook_names_gives_no_incident_its_title(
    tmp_path: Path, service: str, called: str
) -> None:
    given = Settings(tmp_path, service=service, http=HttpTarget("http://127.0.0.1:9/health", configured=True))
    settings = with_runbook_defaults(given, load_runbook())
    assert OutageWatch(settings, print, print).called == called
