"""The collection engine: plan the looks, run them where they can be killed, seal what came back.

The collectors run in a process of their own (`irkit.collect.host`), each in a forked child, since a read time-out of a
library never ends on a source that drips. What a stopped collector had written by then is kept.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from irkit.bundle import Bundle, bundle_folder, seal_bundle, sha256_of
from irkit.bundle.manifest import FORMAT_VERSION, Manifest
from irkit.bundle.staging import staging_folder
from irkit.collect.contract import Collector, registered
from irkit.collect.host_process import HostProcess, host_process, introduced, last_words, stop, stoppable
from irkit.collect.writer import to_parquet
from irkit.errors import CollectError, InputError
from irkit.model import CollectorRun, Evidence, Outcome, Window
from irkit.redact import installation_key, placeholders_in
from irkit.registry import BrokenPlugin, load_plugins
from irkit.settings import Settings, dump_target

_ABSENT_HINT = "set it in irkit.toml if the service has one"


@dataclass(frozen=True, slots=True)
class Look:
    """One look that a collection would take, or why it would not; shown by `--dry-run`."""

    collector: Collector
    target: object
    command: str
    skipped: Outcome | None = None
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """News of a running collection: a look started (`run` is None) or ended."""

    collector: str
    run: CollectorRun | None = None


class Stopped(KeyboardInterrupt):
    """Somebody stopped the collection; what had come by then is sealed in `bundle`."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(str(bundle.path))
        self.bundle = bundle


@dataclass(slots=True)
class _Progressing:
    """What is known of a look while it runs."""

    look: Look
    pieces: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    ended: dict[str, Any] | None = None


def plan(settings: Settings, only: Iterable[str] = ()) -> tuple[tuple[Look, ...], tuple[BrokenPlugin, ...]]:
    """Return the looks a collection would take, cheap first, and the third-party collectors that are broken.

    Raises:
        InputError: `only` names a collector that does not exist.
    """
    broken = load_plugins("irkit.collectors", "irkit.collectors")
    return _looks(registered(), settings, only), broken


def _looks(known: Iterable[Collector], settings: Settings, only: Iterable[str]) -> tuple[Look, ...]:
    known, wanted = tuple(known), frozenset(only)
    names = [item.name for item in known]
    if unknown := wanted - set(names):
        msg = f"there is no collector named {', '.join(sorted(unknown))}"
        raise InputError(msg, hint=f"there are: {', '.join(names)}")
    return tuple(_look(item, settings, wanted) for item in known)


def collect(  # noqa: PLR0913 (clock, ids and paths are passed in)
    settings: Settings,
    incident_id: int,
    window: Window,
    *,
    bundle_id: str,
    now: datetime,
    only: Iterable[str] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
    host: HostProcess | None = None,
) -> Bundle:
    """Collect evidence for an incident into a sealed bundle under the settings' home.

    Every collector ends within `settings.collect.deadline_s` and all of them within `run_deadline_s`; each ends in one
    of the outcomes of `irkit.model.Outcome`, and none of them can take the others' evidence with it. `host` is a
    process of `irkit.collect.host_process` that was started ahead and is in nobody's use, else one is started here.

    Raises:
        InputError: `only` names a collector that does not exist.
        CollectError: the collection could not be run at all, or a secret planted to test it was not replaced.
        BundleError: the evidence could not be sealed.
        Stopped: it was interrupted; the looks that had not ended are told as partial or skipped. Interrupted again
            before that is sealed, nothing is kept.
    """
    destination = bundle_folder(settings.home, incident_id) / bundle_id
    with contextlib.ExitStack() as stack:
        host = host or stack.enter_context(host_process())
        known, broken = introduced(host, settings.home)
        looks = _looks(known, settings, only)
        try:
            staging = stack.enter_context(staging_folder(destination))
        except OSError as error:
            msg = f"no evidence can be written to {destination.parent}: {error.strerror or error}"
            raise CollectError(msg, hint="make the folder writable, or set another home in irkit.toml") from None
        running = {look.collector.name: _Progressing(look) for look in looks if look.skipped is None}
        runs: list[CollectorRun] = []
        evidence: list[Evidence] = []
        for look in looks:
            if look.skipped is not None:
                runs.append(not_run(look, now, look.skipped, look.reason))
                on_progress(Progress(look.collector.name, runs[-1]))
        runs.extend(_broken_run(item, now) for item in broken)
        for name in running:
            on_progress(Progress(name))
        for state in _run(host, settings, window, staging, running):
            run, found = _finish(state, staging, now)
            runs.append(run)
            evidence.extend(found)
            on_progress(Progress(run.collector, run))
        order = {look.collector.name: place for place, look in enumerate(looks)}
        runs.sort(key=lambda run: order.get(run.collector, len(order)))
        evidence.sort(key=lambda item: order.get(item.collector, len(order)))
        _drop_staged(staging, keep={item.path for item in evidence})
        manifest = Manifest(
            FORMAT_VERSION, version("irkit"), bundle_id, incident_id, window, now, tuple(runs), tuple(evidence)
        )
        bundle = seal_bundle(staging, manifest, destination)
        if host.stopped:
            raise Stopped(bundle)
        return bundle


