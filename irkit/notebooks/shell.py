"""The inside of a shell process: runs the cells it is given and tells what they print, show and raise, as it comes.

It is what a kernel is to a notebook, without the kernel's sockets and heartbeats: an IPython shell that writes each
message as one line of JSON into a socket it inherited. `irkit.notebooks.shells` starts it and reads them.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from io import TextIOBase
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets import Bool, Type
from traitlets.config import Config

from irkit import light

_FLUSH_S = 0.1
_PIECE = 65536
# what a kernel sets, so that libraries draw and colour in the same way
_ENVIRONMENT = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
_INLINE = "module://matplotlib_inline.backend_inline"


class Teller:
    """The way out: messages of the cell that runs, whole and one after the other, from whichever thread they come."""

    def __init__(self, to: socket.socket) -> None:
        self._to = to
        self._lock = threading.Lock()
        self.cell = -1
        # held from where something is read until it is told: whoever comes next knows that nothing is on its way
        self.forwarding = threading.Lock()

    def tell(self, kind: str, content: Mapping[str, object]) -> None:
        line = json.dumps({"kind": kind, "cell": self.cell, **content}, default=_plain, ensure_ascii=False)
        # a lone surrogate could not be written to the notebook's file; it is shown as a question mark
        with self._lock, suppress(BrokenPipeError, ConnectionResetError):
            self._to.sendall(line.encode("utf-8", errors="replace") + b"\n")


class Stream(TextIOBase):
    """`sys.stdout` or `sys.stderr` of the cells: what is written is told soon, and in the order it was written."""

    def __init__(self, name: str, fd: int, teller: Teller) -> None:
        super().__init__()
        self._name, self._fd, self._teller = name, fd, teller
        self._parts: list[str] = []
        self._lock = threading.Lock()
        self.other: Stream | None = None

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "UTF-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "strict"

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.other is not None:
            self.other.flush()
        with self._lock:
            self._parts.append(text + "")  # bytes fail here, as in any text stream
        return len(text)

    def flush(self) -> None:
        with self._lock:
            text, self._parts = "".join(self._parts), []
            if text:
                self._teller.tell("stream", {"name": self._name, "text": text})


class Publisher(DisplayPublisher):
    """Tells what `display` shows."""

    teller = AnyTrait()

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: str | None = None,  # noqa: ARG002 (IPython's own signature)
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: object,
    ) -> None:
        _flush()
        kind = "update_display_data" if update else "display_data"
        shown = {"data": data, "metadata": metadata or {}, "display_id": (transient or {}).get("display_id")}
        self.teller.tell(kind, shown)

    def clear_output(self, wait: bool = False) -> None:  # noqa: FBT001, FBT002 (IPython's own signature)
        _flush()
        self.teller.tell("clear_output", {"wait": wait})


class Hook(DisplayHook):
    """Tells the value of a cell's last expression."""

    teller = AnyTrait()
    shown: dict[str, object] | None = None

    def start_displayhook(self) -> None:
        self.shown = {}

    def write_output_prompt(self) -> None:
        if self.shown is not None:
            self.shown["count"] = self.prompt_count

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        if self.shown is not None:
            self.shown |= {"data": format_dict, "metadata": md_dict or {}}

    def finish_displayhook(self) -> None:
        _flush()
        if self.shown and self.shown.get("data"):
            self.teller.tell("execute_result", self.shown)
        self.shown = None


class Shell(InteractiveShell):
    """IPython as a notebook knows it: no terminal, no history file, everything shown goes through the teller."""

    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    autoindent = Bool(False)  # noqa: FBT003 (traitlets' own way)
    teller = AnyTrait()
    failed_to_show = False

    def init_environment(self) -> None:
        """Leave the environment as it is: that of a shell belongs to the process that runs cells (`serve`)."""

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        _flush()
        self.failed_to_show = self.failed_to_show or getattr(self.displayhook, "shown", None) is not None
        self.teller.tell("error", {"ename": str(etype.__name__), "evalue": str(evalue), "traceback": stb})

    def raw_input(self, prompt: str = "") -> str:
        from IPython.core.error import StdinNotImplementedError

        raise StdinNotImplementedError(
            "raw_input was called, but this frontend does not support input requests." + prompt[:0]
        )


