"""Bring the rows of a damaged database back into a new file, page by page; the damaged one is only read."""

from __future__ import annotations

from pathlib import Path

from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.database_target import database, folder, names_for, on_disk, progress, typed_path
from irkit.bundle import sha256_of
from irkit.errors import InputError
from irkit.sqlite import durable
from irkit.sqlite.backup import backup_name, original_of
from irkit.sqlite.check import check
from irkit.sqlite.holders import database_files, holders
from irkit.sqlite.kept import newest_schema
from irkit.sqlite.nameless import tables_in
from irkit.sqlite.readonly import find
from irkit.sqlite.salvage import salvage
from irkit.text.phrase import listing, size


def plan(ask: Ask) -> Plan:
    if len(ask.arguments) > 1:
        raise InputError("salvage-database takes one damaged file", hint=f"irkit act {ask.incident.id} --list")
    path = typed_path(ask.arguments[0]).absolute() if ask.arguments else database(ask)
    given = ask.options.get("to")
    stamped = backup_name(original_of(path), ask.now())
    destination = typed_path(given).absolute() if given else folder(ask) / f"salvaged-{stamped}"
    with on_disk():
        file = find(str(path))
        durable.require_space(destination.parent, 2 * (file.size_bytes + (file.wal_size_bytes or 0)))
    held = holders(database_files(path))
    used = f"{held.sentence}: what is written meanwhile may be missed or torn" if held.clear is False else ""
    named = ask.options.get("schema", "")
    taken = destination.exists()
    return Plan(
        path.name,
        (
            f"each page of {path} ({size(file.size_bytes)}) and of its log is read; the file is not changed",
            f"the rows that are found go into {destination}, which is checked; restore-database can put it in place",
        ),
        (f"sqlite3 {path} .recover | sqlite3 {destination}",),
        tuple(filter(None, (used, "" if named else _of_schema(ask, path)))),
        f"{destination} is there already" if taken else "",
        "name another with -p to FILE" if taken else "",
        {"database": str(path), "to": str(destination), "schema": named},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    other = str(plan.data["schema"])
    with on_disk():
        made = salvage(
            str(plan.data["database"]),
            Path(str(plan.data["to"])),
            schema_from=typed_path(other) if other else None,
            if_lost=lambda: newest_schema(folder(ask), _kept_of(ask, Path(str(plan.data["database"])))),
            progress=progress(ask),
        )
    for note in (*made.notes, *(one.sentence for one in made.tables)):
        ask.say(note)
    tables = [
        {"name": one.name, "rows": one.rows, "lost_pages": list(one.lost_pages), "known_lost": one.known_lost}
        for one in made.tables
    ]
    lost = [one.sentence for one in made.tables if not one.whole]
    if made.nameless and made.usable:
        ask.say(f"{listing(made.nameless)}: of what table nobody knows, since no schema names one for these rows")
    said = made.sentence if made.usable else f"{made.sentence}. {names_for(ask, made.source)}"
    data = {"tables": tables, "lost": lost, "sha256": sha256_of(made.path), "nameless": list(made.nameless)}
    return Result(made.usable, said, data)


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    with on_disk():
        checked = check(str(plan.data["to"]), progress(ask))
    return Result(checked.whole is True, checked.sentence)


def _of_schema(ask: Ask, path: Path) -> str:
    """Say what becomes of a schema that SQLite cannot read."""
    if tables_in(path) is not None:
        return ""
    found = newest_schema(folder(ask), _kept_of(ask, path))
    taken = f"what is lost of it is taken from {found}" if found else names_for(ask, path)
    return f"its schema, which names the tables, cannot be read by SQLite: {taken}"


def _kept_of(ask: Ask, path: Path) -> Path:
    """Return the database whose backups can name the tables of a file: its own, or that which it is a copy of."""
    return database(ask) if ask.settings.sqlite.path else original_of(path)


register(
    Action(
        "salvage-database",
        "Bring the rows of a damaged database back into a new file, and say table by table what is lost.",
        plan,
        apply,
        verify,
        needs=("sqlite",),
        usage="[FILE]",
        answers=r"\bsalvage\b",
        changes=False,
        options={
            "to": "the new file (default: backups/salvaged-NAME-TIME.db in irkit's home)",
            "schema": "an older backup, or a file of SQL, that names the tables where the file no longer does "
            "(default: the newest whole backup)",
        },
    )
)
