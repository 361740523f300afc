"""The process that runs collectors: one forked child each, killed at its deadline with all it started.

Started by `irkit.collect.engine` as `python -m irkit.collect.host`, with the job as a line of JSON on standard input
(so that credentials are in no argv and no environment) and told by the end of that input that its parent is gone. Being
single-threaded it can fork safely, also when its parent is a Jupyter kernel full of threads. Children report on
standard output, one JSON line of at most PIPE_BUF bytes at a time, which the kernel keeps whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit import light, settings
from irkit.collect import canary
from irkit.collect.contract import Collector, Gap, Limits, NotHere, Refused, Unreachable, registered
from irkit.collect.writer import EvidenceWriter
from irkit.errors import CollectError
from irkit.model import Outcome, Window
from irkit.redact import Redactor
from irkit.redact import rules as redaction_rules
from irkit.registry import BrokenPlugin, load_plugins
from irkit.times import latest_known

_LINE_BYTES = select.PIPE_BUF
_REASON_CHARS = 400
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Job:
    """One collection as handed over by the parent process."""

    staging: Path
    window: Window
    redactor: Redactor
    max_size_bytes: int
    run_deadline_s: float
    collectors: tuple[dict[str, Any], ...]


def read_job(line: str) -> Job:
    """Read the parent's line; see `irkit.collect.engine` for its other end."""
    body = json.loads(line)
    return Job(
        Path(body["staging"]),
        Window(*map(datetime.fromisoformat, body["window"])),
        Redactor(bytes.fromhex(body["redaction_key"]), addresses=body["redact_addresses"]),
        body["max_size_bytes"],
        body["run_deadline_s"],
        tuple(body["collectors"]),
    )


def main() -> None:
    """Run the job on standard input to its end, or until the parent is gone."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for a report
    gc.disable()  # nothing of what is loaded now is garbage, and looking takes a tenth of the time
    light.load(*redaction_rules.ENGINES)  # by the main thread: imports in two of them at once see modules half made
    rules = threading.Thread(target=_load_rules)  # native code that lets Python go on, so both cores are of use
    rules.start()
    _introduce(load_plugins("irkit.collectors", "irkit.collectors"), out)
    rules.join()  # before the first fork, which must not copy a thread's locks
    gc.freeze()  # a child's garbage collection would touch, and so copy, every page that all of them share
    gc.enable()
    line = sys.stdin.readline()
    if not line:
        return  # it has changed its mind, or is gone
    job = read_job(line)
    wake_read, wake_write = socket.socketpair()
    for end in (wake_read, wake_write):
        end.settimeout(0.0)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        canary.check(job.redactor, job.staging)
    except CollectError as error:
        _report(out, "", "refused", reason=str(error), hint=error.hint)
        return
    _report(out, "", "ready", run_deadline_s=job.run_deadline_s)
    started = time.monotonic()
    children = _start(job, out)
    run_ends = started + job.run_deadline_s
    while children:
        now = time.monotonic()
        for pid, (name, began, deadline) in list(children.items()):
            if now >= min(deadline, run_ends):
                _kill(pid)
                os.waitpid(pid, 0)
                del children[pid]
                limit = "its deadline" if deadline <= run_ends else "the deadline of the whole run"
                reason = f"stopped at {limit} after {now - began:.1f} s"
                _report(out, name, "ended", outcome=Outcome.TIMED_OUT, reason=reason, duration_s=now - began)
        _reap(children, out)
        if not children:
            break
        wait_s = max(0.0, min(run_ends, *(item[2] for item in children.values())) - time.monotonic())
        ready, _, _ = select.select([sys.stdin, wake_read], [], [], wait_s)
        if sys.stdin in ready:  # nothing more is ever sent: this is the end of the parent
            for pid in children:
                _kill(pid)
            return
        with contextlib.suppress(BlockingIOError):
            wake_read.recv(4096)


def _load_rules() -> None:
    with contextlib.suppress(Exception):  # the canary will tell what is wrong with them
        redaction_rules.load()


def _introduce(broken: tuple[BrokenPlugin, ...], out: int) -> None:
    """Tell the parent which collectors there are, before there is a child: the one line that may be long."""
    named = [field.name for field in fields(Collector) if field.name != "function"]
    body = {
        "event": "introduced",
        "collectors": [{name: getattr(item, name) for name in named} for item in registered()],
        "broken": [asdict(item) for item in broken],
    }
    with os.fdopen(os.dup(out), "wb") as stream:
        stream.write(json.dumps(body).encode("ascii") + b"\n")


def _start(job: Job, out: int) -> dict[int, tuple[str, float, float]]:
    """Fork a child for each collector; return their names, starts and deadlines (monotonic) by process id."""
    known = {item.name: item for item in registered()}
    children: dict[int, tuple[str, float, float]] = {}
    for spec in job.collectors:
        deadline_s = min(spec["deadline_s"], job.run_deadline_s)
        pid = os.fork()
        if pid == 0:
            _child(known[spec["name"]], spec, job, out)
        with contextlib.suppress(OSError):  # the child may have done it itself, or be gone already
            os.setpgid(pid, pid)
        children[pid] = (spec["name"], time.monotonic(), time.monotonic() + deadline_s)
    return children


def _reap(children: dict[int, tuple[str, float, float]], out: int) -> None:
    """Collect the children that ended; one that died without a word is reported for what it was."""
    for pid, (name, began, _) in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            continue
        del children[pid]
        _kill_group(pid)  # whatever it left running
        if status:
            code = os.waitstatus_to_exitcode(status)
            what = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            reason = f"the collector's process died with {what}"
            _report(out, name, "ended", outcome=Outcome.FAILED, reason=reason, duration_s=time.monotonic() - began)


def _child(item: Collector, spec: dict[str, Any], job: Job, out: int) -> None:
    """Run one collector in this forked process and leave without touching the parent's state."""
    code = 1
    try:
        os.setpgid(0, 0)
        _die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _run(item, spec, job, out)
        code = 0
    finally:
        os._exit(code)


