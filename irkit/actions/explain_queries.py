"""Say why the slow queries of the logs are slow, and which index would help, measured on a copy of the database."""

from __future__ import annotations

import tempfile
from pathlib import Path

from irkit.act.contract import ActError, Action, Ask, Plan, Result, only_look, register
from irkit.act.database_target import database, on_disk
from irkit.act.index_advice import Advice, advise
from irkit.bundle import bundles_of, open_bundle
from irkit.bundle.staging import own_folder
from irkit.logs.slow_queries import SlowQuery, slow_queries
from irkit.sqlite.backup import copy_only
from irkit.sqlite.readonly import find
from irkit.text.phrase import size

_MOST = 5
_SHOWN_CHARS = 200
_READS = ("SELECT", "WITH")


def plan(ask: Ask) -> Plan:
    path = database(ask)
    found = _slow(ask)
    with on_disk():
        size_bytes = find(str(path)).size_bytes
    folder = ask.options.get("folder") or tempfile.gettempdir()
    return Plan(
        path.name,
        (
            f"{path} ({size(size_bytes)}) is copied to {folder} by SQLite's online backup, its users undisturbed",
            f"run on it: {_queries(len(found))}, with indexes that could help and without; then the copy is deleted",
        ),
        tuple(f'sqlite3 {path} "EXPLAIN QUERY PLAN {one.sql[:_SHOWN_CHARS]}"' for one in found),
        tuple(f"{one.sql[:_SHOWN_CHARS]}  {one.sentence}" for one in found),
        "" if found else "the collected logs tell of no query that took 0.1 s or longer",
        "" if found else "have the service log its slow queries with their durations, and collect again",
        {"database": str(path), "folder": folder, "queries": [one.sql for one in found]},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    told = [one for one in _slow(ask) if one.sql in _listed(plan)]
    advices: list[Advice] = []
    with own_folder(Path(str(plan.data["folder"])), "explain") as folder:
        copy = folder.path / "copy.db"
        with on_disk():
            copy_only(str(plan.data["database"]), copy)
        for one in told:
            if not one.example.lstrip().upper().startswith(_READS):
                ask.say(f"{one.sql[:_SHOWN_CHARS]}: it writes, and is not run")
                continue
            advices.append(advise(copy, one.example))
            ask.say(_line(one, advices[-1]))
    helps = [one.best for one in advices if one.best]
    data = {"statements": [one.statement for one in helps], "measured": [_row(one) for one in advices]}
    unknown = sum(1 for one in advices if one.seconds is None)
    if not helps and unknown == len(advices):
        raise ActError(f"none of {_queries(len(told))} could be run on the copy", hint=_why(advices))
    words = f"{_queries(len(advices))} measured on a copy"
    if not helps:
        return Result(well=True, sentence=f"{words}; no index makes one at least 1.5 times as fast", data=data)
    made = "; ".join(f"{one.statement}; -- {one.gain:.1f} times as fast" for one in helps)
    sentence = f"{words}. What would help, for your next migration: {made}"
    return Result(well=True, sentence=sentence, data=data)


def _queries(number: int) -> str:
    return "1 slow query" if number == 1 else f"{number} slow queries"


def _listed(plan: Plan) -> list[str]:
    listed = plan.data["queries"]
    assert isinstance(listed, list)  # noqa: S101 (planned above)
    return [str(one) for one in listed]


def _slow(ask: Ask) -> tuple[SlowQuery, ...]:
    folders = bundles_of(ask.settings.home, ask.incident.id)
    if not folders:
        raise ActError("no evidence has been collected yet", hint=f"irkit collect {ask.incident.id}")
    held = open_bundle(folders[-1])
    if not held.has("logs"):
        raise ActError("the collected evidence has no logs", hint=f"irkit collect {ask.incident.id}")
    schema = held.load("database") if held.has("database") else None
    statistics = held.load("database_statistics") if held.has("database_statistics") else None
    return slow_queries(held.load("logs"), schema, statistics)[:_MOST]


def _line(one: SlowQuery, advice: Advice) -> str:
    shown = one.sql[:_SHOWN_CHARS]
    if advice.seconds is None:
        return f"{shown}: cannot be run on the copy ({advice.unknown})"
    if advice.best is None:
        return f"{shown}: {advice.seconds:.3f} s on the copy; no index helps, {advice.tried} tried"
    best = advice.best
    return f"{shown}: {best.before_s:.3f} s on the copy, {best.after_s:.3f} s with {best.statement}"


def _row(one: Advice) -> dict[str, object]:
    best = one.best
    return {
        "seconds": one.seconds,
        "index": best.statement if best else None,
        "with_index_s": best.after_s if best else None,
        "tried": one.tried,
    }


def _why(advices: list[Advice]) -> str:
    return next((one.unknown for one in advices if one.unknown), "only reading queries are run")


register(
    Action(
        "explain-queries",
        "Say why slow queries are slow and which index would help, measured on a copy.",
        plan,
        apply,
        only_look,
        needs=("sqlite",),
        answers=r"\bslow quer",
        changes=False,
        options={"folder": "where the copy is made (the system's folder for temporary files)"},
    )
)
