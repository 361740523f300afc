"""One log line to its fields: access lines, JSON, logfmt and levelled text; what cannot be told is left out.

A unit that is not written down is not guessed: a duration of unknown unit is None, since a p95 that is wrong by a
factor of a thousand does more harm than one that is missing. Every pattern is bounded, so no line is slow to read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from irkit.logs.requests import plain_request
from irkit.text.visible import without_ansi

MAX_LINE_CHARS = 65_536
_LOOK_CHARS = 400
_SERVER_ERROR = 500
_PATH_CHARS = 2_048
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
_LEVELS = {
    **dict.fromkeys(("trace", "debug", "verbose"), "debug"),
    **dict.fromkeys(("info", "information", "notice", "log", "success"), "info"),
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("err", "error", "severe"), "error"),
    **dict.fromkeys(("crit", "critical", "alert", "emerg", "emergency", "fatal", "panic", "dpanic"), "critical"),
}
# bunyan and pino number their levels
_NUMBERED = ((60, "critical"), (50, "error"), (40, "warning"), (30, "info"))

_ACCESS = re.compile(
    r'"([A-Z]{3,12}) ([^\s"]{1,8192}) HTTP/[0-9.]{1,4}" ([1-5][0-9]{2})(?![0-9])(.{0,4096})', re.DOTALL
)
_QUOTED = re.compile(r'"[^"]{0,4096}"')
_NAMED_DURATION = re.compile(
    r"\b(?:rt|request_time|process_time|duration|elapsed|took|time|latency|response_time)"
    r"(_ns|_us|_ms|_s|_seconds)?[=: ]{1,2}([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(ns|us|µs|μs|ms|s|sec|seconds)?\b"
)
_UNIT_DURATION = re.compile(r"(?<![\w.])([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(ns|us|µs|μs|ms|s|sec|seconds)(?![\w.])")
# nginx writes $request_time with three decimals, gunicorn %(L)s with six; a bare integer could be %T, %D or %M
_TRAILING_SECONDS = re.compile(r'(?:^|["\s])([0-9]{1,6}\.(?:[0-9]{3}|[0-9]{6}))(?=\s|$|")')
_PAIR = re.compile(r'([A-Za-z_][\w.@-]{0,63})=("(?:[^"\\]|\\.){0,8192}"|[^\s"]{0,8192})')
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(ns|us|µs|μs|ms|s)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]{0,255}")
_LEVEL = re.compile(
    r'(?:^|[\s\[|<(:"])'
    r"(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|ALERT|EMERG|FATAL|PANIC)"
    r'(?=[\s\]|>):",]|$)'
)
_LOWER_LEVEL = re.compile(
    r"(?:\[(?:[a-z_]{1,30}:)?|\b(?:level|lvl|severity|levelname)=\"?)"
    r"(trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|alert|emerg|fatal|panic)\b\]?\"?",
    re.IGNORECASE,
)
_KLOG = re.compile(r"([IWEF])[0-9]{4} [0-9:.]{8,15}\s{1,9}[0-9]{1,9} ([^\s\]]{1,120})\] ")
_BARE_ERROR = re.compile(
    r"(?:Exception in thread \"[^\"]{0,120}\" )?(?:Uncaught )?"
    r"(?:(?:[A-Za-z_][\w.$]{0,120})?(?:Error|Exception|Interrupt)(?=: |:?$)|(?:error|fatal error|fatal|panic): )"
)
_DIED = re.compile(r"(?:Killed|Segmentation fault|Aborted|Bus error|Illegal instruction)(?: \(core dumped\))?\.?$")
_LOGGER_BEFORE = re.compile(r"(?:^|\s)-\s([A-Za-z_][\w.]{0,120})\s-\s?$")
_LOGGER_AFTER = re.compile(r":?([A-Za-z_][\w.<>-]{0,120})(?::[\w.<>]{1,120}:[0-9]{1,7} - |:(?=\S))")
_HINTS = ("err", "crit", "fatal", "sever", "emerg", "alert", "panic", "traceback", "exception", "killed", "fault")

_METHOD_KEYS = ("method", "http_method", "http.method", "request_method", "requestmethod", "http.request.method",
                "request.method", "req.method", "httprequest.requestmethod", "verb")  # fmt: skip
PATH_KEYS = ("path", "request_path", "requestpath", "uri", "request_uri", "url", "url.path", "url_path", "uri_path",
              "http.target", "http.url", "http.path", "http_path", "request.path", "request.uri", "request.url",
              "request.url.path", "req.url", "httprequest.requesturl", "raw_path", "path_info", "http.route", "route",
              "endpoint")  # fmt: skip
_STATUS_KEYS = ("status", "status_code", "statuscode", "http_status", "http.status_code", "http.response.status_code",
                "response.status", "response.status_code", "res.statuscode", "response_status", "httprequest.status",
                "downstreamstatus")  # fmt: skip
_DURATION_STEMS = ("duration", "elapsed", "latency", "response_time", "request_time", "process_time", "took",
                   "time_taken", "http.duration", "httprequest.latency", "http.server.request.duration")  # fmt: skip
# names whose unit is fixed by who writes them: nginx, Starlette's middleware, OpenTelemetry; pino
_FIXED_UNITS = {"request_time": 1.0, "process_time": 1.0, "http.server.request.duration": 1.0, "responsetime": 1e-3}
_SUFFIXES = {"_ns": 1e-9, "_us": 1e-6, "_ms": 1e-3, "_s": 1.0, "_sec": 1.0, "_seconds": 1.0, "ms": 1e-3}
_DURATION_KEYS = {stem + suffix: unit for stem in _DURATION_STEMS for suffix, unit in _SUFFIXES.items()} | _FIXED_UNITS

_LEVEL_KEYS = ("level", "levelname", "severity", "log.level", "lvl", "loglevel", "record.level.name", "level_name")
_MESSAGE_KEYS = ("message", "msg", "event", "record.message", "text", "error", "error.message", "err.message")
_LOGGER_KEYS = ("logger", "logger_name", "log.logger", "record.name", "name", "component", "module")
_STACK_KEYS = ("exc_info", "exception", "traceback", "stack_trace", "error.stack_trace", "err.stack", "stack",
               "exc_text", "stacktrace", "exception.stacktrace", "exc")  # fmt: skip
# what was raised in fields of its own: its type, and what it says. OpenTelemetry's, ECS's, Datadog's, bunyan's, pino's,
# and homemade ones
_RAISED_KEYS = (
    ("exc_type", ("exc_value", "exc_message", "exc_msg", "exc")),
    ("exception_type", ("exception_message", "exception_value", "exception")),
    ("exception_class", ("exception_message",)),
    ("error_type", ("error_message", "error")),
    ("error_class", ("error_message",)),
    *(
        (f"{what}.{kind}", (f"{what}.message", f"{what}.msg", f"{what}.value"))
        for what in ("exception", "error", "err", "exc")
        for kind in ("type", "class", "kind", "name")
    ),
)


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request as one line tells it; `structured` when the application wrote fields, not a server an access line."""

    method: str
    path: str
    status_code: int
    duration_s: float | None
    structured: bool


