"""A log entry of many lines as the few that tell: its first line, the frames nearest the fault, the exception."""

from __future__ import annotations

import re

_WHOLE_LINES = 8
_FRAMES = 3
_MAX_TAIL_LINES = 12
_ELLIPSIS = "…"
# Python's frames end at the fault, those of Java and JavaScript begin there
_OUTERMOST_FIRST = re.compile(r'\s*File ".*", line \d')
_INNERMOST_FIRST = re.compile(r"\s+at \S")


def quoted(entry: str) -> tuple[str, str]:
    """Return what to quote of a log entry, and the whole of it where that is more ("" where it is not)."""
    whole = entry.strip("\n")
    short = shortened(whole)
    return short, whole if short != whole else ""


def shortened(entry: str) -> str:
    """Return a long log entry as its first line, its three frames nearest the fault, and the exception.

    An entry of another kind is shortened to its first line and its last four; left-out lines are marked.
    """
    every = entry.strip("\n").split("\n")
    if len(every) <= _WHOLE_LINES:
        return "\n".join(every)
    outer = [index for index, line in enumerate(every) if _OUTERMOST_FIRST.match(line)]
    inner = [index for index, line in enumerate(every) if _INNERMOST_FIRST.match(line)]
    start, end = len(every) - _FRAMES - 1, len(every)
    if outer:
        start = outer[-_FRAMES:][0]
    elif inner:
        start = max((index for index in range(inner[-1]) if every[index].startswith("Caused by")), default=0)
        first = next(index for index in inner if index > start)
        end = min(first + _FRAMES, len(every))
    kept = every[max(start, 1) : end]
    if len(kept) > _MAX_TAIL_LINES:
        kept = [*kept[: _MAX_TAIL_LINES - 3], _ELLIPSIS, *kept[-2:]]
    gap = [_ELLIPSIS] if start > 1 else []
    return "\n".join([every[0], *gap, *kept, *([_ELLIPSIS] if end < len(every) else [])])


def said_last(output: str) -> str:
    """Return the last line of what a program said; "" where that is but a frame of a traceback that breaks off.

    A traceback says what went wrong after its last frame.
    """
    lines = output.rstrip().split("\n")
    # the last lines of a frame are its source and the marks under it, which are indented as it is
    breaks_off = lines[-1].startswith((" ", "\t")) and any(_OUTERMOST_FIRST.match(line) for line in lines)
    return "" if breaks_off or lines[-1].startswith("Traceback (most recent") else lines[-1]