def _run(item: Collector, spec: dict[str, Any], job: Job, out: int) -> None:
    target = settings.load_target(item.target, spec["target"])
    folder = job.staging / item.name
    folder.mkdir(parents=True)
    gaps: list[Gap] = []
    pieces = 0

    def report(**news: object) -> None:
        _report(out, item.name, "piece", **news)

    limits = Limits(min(spec["deadline_s"], job.run_deadline_s), job.max_size_bytes)
    writer = EvidenceWriter(folder, job.redactor, job.max_size_bytes, report)
    began = time.monotonic()
    outcome, hint = Outcome.COLLECTED, ""
    try:
        for piece in item.pieces(target, job.window, limits):
            if isinstance(piece, Gap):
                gaps.append(piece)
                continue
            _require_own(item, piece.kind)
            pieces += 1
            if cut := writer.write(piece):
                gaps.append(Gap(cut))
    except (Unreachable, Refused) as error:
        absent = isinstance(error, Unreachable) and not getattr(target, "configured", True)
        outcome = Outcome.ABSENT if absent else Outcome.FAILED
        gaps.append(Gap(str(error)))
        hint = error.hint
    except NotHere as error:
        outcome = Outcome.ABSENT
        gaps.append(Gap(str(error)))
    except Exception as error:  # noqa: BLE001 (one failing collector never stops the report)
        outcome = Outcome.FAILED
        gaps.append(Gap(f"{type(error).__name__}: {error}".strip().splitlines()[0]))
        hint = "report this with the sentence above: the collector did not foresee it"
    if gaps and (pieces or outcome is Outcome.COLLECTED):
        outcome = Outcome.PARTIAL
    # of what is missing for another reason than its age nobody knows the time
    whole_from = latest_known(gap.before for gap in gaps) if outcome is Outcome.PARTIAL else None
    since = whole_from.isoformat() if whole_from else ""
    reason, _ = job.redactor.text("; ".join(dict.fromkeys(gap.reason for gap in gaps)))
    duration_s = time.monotonic() - began
    hint, _ = job.redactor.text(hint)
    ended = {"outcome": outcome, "reason": reason, "hint": hint, "duration_s": duration_s, "whole_from": since}
    _report(out, item.name, "ended", **ended)


def _require_own(item: Collector, kind: str) -> None:
    """Raise where a collector yields what it does not provide: another's evidence, or no name for a file."""
    if kind not in item.provides:
        msg = f"it yields {kind!r}, which is none of what it provides"
        raise ValueError(msg)


def _report(out: int, collector: str, event: str, **news: object) -> None:
    def shortened(value: object) -> object:
        return value[: _REASON_CHARS - 1] + "…" if isinstance(value, str) and len(value) > _REASON_CHARS else value

    body = {"collector": collector, "event": event, **{key: shortened(value) for key, value in news.items()}}
    line = json.dumps(body).encode("ascii") + b"\n"
    if len(line) > _LINE_BYTES:  # escapes can blow a text up sixfold
        plain = {name: _in_ascii(value) for name, value in body.items() if name != "hint"}
        line = json.dumps(plain).encode("ascii") + b"\n"
    if len(line) > _LINE_BYTES:  # cut to size it would be no news at all, and evidence that nobody heard of is lost
        msg = f"the piece {body.get('kind')} has more columns than can be told of"
        raise ValueError(msg)
    os.write(out, line)


def _in_ascii(value: object) -> object:
    return value.encode("ascii", "replace").decode("ascii") if isinstance(value, str) else value


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _kill(pid: int) -> None:
    """Kill a child not yet reaped (its number cannot have been given away) and all it started."""
    _kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _die_with_parent() -> None:
    """Ask Linux to kill this child when the host dies; elsewhere the host's own clean-up has to do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
