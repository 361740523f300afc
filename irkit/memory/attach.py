"""A snapshot of a process that was started without an agent: one is put into it, answers once, and is gone.

A Python from 3.14 on is asked to start a thread itself (`attach_remote`). Elsewhere a debugger's call stops one thread
for as long as it takes to load a small library (`_attach.c`); that starts a thread which, after the injector has left,
waits for the interpreter lock as any other. It runs the agent from a folder that both sides see; that is asked over its
socket as any agent is; then the folder is taken away, and the thread ends.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from irkit.errors import SnapshotError
from irkit.memory import attach_begin, attach_inside, attach_remote, stacks
from irkit.memory.agent import INSTALLS
from irkit.memory.attach_target import Target, examine, headroom_bytes
from irkit.memory.snapshot import PROC, Taken, has_agent, snapshot
from irkit.text.phrase import size

LIBRARY = Path(__file__).with_name("_attach.so")
_INSIDE = ("agent.py", "raw_stream.py", "twin.py", "walk_pure.py")
_BEGIN = "begin.py"
_PLACES = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108 (folders of their own are made in them)
_TIMES_RSS = 3  # of the walk in plain Python, as `walk_pure` has it
_MIB_BYTES = 1024**2
_ID_CHARS = 12  # as `docker ps` shows an id
WAIT_S = 5.0
_START_S = 10.0
_INJECTOR_S = 20.0
_WITH_AGENT = "start it with IRKIT_MEMORY_AGENT=1 in its environment instead"


@dataclass(frozen=True, slots=True)
class Plan:
    """What attaching would do to a process: `name` is what a person types to confirm it, `way` who injects."""

    target: Target
    name: str
    way: str
    native: bool
    needs: tuple[str, ...]
    does: tuple[str, ...]
    risks: tuple[str, ...]

    @property
    def title(self) -> str:
        """The process, as a sentence names it."""
        where = f" of container {self.name}" if self.name != str(self.target.pid) else ""
        return f"process {self.target.pid} ({self.target.command}, Python {self.target.python}){where}"

    def __str__(self) -> str:
        parts = (("needs", self.needs), ("does", self.does), ("risks", self.risks))
        lines = [f"  {name if at == 0 else '':<7}{one}" for name, told in parts for at, one in enumerate(told)]
        return "\n".join([f"Attach to {self.title}", *lines])


@dataclass(frozen=True, slots=True)
class Attached:
    """A snapshot that was taken by attaching, the stacks beside it, and for how long what stood still for it.

    pyinjector stops one thread and lets the others run; gdb stops them all; a Python that was asked to stops none, and
    its main thread was kept for so long.
    """

    taken: Taken
    stacks: Path
    stopped_s: float
    way: str

    @property
    def told(self) -> str:
        """What was done and taken, without where it lies."""
        held, cloned = f"{self.stopped_s * 1000:.1f} ms", f"for {self.taken.pause_s * 1000:.1f} ms to be cloned"
        if self.way == attach_remote.WAY:
            stops = (f"Its main thread took {held} to let the agent in", f"then the process was stopped {cloned}")
        elif self.way == "gdb":
            stops = (f"The process was stopped for {held} by gdb to let the agent in", f"then {cloned}")
        else:
            stops = (
                f"One thread was stopped for {held} by {self.way} to let the agent in",
                f"then the process {cloned}",
            )
        return f"{', '.join(stops)}. {self.taken.held}."


def planned(pid: int, name: str = "", proc: Path = PROC, *, debugger: bool = False) -> Plan:
    """Examine a process and return what attaching to it needs, does and risks; nothing is touched.

    With `debugger` it is injected by one even where its Python would do what it is asked to.

    Raises:
        NotFoundError: there is no such process.
        SnapshotError: it cannot be attached to, or need not be.
    """
    target = examine(pid, proc)
    if has_agent(pid, proc):
        hint = f"irkit memory snapshot --pid {pid}"
        raise SnapshotError(f"process {pid} has a memory agent already, so nothing need be put into it", hint=hint)
    way = attach_remote.WAY if not debugger and attach_remote.takes_requests(target, proc) else injector()
    native = bool(_walkers(target))
    _place(pid, proc, loads=_loads(way, native=native))
    if not native:
        _room(target, name, proc)
    rights = f"root, or the rights of its user {target.uid} to trace it: given"
    if way == attach_remote.WAY:
        needs: tuple[str, ...] = (rights, f"its main thread to run Python: waited for during {WAIT_S:g} s")
        lets_in = "its main thread is asked to start a thread (sys.remote_exec), which takes it a few ms"
        stays = "the agent ends; modules of Python's own that it loaded stay"
    else:
        whom = "one thread for a few ms" if way == "pyinjector" else "it for 2 to 4 s (pip install 'irkit[attach]': ms)"
        needs = (
            rights,
            f"a thread of it that waits in a system call: looked for during {WAIT_S:g} s",
            f"{way} to work on this machine: tried on a process of irkit's own first",
        )
        lets_in = f"{way} stops {whom}, and loads a library of 15 kB"
        stays = "the agent ends; the library stays loaded until the process ends"
    walks = (
        "a clone of the process walks its heap; the process stands still for about 25 ms a GB"
        if native
        else f"its Python is {target.python} and irkit's is {sys.version_info[0]}.{sys.version_info[1]}: the walk in "
        f"plain Python wants {_TIMES_RSS} times its memory, and about 2 s a million objects; the process stands "
        "still for about 20 ms a million objects to be cloned"
    )
    does = (
        lets_in,
        "a new thread runs irkit's agent, which notes where all threads stand (functions, files, lines; no values)",
        walks,
        stays,
    )
    risks = (
        "code is run in a process that was not made for it: it can crash or hang, and what it does not store is lost",
    )
    return Plan(target, name or str(pid), way, native, needs, does, risks)


def attach(plan: Plan, path: Path, *, deadline_s: float = 60.0, wait_s: float = WAIT_S, proc: Path = PROC) -> Attached:
    """Put an agent into the process, have it write a snapshot to `path`, and take it out again.

    `wait_s` is for how long a thread at rest is looked for.

    Raises:
        NotFoundError: the process ended before anything was done.
        SnapshotError: it was too busy, could not be traced, ended, or the snapshot failed.
    """
    pid = plan.target.pid
    if examine(pid, proc) != plan.target:
        raise SnapshotError(f"process {pid} is another by now; nothing was done", hint="look again")
    pidfd = os.pidfd_open(pid)
    try:
        with _folder(plan, proc) as (own, inside):
            stopped_s = (
                _asked(plan.target, pidfd, own, inside, wait_s, proc)
                if plan.way == attach_remote.WAY
                else _injected(plan, own / LIBRARY.name, wait_s)
            )
            socket = inside / attach_inside.SOCKET
            _await(pid, pidfd, socket)
            taken = snapshot(pid, path, deadline_s=deadline_s, proc=proc, place=socket)
    finally:
        os.close(pidfd)
    return Attached(taken, stacks.beside(path), stopped_s, plan.way)


def injector() -> str:
    """Return who can inject here: pyinjector before gdb, which stops the process for seconds.

    Raises:
        SnapshotError: nobody.
    """
    if not LIBRARY.is_file():
        hint = f"install irkit from a wheel with compiled parts, or with a C compiler; or {_WITH_AGENT}"
        raise SnapshotError("the part of irkit that is loaded into a process is not built here", hint=hint)
    if find_spec("pyinjector") is not None:
        return "pyinjector"
    if shutil.which("gdb"):
        return "gdb"
    raise SnapshotError("neither pyinjector nor gdb is installed here", hint="pip install 'irkit[attach]'")


def _walkers(target: Target) -> list[Path]:
    """Return the compiled walkers here that are of the target's very version."""
    tag = f"{target.version[0]}{target.version[1]}"
    return sorted(LIBRARY.parent.glob(f"_heapwalk.cpython-{tag}-*.so"))


