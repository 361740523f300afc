"""Times and durations as people write and read them; every time is aware UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from irkit.errors import InputError

_SHOWN_CHARS = 40
_UNIT_S = {
    "ms": 0.001,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_LONGEST_S = 100 * 365 * 86400.0
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)", re.ASCII)
_JOINS = re.compile(r"(?:\s|,|\band\b)*")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
_DATED = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d", re.ASCII | re.IGNORECASE)
_TIME_HINT = "write 2026-11-24T03:05Z, 2026-11-24T04:05+01:00, 03:05 (UTC, the most recent), or 10m ago"


def parse_duration(text: str) -> timedelta:
    """Read a length of time above zero and up to 100 years, such as `15 min`, `1 hour`, `1h30m` or `500ms`.

    Raises:
        InputError: the text is not a length of time, or not one of that range.
    """
    given, position, total_s = text.strip().lower(), 0, 0.0
    while position < len(given):
        amount = _AMOUNT.match(given, position)
        if amount is None or amount[2] not in _UNIT_S:
            total_s = 0.0
            break
        total_s += float(amount[1]) * _UNIT_S[amount[2]]
        joined = _JOINS.match(given, amount.end())
        position = joined.end() if joined else amount.end()
    if not 0 < total_s <= _LONGEST_S:
        msg = f"{_shown(text)} is not a length of time"
        raise InputError(msg, hint="write it as 15 min, 1 hour, 1h30m or 2 days")
    return timedelta(seconds=total_s)


def parse_time(text: str, now: datetime) -> datetime:
    """Read a point in time and return it as aware UTC.

    Taken are ISO 8601 (UTC where no zone is given), a time of day (UTC, the most recent one that is not after
    `now`), `10m ago` or `-10m`, and `now`.

    Raises:
        InputError: the text is none of these.
    """
    given = text.strip()
    lowered = given.lower()
    try:
        if lowered == "now":
            return now.astimezone(UTC)
        if lowered.endswith(" ago") != lowered.startswith("-"):  # both at once may mean either
            return now.astimezone(UTC) - parse_duration(lowered.removesuffix(" ago").removeprefix("-"))
        zoned = re.sub(r"\s*(?:utc|z)$", "+00:00", given, flags=re.IGNORECASE)
        if _CLOCK.fullmatch(zoned.removesuffix("+00:00")):
            return _latest(zoned.removesuffix("+00:00"), now.astimezone(UTC))
        if _DATED.match(zoned):
            read = datetime.fromisoformat(zoned)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError, InputError):
        pass
    msg = f"{_shown(text)} is not a time"
    raise InputError(msg, hint=_TIME_HINT)


def of_yesterday(text: str, now: datetime) -> str:
    """Say so where `parse_time` takes a time of day for yesterday's, since today it has not come yet; else nothing."""
    now = now.astimezone(UTC)
    clock = re.sub(r"\s*(?:utc|z)$", "", text.strip(), flags=re.IGNORECASE)
    if not _CLOCK.fullmatch(clock) or (taken := parse_time(text, now)).date() == now.date():
        return ""
    return f"{clock} has not come yet today (it is {now:%H:%M} UTC): {format_time(taken)} is meant"


def between(start: datetime, end: datetime) -> timedelta:
    """Return the time from one moment to another as they are shown, to the second: so that readers find it right."""
    return end.replace(microsecond=0) - start.replace(microsecond=0)


def latest_known(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the latest of some moments; None where there are none, or where one of them is not known."""
    latest: datetime | None = None
    for moment in moments:
        if moment is None:
            return None
        latest = moment if latest is None else max(latest, moment)
    return latest


def format_time(at: datetime) -> str:
    """Write a time as `2026-11-24 03:05:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_duration(duration: timedelta) -> str:
    """Write a duration by its two largest units, rounded down: `12 min 30 s`, `1 d 4 h`, `0.4 s`, `-3 min`."""
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    if duration < timedelta(seconds=1):
        tenths = duration // timedelta(milliseconds=100)
        return f"0.{tenths} s" if tenths else "0 s"
    left = int(duration.total_seconds())
    amounts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        amounts.append((count, unit))
    first = next(index for index, (count, _) in enumerate(amounts) if count)
    return " ".join(f"{count} {unit}" for count, unit in amounts[first : first + 2] if count)


def _latest(clock: str, now: datetime) -> datetime:
    padded = clock if clock[2] == ":" else f"0{clock}"
    today = datetime.combine(now.date(), time.fromisoformat(padded), UTC)
    return today if today <= now else today - timedelta(days=1)


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"