def _look(item: Collector, settings: Settings, wanted: frozenset[str]) -> Look:
    target = getattr(settings, item.target)
    command = item.command_for(target)
    if wanted and item.name not in wanted:
        return Look(item, target, command, Outcome.SKIPPED, "not asked for")
    problem = settings.problem_of(item.target)
    if problem and item.target in settings.without:
        return Look(item, "", command, Outcome.ABSENT, problem.sentence)
    if problem:
        return Look(item, target, command, Outcome.FAILED, problem.sentence, problem.hint)
    if not str(target):
        reason, hint = getattr(target, "absence", (f"no [{item.target}] is configured", _ABSENT_HINT))
        return Look(item, target, command, Outcome.ABSENT, reason, hint)
    return Look(item, target, command)


def not_run(look: Look, now: datetime, outcome: Outcome, reason: str) -> CollectorRun:
    """Return the row of coverage of a look that was not taken."""
    item, subject = look.collector, str(look.target)
    return CollectorRun(
        item.name,
        outcome,
        reason,
        look.hint,
        subject,
        look.command,
        item.provides,
        (),
        now,
        duration_s=0.0,
        size_bytes=0,
    )


def _broken_run(plugin: BrokenPlugin, now: datetime) -> CollectorRun:
    hint = "repair or uninstall the package that provides it"
    reason = f"plug-in cannot be loaded: {plugin.reason}"
    return CollectorRun(plugin.name, Outcome.FAILED, reason, hint, "", "", (), (), now, duration_s=0.0, size_bytes=0)


def _run(
    host: HostProcess, settings: Settings, window: Window, staging: Path, running: dict[str, _Progressing]
) -> Iterator[_Progressing]:
    """Run the looks in the host process and yield each as it ends; after the run's deadline nothing of it lives."""
    if not running:
        return
    limits = settings.collect
    job = {
        "staging": str(staging),
        "window": [at.isoformat() for at in (window.start, window.end, window.usual_start) if at],
        "redaction_key": installation_key(settings.home).hex(),
        "redact_addresses": settings.redact.addresses,
        "max_size_bytes": limits.max_size_bytes,
        "run_deadline_s": limits.run_deadline_s,
        "collectors": [
            {"name": name, "target": dump_target(state.look.target), "deadline_s": limits.deadline_s}
            for name, state in running.items()
        ],
    }
    host.asked = True
    assert host.process.stdin is not None  # noqa: S101 (asked for above; tells mypy)
    with contextlib.suppress(BrokenPipeError):  # a host that died on import says why on standard error
        host.process.stdin.write(json.dumps(job).encode("ascii") + b"\n")
        host.process.stdin.flush()
    with stoppable(host):
        # what comes later needs these, and loads them for nothing while the sources answer
        import pandas as pd  # noqa: F401
        import pyarrow.parquet  # noqa: F401

        host.meanwhile()
        yield from _ended(host, limits.run_deadline_s, running, settings.home)