def _room(target: Target, name: str, proc: Path) -> None:
    from irkit.memory.footprint import container_memory
    from irkit.procfs import container_of, rss_bytes

    room, rss = headroom_bytes(target.pid, proc), rss_bytes(target.pid, proc)
    if room is not None and room < _TIMES_RSS * rss:
        wanted = f"a walk in plain Python may want {_TIMES_RSS} times that"
        held, lacking = container_memory(target.pid, proc), _TIMES_RSS * rss - room
        # what is given may be a service's name, which Docker does not take
        named = container_of(target.pid, proc)[:_ID_CHARS] or name
        if target.version[:2] <= INSTALLS:
            version = ".".join(map(str, target.version[:2]))
            hint = f"run irkit on Python {version}: its compiled walker wants next to nothing"
        elif held and held.limit_bytes is not None and named and held.limit_bytes - held.usage_bytes < _TIMES_RSS * rss:
            # and a tenth to spare, as what leaks grows meanwhile
            enough = f"{math.ceil((held.limit_bytes + 1.1 * lacking) / _MIB_BYTES)}m"
            hint = f"give it more for as long: `docker update --memory {enough} --memory-swap {enough} {named}`"
        else:
            hint = (
                f"{size(lacking)} more must be free: stop something else on this machine, or ask again at another time"
            )
        raise SnapshotError(f"process {target.pid} has {size(rss)}, {wanted}, and {size(room)} are left", hint=hint)


