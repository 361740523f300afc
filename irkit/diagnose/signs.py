"""What a message, a path or an exit code is a sign of: the words services use when a certain thing goes wrong."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from irkit.records import Row, integer_of, rows_where, text_of, time_of
from irkit.text.phrase import between, clock, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Sign(StrEnum):
    """A kind of failure that can be told from an error's own words."""

    TIMEOUT = "timeout"
    PROVIDER = "provider"
    RATE_LIMIT = "rate limit"
    CORRUPTION = "database corruption"
    UNREADABLE = "unreadable database"
    DATABASE = "database"
    CONTENTION = "database lock contention"
    MEMORY = "memory"


# Bounded, and without a part that can match the same text in two ways. Case does not matter.
_WORDS: dict[Sign, str] = {
    Sign.TIMEOUT: r"\btimed?[ -]?out\b|timeout(?:s|error|exception|expired)?\b"
    r"|deadline exceeded|etimedout|\b504\b.{0,20}gateway",
    Sign.PROVIDER: r"\bprovider\b|\bopenai\b|\banthropic\b|\bollama\b|\bgemini\b|\bmistral\b|\bcohere\b|\bbedrock\b"
    r"|\bllm\b|\bcompletions?\b|\bapi key\b|\bmodel (?:is )?(?:overloaded|unavailable|not found)\b",
    Sign.RATE_LIMIT: r"rate.?limit|too many requests|\bstatus(?:_code)?[=: ]{1,2}429\b|\b429 too\b|quota exceeded"
    r"|insufficient_quota|resource.?exhausted|\bthrottl(?:ed|ing)",
    Sign.CORRUPTION: r"disk image is malformed|file is (?:not a|encrypted or is not a) (?:sqlite )?database"
    r"|the file is (?:empty \(zero|cut short)"
    r"|database corrupt|malformed database schema|\bsqlite_(?:corrupt|notadb)|btreeinitpage|disk i/o error"
    r"|sqlite_ioerr",
    Sign.UNREADABLE: r"unable to open database file|no such (?:table|column)|disk i/o error",
    Sign.DATABASE: r"\bsqlite3?\b|unable to open database file|attempt to write a readonly database|no such table"
    r"|database or disk is full|database schema (?:has changed|is locked)|constraint failed|database is locked"
    r"|database table is locked|\bsqlalche\.me\b",
    Sign.CONTENTION: r"database (?:table |schema )?is locked|\bsqlite_(?:busy|locked)",
    Sign.MEMORY: r"\bmemoryerror\b|out of ?memory|cannot allocate memory|\boom[- ]?kill",
}
PATTERNS = {sign: re.compile(words, re.IGNORECASE) for sign, words in _WORDS.items()}
PATTERNS[Sign.DATABASE] = re.compile(f"{_WORDS[Sign.DATABASE]}|{_WORDS[Sign.CORRUPTION]}", re.IGNORECASE)

# The incident type each sign speaks for, in the order they are asked: a damaged database also times out.
_SPEAKS_FOR = (
    (Sign.CORRUPTION, "database-corruption"),
    (Sign.RATE_LIMIT, "provider-failures"),
    (Sign.PROVIDER, "provider-failures"),
    (Sign.MEMORY, "memory-leak"),
)
HEALTH_PATH = re.compile(r"/(?:health(?:z|check)?|livez?|readyz?|ping|heartbeat|status)/?$", re.IGNORECASE)
AI_PATH = re.compile(
    r"/(?:chat|completions?|generate|ask|prompt|assistant|llm|ai|inference|embeddings?)(?:/|$)", re.IGNORECASE
)
DASHBOARD_PATH = re.compile(r"dashboard", re.IGNORECASE)

_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
            11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}  # fmt: skip
