"""What makes irkit's own commands start fast: a grammar they never need stays unread, all else is loaded in time."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# what the cells of the report's notebook load first; a shell loads it while it waits for them
FOR_REPORTS = (
    "irkit.workspace",
    "irkit.store",
    "pandas",
    "pyarrow.parquet",
    "irkit.report.making",
    "irkit.report.html",
)
# what follows a collection, loaded while the process that runs it gets ready; of a package with * all modules
FOR_FINDINGS = (
    "pandas",
    "pyarrow.parquet",
    "irkit.symptoms.*",
    "irkit.onset.interval",
    "irkit.report.standing",
    "irkit.actions.*",
)
_GRAMMAR = "rfc3987_syntax"
_TABLES = "pyarrow"


def spare_the_grammar() -> None:
    """Load jsonschema without the grammar of international addresses, which takes longer to read than all the rest.

    For commands of our own alone: in this process, jsonschema then does not check the formats `iri` and
    `iri-reference`, which no notebook, manifest or incident has.
    """
    _load_without("jsonschema", _GRAMMAR)


def spare_the_tables() -> None:
    """Load papermill without pyarrow and numpy, which it takes for notebooks at hdfs:// addresses alone.

    For commands of our own whose notebooks run in another process, and which have nothing to do with tables themselves.
    """
    _load_without("papermill", _TABLES)


def _load_without(module: str, other: str) -> None:
    if module in sys.modules or other in sys.modules:
        return
    sys.modules[other] = None  # type: ignore[assignment]  # Python's own sign for "there is none": the module does without
    try:
        importlib.import_module(module)
    finally:
        del sys.modules[other]


@contextmanager
def uncollected() -> Iterator[None]:
    """Load within without searching for garbage: libraries make a hundred thousand objects, and all are there to stay.

    What is there by the end is not looked at again either, not even when Python leaves. For our own processes alone.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load(*modules: str) -> None:
    """Import modules where there is time for it, to have them later; `package.*` stands for all in a package.

    Never in a thread beside other imports: of two that import what belongs together Python lets one see it half made.
    """
    for name in modules:
        with suppress(ImportError):  # whoever imports it then is told
            _load(name)


def _load(name: str) -> None:
    loaded = importlib.import_module(name.removesuffix(".*"))
    if name.endswith(".*"):
        for module in pkgutil.iter_modules(loaded.__path__, f"{loaded.__name__}."):
            importlib.import_module(module.name)
