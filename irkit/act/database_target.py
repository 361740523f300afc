"""The SQLite file that actions are about: where it is, who uses it, and their failures and progress in our words."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from irkit.act import compose, engine
from irkit.act.contract import ActError, Ask, in_our_words
from irkit.errors import InputError
from irkit.runbook import steps
from irkit.sqlite.check import Progress
from irkit.sqlite.holders import Holder, database_files, holders
from irkit.sqlite.kept import newest_schema, newest_whole
from irkit.text.phrase import listing

_TOLD_EVERY_S = 2.0
_CELLS = 20


@dataclass(frozen=True, slots=True)
class Users:
    """Who has the database in use: `stop` names what must be stopped first, `unsure` says what could not be seen.

    `notes` says what could not be seen where it does not matter, `how` is what is typed to stop what must be.
    """

    stop: tuple[str, ...]
    unsure: tuple[str, ...]
    notes: tuple[str, ...]
    how: str = ""


def database(ask: Ask) -> Path:
    """Return the path of the service's database, links followed; it need not be there.

    Raises:
        InputError: nobody says where it is.
    """
    if not ask.settings.sqlite.path:
        raise InputError("it is not known where the database is", hint="set [sqlite] path in irkit.toml")
    return Path(ask.settings.sqlite.path).resolve()


def folder(ask: Ask) -> Path:
    """Return the folder that backups go to where nothing else is said."""
    return ask.settings.home / "backups"


def ways_back(ask: Ask, path: Path, but: Path | None = None) -> str:
    """Return the commands that put whole files in place, and the one that makes a file of what can be saved."""
    act = f"irkit act {ask.incident.id}"
    backup, saved = (newest_whole(folder(ask), path, salvaged=one, but=but) for one in (False, True))
    ways = [f"`{act} restore-database {backup}`, the newest whole backup"] if backup else []
    if saved:
        ways.append(f"`{act} restore-database {saved}`, the rows that were salvaged")
    elif path.exists():
        ways.append(f"`{act} salvage-database`, which saves the rows of the database as it is")
    return "; or ".join(ways) or f"irkit act {ask.incident.id} restore-database BACKUP"


def names_for(ask: Ask, path: Path) -> str:
    """Say how the tables of a file get their names back whose schema is lost.

    That is by the newest whole backup that names tables, or by what a person has.
    """
    target = database(ask) if ask.settings.sqlite.path else path
    of = "" if path.resolve() == target else f" {shlex.quote(str(path))}"
    salvage = f"irkit act {ask.incident.id} salvage-database{of} -p schema"
    if found := newest_schema(folder(ask), target):
        return f"`{salvage} {shlex.quote(str(found))}` names them as that backup does"
    return f"`{salvage} FILE` names them, where FILE is an older backup or has its CREATE statements"


def users(ask: Ask, path: Path) -> Users:
    """Return which containers of the project have the file mounted and run, and which processes have it open."""
    stop: list[str] = []
    unsure: list[str] = []
    notes: list[str] = []
    ours: set[str] = set()
    held = holders(database_files(path))
    try:
        found = () if "docker" in ask.settings.without else _members(ask)
        using = [one.name for one in found if one.running and _mounts(one, path)]
        stop += [f"the container {name} runs and has it mounted" for name in using]
        ours = {one.listed.id for one in found}
    except ActError as error:
        # what runs in a container has its files open on this kernel too, where every process was looked into
        (notes if held.clear else unsure).append(f"no container could be looked at: {error}")
    by_us = bool(stop) or any(one.container in ours for one in held.found)
    others = [one for one in held.found if one.container not in ours]
    if held.clear is False:
        stop.append(held.sentence)
    if held.clear is None:
        unsure.append(held.sentence)
    how = _how_to_stop(ask, path, others, by_us=by_us) if stop else ""
    return Users(tuple(stop), tuple(unsure), tuple(notes), how)


def _members(ask: Ask) -> Sequence[compose.Member]:
    with compose.engine(ask.settings.docker) as client:
        return compose.all_members(client, ask.settings.docker)


def _how_to_stop(ask: Ask, path: Path, others: Sequence[Holder], *, by_us: bool) -> str:
    """Return what is typed to stop what has the file open, and to record that: irkit stops containers alone."""
    stop_all = f"irkit act {ask.incident.id} {steps.STOP_ALL}"
    by_hand = listing(f"`{one.stopping}` for {one.program}" for one in {one.stopping: one for one in others}.values())
    if not others:
        return stop_all if by_us else f"stop its service; `sudo fuser {shlex.quote(str(path))}` says which process"
    told = [f"`{stop_all}`", by_hand] if by_us else [by_hand]
    number = engine.step_of(engine.find(steps.STOP_ALL), ask)
    if by_us or number is None:
        return " and ".join(told)
    return f"{by_hand}; then `irkit step {ask.incident.id} {number} --done` records that step {number} was taken"


@contextmanager
def on_disk() -> Iterator[None]:
    """Turn what the file or its disk refuses into an action's failure.

    Raises:
        ActError: it was refused.
    """
    try:
        with in_our_words():
            yield
    except OSError as error:
        raise ActError(f"{error.filename or 'the disk'}: {error.strerror}", hint="correct that and try again") from None


def progress(ask: Ask) -> Progress:
    """Return what takes news of long work and has a bar of it said every other second."""
    last = time.monotonic()

    def told(what: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _TOLD_EVERY_S:
            last = time.monotonic()
            done = round(share * _CELLS)
            ask.say(f"{what}  {'█' * done}{'░' * (_CELLS - done)}  {share:.0%}")

    return told


def one_argument(ask: Ask, what: str, *, hint: str) -> Path:
    """Return the one file that is named, relative to the working directory.

    Raises:
        InputError: none is named, or more than one.
    """
    if len(ask.arguments) != 1:
        raise InputError(f"{what} is to be named", hint=hint)
    return typed_path(ask.arguments[0])


def typed_path(text: str) -> Path:
    """Return the path that was typed, a `~` at its head resolved.

    Raises:
        InputError: it is in the home of a user that is unknown here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(f"{text} is in the home of a user that is unknown here", hint="write the whole path") from None


def _mounts(member: compose.Member, path: Path) -> bool:
    sources = [Path(str(one["Source"])) for one in member.details.get("Mounts") or () if one.get("Source")]
    return any(path == source or source in path.parents for source in sources)
