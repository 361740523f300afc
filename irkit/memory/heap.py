"""A heap snapshot as a graph: who keeps what alive, how much of it, and by which path.

Dominators and retained sizes start from a virtual root above all that holds objects by itself: the namespaces of
modules, threads, types, running frames. What only C code holds (more references than the heap shows), and what nothing
holds (garbage that waits for the collector), hangs below the root as such. Sizes are estimates: what a C library
allocates behind an object's back is seen only where the walk knows its type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.memory import heap_file
from irkit.memory.heap_arrays import NONE, Arrays, arrays

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from irkit.memory.heap_kernel import I64, U32

Shape = tuple[str, ...]
# of a table: pandas, which takes a quarter of a second to import, is for whoever asks for frames
Row = dict[str, Any]
ELEMENT = "[…]"
HELD_FROM_C = "(held from C)"
UNREACHABLE = "(unreachable, waits for the collector)"
_MODULE, _FRAME = 1, 2
_MAX_STEPS = 12
_MAX_SHAPED = 4000
_LEAST_SHAPED = 1 / 2000
_SUSPENDED = frozenset({"generator", "coroutine", "async_generator"})
_CONTAINERS = frozenset({"dict", "list", "tuple", "set", "frozenset", "collections.deque", "collections.OrderedDict"})


@dataclass(frozen=True)
class Owner:
    """All objects that are reached by the same names: how many, what they retain, and the largest of them."""

    shape: Shape
    objects: int
    retained_bytes: int
    largest: int
    type_name: str

    @property
    def name(self) -> str:
        """The shape as Python would spell it."""
        return spelled(self.shape)


@dataclass(frozen=True)
class Heap:
    """One snapshot, analysed; nodes are numbered containers first, then leaves, then the virtual root.

    `idom` (uint32) and `retained` (int64, bytes) are of each node, NONE and 0 where unreachable; `parents` (uint32)
    lead by the shortest path to the root; `unheld` marks what only C code (1) or nothing (2) holds.
    """

    file: Arrays
    idom: U32
    retained: I64
    parents: U32
    unheld: NDArray[np.uint8]

    @property
    def root(self) -> int:
        return self.file.objects

    @property
    def total_bytes(self) -> int:
        return int(self.file.size_bytes.sum())

    @property
    def taken_at(self) -> datetime | None:
        """When it was taken, None where the file does not say."""
        told = self.file.meta.get("taken_at")
        try:
            at = datetime.fromisoformat(str(told))
        except ValueError:
            return None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    @property
    def explained(self) -> float | None:
        """The part of the process's resident memory that the objects seen explain, None where that is not known."""
        resident = self.file.meta.get("uss_bytes") or self.file.meta.get("rss_bytes")
        return self.total_bytes / resident if isinstance(resident, int) and resident > 0 else None

    def type_name(self, node: int) -> str:
        """Return the name of a node's type."""
        return self.file.type_names[int(self.file.type_of[node])]

    def type_rows(self) -> list[Row]:
        """Return `type`, `objects`, `size_bytes` (shallow) of each type, the largest first."""
        import numpy as np

        names, kinds = self.file.type_names, len(self.file.type_names)
        count = np.bincount(self.file.type_of, minlength=kinds)
        size = np.bincount(self.file.type_of, weights=self.file.size_bytes, minlength=kinds).astype(np.int64)
        found: dict[str, Row] = {}
        for name, objects, size_bytes in zip(names, count.tolist(), size.tolist(), strict=True):
            row = found.setdefault(name, {"type": name, "objects": 0, "size_bytes": 0})
            row["objects"] += objects
            row["size_bytes"] += size_bytes
        return sorted(found.values(), key=lambda row: -row["size_bytes"])

    def owner_rows(self) -> list[Row]:
        """Return `owner`, `type`, `objects`, `retained_bytes` of what the same names reach, the largest first."""
        rows = sorted(self.owners.values(), key=lambda one: -one.retained_bytes)
        return [
            {"owner": one.name, "type": one.type_name, "objects": one.objects, "retained_bytes": one.retained_bytes}
            for one in rows
        ]

    def by_type(self) -> pd.DataFrame:
        """Return `type_rows` as a frame."""
        import pandas as pd

        return pd.DataFrame(self.type_rows(), columns=["type", "objects", "size_bytes"])

    def by_owner(self) -> pd.DataFrame:
        """Return `owner_rows` as a frame."""
        import pandas as pd

        return pd.DataFrame(self.owner_rows(), columns=["owner", "type", "objects", "retained_bytes"])

    def largest_containers(self, count: int = 20) -> pd.DataFrame:
        """Return `owner`, `type`, `references`, `retained_bytes` of the containers that refer to most."""
        import numpy as np
        import pandas as pd

        degrees = np.diff(self.file.offsets)
        nodes = np.argsort(degrees)[::-1][:count].tolist()
        told = [
            (spelled(self.shape_of(node)), self.type_name(node), int(degrees[node]), int(self.retained[node]))
            for node in nodes
        ]
        return pd.DataFrame(told, columns=["owner", "type", "references", "retained_bytes"])

    def cycles(self, count: int = 20) -> pd.DataFrame:
        """Return `types`, `objects`, `size_bytes` of what refers to itself in a circle, by the types that take part."""
        import numpy as np
        import pandas as pd

        nodes = self.file.objects
        offsets = _padded(self.file.offsets, nodes)
        component = np.empty(nodes, np.uint32)
        found = self.file.kernel.components(offsets, self.file.targets, component)
        sizes = np.bincount(component, minlength=found)
        told: dict[tuple[str, ...], list[int]] = {}
        order = np.argsort(component, kind="stable")
        ends = np.cumsum(sizes)
        for one in np.argsort(sizes)[::-1][: 50 * count].tolist():
            if sizes[one] < 2:  # noqa: PLR2004 (a circle of one is its own reference)
                break
            members = order[ends[one] - sizes[one] : ends[one]]
            kinds = tuple(sorted({self.file.type_names[kind] for kind in np.unique(self.file.type_of[members])[:6]}))
            row = told.setdefault(kinds, [0, 0])
            row[0] += len(members)
            row[1] += int(self.file.size_bytes[members].sum())
        rows = [(", ".join(kinds), *row) for kinds, row in told.items()]
        table = pd.DataFrame(rows, columns=["types", "objects", "size_bytes"])
        return table.sort_values("size_bytes", ascending=False, ignore_index=True).head(count)

    def children(self, node: int) -> U32:
        """Return what a node dominates immediately."""
        import numpy as np

        offsets, items = self._tree
        found: U32 = items[offsets[node] : offsets[node + 1]]
        below: U32 = found[found != np.uint32(node)]
        return below

    def kept(self, node: int) -> tuple[str, int]:
        """Return the most frequent type among what a node dominates immediately, and how many of it there are."""
        import numpy as np

        below = self.children(node)
        below = below[below < self.file.objects]
        if not len(below):
            return "", 0
        weights = np.bincount(self.file.type_of[below], weights=self.retained[below])
        kind = int(weights.argmax())
        return self.file.type_names[kind], int(np.count_nonzero(self.file.type_of[below] == kind))

    def path(self, node: int) -> tuple[int, ...]:
        """Return the shortest retaining path: the nodes from a root to this one."""
        steps = [node]
        while (above := int(self.parents[steps[-1]])) not in {self.root, steps[-1], NONE}:
            steps.append(above)
        return tuple(reversed(steps))

    def path_steps(self, node: int) -> tuple[tuple[str, str, int], ...]:
        """Return the shortest retaining path as rows of name, type and retained bytes."""
        return tuple((spelled(self.shape_of(one)), self.type_name(one), int(self.retained[one]))
                     for one in self.path(node))  # fmt: skip

    def shape_of(self, node: int) -> Shape:
        """Return the names on the shortest retaining path; elements of containers are alike."""
        pending, known = [], self._shapes
        while node not in known:
            above = int(self.parents[node])
            if above in {self.root, node, NONE}:
                known[node] = self._first(node)
                break
            pending.append((above, node))
            node = above
        for above, below in reversed(pending):
            known[below] = self._own_name(below) or self._step(known[above], above, below)
        return known[pending[0][1] if pending else node]

    @cached_property
    def owners(self) -> dict[Shape, Owner]:
        """What retains more than a two-thousandth of the heap, by the names that lead to it."""
        import numpy as np

        retained = self.retained[: self.file.objects]
        large = np.flatnonzero(retained >= max(int(self.total_bytes * _LEAST_SHAPED), 4096))
        large = large[np.argsort(retained[large])[::-1][:_MAX_SHAPED]]
        found: dict[Shape, Owner] = {}
        for node in large.tolist():
            shape, above = self.shape_of(node), int(self.idom[node])
            # of a chain of the same shape only its head counts
            if above != self.root and self.shape_of(above) == shape:
                continue
            before = found.get(shape) or Owner(shape, 0, 0, node, self.type_name(node))
            found[shape] = Owner(
                shape, before.objects + 1, before.retained_bytes + int(retained[node]), before.largest, before.type_name
            )
        return found

    def is_namespace(self, node: int) -> bool:
        """Say whether a node only gives names to others: a module's namespace, a frame."""
        return node in self._namespaces

    @cached_property
    def _namespaces(self) -> dict[int, str]:
        file = self.file
        found: dict[int, str] = {}
        for kind, node, module, name, _ in file.roots.tolist():
            if kind == _MODULE:
                found.setdefault(node, file.names[module])
            elif kind == _FRAME:
                found.setdefault(node, f"{file.full_name(module, name)}()")
        return found

    @cached_property
    def _named(self) -> dict[int, str]:
        return {node: self.file.full_name(module, name) for node, module, name in self.file.named.tolist()}

    @cached_property
    def _shapes(self) -> dict[int, Shape]:
        return {}

    @cached_property
    def _tree(self) -> tuple[I64, U32]:
        import numpy as np

        offsets, items = np.empty(self.root + 2, np.int64), np.empty(self.root + 1, np.uint32)
        self.file.kernel.group(self.idom, offsets, items)
        return offsets, items

    def _own_name(self, node: int) -> Shape:
        told = self._namespaces.get(node) or self._named.get(node)
        if told and self.type_name(node) in _SUSPENDED:
            told += "()"
        return (told,) if told else ()

    def _first(self, node: int) -> Shape:
        own = self._own_name(node)
        if own:
            return own
        held = int(self.unheld[node])
        prefix = (HELD_FROM_C, UNREACHABLE)[held - 1] if held else "(thread)"
        return (prefix, self.type_name(node))

    def _step(self, shape: Shape, above: int, node: int) -> Shape:
        file = self.file
        label = ""
        if above < file.containers:
            first, last = int(file.offsets[above]), int(file.offsets[above + 1])
            at = (file.targets[first:last] == node).nonzero()[0]
            labels = file.labels_of(above)
            label = next((file.names[int(labels[one])] for one in at.tolist() if one < len(labels) and labels[one]), "")
        if not label:
            label = ELEMENT if self.type_name(above) in _CONTAINERS else ""
        if not label or label in {"__dict__", shape[-1]} or len(shape) >= _MAX_STEPS:
            return shape
        return (*shape, label)


