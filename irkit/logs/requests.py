"""A request in a line of plain text: method, path and status beside each other, as no server's own format has it.

`GET /buy -> 502 in 3.3 ms`, `"POST /x" 200 12ms`, `| 200 | 1.2ms | GET "/x"`. Prose, a client's own calls, statements
and frames hold the same words, so all of the line must be of the form: before it what loggers write, after it amounts.
Every repetition is bounded and gives nothing back, so no line is slow to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

# TRACE is a level, CONNECT no request that a service answers
_METHODS = "GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS"
_LOOK_CHARS = 4_096
_TAIL_CHARS = 400
_CALL = re.compile(
    rf"(?<![\w/.=-])[\"']?(?P<method>{_METHODS})[\"']?(?:\s{{1,12}}| \| )"
    r"[\"'`]?(?P<path>/[^\s\"'`,;|]{0,2048}?)(?=:?[\"'`\s,;|]|:?$)[\"'`]?"
    r"(?: HTTP/[0-9.]{1,4}[\"']?)?"
)
_AMOUNT = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_DURATION = rf"\(?{_AMOUNT} ?(?:ns|us|µs|μs|ms|s|sec|secs|seconds|milliseconds)\)?"
_ADDRESS = (
    r"(?:from )?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}\]?)(?::[0-9]{1,5})?"
)
_SIGN = r"(?:[-=]{1,2}>|→|[-–:|,;])"
_SAYS = r"(?:returned|responded|answered|completed|finished|with|status(?:[ _]code)?|code|took|in|after|time)[:=]?"
_STATUS = re.compile(
    rf"(?:[\s(]|{_SIGN}|{_SAYS}(?=[\s\d])|{_DURATION}(?=[\s|,;]|$)|{_ADDRESS}(?=\s)){{1,12}}+(?P<status>[1-5][0-9]{{2}})\)?"
    r"(?=[\s,;|:]|$)"
)
_PHRASE = "|".join(sorted({re.escape(one.phrase) for one in HTTPStatus}, key=len, reverse=True))
_PAIR = r"[A-Za-z_][\w.-]{0,63}=(?:\"[^\"]{0,400}\"|[^\s\"]{0,400})"
_REST = re.compile(
    rf"(?:\s|{_SIGN}|(?:{_PHRASE}|{_SAYS})(?=[\s,;|:]|$)|{_DURATION}(?=[\s|,;.]|$)|{_PAIR}|{_ADDRESS}(?=[\s|,;]|$)"
    rf"|{_AMOUNT} ?(?:[kKMG]i?)?(?:[bB]|bytes)?(?=[\s|,;]|$)|\"[^\"]{{0,400}}\"|\[[^\]]{{0,200}}\]|\.$){{0,40}}+"
)
_STATUS_FIRST = re.compile(
    rf"(?:^|[\s|\]])(?P<status>[1-5][0-9]{{2}})(?P<between>(?:\s|{_SIGN}|{_DURATION}(?=[\s|,;])|{_ADDRESS}(?=[\s|])){{1,20}}+)$"
)
# what stands before a request in a line of a log: times, a level, names in brackets, pairs, at most three bare names
_TIME = r"[0-9]{1,4}[-/:][0-9]{1,2}[-/:][0-9]{1,4}(?:[T ]?[0-9:.,]{0,18}(?:Z|[+-][0-9:]{2,6})?)?"
_HEAD = re.compile(
    rf"(?:\s|{_SIGN}|{_TIME}|\[[^\]]{{0,120}}\]|\([^)]{{0,120}}\)|{_PAIR}|{_ADDRESS}(?=\s)|<-{{1,2}}|[\"'<>]"
    r"|[A-Za-z_][\w.$/#@-]{0,80}(?=[\s:|,]|$)){0,40}+"
)
_NAME = re.compile(r"(?<![\w=\[(.])[A-Za-z_][\w.$/#@-]{0,80}(?=[\s:|,]|$)")
_MOST_NAMES = 3
# words by which a line tells of somebody else's request, or is a sentence about one
_TOLD = frozenset((
    "to", "for", "by", "at", "on", "of", "via", "the", "a", "an", "and", "or", "when", "while", "if", "see",
    "try", "after", "before", "from", "calling", "called", "call", "client", "curl", "httpx", "urllib3",
    "requests", "aiohttp", "upstream", "downstream", "provider", "outgoing", "outbound", "sending", "send",
    "sent", "fetch", "fetching", "fetched", "fail", "failed", "failing", "retry", "retrying", "expected",
    "example", "test", "select", "insert", "update", "webhook",
))  # fmt: skip
_WORD = re.compile(r"[a-z][a-z0-9]*")
_BRACKETED = re.compile(r"\[[^\]]{0,120}\]|\([^)]{0,120}\)")
# what stands for one thing of many in a path: numbers, UUIDs, long hexadecimal names
_VARIABLE = re.compile(
    r"(?<=/)(?:\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,64})(?=/|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """What a plain line tells of a request; `said` is the text that a duration may be in."""

    method: str
    path: str
    status: str
    said: str


def plain_request(text: str) -> PlainRequest | None:
    """Read a request from a line of plain text, None where the line is not one of a request that was answered."""
    if " /" not in text and '"/' not in text:
        return None
    call = _CALL.search(text, 0, _LOOK_CHARS)
    if call is None or len(text) - call.end() > _TAIL_CHARS:
        return None
    head, tail = text[: call.start()], text[call.end() :]
    answered = _STATUS.match(tail)
    if answered:
        rest, status = tail[answered.end() :], answered["status"]
        said = tail[: answered.start("status")] + " " + rest
    else:
        earlier = _STATUS_FIRST.search(head[-200:])
        if earlier is None:
            return None
        rest, status, said = tail, earlier["status"], earlier["between"] + " " + tail
        head = head[: len(head) - len(head[-200:]) + earlier.start("status")]
    if _REST.fullmatch(rest) is None or not _is_head(head):
        return None
    return PlainRequest(call["method"], call["path"], status, said)


def _is_head(text: str) -> bool:
    """Say whether text is what a logger writes before a message."""
    if len(text) > _TAIL_CHARS or _HEAD.fullmatch(text) is None:
        return False
    if not _TOLD.isdisjoint(_WORD.findall(text.lower())):
        return False
    return len(_NAME.findall(_BRACKETED.sub(" ", text))) <= _MOST_NAMES


def route_of(path: str) -> str:
    """Return a path without its query, and what names one thing of many in it as `{id}`."""
    return _VARIABLE.sub("{id}", path.partition("?")[0])
