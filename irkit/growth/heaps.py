"""What the filed snapshots of heaps say of growth: who keeps more each time, and in which container."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from irkit.growth.heap_places import places
from irkit.model import Verdict, VerdictState
from irkit.records import Row
from irkit.text.phrase import count
from irkit.times import format_duration

# what is told of one process's heap, with its container's name under `IN`
Told = Mapping[str, Any]
IN = "in"


def placed(heap: Any, containers: list[Row]) -> list[Told]:  # noqa: ANN401 (a JSON document)
    """Return what snapshots say of each process, with its container's name, none where it is not what we file."""
    listed = heap.get("processes") if isinstance(heap, Mapping) else None
    told = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return [{**one, IN: place} for one, place in zip(told, places(told, containers), strict=True)]


def kept_alive(snapshots: list[Told]) -> Verdict | None:
    """Return that a heap grows by what its snapshots say, None where they do not, or it is not what we file."""
    try:
        found = [_growing(told) for told in snapshots]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return next((verdict for verdict in found if verdict), None)


def named(snapshots: list[Told]) -> Verdict | None:
    """Return what one snapshot says of who keeps the memory, None where none does, or it is not what we file."""
    try:
        told = snapshots[0]
        process = f"{told['process']['program'] or 'process'} ({told['process']['pid']})"
        owner = told["suspects"][0]["sentence"].replace("`", "")
    except (LookupError, TypeError, AttributeError):
        return None
    sentence = f"A snapshot of the heap of {process} names who may keep it: {owner}."
    advice = "Take a second snapshot later and compare: what grew is the leak; a restart destroys the evidence."
    return Verdict(VerdictState.FOUND, sentence, advice)


def _growing(told: Told) -> Verdict | None:
    first = next((one for one in told["suspects"] if one["growth_bytes"]), None)
    if first is None or len(told["snapshots"]) == 1:
        return None
    times = [datetime.fromisoformat(one["taken_at"]) for one in told["snapshots"]]
    process = f"{told['process']['program'] or 'process'} ({told['process']['pid']})"
    apart, owner = format_duration(times[-1] - times[0]), first["sentence"].replace("`", "")
    sentence = f"By {count(len(times), 'snapshot')} of the heap of {process}, {apart} apart, it grows: {owner}."
    advice = "Look at the path that keeps it alive; a restart gives the memory back, and the growth begins anew."
    numbers = {"name": told[IN], "growth_bytes": first["growth_bytes"], "snapshots": len(times)}
    return Verdict(VerdictState.FOUND, sentence, advice, None, 0.8, numbers)
