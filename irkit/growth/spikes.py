"""Short spikes in the samples of a container's memory: what was there for a moment tells nothing of what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from irkit.onset.changepoint import LEAST_RISE_BYTES
from irkit.records import Row, number_of, time_of

# The clone of a process whose heap a snapshot reads lives in its container for some seconds; the recorder looks every
# five. What lasts longer is a peak of the container's own.
_LONGEST = 3
# far above what was before: of that level, and beside what it moves by otherwise
_FAR = 0.1
_UNUSUAL = 5.0
# more often than at every tenth sample is no accident, but how this container works
_OFTEN = 0.1


def without_spikes(samples: Sequence[Row]) -> list[Row]:
    """Return the samples of one container in order, the few that stood far above both sides drawn down between them.

    What does not come down again, or came with a restart, is as it was; so is a series of which spikes are a habit.
    """
    levels = [number_of(row, "memory_usage_bytes") or 0.0 for row in samples]
    spikes = _spikes(samples, levels)
    if len(spikes) > _OFTEN * len(samples):
        return list(samples)
    kept = list(samples)
    for first, after in spikes:
        before = first - 1
        for index in range(first, after):
            share = (index - before) / (after - before)
            level = levels[before] + share * (levels[after] - levels[before])
            kept[index] = {**samples[index], "memory_usage_bytes": level}
    return kept


def _spikes(samples: Sequence[Row], levels: Sequence[float]) -> list[tuple[int, int]]:
    """Return for each spike its first sample and the one after its last."""
    moves = [after - before for before, after in pairwise(levels)]
    if not moves:
        return []
    middle = median(moves)
    usual = _UNUSUAL * 1.4826 * median(abs(move - middle) for move in moves)
    found, index = [], 1
    while index < len(levels) - 1:
        level = levels[index - 1]
        least = max(usual, _FAR * level, LEAST_RISE_BYTES)
        after = 0
        if levels[index] - level > least:
            within = range(index + 1, min(index + _LONGEST + 1, len(levels)))
            after = next((at for at in within if levels[at] <= level + least), 0)
        if after and time_of(samples[index - 1], "started_at") == time_of(samples[after], "started_at"):
            found.append((index, after))
            index = after
        index += 1
    return found