@dataclass(frozen=True, slots=True)
class LevelLine:
    """A line's level (debug, info, warning, error, critical), logger (maybe empty) and message."""

    level: str
    logger: str
    message: str

    @property
    def is_error(self) -> bool:
        return self.level in {"error", "critical"}


def clean(line: object) -> str:
    """Return a line as text to be parsed: without ANSI colours and NULs, cut at 64 Ki characters; "" if none."""
    if not isinstance(line, str):
        return ""
    text = line[:MAX_LINE_CHARS] if len(line) > MAX_LINE_CHARS else line
    return without_ansi(text).replace("\x00", "").rstrip("\r\n")


def parse_request(text: str) -> RequestLine | None:
    """Read a request from a cleaned line: uvicorn, gunicorn, nginx, Apache, JSON, logfmt or plain text."""
    if " HTTP/" in text and (found := _ACCESS.search(text)):
        return _request(found[1], found[2], found[3], duration_in(found[4]), structured=False)
    if text[:1] == "{":
        return _from_fields(json_fields(text)) if "ethod" in text or "verb" in text or " /" in text else None
    if "=" in text and "status" in text and "method=" in text:
        return _from_fields(logfmt_fields(text), _PAIR.sub(" ", text))
    return _plain(text)


def lacks_a_path(text: str) -> bool:
    """Say whether a cleaned line is JSON with a method and a status, and a path under none of `PATH_KEYS`."""
    if text[:1] != "{" or ("ethod" not in text and "verb" not in text):
        return False
    fields = json_fields(text)
    method, status = _worded(fields, _METHOD_KEYS), _first(fields, _STATUS_KEYS)
    if method is None or _worded(fields, PATH_KEYS) is not None or parse_request(text) is not None:
        return False
    return _request(method, "/", status, None, structured=True) is not None


