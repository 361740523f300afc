"""A Redis connection that asks once and never hides why it got no answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from irkit.collect.contract import Refused, Unreachable
from irkit.settings import RedisTarget
from irkit.text.visible import visible

# the library is dear to load, and a plan that asks nothing of Redis does without
if TYPE_CHECKING:
    import redis
    from redis.connection import ConnectionPool

Failure = Unreachable | Refused

# of a url's options those that say where to and as whom; the others, meant for a service's own pool, are left out
_OPTIONS = frozenset(
    {"host", "port", "path", "db", "username", "password", "connection_class"}
    | {f"ssl_{name}" for name in ("ca_certs", "ca_path", "cert_reqs", "certfile", "check_hostname", "keyfile")}
)
_PERMISSIONS = "ACL SETUSER <user> on ><password> ~ratelimit:* +@read +info +ping makes an account that can do this"
_LOOK = "look at the service's own connection settings"


@contextmanager
def connected(target: RedisTarget) -> Iterator[redis.Redis]:
    """Connect to `target` in bytes mode, without retries, and close the connection at the end.

    The library's own defaults try a dead server up to ten times over; one look is meant to end when its time is up.

    Raises:
        Unreachable: nothing answers there, or not in time.
        Refused: something answers and will not let us in, or fails in the middle; the sentence says which.
    """
    import redis
    from redis import exceptions

    pool = _pool(target)
    try:
        yield redis.Redis(connection_pool=pool)
    except (exceptions.RedisError, OSError, UnicodeError) as error:
        raise explain(_first_words(pool, error), target) from None
    except (ValueError, TypeError, RecursionError):  # the library's own words for an answer it can make nothing of
        raise explain(exceptions.InvalidResponse(), target) from None
    finally:
        pool.disconnect()


def explain(error: Exception, target: RedisTarget) -> Failure:
    """Return what an error of the library means for a person who wants to look into this Redis."""
    from redis import exceptions

    where, text = f"Redis at {target}", str(error)
    if isinstance(error, exceptions.AuthenticationError):
        return _authentication(where, text, target)
    if "max number of clients" in text:
        return Refused(f"{where} has no connection left", hint="CLIENT LIST shows who holds them, once one is free")
    for kinds, sentence, hint in _named():
        if isinstance(error, kinds):
            return Refused(f"{where} {sentence.format(text)}", hint=hint)
    if isinstance(error, exceptions.ResponseError):
        return _response(where, text)
    return _connection(where, error, target)


@cache
def _named() -> tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...]:
    """Return what Redis says by name: the error, the sentence after "Redis at …", what to do; the first that fits."""
    from redis import exceptions

    return (
        (exceptions.NoPermissionError, "does not permit it: {}", _PERMISSIONS),
        (
            exceptions.BusyLoadingError,
            "is still loading its data",
            "collect again when it has; redis_info tells how far it is",
        ),
        (
            exceptions.MasterDownError,
            "is a replica that lost its primary and serves nothing",
            "look at its primary",
        ),
        (
            (exceptions.MovedError, exceptions.AskError, exceptions.ClusterDownError),
            "is part of a cluster and cannot serve this: {}",
            "look at its other nodes",
        ),
        (
            exceptions.InvalidResponse,
            "is not Redis: it answers in another protocol",
            "correct [redis] url in irkit.toml",
        ),
    )


def _pool(target: RedisTarget) -> ConnectionPool:
    from redis.backoff import NoBackoff
    from redis.connection import ConnectionPool, SSLConnection, parse_url
    from redis.retry import Retry

    try:
        options = parse_url(target.url.reveal())  # type: ignore[no-untyped-call]
    except ValueError:
        # without a password in it: that would be taken for one, and replaced
        hint = "write it like redis://host:6379/0, rediss:// for TLS, or unix:///path/of.sock"
        raise Unreachable("the [redis] url is not a Redis address", hint=hint) from None
    if not (target.database.isascii() and target.database.isdigit()):
        # the library would take another one instead, and its first for a name
        reason = f"the [redis] url names the database {visible(target.database)}, which is no number"
        raise Refused(reason, hint="end it with /0, or with the number that the service uses")
    known = {name: value for name, value in options.items() if name in _OPTIONS}
    if known.get("connection_class") is not SSLConnection:
        known = {name: value for name, value in known.items() if not name.startswith("ssl_")}
    return ConnectionPool(
        **{
            **known,
            "db": int(target.database),
            "decode_responses": False,
            "health_check_interval": 0,
            # a name for the connection would be refused, and logged, where an account may only read
            "driver_info": None,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "socket_connect_timeout": target.timeout_s,
            "socket_timeout": target.timeout_s,
        }
    )


def _first_words(pool: ConnectionPool, error: Exception) -> Exception:
    """Return what the server said before it was asked, where that is why it was left; else the error itself.

    A server that turns everybody away says so at once, and the pool then calls the connection not ready.
    """
    from redis.exceptions import RedisError

    if "not ready" not in str(error):
        return error
    connection: Any = pool.make_connection()
    try:
        connection.connect()
        connection.read_response()
    except (RedisError, OSError) as said:
        return said
    finally:
        connection.disconnect()
    return error


def _authentication(where: str, text: str, target: RedisTarget) -> Failure:
    if "without any password configured" in text or "no password is set" in text:
        return Refused(
            f"{where} has no password, but the url has one", hint="remove it, or check that this is the right Redis"
        )
    # the server's own words are not always Redis'
    if "required" in text.lower() or not _has_password(target):
        return Refused(
            f"{where} wants a password and the url has none", hint='set [redis] url = "env:NAME" with one in it'
        )
    return Refused(f"{where} refuses the user name or password of the url", hint=_LOOK)


def _has_password(target: RedisTarget) -> bool:
    url = urlsplit(target.url.reveal())
    return bool(url.password or parse_qs(url.query).get("password"))


def _response(where: str, text: str) -> Failure:
    if "unknown command" in text:
        hint = "it may be renamed or switched off there, or this may be a Sentinel"
        return Refused(f"{where} does not have the command: {text}", hint=hint)
    if text.startswith("DENIED"):
        return Refused(
            f"{where} is in protected mode and answers its own host only", hint="run irkit there, or give it a password"
        )
    if text.startswith("BUSY"):
        return Refused(
            f"{where} is busy with a script and answers nothing else", hint="SCRIPT KILL ends it, if it wrote nothing"
        )
    return Refused(f"{where} answers with an error: {text}", hint=_LOOK)


def _connection(where: str, error: Exception, target: RedisTarget) -> Failure:
    from redis import exceptions

    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            hint = "use redis:// where it does not speak TLS; else check its certificate and name"
            return Refused(f"{where} cannot be spoken to by TLS: {cause.reason or cause}", hint=hint)
        if isinstance(cause, socket.gaierror | UnicodeError):
            return Unreachable(f"the host of Redis at {target} cannot be resolved", hint="correct [redis] url")
        if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
            return Unreachable(f"nothing listens for {where}", hint="start it, or correct [redis] url in irkit.toml")
        if isinstance(cause, exceptions.TimeoutError | TimeoutError):
            return Unreachable(
                f"{where} does not answer within {target.timeout_s:g} s",
                hint="it hangs, cannot be reached, or does not speak TLS where the url says rediss://",
            )
        if isinstance(cause, PermissionError):
            return Refused(f"{where} may not be connected to by this user", hint="check who may use its socket")
    hint = "where it speaks TLS the url begins with rediss://; else see its log"
    return Refused(f"{where} closed the connection: {error}", hint=hint)
