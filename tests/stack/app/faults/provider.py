"""Faults of the providers: each lives in provider-alpha unless switched on `@provider-beta`."""

from __future__ import annotations

import random
import threading
import time

from ..service import Answer, Request, Service
from .contract import Steps, always, fault, intercepted

_COMPLETE = "/v1/complete"


@fault("provider-down", incident="provider-failures", service="provider-alpha")
def provider_down(provider: Service) -> Steps:
    """The provider answers 503."""
    yield from intercepted(provider, always(503, {"detail": "upstream unavailable"}))


@fault("provider-429", incident="provider-failures", service="provider-alpha")
def provider_429(provider: Service) -> Steps:
    """The provider refuses every call with 429 and asks to wait."""
    yield from intercepted(provider, always(429, {"detail": "rate limit reached"}, {"Retry-After": "30"}))


@fault("provider-bad-key", incident="provider-failures", service="provider-alpha")
def provider_bad_key(provider: Service) -> Steps:
    """The provider takes the API's key for revoked: 401 on every completion, while its health check is fine."""
    yield from intercepted(provider, always(401, {"detail": "invalid API key"}, path=_COMPLETE))


@fault("provider-hangs", incident="provider-failures", service="provider-alpha")
def provider_hangs(provider: Service) -> Steps:
    """The provider accepts connections and answers none of them."""
    over = threading.Event()

    def hang(_request: Request) -> None:
        over.wait()

    try:
        yield from intercepted(provider, hang)
    finally:
        over.set()


@fault("provider-flaps", incident="provider-failures", service="provider-alpha")
def provider_flaps(provider: Service, share: float = 0.5) -> Steps:
    """The provider fails a share of the completions with 500."""
    dice = random.Random(share)  # noqa: S311 (which calls fail, the same ones each time)

    def fail(request: Request) -> Answer | None:
        failing = request.path == _COMPLETE and dice.random() < share
        return Answer(500, {"detail": "internal error"}) if failing else None

    yield from intercepted(provider, fail)


@fault("provider-slow", incident="high-latency", service="provider-alpha")
def provider_slow(provider: Service, seconds: float = 1.5) -> Steps:
    """The provider takes seconds for a completion, while its health check is quick."""

    def wait(request: Request) -> None:
        if request.path == _COMPLETE:
            time.sleep(seconds)

    yield from intercepted(provider, wait)
