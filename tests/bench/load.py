"""Requests to a service, one after another, from a process of their own: PORT; what each took is told at the end.

A client that shared an interpreter with whoever takes the snapshot would wait for its lock and count that as latency.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
import time


def main(port: int) -> None:
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken: list[tuple[float, float]] = []
    print("up", flush=True)
    while not ended:
        began = time.monotonic()
        connection.request("GET", "/")
        connection.getresponse().read()
        taken.append((began, time.monotonic() - began))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
