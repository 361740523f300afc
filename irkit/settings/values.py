"""One section of `irkit.toml` from what is written there: what cannot be used is left out and told."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from irkit.errors import InputError
from irkit.settings.sections import Secret
from irkit.settings.urls import may_hold_password

_NAMED_TEXTS: Any = tuple[tuple[str, str], ...]
_HEADER = re.compile(r"\s*\[{1,2}([^\]]+)\]")
_ASSIGNED = re.compile(r"\s*([\w.\"' -]+?)\s*=")
_BLANKS = re.compile(r"[\s\"']")
_CHANNELS = frozenset({"pagerduty", "slack", "email", "tickets", "apprise"})
# the most that a number may be, by the unit in its name: what nobody means, and no clock, pipe or date can hold
_MOST = (("_s", 86_400), ("_minutes", 525_600), ("_days", 36_500), ("_bytes", 2**62), ("", 100_000))
# in the place of one of these its default does no harm
_DEFAULTED = (int, float, bool)


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be used, and what to do about it; one that `stops` has its whole section left alone."""

    section: str
    key: str
    sentence: str
    hint: str
    stops: bool = True

    @property
    def effect(self) -> str:
        """What follows of it until it is corrected, as the end of a sentence."""
        if not self.section:
            return "the built-in one holds, nobody is told by it, and what only its commands name is not looked at"
        if self.section == "redact":
            return "e-mail and IP addresses and hosts are taken out of evidence"
        if self.stops:
            return f"irkit leaves alone what [{self.section}] names"
        if self.section in _CHANNELS:
            return f"[{self.section}] may reach nobody"
        return f"{self.section}.{self.key} is left out"


def build(  # noqa: PLR0913, PLR0917 (what is written, and the parts of an error message)
    cls: type,
    given: Mapping[str, Any],
    section: str,
    config: Path | None,
    environ: Mapping[str, str],
    unused: Collection[str] = (),
) -> tuple[Any, list[Problem]]:
    """Return a section made of what is written under its name but for `unused`, and what of that cannot be used."""
    hints = get_type_hints(cls)
    known = [item.name for item in fields(cls) if item.name != "configured"]
    made: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, raw in given.items():
        if key in unused:
            continue
        name = f"{section}.{key}" if section else key
        try:
            if key not in known:
                raise unknown(config, name, known)
            made[key] = _convert(raw, hints[key], name, config, environ)
        except InputError as error:
            stops = hints.get(key) not in _DEFAULTED
            problems.append(Problem(section, key, str(error), error.hint, stops))
    if "configured" in hints and given:
        made["configured"] = True
    return cls(**made), problems


def open_secret(config: Path, given: object, *, whole: bool) -> bool:
    """Say whether a value written in a file others may read is a credential, or `whole` is said to be one."""
    texts = given.values() if isinstance(given, dict) else [given]
    written = [raw for raw in texts if isinstance(raw, str) and raw and not raw.startswith("env:")]
    if not any(whole or may_hold_password(raw) for raw in written):
        return False
    return bool(config.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _convert(  # noqa: C901 (one branch for each type of value)
    raw: Any,  # noqa: ANN401
    wanted: Any,  # noqa: ANN401
    key: str,
    config: Path | None,
    environ: Mapping[str, str],
) -> Any:  # noqa: ANN401
    """Check one value against its field's type; `env:NAME` is read from the environment first."""
    if isinstance(raw, str) and raw.startswith("env:"):
        name = raw.removeprefix("env:")
        if name not in environ:
            msg = f"{place(config, key)} wants the environment variable {name}, which is not set"
            raise InputError(msg, hint=f"export {name}, or write the value in irkit.toml")
        raw = environ[name]
    if isinstance(wanted, UnionType):
        wanted = get_args(wanted)[0]
    if wanted is Secret and isinstance(raw, str):
        return Secret(raw)
    if wanted == tuple[str, ...] and isinstance(raw, list) and all(isinstance(item, str) for item in raw):
        return tuple(raw)
    if wanted == _NAMED_TEXTS and isinstance(raw, dict) and all(isinstance(item, str) for item in raw.values()):
        return tuple((name, _convert(item, str, f"{key}.{name}", config, environ)) for name, item in raw.items())
    problem = f"not {type(raw).__name__}"
    if wanted in (int, float) and isinstance(raw, int | float) and not isinstance(raw, bool) and raw > 0:
        most = next(number for unit, number in _MOST if key.endswith(unit))
        if raw <= most and (wanted is float or isinstance(raw, int)):
            return wanted(raw)
        problem = problem if raw <= most else f"at most {most}"
    elif wanted in (str, bool) and type(raw) is wanted:
        if "\0" not in str(raw):
            return raw
        problem = "without a NUL character"
    expected = {int: "a whole number above 0", float: "a number above 0", str: "a string", Secret: "a string"}
    expected |= {_NAMED_TEXTS: "a table of strings", bool: "true or false"}
    msg = f"{place(config, key)} should be {expected.get(wanted, 'a list of strings')}, {problem}"
    raise InputError(msg, hint=f"correct {key}; the README lists every setting")


def place(config: Path | None, key: str) -> str:
    """Say where a setting is written, by file and line, or only which it is."""
    if config is None:
        return f"the setting {key}"
    written = _written(config.read_text(encoding="utf-8-sig").splitlines())
    found = key
    while found not in written and "." in found:
        found = found.rpartition(".")[0]  # an inline table, or a section that was never begun
    return f"{config}:{written.get(found, 1)}: {key}"


def _written(lines: Iterable[str]) -> dict[str, int]:
    """Return the line in which each section begins and each key of it stands, by their whole names."""
    found: dict[str, int] = {}
    section = ""
    for number, text in enumerate(lines, 1):
        if header := _HEADER.match(text):
            section = name = _BLANKS.sub("", header[1])
        elif assigned := _ASSIGNED.match(text):
            name = ".".join(filter(None, (section, _BLANKS.sub("", assigned[1]))))
        else:
            continue
        found.setdefault(name, number)
    return found


def unknown(config: Path | None, key: str, known: list[str]) -> InputError:
    """Return the refusal of a setting that is none; its hint names the nearest of those known there."""
    near = get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return InputError(f"{place(config, key)} is not a setting irkit knows", hint=hint)
