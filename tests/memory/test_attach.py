"""Real processes without an agent are attached to: they answer on, nothing stays in them; what cannot be is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.errors import NotFoundError, SnapshotError
from irkit.memory import agent, attach_target, heap_file
from irkit.memory.attach import LIBRARY, Attached, attach, planned
from irkit.memory.attach_inject import is_resting, rehearsed
from irkit.memory.attach_target import python_of, refuse_unwalkable
from irkit.memory.snapshot import Taken, snapshot
from tests.stack.engine import wait_until

pytestmark = pytest.mark.skipif(
    not LIBRARY.is_file() or agent.native() is None, reason="the compiled parts are not built here"
)
# As people start it, and as it is installed for all, where another user finds it.
SYSTEM_PYTHON = "/usr/bin/python3"
SERVICE = """
import json, sys, threading

class Session:
    def __init__(self, number):
        self.token = f"secret-{number}"

SESSIONS = [Session(number) for number in range(20_000)]
LOCK = threading.Lock()

def work():
    while True:
        with LOCK:
            [object() for _ in range(100)]

for line in range(int(sys.argv[1])):
    threading.Thread(target=work, daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    with LOCK:
        ours = [name for name in sys.modules if name.startswith("irkit")]
        frames = sum("irkit" in frame.f_code.co_filename for frame in sys._current_frames().values())
        print(json.dumps([line.strip(), ours, frames, sorted(sys.modules["__main__"].__dict__)]), flush=True)
"""
NAMES = ["LOCK", "SESSIONS", "Session", "frames", "json", "line", "ours", "sys", "threading", "work"]
# all that is looked for in a program before it is taken for a Python
LOOKS_LIKE_PYTHON = """
void PyGILState_Ensure(void) {} void PyGILState_Release(void) {} void PyRun_SimpleString(void) {}
void Py_IsInitialized(void) {}
int pause(void);
int main(void) { for (;;) pause(); }
"""
KEEPS_THE_LOCK = "import ctypes; print('up', flush=True); ctypes.PyDLL(None).pause()"
NEVER_RESTS = "print('up', flush=True)\nwhile True: pass"


@contextmanager
def process(
    code: str, *words: str, python: str = sys.executable, user: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that runs and has said so."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([python, "-c", code, *words], cwd="/", user=user, **pipes) as started:  # type: ignore[call-overload]
        try:
            assert started.stdout.readline() == "up\n"
            yield started
        finally:
            started.kill()


def ask(one: subprocess.Popen[str]) -> list[object]:
    assert one.stdin is not None
    assert one.stdout is not None
    one.stdin.write("well?\n")
    one.stdin.flush()
    told: list[object] = json.loads(one.stdout.readline())
    return told


def left_behind(pid: int) -> bool:
    return any(Path(f"/proc/{pid}/root/tmp").glob(f"irkit-attach-{pid}-*"))


def attached(pid: int, path: Path) -> Attached:
    return attach(planned(pid), path)


@pytest.mark.parametrize(
    ("python", "threads", "user"),
    [(sys.executable, 0, None), (sys.executable, 20, None), (SYSTEM_PYTHON, 2, 65534)],
    ids=["plain", "twenty threads and a lock", "another user's, of a Python without a library"],
)
def test_a_process_answers_on_and_nothing_stays_in_it(
    python: str, threads: int, user: int | None, tmp_path: Path
) -> None:
    with process(SERVICE, str(threads), python=python, user=user) as one:
        done = attached(one.pid, tmp_path / "a.irkheap")
        wait_until(lambda: ask(one)[1:3] == [[], 0], "the agent's thread has ended")
        assert [name for name in ask(one)[3] if not name.startswith("__")] == NAMES  # type: ignore[attr-defined]
        assert not left_behind(one.pid)
    file = heap_file.read(done.taken.path)
    assert file.meta["walker"] == "native"
    names = file.columns[heap_file.Column.NAMES]
    assert b"Session" in names
    assert b"SESSIONS" in names
    assert b"secret-" not in b"".join(file.columns.values())
    stacks = done.stacks.read_text(encoding="utf-8")
    assert f": {threads + 1} thread" in stacks, "each of its own, and not the agent's"
    assert stacks.count("__main__.work, <string>:") == threads
    assert oct(done.stacks.stat().st_mode)[-3:] == "600"
    assert done.stopped_s > 0


def test_a_process_can_be_attached_to_again(tmp_path: Path) -> None:
    with process(SERVICE, "1") as one:
        attached(one.pid, tmp_path / "a.irkheap")
        attached(one.pid, tmp_path / "b.irkheap")
        assert ask(one)[0] == "well?"


def test_what_cannot_be_attached_to_is_a_sentence() -> None:
    with subprocess.Popen(["sleep", "60"]) as one:
        try:
            with pytest.raises(SnapshotError, match="is not a Python process"):
                planned(one.pid)
        finally:
            one.kill()
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NotFoundError, match="has ended"):
            planned(one.pid)
    with pytest.raises(NotFoundError, match=f"there is no process {one.pid} here"):
        planned(one.pid)


@pytest.mark.parametrize(
    ("version", "which"),
    [("0x030f01f0", "Python 3.15"), ("0x031000a1", "Python 3.16"), ("", "a Python older than 3.11")],
)
def test_a_python_that_no_walker_knows_is_refused_before_anything_is_done(
    version: str, which: str, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    says = f"const unsigned long Py_Version = {version};" if version else ""
    code = f"{says}{LOOKS_LIKE_PYTHON}"
    command = ["cc", "-x", "c", "-", "-rdynamic", "-o", str(program)]
    subprocess.run(command, input=code, text=True, check=True)
    with subprocess.Popen([program]) as one:
        try:
            wait_until(lambda: Path(f"/proc/{one.pid}/exe").resolve() == program, "the program runs")
            sentence = f"process {one.pid} (python) runs {which}, and heaps can be walked of Python 3.11 to 3.14"
            for asked in (planned, lambda pid: snapshot(pid, tmp_path / "a.irkheap")):
                with pytest.raises(SnapshotError, match=f"^{re.escape(sentence)}$") as caught:
                    asked(one.pid)
                assert "run the service on one of these" in caught.value.hint
                assert "irkit memory monitor" in caught.value.hint
            with pytest.raises(SnapshotError, match=re.escape(sentence)):
                python_of("api", [one.pid])
            with process(SERVICE, "0") as other:
                refuse_unwalkable([one.pid, other.pid])  # as one of them can be attached to
        finally:
            one.kill()
    assert not (tmp_path / "a.irkheap").exists()


def test_one_that_never_rests_is_left_alone(tmp_path: Path) -> None:
    with process(NEVER_RESTS) as one:
        with pytest.raises(SnapshotError, match=r"no thread of it was at rest for 0\.5 s"):
            attach(planned(one.pid), tmp_path / "a.irkheap", wait_s=0.5)
        assert "_attach" not in Path(f"/proc/{one.pid}/maps").read_text()
        assert not left_behind(one.pid)


def test_one_that_ends_meanwhile_is_said_to(tmp_path: Path) -> None:
    """Its interpreter lock is never let go, so that the agent waits inside for as long as the test wants."""
    with process(KEEPS_THE_LOCK) as one:
        plan, said = planned(one.pid), []

        def run() -> None:
            try:
                attach(plan, tmp_path / "a.irkheap")
            except SnapshotError as error:
                said.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: "_attach.so" in Path(f"/proc/{one.pid}/maps").read_text(), "the library is loaded")
        one.kill()
        thread.join()
        assert said == [f"process {one.pid} ended while it was attached to"]
        with pytest.raises(NotFoundError):
            attach(plan, tmp_path / "a.irkheap")
    assert list(tmp_path.iterdir()) == []


def run(*words: str, command: str = "attach") -> subprocess.CompletedProcess[str]:
    typed = [str(Path(sys.executable).parent / "irkit"), "memory", command, *words]
    return subprocess.run(typed, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_the_command_says_what_it_does_and_wants_to_be_told_the_name(tmp_path: Path) -> None:
    with process(SERVICE, "0") as one:
        alone = run("--pid", str(one.pid), "--to", str(tmp_path / "a.irkheap"))
        assert alone.returncode == 2
        assert "nobody is there to confirm it; nothing was done" in alone.stderr
        assert "code is run in a process that was not made for it: it can crash or hang" in alone.stdout
        assert list(tmp_path.iterdir()) == []
        done = run("--pid", str(one.pid), "--to", str(tmp_path / "a.irkheap"), "--yes")
        assert done.returncode == 0, done.stderr
        assert "One thread was stopped for" in done.stdout
        assert sorted(each.name for each in tmp_path.iterdir()) == ["a.irkheap", "a.stacks.txt"]
        kept = (tmp_path / "a.irkheap").read_bytes()
        again = run("--pid", str(one.pid), "--to", str(tmp_path / "a.irkheap"), "--yes")
        assert again.returncode == 2
        assert "is there already, and is not overwritten" in again.stderr
        assert (tmp_path / "a.irkheap").read_bytes() == kept


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (
            "pyinjector",
            "One thread was stopped for 12.5 ms by pyinjector to let the agent in, then the process for",
        ),
        ("gdb", "The process was stopped for 12.5 ms by gdb to let the agent in, then for 5.0 ms to be cloned."),
    ],
)
def test_whom_the_injector_stopped_is_told(way: str, told: str) -> None:
    taken = Taken(Path("a.irkheap"), 2_000_000, 83_000, 0.005, 0)
    assert Attached(taken, Path("a.stacks.txt"), 0.0125, way).told.startswith(told)


def test_a_process_of_another_user_is_refused_to_whoever_may_not_trace_it(tmp_path: Path) -> None:
    code = "import sys; from irkit.memory.attach import planned; planned(int(sys.argv[1]))"
    # a copy that anybody may read, as a clone in somebody's home is not
    with process(SERVICE, "0") as one, tempfile.TemporaryDirectory(dir="/var/tmp") as public:
        Path(public).chmod(0o755)
        shutil.copytree(Path(__file__).parents[2] / "irkit", Path(public) / "irkit")
        command = [SYSTEM_PYTHON, "-c", code, str(one.pid)]
        done = subprocess.run(
            command, cwd=public, env={"PYTHONPATH": public}, user=65534, capture_output=True, text=True, check=False
        )
    assert "belongs to another user" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have some of its rights taken away")
@pytest.mark.parametrize(
    ("user", "sentence"),
    [(65534, "belongs to another user, "), (None, ", ")],
    ids=["of another", "of one with more rights"],
)
def test_root_is_told_what_else_holds_it_back(user: int | None, sentence: str) -> None:
    sentence += "and this root may not trace it: it lacks CAP_SYS_PTRACE"
    less = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    hint = "--cap-add SYS_PTRACE"
    with process(SERVICE, "0", python=SYSTEM_PYTHON, user=user) as one:
        words = [*less, str(Path(sys.executable).parent / "irkit"), "memory", "attach", "--pid", str(one.pid)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert sentence in done.stderr
    assert hint in done.stderr
    assert "run irkit as root\n" not in done.stderr


def test_root_of_a_namespace_of_its_own_is_told_so(tmp_path: Path) -> None:
    """By links as the kernel has them: a namespace is not to be had everywhere, as under chroot(2)."""
    (tmp_path / "self" / "ns").mkdir(parents=True)
    link = tmp_path / "self" / "ns" / "user"
    for target, said in (
        ("user:[4026532171]", "in a user namespace of its own alone"),
        ("user:[4026531837]", "AppArmor"),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        why, hint = attach_target._root_lacks(tmp_path, may_trace=True)
        assert said in why
        assert "outside of any container" in hint


def test_a_process_and_a_container_are_not_named_at_once() -> None:
    for each in ("attach", "snapshot", "monitor"):
        done = run("--pid", "1", "--container", "api", command=each)
        assert done.returncode == 2
        assert "both --pid 1 and --container api were given" in done.stderr
        assert "one process is needed" in run(command=each).stderr


@pytest.mark.parametrize(
    ("told", "rests"),
    [
        ("running", False),
        ("-1 0x7ffe 0x7f80", False),
        ("230 0x1 0x1 0x7f 0x0 0x0 0x0 0x7ffe 0x7f80", True),  # clock_nanosleep
        ("12 0x1 0x1 0x7f 0x0 0x0 0x0 0x7ffe 0x7f80", False),  # brk: amid the allocator
        ("202 0x7f 0x189 0x0 0x0 0x0 0xffffffff 0x7ffe 0x7f80", True),  # a condition's or a semaphore's wait
        ("202 0x7f 0x80 0x2 0x0 0x0 0x0 0x7ffe 0x7f80", False),  # a lock of the C library's own
    ],
)
def test_a_thread_rests_in_a_system_call_that_is_not_the_allocators(told: str, rests: bool) -> None:  # noqa: FBT001
    assert is_resting(told, "x86_64") is rests


def test_an_injector_that_kills_is_found_out_on_a_process_of_our_own(tmp_path: Path) -> None:
    broken = tmp_path / "_attach.so"
    broken.write_bytes(b"no library")
    assert rehearsed("pyinjector", LIBRARY) == ""
    assert "dlopen" in rehearsed("pyinjector", broken)
