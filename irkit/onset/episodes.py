"""Since when: the stretch of good and bad events that most looks like an episode, and the run of failing checks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# What fails now and then has quiet minutes; after so many without one failure, another trouble begins.
_APART = timedelta(minutes=5)
# So many good ones in a row are no pause of what fails now and then: it is over.
ENDS_IT = 10
_HARDLY_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions `first` to `last` (both included), `bad` of `total` events in it, and how often chance would do it.

    `expected_by_chance` is the number of stretches at least this bad in as many events of the usual rate: below 0.01
    it is hardly chance, above 1 it is nothing.
    """

    first: int
    last: int
    bad: int
    total: int
    expected_by_chance: float


def worst_stretch(bad: np.ndarray[tuple[int], np.dtype[np.bool_]], usual: float, broken: float) -> Stretch | None:
    """Return the stretch of events in order of time that is likeliest to have rate `broken` and not `usual`.

    Each event scores the logarithm of its likelihood ratio; the stretch is the one of maximal sum (Kadane), and the
    expectation is n·exp(-score) after Karlin and Altschul (1990), for which such scores have λ = 1 and K ≤ 1.
    None where no event is bad.
    """
    import numpy as np

    if not bad.any():
        return None
    scores = np.where(bad, math.log(broken / usual), math.log((1 - broken) / (1 - usual)))
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    lowest = np.minimum.accumulate(sums)
    last = int(np.argmax(sums - lowest))
    # of equal minima the latest, so that the stretch begins at its first bad event
    first = int(np.flatnonzero(sums[:last] == lowest[last])[-1])
    score = float(sums[last] - sums[first])
    inside = bad[first:last]
    expected = float(len(bad) * math.exp(-min(score, 700.0)))
    return Stretch(first, last - 1, int(inside.sum()), len(inside), expected)


def telling_stretch(
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]], at: pd.Series[pd.Timestamp], usual: float, broken: float
) -> Stretch | None:
    """Return the `worst_stretch`; of two that minutes without a bad event keep apart, one that goes on to the end.

    `at` are the times of the events, in order. What was worse, but over, is what people would have looked at then.
    """
    worst = worst_stretch(bad, usual, broken)
    if worst is None:
        return None
    bounds = list(_apart(bad, at, worst))
    if len(bounds) == 1:
        return worst
    parts = [(begin, worst_stretch(bad[begin:end], usual, broken)) for begin, end in bounds]
    known = [replace(one, first=begin + one.first, last=begin + one.last) for begin, one in parts if one]
    sure = [one for one in known if one.expected_by_chance < _HARDLY_CHANCE]
    if not sure:
        return worst
    goes_on = len(bad) - 1 - sure[-1].last < ENDS_IT
    return sure[-1] if goes_on else min(sure, key=lambda one: (one.expected_by_chance, -one.bad))


def _apart(
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]], at: pd.Series[pd.Timestamp], worst: Stretch
) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the parts that long runs without a bad event, hardly chance at its rate, leave of all."""
    import numpy as np

    places = np.flatnonzero(bad)
    begin = 0
    for one in np.flatnonzero(np.diff(places) > ENDS_IT).tolist():
        last, following = int(places[one]), int(places[one + 1])
        good = following - last - 1
        rate = worst.bad / max(worst.total - good, worst.bad)
        if (1 - rate) ** good < _HARDLY_CHANCE and at.iloc[following] - at.iloc[last] > _APART:
            yield begin, last + 1
            begin = following
    yield begin, len(bad)


_FLEETING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Episode:
    """When checks began to fail, and when they passed again: None where they still fail."""

    onset: datetime | None = None
    until: datetime | None = None


def episode_of(checks: Collection[tuple[datetime, bool]], ends: Collection[datetime], in_a_row: int = 2) -> Episode:
    """Return the failing that lasts to the end of what is on record, else the last one that passed, else nothing.

    `checks` are times and whether each passed; `ends` are times that prove a failure by themselves (a crash), while of
    checks that passed again it takes `in_a_row` to make an episode: one is a hiccup. A single check that passed, amid
    failing, within a minute before a crash ends none.
    """
    known = sorted([*checks, *((at, False) for at in ends)])
    known = [one for at, one in enumerate(known) if not _is_fleeting(at, known, ends)]
    last_pass = max((at for at, passed in known if passed), default=None)
    lasting = [at for at, passed in known if not passed and (last_pass is None or at > last_pass)]
    if lasting:
        return Episode(lasting[0])
    run: list[datetime] = []
    until: datetime | None = None
    for at, passed in reversed(known):
        if not passed:
            run.append(at)
        elif _counts(run, ends, in_a_row):
            break
        else:
            run, until = [], at
    return Episode(run[-1], until) if _counts(run, ends, in_a_row) else Episode()


def _is_fleeting(index: int, known: Sequence[tuple[datetime, bool]], ends: Collection[datetime]) -> bool:
    """Say whether it came up, was well once, and crashed: that is no time in which it was well."""
    at, passed = known[index]
    if not passed or index == 0 or known[index - 1][1]:
        return False
    failing = itertools.takewhile(lambda one: not one[1] and one[0] - at <= _FLEETING, known[index + 1 :])
    return any(moment in ends for moment, _ in failing)


def _counts(run: list[datetime], ends: Collection[datetime], in_a_row: int) -> bool:
    return len(run) >= in_a_row or any(at in ends for at in run)
