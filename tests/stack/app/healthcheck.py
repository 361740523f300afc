"""Docker's HEALTHCHECK: prints the health answer, and fails unless it came with 200."""

from __future__ import annotations

import http.client
import sys


def main() -> int:
    """0 when healthy, else 1; the printed answer is kept by Docker with the container's health log."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
    connection.request("GET", "/api/health")
    response = connection.getresponse()
    print(response.status, response.read().decode())
    return int(response.status != http.client.OK)


if __name__ == "__main__":
    sys.exit(main())
