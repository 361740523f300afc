"""Health check failing: the probes from outside, the engine's own check, and whether the container runs at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from irkit.diagnose.elsewhere import elsewhere, may_be_elsewhere
from irkit.diagnose.health_words import complaints, said_of
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.service_checks import (
    ENDED_ON_PURPOSE,
    badness,
    but_for,
    checks_of,
    crashed,
    ends_of,
    since_then,
    subject_of,
    unasked,
    with_requests,
)
from irkit.diagnose.signs import STOPPED, Sign, container_told, incident_of_most, near, telling_message
from irkit.diagnose.wholeness import unless_cut
from irkit.logs.formats import says_answered
from irkit.model import Verdict, VerdictState
from irkit.onset.episodes import Episode, episode_of
from irkit.records import Row, in_order, integer_of, rows_of, text_of, time_of
from irkit.text.phrase import between, clock, count, listing, quoted, since, were

if TYPE_CHECKING:
    import pandas as pd

_BAD = frozenset({"down", "unhealthy", "error", "fail", "failed", "failing", "unavailable", "critical"})
_BEFORE = timedelta(seconds=60)
_AFTER = timedelta(seconds=5)
_MOMENT = timedelta(seconds=1)
_LATEST = 3
_NOT_BY_RESTART = "mend that first, a restart will not"
_NEVER = datetime.max.replace(tzinfo=UTC)


@symptom("health-check-failing", incident="api-unresponsive")
def detect(
    cut: Mapping[str, str],
    health: pd.DataFrame | None = None,
    containers: pd.DataFrame | None = None,
    container_health: pd.DataFrame | None = None,
    container_events: pd.DataFrame | None = None,
    requests: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    logs: pd.DataFrame | None = None,
    health_body: Any = None,  # noqa: ANN401 (a JSON document)
    health_history: pd.DataFrame | None = None,
) -> Verdict:
    """Found when a probe fails, the engine calls a container unhealthy, or its checks failed twice in a row.

    Checks that fail while somebody restarts the container by hand do not count.
    """
    recorded = [row for row in in_order(rows_of(health_history)) if text_of(row, "verdict")]
    # without a look of its own, the recorder's latest probes are the present
    probes = [row for row in rows_of(health) if text_of(row, "verdict")] or recorded[-_LATEST:]
    failing = [row for row in probes if row["verdict"] != "healthy"]
    events = rows_of(container_events)
    held = with_requests(rows_of(containers), events)
    if failing and not recorded and may_be_elsewhere(probes, held):
        return elsewhere(probes)
    subject = subject_of(held, probes, probes_fail=bool(failing))
    known = list(checks_of(subject, [*recorded, *probes], rows_of(container_health), requests))
    checks = unasked(known, subject, events)
    episode = episode_of(checks, ends_of(subject, events))
    docker_fails = subject is not None and _is_failing(subject, without_probes=not probes)
    if not failing and not docker_fails and episode.until is None:
        # the other kinds only add detail: their gaps hide no failing check
        of_probes = "health" if health is not None else "health_history"
        return unless_cut(_nothing_found(probes, checks), (cut.get(kind, "") for kind in (of_probes, "containers")))
    spoken = errors if errors is not None and subject is not None else None
    if episode.onset is None:  # probes that fail now and then make no run, and are found all the same
        episode = Episode(next((row["at"] for row in in_order(failing)), None))
    related = _around(spoken, subject, episode)
    numbers: dict[str, object] = {"probes": len(probes), "probes_failing": len(failing)}
    if subject is not None:
        subject = _as_it_ended(subject, events, episode)
        keys = ("service", "name", "state", "health", "exit_code", "oom_killed", "restart_count")
        numbers |= {key: integer_of(subject, key) if "co" in key else subject.get(key) for key in keys}
    line, told = _telling_line(related, logs, subject, episode)
    if line:
        numbers["line"] = line
    recovered = not failing and not docker_fails
    answers = [one.sentence for one in complaints(health_body)[:1] if failing]
    explained_by = _explained_by(health_body, failing, related)
    if _ran_out_of_memory(subject, episode):
        explained_by = "memory-leak"
    own = subject.get("name") if subject is not None else None
    also_down = [row for row in held if row.get("name") != own and badness(row)[0]]
    numbers |= {"also_down": [text_of(row, "name") for row in also_down]} if also_down else {}
    return Verdict(
        VerdictState.FOUND,
        _sentence(probes, failing, subject, episode, checks, [*answers, told, *map(container_told, also_down)]),
        _advice(subject, explained_by, recovered=recovered, logs_kept=logs is not None and len(logs) > 0),
        episode.onset,
        _confidence(probes, failing, recovered=recovered),
        numbers,
        explained_by,
        until=episode.until if recovered else None,
    )


def _is_failing(row: Row, *, without_probes: bool = False) -> bool:
    """Say whether the engine calls a container unhealthy or, where nothing probes it, that it crashed."""
    if text_of(row, "state") in STOPPED:
        return without_probes and integer_of(row, "exit_code") not in {None, *ENDED_ON_PURPOSE}
    return text_of(row, "health") == "unhealthy"


def _around(errors: pd.DataFrame | None, subject: Row | None, episode: Episode) -> pd.DataFrame | None:
    """Return the service's errors since the onset until the checks passed again, else those of a minute before it.

    Those of before may be another trouble's, of which there are many more; they count of this run of it only.
    """
    if errors is None or subject is None or episode.onset is None:
        return None
    end = episode.until or (time_of(subject, "finished_at") if text_of(subject, "state") in STOPPED else None)
    start, started = episode.onset - _BEFORE, time_of(subject, "started_at")
    if started is not None and start < started <= episode.onset:
        start = started + _AFTER  # `near` looks five seconds back
    found = near(errors, text_of(subject, "service"), start, end)
    since = found[found["at"] >= episode.onset - _MOMENT]
    return since if len(since) else found


def _as_it_ended(subject: Row, events: list[Row], episode: Episode) -> Row:
    """Return a container that runs again with the exit code of its end in the episode, which only the events keep."""
    own = [row for row in in_order(events) if row.get("name") == subject.get("name")]
    since_onset = [row for row in own if episode.onset is None or row["at"] >= episode.onset - _AFTER]
    ends = [row for row in since_onset if row.get("action") == "die" and crashed(row, own)]
    if text_of(subject, "state") in STOPPED or not ends:
        return subject
    killed = any(row.get("action") == "oom" and abs(row["at"] - ends[-1]["at"]) <= _AFTER for row in own)
    return {**subject, "exit_code": ends[-1].get("exit_code"), "oom_killed": killed, "died_at": ends[-1]["at"]}


def _telling_line(
    related: pd.DataFrame | None, logs: pd.DataFrame | None, subject: Row | None, episode: Episode
) -> tuple[str, str]:
    """Return the last error of a stopped container, the most frequent of a running one, and the words to tell it in.

    Where it logged no error and fell silent with the onset, its last line is what there is: it went without a word.
    """
    stopped = subject is not None and text_of(subject, "state") in STOPPED
    if related is not None and len(related):
        if not stopped:
            line = telling_message(related)
            return line, f"its log says {quoted(line)}"
        last = rows_of(related)[-1]
        line = text_of(last, "message")
        return line, f"the last error it logged, at {clock(last['at'])}, says {quoted(line)}"
    if logs is None or subject is None or episode.until is not None or (episode.onset is None and not stopped):
        return "", ""
    own = [row for row in in_order(rows_of(logs[logs["service"] == text_of(subject, "service")])) if row.get("line")]
    if not own or (episode.onset is not None and own[-1]["at"] > episode.onset + _AFTER):
        return "", ""
    # what it answered well says when it fell silent, and nothing of why
    telling = next((row for row in reversed(own) if not says_answered(row["line"])), own[-1])
    line, when = text_of(telling, "line"), clock(own[-1]["at"])
    if telling is own[-1]:
        return line, f"its last log line, at {when}, is {quoted(line)}"
    before = f"before that, at {clock(telling['at'])}, it said {quoted(line)}"
    return line, f"its last log line, at {when}, is of a request it answered; {before}"


def _sentence(
    probes: list[Row],
    failing: list[Row],
    subject: Row | None,
    episode: Episode,
    checks: list[tuple[datetime, bool]],
    more: list[str],
) -> str:
    """Tell what irkit's own probes met apart from since when other checks have failed: only the latter go back."""
    name = text_of(subject, "service") or text_of(subject, "name") if subject is not None else ""
    parts = [_probed(probes, failing)] if failing else []
    began = _began_to_fail(checks, episode)
    if episode.until is not None and episode.onset is not None:
        of_whom = "" if failing or not name else f" of {name}"
        what = f"health checks{of_whom}" if began else f"the service {name}".rstrip()
        span = between(began or episode.onset, episode.until)
        parts.append(f"{what} failed{span}{since_then(checks, episode.until, passing='' if began else 'its checks ')}")
    else:
        down = subject is not None and text_of(subject, "state") in STOPPED
        if not failing:
            parts.append(f"the service {name} does not run" if down else f"the engine's health check of {name} fails")
        if began is not None and began < min((row["at"] for row in in_order(failing)), default=_NEVER) - _MOMENT:
            parts.append(f"health checks have failed{since(began)}{but_for(checks, began)}")
    if began is not None and len(checks) > len(probes) and began == min(at for at, _ in checks):
        parts.append(f"no check before {clock(began)} is on record, so it may have begun earlier")
    if subject is not None:
        parts.append(container_told(subject))
    text = "; ".join(part for part in [*parts, *more] if part)
    return f"{text[:1].upper()}{text[1:]}."


