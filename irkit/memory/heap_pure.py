"""The arithmetic of `_heapgraph.c` in plain Python, for where the extension is not installed: same results, far slower.

Each function takes and fills the same buffers as its namesake there, which has the words and the sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

NONE = 2**32 - 1
_UNFIT = "the graph is not well formed"


def varints(data: Buffer, out: Buffer) -> None:
    """Decode LEB128 numbers into a uint64 array."""
    to, count = memoryview(out).cast("B").cast("Q"), 0
    for count, number in enumerate(_numbers(memoryview(data).cast("B")), 1):
        if count > len(to):
            break
        to[count - 1] = number
    if count != len(to):
        raise ValueError("a column does not hold as many numbers as it should")


def edges(data: Buffer, sources: Buffer, degrees: Buffer, targets: Buffer, leaves: Buffer) -> None:
    """Decode references into addresses, and those of leaves."""
    target, leaf = _view(targets, "Q"), _view(leaves, "Q")
    numbers, made, met = _numbers(memoryview(data).cast("B")), 0, 0
    try:
        for last, degree in zip(_view(sources, "Q"), _view(degrees, "Q"), strict=True):
            at = last
            for _ in range(degree >> 1):
                value = next(numbers)
                at += (value >> 2) ^ -(value >> 1 & 1)
                target[made] = at
                made += 1
                if value & 1:
                    leaf[met] = at
                    met += 1
    except (StopIteration, IndexError, ValueError):
        made = -1
    if made != len(target) or met != len(leaf) or next(numbers, None) is not None:
        raise ValueError("the references do not fit the objects")


def index_of(addresses: Buffer, wanted: Buffer, out: Buffer) -> None:
    """Find the position of each wanted address among the objects'."""
    places = {address: index for index, address in enumerate(_view(addresses, "Q"))}
    if len(places) != len(_view(addresses, "Q")):
        raise ValueError("the objects' addresses are not all different")
    found = _view(out, "I")
    for index, address in enumerate(_view(wanted, "Q")):
        found[index] = places.get(address, NONE)


def indegree(targets: Buffer, out: Buffer) -> None:
    """Count the references to each node."""
    count = _view(out, "I")
    size = len(count)
    for target in _view(targets, "I"):
        if target < size:
            count[target] += 1


def group(keys: Buffer, offsets: Buffer, items: Buffer) -> None:
    """List the positions of each key in order; keys beyond the last are left out."""
    key, offset, item = _view(keys, "I"), _view(offsets, "q"), _view(items, "I")
    lists: list[list[int]] = [[] for _ in range(len(offset) - 1)]
    for position, number in enumerate(key):
        if number < len(lists):
            lists[number].append(position)
    at = 0
    for number, positions in enumerate(lists):
        offset[number] = at
        for position in positions:
            item[at] = position
            at += 1
    offset[len(lists)] = at


def shortest(offsets: Buffer, targets: Buffer, root: int, parents: Buffer) -> None:
    """Parents in the tree of shortest paths from a root."""
    offset, target, parent = _view(offsets, "q"), _view(targets, "I"), _view(parents, "I")
    nodes = _checked(offset, target, root)
    for node in range(nodes):
        parent[node] = NONE
    parent[root] = root
    queue = [root]
    for node in queue:
        for following in target[offset[node] : offset[node + 1]]:
            if following < nodes and parent[following] == NONE:
                parent[following] = node
                queue.append(following)


def reach(offsets: Buffer, targets: Buffer, starts: Buffer, seen: Buffer) -> None:
    """Mark what is reached; those of `starts` that nothing reached before become 2."""
    offset, target, mark = _view(offsets, "q"), _view(targets, "I"), _view(seen, "B")
    nodes = _checked(offset, target, 0)
    for start in _view(starts, "I"):
        if start >= nodes or mark[start]:
            continue
        mark[start] = 2
        stack = [start]
        while stack:
            node = stack.pop()
            for following in target[offset[node] : offset[node + 1]]:
                if following < nodes and not mark[following]:
                    mark[following] = 1
                    stack.append(following)


