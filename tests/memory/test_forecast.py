"""The stack leaks in its container until the kernel kills it, and at half-way the monitor has said when."""

import time
from pathlib import Path

from irkit.memory.outside import watch
from tests.stack.engine import wait_until
from tests.stack.stack import Stack

RATE_MIB_PER_S = 18
HALF_WAY_S = 6.5


def service_process(stack: Stack) -> int:
    """The process of the API, on this machine: the child of its container's init."""
    init = stack.container("jarvis-api").attrs["State"]["Pid"]
    [child] = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    return int(child)


def test_the_kill_comes_when_the_monitor_said_at_half_way(stack: Stack) -> None:
    with stack.broken(f"memory-leaks={RATE_MIB_PER_S}"):
        seen = watch(service_process(stack), for_s=HALF_WAY_S, every_s=0.1)
        at = time.monotonic()
        wait_until(lambda: stack.exit_code() is not None, "the kernel has killed it", 60)
        left_s = time.monotonic() - at
        assert stack.container("jarvis-api").attrs["State"]["OOMKilled"]
    assert seen.forecast is not None, str(seen)
    print(f"after {HALF_WAY_S} s: killed in {seen.forecast.likely_s:.1f} s, it said; it was {left_s:.1f} s")
    assert left_s > HALF_WAY_S / 2, "it was not yet half-way"
    assert abs(seen.forecast.likely_s - left_s) <= 0.2 * left_s
    assert "is reached" in str(seen) or "reaches" in str(seen), str(seen)
