"""Timeout errors: of callers that waited in vain, be it a probe, the engine's check, a user, or the service itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import Sign, bearing, has, incident_of_most, last_words, over_at, telling_message
from irkit.diagnose.verdicts import ENGINE_CHECKS
from irkit.model import Verdict, VerdictState
from irkit.records import in_order, integer_of, rows_of
from irkit.text.phrase import between, count, listing, quoted

if TYPE_CHECKING:
    import pandas as pd

# request timeout; the client closed first, in nginx's words; gateway timeout
_STATUS_CODES = (408, 499, 504)
_KILLED = 137
_FEWEST_IN_LOG = 3


@symptom("timeout-errors", incident=("api-unresponsive", "high-latency"))
def detect(
    errors: pd.DataFrame | None = None,
    requests: pd.DataFrame | None = None,
    health: pd.DataFrame | None = None,
    container_health: pd.DataFrame | None = None,
) -> Verdict:
    """Found when a probe or a check of the engine timed out, or three or more log lines tell of timeouts."""
    probes = [row for row in rows_of(health) if row.get("verdict") == "timed_out"]
    checks = [row for row in rows_of(container_health) if _timed_out(row.get("output"), integer_of(row, "exit_code"))]
    said = bearing(errors, Sign.TIMEOUT)
    answered = requests[requests["status_code"].isin(_STATUS_CODES)] if requests is not None else None
    in_log = len(said) + (len(answered) if answered is not None else 0)
    parts = {
        count(len(probes), "probe"): len(probes),
        count(len(checks), "health check") + " by the engine": len(checks),
        count(len(said), "error") + " in the log": len(said),
        count(in_log - len(said), "request") + " answered 408, 499 or 504": in_log - len(said),
    }
    numbers: dict[str, object] = {
        "probes": len(probes),
        ENGINE_CHECKS: len(checks),
        "errors": len(said),
        "requests": in_log - len(said),
    }
    if probes or checks or in_log >= _FEWEST_IN_LOG:
        times = [
            *(row["at"] for row in in_order(probes)),
            *(row["started_at"] for row in in_order(checks, "started_at")),
            *said["at"].dropna().tolist(),
            *(answered["at"].dropna().tolist() if answered is not None else []),
        ]
        onset = min(times, default=None)
        when = between(onset, max(times, default=None))
        sentence = f"Timeouts{when}: {listing(text for text, number in parts.items() if number)}"
        if len(said):
            numbers["line"] = telling_message(said)
            sentence += f"; the log says {quoted(str(numbers['line']))}"
        explained_by = incident_of_most(said) if len(said) and not probes and not checks else ""
        advice = (
            "Find what is being waited for: compare the API's own duration with that of its database and providers."
        )
        confidence = 0.95 if probes or in_log >= _FEWEST_IN_LOG else 0.8
        until = over_at(times, requests)
        return Verdict(
            VerdictState.FOUND, f"{sentence}.", advice, onset, confidence, numbers, explained_by, until=until
        )
    if errors is None:
        sentence = "No probe timed out, but the logs, which would tell of other timeouts, were not collected."
        return Verdict(VerdictState.UNKNOWN, sentence, "Collect the containers' logs.", numbers=numbers)
    told = count(in_log, "timeout") if in_log else "no timeout"
    probed = f", and none of {count(len(health), 'probe')} timed out" if health is not None and len(health) else ""
    return Verdict(VerdictState.CLEAR, f"The log tells of {told}{probed}.", confidence=0.9, numbers=numbers)


def _timed_out(output: object, exit_code: int | None) -> bool:
    """Docker gives a check it gave up on the exit code -1 and says so; one killed with its container is none."""
    return exit_code not in {0, _KILLED} and has(Sign.TIMEOUT, last_words(output))


def _error(second: int, message: str) -> dict[str, object]:
    return {"at": f"2026-11-24T03:05:{second:02d}Z", "service": "jarvis-api", "message": message, "line": message}


FIRES = (
    Example("the probe waited in vain", {"health": [{"at": "2026-11-24T03:05:00Z", "verdict": "timed_out"}]}),
    Example(
        "the engine's check was given up",
        {
            "container_health": [
                {
                    "service": "jarvis-api",
                    "started_at": "2026-11-24T03:05:00Z",
                    "exit_code": -1,
                    "output": "Health check exceeded timeout (3s)",
                }
            ],
        },
    ),
    Example(
        "the log tells", {"errors": [_error(second, "ReadTimeout: no answer within 2.0 s") for second in range(3)]}
    ),
)
QUIET = (
    Example(
        "the check was killed with its container",
        {
            "container_health": [
                {
                    "service": "jarvis-api",
                    "started_at": "2026-11-24T03:05:00Z",
                    "exit_code": 137,
                    "output": "Health check exceeded timeout (3s)",
                }
            ],
            "errors": [],
        },
    ),
    Example(
        "other errors",
        {
            "errors": [_error(second, "KeyError: 'session_secret'") for second in range(5)],
            "health": [{"at": "2026-11-24T03:05:00Z", "verdict": "healthy"}],
        },
    ),
    Example("one in an hour", {"errors": [_error(1, "TimeoutError: timed out")], "requests": []}),
)