def _probed(probes: list[Row], failing: list[Row]) -> str:
    url = text_of(failing[-1], "url") or "the health endpoint"
    times = [row["at"] for row in in_order(failing)]
    when = between(min(times, default=None), max(times, default=None))
    met = {text_of(row, "verdict") for row in failing}
    how = f"failed ({listing(_how(row) for row in failing)})"
    if met == {"refused"}:
        how = f"{were(len(failing))} refused"
    elif met == {"timed_out"}:
        how = "timed out"
    return f"{len(failing)} of {count(len(probes), 'probe')} of {url}{when} {how}"


def _began_to_fail(checks: list[tuple[datetime, bool]], episode: Episode) -> datetime | None:
    """Return when checks began to fail: an episode may begin with the end of the container, and hold none at all."""
    first, end = episode.onset, episode.until or _NEVER
    return min((at for at, passed in checks if not passed and first is not None and first <= at < end), default=None)


def _how(row: Row) -> str:
    code, word = integer_of(row, "status_code"), text_of(row, "reported_status")
    own = row["verdict"] == "unhealthy" and word  # its own word for itself
    verdict = f"it says {quoted(word)}" if own else text_of(row, "verdict").replace("_", " ")
    return f"{verdict}, HTTP {code}" if code else verdict


def _explained_by(body: Any, failing: list[Row], related: pd.DataFrame | None) -> str:  # noqa: ANN401
    """Return the incident type the service itself blames: its health answer's failing parts, else its errors."""
    answered = any(integer_of(row, "status_code") for row in failing)
    if answered and said_of(body, Sign.CORRUPTION):
        return "database-corruption"
    content = body.get("json") if answered and isinstance(body, dict) else None
    blamed = [(path, said) for path, said in _bad_parts(content, "") if path]
    if blamed and all("provider" in path for path, _ in blamed):
        return "provider-failures"
    return incident_of_most(related) if related is not None and len(related) and not blamed else ""


