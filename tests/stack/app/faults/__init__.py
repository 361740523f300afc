"""The faults the stack can be broken with: to add one, write one generator in the module of its kind.

A fault is a generator. While it is switched on, the process it lives in advances it at every tick (switchboard.py),
so what stands before the first `yield` breaks something, a loop around `yield` keeps at it, and `finally` repairs.
"""

from . import api, database, harmless, latency, memory, provider  # noqa: F401 (they register theirs)
from .contract import FAULTS, Fault, Steps, Switch, switch

__all__ = ["FAULTS", "Fault", "Steps", "Switch", "switch"]
