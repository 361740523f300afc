"""What /proc tells, compared with what this very process does."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from irkit import procfs

KIB = 1024


def test_memory_and_uptime_are_the_machines() -> None:
    memory = procfs.memory()
    assert memory["MemTotal"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory["MemAvailable"] <= memory["MemTotal"]
    assert procfs.uptime_s() > 0


def test_pressure_has_its_shares_and_ranges() -> None:
    found = procfs.pressures()
    assert {(each.resource, each.share) for each in found} >= {("cpu", "some"), ("memory", "full"), ("io", "full")}
    for each in found:
        assert all(0 <= value <= 100 for value in (each.avg10_percent, each.avg60_percent, each.avg300_percent))


def test_pressure_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    for name in ("cpu", "memory", "io"):
        text = "some avg10=1.50 avg60=2.25 avg300=0.00 total=556535125\n"
        (tmp_path / "pressure" / name).write_text(text)
    assert procfs.pressures(tmp_path)[0] == procfs.Pressure("cpu", "some", 1.5, 2.25, 0.0, 556.535125)


def test_a_kernel_that_does_not_tell_raises_and_is_not_taken_for_calm(tmp_path: Path) -> None:
    for look in (procfs.pressures, procfs.memory, procfs.uptime_s):
        with pytest.raises(OSError, match="No such file"):
            look(tmp_path)


def test_descriptors_and_threads_are_counted(tmp_path: Path) -> None:
    before = procfs.process(os.getpid())
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    with ExitStack() as stack:
        for number in range(20):
            stack.enter_context((tmp_path / str(number)).open("w"))
        for thread in threads:
            thread.start()
        now = procfs.process(os.getpid())
        done.set()
        for thread in threads:
            thread.join()
    assert (now.open_files or 0) - (before.open_files or 0) == 20
    assert (now.threads or 0) - (before.threads or 0) == 3
    assert now.open_files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_memory_of_a_process() -> None:
    before = procfs.process(os.getpid())
    held = bytearray(os.urandom(KIB)) * (64 * KIB)
    now = procfs.process(os.getpid())
    assert (now.rss_bytes or 0) - (before.rss_bytes or 0) > len(held) * 0.9
    assert 0 < (now.pss_bytes or 0) <= (now.rss_bytes or 0) + 64 * KIB


def test_a_process_that_is_gone_raises() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError):
        procfs.process(process.pid)
    assert not procfs.in_container(process.pid, "0" * 64)
    assert not procfs.in_container(os.getpid(), "0" * 64)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("0::/system.slice/docker-{}.scope\n", True),
        ("0::/docker/{}/init\n", True),
        ("12:memory:/docker/{}\n1:name=systemd:/docker/{}\n", True),
        ("0::/kubepods/burstable/pod1/cri-containerd-{}.scope\n", True),
        ("0::/user.slice/user-0.slice/session-1.scope\n", False),
        ("0::/\n", False),
    ],
)
def test_the_container_of_a_process_is_read_from_the_name_of_its_cgroup(
    lines: str, *, found: bool, tmp_path: Path
) -> None:
    name = "0123456789abcdef" * 4
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(lines.replace("{}", name))
    assert procfs.container_of(7, tmp_path) == (name if found else "")
    assert procfs.container_of(8, tmp_path) == ""


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("0::/system.slice/till.service\n", procfs.Unit("till.service")),
        ("12:memory:/other.service\n1:name=systemd:/system.slice/till.service\n", procfs.Unit("till.service")),
        (
            "0::/user.slice/user-7.slice/user@7.service/app.slice/till.service\n",
            procfs.Unit("till.service", of_user=True),
        ),
        # what they start is not theirs: to stop one of these would end everybody's
        ("0::/system.slice/ssh.service\n", None),
        ("0::/user.slice/user-7.slice/user@7.service\n", None),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("0::/\n", None),
        ("nonsense\n", None),
    ],
)
def test_the_unit_of_a_process_is_read_from_the_name_of_its_cgroup(
    lines: str, found: procfs.Unit | None, tmp_path: Path
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(lines)
    assert procfs.unit_of(7, tmp_path) == found
    assert procfs.unit_of(8, tmp_path) is None
