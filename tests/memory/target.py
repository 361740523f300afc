"""A service whose heap is snapshot: it answers over HTTP while threads log, allocate, lock and multiply matrices."""

import logging
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from irkit.memory import agent

CACHE: dict[str, object] = {}


class Session:
    def __init__(self, number: int) -> None:
        self.user = f"secret-{number}"
        self.rows = [number, str(number)]


class Hostile:
    """Whoever runs code of this object's ends the process."""

    __hash__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> object:
        os._exit(9)

    def __repr__(self) -> str:
        os._exit(9)

    def __sizeof__(self) -> int:
        os._exit(9)

    def __eq__(self, other: object) -> bool:
        os._exit(9)

    @property
    def __class__(self) -> type:  # type: ignore[override]
        os._exit(9)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logging.getLogger("http").debug(format, *args)


LOCK = threading.Lock()
STOP = threading.Event()


def work(matrix: np.ndarray) -> None:
    log = logging.getLogger("work")
    while not STOP.wait(0.002):
        with LOCK:
            made = [object() for _ in range(100)]
            log.info("made %d", len(made))
        matrix @ matrix


def fork_on() -> None:
    """Start a child and bury it, again and again, as servers with workers do."""
    while not STOP.wait(0.005):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)


def main(count: int, threads: int, *, forks: bool = False) -> None:
    logging.basicConfig(stream=open(os.devnull, "w"), level=logging.DEBUG)  # noqa: SIM115, PTH123
    for number in range(count):
        CACHE[f"key {number}"] = Session(number)
    CACHE["hostile"] = Hostile()
    for _ in range(threads):
        threading.Thread(target=work, args=(np.ones((64, 64)),), daemon=True).start()
    if forks:
        threading.Thread(target=fork_on, daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    agent.start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if "python" in sys.argv[3:]:
        sys.modules["irkit.memory._heapwalk"] = None  # type: ignore[assignment] # as where it is not built
    main(int(sys.argv[1]), int(sys.argv[2]), forks="forks" in sys.argv[3:])
