"""The Docker Engine as the collectors need it: connected, asked for our containers, its failures in sentences."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env, parse_host

from irkit.collect.contract import USUAL, Gap, Limits, Refused, Unreachable
from irkit.docker.containers import ListedContainer, choose
from irkit.settings import DockerTarget

T = TypeVar("T")

# One container whose lock the daemon holds must not keep the others from being looked at.
_SILENCE_SHARE = 0.5
_CONNECTIONS = 128
_NOT_FOUND = 404
_CHECK = "check DOCKER_HOST, [docker] host in irkit.toml, or the current `docker context`"


class EngineClient(APIClient):
    """The library's client, and the longest silence of the Engine that a look at one container bears, in seconds."""

    silence_s = USUAL.share_s(_SILENCE_SHARE)


@contextmanager
def connected(target: DockerTarget, limits: Limits = USUAL) -> Iterator[EngineClient]:
    """Connect as the docker command would: `target.host`, else DOCKER_HOST, else the CLI's current context.

    Raises:
        Unreachable: no Engine answers there.
        Refused: it is there but may not be used, or the address cannot be meant.
    """
    where, options = _address(target)
    try:
        _knock(where)
        client = EngineClient(**options, use_ssh_client=where.startswith("ssh://"), max_pool_size=_CONNECTIONS)
    except (DockerException, requests.RequestException, OSError, ValueError) as error:
        raise _named(error, where) from None
    client.silence_s = limits.share_s(_SILENCE_SHARE)
    try:
        yield client
    except APIError as error:
        raise Refused(f"the Docker Engine at {where} answers: {_explanation(error)}") from None
    except requests.RequestException as error:
        raise _named(error, where) from None
    finally:
        client.close()


def local_socket(target: DockerTarget) -> str | None:
    """Return the path of the socket the target's Engine is reached by, None where it is reached over a network.

    Raises:
        Refused: the address cannot be meant.
    """
    return _socket_path(_address(target)[0])


def our_containers(client: APIClient, target: DockerTarget) -> tuple[list[ListedContainer], list[Gap]]:
    """List the containers the target means, as `choose` does from the Engine's whole list.

    Raises:
        Unreachable: the Engine has no such container.
    """
    return choose(client.containers(all=True), target)


def look_at_each(
    containers: Sequence[ListedContainer], look: Callable[[ListedContainer], T], *, workers: int = 16
) -> Iterator[T | Gap]:
    """Yield `look(container)` for each container in order, looked at concurrently; a failed look is a gap."""

    def guarded(container: ListedContainer) -> T | Gap:
        try:
            return look(container)
        except (APIError, requests.RequestException) as error:
            return Gap(failure_of(container, error))

    with ThreadPoolExecutor(max_workers=min(workers, max(1, len(containers)))) as pool:
        yield from pool.map(guarded, containers)


def get(
    client: EngineClient,
    path: str,
    params: Mapping[str, str | int] | None = None,
    *,
    stream: bool = False,
    timeout_s: float | None = None,
) -> requests.Response:
    """GET a path of the Engine API; for what the library has no bounded or timed call for.

    `timeout_s` (default the client's own) is the longest silence, not the longest answer: that is for the deadline of
    the collection.

    Raises:
        APIError: the Engine answers with an error.
        requests.RequestException: it does not answer.
    """
    url = f"{client.base_url}/v{client.api_version}{path}"
    response = client.get(url, params=params, stream=stream, timeout=timeout_s or client.silence_s)
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
    return response


def inspect(client: EngineClient, container: ListedContainer) -> Mapping[str, Any]:
    """Return all the Engine knows of one container; raises as `get` does."""
    details: Mapping[str, Any] = get(client, f"/containers/{container.id}/json").json()
    return details


def failure_of(container: ListedContainer, error: Exception) -> str:
    """Say in a sentence why one container could not be looked at."""
    if isinstance(error, APIError):
        if error.status_code == _NOT_FOUND:
            return f"{container} of service {container.service} vanished while it was looked at"
        return f"{container}: the Docker Engine answers: {_explanation(error)}"
    if isinstance(error, requests.Timeout):
        return f"{container}: the Docker Engine did not answer in time"
    return f"{container}: the connection to the Docker Engine broke: {error}"


def _address(target: DockerTarget) -> tuple[str, dict[str, Any]]:
    environ = dict(os.environ)
    if target.host:
        environ["DOCKER_HOST"] = target.host
    try:
        options: dict[str, Any] = dict(kwargs_from_env(environ))
        if not environ.get("DOCKER_HOST"):
            name = environ.get("DOCKER_CONTEXT")
            context = ContextAPI.get_context(name)
            if context is None:
                raise Refused(
                    f"the Docker context {name or 'of the current configuration'} does not exist",
                    hint="`docker context ls` shows those that do; `docker context use default` goes back",
                )
            tls: object = context.TLSConfig
            options = {"base_url": context.Host, "tls": tls or False}
    except (DockerException, OSError, ValueError) as error:
        raise Refused(
            f"the Docker client is configured wrongly: {error}",
            hint="check DOCKER_HOST, DOCKER_CONTEXT, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
        ) from None
    # an absent address is the local socket, which the library knows but does not name
    where = str(options.get("base_url") or "unix:///var/run/docker.sock")
    try:
        parse_host(where)
    except (DockerException, ValueError) as error:
        raise Refused(f"{where} is no address of a Docker Engine: {error}", hint=_CHECK) from None
    return where, options


def _knock(where: str) -> None:
    """Fail on a local socket that does not answer with the plain reason, and without what the library leaves open."""
    if path := _socket_path(where):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)


def _socket_path(where: str) -> str | None:
    address = str(parse_host(where))
    return "/" + address.removeprefix("http+unix://").lstrip("/") if address.startswith("http+unix://") else None


def _named(error: BaseException, where: str) -> Unreachable | Refused:
    """Turn a failure to connect into what happened and what to do, from the first cause that tells."""
    causes = list(_causes(error))
    start = "start it (`systemctl start docker`), or name another with DOCKER_HOST or [docker] host in irkit.toml"
    named: tuple[tuple[type[BaseException], type[Unreachable | Refused], str, str], ...] = (
        (
            PermissionError,
            Refused,
            f"permission denied on {where}",
            "add yourself to group docker and log in again, or use sudo",
        ),
        (FileNotFoundError, Unreachable, f"no Docker Engine at {where}: nothing is there", start),
        (ConnectionRefusedError, Unreachable, f"no Docker Engine at {where}: connection refused", start),
        (socket.gaierror, Unreachable, f"no Docker Engine at {where}: the host name is not known", _CHECK),
        (
            ssl.SSLError,
            Refused,
            f"no trusted connection to the Docker Engine at {where}",
            "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
        ),
        (requests.Timeout, Unreachable, f"the Docker Engine at {where} does not answer", _CHECK),
        (requests.JSONDecodeError, Refused, f"what answers at {where} is not a Docker Engine", _CHECK),
    )
    for kind, outcome, reason, hint in named:
        if any(isinstance(cause, kind) for cause in causes):
            return outcome(reason, hint=hint)
    return Unreachable(f"the Docker Engine at {where} cannot be used: {error}", hint=_CHECK)


def _causes(error: object, seen: frozenset[int] = frozenset()) -> Iterator[BaseException]:
    """Every exception an error was made of; the libraries wrap them as cause, context, reason or argument."""
    if not isinstance(error, BaseException) or id(error) in seen:
        return
    yield error
    inner: Iterable[object] = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    for each in inner:
        yield from _causes(each, seen | {id(error)})


def _explanation(error: APIError) -> str:
    return str(error.explanation or error).strip()
