"""The raw form in which the walk in plain Python sends a heap, made into the columns of a snapshot's file.

Blocks as in `heap_file`, but numbers are little-endian u64, addresses and references plain; EDGES are the addresses of
what is referred to, each container's in turn; names are one JSON list; LABELS go with the numbers of their edges. What
takes long in plain Python (differences, first meetings, packing) is done here, outside of the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irkit.memory.heap_kernel import I64, U64

_MOST_LABELS = 65_536
_VALUES_BESIDE = 2
META, ADDRESS, TYPE, SIZE, REFS, DEGREE, LEAF_TYPE, LEAF_SIZE, LEAF_REFS, EDGES, LABELS, TYPES, NAMES, ROOTS, NAMED = (
    range(15)
)
LEAF_ADDRESS, LABEL_AT = 15, 16
COLUMNS = frozenset(range(17))


def cooked(raw: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the columns of the file, by number, then the totals: containers, leaves, edges, roots, types, names.

    Raises:
        ValueError: the columns contradict each other.
    """
    import numpy as np

    meta: dict[str, Any] = json.loads(raw.get(META, b""))
    column = {number: np.frombuffer(raw.get(number, b""), np.uint64) for number in COLUMNS - {META, NAMES}}
    own, degree = column[ADDRESS] >> np.uint64(3), column[DEGREE].astype(np.int64)
    types = column[TYPES].reshape(-1, 4).copy()
    count = len(own)
    if not (len(degree) == len(column[TYPE]) == count and int(degree.sum()) == len(column[EDGES])):
        raise ValueError("the references do not fit the objects")
    source = np.repeat(np.arange(count), degree)
    labels = np.zeros(len(source), np.uint64)
    labels[column[LABEL_AT].astype(np.int64)] = column[LABELS]
    # not references of the program's: what all refer to, and an instance's to its type
    types_own = types[:, 0][column[TYPE].astype(np.int64)]
    dropped = np.isin(column[EDGES], np.array(meta.pop("left_out", []), np.uint64))
    dropped |= column[EDGES] == types_own[source]
    target, source, labels = column[EDGES][~dropped] >> np.uint64(3), source[~dropped], labels[~dropped]
    degree = np.bincount(source, minlength=count).astype(np.int64)
    fresh, order = _first_met(target, column[LEAF_ADDRESS] >> np.uint64(3))
    types[:, 0] >>= np.uint64(3)
    roots, named = column[ROOTS].reshape(-1, 5).copy(), column[NAMED].reshape(-1, 3).copy()
    roots[:, 1] >>= np.uint64(3)
    named = named[np.argsort(named[:, 0], kind="stable")]
    named[:, 0] = np.diff(named[:, 0], prepend=np.uint64(0))
    labelled, kept = _labels(labels, source, degree)
    names = [text.encode() for text in json.loads(raw.get(NAMES, b"[]"))]
    yield META, json.dumps(meta).encode()
    yield ADDRESS, packed(_zigzag(np.diff(own.view(np.int64), prepend=np.int64(0))))
    beside = (types[:, 1][column[TYPE].astype(np.int64)] & np.uint64(_VALUES_BESIDE)) != 0
    sizes = column[SIZE] + np.where(beside, np.uint64(8) * degree.astype(np.uint64) + np.uint64(16), np.uint64(0))
    yield TYPE, packed(column[TYPE])
    yield SIZE, packed(sizes)
    yield REFS, packed(column[REFS])
    yield DEGREE, packed((degree.astype(np.uint64) << np.uint64(1)) | labelled)
    for number in (LEAF_TYPE, LEAF_SIZE, LEAF_REFS):
        yield number, packed(column[number][order])
    yield EDGES, packed((_differences(own, source, target) << np.uint64(1)) | fresh)
    yield LABELS, packed(kept)
    yield TYPES, packed(types.ravel())
    spelled = b"".join(bytes([len(name)]) + name for name in names)
    yield NAMES, packed(np.frombuffer(spelled, np.uint8).astype(np.uint64))
    yield ROOTS, packed(roots.ravel())
    yield NAMED, packed(named.ravel())
    totals = (count, len(order), len(target), len(roots), len(types), len(names))
    yield -1, np.array(totals, np.uint64).tobytes()


def packed(numbers: U64) -> bytes:
    """Return numbers as unsigned LEB128, one after another."""
    import numpy as np

    sizes = np.ones(len(numbers), np.int64)
    for place in range(1, 10):
        sizes += numbers >= np.uint64(1 << 7 * place)
    starts = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    left, at = numbers, starts
    while len(left):
        last = left < np.uint64(128)
        out[at] = (left & np.uint64(127)).astype(np.uint8) | np.where(last, 0, 128).astype(np.uint8)
        left, at = left[~last] >> np.uint64(7), at[~last] + 1
    return out.tobytes()


def _first_met(target: U64, leaves: U64) -> tuple[U64, NDArray[np.intp]]:
    """Mark the reference by which each leaf is met first, and give the leaves' order by that."""
    import numpy as np

    fresh = np.zeros(len(target), np.uint64)
    if not len(leaves):
        return fresh, np.zeros(0, np.intp)
    by_address = np.argsort(leaves)
    places = np.minimum(np.searchsorted(leaves, target, sorter=by_address), len(leaves) - 1)
    found = by_address[places]
    at = np.flatnonzero(leaves[found] == target)
    met, first = np.unique(found[at], return_index=True)
    order = np.argsort(first, kind="stable")
    fresh[at[first]] = 1
    return fresh, met[order]


def _labels(labels: U64, source: NDArray[np.intp], degree: I64) -> tuple[U64, U64]:
    """Say which containers have a label, and give all labels of those, of one with very many the first."""
    import numpy as np

    first = np.cumsum(degree) - degree
    early = np.arange(len(labels)) - first[source] < _MOST_LABELS
    labelled = np.bincount(source[(labels != 0) & early], minlength=len(degree)) > 0
    return labelled.astype(np.uint64), labels[labelled[source] & early]


def _differences(own: U64, source: NDArray[np.intp], target: U64) -> U64:
    """Return each reference as the difference to the one before, the first of a container to itself."""
    import numpy as np

    before = np.empty_like(target)
    before[1:] = target[:-1]
    begins = np.ones(len(source), bool)
    begins[1:] = source[1:] != source[:-1]
    before[begins] = own[source[begins]]
    return _zigzag(target.view(np.int64) - before.view(np.int64))


def _zigzag(numbers: Any) -> U64:  # noqa: ANN401 (signed)
    import numpy as np

    return ((numbers << np.int64(1)) ^ (numbers >> np.int64(63))).view(np.uint64)  # type: ignore[no-any-return]
