"""The agent inside a service: takes snapshots of its heap when asked over a UNIX socket that only its owner may use.

Standard library only, one thread that sleeps until someone connects. A service starts it itself (`agent.start()`), or
by IRKIT_MEMORY_AGENT=1 in its environment. The socket is /tmp/irkit-UID/memory-PID.sock, with the numbers that the
service sees of itself; IRKIT_MEMORY_AGENT=/a/folder puts it elsewhere.

A request is one line of JSON and the descriptor of a pipe; a clone of the process writes the snapshot into the pipe
while the process itself goes on. The answers are lines of JSON: how long the process stood still, how the clone ended.
One that asks for `collections`, without a pipe, is answered by how many there were and how long they took.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource  # noqa: F401 (`os.wait4` loads it; after the first snapshot it would be something that grew)
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time
from array import array
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

VARIABLE = "IRKIT_MEMORY_AGENT"
# whose objects lie as the walkers know them; a new one moves its collector's lists, frames and dicts
OLDEST, NEWEST = (3, 11), (3, 14)
INSTALLS = (3, 13)  # the newest that irkit itself runs on
INSTEAD = "run the service on one of these to see its heap; `irkit memory monitor` watches the memory of any process"
_ALL_CHILDREN = 0x40000000  # __WALL: the clone has no exit signal, so that no handler of the service reaps it
_LONGEST_S = 600.0
_PATIENCE_S = 5.0
_REST_S = 1.0
_LOOK_S = 0.2
_LONGEST_PATH = 300
_MOST_FRAMES = 200
_lock = threading.Lock()


class AgentError(RuntimeError):
    """The agent cannot start or take a snapshot; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def walked() -> str:
    """Say whose heaps can be walked."""
    return f"heaps can be walked of Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def native() -> ModuleType | None:
    """Return the compiled walker where it is installed and fits this very Python."""
    try:
        walker = import_module("irkit.memory._heapwalk")
    except ImportError:
        return None
    return walker if walker.fits() else None


def pure() -> ModuleType | None:
    """Return the walker in plain Python where it can do its work; it is imported before anything is cloned."""
    try:
        walker = import_module("irkit.memory.walk_pure")
    except ImportError:  # a Python without ctypes
        return None
    return walker if walker.possible() else None


def socket_folder(uid: int, value: str = "") -> Path:
    """Return the folder of the sockets of one user, given what the environment variable says."""
    return Path(value) if value.startswith("/") else Path(f"/tmp/irkit-{uid}")  # noqa: S108 (made with mode 700, checked)


def start() -> Path:
    """Listen for requests in a thread and return the socket's path; a second call changes nothing.

    Raises:
        AgentError: the socket's folder belongs to another or is open to others, or cannot be made; or no thread can.
    """
    path = socket_folder(os.geteuid(), os.environ.get(VARIABLE, "")) / f"memory-{os.getpid()}.sock"
    with _lock:
        if _State.path != path:
            try:
                listener = _listen(path)
            except OSError as error:
                raise AgentError(f"no socket can be made at {path}: {error.strerror or error}") from error
            try:
                threading.Thread(target=_serve, args=(listener,), name="irkit-memory-agent", daemon=True).start()
            except RuntimeError as error:
                listener.close()
                path.unlink(missing_ok=True)
                raise AgentError(f"no thread can be started: {error}") from error
            if _State.path is None:
                os.register_at_fork(after_in_child=_again)
            _State.path, _State.listener = path, listener
            if _collecting not in gc.callbacks:
                _State.timed_since_s = time.monotonic()
                gc.callbacks.append(_collecting)
            atexit.register(_gone, path, os.getpid())
            native()  # loaded now, so that it is there before the first snapshot and not what grew after it
    return path


