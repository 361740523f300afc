"""How slow, how sure and since when: the p95 of a service's requests against a limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.estimate import Interval, chance_of_at_most, quantile, quantile_interval
from irkit.onset.episodes import telling_stretch, worst_stretch
from irkit.text.phrase import percent

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FEWEST = 20  # below this many requests their p95 is their slowest one
_SLOW_SHARE = 0.05  # what p95 means: one in twenty may be slower than the limit
# so near the limit that a stretch of it is an episode, whose own p95 is then asked for
_NEAR_LIMIT = 0.25
_BROKEN_SHARE = 0.5
_HARDLY_CHANCE = 0.01
_LONGEST_S = 86_400.0
_IN_FLIGHT = 2  # answers that were on their way when the silence fell


@dataclass(frozen=True, slots=True)
class Latency:
    """The p95 of `total` requests of a service with its 95 % interval, in seconds, and how many were over the limit.

    Where `over` is true these are the requests of the slow stretch: `onset` is when the first slow one was asked for,
    `last` when its last was answered, `later` how many came after that, `until` is `last` or None where those are too
    few to end it. Where it is false they are all requests, with `onset` and `last` those of a stretch much slower than
    usual that is within the limit so far. `confidence` is of that judgement, in either direction. `silence_s` is how
    long the service answered nothing at all, then much at once: it hung, and was not slow; 0.0 where it answered
    something meanwhile.
    """

    service: str
    over: bool
    total: int
    slow: int
    p95_s: float
    interval: Interval
    confidence: float
    limit_s: float
    onset: datetime | None = None
    until: datetime | None = None
    last: datetime | None = None
    later: int = 0
    silence_s: float = 0.0


def doubt(found: Latency) -> str:
    """Say how sure a p95 within its limit is where its interval reaches beyond it; nothing where it does not."""
    high = found.interval.high
    return f", which is {percent(found.confidence)} sure" if high is None or high > found.limit_s else ""


def slowest_service(requests: pd.DataFrame, limit_s: float) -> Latency | None:
    """Return the latency of the service that is most surely over the limit, else the slowest; None without durations.

    A stretch of the window counts, not only the whole: an hour of quick requests must not dilute ten slow minutes.
    """
    timed = requests[requests["duration_s"].between(0.0, _LONGEST_S) & requests["at"].notna()]
    judged = [_judge(str(service), rows, limit_s) for service, rows in timed.groupby("service", sort=True)]
    return max(judged, key=lambda item: (item.over, item.confidence if item.over else 0.0, item.p95_s), default=None)


def _judge(service: str, rows: pd.DataFrame, limit_s: float) -> Latency:
    import pandas as pd

    ordered = rows.sort_values("at", kind="stable")
    durations, slow = ordered["duration_s"].to_numpy(), (ordered["duration_s"] > limit_s).to_numpy()
    total, slow_total = len(slow), int(slow.sum())
    stretch = telling_stretch(slow, ordered["at"], _SLOW_SHARE, _BROKEN_SHARE)
    chance_of_fewer = chance_of_at_most(slow_total - 1, total, _SLOW_SHARE)
    if stretch is not None and stretch.expected_by_chance < _HARDLY_CHANCE:
        first, last, confidence = stretch.first, stretch.last, 1.0 - stretch.expected_by_chance
    elif (episode := _episode(durations, limit_s)) is not None:
        first, last, confidence = episode
        slow = durations > limit_s * _NEAR_LIMIT  # the first of these began it
    elif total >= FEWEST and quantile(sorted(durations), 1 - _SLOW_SHARE) > limit_s:
        positions = slow.nonzero()[0]
        first, last, confidence = int(positions[0]), int(positions[-1]), chance_of_fewer
    else:
        # a stretch much slower than usual is judged by itself: the quick ones before it say nothing of it
        near = worst_stretch(durations > limit_s * _NEAR_LIMIT, _SLOW_SHARE, _BROKEN_SHARE)
        slower = near is not None and near.expected_by_chance < _HARDLY_CHANCE
        first, last = (near.first, near.last) if near is not None and slower else (0, total - 1)
        values = sorted(durations[first : last + 1])
        slow_inside = int(slow[first : last + 1].sum())
        onset, until = _asked_and_answered(ordered, first, last) if slower else (None, None)
        p95_s, interval = quantile(values, 1 - _SLOW_SHARE), quantile_interval(values, 1 - _SLOW_SHARE)
        # the chance of seeing more slow ones than this if the p95 were at the limit
        confidence = 1.0 - chance_of_at_most(slow_inside, len(values), _SLOW_SHARE)
        return Latency(
            *(service, False, len(values), slow_inside, p95_s, interval, confidence, limit_s),
            onset=onset,
            last=until,
            later=total - 1 - last,
        )
    values = sorted(durations[first : last + 1])
    # a line is written when the answer is: a slow request was asked for earlier, and not in the same order
    answered = ordered["at"].iloc[first : last + 1]
    asked = answered - pd.to_timedelta(durations[first : last + 1], unit="s")
    onset = asked[slow[first : last + 1]].min()
    silence_s = (answered.iloc[0] - onset).total_seconds()
    spoke = ordered["at"].between(onset, answered.iloc[0], inclusive="neither").sum() > _IN_FLIGHT
    return Latency(
        service,
        over=True,
        total=len(values),
        slow=int((durations[first : last + 1] > limit_s).sum()),
        p95_s=quantile(values, 1 - _SLOW_SHARE),
        interval=quantile_interval(values, 1 - _SLOW_SHARE),
        confidence=confidence,
        limit_s=limit_s,
        onset=onset.to_pydatetime(warn=False),
        last=answered.iloc[-1].to_pydatetime(warn=False),
        later=total - 1 - last,
        until=answered.iloc[-1].to_pydatetime(warn=False) if total - last > FEWEST else None,
        silence_s=0.0 if spoke or silence_s < (answered.iloc[-1] - onset).total_seconds() / 2 else silence_s,
    )


def _asked_and_answered(ordered: pd.DataFrame, first: int, last: int) -> tuple[datetime, datetime]:
    """Return when the first of these requests was asked for and the last one answered."""
    import pandas as pd

    asked = ordered["at"].iloc[first] - pd.to_timedelta(ordered["duration_s"].iloc[first], unit="s")
    return asked.to_pydatetime(warn=False), ordered["at"].iloc[last].to_pydatetime(warn=False)


def _episode(durations: np.ndarray[tuple[int], np.dtype[np.float64]], limit_s: float) -> tuple[int, int, float] | None:
    """Return first, last and confidence of a stretch much slower than usual whose own p95 is over the limit.

    Too few of it may be over the limit to stand out by themselves, as where one route in three is slow.
    """
    stretch = worst_stretch(durations > limit_s * _NEAR_LIMIT, _SLOW_SHARE, _BROKEN_SHARE)
    if stretch is None or stretch.expected_by_chance >= _HARDLY_CHANCE or stretch.total < FEWEST:
        return None
    inside = durations[stretch.first : stretch.last + 1]
    if quantile(sorted(inside), 1 - _SLOW_SHARE) <= limit_s:
        return None
    confidence = chance_of_at_most(int((inside > limit_s).sum()) - 1, len(inside), _SLOW_SHARE)
    return stretch.first, stretch.last, confidence
