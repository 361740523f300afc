"""Since when something is wrong, as an interval on which several signals agree.

One signal alone proves no incident: a lone change of memory or of traffic happens every day. The exceptions are a climb
of memory that the kernel ended by a kill, which proves it, and a change by the time at which a symptom of the likeliest
type first showed: the symptom is the second signal, so that even what is only likely will do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from irkit.logs.tables import DERIVED, ORIGIN
from irkit.onset.changepoint import LEAST_SAMPLES, Onset, Shape, find
from irkit.onset.events import MARGIN, Thickest, thickest
from irkit.onset.signals import KINDS, Events, Fact, Signal, Trials, signals
from irkit.onset.trials import worst

if TYPE_CHECKING:
    import pandas as pd

    from irkit.model import Window

__all__ = ["KINDS", "Began", "OnsetInterval", "agree", "began_of", "interval_of", "onset_interval"]
FEWEST_SIGNALS = 2
_LEAST_SLACK = timedelta(seconds=5)
_COARSER = 4
# nats: twenty to one
_LIKELY = 3.0


class EvidenceSource(Protocol):
    """What is needed of a bundle."""

    @property
    def window(self) -> Window: ...
    def has(self, kind: str) -> bool: ...
    def load(self, kind: str) -> Any: ...  # noqa: ANN401 (a table is a DataFrame, a document is JSON-like)


@dataclass(frozen=True, slots=True)
class Began:
    """One signal's change: the interval in which it began, `until` where it passed, `strength` as in `Onset`.

    `trouble` is False of a change that may be no more than a busier hour; `leads_to` names the fact it ended in. A fact
    has infinite strength; something that only bears out what others show has none. One that is not `clear` is likely
    (twenty to one), but proves nothing by itself.
    """

    signal: str
    shape: Shape
    earliest: datetime
    latest: datetime
    until: datetime | None
    strength: float
    trouble: bool = True
    leads_to: str = ""
    clear: bool = True


@dataclass(frozen=True, slots=True)
class OnsetInterval:
    """When it began: not before `earliest`, not after `latest`, on which the `agreeing` signals agree.

    `others` changed too, at another time.
    """

    earliest: datetime
    latest: datetime
    agreeing: tuple[Began, ...]
    others: tuple[Began, ...] = ()


def onset_interval(
    tables: Mapping[str, pd.DataFrame | None], window: Window | None = None, signs: Collection[datetime] = ()
) -> OnsetInterval | None:
    """Return the interval in which trouble began, or None where no two signals agree and no kill or symptom proves one.

    `tables` holds evidence by kind (`KINDS`); what is missing is not asked. `signs` are as in `agree`.
    """
    changes = (began_of(signal) for signal in signals(tables, window))
    return agree((began for began in changes if began is not None), signs)


def interval_of(source: EvidenceSource, signs: Collection[datetime] = ()) -> OnsetInterval | None:
    """Return the onset interval of a bundle, or None: no clear onset; requests and errors are read from its logs."""
    tables = {kind: source.load(kind) for kind in KINDS if source.has(kind)}
    derived = {
        kind: DERIVED[kind](tables[origin])
        for kind, origin in ORIGIN.items()
        if kind in KINDS and origin in tables and kind not in tables
    }
    return onset_interval({**derived, **tables}, source.window, signs)


def began_of(signal: Signal | Events | Trials | Fact) -> Began | None:
    """Return when a signal changed for the worse, or None; counts too thin to tell are added up and asked again."""
    if isinstance(signal, Events):
        return _of_stretch(signal.name, thickest(signal.at_s, signal.start_s, signal.end_s, _LIKELY))
    if isinstance(signal, Trials):
        return _of_stretch(signal.name, worst(signal.asked_s, signal.done_s, signal.bad, signal.end_s, _LIKELY))
    if isinstance(signal, Fact):
        earliest, latest = _time(signal.earliest_s), _time(signal.latest_s)
        return Began(signal.name, Shape.STEP, earliest, latest, None, math.inf if signal.sure else 0.0)
    found, signal = _change_of(signal)
    if found.earliest is None or found.latest is None:
        return None
    if (signal.rising and found.size <= 0) or abs(found.size) < signal.least:
        return None
    # a sample says what was true at its time: the change came after the one before
    first = found.earliest if signal.width_s else max(found.earliest - 1, 0)
    return Began(
        signal.name,
        found.shape,
        _time(signal.at_s[first]),
        _time(signal.at_s[found.latest] + signal.width_s),
        _time(signal.at_s[found.until]) if found.until is not None else None,
        found.strength,
        signal.trouble or found.size < 0,
        signal.leads_to,
        found.is_clear,
    )


def _change_of(signal: Signal) -> tuple[Onset, Signal]:
    """Return the change in the first view of a signal in which it is clear, else the likeliest, and that view."""
    seen = []
    for view in _views(signal):
        found = find(view.values, view.least_noise, _LIKELY)
        if found.is_clear:
            return found, view
        seen.append((found, view))
    return max(seen, key=lambda item: item[0].strength)


def _views(signal: Signal) -> Iterator[Signal]:
    import numpy as np

    yield signal
    if signal.plain:
        yield replace(signal, values=np.exp(signal.values), least=0.0)
    if signal.counted and len(signal.values) >= _COARSER * LEAST_SAMPLES:
        yield signal.coarser()


def _of_stretch(name: str, found: Thickest | None) -> Began | None:
    if found is None:
        return None
    shape = Shape.STEP if found.until_s is None else Shape.EPISODE
    until = None if found.until_s is None else _time(found.until_s)
    clear = found.strength >= MARGIN
    return Began(name, shape, _time(found.earliest_s), _time(found.latest_s), until, found.strength, clear=clear)


def agree(changes: Iterable[Began], signs: Collection[datetime] = ()) -> OnsetInterval | None:
    """Return the interval on which most signals agree, the earliest of equals; None for fewer than two.

    Signals that are no trouble by themselves decide nothing without one that is. `signs` are times at which symptoms
    first showed: what agrees with one of them goes before what does not, and where no two signals agree, one that does
    is enough. Of those that agree, the interval is where most share a moment.
    """
    seen = sorted(changes, key=lambda item: item.earliest)
    known = [item for item in seen if item.clear]
    telling = [
        group
        for group in _groups(known)
        if len(group) >= FEWEST_SIGNALS and any(item.trouble and item.strength > 0 for item in group)
    ]
    most = max(telling, key=lambda group: (_borne_out(group, signs), len(group)), default=None)
    if most is None:
        most = _with_symptom(seen, signs)
    if most is None:
        return None
    most = _what_led_to(most, known) or most
    sharing = _sharing(most)
    earliest, latest = sorted((max(item.earliest for item in sharing), min(item.latest for item in sharing)))
    sharpest = min(item.latest - item.earliest for item in most)
    if all(item.earliest <= earliest and item.latest >= latest for item in most):
        # they hardly share a moment, or see the same requests: together they are no sharper than the sharpest
        margin = max(sharpest - (latest - earliest), timedelta()) / 2
    else:
        # they touch or follow one another closely: as wide again as the sharpest of them on either side
        margin = sharpest
    earliest, latest = earliest - margin, latest + margin
    return OnsetInterval(earliest, latest, tuple(most), tuple(item for item in known if item not in most))


def _groups(known: list[Began]) -> list[list[Began]]:
    """Return for each change those that agree with it on when it began."""
    return [
        [
            item
            for item in known
            if item.earliest <= each.latest + _LEAST_SLACK and item.latest >= each.latest - _LEAST_SLACK
        ]
        for each in known
    ]


def _with_symptom(seen: list[Began], signs: Collection[datetime]) -> list[Began] | None:
    """Return the changes, clear ones or likely, that a symptom bears out: it is the second signal."""
    telling = [
        group
        for group in _groups(seen)
        if _borne_out(group, signs) and any(item.trouble and item.strength > 0 for item in group)
    ]
    return max(telling, key=lambda group: (sum(item.clear for item in group), len(group)), default=None)


def _sharing(group: list[Began]) -> list[Began]:
    """Return those that share a moment with most of a group, the earliest of equals; all of it where no two do."""

    def at(moment: datetime) -> list[Began]:
        return [item for item in group if item.earliest <= moment <= item.latest]

    most = max((at(item.earliest) for item in sorted(group, key=lambda item: item.earliest)), key=len)
    return most if len(most) >= FEWEST_SIGNALS else group


def _what_led_to(group: list[Began], known: list[Began]) -> list[Began]:
    """Return what agrees with the climb that ended in a fact of the group and lasted until then; else nothing.

    A kill for want of memory is how a leak ends. Beside the fact, that climb needs no second signal.
    """
    facts = {item.signal: item for item in group if math.isinf(item.strength)}
    climbs = [item for item in known if item.leads_to in facts and item.until is None]
    first = min(climbs, key=lambda item: item.earliest, default=None)
    if first is None or first.latest >= facts[first.leads_to].earliest:
        return []
    return [item for item in known if item.earliest <= first.latest and item.latest >= first.earliest]


def _borne_out(group: list[Began], signs: Collection[datetime]) -> bool:
    return any(
        min(item.earliest for item in group) - _LEAST_SLACK <= at <= max(item.latest for item in group) + _LEAST_SLACK
        for at in signs
    )


def _time(at_s: float) -> datetime:
    return datetime.fromtimestamp(float(at_s), UTC)
