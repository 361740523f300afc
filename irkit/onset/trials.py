"""Since when trials fail more often: the stretch of requests with the greatest share of bad ones, against all the rest.

Where it is known what could have failed and did not, this tells from fewer failures than their times alone do
(`event_onset`), takes a busier hour for none, and knows when all was still well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from irkit.onset.events import LEAST_S, MARGIN, MOMENT_S, PLAUSIBLE, Thickest

if TYPE_CHECKING:
    import numpy as np

    Seconds = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
    Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]

LEAST_BAD = 3
_MOST_BAD = 400
# one in twenty
_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class _Moments:
    """The seconds in which something was tried: when its first bad one (else its last) was, and whether one was bad.

    It was struck after `asked_s` and by `struck_s`.
    """

    asked_s: Seconds
    struck_s: Seconds
    bad: Flags


def worst(
    asked_s: Seconds, done_s: Seconds, bad: Flags, end_s: float, least_strength: float = MARGIN
) -> Thickest | None:
    """Return the stretch of trials, from `asked_s` to `done_s` each, in which most are bad; None where chance makes it.

    The scan statistic of Kulldorff (1997) in its Bernoulli form, less the logarithm of the number of places where it
    could begin and end; of the trials of one second one bad one speaks for all, since failures come in bursts. It began
    by the first bad one: by the time at which that would have been done by the usual duration of a good one, for one
    that waited for its time-out was struck when it began to wait. It began after a good one, after so many of them as
    by the share of bad ones within are not all good once in twenty times.
    """
    import numpy as np

    moments = _moments(asked_s, done_s, bad)
    places, total = np.flatnonzero(moments.bad), len(moments.bad)
    if len(places) < LEAST_BAD:
        return None
    picked = places[:: -(-len(places) // _MOST_BAD)]
    starts, ends = np.meshgrid(picked, np.unique(np.append(picked, total - 1)), indexing="ij")
    chosen = ends > starts
    first, last = starts[chosen], ends[chosen]
    ratio = _ratios(moments.bad, first, last)
    # one that lasts to the end has one place to choose, not two
    ratio -= np.where(last == total - 1, 1, 2) * math.log(total)
    lasts_s = np.where(last == total - 1, end_s, moments.asked_s[last]) - moments.asked_s[first]
    span_s = end_s - float(moments.asked_s[0])
    ratio = np.where((lasts_s >= LEAST_S) & (span_s - lasts_s >= LEAST_S), ratio, -math.inf)
    best = int(ratio.argmax())
    strength = float(ratio[best])
    if not strength >= least_strength:
        return None
    alike = first[(last == last[best]) & (ratio >= strength - PLAUSIBLE)]
    before = _last_good(moments.bad, int(alike.min()), int(first[best]), int(last[best]))
    earliest_s = float(moments.asked_s[0 if before is None else before])
    latest_s = float(moments.struck_s[alike.max()])
    until_s = None if last[best] == total - 1 else float(moments.struck_s[last[best]])
    return Thickest(min(earliest_s, latest_s), latest_s, until_s, strength)


def _moments(asked_s: Seconds, done_s: Seconds, bad: Flags) -> _Moments:
    import numpy as np

    good = ~bad
    usual_s = float(np.median((done_s - asked_s)[good])) if good.any() else 0.0
    struck_s = np.minimum(done_s, asked_s + usual_s)
    # of each second the first bad one comes first, else the last good one
    order = np.lexsort((np.where(bad, asked_s, -asked_s), good, np.floor(asked_s / MOMENT_S)))
    asked_s, struck_s, bad = asked_s[order], struck_s[order], bad[order]
    keep = np.concatenate([[True], np.diff(np.floor(asked_s / MOMENT_S)) > 0]) if len(order) else bad
    return _Moments(asked_s[keep], struck_s[keep], bad[keep])


def _ratios(bad: Flags, first: Indices, last: Indices) -> Seconds:
    """Return the logarithm of the likelihood ratio for each stretch, nothing where it is no worse than the rest."""
    import numpy as np

    def likelihood(some: Seconds, of: Seconds) -> Seconds:
        share = some / np.maximum(of, 1.0)
        told: Seconds = some * np.log(np.where(some > 0, share, 1.0))
        return told + (of - some) * np.log(np.where(of > some, 1 - share, 1.0))

    sums = np.concatenate([[0.0], np.cumsum(bad, dtype=np.float64)])
    within, of = sums[last + 1] - sums[first], last - first + 1.0
    whole, total = sums[-1], float(len(bad))
    told = likelihood(within, of) + likelihood(whole - within, total - of) - likelihood(sums[-1:], np.array([total]))
    return np.where(within * (total - of) > (whole - within) * of, told, 0.0)


def _last_good(bad: Flags, before: int, first: int, last: int) -> int | None:
    """Return the latest moment that was surely before the stretch, None where there is none."""
    import numpy as np

    inside = bad[first : last + 1]
    share = (float(inside.sum()) + 0.5) / (len(inside) + 1)
    lucky = math.floor(math.log(_CHANCE) / math.log1p(-share))
    good = np.flatnonzero(~bad[:before])
    return int(good[-1 - lucky]) if len(good) > lucky else None
