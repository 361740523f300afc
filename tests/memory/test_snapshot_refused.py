"""An agent that refuses, falls silent or tells of a crash: what becomes of the question, and of its sockets.

The agent's part is played behind a process that only sleeps.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from irkit.errors import SnapshotError
from irkit.memory import agent, gc_figures, snapshot
from irkit.memory.agent import VARIABLE, AgentError, socket_folder
from tests.stack.engine import wait_until

REFUSES = b'{"error": "it is busy", "hint": "wait"}\n'
BEGINS = b'{"pause_ns": 1}\n'


@contextmanager
def acting(answer: bytes | None, then: Callable[[], None] | None = None) -> Iterator[tuple[int, list[socket.socket]]]:
    """A process with an agent that says the same to everyone and hangs up, or with None says nothing and waits.

    With `then` it does that after its answer, and holds the pipe open until whoever asked has left.

    Yields its number and one connection for each question.
    """
    with (
        tempfile.TemporaryDirectory(prefix="irkit-") as short,  # a socket's path is short
        subprocess.Popen(["sleep", "60"], env={**os.environ, VARIABLE: short}) as process,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        # the kernel lets us go on before it has noted where the new program's environment is
        environment = Path(f"/proc/{process.pid}/environ")
        wait_until(lambda: VARIABLE.encode() in environment.read_bytes(), "the process has its environment")
        listening.bind(str(socket_folder(os.getuid(), short) / f"memory-{process.pid}.sock"))
        listening.listen()
        asked: list[socket.socket] = []

        def play() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection)
                    _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
                    connection.settimeout(5)
                    if answer is not None:
                        connection.sendall(answer)
                    if then is not None:
                        then()
                    if answer is None or then is not None:
                        with suppress(TimeoutError):
                            connection.recv(1)  # until whoever asked has left
                    for each in descriptors:
                        os.close(each)

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield process.pid, asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            process.kill()


def open_ends() -> set[str]:
    """The sockets and pipes of this process, by the names that the kernel gives them."""
    links = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder's own
            links.add(str(each.readlink()))
    return {link for link in links if link.startswith(("socket:", "pipe:"))}


@pytest.mark.parametrize(("status", "tries"), [(-11, 3), (4, 1), (-9, 1)])
def test_a_clone_that_crashed_is_tried_again_and_one_that_gave_up_is_not(
    status: int, tries: int, tmp_path: Path
) -> None:
    with (
        acting(BEGINS + b'{"status": %d}\n' % status) as (pid, asked),
        pytest.raises(SnapshotError, match="did not finish its walk"),
    ):
        snapshot.snapshot(pid, tmp_path / "a.irkheap")
    assert len(asked) == tries
    assert not list(tmp_path.iterdir())


def main_calls() -> set[str]:
    """The names of the functions that the main thread is in."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return {each.f_code.co_name for each, _ in traceback.walk_stack(frame)}


def test_who_stops_waiting_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    before, threads = open_ends(), set(threading.enumerate())

    def interrupt() -> None:
        wait_until(lambda: {"_behind_all", "result"} <= main_calls(), "the snapshot is waited for")
        os.kill(os.getpid(), signal.SIGINT)

    with acting(BEGINS, interrupt) as (pid, asked):
        with pytest.raises(KeyboardInterrupt):
            snapshot.snapshot(pid, tmp_path / "a.irkheap")
        assert len(asked) == 1
    assert open_ends() <= before
    assert set(threading.enumerate()) <= threads
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (REFUSES, "it is busy"),
        (None, "fell silent"),
        (b"", "fell silent"),
        (b"nonsense\n", "fell silent"),
        (BEGINS, "fell silent"),
        (BEGINS + REFUSES, "it is busy"),
        (BEGINS + b'{"status": 4}\n', "longer than allowed"),
    ],
)
def test_whatever_an_agent_does_no_socket_and_no_pipe_is_left_open(
    answer: bytes | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(gc_figures, "_PATIENCE_S", 0.2)
    before = open_ends()
    questions: list[Callable[[int], object]] = [
        lambda pid: snapshot.snapshot(pid, tmp_path / "a.irkheap"),
        gc_figures.gc_figures,
    ]
    for ask in questions:
        with acting(answer) as (pid, _), pytest.raises(SnapshotError) as caught:
            ask(pid)
        # while the error is at hand, whatever its frames hold is, too
        assert open_ends() == before, caught
        if ask is questions[0]:
            assert told in str(caught.value)


def test_what_an_agent_left_behind_that_was_killed_is_none() -> None:
    with acting(REFUSES) as (pid, _):
        assert snapshot.has_agent(pid)
        # where it was told to be; in the other place a killed agent of the same number may have left one, too
        place, _ = snapshot.candidates(pid, snapshot.PROC)
        place.unlink()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(place))
        assert place.is_socket()
        assert not snapshot.has_agent(pid)


def test_an_agent_in_a_python_that_no_walker_knows_refuses(tmp_path: Path) -> None:
    code = "import sys; from irkit.memory import agent; agent.start(); sys.version_info = (3, 15, 0)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as one:
        try:
            assert one.stdout is not None
            assert one.stdout.readline() == "up\n"
            with pytest.raises(SnapshotError) as caught:
                snapshot.snapshot(one.pid, tmp_path / "a.irkheap")
        finally:
            one.kill()
    told = "it runs Python 3.15, and heaps can be walked of Python 3.11 to 3.14"
    assert str(caught.value) == f"no snapshot of process {one.pid}: {told}"
    assert "run the service on one of these" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_agent_that_gets_no_thread_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_ends()
    with tempfile.TemporaryDirectory(prefix="irkit-") as short:
        monkeypatch.setenv(VARIABLE, short)
        usual = threading.stack_size(1 << 46)  # more than any machine has addresses for
        try:
            with pytest.raises(AgentError, match="no thread can be started"):
                agent.start()
        finally:
            threading.stack_size(usual)
        assert not list(Path(short).iterdir())
    assert open_ends() == before
