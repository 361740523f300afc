"""Read a stranger's Parquet tables once in a process of their own: a damaged one can make Arrow abort all of it.

Run by `try_tables` as `python -m irkit.bundle.parquet_trial PATH…`; the refusal, if any, is a line of JSON on standard
error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from irkit.bundle.parquet import read_table
from irkit.errors import BundleError

_LONGEST_S = 120.0
_AT_ONCE = 100


def try_tables(paths: Sequence[Path]) -> None:
    """Return if all tables can be read in full, and safely.

    Raises:
        BundleError: one of them is refused, or reading it kills the process that does.
    """
    for start in range(0, len(paths), _AT_ONCE):
        _try(paths[start : start + _AT_ONCE])


def _try(paths: Sequence[Path]) -> None:
    command = [sys.executable, "-P", "-m", "irkit.bundle.parquet_trial", *map(str, paths)]
    hint = "use an untouched copy"
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module; the paths are arguments, not options)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BundleError(f"its tables could not be read within {_LONGEST_S:g} s", hint=hint) from None
    if not done.returncode:
        return
    try:
        told = json.loads(done.stderr.splitlines()[-1])
        raise BundleError(told["sentence"], hint=told["hint"])
    except (ValueError, LookupError, TypeError):
        what = f"by signal {-done.returncode}" if done.returncode < 0 else f"with exit code {done.returncode}"
        sentence = f"one of its tables is damaged: reading them ended the process that did it, {what}"
        raise BundleError(sentence, hint=hint) from None


def main(paths: Sequence[str]) -> str | None:
    """Read each table and return the refusal of the first that cannot be, as JSON."""
    for path in paths:
        try:
            read_table(Path(path))
        except BundleError as error:
            return json.dumps({"sentence": str(error), "hint": error.hint})
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # a text goes to standard error, with exit code 1
