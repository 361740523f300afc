"""Since when a series is different: a step, a ramp, an episode that passed, or no clear onset.

Each shape is fitted with errors that follow one another (AR(1)) and have heavy tails (Student's t), and so is what a
healthy series does by itself: stay level, drift, go up and down with the day, climb and fall at each restart. The best
shape must beat the best of these by `_MARGIN` nats after each has paid for its parameters, half a logarithm of the
number of samples for a size and a whole one for a place in time. That is the Bayesian information criterion with
changepoints at their own price, as in Zhang and Siegmund (2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from irkit.onset.ar_fit import LEAST_VARIANCE, MOST_RHO, Fit, fits, median
from irkit.onset.ar_places import best_episode, episode_errors, hinge_errors, step_errors

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
    Columns = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

LEAST_SAMPLES = 30
# What an allocator and the kernel hand out at once (128 KiB by default, glibc's M_TOP_PAD and Linux' readahead), as the
# standard deviation of what is rounded to it.
MEMORY_NOISE_BYTES = 128 * 1024 / math.sqrt(12)
# what allocators and caches move by themselves while they are watched
LEAST_RISE_BYTES = 1 << 20
_MARGIN = 8.0
# What a healthy series does by itself is mostly a slow bend as a ramp is, so that it takes less to stand out from it.
# On series with labels 5 finds one ramp of a hundred more than 8, and alarms on one healthy series of a thousand more.
_MARGIN_OF_RAMPS = 5.0
_LEAST_SIZE = 2.0
_EDGE = 3
_LEAST_EPISODE = 6
_SUSTAINED = 0.75
_PLAUSIBLE = 3.0
_PASSES = 2
_RHO_SLACK = 0.1
_SETTLING = (0.02, 0.05, 0.1, 0.2)
_MOST_RESTARTS = 8
_MOST_CYCLES = 12


class Shape(StrEnum):
    """How a series changes; `NONE` is no clear onset."""

    STEP = "step"
    RAMP = "ramp"
    EPISODE = "episode"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Onset:
    """The change of one series: `index` is its first changed sample, `earliest` to `latest` are as likely as not.

    `until` is the first sample after an episode. `size` is the change in the series' own units: the step's height, or
    what the ramp has gained by the end. `strength` is by how many nats it beats what a healthy series does.
    """

    shape: Shape
    index: int | None = None
    earliest: int | None = None
    latest: int | None = None
    until: int | None = None
    size: float = 0.0
    strength: float = 0.0

    @property
    def is_clear(self) -> bool:
        """Whether it is strong enough to prove a change by itself."""
        return self.shape is not Shape.NONE and self.strength >= _margin(self.shape)


NO_ONSET = Onset(Shape.NONE)


def find(
    values: Sequence[float] | Values, least_noise: float | None = None, least_strength: float | None = None
) -> Onset:
    """Return the onset of a series sampled at even steps; NaN are samples that are missing.

    Whole numbers are taken for counts, whose noise grows with their level, unless it is known of what is measured how
    much noise it has at least (a standard deviation in its own units): memory comes in whole pages, and the root of a
    count would bend a leak so that it seems to begin earlier.

    A change is at least as strong as proves it by itself, or as `least_strength` where something else bears it out.
    Fewer than `LEAST_SAMPLES` samples, a constant series, and a change that lies in its first or last three samples
    have no clear onset. `earliest` to `latest` is where the profile likelihood is within three nats of its best.
    """
    import numpy as np

    given = np.asarray(values, dtype=np.float64)
    places = np.flatnonzero(np.isfinite(given))
    if len(places) < LEAST_SAMPLES:
        return NO_ONSET
    raw = given[places]
    even, least_sd = _even_noise(raw) if least_noise is None else (raw, least_noise)
    middle = median(even)
    scale = 1.4826 * median(np.abs(even - middle)) or float(even.std())
    if not scale > 1e-12 * max(1.0, abs(middle)):
        return NO_ONSET
    least_variance = max(LEAST_VARIANCE, (least_sd / scale) ** 2)
    scaled = (even - middle) / scale
    smooth = _without_spikes(scaled)
    if not float(np.ptp(smooth)) > 0:
        return NO_ONSET
    (level,) = fits(smooth, [np.ones((len(smooth), 1))], least_variance)
    found = max(_candidates(smooth, level, least_variance), key=lambda item: item.score)
    above = _above_level(found, level, smooth, least_variance)
    # cheapest first: most series do not even differ from a level
    if not above >= (_MARGIN if least_strength is None else least_strength):
        return NO_ONSET
    strength = min(above, found.score - _usual(smooth, scaled, least_variance, found.most_rho))
    if not strength >= (_margin(found.shape) if least_strength is None else least_strength):
        return NO_ONSET
    first, last = _plausible(found, smooth)
    return Onset(
        found.shape,
        int(places[found.start]),
        int(places[first]),
        int(places[last]),
        int(places[found.end]) if found.end is not None else None,
        _size(raw, found),
        strength,
    )


def _margin(shape: Shape) -> float:
    return _MARGIN_OF_RAMPS if shape is Shape.RAMP else _MARGIN


def _even_noise(values: Values) -> tuple[Values, float]:
    """Return the series with noise that does not grow with its level, and the least that noise can be.

    Counts get Anscombe's root (1948), after which a Poisson count has a standard deviation of about 1, and of a half
    where it is nearly always 0. What is only ever 0 or 1 is no count but an answer, and others stay as they are.
    """
    import numpy as np

    if ((values == 0) | (values == 1)).all():
        return values, 0.2
    if float(values.min()) < 0 or not np.equal(values, np.round(values)).all():
        return values, 0.0
    return 2 * np.sqrt(values + 0.375), 0.5


def _size(values: Values, found: _Candidate) -> float:
    """Return by how much the series is higher after the onset than before, for a ramp at its end."""
    import numpy as np

    before = float(np.median(values[: found.start]))
    if found.shape is Shape.RAMP:
        return float(np.median(values[-max(3, (len(values) - found.start) // 10) :])) - before
    return float(np.median(values[found.start : found.end])) - before


_SHAPES = (Shape.STEP, Shape.RAMP, Shape.EPISODE)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The best fit of one shape; `is_plain` where it is large beside the noise and sustained, not a few spikes."""

    shape: Shape
    score: float
    start: int = 0
    end: int | None = None
    rho: float = 0.0
    is_plain: bool = False
    most_rho: float = MOST_RHO