def dominators(  # noqa: C901, PLR0913, PLR0917 (one pass after another over the extension's buffers)
    offsets: Buffer, targets: Buffer, root: int, sizes: Buffer, idoms: Buffer, retaineds: Buffer, orders: Buffer
) -> int:
    """Immediate dominators and retained sizes, by the iteration of Cooper, Harvey and Kennedy (2001)."""
    offset, target, size = _view(offsets, "q"), _view(targets, "I"), _view(sizes, "q")
    out, retained, order = _view(idoms, "I"), _view(retaineds, "q"), _view(orders, "I")
    nodes = _checked(offset, target, root)
    vertex = _postorder(offset, target, root, nodes)
    vertex.reverse()
    number = {node: place for place, node in enumerate(vertex)}
    before: list[list[int]] = [[] for _ in vertex]
    for place, node in enumerate(vertex):
        for following in target[offset[node] : offset[node + 1]]:
            if following < nodes:
                before[number[following]].append(place)
    idom = [-1] * len(vertex)
    idom[0] = 0
    changed = True
    while changed:
        changed = False
        for place in range(1, len(vertex)):
            new = -1
            for one in before[place]:
                if idom[one] >= 0:
                    new = one if new < 0 else _meet(idom, one, new)
            if idom[place] != new:
                idom[place], changed = new, True
    for node in range(nodes):
        out[node], retained[node] = NONE, 0
    for place in range(len(vertex) - 1, -1, -1):
        node, above = vertex[place], vertex[idom[place]]
        order[place] = node
        retained[node] += size[node]
        out[node] = above
        if place:
            retained[above] += retained[node]
    return len(vertex)


def components(offsets: Buffer, targets: Buffer, out: Buffer) -> int:  # noqa: C901 (Tarjan's, without recursion)
    """Number the strongly connected components of all nodes, and return how many there are."""
    offset, target, component = _view(offsets, "q"), _view(targets, "I"), _view(out, "I")
    nodes = _checked(offset, target, 0)
    index, low, cursor = [0] * nodes, [0] * nodes, list(offset[:nodes])
    for node in range(nodes):
        component[node] = NONE
    clock, found, path = 0, 0, []
    for start in range(nodes):
        if index[start]:
            continue
        clock += 1
        index[start] = low[start] = clock
        path.append(start)
        calls = [start]
        while calls:
            node = calls[-1]
            if cursor[node] < offset[node + 1]:
                following = target[cursor[node]]
                cursor[node] += 1
                if following >= nodes or component[following] != NONE:
                    continue
                if index[following]:
                    low[node] = min(low[node], index[following])
                    continue
                clock += 1
                index[following] = low[following] = clock
                path.append(following)
                calls.append(following)
                continue
            calls.pop()
            if calls:
                low[calls[-1]] = min(low[calls[-1]], low[node])
            if low[node] == index[node]:
                while True:
                    member = path.pop()
                    component[member] = found
                    if member == node:
                        break
                found += 1
    return found


def within(idoms: Buffer, orders: Buffer, node: int, marks: Buffer) -> None:
    """Mark what a node dominates, itself included."""
    idom, mark = _view(idoms, "I"), _view(marks, "B")
    nodes = len(mark)
    if len(idom) != nodes or node >= nodes:
        raise ValueError(_UNFIT)
    mark[node] = 1
    for one in _view(orders, "I"):
        if idom[one] < nodes and mark[idom[one]]:
            mark[one] = 1


def _numbers(data: memoryview) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 (the bit that says that more follows)
            yield value
            value = shift = 0
        else:
            shift += 7
    if shift:
        raise ValueError("a column ends within a number")


def _view(buffer: Buffer, form: str) -> memoryview:
    view = memoryview(buffer)
    return view if not view.nbytes and view.format == form else view.cast("B").cast(form)  # type: ignore[call-overload]


def _checked(offset: Sequence[int], target: Sequence[int], root: int) -> int:
    nodes = len(offset) - 1
    if nodes < 1 or root >= nodes or offset[0] or offset[nodes] != len(target):
        raise ValueError(_UNFIT)
    if any(offset[node] > offset[node + 1] for node in range(nodes)):
        raise ValueError(_UNFIT)
    return nodes


def _postorder(offset: Sequence[int], target: Sequence[int], root: int, nodes: int) -> list[int]:
    seen, done = bytearray(nodes), []
    cursor, stack = {root: offset[root]}, [root]
    seen[root] = 1
    while stack:
        node = stack[-1]
        at = cursor[node]
        if at == offset[node + 1]:
            done.append(stack.pop())
            continue
        cursor[node] = at + 1
        following = target[at]
        if following < nodes and not seen[following]:
            seen[following] = 1
            cursor[following] = offset[following]
            stack.append(following)
    return done


def _meet(idom: list[int], one: int, other: int) -> int:
    while one != other:
        while one > other:
            one = idom[one]
        while other > one:
            other = idom[other]
    return one
