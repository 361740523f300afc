import json
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from irkit.errors import NotFoundError, SnapshotError
from irkit.memory import agent
from irkit.memory.gc_figures import gc_figures
from irkit.memory.heap_file import Column, read, store
from irkit.memory.snapshot import candidates, snapshot
from irkit.procfs import family

ROOT = Path(__file__).parents[2]
WALKERS = [
    pytest.param("native", marks=pytest.mark.skipif(agent.native() is None, reason="the heap walker is not built")),
    pytest.param("python", marks=pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")),
]


@contextmanager
def target(count: int, threads: int, walker: str) -> Iterator[tuple[int, Callable[[], bytes]]]:
    command = [sys.executable, "tests/memory/target.py", str(count), str(threads), *walker.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "2"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())

        def ask() -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                found: bytes = answer.read()
                return found

        try:
            yield process.pid, ask
        finally:
            process.kill()


@pytest.fixture(scope="module", params=WALKERS)
def walker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def busy(walker: str) -> Iterator[tuple[int, Callable[[], bytes]]]:
    # plain Python takes its time, and fifty busy threads leave it little
    with target(20_000 if walker == "native" else 2_000, 50, walker) as started:
        yield started


def children(pid: int) -> str:
    """The children of all threads; one that ends meanwhile, as that of a request does, had none by a snapshot."""
    found = ""
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += each.read_text()
    return found


@contextmanager
def under_way(pid: int) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A snapshot whose pipe is left full, so that it is under way for as long as the test wants."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, socket.socket(socket.AF_UNIX) as connection:  # noqa: PTH123
        connection.settimeout(5)
        connection.connect(str(candidates(pid, Path("/proc"))[0]))
        socket.send_fds(connection, [json.dumps({"deadline_s": 30}).encode()], [writing])
        os.close(writing)
        assert b"pause_ns" in connection.recv(4096)
        yield connection, stream


def snapshots(pid: int, ask: Callable[[], bytes], count: int, folder: Path) -> None:
    for number in range(count):
        taken = snapshot(pid, folder / f"{number}.irkheap")
        assert ask() == b"ok"
        assert taken.object_count > 80_000
        assert taken.size_bytes <= 10 * taken.object_count
        assert not children(pid)


def test_a_service_with_fifty_busy_threads_answers_and_keeps_no_child(
    busy: tuple[int, Callable[[], bytes]], tmp_path: Path
) -> None:
    snapshots(*busy, 5, tmp_path)


@pytest.mark.soak
def test_a_hundred_snapshots_hang_none(walker: str, tmp_path: Path) -> None:
    with target(20_000, 50, walker) as (pid, ask):
        snapshots(pid, ask, 100, tmp_path)


def test_a_service_that_forks_all_the_while_is_snapshot_whole_and_goes_on(walker: str, tmp_path: Path) -> None:
    with target(2_000, 2, f"{walker} forks") as (pid, ask):
        for number in range(5):
            taken = snapshot(pid, tmp_path / f"{number}.irkheap")
            assert ask() == b"ok"
            assert taken.object_count > 6_000
            # it verifies what it reads, down to the last block
            assert b"Session" in read(taken.path).columns[Column.NAMES]


def test_names_are_kept_and_values_are_not(busy: tuple[int, Callable[[], bytes]], tmp_path: Path) -> None:
    pid, _ = busy
    file = read(snapshot(pid, tmp_path / "a.irkheap").path)
    names = file.columns[Column.NAMES]
    assert all(name in names for name in (b"Session", b"CACHE", b"user", b"rows", b"Hostile"))
    assert b"secret-" not in b"".join(file.columns.values())
    assert file.meta["pid"] == pid
    assert sum(stack[-1].startswith("threading:") or ":work:" in stack[-1] for stack in file.meta["threads"].values())
    assert oct((tmp_path / "a.irkheap").stat().st_mode)[-3:] == "600"
    place = candidates(pid, Path("/proc"))[0]
    assert oct(place.stat().st_mode)[-3:] == "600"
    assert oct(place.parent.stat().st_mode)[-3:] == "700"


def test_collections_of_garbage_are_told_without_a_snapshot(busy: tuple[int, Callable[[], bytes]]) -> None:
    pid, ask = busy
    first = gc_figures(pid)
    for _ in range(20):
        ask()
    then = gc_figures(pid)
    assert first
    assert then
    assert then.over_s > first.over_s > 0
    assert then.collections >= first.collections
    assert then.pause_s >= then.longest_s
    assert gc_figures(os.getpid()) is None, "no agent is here"


def test_a_second_snapshot_is_refused_while_the_first_runs(
    busy: tuple[int, Callable[[], bytes]], tmp_path: Path
) -> None:
    pid, ask = busy
    with under_way(pid) as (connection, stream):
        with pytest.raises(SnapshotError, match="taken already"):
            snapshot(pid, tmp_path / "second.irkheap")
        assert ask() == b"ok"
        store(stream, tmp_path / "first.irkheap")
        assert b'"status": 0' in connection.recv(4096)
    assert [each.name for each in tmp_path.iterdir()] == ["first.irkheap"]
    assert not children(pid)


def test_whoever_asked_and_left_ends_the_walk(busy: tuple[int, Callable[[], bytes]], tmp_path: Path) -> None:
    pid, _ = busy
    with under_way(pid) as (connection, stream):
        connection.close()
        stream.read()  # its end comes when the clone is gone
    # the clone is reaped a moment after its pipe closed: the next snapshot is refused until then
    for _ in range(100):
        try:
            snapshot(pid, tmp_path / "next.irkheap")
            break
        except SnapshotError as error:
            assert "taken already" in str(error)  # noqa: PT017
    assert not children(pid)


def test_a_target_that_dies_in_the_dump_leaves_no_file_and_no_clone(walker: str, tmp_path: Path) -> None:
    with target(20_000, 1, walker) as (pid, _), under_way(pid) as (_, stream):
        clone = os.pidfd_open(int(children(pid)))
        os.kill(pid, signal.SIGKILL)
        # its end comes first: with the pipe read meanwhile it might get to the end of its walk
        assert select.select([clone], [], [], 10)[0], "the clone outlived the process"
        os.close(clone)
        with pytest.raises(SnapshotError, match="cut short"):
            store(stream, tmp_path / "a.irkheap")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_no_file(busy: tuple[int, Callable[[], bytes]], tmp_path: Path) -> None:
    pid, ask = busy
    irkit = str(Path(sys.executable).parent / "irkit")
    command = ["prlimit", "--fsize=65536", irkit, "memory", "snapshot", "--pid", str(pid), "--to", "a.irkheap"]
    # nor may what Python compiles be cut, to be believed by everybody who imports it later
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert "a.irkheap cannot be written: File too large" in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
    assert ask() == b"ok"


def test_a_damaged_file_is_refused(busy: tuple[int, Callable[[], bytes]], tmp_path: Path) -> None:
    path = snapshot(busy[0], tmp_path / "a.irkheap").path
    whole = path.read_bytes()
    for changed in (
        whole[:-1],
        whole[:4000],
        whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        b"",
        whole + b"x",
    ):
        path.write_bytes(changed)
        with pytest.raises(SnapshotError):
            read(path)


def test_a_process_without_an_agent_or_none_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="has no memory agent"):
        snapshot(os.getpid(), tmp_path / "a.irkheap")
    with pytest.raises(NotFoundError, match="no process"):
        snapshot(2**22 + 1, tmp_path / "a.irkheap")


def test_a_health_check_is_none_of_the_services_processes() -> None:
    """What the Engine runs in a container, seen from here, is a child of the Engine's."""
    parents = {100: 90, 101: 100, 103: 101, 102: 100, 110: 90, 111: 110}
    assert family(100, parents) == [100, 101, 102, 103]


def test_the_first_snapshot_leaves_nothing_in_the_process_that_the_second_would_show(tmp_path: Path) -> None:
    if agent.native() is None:
        pytest.skip("the heap walker is not built")
    code = (
        "import sys; from irkit.memory import agent; agent.start(); known = set(sys.modules);"
        "print('up', flush=True); sys.stdin.readline(); print(sorted(set(sys.modules) - known))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "up\n"
        snapshot(process.pid, tmp_path / "first.irkheap")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "[]\n"
