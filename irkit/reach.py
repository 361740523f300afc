"""How far back the evidence of an incident is looked for: not into the one before it, which would be blamed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from irkit.model import Incident, Window
from irkit.times import format_time

_AFTER_END = timedelta(minutes=10)


def window_of(incident: Incident, reach: timedelta, now: datetime, earlier: Incident | None = None) -> Window:
    """Return the time evidence is wanted for: from `reach` before the incident to ten minutes after it.

    Where an `earlier` incident was over within that reach, it begins there: what that one showed is no sign of this.
    The window then tells where it would begin otherwise.
    """
    onset = onset_of(incident)
    usual, over_at = onset - reach, earlier.over_at if earlier else None
    end = max(min(now, incident.over_at + _AFTER_END) if incident.over_at else now, onset)
    return Window(over_at, end, usual) if over_at and over_at > usual else Window(usual, end)


def over_before(
    incident: Incident, others: Iterable[Incident], reach: timedelta, *, owns_nothing: Callable[[Incident], bool]
) -> Incident | None:
    """Return the incident that was the last to be over before this one began, within `reach` of it.

    Of a drill nothing happened here, and of a false alarm nothing at all: one that `owns_nothing` is none. Nor is one
    that was still going on by then: nobody knows which of the two its signs belong to.
    """
    onset = onset_of(incident)
    near = [(end, one.id, one) for one in others if (end := one.over_at) and onset - reach < end <= onset]
    return max((each for each in near if each[2].id != incident.id and not owns_nothing(each[2])), default=(None,))[-1]


def onset_of(incident: Incident) -> datetime:
    """Return when an incident began as far as people said: started, else detected, else opened, whichever is first."""
    known = [incident.started_at, incident.detected_at, incident.opened_at]
    return min(moment for moment in known if moment is not None)


def begins_after(window: Window, earlier: Incident | None) -> bool:
    """Say whether a window begins where the `earlier` incident was over, and not as long before as is usual."""
    return earlier is not None and window.start == earlier.over_at


def cut_short(window: Window, earlier: Incident | None) -> str:
    """Return the sentence that tells why evidence was not looked for further back, "" where it was."""
    if earlier is None or not begins_after(window, earlier):
        return ""
    reopens = f'irkit reopen {earlier.id} "why"'
    return (
        f"Looked back to {format_time(window.start)}, when {earlier.label} ({earlier.type}) was over; what was before "
        f"is that one's, but for memory that goes on rising. If it never was over: {reopens}"
    )
