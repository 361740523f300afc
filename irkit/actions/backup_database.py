"""Back the database up by SQLite's online backup, and keep the raw bytes of a damaged one."""

from __future__ import annotations

from pathlib import Path

from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.database_target import database, folder, on_disk, progress, typed_path, ways_back
from irkit.bundle import sha256_of
from irkit.sqlite import durable
from irkit.sqlite.backup import back_up, backup_name, space_needed_bytes
from irkit.sqlite.readonly import find
from irkit.text.phrase import count, size


def plan(ask: Ask) -> Plan:
    path = database(ask)
    given = ask.options.get("to")
    destination = typed_path(given).absolute() if given else folder(ask) / backup_name(path, ask.now())
    with on_disk():
        file = find(str(path))
        refusal = f"{destination} is there already" if destination.exists() else ""
        if not refusal:
            durable.require_space(destination.parent, space_needed_bytes(file))
    log = f", and its log of {size(file.wal_size_bytes)}" if file.wal_size_bytes else ""
    return Plan(
        path.name,
        (
            f"{path} is copied to {destination} as it is at one moment, its users undisturbed",
            "the copy is checked in full, and its sha256 is written beside it",
            "if it is damaged, its bytes and those of its log are kept beside the copy as they are",
        ),
        (f"sqlite3 {path} \".backup '{destination}'\"",),
        (f"{path} has {size(file.size_bytes)}{log}", *([f"it is damaged: {file.fault}"] if file.fault else [])),
        refusal,
        "no backup is ever overwritten: name another with -p to FILE" if refusal else "",
        {"database": str(path), "to": str(destination)},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    with on_disk():
        made = back_up(str(plan.data["database"]), Path(str(plan.data["to"])), progress(ask))
    for note in made.notes:
        ask.say(note)
    tables = {one.name: one.rows for one in made.checked.tables} if made.checked else {}
    data = {"copy": str(made.copy or ""), "raw": [str(one) for one in made.raw], "sums": dict(made.sha256)}
    return Result(well=True, sentence=made.sentence, data={**data, "rows": tables, "whole": made.whole})


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    sums = result.data["sums"]
    assert isinstance(sums, dict)  # noqa: S101 (made above)
    parent = Path(str(plan.data["to"])).parent
    with on_disk():
        changed = [name for name, digest in sums.items() if sha256_of(parent / name) != digest]
    if changed:
        return Result(well=False, sentence=f"{', '.join(changed)} is not what was written")
    follows = f"; none of them is to be restored. What can follow: {ways_back(ask, Path(str(plan.data['database'])))}"
    left = "" if result.data["whole"] else follows
    return Result(well=True, sentence=f"{count(len(sums), 'file')} read back with the same sha256{left}")


register(
    Action(
        "backup-database",
        "Copy the database as it is at one moment, verified; a damaged one byte for byte as well.",
        plan,
        apply,
        verify,
        needs=("sqlite",),
        answers=r"\bback ?up\b.*\bdatabase\b|\bdatabase\b.*\bback ?up\b",
        changes=False,
        options={"to": "the file to write (default: backups/NAME-TIME.db in irkit's home)"},
    )
)
