"""The Docker Engine on this machine, asked over one kept connection, each answer within a total deadline.

The Docker library's time-outs end a silence, not an answer that drips; and its client is too dear to ask every few
seconds for days.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pycurl

from irkit.collect.contract import Refused, Unreachable
from irkit.settings import DockerTarget

_DEFAULT = "unix:///var/run/docker.sock"
_LIMIT_BYTES = 16 * 1024 * 1024
_NOT_FOUND = 404
_ERROR = 400


def socket_path(target: DockerTarget, environ: Mapping[str, str] | None = None) -> str:
    """Return the UNIX socket of the target's Engine, found as the docker command does, without its library.

    That is `target.host`, else DOCKER_HOST, else the current context of the CLI's configuration.

    Raises:
        Refused: the Engine is on another machine, or there is no such context.
    """
    environ = os.environ if environ is None else environ
    host = target.host or environ.get("DOCKER_HOST", "") or _host_of_context(environ)
    scheme, separator, path = host.partition("://")
    if not separator or scheme not in ("unix", "http+unix"):
        raise Refused(f"the recorder asks the Docker Engine of its own machine only, and this one is at {host}")
    return path


def _host_of_context(environ: Mapping[str, str]) -> str:
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "~")).expanduser() / ".docker")
    name = environ.get("DOCKER_CONTEXT", "")
    with suppress(OSError, ValueError, AttributeError):
        name = name or json.loads((folder / "config.json").read_text(encoding="utf-8")).get("currentContext", "")
    if name in ("", "default"):
        return _DEFAULT
    try:
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return str(json.loads(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, LookupError, TypeError):
        raise Refused(f"the Docker context {name} does not exist or cannot be read") from None


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
