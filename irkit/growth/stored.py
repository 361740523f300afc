"""Whether what Redis was given to keep explains why its container grows, and whether that is in bounds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from irkit.growth.containers import Growth
from irkit.records import Row, in_order, integer_of, number_of, rows_of, text_of
from irkit.text.phrase import count, percent, size

if TYPE_CHECKING:
    import pandas as pd

_SERVERS = frozenset({"redis-server", "valkey-server", "keydb-server"})
# of what the container gained, what Redis accounts for as data
_EXPLAINS = 0.5
# a store that nothing bounds and that became so many times as large is on its way to fill the machine
_SEVERAL = 3.0
_NEAR = 0.8
_SOON_S = 3600.0
_AROUND = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Stored:
    """What Redis held before and after its container grew; `bound_bytes` is the nearest limit, `bound` its name."""

    before_bytes: float
    after_bytes: float
    keys_before: int
    keys_after: int
    bound_bytes: float | None
    bound: str

    @property
    def sentence(self) -> str:
        """What it accounts for, to go on a sentence about the container."""
        keys = f"{self.keys_before} to {count(self.keys_after, 'key')}"
        held = f"Redis accounts for it by what it was given, {size(self.before_bytes)} to {size(self.after_bytes)}"
        if not self.bound_bytes:
            return f"{held} in {keys}; no limit is set, and it is not several times what it was"
        share = percent(self.after_bytes / self.bound_bytes)
        return f"{held} in {keys}, {share} of its {self.bound} of {size(self.bound_bytes)}"


def stored(growth: Growth, history: pd.DataFrame | None, processes: pd.DataFrame | None) -> Stored | None:
    """Return what explains a Redis container's growth as its normal use; None where nothing does, or it may fill up.

    A store grows by being used, so its growth alone is no leak. What tells one is that it nears a limit, or has none
    and keeps multiplying, or that Redis does not account for what its container gains.
    """
    if growth.onset is None or growth.until is not None or not _is_redis(growth.name, processes):
        return None
    last = growth.onset + timedelta(seconds=growth.span_s)
    seen = [
        row
        for row in in_order(rows_of(history))
        if growth.onset - _AROUND <= row["at"] <= last + _AROUND and number_of(row, "used_memory_bytes") is not None
    ]
    if not seen:
        return None
    (before, keys_before), (after, keys_after) = _held(seen[0]), _held(seen[-1])
    if after - before < _EXPLAINS * growth.gained_bytes or keys_after <= keys_before:
        return None
    bounds = [(number_of(seen[-1], "max_memory_bytes"), "maxmemory"), (growth.limit_bytes, "container’s limit")]
    bound, name = min(((most, named) for most, named in bounds if most), default=(None, ""))
    if bound is None:
        fills = growth.last_bytes >= _SEVERAL * growth.first_bytes
    else:
        fills = after >= _NEAR * bound or after + growth.slope_per_s * _SOON_S >= bound
    return None if fills else Stored(before, after, keys_before, keys_after, bound, name)


def _held(row: Row) -> tuple[float, int]:
    return number_of(row, "used_memory_bytes") or 0.0, integer_of(row, "keys") or 0


def _is_redis(name: str, processes: pd.DataFrame | None) -> bool:
    return any(text_of(row, "name") == name and text_of(row, "command") in _SERVERS for row in rows_of(processes))
