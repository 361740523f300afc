"""What analysed snapshots say, as text; what the snapshot cannot show is said, too."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.errors import InputError
from irkit.memory.heap import Heap, Row
from irkit.memory.heap_suspects import Suspect, difference, difference_by_type, in_order, processes, suspects
from irkit.text.phrase import grouped, percent, size
from irkit.text.visible import visible

_ROWS = 10
_STEPS = 8


def report(heaps: Sequence[Heap]) -> str:
    """Return the suspects with their retaining paths, then the largest owners and types.

    Raises:
        InputError: the snapshots are of several processes, of which nothing can be said to grow.
    """
    if len(whose := processes(heaps)) > 1:
        sentence = f"these are snapshots of {len(whose)} processes: {', '.join(map(visible, whose))}"
        hint = "give those of one; `irkit memory diff` compares two of different ones by what they hold"
        raise InputError(sentence, hint=hint)
    heaps = in_order(heaps)
    last = heaps[-1]
    lines = [_head(last), ""]
    found = suspects(heaps)
    by = "by growth" if len(heaps) > 1 else "by size alone: a second snapshot tells whether it grows"
    lines.append(f"Leak suspects ({by})" if found else _nothing(heaps))
    for number, one in enumerate(found, 1):
        lines += [f"{number}. {one}", *_path(last, one)]
    lines += ["", "Retained by owner (estimates)", *_table(last.owner_rows(), ("retained_bytes",))]
    lines += ["", "By type", *_table(last.type_rows(), ("size_bytes",))]
    return "\n".join(lines)


def growth(heaps: Sequence[Heap]) -> str:
    """Return what grew between the first and the last snapshot, by owner and by type.

    Two processes are compared as they are named, with a word that this need not be growth; of one, by time.
    """
    whose = processes(heaps)
    if len(whose) == 1:
        heaps = in_order(heaps)
    apart = f"Two processes, {' and '.join(map(visible, whose))}: what the second has more of need not have grown."
    columns = ("before_bytes", "after_bytes", "growth_bytes")
    by_owner = [row for row in difference(heaps) if row["growth_bytes"] > 0]
    by_type = [row for row in difference_by_type(heaps) if row["size_bytes"] > 0]
    lines = [apart, ""] if len(whose) > 1 else []
    lines += ["Growth by owner (retained, estimates)", *_table(by_owner, columns)]
    lines += ["", "Growth by type (shallow)", *_table(by_type, ("size_bytes",))]
    return "\n".join(lines)


def _head(heap: Heap) -> str:
    seen = f"{grouped(heap.file.objects)} objects, {size(heap.total_bytes)}"
    if heap.explained is None:
        return f"{seen}. Which part of the process's memory that is, is unknown: the snapshot does not say its size."
    rest = "the rest is native memory, fragmentation and the interpreter itself"
    return f"{seen}: {percent(heap.explained)} of the process's memory; {rest}."


def _nothing(heaps: Sequence[Heap]) -> str:
    if len(heaps) > 1:
        return "No leak suspect: no object's retained size grew in every interval."
    return "No leak suspect: nothing retains a tenth of the heap. A second snapshot would tell what grows."


def _path(heap: Heap, one: Suspect) -> list[str]:
    steps = heap.path_steps(one.node)
    left_out = [f"     … {len(steps) - _STEPS} more"] if len(steps) > _STEPS else []
    shown = steps if not left_out else (*steps[: _STEPS // 2], *steps[-_STEPS // 2 :])
    told = [f"     {name} ({kind}), {size(held)}" for name, kind, held in shown]
    return [*told[: _STEPS // 2], *left_out, *told[_STEPS // 2 :]]


def _table(table: Sequence[Row], sizes: tuple[str, ...]) -> list[str]:
    if not table:
        return ["  nothing"]
    rows = [
        [size(value) if column in sizes else grouped(value) if isinstance(value, int) else str(value)[:70]
         for column, value in row.items()]
        for row in table[:_ROWS]
    ]  # fmt: skip
    names = [column.removesuffix("_bytes") for column in table[0]]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (names, *rows)]  # fmt: skip