def serve_until_gone(path: Path, limit_s: float) -> None:
    """Answer at a socket, in this thread, until the socket is taken away or its time is over.

    For a process that did not start an agent: nothing of it stays, and no hook is set.

    Raises:
        AgentError, OSError: as `start`.
    """
    ends_s = time.monotonic() + limit_s
    with _listen(path) as listener:
        listener.settimeout(_LOOK_S)
        while path.exists() and time.monotonic() < ends_s:
            with suppress(TimeoutError):
                _answer(listener.accept()[0])
    with suppress(OSError):
        path.unlink()


def start_quietly() -> None:
    """Start where the environment asks for it; a service must come up even where its agent cannot."""
    try:
        start()
    except (AgentError, RuntimeError) as error:
        os.write(2, f"irkit: the memory agent did not start: {error}\n".encode())


class _State:
    path: Path | None = None
    listener: socket.socket | None = None
    busy = threading.Lock()
    cloning = False
    # of each generation's collections since the agent started: how many, their nanoseconds, the longest's
    pauses = array("q", bytes(8 * 9))
    began_ns = 0
    timed_since_s = 0.0


def _collecting(phase: str, info: dict[str, int]) -> None:
    """Time each collection of garbage; nothing is allocated that the collector would see."""
    if phase == "start":
        _State.began_ns = time.perf_counter_ns()
        return
    took_ns, at = time.perf_counter_ns() - _State.began_ns, 3 * info["generation"]
    _State.pauses[at] += 1
    _State.pauses[at + 1] += took_ns
    _State.pauses[at + 2] = max(_State.pauses[at + 2], took_ns)


def _pauses() -> list[list[int]]:
    return [_State.pauses[at : at + 3].tolist() for at in (0, 3, 6)]


def _again() -> None:
    """A forked worker has no thread of its parent's; it gets an agent of its own."""
    if _State.cloning:  # the clone that walks is no worker
        return
    global _lock  # the parent's may have been held by a thread that is not here
    _lock, _State.busy = threading.Lock(), threading.Lock()
    if _State.listener is not None:
        _State.listener.close()
    start_quietly()


def _gone(path: Path, pid: int) -> None:
    if os.getpid() == pid:
        with suppress(OSError):
            path.unlink()


def _listen(path: Path) -> socket.socket:
    folder = path.parent
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise AgentError(
            f"{folder} is not a folder of this user alone", hint=f"remove it, or set {VARIABLE} to another"
        )
    # it is there only once it answers
    aside = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        aside.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(aside))
        aside.chmod(0o600)
        listener.listen(8)
        aside.replace(path)
    except OSError:
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            threading.Thread(target=_answer, args=(connection,), name="irkit-memory-snapshot", daemon=True).start()
        except RuntimeError:
            connection.close()