def _candidates(values: Values, level: Fit, least_variance: float) -> list[_Candidate]:
    """Find the best place of each shape, twice: the second time with the autocorrelation that the first leaves over."""
    import numpy as np

    count = len(values)
    ones, rhos = np.ones(count), dict.fromkeys(Shape, min(level.rho, 0.5))
    places: dict[Shape, tuple[int, int | None]] = {}
    columns: dict[Shape, Values] = {}
    fitted: dict[Shape, Fit] = {}
    asked: dict[Shape, float] = {}
    for _ in range(_PASSES):
        anew = [shape for shape in _SHAPES if rhos[shape] != asked.get(shape)]
        found = {shape: place for shape in anew if (place := _best_place(shape, values, rhos[shape])) is not None}
        asked |= {shape: rhos[shape] for shape in anew}
        moved = [shape for shape, place in found.items() if places.get(shape) != place]
        places |= found
        if not moved:
            break
        columns |= {shape: _column(shape, count, *places[shape]) for shape in moved}
        designs = [np.column_stack([ones, columns[shape]]) for shape in moved]
        fitted |= dict(zip(moved, fits(values, designs, least_variance, rho_slack=_RHO_SLACK), strict=True))
        rhos |= {shape: fitted[shape].rho for shape in moved}
    return [_candidate(shape, values, places[shape], columns[shape], one) for shape, one in fitted.items()]


def _best_place(shape: Shape, values: Values, rho: float) -> tuple[int, int | None] | None:
    """Return where a shape begins and ends (None: with the series) that leaves least over; None if it never fits."""
    if shape is Shape.EPISODE:
        return best_episode(values, rho, _LEAST_EPISODE, _EDGE)
    errors = (step_errors if shape is Shape.STEP else hinge_errors)(values, rho)
    return int(errors[_EDGE : len(values) - _EDGE].argmin()) + _EDGE, None


def _candidate(shape: Shape, values: Values, place: tuple[int, int | None], column: Values, fitted: Fit) -> _Candidate:
    start, end = place
    price = math.log(len(values)) * (3.0 if shape is Shape.EPISODE else 2.0)
    base, size = fitted.coefficients
    gained = float(size * column.max())
    halfway = (values[start:end] - base) * size > 0.5 * size * size
    sustained = shape is Shape.RAMP or float(halfway.mean()) >= _SUSTAINED
    plain = abs(gained) > _LEAST_SIZE * float(fitted.residuals.std()) and sustained
    return _Candidate(shape, fitted.log_likelihood - price, start, end, fitted.rho, plain, fitted.most_rho)


def _column(shape: Shape, count: int, start: int, end: int | None) -> Values:
    import numpy as np

    at = np.arange(count)
    if shape is Shape.RAMP:
        return np.maximum(at - start, 0) / count
    return ((at >= start) & (at < (count if end is None else end))).astype(np.float64)


