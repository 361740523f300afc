"""Since when events come more often: the stretch of time in which bad events are thickest, against all the rest.

For what happens now and then (failures, errors), where counts in intervals would be mostly nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Seconds = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

LEAST_EVENTS = 6
MARGIN = 4.0
LEAST_S = 5.0
_MOST_EVENTS = 800
MOMENT_S = 1.0
_WAIT = 3.0
PLAUSIBLE = 2.0


@dataclass(frozen=True, slots=True)
class Thickest:
    """A stretch of thicker events, in the seconds they were given in.

    It began with an event by `latest_s`, or, by the rate within, since `earliest_s` without one yet (95 %); `until_s`
    is its last event, None where it lasts to the end. `strength` is in nats.
    """

    earliest_s: float
    latest_s: float
    until_s: float | None
    strength: float


def thickest(at_s: Seconds, start_s: float, end_s: float, least_strength: float = MARGIN) -> Thickest | None:
    """Return the stretch of events (sorted) that is thickest between `start_s` and `end_s`, None where chance makes it.

    By itself a stretch is proved by `MARGIN`, less is enough where something else bears it out.

    The scan statistic of Kulldorff (1997) for a Poisson process over time, less the logarithm of the number of places
    it could begin and end at; events of the same second count once, since lines of a log come in bursts.
    """
    import numpy as np

    inside = at_s[(at_s >= start_s) & (at_s <= end_s)]
    keep = np.concatenate([[True], np.diff(np.floor(inside / MOMENT_S)) > 0]) if len(inside) else inside.astype(bool)
    moments = inside[keep]
    span_s = end_s - start_s
    if len(moments) < LEAST_EVENTS or span_s <= LEAST_S:
        return None
    step = -(-len(moments) // _MOST_EVENTS)
    picked = moments[::step]
    count = len(picked)
    first, last = np.triu_indices(count, LEAST_EVENTS // step if step > 1 else LEAST_EVENTS - 1)
    # a stretch that holds the last event lasts to the end, or to where another would long be due
    gap_s = (picked[last] - picked[first]) / np.maximum(last - first, 1)
    to_end = (last == count - 1) & (end_s - picked[last] <= _WAIT * gap_s + MOMENT_S)
    lasts_s = np.maximum(np.where(to_end, end_s, picked[last]) - picked[first] + gap_s, MOMENT_S)
    within, total = (last - first + 1.0) * step, float(count * step)
    rest, rest_s = total - within, np.maximum(span_s - lasts_s, 0.0)
    expected = total * np.minimum(lasts_s / span_s, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = np.where(
            rest > 0, rest * np.log(np.where(rest > 0, rest, 1.0) / np.maximum(total - expected, 1e-9)), 0.0
        )
        ratio = np.where((within > expected) & (rest_s >= LEAST_S), within * np.log(within / expected) + outside, 0.0)
    ratio = np.where(lasts_s >= LEAST_S, ratio, 0.0)
    # one that lasts to the end has one place to choose, not two
    ratio -= np.where(to_end, 1, 2) * math.log(count)
    best = int(ratio.argmax())
    strength = float(ratio[best])
    if strength < least_strength:
        return None
    alike = first[(last == last[best]) & (ratio >= ratio[best] - PLAUSIBLE)]
    wait_s = _WAIT * float(lasts_s[best]) / float(within[best])
    until_s = None if to_end[best] else float(picked[last[best]])
    return Thickest(float(picked[alike.min()]) - wait_s, float(picked[alike.max()]), until_s, strength)