def _loads(way: str, *, native: bool) -> bool:
    """Say whether compiled code is loaded from the folder in the process's files."""
    return native or way != attach_remote.WAY


def _place(pid: int, proc: Path, *, loads: bool) -> str:
    """Return the path of a folder that both sides have, real and writable; where it `loads`, programs may run there."""
    for place in _PLACES:
        inside = proc / str(pid) / "root" / place.removeprefix("/")
        links = [each for each in (inside, *inside.parents) if each.is_relative_to(proc / str(pid) / "root")]
        if not inside.is_dir() or any(each.is_symlink() for each in links[:-1]) or os.path.realpath(place) != place:
            continue
        may_run = not (loads and os.statvfs(inside).f_flag & os.ST_NOEXEC)
        if may_run and os.access(inside, os.W_OK) and os.access(place, os.W_OK):
            return place
    sentence = f"nowhere in the files of process {pid} can the agent be put: of {', '.join(_PLACES)} none is writable"
    raise SnapshotError(f"{sentence}{', or programs may not run from there' if loads else ''}", hint=_WITH_AGENT)


@contextmanager
def _folder(plan: Plan, proc: Path) -> Iterator[tuple[Path, Path]]:
    """Make a folder of one name on both sides, which may be the same; the library and the agent are in the target's."""
    target, loads = plan.target, _loads(plan.way, native=plan.native)
    own = Path(tempfile.mkdtemp(prefix=f"irkit-attach-{target.pid}-", dir=_place(target.pid, proc, loads=loads)))
    inside = proc / str(target.pid) / "root" / own.relative_to("/")
    try:
        try:
            _fill(own, inside, target)
        except OSError as error:
            sentence = f"the agent cannot be put where process {target.pid} finds it: {error.strerror or error}"
            raise SnapshotError(sentence, hint=f"is it running? {_WITH_AGENT}") from error
        yield own, inside
    finally:
        # links are not followed, whatever the process made of its folder meanwhile
        shutil.rmtree(inside, ignore_errors=True)
        shutil.rmtree(own, ignore_errors=True)