def _answer(connection: socket.socket) -> None:
    """Answer one request, whatever it is; nothing of it may reach the service."""
    with connection:
        descriptors: list[int] = []
        try:
            connection.settimeout(_PATIENCE_S)
            asked, descriptors, _, _ = socket.recv_fds(connection, 4096, 4, socket.MSG_CMSG_CLOEXEC)
            request = _admitted(connection, asked)
            if request.get("ask") == "collections":
                _say(connection, pauses=_pauses(), over_s=time.monotonic() - _State.timed_since_s)
            else:
                _snapshot(connection, descriptors, _deadline_s(request, descriptors))
        except AgentError as error:
            _say(connection, error=str(error), hint=error.hint)
        except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
            _say(connection, error=f"its agent failed: {type(error).__name__}: {error}", hint="")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _admitted(connection: socket.socket, asked: bytes) -> dict[str, Any]:
    """Return the request where it comes from who may ask."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in {0, os.geteuid()}:
        raise AgentError("its agent answers its own user and root only", hint="run irkit as that user or as root")
    return dict(json.loads(asked))


def _deadline_s(request: dict[str, Any], descriptors: list[int]) -> float:
    """Return how long the snapshot may take."""
    deadline_s = float(request["deadline_s"])
    if not 0 < deadline_s <= _LONGEST_S or len(descriptors) != 1:
        raise AgentError("the request makes no sense", hint=f"a snapshot may take {_LONGEST_S:.0f} s at most")
    return deadline_s


def _snapshot(connection: socket.socket, descriptors: list[int], deadline_s: float) -> None:
    """Take one snapshot, and only one at a time."""
    # one that was broken off needs a moment to end
    if not _State.busy.acquire(timeout=_REST_S):
        raise AgentError("a snapshot of it is being taken already", hint="wait for that one to end")
    try:
        _clone(connection, descriptors, deadline_s)
    finally:
        _State.busy.release()


def _clone(connection: socket.socket, descriptors: list[int], deadline_s: float) -> None:
    own = sys.version_info[:2]
    if not OLDEST <= own <= NEWEST:
        raise AgentError(f"it runs Python {own[0]}.{own[1]}, and {walked()}", hint=INSTEAD)
    walker = native() or pure()
    if walker is None:
        hint = "install irkit there from a wheel with the extension, or with a C compiler and Python's headers"
        raise AgentError("its Python and machine have no heap walker that fits", hint=hint)
    for _ in range(100):
        meta = json.dumps(_meta()).encode()
        try:
            _State.cloning = True
            # what comes besides must live until the clone has ended
            pid, pidfd, pause_ns, *_kept = walker.clone_walk(descriptors[0], meta, sys.modules, deadline_s)
            break
        except BlockingIOError:  # a finaliser let us run in the middle of a collection
            time.sleep(0.01)
        finally:
            _State.cloning = False
    else:
        raise AgentError("its collector never rests", hint="try again")
    try:
        os.close(descriptors.pop())  # the clone has its own; its end must be the end of the pipe
        _say(connection, pause_ns=pause_ns)
        _watch(connection, pidfd, deadline_s)
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _, status, usage = os.wait4(pid, _ALL_CHILDREN)
        os.close(pidfd)
    copied_bytes = usage.ru_minflt * os.sysconf("SC_PAGESIZE")
    _say(connection, status=os.waitstatus_to_exitcode(status), copied_bytes_at_most=copied_bytes)


def _watch(connection: socket.socket, pidfd: int, deadline_s: float) -> None:
    """Wait until the clone ended, its time is over, or whoever asked has left."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    waiting.register(connection, select.POLLIN)
    waiting.poll((deadline_s + 1) * 1000)


def _say(connection: socket.socket, **words: object) -> None:
    with suppress(OSError):
        connection.sendall(json.dumps(words).encode() + b"\n")


def _meta() -> dict[str, Any]:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (nothing else is made between this and the clone)
        pages = int(file.read().split()[1])
    files: dict[str, str] = {}
    return {
        "format": 1,
        "walker": "native",
        "pid": os.getpid(),
        "program": Path(sys.argv[0]).name if sys.argv else "",
        "python": ".".join(map(str, sys.version_info[:3])),
        "taken_at": datetime.now(UTC).isoformat(),
        "rss_bytes": pages * os.sysconf("SC_PAGESIZE"),
        "gc": {
            "counts": gc.get_count(),
            "thresholds": gc.get_threshold(),
            "frozen": gc.get_freeze_count(),
            "stats": gc.get_stats(),
            "pauses": _pauses(),
        },
        "threads": {str(ident): _stack(frame, files) for ident, frame in sys._current_frames().items()},  # noqa: SLF001
        "files": files,
    }


def _stack(frame: FrameType | None, files: dict[str, str]) -> list[str]:
    """Name the frames of a thread, innermost last, and note the files of their functions; names only, as in source."""
    lines: list[str] = []
    while frame is not None and len(lines) < _MOST_FRAMES:
        module = dict.get(frame.f_globals, "__name__")
        name = module if type(module) is str else "?"
        function = f"{name}:{frame.f_code.co_qualname}"
        lines.append(f"{function}:{frame.f_lineno}")
        files[function] = frame.f_code.co_filename[-_LONGEST_PATH:]
        frame = frame.f_back
    return lines[::-1]