def _plausible(found: _Candidate, values: Values) -> tuple[int, int]:
    """Return the first and last start whose profile likelihood is close to the best, in one piece around it."""
    import numpy as np

    if found.shape is Shape.EPISODE and found.end is not None:
        errors = episode_errors(values, found.rho, found.end)
        errors[max(found.end - 1, 0) :] = np.inf
    else:
        errors = (step_errors if found.shape is Shape.STEP else hinge_errors)(values, found.rho)
    worse = 0.5 * len(values) * np.log(errors / errors[found.start])
    far = np.flatnonzero(~(worse <= _PLAUSIBLE))
    below, above = far[far < found.start], far[far > found.start]
    first = int(below[-1]) + 1 if len(below) else _EDGE
    last = int(above[0]) - 1 if len(above) else len(values) - 1
    return max(first, 1), last


def _above_level(found: _Candidate, level: Fit, values: Values, least_variance: float) -> float:
    """Return by how much a candidate beats no change at all."""
    import numpy as np

    if not found.is_plain:
        return -math.inf
    if level.highest_rho > found.most_rho:
        (level,) = fits(values, [np.ones((len(values), 1))], least_variance, found.most_rho)
    return found.score - (level.log_likelihood - 0.5 * math.log(len(values)))


def _usual(values: Values, with_spikes: Values, least_variance: float, most_rho: float) -> float:
    """Return the best score of what a healthy series does: drift, settling, the cycle that explains most, restarts."""
    import numpy as np

    count = len(values)
    at, price = np.arange(count), math.log(count)
    ones = np.ones(count)
    shapes = [(np.column_stack([ones, at / count]), price)]
    power = np.abs(np.fft.rfft(values - values.mean(), 4 * count))
    most = min(4 * _MOST_CYCLES, len(power) - 1)
    strongest = (3 + int(power[3 : most + 1].argmax())) / 4
    for cycles in (strongest - 0.15, strongest, strongest + 0.15):
        turn = 2 * np.pi * cycles * at / count
        shapes.append((np.column_stack([ones, np.cos(turn), np.sin(turn)]), 2.5 * price))
    shapes += [(np.column_stack([ones, np.exp(-at / (part * count))]), 2 * price) for part in _SETTLING]
    series = [values] * len(shapes)
    saw_tooth = _saw_tooth(with_spikes)
    if saw_tooth is not None:
        shapes.append((saw_tooth.design, price * (1.5 + saw_tooth.falls)))
        series.append(with_spikes)
    fitted = fits(np.stack(series), [design for design, _ in shapes], least_variance, most_rho)
    scores = [one.log_likelihood - cost for one, (_, cost) in zip(fitted, shapes, strict=True)]
    if saw_tooth is not None and not saw_tooth.climbs(float(fitted[-1].coefficients[1])):
        del scores[-1]
    return max(scores)


@dataclass(frozen=True, slots=True)
class _SawTooth:
    """A climb that starts anew after each fall, `longest` samples long, and the falls: how many, and how deep."""

    design: Columns
    falls: int
    longest: float
    depth: float

    def climbs(self, gained: float) -> bool:
        """Say whether a climb makes up for a third of a fall, given what all of the samples would gain; else a step."""
        return gained * self.longest / len(self.design) > 0.35 * self.depth


def _saw_tooth(values: Values) -> _SawTooth | None:
    """Return a climb that starts anew at each sudden fall, as memory does with restarts; None without such a fall."""
    import numpy as np

    count = len(values)
    moves = np.diff(values)
    usual = 1.4826 * median(np.abs(moves - median(moves)))
    least = max(5 * usual, 0.25 * float(values.max() - values.min()))
    falls = np.sort(np.argsort(moves)[:_MOST_RESTARTS])
    falls = falls[moves[falls] < -least]
    if not len(falls):
        return None
    at = np.arange(count)
    begun = np.concatenate([[0], falls + 1])
    age = at - begun[np.searchsorted(begun, at, side="right") - 1]
    first = (at <= falls[0]).astype(np.float64)
    longest = float(np.diff(np.concatenate([begun, [count]])).max())
    design = np.column_stack([np.ones(count), age / count, first])
    return _SawTooth(design, len(falls), longest, float(-moves[falls].mean()))


def _without_spikes(values: Values) -> Values:
    """Return the series with single samples far from those around them (one or two in five) set to their median."""
    import numpy as np

    padded = np.concatenate([[values[0]] * 2, values, [values[-1]] * 2])
    middle = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)[:, 2]
    distance = np.abs(values - middle)
    # the mean where the series is quiet for more than half of the time
    far = distance > 5 * 1.4826 * max(median(distance), float(distance.mean()))
    return np.where(far, middle, values)