def open(path: Path | str) -> Heap:  # noqa: A001 (`heap.open(file)` is how it reads)
    """Read and analyse a snapshot.

    Raises:
        SnapshotError: it is missing, damaged, or too large to be analysed here.
    """
    return analyse(arrays(Path(path), heap_file.read(Path(path))))


def analyse(file: Arrays) -> Heap:
    """Build the graph of a file's objects and find dominators, retained sizes and shortest paths."""
    import numpy as np

    nodes, work = file.objects, file.kernel
    offsets = _padded(file.offsets, nodes)
    rooted = np.concatenate([_of_roots(file, frames=False), file.type_objects, _of_roots(file, frames=True)])
    rooted = rooted[rooted != NONE].astype(np.uint32)
    seen, unheld = np.zeros(nodes, np.uint8), np.zeros(nodes + 1, np.uint8)
    work.reach(offsets, file.targets, rooted, seen)
    indegree = np.zeros(nodes, np.uint32)
    work.indegree(file.targets, indegree)
    # what names hold is theirs, though C code may hold it too
    from_c = np.flatnonzero((seen == 0) & ((file.references > indegree) | (file.references == 0))).astype(np.uint32)
    work.reach(offsets, file.targets, from_c, seen)
    before = seen != 0
    work.reach(offsets, file.targets, np.flatnonzero(~before).astype(np.uint32), seen)
    garbage = np.flatnonzero((seen == 2) & ~before).astype(np.uint32)  # noqa: PLR2004 (where a walk began)
    unheld[from_c], unheld[garbage] = 1, 2
    starts = np.concatenate([rooted, from_c, garbage])
    grown = np.concatenate([offsets, [offsets[-1] + len(starts)]]).astype(np.int64)
    targets = np.concatenate([file.targets, starts]).astype(np.uint32, copy=False)
    sizes = np.zeros(nodes + 1, np.int64)
    sizes[:nodes] = file.size_bytes
    idom, order, parents = (np.empty(nodes + 1, np.uint32) for _ in range(3))
    retained = np.empty(nodes + 1, np.int64)
    work.dominators(grown, targets, nodes, sizes, idom, retained, order)
    work.shortest(grown, targets, nodes, parents)
    return Heap(file, idom, retained, parents, unheld)


def spelled(shape: Shape) -> str:
    """Write names as Python would: `app.sessions.CACHE`, `app.work(): rows`."""
    return "".join(_joints(shape))


def _joints(shape: Shape) -> Iterator[str]:
    for index, name in enumerate(shape):
        if index and name != ELEMENT:
            yield ": " if shape[index - 1].endswith(")") and index == 1 else "."
        yield name


def _of_roots(file: Arrays, *, frames: bool) -> Any:  # noqa: ANN401 (a column of numpy's)
    return file.roots[(file.roots[:, 0] == _FRAME) == frames, 1]


def _padded(offsets: I64, nodes: int) -> I64:
    """Give leaves, which refer to nothing, their place in the rows."""
    import numpy as np

    found = np.full(nodes + 1, offsets[-1], np.int64)
    found[: len(offsets)] = offsets
    return found


__all__ = ["ELEMENT", "HELD_FROM_C", "UNREACHABLE", "Heap", "Owner", "Row", "analyse", "open", "spelled"]
