"""Find plug-ins: every module of one of our packages, and third parties' entry points."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that could not be imported and was left out; `reason` is one line."""

    name: str
    reason: str


def load_plugins(package: str, group: str) -> tuple[BrokenPlugin, ...]:
    """Import all modules of `package` and all entry points of `group`, so that their decorators register them.

    A broken module of our own raises, since it is a bug of irkit; a broken third-party one is returned instead,
    since it must not take the evidence of all others with it.
    """
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__, f"{package}."):
        importlib.import_module(module.name)
    broken: list[BrokenPlugin] = []
    for entry in entry_points(group=group):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001 (anything a foreign import may raise)
            broken.append(BrokenPlugin(entry.name, f"{type(error).__name__}: {error}".splitlines()[0][:200]))
    return tuple(broken)
