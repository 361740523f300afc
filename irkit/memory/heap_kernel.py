"""The arithmetic of a heap graph over numpy arrays: by the C extension where it is installed, else in plain Python."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from irkit.errors import SnapshotError
from irkit.memory import heap_pure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    U8 = NDArray[np.uint8]
    U32 = NDArray[np.uint32]
    U64 = NDArray[np.uint64]
    I64 = NDArray[np.int64]

NONE = heap_pure.NONE
# at 15 s a million, as measured, plain Python is no help beyond
MOST_WITHOUT_EXTENSION = 2_000_000


def extension() -> ModuleType | None:
    """Return the C extension, None where it is not installed."""
    try:
        return import_module("irkit.memory._heapgraph")
    except ImportError:
        return None


def kernel(objects: int) -> Any:  # noqa: ANN401 (two modules with the same functions)
    """Return the module that does the arithmetic for a heap of so many objects.

    Raises:
        SnapshotError: only plain Python is here, and the heap too large for it.
    """
    found = extension()
    if found is None and objects > MOST_WITHOUT_EXTENSION:
        sentence = f"a heap of {objects:,} objects cannot be analysed without irkit's C extension"
        hint = "install a C compiler and irkit again, or open the file where a wheel with the extension is installed"
        raise SnapshotError(sentence, hint=hint)
    return found or heap_pure
