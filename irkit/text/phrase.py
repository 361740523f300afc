"""Numbers and times in the words of a verdict's sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from irkit.estimate import Interval
from irkit.text.visible import visible

_MANY = 4
_THOUSAND, _TINY = 1000, 1e-4
_SILENCE = timedelta(seconds=5)


def clock(at: datetime) -> str:
    """Write a time of day with its seconds, `03:05:07 UTC`; the report carries the date."""
    return f"{at:%H:%M:%S} UTC"


def figure(value: float) -> str:
    """Write a number with three digits that count and no power of ten: `0.042`, `15.3`, `39 600 000`."""
    if abs(value) >= _THOUSAND:
        return grouped(round(float(f"{value:.3g}")))
    return f"{value:.3g}" if value == 0 or abs(value) >= _TINY else f"{value:.6f}".rstrip("0").rstrip(".")


def since(at: datetime | None) -> str:
    """Write ` since 03:05:07 UTC`, or nothing where the time is not known."""
    return f" since {clock(at)}" if at else ""


def between(first: datetime | None, last: datetime | None) -> str:
    """Write ` from 03:05:07 UTC to 03:06:00 UTC`, ` at 03:05:07 UTC` of one moment, nothing of an unknown one.

    For what was counted: `since` would claim that it still goes on.
    """
    if first is None or last is None:
        return ""
    return f" at {clock(first)}" if clock(first) == clock(last) else f" from {clock(first)} to {clock(last)}"


def lasting(first: datetime, last: datetime, *, later: int, end: datetime) -> str:
    """Write ` since …` of a stretch with nothing `later` than its last event, else from when to when.

    Where the evidence, which goes to `end`, falls silent after the last event, its time is told too.
    """
    if later:
        return between(first, last)
    silent = end - last > _SILENCE and clock(first) != clock(last)
    return f"{since(first)}{f', the last on record at {clock(last)}' if silent else ''}"


def were(number: int) -> str:
    """Write the verb that goes with a number: 1 was, 2 were."""
    return "was" if number == 1 else "were"


def count(number: int, noun: str) -> str:
    """Write `1 request`, `2 requests`, `0 requests`."""
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def grouped(number: int) -> str:
    """Write a whole number with its thousands apart, `17 000`."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def seconds(value: float) -> str:
    """Write seconds with two significant digits: `3.4 s`, `12 s`, `40 ms`."""
    if 0 < value < 1:
        return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value * 1000:.0f} ms"  # noqa: PLR2004
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"  # noqa: PLR2004


def percent(share: float) -> str:
    """Write a share of one: `0.2 %`, `12 %`, `100 %`; never `0 %` or `100 %` for what is only nearly so."""
    value = share * 100
    if 0 < value < 0.1:  # noqa: PLR2004
        return "under 0.1 %"
    if 99 < value < 100:  # noqa: PLR2004
        return "over 99 %"
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"  # noqa: PLR2004


def size(value_bytes: float) -> str:
    """Write a size in binary units: `212 MiB`."""
    value, unit = float(value_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":  # noqa: PLR2004
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"  # noqa: PLR2004


def share_between(interval: Interval) -> str:
    """Write `95 % interval 12 % to 15 %`."""
    return f"95 % interval {percent(interval.low or 0.0)} to {percent(1.0 if interval.high is None else interval.high)}"


def seconds_between(interval: Interval) -> str:
    """Write `95 % interval 2.9 s to 4.1 s`, or which end the sample does not bound."""
    if interval.low is None and interval.high is None:
        return "too few for an interval"
    if interval.high is None:
        return f"95 % interval from {seconds(interval.low or 0.0)}, no upper bound"
    return f"95 % interval {seconds(interval.low or 0.0)} to {seconds(interval.high)}"


def listing(names: Iterable[str]) -> str:
    """Write `a`, `a and b`, `a, b and c`, or `a, b, c and 7 more`; doubles once, in order."""
    items: Sequence[str] = [name for name in dict.fromkeys(names) if name]
    if len(items) > _MANY:
        items = [*items[: _MANY - 1], f"{len(items) - _MANY + 1} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def quoted(text: str, limit_chars: int = 160) -> str:
    """Write a piece of evidence inside a sentence: on one line, control characters visible, cut with an ellipsis."""
    flat = " ".join(visible(text[: limit_chars * 4]).split())
    return f"“{flat if len(flat) <= limit_chars else flat[: limit_chars - 1] + '…'}”"
