"""Not faults at all: what looks like one and is none, for whoever must not be fooled by it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..service import Request
from .contract import Steps, fault, intercepted

if TYPE_CHECKING:
    from ..jarvis_api import JarvisApi

_WARM_AFTER_S = 12.0
_WORDS = (
    "retry policy loaded max_timeout_s=30 on_error=backoff",
    "0 errors, 0 timeouts in the last minute",
    "feature flag oom_protection=on rate_limit_headers=on",
    "nightly report: no failed requests, 503 conversations archived",
    "user asked how to fix 'sqlite3.DatabaseError: database disk image is malformed'",
)


@fault("caches-are-cold", incident="")
def caches_are_cold(api: JarvisApi, seconds: float = 0.7) -> Steps:
    """Answers are somewhat slow at first, and quick again once the caches are filled."""
    began = time.monotonic()

    def wait(_request: Request) -> None:
        time.sleep(max(0.0, seconds * (1 - (time.monotonic() - began) / _WARM_AFTER_S)))

    yield from intercepted(api, wait)


@fault("somewhat-slow", incident="")
def somewhat_slow(api: JarvisApi, seconds: float = 0.8) -> Steps:
    """Every answer takes longer than before and less than anybody's limit."""

    def wait(_request: Request) -> None:
        time.sleep(seconds)

    yield from intercepted(api, wait)


@fault("one-500", incident="")
def one_500(api: JarvisApi) -> Steps:
    """One request fails with 500, and none after it."""
    failed = False

    def fail_once(request: Request) -> None:
        nonlocal failed
        if not failed and request.path == "/api/dashboard":
            failed = True
            message = "a row changed between two reads"
            raise LookupError(message)

    yield from intercepted(api, fail_once)


@fault("chatter", incident="")
def chatter(api: JarvisApi) -> Steps:
    """The API logs harmless lines that are full of alarming words."""
    said, began = 0, time.monotonic()
    while True:
        if time.monotonic() - began > said:
            api.log.info(_WORDS[said % len(_WORDS)])
            said += 1
        yield
