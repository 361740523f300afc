"""What the flight recorder has of memory, from before a window that an earlier incident cut short, too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from irkit.recorder.history import BEFORE

if TYPE_CHECKING:
    import pandas as pd

    from irkit.model import Window


class Reached(NamedTuple):
    """The histories of containers, processes and Redis as far back as they are there.

    `since` is where the window begins if they reach further back: what was over by then is another incident's.
    """

    containers: pd.DataFrame | None
    processes: pd.DataFrame | None
    redis: pd.DataFrame | None
    since: datetime | None


def reached(window: Window, table: Callable[[str], pd.DataFrame | None]) -> Reached:
    """Return what is there of memory; `table` gives evidence by its kind, None where there is none."""
    own, earlier = table("container_history"), table(BEFORE["container_history"])
    if own is None or not len(own) or earlier is None or not len(earlier):
        return Reached(own, table("process_history"), table("redis_history"), None)
    kinds = ("container_history", "process_history", "redis_history")
    containers, processes, redis = (_joined(table(BEFORE[kind]), table(kind)) for kind in kinds)
    return Reached(containers, processes, redis, window.start)


def _joined(before: pd.DataFrame | None, within: pd.DataFrame | None) -> pd.DataFrame | None:
    import pandas as pd

    parts = [part for part in (before, within) if part is not None and len(part)]
    return pd.concat(parts, ignore_index=True) if parts else within
