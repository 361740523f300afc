"""Put a verified backup in the database's place; killed at any moment, the old or the new one is whole."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path

from irkit.act.contract import ActError, Action, Ask, Plan, Result, register
from irkit.act.database_target import database, names_for, on_disk, one_argument, progress, users, ways_back
from irkit.model import Step
from irkit.runbook import steps
from irkit.settings import Settings
from irkit.sqlite import restore as sqlite_restore
from irkit.sqlite.backup import made_at
from irkit.sqlite.check import row_counts
from irkit.sqlite.kept import newest_whole
from irkit.sqlite.nameless import only_nameless
from irkit.sqlite.readonly import COMPANIONS
from irkit.sqlite.restore import Candidate, candidate, interrupted
from irkit.text.phrase import count, grouped, listing
from irkit.times import format_duration

_IGNORE = "ignore"


def plan(ask: Ask) -> Plan:
    path = database(ask)
    backup = one_argument(ask, "the backup", hint=ways_back(ask, path) if not ask.arguments else "one file")
    if not Path(backup).exists():
        raise ActError(f"there is no backup {backup}", hint=ways_back(ask, path))
    if Path(backup).is_dir():
        raise ActError(f"{backup} is a folder, and one file in it is meant", hint=ways_back(ask, path))
    with on_disk():
        chosen = candidate(path, backup, progress(ask))
        old = row_counts(path) if path.exists() else {}
    using = users(ask, path)
    refusal = chosen.fault
    instead = ways_back(ask, path, but=Path(backup)) if refusal else ""
    if not refusal and only_nameless(one.name for one in chosen.tables):
        refusal = f"no application can use it: what its tables ({listing(_names(chosen))}) were called is lost"
        instead = names_for(ask, path)
    if not refusal and using.stop:
        refusal, instead = f"it is in use: {listing(using.stop)}", using.how
    elif not refusal and using.unsure and ask.options.get("unseen") != _IGNORE:
        refusal = f"nobody can say that it is not in use: {listing(using.unsure)}"
        instead = f"run it as root; or, once you know that nothing has it open, add -p unseen {_IGNORE}"
    return Plan(
        path.name,
        (
            f"{chosen.path} is copied beside {path} and checked there",
            "the old database and what lies beside it get second names (.replaced-TIME), and stay",
            "the old log is moved aside: left behind, SQLite would play it into the restored file",
            f"the copy takes the name {path.name} in one step, and is checked once more",
        ),
        () if chosen.fault else _by_hand(chosen.path, path),
        tuple(filter(None, (*_seen(chosen, old, ask), interrupted(path), *using.unsure, *using.notes))),
        refusal,
        instead,
        {"database": str(path), "backup": str(chosen.path), "sha256": chosen.sha256, "rows_before": old},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    chosen = Candidate(Path(str(plan.data["backup"])), str(plan.data["sha256"]))
    path = Path(str(plan.data["database"]))
    using = users(ask, path)
    if using.stop:
        said = f"{path} is in use by now: {listing(using.stop)}; nothing was changed. First: {using.how}"
        return Result(well=False, sentence=said)
    with on_disk():
        made = sqlite_restore.restore(path, chosen, ask.now(), progress(ask))
    for note in made.notes:
        ask.say(note)
    kept = f"; the old one is {made.kept[0]}" if made.kept else ""
    data = {"sha256": made.sha256, "kept": [str(one) for one in made.kept], "notes": list(made.notes)}
    return Result(well=True, sentence=f"{path} is now {chosen.path.name}{kept}", data=data)


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    with on_disk():
        path = Path(str(plan.data["database"]))
        checked = sqlite_restore.verify(path, str(result.data["sha256"]), progress(ask))
    rows = {one.name: one.rows for one in checked.tables}
    ours = f"`irkit act {ask.incident.id} {steps.START_ALL}` starts what was stopped"
    again = (
        f"{_fewer(plan, rows, result, ask)}; {ours if steps.stopped_by_us(ask.timeline) else 'start what you stopped'}"
    )
    return Result(checked.whole is True, f"{checked.sentence}{again if checked.whole else ''}", {"rows": rows})


def _fewer(plan: Plan, rows: dict[str, int | None], result: Result, ask: Ask) -> str:
    """Say which tables have fewer rows than before, and what may bring back those that are younger than the backup."""
    before, kept = plan.data.get("rows_before"), result.data.get("kept")
    if not isinstance(before, dict) or not isinstance(kept, list) or not kept:
        return ""
    pairs = ((name, now, before.get(name)) for name, now in rows.items())
    less = [(name, now, was) for name, now, was in pairs if now is not None and was and was > now]
    if not less:
        return ""
    told = listing(f"{name} ({count(now, 'row')}, {grouped(was)} before)" for name, now, was in less)
    act = f"`irkit act {ask.incident.id} salvage-database {shlex.quote(str(kept[0]))}`"
    return f"; fewer rows than before are in {told}: {act} saves what the old file has of them"


def _by_hand(backup: Path, path: Path) -> tuple[str, ...]:
    """Return what a person would type: the old file and what lies beside it go together, and none of it stays."""
    old, new = shlex.quote(str(path)), shlex.quote(f"{path}.old")
    names = " ".join(('""', *COMPANIONS))
    aside = f'for one in {names}; do test ! -e {old}"$one" || mv -n {old}"$one" {new}"$one"; done'
    # a file that mv -n left where it was is not to be written over either
    return aside, f"test ! -e {old} && cp {shlex.quote(str(backup))} {old}"


def _seen(chosen: Candidate, old: dict[str, int | None], ask: Ask) -> list[str]:
    age_s = ask.now().timestamp() - chosen.path.stat().st_mtime
    # a file that was copied is young; what it holds is as old as its name says
    if made := made_at(chosen.path):
        age_s = max(age_s, (ask.now() - made).total_seconds())
    told = [f"the backup is {format_duration(timedelta(seconds=max(0.0, age_s)))} old"]
    told.append("its sha256 is the one recorded" if chosen.recorded else "no sha256 was recorded when it was made")
    told += _not_saved(chosen.path, ask)
    if chosen.in_place:
        told.append("the database is this backup already, byte for byte")
    for one in chosen.tables:
        now = old.get(one.name)
        if one.rows is not None and one.rows != now and not one.name.startswith("sqlite_"):
            here = "now it cannot be read" if now is None else f"now {now}"
            told.append(f"{one.name}: {count(one.rows, 'row')} in the backup, {here}")
    return told


def _names(chosen: Candidate) -> list[str]:
    return [one.name for one in chosen.tables if not one.name.startswith("sqlite_")]


def _not_saved(backup: Path, ask: Ask) -> list[str]:
    """Say what is missing of rows that were salvaged, by the record of how they were."""
    for event in reversed(ask.timeline):
        plan, found = event.data.get("plan"), event.data.get("found")
        if isinstance(plan, dict) and isinstance(found, dict) and Path(str(plan.get("to"))).resolve() == backup:
            return [f"it is what was salvaged, and this is lost: {one}" for one in found.get("lost", ())]
    if backup.name.startswith("salvaged-"):
        return ["it is what was salvaged; what was lost stands in the timeline of the incident it was salvaged in"]
    return []


def _suggest(step: Step, settings: Settings) -> tuple[str, ...]:
    del step
    path = Path(settings.sqlite.path or "database.db").resolve()
    place = settings.home / "backups"
    found = newest_whole(place, path) or newest_whole(place, path, salvaged=True)
    return (str(found),) if found else ("BACKUP",)


register(
    Action(
        "restore-database",
        "Put a verified backup in the database's place; the old one is kept.",
        plan,
        apply,
        verify,
        needs=("sqlite", "docker"),
        usage="BACKUP",
        answers=r"\brestore\b.*\bbackup\b",
        destroys=("sqlite-integrity", "sqlite-statistics"),
        destructive=True,
        options={"unseen": f"{_IGNORE}: go on though not every process could be looked into"},
        suggest=_suggest,
    )
)
