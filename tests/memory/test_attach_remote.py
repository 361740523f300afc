"""A real Python 3.14 is asked to let the agent in: no thread is stopped, nothing stays, and what cannot be is said."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest

from irkit.errors import SnapshotError
from irkit.memory import agent, attach_remote, heap, heap_file, heap_suspects
from irkit.memory.attach import LIBRARY, attach, planned
from irkit.memory.attach_target import examine
from irkit.memory.elf import section
from irkit.memory.heap_kernel import extension
from tests.collectors.lab import Lab
from tests.memory.test_attach import NAMES, SERVICE, ask, left_behind
from tests.memory.test_leaks import IN_PYTHON, LEAKS, RUNNER
from tests.stack.engine import Images, wait_until
from tests.support import newer_python

pytestmark = [
    pytest.mark.skipif(not newer_python.IS_HERE, reason=newer_python.MISSING),
    pytest.mark.skipif(extension() is None, reason="plain Python would take seconds for each heap"),
]
# the answers come from a thread of their own, and the main thread runs Python now and then, as a server's does
TICKS = f"""
import threading, time

def answer():
    exec({SERVICE!r}, globals())

threading.Thread(target=answer, daemon=True).start()
while True:
    time.sleep(0.02)
"""
OURS = sorted({*NAMES, "answer", "time"} - {"work"})
GREENLETS = """
import _thread, time
start = _thread.start_new_thread
_thread.start_new_thread = lambda *words: start(*words)
print("up", flush=True)
while True:
    time.sleep(0.02)
"""


@contextmanager
def newer(code: str, *words: str, refuses: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process of Python 3.14 that runs and has said so."""
    environment = newer_python.environment() | ({"PYTHON_DISABLE_REMOTE_DEBUG": "1"} if refuses else {})
    command = [*newer_python.command(), "-c", code, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "up\n"
            yield started
        finally:
            started.kill()


def wait_for_its_read(one: subprocess.Popen[str]) -> None:
    """Wait until the main thread stands in read(2) of its standard input: till it is written to, it runs no Python."""
    told = Path(f"/proc/{one.pid}/task/{one.pid}/syscall")
    reads = ("0 0x0 ", "63 0x0 ")  # on x86_64, on aarch64
    wait_until(lambda: told.read_text(encoding="ascii").startswith(reads), "its main thread reads")


@pytest.mark.parametrize("threads", [0, 20], ids=["plain", "twenty threads and a lock"])
def test_a_process_lets_the_agent_in_and_nothing_stays_in_it(threads: int, tmp_path: Path) -> None:
    with newer(TICKS, str(threads)) as one:
        plan = planned(one.pid)
        assert plan.way == attach_remote.WAY
        assert "is asked to start a thread (sys.remote_exec), which takes it a few ms" in str(plan)
        assert "the process stands still for about 20 ms a million objects to be cloned" in str(plan)
        assert "debugger" not in str(plan)
        done = attach(plan, tmp_path / "a.irkheap")
        wait_until(lambda: ask(one)[1:3] == [[], 0], "the agent's thread has ended")
        assert set(OURS) <= {name for name in ask(one)[3] if not name.startswith("__")} <= {*OURS, "work"}  # type: ignore[attr-defined]
        assert not left_behind(one.pid)
        assert "_attach" not in Path(f"/proc/{one.pid}/maps").read_text()
        attach(planned(one.pid), tmp_path / "b.irkheap")  # and again
        one.kill()
        assert one.stderr is not None
        assert one.stderr.read() == ""
    file = heap_file.read(done.taken.path)
    assert file.meta["walker"] == "python"
    assert file.meta["python"].startswith("3.14.")
    assert b"SESSIONS" in file.columns[heap_file.Column.NAMES]
    assert b"secret-" not in b"".join(file.columns.values())
    assert f": {threads + 2} threads" in done.stacks.read_text(encoding="utf-8"), "and not the agent's"
    assert re.match(r"Its main thread took \d+\.\d ms to let the agent in, then the process was stopped", done.told)
    assert done.stopped_s > 0


@pytest.mark.soak
def test_a_hundred_times_into_fifty_threads_hangs_none(tmp_path: Path) -> None:
    with newer(TICKS, "50") as one:
        for number in range(100):
            attach(planned(one.pid), tmp_path / f"{number}.irkheap")
            assert ask(one)[0] == "well?"
        wait_until(lambda: ask(one)[1:3] == [[], 0], "the last agent's thread has ended")
        children = "".join(each.read_text() for each in Path(f"/proc/{one.pid}/task").glob("*/children"))
        assert children == ""
        one.kill()
        assert one.stderr is not None
        assert one.stderr.read() == ""
    assert len(list(tmp_path.glob("*.irkheap"))) == 100


@pytest.mark.parametrize("program", [each for each in IN_PYTHON if each != "object_arrays"])  # it has no numpy
def test_the_owner_of_a_leak_in_it_is_the_first_suspect(program: str, tmp_path: Path) -> None:
    command = [*newer_python.command(), str(RUNNER), program, str(tmp_path), "python", "raw"]
    subprocess.run(command, env=newer_python.environment(), check=True, timeout=60)
    heaps = []
    for path in sorted(tmp_path.iterdir()):
        with path.open("rb") as stream:
            heap_file.store(stream, path.with_suffix(".cooked"))
        heaps.append(heap.open(path.with_suffix(".cooked")))
    found = heap_suspects.suspects(heaps)
    assert [one.owner for one in found][:1] == [LEAKS[program]]


def test_one_whose_main_thread_waits_is_left_alone_and_the_request_is_taken_back(tmp_path: Path) -> None:
    with newer(SERVICE, "1") as one:  # its main thread reads from a pipe
        wait_for_its_read(one)
        with pytest.raises(SnapshotError, match=r"its main thread ran no Python for 0\.3 s") as caught:
            attach(planned(one.pid), tmp_path / "a.irkheap", wait_s=0.3)
        assert "send it a request and try again, or attach with --debugger" in caught.value.hint
        assert not left_behind(one.pid)
        assert ask(one)[:3] == ["well?", [], 0]
        one.kill()
        assert one.stderr is not None
        assert one.stderr.read() == "", "it did not look for a script that is gone"
    assert list(tmp_path.iterdir()) == []


def test_one_that_a_request_wakes_is_attached_to(tmp_path: Path) -> None:
    with newer(SERVICE, "0") as one:
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(attach(planned(one.pid), tmp_path / "a.irkheap")))
        thread.start()
        wait_until(lambda: left_behind(one.pid), "it was asked")
        while thread.is_alive():
            ask(one)
        assert len(done) == 1


