"""The dominator tree's largest parts, by the names that lead to them: what a treemap draws."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from irkit.memory.heap import ELEMENT, Heap, spelled

if TYPE_CHECKING:
    from irkit.memory.heap_kernel import U32

_DEPTH = 3
_BRANCHES = 9
_LEAST_SHARE = 0.004
_NAMED_SHARE = 0.001
_MOST_NAMED = 400
_SAME = 0.9
Branch = dict[str, Any]


def tree(heap: Heap) -> Branch:
    """Return the heap as nested parts: `name`, `objects`, `size_bytes` (retained) and `children`, the largest first.

    Of what one part holds the largest are named, up to nine and of 0.4 % of the heap or more; the rest is its own.
    """
    import numpy as np

    top = heap.children(heap.root)
    return {
        "name": "the heap",
        "objects": heap.file.objects,
        "size_bytes": heap.total_bytes,
        "children": _branches(heap, top.astype(np.uint32), "", _DEPTH),
    }


def _branches(heap: Heap, nodes: U32, above: str, depth: int) -> list[Branch]:
    """Group what a part dominates by name, or by type where a container's elements have none."""
    import numpy as np

    if not depth or not len(nodes):
        return []
    retained = heap.retained[nodes]
    least = _LEAST_SHARE * heap.total_bytes
    groups: dict[str, list[U32]] = defaultdict(list)
    order = np.argsort(retained)[::-1]
    named = order[: _MOST_NAMED if depth < _DEPTH else 4 * _MOST_NAMED]
    named = named[retained[named] >= _NAMED_SHARE * heap.total_bytes]
    for node in nodes[named].tolist():
        groups[_name(heap, node, above)].append(np.array([node], np.uint32))
    others = np.delete(nodes, named)
    others = others[others < heap.file.objects]
    kinds = heap.file.type_of[others]
    for kind in np.unique(kinds).tolist():
        members = others[kinds == kind]
        if int(heap.retained[members].sum()) >= least:
            groups[heap.file.type_names[kind]].append(members)
    made = [_branch(heap, name, np.concatenate(parts), depth) for name, parts in groups.items()]
    large = [one for one in made if one["size_bytes"] >= least]
    return sorted(large, key=lambda one: -int(one["size_bytes"]))[:_BRANCHES]


def _branch(heap: Heap, name: str, nodes: U32, depth: int) -> Branch:
    import numpy as np

    size_bytes = int(heap.retained[nodes].sum())
    below = np.concatenate([heap.children(node) for node in nodes[:2000].tolist()]) if len(nodes) else nodes
    children = _branches(heap, below, name, depth - 1)
    # a name that only leads to the next one is no part of its own
    if len(nodes) == 1 and len(children) == 1 and children[0]["size_bytes"] >= _SAME * size_bytes:
        only = children[0]
        if only["name"].startswith(name):
            return {**only, "size_bytes": size_bytes}
    return {"name": name, "objects": len(nodes), "size_bytes": size_bytes, "children": children}


def _name(heap: Heap, node: int, above: str) -> str:
    shape = heap.shape_of(node)
    told = spelled(shape)
    return heap.type_name(node) if shape[-1] == ELEMENT or told == above else told
