"""The Docker Engine on this machine, asked over one kept connection, each answer within a total deadline.

The Docker library's time-outs end a silence, not an answer that drips; and its client is too dear to ask every few
seconds for days.
"""

from __future__ import annotations

import json
from typing import Any

import pycurl

from irkit.collect_contract import Refused, Unreachable

_LIMIT_BYTES = 16 * 1024 * 1024
_NOT_FOUND = 404
_ERROR = 400


class EngineSocket:
    """A connection to the Engine behind a UNIX socket; for one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._curl = pycurl.Curl()

    def get(self, path: str, timeout_s: float) -> Any:  # noqa: ANN401 (whatever the Engine answers)
        """GET a path of the Engine API and return its JSON, None where there is no such thing.

        Raises:
            Unreachable: no whole answer came within `timeout_s`.
            Refused: the Engine answers with an error, or is none.
        """
        if timeout_s <= 0:
            raise Unreachable(f"the Docker Engine at {self._path} did not answer in time")
        body = bytearray()

        def take(chunk: bytes) -> int:
            body.extend(chunk)
            return -1 if len(body) > _LIMIT_BYTES else len(chunk)

        curl = self._curl
        curl.setopt(pycurl.UNIX_SOCKET_PATH, self._path)
        curl.setopt(pycurl.URL, f"http://localhost{path}")
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.USERAGENT, "irkit")
        curl.setopt(pycurl.WRITEFUNCTION, take)
        try:
            curl.perform()
        except pycurl.error as error:
            raise self._named(error.args[0], str(error.args[1]), timeout_s) from None
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        if status == _NOT_FOUND:
            return None
        try:
            answer = json.loads(body)
        except ValueError:
            raise Refused(f"what answers at {self._path} is not a Docker Engine") from None
        if status >= _ERROR:
            said = answer.get("message") if isinstance(answer, dict) else answer
            raise Refused(f"the Docker Engine at {self._path} answers: {said}")
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def _named(self, code: int, said: str, timeout_s: float) -> Unreachable | Refused:
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Unreachable(f"the Docker Engine at {self._path} gave no whole answer within {timeout_s:.1f} s")
        if code == pycurl.E_WRITE_ERROR:
            return Refused(f"the Docker Engine at {self._path} answers more than {_LIMIT_BYTES} bytes")
        return Unreachable(f"no Docker Engine answers at {self._path}: {said}")
