"""Provider health check failing: what the service's own health answer says of the providers it calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import HEALTH_PATH, Sign, bearing, has
from irkit.diagnose.wholeness import unless_cut
from irkit.model import Verdict, VerdictState
from irkit.records import Row, in_order, integer_of, rows_of, text_of
from irkit.text.phrase import clock, count, listing, quoted

if TYPE_CHECKING:
    import pandas as pd


@symptom("provider-health-check-failing", incident="provider-failures")
def detect(
    cut: Mapping[str, str],
    missing: Mapping[str, str],
    providers: pd.DataFrame | None = None,
    health: pd.DataFrame | None = None,
    containers: pd.DataFrame | None = None,
    requests: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
) -> Verdict:
    """Found when the health answer reports a provider as unhealthy; one in a word irkit does not know is unknown.

    Where the service could not be asked, what else is known of the providers is told, and it stays unknown.
    """
    if providers is None:
        hints = [_run(rows_of(containers)), _answered(requests)]
        told = "; ".join([_not_asked(rows_of(health), missing), *filter(None, hints)])
        advice = "Ask the providers by hand, from where the service runs."
        return Verdict(VerdictState.UNKNOWN, f"{told}.", advice)
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
        fail = "fails its" if len(down) == 1 else "fail their"
        sentence = f"{len(down)} of {count(len(rows), 'provider')} {fail} health check: {listing(said)}"
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
    all_of = "The one provider" if len(rows) == 1 else f"All {count(len(rows), 'provider')}"
    sentence = f"{all_of} passed when asked: {listing(text_of(row, 'name') for row in rows)}."
    clear = Verdict(VerdictState.CLEAR, sentence, confidence=0.9, numbers=numbers)
    # the other kinds only add detail: their gaps hide no provider
    return unless_cut(clear, [cut.get("providers", "")])


def _not_asked(probes: list[Row], missing: Mapping[str, str]) -> str:
    answers = [row for row in probes if integer_of(row, "status_code")]
    if answers:
        return f"The health endpoint answered {integer_of(answers[-1], 'status_code')} and named no providers"
    if probes:
        how = listing(text_of(row, "verdict").replace("_", " ") or "no verdict" for row in probes)
        return f"The health endpoint did not answer ({how}), so it could not be asked about the providers"
    return f"Not looked at: {missing.get('providers', 'no health answer is on record')}"


def _run(containers: list[Row]) -> str:
    """Say which containers that look like a provider run; that one runs does not make it answer."""
    looks = [row for row in containers if has(Sign.PROVIDER, text_of(row, "service"))]
    up = [text_of(row, "service") for row in looks if text_of(row, "state") == "running"]
    down = [f"{text_of(row, 'service')} ({text_of(row, 'state') or 'in an unknown state'})" for row in looks]
    down = [text for text, row in zip(down, looks, strict=True) if text_of(row, "state") != "running"]
    running = f"{listing(up)} {'runs as a container' if len(up) == 1 else 'run as containers'}" if up else ""
    stopped = f"{listing(down)} {'does' if len(down) == 1 else 'do'} not run" if down else ""
    return ", ".join(filter(None, [running, stopped]))


def _answered(requests: pd.DataFrame | None) -> str:
    """Say what those that log their own health requests answered last."""
    latest: dict[str, Row] = {}
    for row in in_order(rows_of(requests)):
        if has(Sign.PROVIDER, text_of(row, "service")) and HEALTH_PATH.search(text_of(row, "path")):
            latest[text_of(row, "service")] = row
    said = [f"{name} with {integer_of(row, 'status_code')} at {clock(row['at'])}" for name, row in latest.items()]
    return f"by the logs, health requests were last answered by {listing(said)}" if said else ""


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
