"""Python's objects counted by type, their growth, and who refers to them; no code of theirs is run for it.

The names and numbers are those of `objgraph.typestats(shortnames=False)`, at half its cost: types are grouped in C and
named once each, by what `type` itself stores, so that no metaclass has a say. Chains are objgraph's.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

_AT_ONCE = 20_000
_OWN = ("irkit.memory.", "irkit.procfs.")
_MAX_DEPTH = 12
_CHAIN_BUDGET_S = 5.0
_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class TypeGrowth:
    """How many objects of a type there are, how many more than at the baseline, and than there ever were since.

    `over_baseline` may be negative. `over_peak` is what `objgraph.growth` tells: only a new record counts there, so a
    type that swings grows by it in its first minutes and a slow leak below an early peak does not.
    """

    name: str
    count: int
    over_baseline: int
    over_peak: int


def count_by_type() -> dict[str, int]:
    """Return how many objects the garbage collector tracks by the full name of their type, the monitor's left out.

    What holds no other object (str, bytes, int, most numbers) is not tracked and not counted, nor is what
    `gc.freeze()` set aside. Takes about 0.09 s a million objects, and yields to other threads in between.
    """
    numbers: Counter[int] = Counter()
    numbers.update([])  # what Python sets up for the first update is made before the count, not within it
    objects = gc.get_objects()
    types: dict[int, type] = {}
    for start in range(0, len(objects), _AT_ONCE):
        kinds = list(map(type, objects[start : start + _AT_ONCE]))
        ids = list(map(id, kinds))
        numbers.update(ids)
        for new in numbers.keys() - types.keys():
            types[new] = kinds[ids.index(new)]
    del objects
    named: dict[str, int] = {}
    for number, kind in types.items():
        name = type_name(kind)
        if not name.startswith(_OWN):
            named[name] = named.get(name, 0) + numbers[number]
    return named


def growth(now: Mapping[str, int], baseline: Mapping[str, int], peak: Mapping[str, int]) -> tuple[TypeGrowth, ...]:
    """Return the types whose numbers changed since the baseline, most grown first; `peak` is of all counts before."""
    changed = [
        TypeGrowth(name, now.get(name, 0), delta, max(now.get(name, 0) - peak.get(name, 0), 0))
        for name in now.keys() | baseline.keys()
        if (delta := now.get(name, 0) - baseline.get(name, 0))
    ]
    return tuple(sorted(changed, key=lambda each: (-each.over_baseline, each.name)))


def type_name(kind: type) -> str:
    """Return `module.Name` of a type as `type` stores it, cut to 120 characters."""
    module = type.__dict__["__module__"].__get__(kind)
    name = type.__dict__["__name__"].__get__(kind)
    return (f"{module}.{name}" if type(module) is str and module else name)[:_NAME_CHARS]


def referrer_chain(name: str, budget_s: float = _CHAIN_BUDGET_S) -> tuple[str, ...]:
    """Return what keeps a recent object of a type alive, from a module down to it, by names alone.

    Each step is a module, an attribute, a type or the name of a function; values and keys of data are never shown.
    Empty where no module leads to one within the budget: it is held by a running function, a thread or C code, or
    there is none. Each step looks through all objects, and objgraph collects garbage first: not for a busy moment.
    """
    import objgraph

    found = _recent(name)
    if found is None:
        return ()
    ends = time.monotonic() + budget_s

    def is_root(candidate: object) -> bool:
        if time.monotonic() > ends:
            raise TimeoutError
        return bool(objgraph.is_proper_module(candidate))

    try:
        chain = objgraph.find_backref_chain(found[0], is_root, _MAX_DEPTH, extra_ignore=[id(found)])
    except TimeoutError:
        return ()
    return _told(chain) if isinstance(chain[0], ModuleType) else ()


def frozen_objects() -> int:
    """Return how many objects `gc.freeze()` set aside, which nobody can count by type."""
    return gc.get_freeze_count()


def allocated_blocks() -> int:
    """Return how many small pieces of memory Python has handed out, tracked objects and others (numbers, strings)."""
    return sys.getallocatedblocks()


def _recent(name: str) -> list[object] | None:
    """Return an object of a type, boxed: of those that outlived a collection one of the last, else the last made."""
    for generation in (2, 1, 0):
        for candidate in reversed(gc.get_objects(generation=generation)):
            if type_name(type(candidate)) == name:
                return [candidate]
    return None


def _told(chain: list[object]) -> tuple[str, ...]:
    steps: list[str] = []
    for index, held in enumerate(chain):
        if isinstance(held, ModuleType):
            steps.append(object.__getattribute__(held, "__dict__").get("__name__", "a module"))
        elif type(held) is dict and index and _owns(chain[index - 1], held):
            after = chain[index + 1] if index + 1 < len(chain) else None
            steps.append("." + next((key for key, value in held.items() if value is after and type(key) is str), "?"))
        elif isinstance(held, type):
            steps.append(f"class {type_name(held)}")
        elif type(held).__name__ == "function":
            steps.append(f"function {type(held).__dict__['__code__'].__get__(held).co_name}")
        else:
            steps.append(type_name(type(held)))
    return tuple(step[:_NAME_CHARS] for step in steps)


def _owns(owner: object, namespace: dict[object, object]) -> bool:
    """Say whether a dict is the namespace of a module or the attributes of an object, whose keys are names in code."""
    return type(owner) not in {dict, list, tuple, set, frozenset} and any(
        each is namespace for each in gc.get_referents(owner)
    )