@pytest.mark.skipif(not LIBRARY.is_file() or agent.native() is None, reason="the compiled parts are not built here")
def test_one_that_takes_no_requests_is_attached_to_by_a_debugger(tmp_path: Path) -> None:
    with newer(TICKS, "1", refuses=True) as one:
        assert not attach_remote.takes_requests(examine(one.pid))
        plan = planned(one.pid)
        assert plan.way == "pyinjector"
        assert attach(plan, tmp_path / "a.irkheap").taken.path.exists()
        assert ask(one)[0] == "well?"
    with newer(TICKS, "0") as one:
        assert planned(one.pid, debugger=True).way == "pyinjector"


def test_greenlets_in_the_place_of_threads_are_not_started(tmp_path: Path) -> None:
    with newer(GREENLETS) as one, pytest.raises(SnapshotError, match="it runs greenlets in the place of threads"):
        attach(planned(one.pid), tmp_path / "a.irkheap")


def test_another_debuggers_request_is_not_overwritten(tmp_path: Path) -> None:
    with newer(SERVICE, "0") as one:
        wait_for_its_read(one)
        script = tmp_path / "other.py"
        script.write_text("print('theirs', flush=True)\n", encoding="utf-8")
        code = f"import sys; sys.remote_exec({one.pid}, {str(script)!r})"
        subprocess.run([*newer_python.command(), "-c", code], env=newer_python.environment(), check=True)
        with pytest.raises(SnapshotError, match="another debugger has asked process"):
            attach(planned(one.pid), tmp_path / "a.irkheap")
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write("well?\n")
        one.stdin.flush()
        assert one.stdout.readline() == "theirs\n"


def test_an_older_python_takes_no_requests(tmp_path: Path) -> None:
    code = "print('up', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        try:
            assert one.stdout is not None
            assert one.stdout.readline() == "up\n"
            assert not attach_remote.takes_requests(examine(one.pid))
        finally:
            one.kill()
    assert section(LIBRARY, ".PyRuntime") is None


@pytest.fixture
def newer_image(images: Images) -> Iterator[str]:
    """An image with that Python alone, on the Engine that `images` are on; it is gone afterwards."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(newer_python.ROOT, ".")
    with closing(docker.from_env()) as client:
        answer = client.api.import_image_from_data(buffer.getvalue())
        image = str(json.loads(answer.splitlines()[-1])["status"])
        try:
            yield image
        finally:
            client.images.remove(image, force=True)


def test_in_a_container_it_is_found_by_its_name(newer_image: str, lab: Lab, tmp_path: Path) -> None:
    lab.image = newer_image
    code = f"import io, sys; sys.argv = ['-c', '1']; sys.stdin = io.StringIO(); {TICKS}"
    lab.run(
        "api",
        ["/usr/bin/python3.14", "-u", "-c", code],
        user="65534",
        read_only=True,
        tmpfs={"/dev/shm": "mode=1777"},  # noqa: S108 (of the container)
    )
    (tmp_path / "irkit.toml").write_text(f'[docker]\nproject = "{lab.project}"\n', encoding="utf-8")
    irkit = str(Path(sys.executable).parent / "irkit")
    command = [irkit, "memory", "attach", "--container", "api", "--to", "a.irkheap", "--yes"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Its main thread took" in done.stdout
    shown = subprocess.run(
        [irkit, "memory", "report", "a.irkheap"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "`__main__.SESSIONS` (list) keeps 20 000 `__main__.Session` alive" in " ".join(shown.stdout.split())


def test_where_its_container_has_no_room_for_the_walk_the_command_that_makes_it_is_told(
    newer_image: str, lab: Lab
) -> None:
    """The hint was `docker update --memory`, without a size or a name; that of a service would not do."""
    lab.image = newer_image
    code = "held = b'x' * 40_000_000; print('up', flush=True); import time; time.sleep(600)"
    container = lab.run("api", ["/usr/bin/python3.14", "-u", "-c", code], mem_limit="96m")
    wait_until(lambda: b"up" in container.logs(), "it holds what it is to hold")
    container.reload()
    pid = int(container.attrs["State"]["Pid"])
    with pytest.raises(SnapshotError, match="a walk in plain Python may want 3 times that") as refused:
        planned(pid, "api")
    (command,) = re.findall(r"`(docker update --memory \d+m --memory-swap \d+m \w+)`", refused.value.hint)
    assert container.id.startswith(command.split()[-1])
    assert 96 < int(command.split()[3].removesuffix("m")) < 300
    subprocess.run(command.split(), check=True, capture_output=True)
    assert planned(pid, "api").name == "api"
