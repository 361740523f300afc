"""Redis asked for a few figures on a bare connection: one deadline for all of it, and nothing to load.

The Redis library takes 25 MB, and its time-out ends a silence, not an answer that drips.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from irkit.collect.contract import Refused, Unreachable
from irkit.settings import RedisTarget

Reply = bytes | int | None | list["Reply"]

_LIMIT_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 65536


class RedisWire:
    """A connection that speaks the Redis protocol, version 2 (redis.io/docs/latest/develop/reference/protocol-spec)."""

    def __init__(self, target: RedisTarget, timeout_s: float) -> None:
        """Connect and log in; all that is asked on it must have been answered `timeout_s` from now.

        Raises:
            Unreachable: nobody answers there, or not in time.
            Refused: it will not let us in, or is not Redis.
        """
        self._where = f"Redis at {target}"
        self._timeout_s = timeout_s
        self._ends_s = time.monotonic() + timeout_s
        self._buffer = b""
        self._read_bytes = 0
        url = urlsplit(target.url.reveal())
        options = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.database = target.database
        try:
            self._socket = self._connect(url, options, target.address)
        except (OSError, ValueError) as error:
            raise self._named(error) from None
        try:
            self._log_in(url, options)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, *words: str | bytes) -> Reply:
        """Send a command and return its answer.

        Raises:
            Unreachable: no whole answer came in time.
            Refused: the answer is an error, too large, or no Redis'.
        """
        parts = [word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word for word in words]
        command = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self._hurry()
            self._socket.sendall(command)
            return self._reply()
        except (OSError, ValueError, RecursionError) as error:
            raise self._named(error) from None

    def _connect(self, url: SplitResult, options: dict[str, str], address: tuple[str, int] | None) -> socket.socket:
        if url.scheme == "unix":
            plain = socket.socket(socket.AF_UNIX)
            try:
                plain.settimeout(self._timeout_s)
                plain.connect(unquote(url.path))
            except BaseException:
                plain.close()
                raise
            return plain
        if address is None:
            raise Refused("the [redis] url is not a Redis address")
        plain = socket.create_connection(address, timeout=self._timeout_s)
        if url.scheme == "redis":
            return plain
        try:
            context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
            if options.get("ssl_cert_reqs") == "none":
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if "ssl_certfile" in options:
                context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
            return context.wrap_socket(plain, server_hostname=address[0])
        except BaseException:
            plain.close()
            raise

    def _log_in(self, url: SplitResult, options: dict[str, str]) -> None:
        user = unquote(url.username or "") or options.get("username")
        if password := unquote(url.password or "") or options.get("password"):
            self.ask("AUTH", *([user] if user else []), password)
        if self.database != "0":
            self.ask("SELECT", self.database)

    def _reply(self) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise Refused(f"{self._where} answers: {rest.decode('utf-8', 'replace')}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._take(size + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(max(0, int(rest)))]
        raise ValueError("not a reply")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self) -> None:
        self._hurry()
        block = self._socket.recv(_BLOCK_BYTES)
        if not block:
            raise ConnectionResetError("closed")
        self._read_bytes += len(block)
        if self._read_bytes > _LIMIT_BYTES:
            raise Refused(f"{self._where} answers more than {_LIMIT_BYTES} bytes")
        self._buffer += block

    def _hurry(self) -> None:
        """Let the next step take no longer than what is left for all."""
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)

    def _named(self, error: Exception) -> Unreachable | Refused:
        if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
            return Refused(f"{self._where} cannot be spoken to by TLS: {error.reason or error}")
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self._where} gave no whole answer within {self._timeout_s:g} s")
        if isinstance(error, socket.gaierror):
            return Unreachable(f"the host of {self._where} cannot be resolved")
        if isinstance(error, ConnectionRefusedError | FileNotFoundError):
            return Unreachable(f"nothing listens for {self._where}")
        if isinstance(error, OSError):
            return Unreachable(f"{self._where} closed the connection: {error.strerror or error}")
        return Refused(f"{self._where} is not Redis: it answers in another protocol, or the url cannot be meant")
