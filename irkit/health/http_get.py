"""One bounded request: ends by its deadline whatever the other side does, and reads no more than it was told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pycurl

from irkit.collect.contract import Unreachable
from irkit.health.http_probe import curl_for, explain
from irkit.model import utc_now


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whole or cut at the limit (`truncated`); header names are in lower case.

    The other side made it between `asked_at` and `answered_at` of our clock.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    asked_at: datetime
    answered_at: datetime


def get(url: str, *, timeout_s: float, limit_bytes: int, clock: Callable[[], datetime] = utc_now) -> Answer:
    """GET a URL within `timeout_s` in total; redirects are not followed.

    Raises:
        Unreachable: no answer came, or not in time; the sentence lacks its subject.
    """
    return _sent(url, timeout_s, limit_bytes, clock, lambda _: None)


def send(
    url: str, *, headers: Sequence[str] = (), body: bytes | None = None, timeout_s: float, limit_bytes: int
) -> Answer:
    """GET a URL with headers of our own, or POST `body` to it where that is given; else as `get`.

    Raises:
        Unreachable: no answer came, or not in time, or it cannot be sent; the sentence lacks its subject.
    """
    if not all(header.isascii() and header.isprintable() for header in headers):
        raise Unreachable("a header would hold a character that no header may hold")

    def prepare(curl: pycurl.Curl) -> None:
        curl.setopt(pycurl.HTTPHEADER, ["Accept: application/json, */*;q=0.5", *headers])
        if body is not None:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDSIZE, len(body))
            curl.setopt(pycurl.COPYPOSTFIELDS, body)

    return _sent(url, timeout_s, limit_bytes, utc_now, prepare)


def _sent(
    url: str,
    timeout_s: float,
    limit_bytes: int,
    clock: Callable[[], datetime],
    prepare: Callable[[pycurl.Curl], None],
) -> Answer:
    body, headers, truncated = bytearray(), dict[str, str](), False
    answered_at: datetime | None = None

    def take(chunk: bytes) -> int:
        nonlocal truncated
        room = limit_bytes - len(body)
        body.extend(chunk[:room])
        truncated = len(chunk) > room
        return -1 if truncated else len(chunk)

    def header(line: bytes) -> None:
        nonlocal answered_at
        answered_at = answered_at or clock()
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()

    curl = curl_for(url, timeout_s, take)
    try:
        curl.setopt(pycurl.HEADERFUNCTION, header)
        prepare(curl)
        started_at = clock()
        try:
            curl.perform()
        except pycurl.error as error:
            if not truncated:
                raise Unreachable(explain(curl, error.args[0], str(error.args[1]), timeout_s)[1]) from None
        sent_s = curl.getinfo(pycurl.PRETRANSFER_TIME_T) / 1e6
        return Answer(
            int(curl.getinfo(pycurl.RESPONSE_CODE)),
            headers,
            bytes(body),
            truncated,
            started_at + timedelta(seconds=sent_s),
            answered_at or clock(),
        )
    finally:
        curl.close()
