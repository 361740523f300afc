"""Memory of a live Python service: the monitor that says whether it grows, and the heap that says who holds it.

Importing this costs a service next to nothing; the parts load on use. The runbook's own lines:

    from irkit.memory import memory_monitor
    memory_monitor.start_tracking()
    print(memory_monitor.get_report())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irkit.memory.monitor import MemoryMonitor

    memory_monitor: MemoryMonitor

__all__ = ["memory_monitor"]


def __getattr__(name: str) -> object:
    if name != "memory_monitor":
        raise AttributeError(f"module 'irkit.memory' has no attribute {name!r}")
    from irkit.memory.monitor import MemoryMonitor

    # one a process, made when it is first asked for
    return globals().setdefault(name, MemoryMonitor())