def main() -> None:
    """Serve the socket whose number is the first argument, after importing the modules that the others name."""
    number, *modules = sys.argv[1:]
    sys.argv = ["irkit"]
    serve(socket.socket(fileno=int(number)), modules)
    # what the cells left behind ends as it would in a kernel; to free memory piece by piece before leaving is no use
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001 (there is no other way to run them and then leave at once)
    _flush()
    os._exit(0)


def serve(link: socket.socket, modules: Sequence[str] = ()) -> None:
    """Import `modules`, wait for the cells, and run them one after the other until one fails that may not."""
    teller = Teller(link)
    pipes = _capture()
    os.environ.update(_ENVIRONMENT)
    os.environ.setdefault("MPLBACKEND", _INLINE)
    if "" not in sys.path:
        sys.path.insert(0, "")
    shell = prepared()
    _listen(shell, teller)
    with light.uncollected() if modules else nullcontext():
        for name in modules:
            with suppress(ImportError):  # only to be ready sooner; a cell that needs it fails by itself
                importlib.import_module(name)
    with link.makefile("r", encoding="utf-8") as asked:
        line = asked.readline()
    if not line:
        return
    work = json.loads(line)
    os.chdir(work["cwd"])
    threading.Thread(target=_forward, args=(pipes, link, teller), daemon=True, name="irkit-shell").start()
    for index, source, may_fail in work["cells"]:
        teller.cell = index
        teller.tell("start", {"at": _now(), "count": shell.execution_count})
        shell.failed_to_show = False
        result: Any = shell.run_cell(source, store_history=True, silent=False)  # type: ignore[no-untyped-call]
        _flush()
        _drain(pipes, teller)
        ok = result.success and not shell.failed_to_show
        teller.tell("end", {"at": _now(), "count": shell.execution_count - 1, "ok": ok})
        if not ok and not may_fail:
            break


def prepared() -> Shell:
    """Return this process's shell, made at the first call: what is forked after that has it already."""
    return Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))


def _listen(shell: Shell, teller: Teller) -> None:
    for part in (shell, shell.display_pub, shell.displayhook):
        part.set_trait("teller", teller)
    out, err = Stream("stdout", 1, teller), Stream("stderr", 2, teller)
    out.other, err.other = err, out
    sys.stdout, sys.stderr = out, err


def _capture() -> dict[int, str]:
    """Put pipes in the place of the process's own output, for what programs and C libraries write past Python."""
    pipes = {}
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 (a descriptor is wanted, not a text)
        os.dup2(nothing.fileno(), 0)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        reading, writing = os.pipe()
        os.dup2(writing, fd)
        os.close(writing)
        os.set_blocking(reading, False)
        pipes[reading] = name
    return pipes


def _forward(pipes: Mapping[int, str], link: socket.socket, teller: Teller) -> None:
    """Tell what arrives in the pipes and what waits in the streams; end with whoever started this process."""
    while True:
        ready, _, _ = select.select([*pipes, link.fileno()], [], [], _FLUSH_S)
        if link.fileno() in ready and _is_gone(link):
            os.killpg(0, signal.SIGKILL)
        _flush()
        _drain(pipes, teller)


def _is_gone(link: socket.socket) -> bool:
    try:
        return not link.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:  # it went without having read all that it was told
        return True


def _drain(pipes: Mapping[int, str], teller: Teller) -> None:
    for fd, name in pipes.items():
        with teller.forwarding, suppress(BlockingIOError):
            while piece := os.read(fd, _PIECE):
                teller.tell("stream", {"name": name, "text": piece.decode("utf-8", errors="replace")})


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, AttributeError):  # a cell may have put something of its own there
            stream.flush()


def _plain(value: object) -> object:
    """Return what JSON has no form for as a kernel sends it: bytes in base64, numbers of numpy as numbers."""
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode("ascii")
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    return list(value) if isinstance(value, set | frozenset | tuple) else str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    main()
