"""What notebooks and commands start from: settings, runbook, store and evidence, found from the working directory."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from irkit import reach
from irkit import runbook as runbooks
from irkit import settings as settings_file
from irkit.absent_evidence import empty_bundle, missing_bundles
from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.bundle.later import bundle_in_use
from irkit.errors import BundleError, InputError, NotFoundError
from irkit.followup.notes import drill_of, is_false_alarm
from irkit.model import Event, EventKind, Incident, Status, is_configured, parse_incident_id, utc_now
from irkit.runbook import Runbook
from irkit.settings import Problem, Settings
from irkit.targets import with_runbook_defaults

if TYPE_CHECKING:
    from irkit.collect.engine import Progress
    from irkit.collect.host_process import HostProcess
    from irkit.escalate.delivery import Case
    from irkit.store import Store

COLLECT_CHOICES = ("auto", "always", "never")
_NO_EVIDENCE = "no evidence was collected, and this run was told not to (collect: never)"


def load_settings(start: Path | None = None) -> Settings:
    """Return the settings that hold for `start` (default: the working directory), completed by the runbook.

    A runbook that cannot be used is among their `problems`. What it alone names stays unset then: what the built-in
    one names may be another's.

    Raises:
        InputError: `irkit.toml` cannot be used.
    """
    settings = settings_file.load(start)
    runbook = load_runbook(settings)
    if runbook.unread is None:
        return with_runbook_defaults(settings, runbook)
    problem = Problem("", "runbook", runbook.unread.sentence, runbook.unread.hint, stops=False)
    return replace(settings, problems=(*settings.problems, problem))


def load_runbook(settings: Settings | None = None) -> Runbook:
    """Return the team's runbook, or the one that ships with irkit: also where the team's cannot be used, see `unread`.

    Raises:
        InputError: `irkit.toml` cannot be used.
    """
    return runbooks.in_force((settings or settings_file.load()).runbook)


def own_runbook(settings: Settings) -> Runbook:
    """Return the runbook that the settings name and no other, for what is recorded by its numbers or changes it.

    Raises:
        InputError: it cannot be used; lines are named.
    """
    return runbooks.load(settings.runbook)


def store(settings: Settings | None = None, *, create: bool = False) -> Store:
    """Return the incident store; it is only made where `create` says so.

    Raises:
        NotFoundError: there is no store yet.
        StoreError: it cannot be read or written.
    """
    from irkit.store import open_store

    return open_store(settings or load_settings(), create=create, clock=utc_now)


def incident(incident_id: object, *, settings: Settings | None = None) -> Incident:
    """Return an incident by its id: 42, "042" and "INC-42" are the same.

    Raises:
        InputError: the id is not one.
        NotFoundError: there is no such incident, or no store yet.
        StoreError: the store cannot be read.
    """
    number = parse_incident_id(incident_id)
    return store(settings).incident(number)


def incidents(*, settings: Settings | None = None) -> tuple[Incident, ...]:
    """Return all incidents by id.

    Raises:
        NotFoundError: there is no store yet.
        StoreError: the store cannot be read.
    """
    return tuple(store(settings).incidents())


def timeline(incident: Incident, *, settings: Settings | None = None) -> tuple[Event, ...]:
    """Return an incident's timeline in the order things happened.

    Raises:
        StoreError: the store cannot be read.
    """
    return tuple(store(settings).timeline(incident.id))


def gather(  # noqa: PLR0913 (each has its default; notebooks give the first two)
    incident: Incident,
    collect: str = "auto",
    bundle: str = "",
    *,
    settings: Settings | None = None,
    only: Iterable[str] = (),
    actor: str = "irkit",
    on_progress: Callable[[Progress], None] = lambda _: None,
    host: HostProcess | None = None,
) -> Bundle:
    """Return an incident's evidence: a sealed bundle, or one collected now and noted on the timeline.

    `collect` is "auto" (collect where no bundle is), "always", or "never" (then the bundle may be empty, and says so).
    `bundle` names one by its id; else the one that shows the breakage is taken, see `irkit.bundle.later`. `host` is for
    `irkit.collect.engine.collect`.

    Raises:
        InputError: `collect` is none of these.
        NotFoundError: there is no bundle of that id, or what was collected is gone.
        BundleError: the bundle cannot be trusted, or a new one cannot be sealed.
        CollectError: the collection could not be run at all.
        Stopped: it was interrupted; what had come by then is a bundle, and on the timeline.
    """
    if collect not in COLLECT_CHOICES:
        raise InputError(f"collect = {collect!r} is not known", hint=f"use one of {', '.join(COLLECT_CHOICES)}")
    settings = settings or load_settings()
    existing = bundles_of(settings.home, incident.id)
    if bundle:
        return open_bundle(_named(bundle, existing, incident))
    if existing and collect != "always":
        return open_bundle(bundle_in_use(incident, existing, timeline(incident, settings=settings)))
    now = utc_now()
    minutes = timedelta(minutes=settings.collect.window_minutes)
    window = reach.window_of(incident, minutes, now, over_before(incident, settings=settings))
    told = () if collect == "always" else timeline(incident, settings=settings)
    lost = missing_bundles(incident, told, settings)
    if collect == "never":
        return empty_bundle(incident, settings, window, now, str(lost[-1]) if lost else _NO_EVIDENCE)
    if lost:
        hint = f"put it back, or import it; `irkit collect {incident.id}` would look at how it is now"
        raise NotFoundError(f"{incident.label}: {lost[-1]}", hint=hint)
    from irkit.collect.engine import Stopped
    from irkit.collect.engine import collect as run_collection

    try:
        collected = run_collection(
            settings,
            incident.id,
            window,
            bundle_id=new_bundle_id(now),
            now=now,
            only=only,
            on_progress=on_progress,
            host=host,
        )
    except Stopped as stopped:
        _note_evidence(stopped.bundle, settings, actor)
        raise
    _note_evidence(collected, settings, actor)
    return collected


def over_before(
    incident: Incident, *, settings: Settings | None = None, everyone: Iterable[Incident] | None = None
) -> Incident | None:
    """Return the incident that was over shortly before this one began: its evidence is not looked for beyond that.

    `everyone` are all incidents, where they have been read.

    Raises:
        StoreError: the store cannot be read.
    """
    settings = settings or load_settings()
    held = store(settings)
    minutes = timedelta(minutes=settings.collect.window_minutes)

    def owns_nothing(one: Incident) -> bool:
        told = held.timeline(one.id)
        return bool(drill_of(told)) or is_false_alarm(told)

    known = held.incidents() if everyone is None else everyone
    return reach.over_before(incident, known, minutes, owns_nothing=owns_nothing)


def import_bundle(file: Path, incident_id: int | None = None, *, settings: Settings, actor: str) -> tuple[Bundle, bool]:
    """File a bundle that came as one file, and say whether its incident is known here and its timeline tells of it.

    Raises:
        NotFoundError: there is no such file.
        BundleError: the file is refused, or stands there already; nothing of it is kept.
        StoreError: the store cannot be read or written.
    """
    from irkit.bundle.archive import import_bundle as file_bundle

    bundle = file_bundle(file, settings.home, incident_id, now=utc_now())
    try:
        incident(bundle.manifest.incident_id, settings=settings)
    except NotFoundError:
        return bundle, False
    _note_evidence(bundle, settings, actor, "imported")
    return bundle, True


def newest_open(*, settings: Settings | None = None) -> Incident:
    """Return the incident that was opened last and is neither resolved nor closed.

    Raises:
        NotFoundError: there is none, or no store yet.
        StoreError: the store cannot be read.
    """
    not_over = (Status.OPEN, Status.ACKNOWLEDGED, Status.MITIGATED)
    found = store(settings).incidents(not_over)
    if not found:
        hint = "give the id of one that is over, as `irkit list` shows it, or begin one: irkit open TITLE --type TYPE"
        raise NotFoundError("no incident is open", hint=hint)
    return max(found, key=lambda item: (item.opened_at, item.id))


def bundles(
    incident: Incident, *, settings: Settings | None = None, on_broken: Callable[[BundleError], None] = lambda _: None
) -> tuple[Bundle, ...]:
    """Return an incident's sealed bundles that can be trusted, the oldest first; `on_broken` hears of the others."""
    found = []
    for folder in bundles_of((settings or load_settings()).home, incident.id):
        try:
            found.append(open_bundle(folder))
        except BundleError as error:
            on_broken(error)
    return tuple(found)