def _fill(own: Path, inside: Path, target: Target) -> None:
    if not inside.exists():
        inside.mkdir(mode=0o700)
        (own / LIBRARY.name).touch()  # the injector wants a file of this name on its own side, too
    memory = inside / "irkit" / "memory"
    memory.mkdir(parents=True)
    for each in (*(LIBRARY.with_name(name) for name in _INSIDE), *_walkers(target)):
        shutil.copyfile(each, memory / each.name)
    if LIBRARY.is_file():
        shutil.copyfile(LIBRARY, inside / LIBRARY.name)
    shutil.copyfile(Path(attach_inside.__file__), inside / "attach.py")
    begin = Path(attach_begin.__file__).read_text(encoding="utf-8")
    (inside / _BEGIN).write_text(f"{begin}\nbegin({str(own)!r})\n", encoding="utf-8")
    _give(inside, target)


def _give(inside: Path, target: Target) -> None:
    if os.geteuid() == target.uid:
        return
    for folder, _, names in os.walk(inside, topdown=False):
        for each in (*names, "."):
            os.chown(Path(folder) / each, target.uid, target.gid, follow_symlinks=False)


def _asked(target: Target, pidfd: int, own: Path, inside: Path, wait_s: float, proc: Path) -> float:  # noqa: PLR0913, PLR0917 (who is asked, and where)
    """Have the process start the agent's thread; return for how many seconds its main thread was kept."""
    failed = f"process {target.pid} could not be attached to"
    try:
        kept_s = attach_remote.run(target, pidfd, own / _BEGIN, inside / attach_begin.BEGUN, wait_s, proc)
    except TimeoutError as error:
        sentence = f"{failed}: its main thread ran no Python for {wait_s:g} s; the request was taken back"
        hint = "it may wait for something: send it a request and try again, or attach with --debugger"
        raise SnapshotError(sentence, hint=hint) from error
    if not kept_s:
        sentence = f"{failed}: it runs greenlets in the place of threads"
        raise SnapshotError(sentence, hint="nothing was started in it; attach with --debugger")
    return kept_s


def _injected(plan: Plan, library: Path, wait_s: float) -> float:
    """Have the library loaded; return for how many seconds a thread, or with gdb the process, stood still."""
    pid = plan.target.pid
    command = [sys.executable, "-P", "-m", "irkit.memory.attach_inject", plan.way, str(pid)]
    command += [str(LIBRARY), str(library), str(wait_s)]
    failed = f"process {pid} could not be attached to"
    try:
        # no terminal's Ctrl-C may end it half-way, which would leave the process amid a call that is not its own
        done = subprocess.run(  # noqa: S603 (this Python, a module of ours)
            command, capture_output=True, text=True, timeout=wait_s + _INJECTOR_S, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        sentence = f"{failed}: the call in it did not end in {_INJECTOR_S:g} s; it may be damaged"
        raise SnapshotError(sentence, hint="look whether it answers, and restart it where it does not") from error
    try:
        told = json.loads(done.stdout)
    except ValueError as error:
        why = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise SnapshotError(f"{failed}: the injector failed: {why[:200]}", hint="look whether it answers") from error
    if told.get("error") == "busy":
        hint = f"nothing was put into it; try again when it is less busy, or {_WITH_AGENT}"
        raise SnapshotError(f"{failed}: no thread of it was at rest for {wait_s:g} s", hint=hint)
    if told.get("error") == "rehearsal":
        hint = f"nothing was put into it; {_WITH_AGENT}"
        sentence = f"{failed}: {plan.way} could not do it to a process of irkit's own first: {str(told['why'])[:300]}"
        raise SnapshotError(sentence, hint=hint)
    if told.get("error") == "gone":
        raise SnapshotError(f"{failed}: it ended meanwhile", hint="name one that runs")
    if "error" in told:
        raise SnapshotError(f"{failed}: {str(told['error'])[:300]}", hint="look whether it answers")
    return float(told["stopped_ns"]) / 1e9


def _await(pid: int, pidfd: int, socket: Path) -> None:
    if not attach_remote.appears(pid, pidfd, socket.is_socket, _START_S):
        sentence = f"the agent was put into process {pid}, and did not get to run within {_START_S:g} s"
        raise SnapshotError(sentence, hint="its threads may not let go of the interpreter lock; it was called off")
