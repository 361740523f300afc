"""What the snapshots of one process say, as plain values: small enough to be evidence, and without the heap itself.

Names, counts and sizes only, as a snapshot has them; sizes are estimates in bytes, times ISO 8601 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from irkit.memory.heap import Heap, Row
from irkit.memory.heap_suspects import Suspect, difference, difference_by_type, suspects
from irkit.memory.heap_tree import tree

_ROWS = 20
_MOST_STEPS = 10


def findings(heaps: Sequence[Heap], sums: Mapping[Path, str]) -> Row:
    """Return what snapshots of one process say, the earliest first; `sums` are the sha256 of their files.

    Keys: `process`, `snapshots`, `explained`, `suspects` with their paths, `owners`, `types`, `tree` (the dominator
    tree's largest parts), `growth` and `type_growth` (empty of one snapshot), `collections` (of garbage, as the last
    snapshot tells them), `stacks` (of all threads then).
    """
    last = heaps[-1]
    return {
        "process": {key: last.file.meta.get(key) for key in ("pid", "program", "python", "walker", "container")},
        "snapshots": [_snapshot(heap, sums) for heap in heaps],
        "explained": last.explained,
        "suspects": suspect_rows(heaps),
        "owners": last.owner_rows()[:_ROWS],
        "types": last.type_rows()[:_ROWS],
        "tree": tree(last),
        "growth": _grown(difference(heaps), "growth_bytes") if len(heaps) > 1 else [],
        "type_growth": _grown(difference_by_type(heaps), "size_bytes") if len(heaps) > 1 else [],
        "collections": _collections(heaps),
        "stacks": _stacks(last),
    }


def suspect_rows(heaps: Sequence[Heap]) -> list[Row]:
    """Return the suspects of snapshots of one process, the earliest first, each with its retaining path."""
    return [_suspect(heaps[-1], one) for one in suspects(heaps)]


def chosen(paths: Sequence[Path], at_most: int = 4) -> list[Path]:
    """Return the first, the last and some between: more tell little, and each wants its memory while analysed."""
    if len(paths) <= at_most:
        return list(paths)
    return [paths[round(place * (len(paths) - 1) / (at_most - 1))] for place in range(at_most)]


def _snapshot(heap: Heap, sums: Mapping[Path, str]) -> Row:
    meta, path = heap.file.meta, heap.file.path
    at = heap.taken_at
    return {
        "taken_at": at.isoformat() if at else None,
        "file": path.name,
        "sha256": sums.get(path, ""),
        "objects": heap.file.objects,
        "size_bytes": heap.total_bytes,
        "rss_bytes": meta.get("rss_bytes"),
        "pause_ns": meta.get("pause_ns"),
    }


def _suspect(heap: Heap, one: Suspect) -> Row:
    return {
        "sentence": str(one),
        "owner": one.owner,
        "type": one.type_name,
        "kept_type": one.kept_type,
        "kept": one.kept,
        "retained_bytes": one.retained_bytes,
        "share": one.share,
        "growth_bytes": one.growth_bytes,
        "growth_a_minute": one.growth_a_minute,
        "path": _path(heap, one.node),
    }


def _path(heap: Heap, node: int) -> list[Row]:
    """Return the shortest retaining path, links of one name as one step, a long one with its middle counted only."""
    steps: list[Row] = []
    links = zip(heap.path(node), heap.path_steps(node), strict=True)
    for place, (name, plain, held) in links:
        kind = plain if not heap.is_namespace(place) else "running" if name.endswith("()") else "module"
        if steps and (steps[-1]["name"], steps[-1]["type"]) == (name, kind):
            steps[-1]["times"] += 1
        else:
            steps.append({"name": name, "type": kind, "retained_bytes": held, "times": 1})
    if len(steps) <= _MOST_STEPS:
        return steps
    half = _MOST_STEPS // 2
    left_out = {"name": "", "type": "", "retained_bytes": 0, "times": len(steps) - 2 * half}
    return [*steps[:half], left_out, *steps[-half:]]


def _grown(rows: Sequence[Row], measure: str) -> list[Row]:
    return [row for row in rows if row[measure] > 0][:_ROWS]


def _collections(heaps: Sequence[Heap]) -> list[Row]:
    """Return per generation what was collected and how long it took: between two snapshots, else since the start."""
    told = [heap.file.meta.get("gc", {}) for heap in heaps]
    last, first = told[-1], told[0] if len(told) > 1 else {}
    rows = []
    for generation, stats in enumerate(last.get("stats") or ()):
        before = (first.get("stats") or [{}] * (generation + 1))[generation]
        row = {"generation": generation}
        row |= {key: stats.get(key, 0) - before.get(key, 0) for key in ("collections", "collected", "uncollectable")}
        watched = (last.get("pauses") or [None] * (generation + 1))[generation]
        earlier = (first.get("pauses") or [None] * (generation + 1))[generation]
        if watched:
            row["watched"] = watched[0] - (earlier[0] if earlier else 0)
            row["total_ns"] = watched[1] - (earlier[1] if earlier else 0)
            row["longest_ns"] = watched[2]
        rows.append(row)
    return rows


def _stacks(heap: Heap) -> list[Row]:
    """Return the threads' innermost frames, threads that stand at the same place counted once."""
    found: dict[tuple[str, ...], int] = {}
    for stack in (heap.file.meta.get("threads") or {}).values():
        told = tuple(str(frame) for frame in stack[-6:])
        found[told] = found.get(told, 0) + 1
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [{"threads": count, "frames": list(frames)} for frames, count in ordered[:_ROWS]]
