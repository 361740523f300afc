"""Ask one URL a few times and say how far each attempt got; ends when told to, whatever the other side does."""

from __future__ import annotations

import errno
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import pycurl

from irkit.model import utc_now
from irkit.settings.urls import is_web_address

MAX_BODY_BYTES = 1024 * 1024
_STAGGER_S = 0.5
_IDLE_S = 0.02

Fault = Literal["refused", "timed_out", "dns", "tls", "reset", "error"]

_FAULTS: dict[int, Fault] = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "dns",
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_OPERATION_TIMEDOUT: "timed_out",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_GOT_NOTHING: "reset",
    pycurl.E_PARTIAL_FILE: "reset",
}
_SENTENCES = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "the name of the proxy in the environment cannot be resolved",
    pycurl.E_COULDNT_RESOLVE_HOST: "the host's name cannot be resolved",
    pycurl.E_GOT_NOTHING: "the connection was closed without an answer",
    pycurl.E_PARTIAL_FILE: "the connection was closed in the middle of the answer",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt: what went wrong before an answer was whole (`fault`, or None), the answer, and curl's phases.

    Phases are seconds from the start and cumulative, as `curl -w` shows them; None where one was never reached.
    `body` is decoded and cut at the limit (`truncated`); `location` is where a redirect, never followed, points.
    """

    at: datetime
    fault: Fault | None = None
    error: str = ""
    status_code: int | None = None
    content_type: str | None = None
    location: str | None = None
    body: bytes = b""
    truncated: bool = False
    name_lookup_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    total_s: float | None = None


@dataclass(slots=True)
class _Attempt:
    at: datetime
    limit_bytes: int
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def take(self, chunk: bytes) -> int:
        """Keep what fits; refusing the rest makes curl stop, which is what saves us from a decompression bomb."""
        room = self.limit_bytes - len(self.body)
        self.body += chunk[:room]
        self.truncated = len(chunk) > room
        return -1 if self.truncated else len(chunk)


def usable(url: str) -> bool:
    """Say whether this is an HTTP URL with a host, and a port if any that exists."""
    return is_web_address(url)


def probe(
    url: str,
    *,
    probes: int,
    timeout_s: float,
    limit_bytes: int = MAX_BODY_BYTES,
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[Probe]:
    """Probe a usable URL `probes` times on connections of their own, yielding each attempt as it ends.

    One follows the other, but none waits longer than half a second for one that hangs: all have ended after
    `timeout_s` and at most as long again.
    """
    multi = pycurl.CurlMulti()
    running: dict[pycurl.Curl, _Attempt] = {}
    stagger_s = min(_STAGGER_S, timeout_s / probes)
    started, next_start = 0, 0.0
    try:
        while running or started < probes:
            if started < probes and (not running or time.monotonic() >= next_start):
                attempt = _Attempt(clock(), limit_bytes)
                curl = curl_for(url, timeout_s, attempt.take)
                running[curl] = attempt
                multi.add_handle(curl)
                started, next_start = started + 1, time.monotonic() + stagger_s
            multi.perform()
            ended = list(_ended(multi))
            for curl, code, text in ended:
                multi.remove_handle(curl)
                yield _outcome(curl, running.pop(curl), code, text, timeout_s)
                curl.close()
            if not ended:
                _wait(multi, next_start - time.monotonic() if started < probes else _IDLE_S)
    finally:
        for curl in running:
            multi.remove_handle(curl)
            curl.close()
        multi.close()


def probe_once(
    url: str, *, timeout_s: float, limit_bytes: int = MAX_BODY_BYTES, clock: Callable[[], datetime] = utc_now
) -> Probe:
    """Probe a usable URL once within `timeout_s`, waiting without a wake-up: for who does it all day."""
    attempt = _Attempt(clock(), limit_bytes)
    curl = curl_for(url, timeout_s, attempt.take)
    code, text = pycurl.E_OK, ""
    try:
        try:
            curl.perform()
        except pycurl.error as error:
            code, text = error.args
        return _outcome(curl, attempt, code, text, timeout_s)
    finally:
        curl.close()


def curl_for(url: str, timeout_s: float, take: Callable[[bytes], int]) -> pycurl.Curl:
    """Return a handle that gives up after `timeout_s` in total and hands each decoded part of the body to `take`.

    Redirects are not followed, connections not shared.
    """
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url.encode("utf-8", "surrogateescape"))
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.FRESH_CONNECT, 1)
    curl.setopt(pycurl.FORBID_REUSE, 1)
    curl.setopt(pycurl.ACCEPT_ENCODING, "")
    curl.setopt(pycurl.USERAGENT, "irkit")
    curl.setopt(pycurl.HTTPHEADER, ["Accept: application/json, */*;q=0.5", "Cache-Control: no-cache"])
    curl.setopt(pycurl.WRITEFUNCTION, take)
    host = urlsplit(url).hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        curl.setopt(pycurl.PROXY, "")  # no proxy could reach our own loopback
    # libcurl comes with the wheel and does not know where this system keeps its authorities
    authorities = ssl.get_default_verify_paths()
    if authorities.cafile:
        curl.setopt(pycurl.CAINFO, authorities.cafile)
    if authorities.capath:
        curl.setopt(pycurl.CAPATH, authorities.capath)
    return curl


def _ended(multi: pycurl.CurlMulti) -> Iterator[tuple[pycurl.Curl, int, str]]:
    more = True
    while more:
        more, succeeded, failed = multi.info_read()
        yield from ((curl, pycurl.E_OK, "") for curl in succeeded)
        yield from failed


def _wait(multi: pycurl.CurlMulti, at_most_s: float) -> None:
    """Wait until a connection moves or curl's own clock wants a look; names resolve off the descriptors."""
    wanted_ms = multi.timeout()
    limits = [_IDLE_S, max(0.0, at_most_s), *([wanted_ms / 1000] if wanted_ms >= 0 else [])]
    if multi.select(min(limits)) == -1:
        time.sleep(min(_IDLE_S, max(0.001, min(limits))))