def escalation(
    settings: Settings, actor: str, on_news: Callable[[int, str], None] = lambda *_: None, *, create: bool = False
) -> Case:
    """Return what telling people of incidents needs, by the real clock; `on_news` hears each line recorded.

    Raises:
        NotFoundError, StoreError: there is no store, or it cannot be used.
    """
    import time

    from irkit.escalate.delivery import Case

    store_here, runbook = store(settings, create=create), load_runbook(settings)
    return Case(store_here, settings, runbook, utc_now, time.sleep, actor, on_news)


def new_bundle_id(now: datetime) -> str:
    """Return an id that sorts by time and does not repeat, e.g. `20261124T030512Z-5f1c`."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _named(bundle_id: str, folders: Sequence[Path], incident: Incident) -> Path:
    for folder in folders:
        if folder.name == bundle_id:
            return folder
    known = ", ".join(folder.name for folder in folders) or "none yet"
    raise NotFoundError(f"{incident.label} has no bundle {bundle_id!r}", hint=f"there are: {known}")


def _note_evidence(bundle: Bundle, settings: Settings, actor: str, how: str = "collected") -> None:
    counts: dict[str, int] = {}
    for run in filter(is_configured, bundle.runs):
        counts[run.outcome.replace("_", " ")] = counts.get(run.outcome.replace("_", " "), 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    store(settings).append(
        bundle.manifest.incident_id,
        EventKind.EVIDENCE,
        # when a stranger's clock says it was collected is no time for our timeline
        at=bundle.manifest.created_at if how == "collected" else None,
        actor=actor,
        text=f"Evidence {how} into bundle {bundle.id}: {told}",
        data={"bundle": bundle.id, "seal": bundle.manifest.seal},
    )
