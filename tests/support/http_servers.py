"""Real servers on loopback that answer, or misbehave, exactly as told."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that hands each connection to `behave`, with an event that says when to stop; yields its port."""
    closing = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            # a client that gave up, which is what most of these tests are about
            with (
                suppress(OSError),
                connection,
                tls.wrap_socket(connection, server_side=True) if tls else connection as it,
            ):
                behave(it, closing)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if closing.is_set():
                    connection.close()
                    return
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            closing.set()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
            for thread in (accepting, *threads):
                thread.join()


def answer(body: bytes, *headers: str, status: str = "200 OK", content_type: str = "application/json") -> Behaviour:
    """One whole answer, then the connection is closed."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]

    def behave(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)

    return behave


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        chunk = connection.recv(4096)
        if not chunk:
            break
        request += chunk
    return request


def hang(connection: socket.socket, closing: threading.Event) -> None:
    """The request is read and never answered."""
    read_request(connection)
    closing.wait()


def drip(connection: socket.socket, closing: threading.Event) -> None:
    """The answer comes byte by byte and has no end."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    while not closing.wait(0.02):
        connection.sendall(b" ")


def reset(connection: socket.socket, _: threading.Event) -> None:
    """The request is answered by a TCP reset."""
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(connection: socket.socket, _: threading.Event) -> None:
    """The connection is closed without a word."""
    read_request(connection)


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for 127.0.0.1 that no authority signed, and the certificate's file."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=irkit-test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
