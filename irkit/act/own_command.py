"""A team's own program, run without a shell: over by its deadline with all it started, its last words kept."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 64 * 1024
_KEPT_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and the end of what it wrote to standard output and to standard error."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """How it ended, for a sentence: `ended with 3`, `was ended by SIGTERM`."""
        if self.code >= 0:
            return f"ended with {self.code}"
        return f"was ended by {signal.Signals(-self.code).name}"


def run(argv: Sequence[str], *, folder: Path, timeout_s: float) -> Ended:
    """Run a program in `folder`, without a terminal and with nothing to read, until it ends or `timeout_s` are over.

    What it leaves running in the background is not waited for, and lives on; where time is over, or the wait is broken
    off, all of it is killed.

    Raises:
        OSError: it cannot be started.
        TimeoutError: it did not end in time.
    """
    until = time.monotonic() + timeout_s
    with subprocess.Popen(  # noqa: S603 (the team's own words)
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
    ) as process:
        try:
            out, err = _listen(process, until)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return Ended(process.returncode, out, err)


def _listen(process: subprocess.Popen[bytes], until: float) -> tuple[str, str]:
    """Take in what a program writes until it ends; not until its pipes do, which a child of its own may hold on to."""
    ended = os.pidfd_open(process.pid)
    streams = [stream.fileno() for stream in (process.stdout, process.stderr) if stream]
    heard = {stream: bytearray() for stream in streams}
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            for stream in streams:
                os.set_blocking(stream, False)
                selector.register(stream, selectors.EVENT_READ)
            over = False
            while not over:
                ready = {key.fd for key, _ in selector.select(max(until - time.monotonic(), 0))}
                over = ended in ready
                # what it wrote last is still in the pipes when it has ended
                for stream in streams if over else ready & set(streams):
                    if not _take(stream, heard[stream]) and not over:
                        selector.unregister(stream)
                if not over and time.monotonic() >= until:
                    raise TimeoutError
    finally:
        os.close(ended)
    out, err = (bytes(heard[stream]).decode("utf-8", "replace") for stream in streams)
    return out, err


def _take(stream: int, heard: bytearray) -> bool:
    """Read what is there, keep the end of all; say whether more may come."""
    try:
        chunk = os.read(stream, _CHUNK_BYTES)
    except BlockingIOError:
        return True
    heard += chunk
    del heard[:-_KEPT_BYTES]
    return bool(chunk)
