"""One call to a ticket system's HTTP interface, whose failures are those of a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irkit.escalate.contract import DeliveryError, refused
from irkit.text.message import one_line

_FINE = frozenset({200, 201})


def call(  # noqa: PLR0913 (the parts of a request)
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    json: object = None,
    params: Mapping[str, str] | None = None,
    basic: tuple[str, str] | None = None,
) -> Any:  # noqa: ANN401 (whatever JSON the service answers)
    """Send one request, follow no redirect, and return the JSON of its answer.

    Raises:
        DeliveryError: there was no answer, none of success, or none in JSON; unsure where a write may have been taken.
    """
    import requests

    writes = method != "GET"
    try:
        answer = requests.request(
            method,
            url,
            headers=dict(headers),
            timeout=timeout_s,
            json=json,
            params=dict(params or {}),
            auth=basic,
            allow_redirects=False,
        )
    except requests.ConnectTimeout as error:
        raise DeliveryError(f"could not be reached: {_said(error)}") from None
    except requests.ConnectionError as error:
        raise DeliveryError(f"could not be reached: {_said(error)}", unsure=writes) from None
    except requests.RequestException as error:
        raise DeliveryError(f"no answer: {_said(error)}", unsure=writes) from None
    if answer.status_code not in _FINE:
        said = answer.text if "json" in answer.headers.get("Content-Type", "") else ""
        # GitHub's word for its rate limit is 403 with none left
        if answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers:
            raise refused(429, said, answer.headers.get("Retry-After"))
        raise refused(answer.status_code, said)
    try:
        return answer.json()
    except ValueError:
        raise DeliveryError("answered something that is not JSON", permanent=True) from None


def _said(error: Exception) -> str:
    """Return the kind of failure; the library's own words hold the address, and with it what may be secret."""
    return one_line(type(error).__name__)
