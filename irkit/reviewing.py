"""All incidents of the store looked at together, as notebooks and the site show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit import workspace
from irkit.entries import filing
from irkit.errors import InputError
from irkit.followup.notes import drill_of, is_false_alarm
from irkit.model import parse_incident_id, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from irkit.report.review import Review
    from irkit.settings import Settings


def review(
    incident_type: str = "", days: int = 0, *, ids: Iterable[object] = (), settings: Settings | None = None
) -> Review:
    """Return the trends over all incidents, over those of one type of the runbook, of the last `days`, or of `ids`.

    Drills are left out, and counted apart, unless there is nothing else; so are false alarms.

    Raises:
        NotFoundError: there is no incident store.
        InputError: the type is not one of the runbook's, or the number of days is negative.
    """
    from irkit.followup.action_items import of_timelines
    from irkit.report import review as made

    if days < 0:
        raise InputError(f"{days} days are no time to look back", hint="days = 90, or 0 for all")
    settings, now = settings or workspace.load_settings(), utc_now()
    runbook = workspace.load_runbook(settings)
    wanted = filing(runbook, incident_type, None).type if incident_type else ""
    only = {parse_incident_id(one) for one in ids}
    chosen = [
        one
        for one in workspace.incidents(settings=settings)
        if wanted in {"", one.type}
        and (not days or (now - one.noticed_at).days < days)
        and (not only or one.id in only)
    ]
    store = workspace.store(settings)
    timelines = {one.id: store.timeline(one.id) for one in chosen}
    happened = [one for one in chosen if not drill_of(timelines[one.id])]
    told = happened or chosen
    counted = [one for one in told if not is_false_alarm(timelines[one.id])]
    items = of_timelines({one.id: timelines[one.id] for one in counted})
    beside = made.Beside(drills=len(chosen) - len(told), false_alarms=len(told) - len(counted))
    return made.review(counted, runbook, items, now, beside=beside, are_drills=not happened)
