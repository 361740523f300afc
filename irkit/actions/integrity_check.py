"""Check the database in full: every page, every foreign key, the log's checksums, with a verdict for each table."""

from __future__ import annotations

from irkit.act_contract import Action, Ask, Plan, Result, register
from irkit.database_target import database, on_disk, progress
from irkit.phrase import count, listing, size
from irkit.sqlite_check import Checked, TableVerdict, check
from irkit.sqlite_readonly import find

_SHOWN = 20


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
        checked = check(str(plan.data["database"]), progress(ask))
    for one in checked.tables:
        ask.say(_line(one))
    for finding in checked.damage[:_SHOWN]:
        ask.say(f"{finding.check}: {finding.message}")
    for gap in checked.gaps:
        ask.say(gap)
    return Result(well=True, sentence=checked.sentence, data=_data(checked))


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del plan
    if result.data["whole"] is True:
        return Result(well=True, sentence="Nothing was changed")
    if result.data["whole"] is None:
        return Result(well=False, sentence="Nothing was changed, and nothing is certain")
    damaged = result.data["damaged"]
    assert isinstance(damaged, list)  # noqa: S101 (made above)
    tables = f"of its tables {listing(damaged)} {'is' if len(damaged) == 1 else 'are'} damaged; " if damaged else ""
    act = f"irkit act {ask.incident.id}"
    return Result(
        well=False, sentence=f"{tables}what can follow: `{act} backup-database`, then `{act} restore-database`"
    )


def _line(one: TableVerdict) -> str:
    verdict = {True: "whole", False: "damaged", None: "unknown"}[one.whole]
    rows = "its rows cannot be counted" if one.rows is None else count(one.rows, "row")
    return f"{verdict:8} {one.name}: {rows}{f' ({one.messages[0]})' if one.messages else ''}"


def _data(checked: Checked) -> dict[str, object]:
    return {
        "whole": checked.whole,
        "damaged": [one.name for one in checked.tables if one.whole is False],
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
        answers=r"\bintegrity[ _]check\b",
        changes=False,
    )
)
