"""Check the database in full: every page, every foreign key, the log's checksums, with a verdict for each table."""

from __future__ import annotations

from pathlib import Path

from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.database_target import database, on_disk, progress, ways_back
from irkit.sqlite.check import Checked, TableVerdict, check, quoted_name
from irkit.sqlite.parts import Parts, parts_of
from irkit.sqlite.readonly import find, open_readonly
from irkit.text.phrase import count, listing, size

_SHOWN = 20
_REINDEX, _REMADE = "reindex", "made anew"


def plan(ask: Ask) -> Plan:
    path = database(ask)
    with on_disk():
        file = find(str(path))
    return Plan(
        path.name,
        (f"{path} ({size(file.size_bytes)}) is read in full; not a byte of it or beside it is changed",),
        (f"sqlite3 {path} 'PRAGMA integrity_check'", f"sqlite3 {path} 'PRAGMA foreign_key_check'"),
        data={"database": str(path)},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    with on_disk():
        path = str(plan.data["database"])
        checked, parts = check(path, progress(ask)), None
        if checked.damage and not find(path).fault:
            with open_readonly(path) as opened:
                parts = parts_of(opened)
    for one in checked.tables:
        ask.say(_line(one, parts))
    for finding in checked.damage[:_SHOWN]:
        ask.say(f"{finding.check}: {finding.message}")
    for gap in checked.gaps:
        ask.say(gap)
    said = f"{checked.sentence}; {parts.sentence}" if parts and parts.sentence else checked.sentence
    return Result(well=True, sentence=said, data=_data(checked, parts))


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    path = Path(str(plan.data["database"]))
    if result.data["whole"] is True:
        return Result(well=True, sentence="Nothing was changed")
    if result.data["whole"] is None:
        return Result(well=False, sentence="Nothing was changed, and nothing is certain")
    damaged, indexes = result.data["damaged"], result.data["indexes"]
    assert isinstance(damaged, list)  # noqa: S101 (made above)
    assert isinstance(indexes, list)  # noqa: S101 (made above)
    act = f"irkit act {ask.incident.id}"
    if result.data["mended_by"] == _REINDEX:
        statement = "; ".join(f"REINDEX {quoted_name(name)}" for name in indexes)
        by_hand = f"`{act} stop-all` and `{act} backup-database`, then `sqlite3 {path} '{statement}'`"
        return Result(well=False, sentence=f"What can follow: {by_hand}")
    if result.data["mended_by"] == _REMADE:
        follows = f"`{act} salvage-database`, which takes the rows and makes the indexes anew"
        return Result(well=False, sentence=f"What can follow: `{act} backup-database`, then {follows}")
    # told already where each part was looked at by itself
    named = damaged and listing(damaged) not in result.sentence
    tables = f"Of its tables {listing(damaged)} {'is' if len(damaged) == 1 else 'are'} damaged. " if named else ""
    follows = f"What can follow: `{act} backup-database`, then {ways_back(ask, path)}"
    return Result(well=False, sentence=f"{tables}{follows}")


def _line(one: TableVerdict, parts: Parts | None) -> str:
    verdict = {True: "whole", False: "damaged", None: "unknown"}[one.whole]
    rows = "its rows cannot be counted" if one.rows is None else count(one.rows, "row")
    own = [name for name, table in parts.indexes if table == one.name] if parts and parts.only_indexes else []
    why = f"all of them whole; of its indexes {listing(own)}" if own else one.messages[0] if one.messages else ""
    return f"{verdict:8} {one.name}: {rows}{f' ({why})' if why else ''}"


def _data(checked: Checked, parts: Parts | None) -> dict[str, object]:
    only_indexes = parts is not None and parts.only_indexes
    mended_by = _REINDEX if parts and parts.reindexed == "" else _REMADE if parts and parts.remade else ""
    return {
        "whole": checked.whole,
        "damaged": [] if only_indexes else [one.name for one in checked.tables if one.whole is False],
        "indexes": [name for name, _ in parts.indexes] if parts else [],
        "mended_by": mended_by,
        "tables": [{"name": one.name, "whole": one.whole, "rows": one.rows} for one in checked.tables],
        "messages": [one.message for one in checked.damage[:_SHOWN]],
        "gaps": list(checked.gaps),
    }


register(
    Action(
        "integrity-check",
        "Check every page, foreign key and log frame of the database, with a verdict for each table.",
        plan,
        apply,
        verify,
        needs=("sqlite",),
        answers=r"\bintegrity[ _]check\b",
        changes=False,
    )
)
