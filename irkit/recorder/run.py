"""The flight recorder: samples every source into a ring on disk, so that an incident has a "before".

Each source is looked at on a thread of its own and the one writer waits for none of them: a look that hangs is written
down as missed, again and again, while the others go on.
"""

from __future__ import annotations

import ctypes
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue

from irkit import runbook as runbooks
from irkit.collect.contract import Refused, Unreachable
from irkit.errors import InputError, StoreError
from irkit.model import utc_now
from irkit.recorder import samples
from irkit.recorder.container_samples import ENGINE_DEADLINE_S, ContainerSampler
from irkit.recorder.database_samples import DEADLINE_S, DatabaseSampler
from irkit.recorder.history import RECORDER, Missed, Sample, encode
from irkit.recorder.outage import OutageWatch
from irkit.recorder.ring import MIN_SIZE_BYTES, Record, Ring
from irkit.redact import Redactor, installation_key
from irkit.redact import rules as redaction_rules
from irkit.settings import Settings
from irkit.times import format_time

# what a look may take beyond its own deadline before it counts as hanging
_GRACE_S = 1.0
_PROCESSES_DEADLINE_S = 2.0
_SHORTEST_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a source is looked at that costs by its size: not before `least_s`, nor `times` its last look's time.

    So one that takes long takes no more of a core than one that is quick. `most_s` ends the wait after one that hung.
    """

    least_s: float
    times: float
    most_s: float

    def wait_s(self, took_s: float) -> float:
        """Return how long after a look began the next may."""
        return max(self.least_s, min(self.times * took_s, self.most_s))


# 0.2 % of a core at most
DATABASE_PACE = Pace(least_s=10.0, times=500.0, most_s=600.0)


@dataclass(frozen=True, slots=True)
class Source:
    """What is looked at: `look` ends itself within `deadline_s`; one not `configured` may well not exist."""

    name: str
    subject: str
    look: Callable[[], Sample]
    deadline_s: float
    configured: bool
    pace: Pace | None = None


def sources(settings: Settings, clock: Callable[[], datetime] = utc_now) -> tuple[Source, ...]:
    """Return what the settings name, but for what they name in a way that cannot be used; nothing is touched yet."""
    docker, http, redis, sqlite = settings.docker, settings.http, settings.redis, settings.sqlite
    containers = ContainerSampler(docker, clock)
    found = (
        []
        if settings.problem_of("docker")
        else [
            Source("containers", str(docker), containers.look, ENGINE_DEADLINE_S, docker.configured),
            Source("processes", str(docker), containers.processes, _PROCESSES_DEADLINE_S, docker.configured),
        ]
    )
    if str(http) and not settings.problem_of("http"):
        look = partial(samples.health, http, clock)
        found.append(Source("health", str(http), look, http.timeout_s, http.configured))
    if str(redis) and not settings.problem_of("redis"):
        ask = partial(samples.redis, redis, clock)
        found.append(Source("redis", str(redis), ask, redis.timeout_s, redis.configured))
    if str(sqlite) and not settings.problem_of("sqlite"):
        checks = DatabaseSampler(sqlite, clock).look
        found.append(Source("database", str(sqlite), checks, DEADLINE_S, sqlite.configured, DATABASE_PACE))
    return tuple(found)


def record(
    settings: Settings,
    *,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Record until SIGTERM or SIGINT; to be called from the main thread.

    Raises:
        InputError: [recorder] cannot be meant.
        StoreError: another recorder writes to the same place, or it cannot be used.
    """
    check(settings)
    limits, folder = settings.recorder, Path(settings.recording.path)
    redactor = Redactor(installation_key(settings.home))
    redaction_rules.load()
    _give_back_memory()
    max_age = timedelta(days=limits.max_days)
    found = sources(settings, clock)
    with Ring(folder, max_size_bytes=limits.max_size_bytes, max_age=max_age) as ring:
        watch = OutageWatch(settings, say, complain) if limits.auto_open else None
        running = Recording(found, ring, redactor, limits.interval_s, clock=clock, complain=complain, watch=watch)
        seen = ", ".join(f"{each.name} ({each.subject})" for each in found)
        say(f"Recording to {folder} every {limits.interval_s:g} s: {seen}.")
        say("Ctrl-C ends it; irkit record --unit and --compose show how to keep it running.")
        with _stopped_by_signals(running.stop) as heard:
            running.run()
        if watch:
            watch.close()
    say(f"The recorder was ended by {' and '.join(heard)}; what it kept stays.")


def check(settings: Settings) -> None:
    """Refuse settings of the recorder that cannot be meant.

    Raises:
        InputError: naming the setting.
    """
    limits = settings.recorder
    if limits.interval_s < _SHORTEST_INTERVAL_S:
        raise InputError(f"[recorder] interval_s is {limits.interval_s:g}", hint="5 is usual; 0.1 is the least")
    if limits.max_size_bytes < MIN_SIZE_BYTES:
        hint = f"give it {MIN_SIZE_BYTES} or more; a day of 20 containers takes about 15 MB"
        raise InputError(f"[recorder] max_size_bytes is {limits.max_size_bytes}: too few to keep anything", hint=hint)
    if limits.auto_open:
        runbook = runbooks.in_force(settings.runbook)
        if runbook.unread is None:  # else it may well be a type of it
            runbook.incident_type(limits.auto_open_type)
        settings.refuse_unusable("http")
        if not settings.http.configured:
            hint = "set [http] health_url, so that a wrong guess of irkit's pages nobody"
            raise InputError("[recorder] auto_open needs to know the health endpoint for sure", hint=hint)


