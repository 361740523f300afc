"""The twin that walks in plain Python: where there is no room for it, none is made; what it runs never comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from irkit.memory import agent, twin, walk_pure

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")


def test_a_process_too_large_for_what_is_left_is_refused_in_a_sentence() -> None:
    room = twin.headroom_bytes()
    assert room is not None
    with pytest.raises(MemoryError, match=r"may want \d+ MiB more than the process has, and \d+ MiB are left"):
        walk_pure.clone_walk(1, json.dumps({"rss_bytes": room}).encode(), {}, 1.0)


def test_room_is_what_the_tightest_limit_above_leaves_and_what_can_be_dropped_of_the_cache(tmp_path: Path) -> None:
    own = tmp_path / "cgroup" / "system.slice" / "shop.service"
    own.mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/system.slice/shop.service\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    assert twin.headroom_bytes(tmp_path, tmp_path / "cgroup") == 5000 * 1024
    for folder, limit in ((own, "max"), (own.parent, "1000000")):
        (folder / "memory.max").write_text(limit)
        (folder / "memory.current").write_text("900000")
        (folder / "memory.stat").write_text("anon 400000\ninactive_file 300000\n")
    assert twin.headroom_bytes(tmp_path, tmp_path / "cgroup") == 400_000


@pytest.mark.parametrize(
    ("work", "status"),
    [
        ("pass", 0),
        ("raise TimeoutError", 4),
        ("raise MemoryError", 5),
        ("raise ValueError", 3),
        ("import sys; sys.exit(7)", 3),
    ],
)
def test_the_twin_ends_with_what_became_of_its_work_and_the_process_goes_on(work: str, status: int) -> None:
    code = f"""
import os, threading
from irkit.memory import twin
done = threading.Event()
threads = [threading.Thread(target=done.wait) for _ in range(20)]
[thread.start() for thread in threads]
def work():
    {work}
pid, pidfd, pause_ns = twin.clone(work, 2)
_, status = os.waitpid(pid, 0x40000000)
done.set()
[thread.join() for thread in threads]
print(os.waitstatus_to_exitcode(status), pause_ns > 0)
"""
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True, timeout=60,
    )  # fmt: skip
    assert made.stdout == f"{status} True\n"
    assert "Traceback" not in made.stderr
