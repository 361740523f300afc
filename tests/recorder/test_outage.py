"""Which probes mean an outage; the whole way from the first failed one to the evidence is in test_recorder."""

from __future__ import annotations

import pytest

from irkit.recorder.outage import is_down


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