class _Lane:
    """One source and its thread; all but the look itself happens on the recording's thread."""

    def __init__(self, source: Source, results: SimpleQueue[tuple[_Lane, Sample | Missed] | None]) -> None:
        self.source = source
        self.began_s: float | None = None
        self.due_s = 0.0
        self.late_s = 0.0
        self.took_s = 0.0
        self.trouble = ""
        self.unseen: tuple[str, ...] = ()
        self._results = results
        self._asked: SimpleQueue[None] = SimpleQueue()
        # a daemon, since a look that hangs for good must not keep the recorder from ending
        threading.Thread(target=self._work, name=source.name, daemon=True).start()

    def ask(self, now_s: float, interval_s: float) -> None:
        self.began_s, self.due_s = now_s, now_s + interval_s
        self.late_s = now_s + self.source.deadline_s + _GRACE_S
        self._asked.put(None)

    def rest(self, interval_s: float) -> None:
        """Let the next look wait for as long as the pace wants, once one has ended."""
        if self.source.pace and self.began_s is not None:
            self.due_s = self.began_s + max(interval_s, self.source.pace.wait_s(self.took_s))
        self.began_s = None

    def _work(self) -> None:
        while True:
            self._asked.get()
            begun_s = time.monotonic()
            found = self._looked()
            self.took_s = time.monotonic() - begun_s
            self._results.put((self, found))

    def _looked(self) -> Sample | Missed:
        try:
            return self.source.look()
        except Unreachable as error:
            return Missed(str(error), self.source.configured)
        except Refused as error:
            return Missed(str(error))
        except Exception as error:  # noqa: BLE001 (one failing source never stops the others)
            return Missed(f"{type(error).__name__}: {error}")


class Recording:
    """A running recording: asks the sources in turn, writes what comes back, in the one thread that calls `run`."""

    def __init__(  # noqa: PLR0913 (clock, paths and voices are passed in)
        self,
        found: tuple[Source, ...],
        ring: Ring,
        redactor: Redactor,
        interval_s: float,
        *,
        clock: Callable[[], datetime],
        complain: Callable[[str], None],
        watch: OutageWatch | None = None,
    ) -> None:
        self._results: SimpleQueue[tuple[_Lane, Sample | Missed] | None] = SimpleQueue()
        self._lanes = [_Lane(source, self._results) for source in found]
        self._ring = ring
        self._redactor = redactor
        self._interval_s = interval_s
        self._clock = clock
        self._complain = complain
        self._watch = watch
        self._lost = 0

    def stop(self) -> None:
        """End the recording soon; safe to be called from a signal handler and from any thread."""
        self._results.put(None)

    def run(self) -> None:
        """Sample until `stop`."""
        self._note("started")
        synced_s = time.monotonic()
        while True:
            now_s = time.monotonic()
            for lane in self._lanes:
                self._tend(lane, now_s)
            if now_s - synced_s >= self._interval_s:
                synced_s = now_s
                self._sync()
            events = [lane.due_s if lane.began_s is None else lane.late_s for lane in self._lanes]
            try:
                item = self._results.get(timeout=max(0.0, min([*events, now_s + self._interval_s]) - time.monotonic()))
            except Empty:
                continue
            if item is None:
                break
            lane, found = item
            lane.rest(self._interval_s)
            self._keep(lane, found)
        self._note("stopped")
        self._sync()

    def _tend(self, lane: _Lane, now_s: float) -> None:
        if lane.began_s is None:
            if now_s >= lane.due_s:
                lane.ask(now_s, self._interval_s)
        elif now_s >= lane.late_s:
            lane.late_s = now_s + self._interval_s
            self._keep(lane, Missed(f"the look has not ended {now_s - lane.began_s:.0f} s after it began"))

    def _keep(self, lane: _Lane, found: Sample | Missed) -> None:
        source = lane.source.name
        self._append(source, encode(source, found, self._redactor))
        trouble = found.reason if isinstance(found, Missed) else ""
        if bool(trouble) != bool(lane.trouble):
            told = f"is missed: {self._redactor.text(trouble)[0]}" if trouble else "is seen again"
            self._complain(f"{format_time(self._clock())} {source} {told}")
        lane.trouble = trouble
        if isinstance(found, Sample) and lane.source.pace:
            for gap in found.gaps:
                if gap not in lane.unseen:
                    self._complain(f"{format_time(self._clock())} {source}: {self._redactor.text(gap)[0]}")
            lane.unseen = found.gaps
        if self._watch and isinstance(found, Sample) and source == "health":
            for row in found.rows:
                at = row["at"]
                self._watch.see(row, at if isinstance(at, datetime) else self._clock())

    def _append(self, source: str, body: bytes) -> None:
        try:
            self._ring.append(Record(self._clock(), source, body))
        except StoreError as error:
            if not self._lost:
                self._complain(f"{error}. {error.hint}. Sampling goes on.")
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._complain(f"samples are written again; {lost} were lost")
            self._note("lost", samples=lost)

    def _note(self, event: str, **facts: object) -> None:
        body = {"event": event, "interval_s": self._interval_s, "irkit": version("irkit"), **facts}
        self._append(RECORDER, json.dumps(body).encode("ascii"))

    def _sync(self) -> None:
        try:
            self._ring.sync()
        except StoreError as error:
            self._complain(str(error))


def _give_back_memory() -> None:
    """Hand the kernel back what reading the rules took besides the rules: a tenth of all, which malloc would keep.

    Only the GNU C library can do so (`malloc_trim(3)`); with another one the recorder holds that much more.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[dict[str, None]]:
    """Stop at the first of two signals; yields the names of those that came."""
    heard: dict[str, None] = {}

    def hear(number: int, _: object) -> None:
        heard[signal.Signals(number).name] = None
        stop()

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