def _ended(
    host: HostProcess, run_deadline_s: float, running: dict[str, _Progressing], home: Path
) -> Iterator[_Progressing]:
    began = time.monotonic()
    for news in host.reports:
        if news["event"] == "refused":
            raise CollectError(news["reason"], hint=news["hint"])
        if news["event"] == "ready":
            began = time.monotonic()
            continue
        state = running[news["collector"]]
        if news["event"] == "piece":
            state.pieces.setdefault(news["kind"], {})[news["file"]] = news
        elif state.ended is None:
            state.ended = news
            yield state
    stop(host.process)
    for state in running.values():
        if state.ended is None:
            duration_s = time.monotonic() - began
            late = duration_s >= run_deadline_s
            reason = "the collecting process was stopped" if late else last_words(host, home)
            outcome = Outcome.TIMED_OUT if late else Outcome.FAILED
            if host.stopped:
                reason = f"stopped by hand after {duration_s:.1f} s, before this look had ended"
                outcome = Outcome.PARTIAL if state.pieces else Outcome.SKIPPED
            state.ended = {"outcome": outcome, "reason": reason, "duration_s": duration_s}
            yield state


def _finish(state: _Progressing, staging: Path, now: datetime) -> tuple[CollectorRun, list[Evidence]]:
    """Turn what one look left in the staging folder into evidence, and its end into a row of coverage."""
    item, ended = state.look.collector, state.ended or {}
    outcome = Outcome(ended["outcome"])
    found: list[Evidence] = []
    reason = str(ended.get("reason", ""))
    for kind, parts in state.pieces.items():
        piece, *older = parts.values()
        columns = piece["columns"]
        cut = next((part["truncated"] for part in parts.values() if part["truncated"]), "")
        staged = [
            staging / item.name / part["file"] for part in (piece, *older) if part is piece or not part["truncated"]
        ]
        table = columns is not None
        target = staging / ("tables" if table else "documents") / f"{kind}{'.parquet' if table else '.json'}"
        target.parent.mkdir(exist_ok=True)
        try:
            redactions = placeholders_in(staged if table else staged[:1])
            rows = to_parquet(staged[::-1], columns, target) if table else None
            if not table:
                json.loads(staged[0].read_bytes())
                staged[0].rename(target)
        except (ValueError, OSError):
            continue  # it was stopped before anything of this piece was whole
        found.append(
            Evidence(
                id=f"{item.name}/{kind}",
                collector=item.name,
                kind=kind,
                form="table" if table else "document",
                path=target.relative_to(staging).as_posix(),
                sha256=sha256_of(target),
                size_bytes=target.stat().st_size,
                rows=rows,
                subject=str(piece["subject"] or "") or str(state.look.target),
                command=state.look.command,
                collected_at=now,
                truncated=cut,
                redactions=redactions,
            )
        )
    if outcome is Outcome.COLLECTED and len(found) < len(state.pieces):
        outcome, reason = Outcome.PARTIAL, reason or "some of it could not be read back"
    run = CollectorRun(
        item.name,
        outcome,
        reason,
        str(ended.get("hint", "")),
        str(state.look.target),
        state.look.command,
        item.provides,
        tuple(evidence.id for evidence in found),
        now,
        round(float(ended.get("duration_s", 0.0)), 3),
        sum(evidence.size_bytes for evidence in found),
        sum(sum(evidence.redactions.values()) for evidence in found),
        datetime.fromisoformat(since) if (since := ended.get("whole_from")) and outcome is Outcome.PARTIAL else None,
    )
    return run, found


def _drop_staged(staging: Path, keep: set[str]) -> None:
    for path in sorted(staging.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):  # not empty: it holds what is kept
                path.rmdir()
        elif path.relative_to(staging).as_posix() not in keep:
            path.unlink()