# of HTTP: it was answered as it should be
WELL_CODES = range(200, 300)
STOPPED = frozenset({"exited", "dead", "restarting"})
_TRACEBACK = "Traceback (most recent call last)"
# what a logger calls each request, well or failed
_ONLY_A_REQUEST = re.compile(
    r"(?:(?:http|api|access|incoming|web)[ ._-]?)?(?:request|response|access)"
    r"(?:[ ._-](?:finished|completed|complete|failed|ended|end|handled|served|done|processed|error|log))?\.?",
    re.IGNORECASE,
)
# a class as exceptions are named, with the words after it or alone
_RAISED = re.compile(
    r"(?:[A-Za-z_][\w$]{0,80}\.){0,8}+"
    r"(?:[A-Z](?=[A-Z\d_]{0,80}[a-z])[\w$]{0,80}: \S|[A-Z]?[\w$]{0,80}?(?:Error|Exception)(?::|$))"
)
_MAIN_SHARE = 0.5
_GRACE = timedelta(seconds=5)
_SEARCHED_CHARS = 2_000
_FEWEST_USERS = 10
_CLIENT_ERROR = 400
_HARDLY_CHANCE = 0.01


def has(sign: Sign, text: object) -> bool:
    """Say whether a text bears a sign."""
    return isinstance(text, str) and PATTERNS[sign].search(text[:_SEARCHED_CHARS]) is not None


def bearing(errors: pd.DataFrame | None, *signs: Sign) -> pd.DataFrame:
    """Return the errors whose message or line bears one of the signs, in order of time; none for None."""
    import pandas as pd

    if errors is None:
        columns = {name: pd.Series(dtype=object) for name in ("service", "message", "line")}
        return pd.DataFrame({"at": pd.Series(dtype="datetime64[us, UTC]"), **columns})
    return rows_where(errors, (any(has(sign, text) for sign in signs) for text in spoken(errors)))


def spoken(errors: pd.DataFrame) -> list[str]:
    """Return each error's own words: what was raised and the log line before it, without the code of a traceback.

    Code names things that did not fail: a frame with `timeout=timeout` is no timeout.
    """
    pairs = zip(errors["message"].tolist(), errors["line"].tolist(), strict=True)
    return [f"{head}\n{message}" if (head := _head(line)) != message else head for message, line in pairs]