def says_answered(line: object) -> bool:
    """Say whether a line tells of a request that was answered, and by no error of the server."""
    read = parse_request(clean(line))
    return read is not None and read.status_code < _SERVER_ERROR


def parse_level(text: str, service: str = "") -> LevelLine | None:
    """Read level, logger and message from a cleaned line; None where no level can be told."""
    if text[:1] == "{":
        return _level_of_fields(json_fields(text))
    upper, lower = _LEVEL.search(text, 0, _LOOK_CHARS), _LOWER_LEVEL.search(text, 0, _LOOK_CHARS)
    found = min((item for item in (upper, lower) if item), key=lambda item: item.start(1), default=None)
    if found is None:
        return _unmarked(text)
    level = _LEVELS[found[1].lower()]
    if found[0].rstrip('"').lower().endswith(found[1].lower()) and "=" in found[0]:
        fields = logfmt_fields(text)
        message = _first(fields, _MESSAGE_KEYS)
        return LevelLine(level, str(_first(fields, _LOGGER_KEYS) or ""), str(message or text))
    before = _LOGGER_BEFORE.search(text[: found.start(1)][-140:])
    rest = text[found.end() :].lstrip(' \t]|>)"') if before is None else text[found.end() :].lstrip(" \t-")
    logger = before[1] if before else ""
    if not before and (after := _LOGGER_AFTER.match(rest)):
        logger, rest = after[1], rest[after.end() :]
    rest = rest.lstrip(" \t:")
    if not logger and service and rest.startswith(f"{service} "):
        logger, rest = service, rest[len(service) :].lstrip(" \t:")
    return LevelLine(level, logger, rest or text)


def may_be_error(text: str) -> bool:
    """Say in well under a microsecond whether a closer look at a cleaned line is worth it."""
    lowered = text[:_LOOK_CHARS].lower() if text[:1] != "{" else text.lower()
    if any(hint in lowered for hint in _HINTS):
        return True
    return (text[:1] in {"E", "F"} and text[1:5].isdigit()) or (text[:1] == "{" and '"level"' in text)


def json_fields(text: str) -> dict[str, object]:
    """Return a JSON line's values by lower-case key, nested keys joined by dots to three levels; {} if malformed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    fields: dict[str, object] = {}
    _flatten(value, "", 0, fields)
    return fields


def logfmt_fields(text: str) -> dict[str, object]:
    """Return the `key=value` pairs anywhere in a line by lower-case key; the first of a name wins."""
    fields: dict[str, object] = {}
    for pair in _PAIR.finditer(text):
        value = pair[2]
        fields.setdefault(pair[1].lower(), value[1:-1].replace('\\"', '"') if value[:1] == '"' else value)
    return fields


def _flatten(value: object, prefix: str, depth: int, into: dict[str, object]) -> None:
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        name = f"{prefix}{str(key).lower()}"
        into.setdefault(name, item)
        if isinstance(item, Mapping) and depth < 2:  # noqa: PLR2004 (the deepest in use is loguru's record.level.name)
            _flatten(item, f"{name}.", depth + 1, into)


def _plain(text: str) -> RequestLine | None:
    found = plain_request(text)
    if found is None:
        return None
    return _request(found.method, found.path, found.status, duration_in(found.said), structured=True)


def _from_fields(fields: Mapping[str, object], beside: str = "") -> RequestLine | None:
    """Read a request from a line's fields; `beside` is the text around them, which may tell a duration."""
    method, path, status = _worded(fields, _METHOD_KEYS), _worded(fields, PATH_KEYS), _first(fields, _STATUS_KEYS)
    if method is None or path is None:
        message = _first(fields, _MESSAGE_KEYS)
        if not isinstance(message, str):
            return None
        if found := _ACCESS.search(message):
            return _request(found[1], found[2], found[3], duration_in(found[4]), structured=True)
        return _plain(message)
    duration_s = duration_of(fields)
    if duration_s is None and (told := _UNIT_DURATION.search(beside)):
        duration_s = _bounded(told[1], _SECONDS[told[2]])
    return _request(method, path, status, duration_s, structured=True)


