"""A provider stub: answers completions after a few milliseconds, as the service named in its environment."""

from __future__ import annotations

import os
import time

from .service import Answer, Request, Service
from .switchboard import run

_THINKING_S = 0.02


def complete(request: Request) -> Answer:
    """A completion that repeats the prompt."""
    time.sleep(_THINKING_S)
    return Answer(200, {"completion": f"You said: {request.body.get('prompt', '')}"})


def health(_request: Request) -> Answer:
    """That the provider is up."""
    return Answer(200, {"status": "ok"})


def main() -> None:
    """Serve on port 9000."""
    service = Service(os.environ["SERVICE"], {("POST", "/v1/complete"): complete, ("GET", "/health"): health})
    run(service, 9000)


if __name__ == "__main__":
    main()
