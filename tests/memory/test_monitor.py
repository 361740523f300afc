import gc
import logging
import math
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

import irkit.memory
from irkit.errors import CollectError, InputError
from irkit.memory.alerts import Alert, Thresholds
from irkit.memory.judgement import Origin
from irkit.memory.monitor import MemoryMonitor
from irkit.memory.probes import Probes
from irkit.memory.trend import Direction
from tests.memory.scripted import Scripted, noisy, watched
from tests.support.leaks import MIB


def sessions(per_minute: float) -> Scripted:
    return Scripted(
        rss=noisy(lambda at: 100 * MIB + at * per_minute / 60 * 4096),
        blocks=lambda at: 100_000 + at * per_minute,
        counts=lambda at: {"app.Session": 1000 + int(at * per_minute / 60), "builtins.dict": 20_000 + int(at) % 7},
    )


def test_a_growing_program_is_told_with_the_type_that_grows() -> None:
    report = watched(sessions(per_minute=1200)).get_report()
    assert report.judgement is not None
    assert report.judgement.memory.direction is Direction.GROWING
    assert report.judgement.origin is Origin.OBJECTS
    assert [each.growth.name for each in report.judgement.types] == ["app.Session"]
    assert report.judgement.types[0].trend.slope_per_s == pytest.approx(20, rel=0.05)
    assert report.judgement.types[0].growth.over_baseline == pytest.approx(12_000, rel=0.02)
    text = str(report)
    assert "Verdict: growing: RSS rises by" in text
    assert "app.Session" in text
    assert "a restart destroys the evidence" in text


@pytest.mark.parametrize(
    ("name", "rss"),
    [
        ("stable", lambda _: 100 * MIB),
        ("warm-up", lambda at: 100 * MIB * (2 - math.exp(-at / 40))),
        ("saw-tooth", lambda at: 100 * MIB + 40 * MIB * ((at / 55) % 1)),
        ("bounded", lambda at: 100 * MIB + 80 * MIB * min(at / 240, 1)),
    ],
)
def test_a_healthy_program_is_told_stable(name: str, rss: object) -> None:
    process = Scripted(rss=noisy(rss))  # type: ignore[arg-type]
    report = watched(process).get_report()
    assert report.judgement is not None
    assert report.judgement.memory.direction is Direction.STABLE, name
    assert report.judgement.types == ()
    assert report.judgement.origin is None
    assert report.forecast is None
    assert "Verdict: stable" in str(report)
    assert "Next:" not in str(report)


def grows(at: float) -> float:
    return 100 * MIB + at * MIB / 4


def level(_: float) -> float:
    return 50 * MIB


@pytest.mark.parametrize(
    ("origin", "process"),
    [
        (Origin.NATIVE, Scripted(rss=noisy(grows))),
        (Origin.BUFFERS, Scripted(rss=noisy(grows), used=lambda at: level(at) + at * MIB / 4)),
        (Origin.FRAGMENTATION, Scripted(rss=noisy(grows), kept=lambda at: level(at) + at * MIB / 4)),
        (Origin.SMALL_UNTRACKED, Scripted(rss=noisy(grows), blocks=lambda at: 100_000 + 4000 * at)),
    ],
)
def test_growth_without_objects_is_told_by_where_it_comes_from(origin: Origin, process: Scripted) -> None:
    report = watched(process).get_report()
    assert report.judgement is not None
    assert report.judgement.types == ()
    assert report.judgement.origin is origin
    assert f"Origin: {origin}." in str(report)


def test_soon_after_the_start_it_says_how_little_it_knows() -> None:
    report = watched(sessions(1200), until_s=10).get_report()
    assert report.judgement is not None
    assert report.judgement.memory.direction is Direction.TOO_FEW
    assert "too few samples: 10 samples over 9 s, and 16 or more" in str(report)


