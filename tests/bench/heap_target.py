"""A service with a heap of so many objects and one planted leak: it answers over HTTP, and measures itself when told.

OBJECTS [python]; each line of standard input names a tool, the seconds it took come back.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if "python" in sys.argv[2:]:
    sys.modules["irkit.memory._heapwalk"] = None  # type: ignore[assignment] # as where it is not built

from irkit.memory import agent


class Order:
    __slots__ = ("lines", "number")

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        self.lines = [chance.randrange(1 << 20), f"line {number}"]


class Session:
    def __init__(self, number: int, chance: random.Random) -> None:
        self.user = f"user {number}"
        self.orders = {"first": Order(number, chance), "note": "x" * chance.randrange(80)}
        self.seen = (number, str(number), chance.random())


SESSIONS: dict[int, Session] = {}
LEAK: list[list[str]] = []
OF_A_SESSION = 13


def objgraph_growth() -> None:
    import objgraph

    objgraph.growth(limit=10)


def objgraph_leaking() -> None:
    import objgraph

    objgraph.get_leaking_objects()


def pympler() -> None:
    """What there is by type, then who refers to one of what there is much of, up to the module."""
    from pympler import muppy, refbrowser, summary

    found = muppy.get_objects()
    summary.summarize(found)
    one = random.Random(3).choice(muppy.filter(found, Type=list))  # noqa: S311 (one of what leaks, most probably)
    del found
    refbrowser.RefBrowser(one, maxdepth=3).get_tree()


def guppy3() -> None:
    """What there is by who refers to it, what the largest part keeps alive, and the paths to one of it."""
    from guppy import hpy

    largest = hpy().heap().byrcs[0]
    str(largest.byid[0].shpaths)
    int(largest.domisize)


TOOLS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (objgraph_growth, objgraph_leaking, pympler, guppy3)
}


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        rows = [[each.user, len(each.orders), each.seen[2]] for each in (SESSIONS[at] for at in range(200))]
        body = json.dumps(rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main(objects: int) -> None:
    chance = random.Random(objects)  # noqa: S311 (the same heap each time)
    leaking = objects * 6 // 10
    for number in range((objects - leaking) // OF_A_SESSION):
        SESSIONS[number] = Session(number, chance)
    LEAK.extend([f"leaked {number}", f"again {number}"] for number in range(leaking // 3))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    agent.start()
    print(server.server_port, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            TOOLS[line.strip()]()
            print(time.perf_counter() - began, flush=True)
        except ImportError:
            print("absent", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
