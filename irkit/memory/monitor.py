"""The monitor that runs inside a service: `start_tracking()`, wait, `print(get_report())`.

A thread reads the resident size every second, what costs more the more rarely the more it costs, and counts objects by
type only as often as a share of a core allows. It traces no allocation, so the service runs at its usual speed.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from irkit.errors import CollectError, InputError
from irkit.memory import judgement, objects
from irkit.memory.alerts import Alert, Standing, Thresholds, crossed
from irkit.memory.footprint import ContainerMemory
from irkit.memory.judgement import GrowingType, trend_of, type_trends
from irkit.memory.monitor_report import MemoryReport
from irkit.memory.pauses import PauseRecorder
from irkit.memory.probes import Probes
from irkit.memory.record import Record
from irkit.memory.trend import Trend
from irkit.procfs import MemoryShares

_SNAPSHOTS = 32
_ALERTS = 64
_CHAINS = 3
_SHORTEST_INTERVAL_S = 0.1
_LOG = logging.getLogger("irkit.memory")


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """What a process held at a moment, in bytes, and how many objects of each type; None for what is not known."""

    at: datetime
    label: str
    rss_bytes: int
    shares: MemoryShares | None
    container: ContainerMemory | None
    python_blocks: int
    object_counts: Mapping[str, int] = field(repr=False)

    @property
    def objects(self) -> int:
        """How many objects the garbage collector tracks."""
        return sum(self.object_counts.values())


class MemoryMonitor:
    """Watches the memory of the process it lives in; one a process is enough.

    Its own objects are left out of what it counts, and all it keeps is bounded.
    """

    def __init__(self, probes: Probes | None = None) -> None:
        self._probes = probes or Probes()
        self._pauses = PauseRecorder()
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._record: Record | None = None
        self._baseline: MemorySnapshot | None = None
        self._snapshots: deque[MemorySnapshot] = deque(maxlen=_SNAPSHOTS)
        self._thresholds = Thresholds()
        self._callbacks: list[Callable[[Alert], None]] = []
        self._active: set[str] = set()
        self._alerts: deque[Alert] = deque(maxlen=_ALERTS)
        self._notes: dict[str, str] = {}
        here = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forked(here()))

    @property
    def is_tracking(self) -> bool:
        """Whether a thread of this monitor is watching."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def baseline(self) -> MemorySnapshot | None:
        """What growth is told over: the snapshot that `start_tracking` took, or the last `set_baseline`."""
        return self._baseline

    @property
    def snapshots(self) -> tuple[MemorySnapshot, ...]:
        """The last 32 snapshots that were asked for, oldest first."""
        return tuple(self._snapshots)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The last 64 alerts, oldest first."""
        return tuple(self._alerts)

    def start_tracking(
        self, interval_s: float = 1.0, thresholds: Thresholds | None = None, *, background: bool = True
    ) -> None:
        """Take the baseline and watch from now on; where it watches already nothing changes.

        What was recorded before is forgotten. Takes about 0.1 s a million objects, once. Without `background` nothing
        is read until `tick` is called.

        Raises:
            InputError: the interval is shorter than a tenth of a second.
            CollectError: this system does not tell what a process holds.
        """
        if not interval_s >= _SHORTEST_INTERVAL_S:
            raise InputError(f"an interval of {interval_s} s is too short", hint="give 0.1 s or more")
        with self._lock:
            if self.is_tracking:
                return
            try:
                self._probes.rss_bytes()
            except OSError as error:
                msg = f"what this process holds in memory cannot be read: {error}"
                raise CollectError(msg, hint="the monitor needs Linux with /proc") from None
            self._thresholds = thresholds or Thresholds()
            self._snapshots.clear()
            self._alerts.clear()
            self._active.clear()
            self._notes.clear()
            self._pauses.clear()
            self._pauses.start()
            self._record = Record(self._probes, interval_s)
            if background:
                self._over = threading.Event()
                watch = threading.Thread(target=self._watch, args=(self._over, interval_s), name="irkit-memory")
                watch.daemon = True
                self._thread = watch
                watch.start()
            # the baseline comes last, so that all of ours is in it; until then the thread waits for the lock
            self._baseline = self._taken("baseline")
            self._record.begin(self._baseline.object_counts)

    def stop_tracking(self) -> None:
        """Watch no more; what was recorded stays for `get_report`."""
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._pauses.stop()

    def tick(self) -> None:
        """Read what is due now; the thread does it every interval, and who has none may."""
        with self._lock:
            record, alerts = self._record, list[Alert]()
            if record is None:
                return
            try:
                alerts = self._crossed(record, record.read())
                self._notes.pop("look", None)
            except (OSError, ValueError, KeyError) as error:
                self._notes["look"] = f"the last look failed: {type(error).__name__}: {error}"
            self._alerts.extend(alerts)
        for alert in alerts:
            self._tell(alert)

    def set_baseline(self) -> MemorySnapshot:
        """Tell growth over what is there now, e.g. after the warm-up; the record of the trends goes on."""
        with self._lock:
            self._baseline = self._taken("baseline")
            return self._baseline

    def take_snapshot(self, label: str = "") -> MemorySnapshot:
        """Count and measure everything now, in this thread, and keep it; takes about 0.1 s a million objects.

        Raises:
            OSError: this system does not tell what a process holds.
        """
        with self._lock:
            taken = self._taken(label)
            self._snapshots.append(taken)
            return taken

    def get_trend(self, figure: str = judgement.RSS) -> Trend:
        """Return the trend of a figure (`rss_bytes`, `uss_bytes`, …), or of the objects of a type, by its full name.

        Raises:
            InputError: it is neither a figure nor a type of which there have been ten or more.
        """
        with self._lock:
            record = self._tracked()
            if figure in judgement.FIGURES:
                return trend_of(record.figures, figure)
            trends = type_trends(record.counts)
        if figure not in trends:
            hint = f"figures are {', '.join(judgement.FIGURES)}; types have their full names, as in a snapshot"
            raise InputError(f"there is no record of {figure!r}", hint=hint)
        return trends[figure]

    def detect_leaks(self) -> tuple[GrowingType, ...]:
        """Return the types of which there are ever more, fastest first; where there are none see `get_report`.

        Raises:
            InputError: nothing was tracked yet.
        """
        with self._lock:
            return self._tracked().judged(self._baseline.object_counts if self._baseline else {}).types

    def find_referrers(self, type_name: str, budget_s: float = 5.0) -> tuple[str, ...]:
        """Return the names on the way from a module to a recent object of a type; empty where none was found in time.

        Collects garbage and looks through all objects several times: in a large process it takes seconds.
        """
        self._pauses.ignored = True
        try:
            return objects.referrer_chain(type_name, budget_s)
        finally:
            self._pauses.ignored = False

    def add_callback(self, callback: Callable[[Alert], None]) -> None:
        """Have a function called with each alert, on the watching thread; one that raises is reported, and kept."""
        self._callbacks.append(callback)

    def remove_callback(self, callback: Callable[[Alert], None]) -> None:
        """Call a function no more.

        Raises:
            ValueError: it was not to be called.
        """
        self._callbacks.remove(callback)

    def get_report(self, *, referrers: bool = False) -> MemoryReport:
        """Return what was seen, which prints itself; with `referrers` also who holds the growing types (seconds)."""
        with self._lock:
            if self._record is None or self._baseline is None:
                return MemoryReport(os.getpid(), self._probes.now(), notes=tuple(self._notes.values()))
            record, before = self._record, self._baseline
            judged = record.judged(before.object_counts)
            lasted_s = record.lasted_s
            report = MemoryReport(
                pid=os.getpid(),
                made_at=self._probes.now(),
                baseline_at=before.at,
                is_tracking=self.is_tracking,
                lasted_s=lasted_s,
                judgement=judged,
                baseline_rss_bytes=before.rss_bytes,
                rss_bytes=record.rss_bytes or before.rss_bytes,
                shares=self._shares(),
                container=record.container or before.container,
                forecast=record.until_limit(judged.memory),
                growths=tuple(each for each in record.growths(before.object_counts) if each.over_baseline > 0),
                objects=sum(record.latest.values()),
                frozen=self._probes.frozen(),
                pauses=self._pauses.pauses(),
                alerts=tuple(self._alerts),
                overhead_share=record.cost_s / lasted_s if lasted_s > 0 else 0.0,
                notes=(*self._notes.values(), *filter(None, [record.left_out])),
            )
        if not referrers:
            return report
        named = [each.growth.name for each in judged.types[:_CHAINS]]
        return replace(report, chains={name: self.find_referrers(name) for name in named})

    def _tracked(self) -> Record:
        if self._record is None:
            raise InputError("nothing was tracked yet", hint="call start_tracking() first, and wait a little")
        return self._record

    def _taken(self, label: str) -> MemorySnapshot:
        rss_bytes, shares = self._probes.rss_bytes(), self._shares()
        self._probes.malloc()  # what it sets up the first time is ours, and belongs before the count
        container, blocks = self._probes.container(), self._probes.blocks()
        return MemorySnapshot(self._probes.now(), label, rss_bytes, shares, container, blocks, self._probes.counts())

    def _shares(self) -> MemoryShares | None:
        try:
            return self._probes.shares()
        except (OSError, KeyError):
            return None  # an old kernel, or one that keeps it to itself: the report says that it is not known

    def _watch(self, over: threading.Event, interval_s: float) -> None:
        while not over.wait(interval_s):
            self.tick()

    def _crossed(self, record: Record, trend: Trend | None) -> list[Alert]:
        ahead = record.until_limit(trend) if trend else None
        standing = Standing(record.rss_bytes, record.container, trend, ahead, self._pauses.longest_s())
        return crossed(standing, self._thresholds, self._active, self._probes.now())

    def _tell(self, alert: Alert) -> None:
        _LOG.warning("%s", alert.sentence)
        for callback in tuple(self._callbacks):
            try:
                callback(alert)
            except Exception as error:  # noqa: BLE001 (the watcher outlives what others do with its news)
                self._notes["callback"] = f"a callback for alerts failed: {type(error).__name__}: {error}"

    def _after_fork(self) -> None:
        """Forget the thread, which a child does not have, and a lock that it may have held."""
        self._lock = threading.RLock()
        if self._thread is not None:
            self._thread = None
            self._pauses.stop()
            self._notes["fork"] = "this process was forked from one that was tracked: call start_tracking() here, too"


def _forked(monitor: MemoryMonitor | None) -> None:
    if monitor is not None:
        monitor._after_fork()  # noqa: SLF001 (registered once a monitor, and no part of what it offers)