def test_growing_memory_with_few_counts_leaves_the_origin_open() -> None:
    report = watched(sessions(6000), until_s=40).get_report()
    assert report.judgement is not None
    assert report.judgement.memory.direction is Direction.GROWING
    assert report.judgement.origin is Origin.UNKNOWN


def test_a_slow_leak_late_in_a_long_life_is_seen() -> None:
    """Only the last half hour is kept second by second; before, an hour was level."""
    process = Scripted(rss=noisy(lambda at: 100 * MIB + max(0.0, at - 3600) * 0.05 * MIB))
    trend = watched(process, until_s=5400).get_trend()
    assert trend.direction is Direction.GROWING
    assert trend.slope_per_s == pytest.approx(0.05 * MIB, rel=0.05)


def test_the_limit_is_forecast_within_a_fifth_at_half_way() -> None:
    process = Scripted(rss=noisy(lambda at: 100 * MIB + at * MIB / 4), limit_bytes=410 * MIB)
    report = watched(process, until_s=600).get_report()  # at 1200 s usage, 10 MiB above RSS, meets the limit
    assert report.forecast is not None
    assert report.forecast.likely_s == pytest.approx(600, rel=0.05)
    assert report.forecast.earliest_s <= report.forecast.likely_s
    assert re.search(r"the limit of 410 MiB is reached in (?:9 min [345]\d s|10 min)", str(report))


