"""Silence at an address that nobody configured: the service may be elsewhere, and nothing is said of it."""

from __future__ import annotations

from irkit.model import Verdict, VerdictState
from irkit.records import Row, integer_of, text_of


def may_be_elsewhere(probes: list[Row], containers: list[Row]) -> bool:
    """Say whether silence tells nothing: at an address that is only the runbook's, and with no container to be seen."""
    silent = all(integer_of(row, "status_code") is None for row in probes)
    return silent and not containers and all(row.get("configured") is False for row in probes)


def elsewhere(probes: list[Row]) -> Verdict:
    """Return the verdict that it is not known where the service is."""
    sentence = (
        f"Nothing answers at {text_of(probes[-1], 'url')}, the runbook's address, but nobody configured it for this "
        "service, of which no container was seen either: it may be elsewhere."
    )
    advice = "Set [http] health_url in irkit.toml, or run irkit where the service runs, and collect again."
    return Verdict(VerdictState.UNKNOWN, sentence, advice, numbers={"probes": len(probes)})