def _bad_parts(value: object, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict) or path.count("/") > 4:  # noqa: PLR2004 (deeper than any health answer)
        return
    if str(value.get("status")).lower() in _BAD or value.get("healthy") is False:
        yield path, str(value.get("error") or value.get("detail") or "")
    for key, item in list(value.items())[:200]:
        if item is False or (isinstance(item, str) and item.lower() in _BAD and key not in {"status", "state"}):
            yield f"{path}/{str(key).lower()}", ""
        yield from _bad_parts(item, f"{path}/{str(key).lower()}")


def _ran_out_of_memory(subject: Row | None, episode: Episode) -> bool:
    """Say whether the failing began with an end that the engine flags; some keep that flag for later runs."""
    ended = time_of(subject, "finished_at") if subject is not None else None
    if subject is None or subject.get("oom_killed") is not True or ended is None or episode.onset is None:
        return False
    return abs(ended - episode.onset) <= _BEFORE


def _advice(subject: Row | None, explained_by: str, *, recovered: bool, logs_kept: bool) -> str:
    if recovered:
        return "It passes again; find out why it failed before it does so once more."
    stopped = subject is not None and text_of(subject, "state") in STOPPED
    if explained_by:
        blamed = f"The evidence blames {explained_by.replace('-', ' ')}"
        # what has ended serves nobody until it is started, though that mends nothing
        return f"{blamed}; {'a start brings it back only until that ends it again' if stopped else _NOT_BY_RESTART}."
    if stopped:
        kept = "this evidence holds those of its window" if logs_kept else "this evidence has none of them"
        asked = subject is not None and subject.get("ended_on_request")
        why = "Ask who had it stopped, and why" if asked else "Read why it ended"
        return f"{why}. Restarting it keeps its logs, removing or recreating it loses them; {kept}."
    return "A restart loses what is in its memory, so look there first; its logs stay until the container is removed."


def _confidence(probes: list[Row], failing: list[Row], *, recovered: bool) -> float:
    if recovered:
        return 0.8
    return 0.9 if not probes or not failing else 0.99 if len(failing) == len(probes) else 0.7