def _request(
    method: str, path: str, status: object, duration_s: float | None, *, structured: bool
) -> RequestLine | None:
    try:
        code = int(str(status)[:8])
    except ValueError:
        return None
    if not 100 <= code <= 599 or not method.isalpha():  # noqa: PLR2004 (the range of HTTP status codes)
        return None
    plain = _ABSOLUTE.sub("", path, count=1) if "://" in path else path
    plain = plain.partition("?")[0].partition("#")[0][:_PATH_CHARS]
    return RequestLine(method.upper(), plain or "/", code, duration_s, structured)


def duration_of(fields: Mapping[str, object]) -> float | None:
    """Return the seconds that a line's fields tell under a name that says what they are of, and in which unit."""
    for name, value in fields.items():
        if name in _DURATION_KEYS or name in _DURATION_STEMS:
            duration_s = _amount_s(value, _DURATION_KEYS.get(name))
            if duration_s is not None:
                return duration_s
    return None


def duration_in(text: str) -> float | None:
    """Return the seconds that free text tells; quoted parts (a referrer, a user agent) may hold anything: left out."""
    if not text:
        return None
    bare = _QUOTED.sub('""', text)
    if named := _NAMED_DURATION.search(bare):
        unit = (named[1] or "").lstrip("_") or named[3]
        if unit or "." in named[2]:
            return _bounded(named[2], _SECONDS[unit] if unit else 1.0)
    if united := _UNIT_DURATION.search(bare):
        return _bounded(united[1], _SECONDS[united[2]])
    trailing = _TRAILING_SECONDS.search(bare)
    return _bounded(trailing[1], 1.0) if trailing else None


def _amount_s(value: object, unit: float | None) -> float | None:
    if isinstance(value, str) and (written := _AMOUNT.fullmatch(value.strip()[:40])):
        return _bounded(written[1], _SECONDS[written[2]])
    return _bounded(value, unit) if unit is not None else None


def _bounded(value: object, unit: float) -> float | None:
    try:
        seconds = float(str(value)[:40]) * unit
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds < 1e6 else None  # noqa: PLR2004 (over eleven days)


def _level_of_fields(fields: Mapping[str, object]) -> LevelLine | None:
    raw = _first(fields, _LEVEL_KEYS)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        level = next((name for least, name in _NUMBERED if raw >= least), "debug")
    else:
        level = _LEVELS.get(str(raw).lower(), "")
    stack = _first(fields, _STACK_KEYS)
    if not level and not stack:
        return None
    logger, message = _first(fields, _LOGGER_KEYS), _first(fields, _MESSAGE_KEYS)
    said = _raised(fields) or _last_of_stack(stack) or str(message if message is not None else "")
    return LevelLine(level or "error", logger if isinstance(logger, str) else "", said)


def _last_of_stack(stack: object) -> str:
    """Return what was raised: the last line of a traceback as text, or structlog's and loguru's type and value."""
    if isinstance(stack, str):
        lines = [line for line in stack.splitlines() if line.strip()]
        # Java and Node put it first, Python last
        return next(iter(lines[:1] if len(lines) > 1 and lines[-1][:1] in " \t" else lines[-1:]), "")
    if isinstance(stack, list) and stack:
        stack = stack[-1]
    if isinstance(stack, Mapping):
        kind = stack.get("exc_type") or stack.get("type")
        return f"{kind}: {stack.get('exc_value', stack.get('value', ''))}" if kind else ""
    return ""


def _raised(fields: Mapping[str, object]) -> str:
    """Return the type and the words of what was raised where a line has fields for them, "" where it has none."""
    for kind, words in _RAISED_KEYS:
        if isinstance(name := fields.get(kind), str) and name:
            said = next((text for word in words if isinstance(text := fields.get(word), str) and text), "")
            said, *more = said.splitlines() or [""]
            if any(line[:1] in {" ", "\t"} for line in more):  # a traceback, of which the last line says it all
                return ""
            return said if said.startswith(name) else f"{name}: {said}".removesuffix(": ")
    return ""


def _unmarked(text: str) -> LevelLine | None:
    """Read lines that carry no level and still tell one: klog's letter, a bare exception, a shell's last word."""
    if (klog := _KLOG.match(text)) is not None:
        letters = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
        return LevelLine(letters[klog[1]], klog[2], text[klog.end() :])
    if _BARE_ERROR.match(text):
        return LevelLine("error", "", text)
    return LevelLine("critical", "", text) if _DIED.match(text) else None


def _worded(fields: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """Return the first of these that is text: beside `url.path`, nested fields hold a `url` that is none."""
    return next((value for name in names if isinstance(value := fields.get(name), str)), None)


def _first(fields: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), None)