def test_alerts_come_once_and_again_only_after_it_was_well_below(caplog: pytest.LogCaptureFixture) -> None:
    process = Scripted(rss=lambda at: (99 if int(at) // 10 % 2 == 0 else 101) * MIB if at < 100 else 90 * MIB)
    heard: list[Alert] = []
    monitor = MemoryMonitor(process.probes)
    monitor.add_callback(heard.append)
    with caplog.at_level(logging.WARNING, "irkit.memory"):
        monitor.start_tracking(thresholds=Thresholds(rss_bytes=100 * MIB), background=False)
        process.live(monitor, 120)
        assert [alert.threshold for alert in heard] == ["rss_bytes"]
        process.rss = lambda _: 120 * MIB
        process.live(monitor, 130)
    monitor.stop_tracking()
    assert [alert.sentence for alert in heard] == [
        "RSS is 101 MiB, the threshold 100 MiB.",
        "RSS is 120 MiB, the threshold 100 MiB.",
    ]
    assert [record.getMessage() for record in caplog.records] == [alert.sentence for alert in heard]
    assert monitor.alerts == tuple(heard)


def test_a_limit_near_and_a_limit_soon_are_alerts_of_their_own() -> None:
    process = Scripted(rss=noisy(lambda at: 100 * MIB + at * MIB / 4), limit_bytes=410 * MIB)
    monitor = watched(process, until_s=1080)
    # the pauses of the garbage collector are this process's own, and long on a busy machine
    alerts = [alert for alert in monitor.alerts if alert.threshold != "gc_pause_s"]
    assert [alert.threshold for alert in alerts] == ["time_to_limit_s", "limit_share"]
    assert "90 % of its limit of 410 MiB" in alerts[1].sentence


def test_a_callback_that_raises_is_reported_and_the_watch_goes_on() -> None:
    process = Scripted()
    monitor = MemoryMonitor(process.probes)

    def breaks(_: Alert) -> None:
        raise RuntimeError("pager is down")

    monitor.add_callback(breaks)
    monitor.start_tracking(thresholds=Thresholds(rss_bytes=MIB), background=False)
    process.live(monitor, 5)
    monitor.stop_tracking()
    assert "Note: a callback for alerts failed: RuntimeError: pager is down." in str(monitor.get_report())
    monitor.remove_callback(breaks)


def test_a_look_that_fails_is_told_until_one_works_again() -> None:
    process = Scripted()
    monitor = MemoryMonitor(process.probes)
    monitor.start_tracking(background=False)
    process.live(monitor, 5)
    process.fails = True
    process.live(monitor, 8)
    assert "Note: the last look failed: ProcessLookupError" in str(monitor.get_report())
    process.fails = False
    process.live(monitor, 10)
    assert "failed" not in str(monitor.get_report())
    monitor.stop_tracking()


def test_counting_is_stretched_until_it_costs_a_quarter_percent() -> None:
    process = Scripted(count_cost_s=0.5)
    watched(process, until_s=1000)
    gaps = [later - first for first, later in zip(process.counted, process.counted[1:], strict=False)][1:]
    assert min(gaps) >= 0.5 / 0.0025
    cheap = Scripted(count_cost_s=0.001)
    watched(cheap, until_s=200)
    assert len(cheap.counted) > 30


def test_objects_are_not_counted_where_the_list_of_them_would_not_fit() -> None:
    process = Scripted(limit_bytes=111 * MIB, counts=lambda _: {"app.Session": 1_000_000}, blocks=lambda _: 4_000_000)
    monitor = watched(process, until_s=60)
    assert len(process.counted) == 1  # the baseline, which somebody asked for
    assert "too little room for a list of them" in str(monitor.get_report())


def test_snapshots_and_alerts_are_bounded() -> None:
    process = Scripted()
    monitor = watched(process, until_s=5)
    for number in range(50):
        monitor.take_snapshot(str(number))
    assert [each.label for each in monitor.snapshots] == [str(number) for number in range(18, 50)]


def test_growth_is_told_over_the_baseline_and_over_the_peak() -> None:
    process = Scripted(counts=lambda at: {"app.Job": 500 if 20 <= at < 40 else 100 + int(at)})
    growth = watched(process, until_s=60).get_report().growths[0]
    assert (growth.name, growth.over_baseline, growth.over_peak) == ("app.Job", growth.count - 100, 0)
    process = Scripted(counts=lambda at: {"app.Job": 100 + 10 * int(at)})
    growth = watched(process, until_s=60).get_report().growths[0]
    assert 0 < growth.over_peak < growth.over_baseline


def test_a_baseline_may_be_set_anew() -> None:
    process = Scripted(counts=lambda at: {"app.Job": 100 + 10 * int(min(at, 60))})
    monitor = watched(process, until_s=60)
    assert monitor.get_report().growths[0].over_baseline >= 500
    monitor.set_baseline()
    assert monitor.get_report().growths == ()


def test_before_the_start_it_says_what_to_do() -> None:
    monitor = MemoryMonitor(Scripted().probes)
    assert "not tracked. Call start_tracking(), wait, then ask again." in str(monitor.get_report())
    with pytest.raises(InputError, match="nothing was tracked yet"):
        monitor.detect_leaks()
    with pytest.raises(InputError, match="nothing was tracked yet"):
        monitor.get_trend()
    monitor.stop_tracking()
    monitor.tick()


def test_a_figure_that_is_not_kept_is_refused_with_those_that_are() -> None:
    monitor = watched(Scripted(), until_s=30)
    with pytest.raises(InputError, match="no record of 'rs'") as caught:
        monitor.get_trend("rs")
    assert "rss_bytes" in caught.value.hint
    assert monitor.get_trend("builtins.dict").direction is Direction.TOO_FEW


@pytest.mark.parametrize("interval_s", [0, -1, 0.01, math.nan])
def test_an_interval_too_short_is_refused(interval_s: float) -> None:
    with pytest.raises(InputError, match="too short"):
        MemoryMonitor(Scripted().probes).start_tracking(interval_s)


def test_a_system_that_does_not_tell_is_one_sentence() -> None:
    def missing() -> int:
        raise FileNotFoundError(2, "No such file or directory", "/proc/self/statm")

    monitor = MemoryMonitor(replace(Scripted().probes, rss_bytes=missing))
    with pytest.raises(CollectError, match="cannot be read") as caught:
        monitor.start_tracking()
    assert "/proc" in caught.value.hint
    assert not monitor.is_tracking


def test_a_kernel_that_hides_the_shares_is_told() -> None:
    def refused() -> object:
        raise PermissionError(13, "Permission denied")

    process = Scripted()
    monitor = MemoryMonitor(replace(process.probes, shares=refused))  # type: ignore[arg-type]
    monitor.start_tracking(background=False)
    monitor.stop_tracking()
    assert "PSS and USS are not known" in str(monitor.get_report())


class Leaked:
    """What the real monitor shall find."""


def until(condition: object, within_s: float = 20.0) -> None:
    ends = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.fixture
def monitor() -> object:
    made = MemoryMonitor()
    yield made
    made.stop_tracking()


def test_the_thread_watches_this_very_process(monitor: MemoryMonitor) -> None:
    monitor.start_tracking(interval_s=0.1)
    monitor.start_tracking(interval_s=0.1)
    assert [each.name for each in threading.enumerate()].count("irkit-memory") == 1
    kept = [Leaked() for _ in range(5000)]
    taken = monitor.take_snapshot("after")
    name = f"{Leaked.__module__}.Leaked"
    assert taken.object_counts[name] == len(kept)
    assert monitor.baseline is not None
    assert name not in monitor.baseline.object_counts
    until(lambda: monitor.get_trend().samples >= 3)
    gc.collect()
    report = monitor.get_report()
    assert report.is_tracking
    assert report.pauses[2].collections >= 1
    assert report.container is None or report.container.usage_bytes > 0
    assert report.rss_bytes > MIB
    monitor.stop_tracking()
    assert "irkit-memory" not in [each.name for each in threading.enumerate()]
    assert not [each for each in gc.callbacks if getattr(each, "__self__", None) is monitor._pauses]


def test_the_watcher_does_not_show_up_in_what_it_watches(monitor: MemoryMonitor) -> None:
    """Hundreds of looks, dozens of snapshots and a report later there is nothing more of any type to be seen."""
    monitor.start_tracking(background=False)
    monitor.take_snapshot()
    for _ in range(300):
        monitor.tick()
    for _ in range(20):
        monitor.take_snapshot()
    monitor.get_report()
    gc.collect()
    before, after = monitor.snapshots[0].object_counts, monitor.take_snapshot().object_counts
    more = {name: after[name] - before.get(name, 0) for name in after if after[name] - before.get(name, 0) > 5}
    assert more == {}
    assert not [name for name in after if name.startswith("irkit.memory.")]


def test_a_forked_child_says_that_it_is_not_tracked(monitor: MemoryMonitor) -> None:
    monitor.start_tracking(background=False)
    monitor._after_fork()
    assert "Note" not in str(monitor.get_report())
    monitor.start_tracking(interval_s=60.0)
    over, thread = monitor._over, monitor._thread
    monitor._after_fork()  # what the child of a fork calls, where the thread does not exist
    assert not monitor.is_tracking
    assert "forked from one that was tracked: call start_tracking() here, too" in str(monitor.get_report())
    over.set()
    assert thread is not None
    thread.join()


def test_the_runbooks_lines_work_and_cost_no_heavy_import() -> None:
    code = """
import sys
from irkit.memory import memory_monitor
memory_monitor.start_tracking()
print(memory_monitor.get_report())
memory_monitor.stop_tracking()
print(sorted({'numpy', 'pandas', 'objgraph', 'rich', 'tracemalloc'} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("Memory of process ")
    assert run.stdout.splitlines()[-1] == "[]"
    assert irkit.memory.memory_monitor is irkit.memory.memory_monitor
    with pytest.raises(AttributeError):
        _ = irkit.memory.nothing


def test_the_usual_probes_are_those_of_this_process() -> None:
    probes = Probes()
    assert probes.rss_bytes() > MIB
    assert probes.blocks() > 1000
    assert probes.shares().uss_bytes <= probes.shares().rss_bytes