def _nothing_found(probes: list[Row], checks: list[tuple[datetime, bool]]) -> Verdict:
    if not checks and not probes:
        sentence = "Nobody checked: no probe of a health endpoint, and no container with a health check of its own."
        return Verdict(VerdictState.UNKNOWN, sentence, "Set http.health_url, or give the service a HEALTHCHECK.")
    passed = sum(passed for _, passed in checks)
    if not passed:
        return Verdict(
            VerdictState.UNKNOWN, "No check that passed is on record.", "Collect again with the service running."
        )
    sentence = f"{passed} of {count(len(checks), 'health check')} on record passed, the latest among them."
    return Verdict(VerdictState.CLEAR, sentence, confidence=0.95 if probes else 0.8)


def _probe(at: str, verdict: str, status_code: int | None) -> Row:
    url = "http://localhost:8000/api/health"
    return {"at": at, "url": url, "verdict": verdict, "status_code": status_code}


def _api(**changed: object) -> Row:
    usual = {
        "service": "jarvis-api",
        "name": "jarvis-api-1",
        "state": "running",
        "health": "healthy",
        "restart_count": 0,
    }
    return {**usual, "oom_killed": False, "ports": "127.0.0.1:8000->8000/tcp", **changed}


FIRES = (
    Example(
        "the runbook's own address refuses, and its container is there",
        {
            "health": [{**_probe("2026-11-24T03:06:00Z", "refused", None), "configured": False}] * 3,
            "containers": [_api(state="exited", exit_code=1, finished_at="2026-11-24T03:05:07Z")],
        },
    ),
    Example(
        "the container crashed and the port refuses",
        {
            "health": [_probe("2026-11-24T03:06:00Z", "refused", None)],
            "containers": [_api(state="exited", health="unhealthy", exit_code=1, finished_at="2026-11-24T03:05:07Z")],
            "logs": [
                {
                    "at": "2026-11-24T03:05:06Z",
                    "service": "jarvis-api",
                    "line": "CRITICAL pool exhausted: 5 of 5 in use",
                }
            ],
        },
    ),
    Example("every answer is a 500", {"health": [_probe("2026-11-24T03:06:00Z", "unhealthy", 500)] * 3}),
    Example(
        "the engine alone saw it",
        {
            "containers": [_api(health="unhealthy", health_failing_streak=4)],
            "container_health": [{"service": "jarvis-api", "started_at": "2026-11-24T03:05:10Z", "exit_code": 1}],
        },
    ),
    Example(
        "the recorder alone saw it",
        {
            "health_history": [
                _probe(f"2026-11-24T03:{second // 60:02d}:{second % 60:02d}Z", told, None)
                for second, told in enumerate(["healthy"] * 60 + ["timed_out"] * 30)
            ]
        },
    ),
    Example(
        "it failed and passes again",
        {
            "health": [_probe("2026-11-24T03:20:00Z", "healthy", 200)],
            "containers": [_api()],
            "container_health": [
                {"service": "jarvis-api", "started_at": f"2026-11-24T03:05:{second}Z", "exit_code": code}
                for second, code in (("10", 0), ("12", 1), ("14", 1), ("16", 0))
            ],
        },
    ),
)
QUIET = (
    Example("probes pass", {"health": [_probe("2026-11-24T03:06:00Z", "healthy", 200)] * 3, "containers": [_api()]}),
    Example(
        "a restart by hand",
        {
            "health": [_probe("2026-11-24T03:06:00Z", "healthy", 200)],
            "containers": [_api()],
            "container_events": [
                {"at": "2026-11-24T03:01:00Z", "service": "jarvis-api", "action": "kill", "signal": "15"},
                {"at": "2026-11-24T03:01:01Z", "service": "jarvis-api", "action": "die", "exit_code": 143},
                {"at": "2026-11-24T03:01:02Z", "service": "jarvis-api", "action": "start"},
            ],
            "health_history": [
                _probe(f"2026-11-24T03:{second // 60:02d}:{second % 60:02d}Z", told, None)
                for second, told in ((50, "healthy"), (60, "reset"), (62, "refused"), (64, "refused"), (66, "healthy"))
            ],
        },
    ),
    Example(
        "one slow answer in an hour",
        {
            "health_history": [
                _probe(f"2026-11-24T03:{minute:02d}:00Z", "timed_out" if minute == 7 else "healthy", None)  # noqa: PLR2004
                for minute in range(30)
            ]
        },
    ),
)
