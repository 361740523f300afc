"""Play an incident on a real stack and keep it broken, so that irkit can be run against it.

python -m tests.stack.play api-unresponsive --minutes 3
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .engine import Images, docker_engine, ensure_images, wait_until
from .stack import Stack, running_stack


@dataclass(frozen=True)
class Broken:
    """A stack after its incident began, with the true times (UTC) by what happened."""

    stack: Stack
    times: dict[str, datetime]


@contextmanager
def api_unresponsive(directory: Path, images: Images, minutes: float) -> Iterator[Broken]:
    """Healthy traffic for three quarters of the time, then 500s from an exhausted pool, then a crash with exit code 1.

    In the block the stack lies broken and traffic goes on; needs a Docker Engine; raises StackError.
    """
    pause = threading.Event()
    times: dict[str, datetime] = {}
    with running_stack(directory, images) as stack, stack.steady_traffic():
        times["healthy traffic"] = datetime.now(UTC)
        pause.wait(minutes * 60 * 0.75)
        times["API answers 500"] = datetime.now(UTC)
        stack.break_with("pool-exhausted")
        pause.wait(minutes * 60 * 0.25)
        wait_until(lambda: " 500 Internal Server Error" in stack.logs(), "a request has failed")
        stack.break_with("api-crashes")
        times["API has crashed"] = datetime.now(UTC)
        yield Broken(stack, times)


SCENARIOS: dict[str, Callable[[Path, Images, float], AbstractContextManager[Broken]]] = {
    "api-unresponsive": api_unresponsive
}


def main() -> int:
    """Play one scenario and leave it broken until Enter is pressed."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack.play", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--minutes", type=float, default=3.0, help="from the first request to the crash")
    parser.add_argument("--directory", type=Path, help="where the project goes; a temporary directory by default")
    arguments = parser.parse_args()
    directory = arguments.directory or Path(tempfile.mkdtemp(prefix="jarvis-"))
    directory.mkdir(parents=True, exist_ok=True)
    play = SCENARIOS[arguments.scenario]
    with docker_engine(directory / "dockerd.log"), play(directory, ensure_images(), arguments.minutes) as broken:
        for event, time in broken.times.items():
            print(f"{time.isoformat(timespec='seconds')}  {event}")
        print(f"project {broken.stack.project} in {directory}, where docker-compose and irkit find it")
        print(f"API {broken.stack.url}, Redis {broken.stack.redis_url}, database {broken.stack.database_path}")
        print("Enter removes it: ", end="", flush=True)
        sys.stdin.readline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