def users_requests(requests: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Leave out what machines ask about health, and say in words what was done with it.

    Health checks come by the dozen, are quick while users wait, and fail for a degraded provider while users are
    served. Where hardly anybody else asks they are all there is, and count.
    """
    checks = requests["path"].map(lambda path: HEALTH_PATH.search(path) is not None).astype(bool)
    if not checks.any():
        return requests, ""
    if int((~checks).sum()) < _FEWEST_USERS:
        return requests, ", health checks included,"
    return requests[~checks], ", health checks aside,"


def last_words(output: object) -> str:
    """Return what a program's output says: of a traceback its last line, else all of it."""
    text = output if isinstance(output, str) else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines and _TRACEBACK in text else text


def _head(line: object) -> str:
    head = line.partition("\n")[0] if isinstance(line, str) else ""
    return "" if head.startswith(_TRACEBACK) else head


def near(errors: pd.DataFrame, service: str | None, start: datetime, end: datetime | None) -> pd.DataFrame:
    """Return a service's errors (None: all) from `start` to `end` (None: to the last), with five seconds of grace."""
    mask = errors["at"] >= start - _GRACE
    if end is not None:
        mask &= errors["at"] <= end + _GRACE
    if service is not None:
        mask &= errors["service"] == service
    return errors[mask]


def during(errors: pd.DataFrame) -> str:
    """Write from when to when the errors were logged, ` from 03:05:07 UTC to 03:06:00 UTC`."""
    times = errors["at"].dropna()
    return between(times.min(), times.max()) if len(times) else ""


def over_at(failed: Sequence[datetime], requests: pd.DataFrame | None) -> datetime | None:
    """Return when the last of these failures was, where requests that were served later show that they are over.

    At the rate of failures to served requests from the first to the last, so many more served ones without a failure
    would come in less than one of a hundred cases; ten at least. None where they go on, or too little came later.
    """
    if requests is None or not failed:
        return None
    first, last = min(failed), max(failed)
    asked, _ = users_requests(requests)
    served = asked[(asked["status_code"] < _CLIENT_ERROR) & asked["at"].notna()]["at"]
    meanwhile, later = int(served.between(first, last).sum()), int((served > last).sum())
    chance = (meanwhile / (meanwhile + len(failed))) ** later
    return last if later >= _FEWEST_USERS and chance < _HARDLY_CHANCE else None


def incident_of(message: object) -> str:
    """Return the incident type an error's words speak for, "" where they speak for none."""
    return next((incident for sign, incident in _SPEAKS_FOR if has(sign, message)), "")


def incident_of_most(errors: pd.DataFrame) -> str:
    """Return the incident type at least half of the errors speak for, "" where there is none."""
    blamed = [incident_of(text) for text in spoken(errors)]
    named = max(set(blamed) - {""}, key=blamed.count, default="")
    return named if named and blamed.count(named) >= _MAIN_SHARE * len(blamed) else ""


def telling_message(errors: pd.DataFrame) -> str:
    """Return the message that most of the errors share, the latest of equals; "" where there is none.

    Those that say no more than that there was a request are left out as soon as one says what was raised.
    """
    messages = [message for message in errors["message"].tolist() if isinstance(message, str) and message]
    told = [message for message in messages if not _ONLY_A_REQUEST.fullmatch(message)]
    if any(map(names_what_was_raised, told)):
        messages = told
    ranked = {message: (messages.count(message), index) for index, message in enumerate(messages[-1000:])}
    return max(ranked, key=lambda message: ranked[message], default="")


def names_what_was_raised(message: object) -> bool:
    """Say whether a message begins with a class as exceptions are named."""
    return isinstance(message, str) and _RAISED.match(message) is not None


def exit_meaning(exit_code: int | None, *, oom_killed: bool | None) -> str:
    """Say what an exit code proves and no more; 137 alone is a SIGKILL from anybody."""
    if exit_code is None:
        return "its exit code is not known"
    if oom_killed:
        return f"killed by the kernel for want of memory (exit code {exit_code}, flagged by the engine)"
    if exit_code > 128:  # noqa: PLR2004 (128 + n is how shells and engines report death by signal n)
        signal = _SIGNALS.get(exit_code - 128, f"signal {exit_code - 128}")
        if exit_code == 137:  # noqa: PLR2004
            flag = (
                "the engine flags no lack of memory" if oom_killed is False else "the out-of-memory flag is not known"
            )
            return f"exit code 137 ({signal}; {flag}, and 137 alone does not say who killed it)"
        return f"exit code {exit_code} ({signal})"
    meanings = {0: "a clean end", 1: "an error of its own", 2: "an error of its own or wrong usage",
                125: "the engine could not run it", 126: "its command is not executable",
                127: "its command was not found"}  # fmt: skip
    return f"exit code {exit_code} ({meanings.get(exit_code, 'an error of its own')})"


def container_told(row: Row) -> str:
    """Say of a row of `containers` whether it runs, how it ended (`died_at`: of one that runs again) and how often."""
    name, state = text_of(row, "name") or text_of(row, "service"), text_of(row, "state")
    restarts = integer_of(row, "restart_count") or 0
    again = f", restarted {count(restarts, 'time')} by the engine" if restarts else ""
    if state in STOPPED:
        ended = time_of(row, "finished_at")
        meaning = exit_meaning(integer_of(row, "exit_code"), oom_killed=row.get("oom_killed"))
        if row.get("ended_on_request") is True:
            meaning = f"somebody had it stopped (exit code {integer_of(row, 'exit_code')})"
        how = "is in a restart loop, last ended" if state == "restarting" else state
        return f"container {name} {how}{f' at {clock(ended)}' if ended else ''}: {meaning}{again}"
    if died := time_of(row, "died_at"):
        meaning = exit_meaning(integer_of(row, "exit_code"), oom_killed=row.get("oom_killed"))
        again = f"{again}, after it died at {clock(died)}: {meaning}"
    streak = integer_of(row, "health_failing_streak") or 0
    health = f", {text_of(row, 'health')}" if text_of(row, "health") not in {"", "none"} else ""
    failed = f" after {count(streak, 'failed check')}" if streak else ""
    return f"container {name} is {state or 'in an unknown state'}{health}{failed}{again}"
