"""Leak suspects: few, ranked, in sentences; by the rules of Eclipse MAT's FindLeaksQuery, and by growth.

From what holds a large share of the heap, go down to the accumulation point: the last whose largest part is most of it
(0.7 in MAT). Of several snapshots, what must be large is the growth, in every interval and not dying away: half as fast
at the end as at first is a cache that fills up. Snapshots are compared by the names that lead to objects, never by
addresses, which are reused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from irkit.memory.heap import ELEMENT, HELD_FROM_C, Heap, Owner, Row, Shape
from irkit.text.phrase import grouped, percent, size

_SHARE = 0.1
_DROP = 0.7
_LEAST_BYTES = 1 << 20
_LEAST_GROWTH_BYTES = 128 * 1024
_LEAST_GROWTH = 0.02
_STEADY = 0.2
_OF_FIRST = 0.5
_LEAST_SPAN_S = 10.0
_LEAST_PACE_S = 1.0
_MOST = 5
_FARTHEST = 10_000
_MEASURES = ("objects", "size_bytes")


@dataclass(frozen=True, slots=True)
class Suspect:
    """What keeps much alive: its name, what it keeps, its share of the heap, and growth where it was seen twice."""

    owner: str
    type_name: str
    kept_type: str
    kept: int
    retained_bytes: int
    share: float
    growth_bytes: int | None = None
    growth_a_minute: float | None = None
    node: int = 0

    def __str__(self) -> str:
        whom = f"{grouped(self.kept)} `{self.kept_type}` alive" if self.kept else "its own content alive"
        told = f"`{self.owner}` ({self.type_name}) keeps {whom}, {size(self.retained_bytes)}"
        told += f", {percent(self.share)} of the heap"
        if self.growth_a_minute is not None:
            return f"{told}, +{size(self.growth_a_minute)} a minute"
        return told if self.growth_bytes is None else f"{told}, +{size(self.growth_bytes)} since the first snapshot"


def in_order(heaps: Sequence[Heap]) -> list[Heap]:
    """Return snapshots earliest first, whatever order they were named in; those that do not say when stay as named."""
    times = [heap.taken_at for heap in heaps]
    known = [at for at in times if at is not None]
    if len(known) < len(times):
        return list(heaps)
    return [heap for _, heap in sorted(zip(known, heaps, strict=True), key=itemgetter(0))]


def processes(heaps: Sequence[Heap]) -> list[str]:
    """Return whose the snapshots are, a word for each process: where there are several, what differs need not grow."""
    found = {}
    for heap in heaps:
        meta = heap.file.meta
        told = f"{meta.get('program') or 'process'} ({meta.get('pid')})"
        found[meta.get("pid"), meta.get("process_started_s")] = told
    return list(found.values())


def suspects(heaps: Sequence[Heap]) -> tuple[Suspect, ...]:
    """Return the suspects of one snapshot by size, of several (earliest first) by growth; the largest first."""
    last = heaps[-1]
    if len(heaps) == 1:
        least = max(_LEAST_BYTES, _SHARE * last.total_bytes)
        weights = {shape: one.retained_bytes for shape, one in last.owners.items() if one.retained_bytes >= least}
    else:
        weights = _growth(heaps)
    chosen = _accumulation_points(last, weights)
    return tuple(_suspect(heaps, last.owners[shape], weights[shape]) for shape in chosen[:_MOST])


def difference(heaps: Sequence[Heap]) -> list[Row]:
    """Return `owner`, `type`, `before_bytes`, `after_bytes`, `growth_bytes` between the first and the last snapshot."""
    first, last = heaps[0].owners, heaps[-1].owners
    rows = []
    for shape in {**first, **last}:
        one = last.get(shape) or first[shape]
        before = first[shape].retained_bytes if shape in first else 0
        after = last[shape].retained_bytes if shape in last else 0
        rows.append(
            {
                "owner": one.name,
                "type": one.type_name,
                "before_bytes": before,
                "after_bytes": after,
                "growth_bytes": after - before,
            }
        )
    return sorted(rows, key=lambda row: -row["growth_bytes"])


def difference_by_type(heaps: Sequence[Heap]) -> list[Row]:
    """Return `type` with growth in `objects` and `size_bytes` between the first and the last snapshot."""
    first, last = ({row["type"]: row for row in heap.type_rows()} for heap in (heaps[0], heaps[-1]))
    rows = [
        {"type": name} | {key: last.get(name, {}).get(key, 0) - first.get(name, {}).get(key, 0) for key in _MEASURES}
        for name in {**first, **last}
    ]
    return sorted(rows, key=lambda row: -row["size_bytes"])


def _growth(heaps: Sequence[Heap]) -> dict[Shape, int]:
    found, spans = {}, _spans_s(heaps)
    least = max(_LEAST_GROWTH_BYTES, _LEAST_GROWTH * heaps[-1].total_bytes)
    for shape in heaps[-1].owners:
        levels = [heap.owners[shape].retained_bytes if shape in heap.owners else 0 for heap in heaps]
        if levels[-1] - levels[0] >= least and grows_on(levels, spans):
            found[shape] = levels[-1] - levels[0]
    return found


def grows_on(levels_bytes: Sequence[int], spans_s: Sequence[float]) -> bool:
    """Say whether what was seen at two moments or more, so many seconds apart, grew each time and is not dying away.

    Half as fast at the end as at first is dying away, as a cache does which fills up to its limit.
    """
    steps, spans = _intervals([after - before for before, after in pairwise(levels_bytes)], spans_s)
    paces = _paces(steps, spans)
    return min(steps) > 0 and paces[-1] >= _STEADY * max(paces) and paces[-1] >= _OF_FIRST * paces[0]


def _intervals(steps: Sequence[int], spans: Sequence[float]) -> tuple[list[int], list[float]]:
    """Join intervals too short to say something by themselves with the one before, the first with the one after.

    Where all are short they are left as they are: then rounds were taken, each of as much work.
    """
    if max(spans) < _LEAST_SPAN_S:
        return list(steps), list(spans)
    joined: list[tuple[int, float]] = []
    for step, span in zip(steps, spans, strict=True):
        if joined and min(span, joined[-1][1]) < _LEAST_SPAN_S:
            joined[-1] = (joined[-1][0] + step, joined[-1][1] + span)
        else:
            joined.append((step, span))
    return [step for step, _ in joined], [span for _, span in joined]


def _paces(steps: Sequence[int], spans: Sequence[float]) -> Sequence[float]:
    """Return growth by time, where the times between snapshots are long enough to say something."""
    if min(spans) < _LEAST_PACE_S:
        return steps
    return [step / span for step, span in zip(steps, spans, strict=True)]


def _spans_s(heaps: Sequence[Heap]) -> list[float]:
    return [
        (after.taken_at - before.taken_at).total_seconds() if before.taken_at and after.taken_at else 0.0
        for before, after in pairwise(heaps)
    ]


def _accumulation_points(heap: Heap, weights: dict[Shape, int]) -> list[Shape]:
    """Of names within names keep the last that still has most of the weight; many alike stand for themselves."""
    kept: list[Shape] = []
    for shape in sorted(weights, key=len):
        one = heap.owners[shape]
        if heap.is_namespace(one.largest) or shape[0] == HELD_FROM_C:
            continue
        above = next((other for other in kept if shape[: len(other)] == other), None)
        if above is None:
            kept.append(shape)
        elif one.objects == 1 and shape[-1] != ELEMENT and weights[shape] >= _DROP * weights[above]:
            kept[kept.index(above)] = shape
    return sorted(_innermost(heap, kept, weights), key=lambda shape: -weights[shape])


def _innermost(heap: Heap, shapes: list[Shape], weights: dict[Shape, int]) -> list[Shape]:
    """Of suspects that lie within each other keep one, though what has a name of its own hides the way to it."""
    single = {heap.owners[shape].largest: shape for shape in shapes if heap.owners[shape].objects == 1}
    left = list(shapes)
    for node, shape in single.items():
        above = node
        for _ in range(_FARTHEST):
            above = int(heap.idom[above])
            outer = single.get(above)
            if outer in left and shape in left:
                left.remove(outer if weights[shape] >= _DROP * weights[outer] else shape)
            if above == heap.root or shape not in left:
                break
    return left


def _suspect(heaps: Sequence[Heap], owner: Owner, weight: int) -> Suspect:
    heap = heaps[-1]
    kind, count = heap.kept(owner.largest)
    grown = weight if len(heaps) > 1 else None
    first, last = heaps[0].taken_at, heap.taken_at
    minutes = (last - first).total_seconds() / 60 if grown is not None and first and last else 0.0
    return Suspect(
        owner.name,
        owner.type_name if owner.objects == 1 else f"{grouped(owner.objects)} × {owner.type_name}",
        kind,
        count,
        owner.retained_bytes,
        owner.retained_bytes / max(heap.total_bytes, 1),
        grown,
        weight / minutes if minutes >= 1 / 60 else None,
        owner.largest,
    )
