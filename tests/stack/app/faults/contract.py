"""What a fault is, how it is switched on, and what most faults are made of."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from ..service import Answer, Interceptor, Request, Service

Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Fault:
    """A way to break the stack: its name, the runbook's incident type it is an example of ("" for none), its home."""

    name: str
    incident: str
    service: str
    ends_process: bool
    steps: Callable[..., Steps]

    @property
    def effect(self) -> str:
        """What the fault does, in a sentence."""
        return (self.steps.__doc__ or "").strip()


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, incident: str, service: str = "jarvis-api", ends_process: bool = False
) -> Callable[[Callable[..., Steps]], Callable[..., Steps]]:
    """Register the decorated generator as the fault `name` of the compose service `service`.

    Its parameters are the service it breaks and, with a default, how much of the fault there shall be.
    """

    def register(steps: Callable[..., Steps]) -> Callable[..., Steps]:
        FAULTS[name] = Fault(name, incident, service, ends_process, steps)
        return steps

    return register


@dataclass(frozen=True)
class Switch:
    """One word of the control file, `fault[=amount][@service]`: what to switch on, how much of it, and where."""

    text: str
    fault: Fault
    amount: float | None
    service: str

    def begin(self, service: Any) -> Steps:  # noqa: ANN401 (whatever service it lives in)
        return self.fault.steps(service) if self.amount is None else self.fault.steps(service, self.amount)


def switch(text: str) -> Switch:
    """Read one word of the control file; raises KeyError for an unknown fault, ValueError for what is no amount."""
    named, _, service = text.partition("@")
    name, _, amount = named.partition("=")
    found = FAULTS[name]
    return Switch(text, found, float(amount) if amount else None, service or found.service)


def intercepted(service: Service, interceptor: Interceptor) -> Steps:
    """Let the interceptor stand before the routes for as long as the fault is on."""
    service.interceptors.append(interceptor)
    try:
        while True:
            yield
    finally:
        service.interceptors.remove(interceptor)


def always(status: int, body: dict[str, object], headers: dict[str, str] | None = None, path: str = "") -> Interceptor:
    """An interceptor with the one answer, to all requests or to those of one path."""

    def answer(request: Request) -> Answer | None:
        return Answer(status, body, headers or {}) if path in {"", request.path} else None

    return answer
