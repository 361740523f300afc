"""One log line to the SQL statement it tells of and how long that took; lines without both tell of none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from irkit.logs.formats import duration_in, duration_of, json_fields, logfmt_fields

MAX_SQL_CHARS = 20_000
_TRIES = 5
_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH")
# a statement and not prose: the verb with the word that must follow it
_STATEMENT = re.compile(
    r"\b(?:SELECT\s(?=.{1,8000}?\sFROM\s)|INSERT\s+(?:OR\s+\w{1,20}\s+)?INTO\s|REPLACE\s+INTO\s|DELETE\s+FROM\s"
    r"|UPDATE\s+(?:OR\s+\w{1,20}\s+)?[\w\"`\[\].]{1,200}\s+SET\s|WITH\s+(?:RECURSIVE\s+)?\w{1,100}[^;]{0,400}?\sAS\s*\()",
    re.IGNORECASE | re.DOTALL,
)
# in capitals a verb is one of SQL's; in small letters only where a value begins
_BEGINS = (":", "=", "(", ")", '"', "'", "`", "[")
_ARGUMENTS = re.compile(r"[;|,]?\s{0,3}[\[(]?\b(?:args|params|parameters|binds?)\s{0,2}[=:].*", re.DOTALL)
_TOOK = re.compile(
    r"[-;|,]{0,2}\s{1,3}[\[(]?(?:(?:took|duration|elapsed|in|time)[_a-z]{0,8}[=: ]{1,2})?"
    r"[0-9]{1,12}(?:\.[0-9]{1,12})? ?(?:ns|us|µs|μs|ms|s|sec|seconds)[\])]?\s*$"
)
# Django's logger writes seconds to the millisecond in brackets, without a unit
_DJANGO = re.compile(r"\(([0-9]{1,6}\.[0-9]{3})\)\s{0,3}$")
_SQL_KEYS = ("sql", "query", "statement", "sql_query", "db.statement", "db.query.text", "db.query", "message", "msg")


@dataclass(frozen=True, slots=True)
class QueryLine:
    """An SQL statement as it was logged, and how long it took."""

    sql: str
    duration_s: float


def parse_query(text: str) -> QueryLine | None:
    """Read a cleaned line: free text, JSON or logfmt; None where it lacks the statement or a duration with a unit."""
    if not any(verb in text or verb.lower() in text for verb in _VERBS):
        return None
    if text[:1] == "{":
        return _from_fields(json_fields(text))
    start = _start_of(text)
    if start is None:
        return None
    before, rest = text[:start], text[start:]
    if before.endswith('="') and (told := _from_fields(logfmt_fields(text))):
        return told
    end = min(tail.start() if (tail := pattern.search(rest)) else len(rest) for pattern in (_ARGUMENTS, _TOOK))
    duration_s = _django_s(before) or duration_in(before) or duration_in(rest[end:])
    return QueryLine(_bare(rest[:end], before[-1:]), duration_s) if duration_s is not None else None


def _from_fields(fields: Mapping[str, object]) -> QueryLine | None:
    duration_s = duration_of(fields)
    for key in _SQL_KEYS:
        value = fields.get(key)
        if not isinstance(value, str) or (start := _start_of(value)) is None:
            continue
        if duration_s is None:
            return parse_query(value) if value[:1] != "{" else None
        return QueryLine(_bare(value[start:]), duration_s)
    return None


def _start_of(text: str) -> int | None:
    """Return where the statement begins, None where there is none."""
    for found in islice(_STATEMENT.finditer(text, 0, MAX_SQL_CHARS), _TRIES):
        if text[found.start()].isupper() or text[: found.start()].rstrip()[-1:] in ("", *_BEGINS):
            return found.start()
    return None


def _bare(sql: str, quote: str = "") -> str:
    """Return a statement without the semicolon and the closing quote of what it was written in."""
    sql = sql.rstrip().removesuffix(quote) if quote in {'"', "'", "`"} else sql
    return sql.rstrip("; \t\r\n")


def _django_s(before: str) -> float | None:
    found = _DJANGO.search(before)
    return float(found[1]) if found else None
