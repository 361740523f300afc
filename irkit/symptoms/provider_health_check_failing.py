"""Provider health check failing: what the service's own health answer says of the providers it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.diagnose import Example, symptom
from irkit.model import Verdict, VerdictState
from irkit.phrase import clock, count, listing, quoted
from irkit.records import in_order, rows_of, text_of
from irkit.signs import Sign, bearing

if TYPE_CHECKING:
    import pandas as pd


@symptom("provider-health-check-failing", incident="provider-failures")
def detect(providers: pd.DataFrame, errors: pd.DataFrame | None = None) -> Verdict:
    """Found when the health answer reports a provider as unhealthy; one in a word irkit does not know is unknown."""
    rows = [row for row in rows_of(providers) if text_of(row, "name")]
    if not rows:
        sentence = "The health answer names no providers."
        return Verdict(VerdictState.UNKNOWN, sentence, "Have it list them under services.providers.")
    down = [row for row in rows if row.get("healthy") is False]
    unclear = [row for row in rows if row.get("healthy") is None]
    names = [text_of(row, "name") for row in down]
    numbers: dict[str, object] = {"providers": len(rows), "down": names, "unclear": [row["name"] for row in unclear]}
    if down:
        said = [f"{text_of(row, 'name')} ({text_of(row, 'status') or 'not healthy'})" for row in down]
        sentence = f"{len(down)} of {count(len(rows), 'provider')} fail their health check: {listing(said)}"
        spoken = rows_of(bearing(errors, Sign.PROVIDER, Sign.RATE_LIMIT, Sign.TIMEOUT))
        own = in_order(row for row in spoken if any(name in text_of(row, "line") for name in names))
        onset = own[0]["at"] if own else None
        if own:
            numbers["line"] = line = text_of(own[-1], "message")
            sentence += f"; the first error that names one is of {clock(own[0]['at'])}, the latest says {quoted(line)}"
        advice = "Look at the provider's own status page, and see whether another provider can take over."
        return Verdict(VerdictState.FOUND, f"{sentence}.", advice, onset, 0.95, numbers)
    if unclear:
        said = [f"{text_of(row, 'name')} {quoted(text_of(row, 'status'))}" for row in unclear]
        sentence = f"What the health answer says of {listing(said)} does not tell whether they are healthy."
        return Verdict(VerdictState.UNKNOWN, sentence, "Read the health answer by hand.", numbers=numbers)
    sentence = f"All {count(len(rows), 'provider')} passed when asked: {listing(text_of(row, 'name') for row in rows)}."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.9, numbers=numbers)


def _providers(**states: object) -> list[dict[str, object]]:
    words = {True: "up", False: "down", None: "purple"}
    return [{"name": name, "healthy": state, "status": words[state]} for name, state in states.items()]  # type: ignore[index]


FIRES = (
    Example("one of two is down", {"providers": _providers(alpha=False, beta=True)}),
    Example(
        "down, and the log names it",
        {
            "providers": _providers(alpha=False),
            "errors": [
                {
                    "at": "2026-11-24T03:05:00Z",
                    "service": "jarvis-api",
                    "message": "provider call failed provider=alpha status=503",
                    "line": "ERROR provider call failed provider=alpha status=503",
                }
            ],
        },
    ),
)
QUIET = (Example("all are up", {"providers": _providers(alpha=True, beta=True)}),)
