"""The process that runs collectors, seen from ours: started, read from, and surely ended.

Its other side is `irkit.collect.host`, where the collectors run.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from irkit.collect.contract import Collector, Piece
from irkit.errors import CollectError
from irkit.model import Window
from irkit.redact import Redactor, installation_key
from irkit.registry import BrokenPlugin

_GRACE_S = 2.0
# for the rules that take secrets out, which are compiled once on a machine; no source waits for it
_PREPARE_S = 60.0


@dataclass(slots=True)
class HostProcess:
    """The process that runs collectors, what it complains of and reports, and whether it was given anything to do.

    `stopped` says whether somebody stopped it by hand before it was done; `meanwhile` is what we do once it is at work.
    """

    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    reports: Iterator[dict[str, Any]]
    asked: bool = False
    stopped: bool = False
    meanwhile: Callable[[], None] = lambda: None


@contextlib.contextmanager
def host_process() -> Iterator[HostProcess]:
    """Start the process that runs collectors; nothing of it lives after the block."""
    # OpenBLAS and OpenMP start threads on import, which a forking process must not have
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as complaints:  # a pipe nobody reads would block who complains much
        # -P: a docker.py or redis.py in the working directory must not stand in for the library
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "irkit.collect.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            start_new_session=True,
        )
        host = HostProcess(process, complaints, _reports(process))
        try:
            yield host
        finally:
            if not host.asked:
                process.kill()
            stop(process)


def introduced(host: HostProcess, home: Path) -> tuple[tuple[Collector, ...], tuple[BrokenPlugin, ...]]:
    """Return the collectors the host has loaded, and those that are broken; so that we need not load them, too.

    `home` is where the key of placeholders lies, for what it says where it breaks.

    Raises:
        CollectError: the process ended before it could tell.
    """
    news = next(host.reports, None)
    if news is None:
        stop(host.process)
        raise CollectError(last_words(host, home), hint="`irkit doctor` looks closer")
    collectors = [
        Collector(**{**item, "provides": tuple(item["provides"])}, function=_in_the_host) for item in news["collectors"]
    ]
    return tuple(collectors), tuple(BrokenPlugin(**item) for item in news["broken"])


def _in_the_host(target: object, window: Window) -> Iterator[Piece]:
    msg = f"collectors run in the host process, not here (asked of {target} from {window.start})"
    raise AssertionError(msg)


def _reports(host: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the host's reports until it and all its children closed the pipe, or were to end once it was ready."""
    assert host.stdout is not None  # noqa: S101
    descriptor = host.stdout.fileno()
    os.set_blocking(descriptor, False)
    rest = b""
    until = time.monotonic() + _PREPARE_S
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # a line cut to size may not be JSON any more
                    news = json.loads(line)
                    if news["event"] == "ready":
                        until = time.monotonic() + news["run_deadline_s"] + _GRACE_S
                    yield news


@contextlib.contextmanager
def stoppable(host: HostProcess) -> Iterator[None]:
    """Let the first interrupt (Ctrl-C) within end the host and not us, so that what it has told is not lost.

    The second does what it did before. The host has to have its job by then; signals reach the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        host.stopped = True
        assert host.process.stdin is not None  # noqa: S101 (started with one; tells mypy)
        host.process.stdin.close()  # it ends its children, then itself, and with that its reports

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop(host: subprocess.Popen[bytes]) -> None:
    """End the host; closing its input tells it to kill its children first, and Linux kills any that are left."""
    assert host.stdin is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        host.stdin.close()
    try:
        host.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        host.kill()
        host.wait()
    assert host.stdout is not None  # noqa: S101
    host.stdout.close()


def last_words(host: HostProcess, home: Path) -> str:
    """Say why the process ended, in its own last line where it left one: redacted, or left out where that fails."""
    host.complaints.seek(0)
    words = host.complaints.read().decode("utf-8", "replace").strip().splitlines()
    last = words[-1] if words else ""
    try:
        last = Redactor(installation_key(home)).text(last)[0] if last else last
    except Exception:  # noqa: BLE001 (what cannot be redacted is not kept)
        last = ""
    return f"the collecting process ended early: {last or f'exit code {host.process.returncode}'}"
