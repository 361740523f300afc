"""A snapshot's columns as arrays: one number for each object, references in compressed sparse rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import SnapshotError
from irkit.memory.heap_file import Column, HeapFile
from irkit.memory.heap_kernel import NONE, kernel

if TYPE_CHECKING:
    from irkit.memory.heap_kernel import I64, U32, U64

_LABELLED = 1
_MOST_LABELS = 65_536
_OF_A_TYPE = 4
_OF_A_ROOT = 5


@dataclass(frozen=True)
class Arrays:
    """What a file holds, as arrays; containers are numbered from 0, leaves follow.

    `offsets` (int64, containers + 1) and `targets` (uint32; NONE is what the file does not hold) are the references.
    `type_of`, `size_bytes`, `references` (0: immortal) are of each object; `roots` rows of kind, object, module, name,
    thread; `named` the own names of functions, classes and frames: container, module, name.
    """

    path: Path
    meta: Mapping[str, Any]
    containers: int
    leaves: int
    offsets: I64
    targets: U32
    type_of: U32
    size_bytes: I64
    references: I64
    types: U64
    type_objects: U32
    names: tuple[str, ...]
    roots: I64
    named: I64
    label_offsets: I64
    labels: U32
    kernel: Any

    @property
    def objects(self) -> int:
        return self.containers + self.leaves

    @cached_property
    def type_names(self) -> tuple[str, ...]:
        """Names of the types, by their number; those of builtins go without a module."""
        return tuple(self.full_name(module, name) for _, _, module, name in self.types.tolist())

    def full_name(self, module: int, name: int) -> str:
        """Join a module's and an own name, given by number."""
        own = self.names[name] or "?"
        return own if self.names[module] in {"", "builtins"} else f"{self.names[module]}.{own}"

    def labels_of(self, container: int) -> U32:
        """Return the names of a container's references by number, 0 where one has none; empty where none has."""
        return self.labels[self.label_offsets[container] : self.label_offsets[container + 1]]

    def labels_among(self, containers: U32, edges: I64) -> U32:
        """Return the names of single references, given with the container each is of."""
        import numpy as np

        first = self.label_offsets[containers]
        place = edges - self.offsets[containers]
        known = place < self.label_offsets[containers.astype(np.int64) + 1] - first
        found = np.zeros(len(edges), np.uint32)
        found[known] = self.labels[(first + place)[known]]
        return found


def arrays(path: Path, file: HeapFile) -> Arrays:
    """Decode a verified file.

    Raises:
        SnapshotError: its columns contradict each other, or it is too large for plain Python.
    """
    work = kernel(file.totals.containers + file.totals.leaves)
    try:
        return _arrays(path, file, work)
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise SnapshotError(f"{path} cannot be read as a heap: {error}", hint="take another snapshot") from error


def _arrays(path: Path, file: HeapFile, work: Any) -> Arrays:  # noqa: ANN401 (see `kernel`)
    import numpy as np

    totals = file.totals

    def column(which: Column, count: int) -> U64:
        found = np.empty(count, np.uint64)
        work.varints(file.columns.get(which, b""), found)
        return found

    def joined(first: Column, second: Column, dtype: Any) -> Any:  # noqa: ANN401
        found = np.empty(totals.containers + totals.leaves, dtype)
        found[: totals.containers] = column(first, totals.containers)
        found[totals.containers :] = column(second, totals.leaves)
        return found

    addresses = np.empty(totals.containers + totals.leaves, np.uint64)
    own = addresses[: totals.containers]
    np.cumsum(_unzigzag(column(Column.ADDRESS, totals.containers)), out=own.view(np.int64))
    degrees = column(Column.DEGREE, totals.containers)
    wanted = np.empty(totals.edges, np.uint64)
    work.edges(file.columns.get(Column.EDGES, b""), own, degrees, wanted, addresses[totals.containers :])
    targets = np.empty(totals.edges, np.uint32)
    work.index_of(addresses, wanted, targets)
    del wanted
    offsets = _offsets(degrees >> np.uint64(1))
    labelled = np.where(degrees & np.uint64(_LABELLED), np.minimum(degrees >> np.uint64(1), np.uint64(_MOST_LABELS)), 0)
    label_offsets = _offsets(labelled)
    names = _names(column(Column.NAMES, _numbers_in(file.columns.get(Column.NAMES, b""))), totals.names)
    types = column(Column.TYPES, totals.types * _OF_A_TYPE).reshape(-1, _OF_A_TYPE)
    type_objects = np.empty(totals.types, np.uint32)
    work.index_of(addresses, np.ascontiguousarray(types[:, 0]), type_objects)
    roots = column(Column.ROOTS, totals.roots * _OF_A_ROOT).reshape(-1, _OF_A_ROOT)
    root_objects = np.empty(totals.roots, np.uint32)
    work.index_of(addresses, np.ascontiguousarray(roots[:, 1]), root_objects)
    rooted = roots.astype(np.int64)
    rooted[:, 1] = root_objects
    raw_named = file.columns.get(Column.NAMED, b"")
    named = column(Column.NAMED, _numbers_in(raw_named)).reshape(-1, 3).astype(np.int64)
    named[:, 0] = np.cumsum(named[:, 0])
    type_of = joined(Column.TYPE, Column.LEAF_TYPE, np.uint32)
    _check_range(type_of, totals.types, "type")
    for each in (types[:, 2:], rooted[:, [2, 3]], named[:, 1:]):
        _check_range(each, totals.names + 1, "name")
    _check_range(named[:, 0], totals.containers, "named object")
    labels = column(Column.LABELS, int(label_offsets[-1])).astype(np.uint32)
    _check_range(labels, totals.names + 1, "label")
    return Arrays(
        path, file.meta, totals.containers, totals.leaves, offsets, targets, type_of,
        joined(Column.SIZE, Column.LEAF_SIZE, np.int64), joined(Column.REFS, Column.LEAF_REFS, np.int64),
        types, type_objects, names, rooted, named, label_offsets, labels, work,
    )  # fmt: skip


def _unzigzag(numbers: U64) -> I64:
    import numpy as np

    return (numbers >> np.uint64(1)).view(np.int64) ^ -(numbers & np.uint64(1)).view(np.int64)


def _offsets(counts: Any) -> I64:  # noqa: ANN401
    import numpy as np

    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:], dtype=np.int64)
    return found


def _numbers_in(data: bytes) -> int:
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(data, np.uint8) < 128))  # noqa: PLR2004 (the last byte of a number)


def _names(numbers: U64, count: int) -> tuple[str, ...]:
    import numpy as np

    text, at, names = numbers.astype(np.uint8).tobytes(), 0, [""]
    lengths = numbers.tolist()
    for _ in range(count):
        size = lengths[at]
        names.append(text[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return tuple(names)


def _check_range(numbers: Any, below: int, what: str) -> None:  # noqa: ANN401
    if numbers.size and int(numbers.max()) >= below:
        raise ValueError(f"it names a {what} that it does not hold")


__all__ = ["NONE", "Arrays", "arrays"]