def _outcome(curl: pycurl.Curl, attempt: _Attempt, code: int, text: str, timeout_s: float) -> Probe:
    def phase(option: int) -> float | None:
        return curl.getinfo(option) / 1e6 or None

    def word(option: int) -> str | None:
        raw = curl.getinfo_raw(option)
        return raw.decode("utf-8", "surrogateescape") if raw else None

    status_code = curl.getinfo(pycurl.RESPONSE_CODE) or None
    fault: Fault | None = None
    error = ""
    if code != pycurl.E_OK and not attempt.truncated:
        fault, error = explain(curl, code, text, timeout_s)
    return Probe(
        at=attempt.at,
        fault=fault,
        error=error,
        status_code=status_code,
        content_type=word(pycurl.CONTENT_TYPE),
        location=word(pycurl.REDIRECT_URL),
        body=bytes(attempt.body),
        truncated=attempt.truncated,
        name_lookup_s=phase(pycurl.NAMELOOKUP_TIME_T),
        connect_s=phase(pycurl.CONNECT_TIME_T),
        tls_s=phase(pycurl.APPCONNECT_TIME_T),
        # curl stamps this phase on some failures too
        first_byte_s=phase(pycurl.STARTTRANSFER_TIME_T) if status_code else None,
        total_s=phase(pycurl.TOTAL_TIME_T),
    )


def explain(curl: pycurl.Curl, code: int, text: str, timeout_s: float) -> tuple[Fault, str]:
    """Put a failure into a class and a sentence; curl's own words are kept where they tell more."""
    if code == pycurl.E_COULDNT_CONNECT:
        if curl.getinfo(pycurl.OS_ERRNO) == errno.ECONNREFUSED:
            return "refused", "connection refused: nothing listens there"
        return "error", f"no connection: {text}"
    fault = _FAULTS.get(code, "error")
    if fault == "timed_out":
        return fault, f"no whole answer within {timeout_s:g} s: {_how_far(curl)}"
    reason = {"tls": "TLS failed", "reset": "the connection was reset"}.get(fault, "no usable answer")
    return fault, _SENTENCES.get(code, f"{reason}: {text}")


def _how_far(curl: pycurl.Curl) -> str:
    if not curl.getinfo(pycurl.NAMELOOKUP_TIME_T):
        return "the host's name was not resolved"
    if not curl.getinfo(pycurl.CONNECT_TIME_T):
        return "the connection was not accepted"
    if curl.getinfo(pycurl.SCHEME).lower() == "https" and not curl.getinfo(pycurl.APPCONNECT_TIME_T):
        return "the TLS handshake did not end"
    if not curl.getinfo(pycurl.RESPONSE_CODE):
        return "the connection was accepted, then nothing was sent"
    return "the answer began and did not end"
