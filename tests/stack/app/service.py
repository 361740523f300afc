"""A small threaded HTTP service: routes, uvicorn-like access log, and a place where faults hook in."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What a handler may know of an HTTP request; `body` is the decoded JSON object, empty if there was none."""

    method: str
    path: str
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A JSON answer."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]
Interceptor = Callable[[Request], Answer | None]


class Service:
    """Routes by (method, path); `interceptors` run before the route and may answer, raise or delay instead."""

    def __init__(self, name: str, routes: Mapping[tuple[str, str], Handler]) -> None:
        self.name = name
        self.routes = routes
        self.interceptors: list[Interceptor] = []
        self.log = logging.getLogger(name)
        self.serving = False

    def answer(self, request: Request) -> Answer:
        """The answer to one request; whatever a handler raises becomes a 500 and an ERROR with its traceback."""
        started = time.monotonic()
        try:
            answer = self._intercepted(request) or self._routed(request)
        except Exception:
            self.log.exception("unhandled exception method=%s path=%s", request.method, request.path)
            answer = Answer(500, {"detail": "Internal Server Error"})
        duration_ms = (time.monotonic() - started) * 1000
        self.log.info(
            "request method=%s path=%s status=%d duration_ms=%.1f",
            request.method,
            request.path,
            answer.status,
            duration_ms,
        )
        return answer

    def serve(self, port: int) -> None:
        """Answer on all interfaces of the container until SIGTERM, then exit with 0."""
        server = _Server(self, port)
        self.serving = True
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        _print_like_uvicorn(f"Started server process [{os.getpid()}]")
        _print_like_uvicorn(f"Uvicorn running on http://0.0.0.0:{port} (Press CTRL+C to quit)")
        server.serve_forever(poll_interval=0.05)
        _print_like_uvicorn("Shutting down")
        sys.stdout.flush()
        os._exit(0)  # requests that hang on a fault must not hold up the end

    def _intercepted(self, request: Request) -> Answer | None:
        for intercept in tuple(self.interceptors):
            answer = intercept(request)
            if answer is not None:
                return answer
        return None

    def _routed(self, request: Request) -> Answer:
        handler = self.routes.get((request.method, request.path))
        return handler(request) if handler else Answer(404, {"detail": "Not Found"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: Service, port: int) -> None:
        super().__init__(("", port), _RequestHandler)
        self.service = service

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Log a connection that broke off in one line, where the standard library prints a traceback."""
        del request
        self.service.log.warning("connection broke client=%s error=%s", client_address, sys.exc_info()[1])


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def version_string(self) -> str:
        return "uvicorn"

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def log_message(self, *_args: object) -> None:
        """Nothing: the access line is printed in uvicorn's form."""

    def _reply(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        if isinstance(body, dict):
            answer = self.server.service.answer(Request(self.command, self.path.partition("?")[0], body))
        else:
            answer = Answer(422, {"detail": "the body is not a JSON object"})
        payload = json.dumps(answer.body).encode()
        host, client_port = self.client_address[:2]
        phrase = HTTPStatus(answer.status).phrase
        _print_like_uvicorn(f'{host}:{client_port} - "{self.command} {self.path} HTTP/1.1" {answer.status} {phrase}')
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _print_like_uvicorn(message: str) -> None:
    print(f"INFO:     {message}", flush=True)


def log_to_stderr() -> None:
    """Application log lines with ISO times in UTC; the access log goes to stdout, as uvicorn's does."""

    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    formatter.converter = time.gmtime
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
